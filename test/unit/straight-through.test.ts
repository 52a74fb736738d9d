import {
  type Value,
  DTypeError,
  ShapeError,
  bernoulli,
  derivative,
  grad,
  hvp,
  jet,
  jvp,
  randomKey,
  straightThrough,
  tensor,
} from "cotangent";
import { expect, test } from "vitest";

const step = straightThrough(
  (x) => x.gt(0).astype(x.dtype),
  (x) => x.sigmoid(),
);

test("the value is the hard one, exactly, and the derivatives of every order are the soft ones", () => {
  const x = tensor([-2, 0.3, 5]);
  expect(step(x).toArray()).toEqual([0, 1, 1]);
  const soft = (v: Value): Value => v.sigmoid();
  expect(grad((v) => step(v).sum())(x).toArray()).toEqual(grad((v) => soft(v).sum())(x).toArray());
  expect(jvp(step, [x], [x])[1].toArray()).toEqual(jvp(soft, [x], [x])[1].toArray());
  const [v, w] = [tensor([1, 2, 3]), (f: typeof soft) => (y: Value) => f(y).sum()];
  expect(hvp(w(step), x, v).toArray()).toEqual(hvp(w(soft), x, v).toArray());
  const [hardSeries, softSeries] = [step, soft].map((f) => jet(f, [x], [[v, null, null]])[1]);
  expect(hardSeries.map((each) => each.toArray())).toEqual(softSeries.map((each) => each.toArray()));
});

test("a derivative of the hard function does not get in", () => {
  const f = straightThrough(
    (x) => x.square(),
    (x) => x.mul(10),
  );
  expect([f(tensor(3)).item(), grad(f)(3).item(), derivative(f)(3).item()]).toEqual([9, 10, 10]);
  const itself = straightThrough(
    (x) => x.round(),
    (x) => x,
  );
  expect(grad((x) => itself(x).square())(1.7).item()).toBe(4);
});

test("a draw is trained by its probability", () => {
  const key = randomKey(3);
  const draw = straightThrough(
    (p) => bernoulli(key, p).astype(p.dtype),
    (p) => p,
  );
  expect([draw(tensor(0.4)).item() % 1, grad(draw)(0.4).item()]).toEqual([0, 1]);
});

test("two functions of different shapes or dtypes are refused", () => {
  const x = tensor([1, 2]);
  const same = (y: Value): Value => y;
  expect(() => straightThrough((y) => y.sum(), same)(x)).toThrow(ShapeError);
  expect(() => straightThrough((y) => y.gt(0), same)(x)).toThrow(DTypeError);
  expect(() => straightThrough((y) => y.gt(0), same)(x)).toThrow(
    /hard function gives bool\[2\], the soft one float64\[2\]/,
  );
});
