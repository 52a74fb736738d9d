/** Wrong derivatives that the verification suite found in Cotangent itself, each once more by hand. */
import {
  type Value,
  backends,
  checkpoint,
  customJvp,
  derivative,
  grad,
  hvp,
  jet,
  jit,
  jsBackend,
  linearTranspose,
  linearize,
  scan,
  tensor,
  tidy,
  where,
  withBackend,
} from "cotangent";
import { expect, test } from "vitest";

const compositions = [
  "forward-over-reverse",
  "reverse-over-forward",
  "reverse-over-reverse",
  "forward-over-forward",
] as const;

test("pow: the mixed second derivative at y = 0 is 1 / x in all compositions", () => {
  const f = (p: Value): Value => p.at(0).pow(p.at(1));
  for (const composition of compositions) {
    // d²(x^y) at (2, 0): y (y - 1) x^(y-2), x^(y-1) (1 + y log x) and x^y log² x.
    const row = (v: number[]): unknown => hvp(f, tensor([2, 0]), tensor(v), composition).toArray();
    expect(row([1, 0])).toEqual([0, 0.5]);
    expect(row([0, 1])).toEqual([0.5, Math.log(2) ** 2]);
  }
});

test("tanh and sigmoid: second derivatives in the tails do not underflow in reverse mode", () => {
  // -2 tanh sech² and s (1 - s) (1 - 2 s), with mpmath at 4000 bits.
  const cases = [
    { f: (x: Value) => x.tanh(), at: 300, expected: -2.1203172424034486e-260 },
    { f: (x: Value) => x.sigmoid(), at: 600, expected: -2.6503965530043108e-261 },
  ];
  for (const { f, at, expected } of cases) {
    for (const found of [grad((x) => grad(f)(x))(at), derivative((x) => derivative(f)(x))(at)]) {
      // sech, tanh and their product: a handful of roundings.
      expect(Math.abs(found.item() / expected - 1)).toBeLessThan(16 * 2 ** -53);
    }
  }
});

test.each(backends().map(({ name }) => name))(
  "scan on %s: rows that are written out for one loop are not where they were for the next",
  (name) =>
    withBackend(name, () => {
      const xs = tensor([2, 3, 4]);
      const f = (v: Value): Value => {
        const sums = scan((c: Value, x: Value) => [c.mul(x), c.sum()], v, xs)[1];
        return scan((c: Value, [x, s]: Value[]) => [c, x.mul(100).add(s)], v, [xs, sums.mul(2)], {
          reverse: true,
        })[1];
      };
      const v = tensor([1, 2]);
      expect(f(v).toArray()).toEqual([206, 312, 436]);
      expect(jit(f)(v).toArray()).toEqual([206, 312, 436]);
      // The same of a call, whose memory is given back when it has returned.
      const g = (u: Value): Value => {
        const [rows, last] = checkpoint((a: Value) => {
          const t = a.add(1);
          return [t, scan((c: Value, x: Value) => [c.mul(x), null], a, t)[0]];
        })(u);
        const others = u.mul(2).add(last);
        return scan((c: Value, [x, y]: Value[]) => [c.mul(x).add(y), null], u, [others, rows])[0];
      };
      // rows = (2, 3), last = 6 u, others = (8, 16): (8 u + 2) 16 + 3.
      expect(jit(g)(v).toArray()).toEqual(g(v).toArray());
      expect(g(v).toArray()).toEqual([163, 291]);
    }),
);

test("linearize: a result that does not depend on the arguments is a tensor, no variable of the tangents' graph", () => {
  const x = tensor([1, 2]);
  const f = (v: Value): Value[] => [v.onesLike(), v.mul(v.onesLike().mul(3)), v.sum().zerosLike()];
  const [values, push] = linearize(f, x);
  expect(values.map((value) => value.toArray())).toEqual([[1, 1], [3, 6], 0]);
  expect(push(x).map((value) => value.toArray())).toEqual([[0, 0], [3, 6], 0]);
  // What decides in the function may decide on such values too.
  const [branch] = linearize((v: Value) => (v.onesLike().sum().item() === 2 ? v.mul(5) : v), x);
  expect(branch.toArray()).toEqual([5, 10]);
});

test("linearTranspose: zeros that a rule makes are known as zeros, of any shape", () => {
  // The rule of take adds its cotangents up in zeros.
  const gradient = (v: Value): Value => grad((u: Value) => u.take([0, 0, 1]).square().sum())(v);
  const [, push] = linearize(gradient, tensor([1, 2, 3]));
  const [back] = linearTranspose(push, tensor([1, 2, 3]))(tensor([1, 10, 100]));
  expect((back as Value).toArray()).toEqual([4, 20, 0]);
});

test("where: plain numbers alone take the backend of the condition", () => {
  const condition = tensor([1, -1], { backend: jsBackend }).gt(0);
  const found = where(condition, 2, 3);
  expect(found.backend).toBe(jsBackend);
  expect(found.toArray()).toEqual([2, 3]);
});

test("linearTranspose: terms that were computed as zeros are known as zeros", () => {
  // Its own rule says that it does not depend on its argument with a tensor of zeros.
  const steady = customJvp(
    (v: Value) => v.onesLike(),
    ([v]) => [v.onesLike(), tensor([0, 0])],
  );
  const x = tensor([1, 2]);
  const [, push] = linearize((v: Value) => steady(v).mul(v), x);
  const [back] = linearTranspose(push, x)(tensor([3, 4]));
  expect((back as Value).toArray()).toEqual([3, 4]);
});

test("linearize: what it computed is freed with the tidy around it", () => {
  const x = tensor([1, 2, 3]);
  const run = (): void =>
    tidy(() => {
      const [, push] = linearize((v: Value) => v.sin().mul(tensor([3, 4, 5])), x);
      push(x);
    });
  run();
  const before = x.backend.memory();
  run();
  expect(x.backend.memory()).toEqual(before);
});

test("jet: loops whose bodies call functions with rules of their own", () => {
  const cube = customJvp((v: Value) => v.mul(v).mul(v), ([v], [dv]) => [v.mul(v).mul(v), v.mul(v).mul(dv).mul(3)]);
  const f = (v: Value): Value => scan((c: Value, x: Value) => [cube(c).mul(x), null], v, tensor([1, 1]))[0];
  // x^9
  const [, [first, second]] = jet(f, [1], [[1, 0]]);
  expect([first.item(), second.item()]).toEqual([9, 72]);
});
