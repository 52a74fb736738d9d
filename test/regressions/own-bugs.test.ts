/** Wrong derivatives, and wrong values, that the verification suite found in Cotangent itself, each once more by hand. */
import "@tensorflow/tfjs-backend-cpu";
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import {
  DTypeError,
  type Value,
  backends,
  checkpoint,
  concatenate,
  customJvp,
  derivative,
  fixedPoint,
  grad,
  hvp,
  jet,
  jit,
  jvp,
  maxPool2d,
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

test("xlogy: the mixed second derivative at x = 0 is 1 / y in all compositions", () => {
  const f = (p: Value): Value => p.at(0).xlogy(p.at(1));
  for (const composition of compositions) {
    const row = (v: number[]): unknown => hvp(f, tensor([0, 2]), tensor(v), composition).toArray();
    expect(row([1, 0])).toEqual([0, 0.5]);
    // -x / y² is a zero of some sign.
    expect(row([0, 1])).toEqual([0.5, expect.closeTo(0, 300)]);
  }
});

test("a linearised function of several inputs, some constant, has a transpose", () => {
  const ones = tensor([1, 1]);
  const cases: readonly [f: (x: Value) => Value, expected: readonly number[]][] = [
    [(x) => concatenate([x, ones], 0).mul(tensor([1, 2, 3, 4])), [1, 2]],
    [
      (x) =>
        ones
          .at(0)
          .mul(x)
          .add(scan((c: Value, w: Value) => [c.mul(w), null], ones, x)[0]),
      [5, 3],
    ],
  ];
  for (const [f, expected] of cases) {
    const [y, push] = linearize(f, tensor([1, 2]));
    const back = linearTranspose((tangent: Value) => push(tangent), tensor([1, 2]));
    expect(back(y.onesLike())[0].toArray()).toEqual(expected);
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

test("max, min and max pooling: beside a NaN both modes give NaN", () => {
  const image = (x: Value): Value => x.reshape([1, 1, 3, 1]);
  for (const f of [
    (x: Value) => x.max(),
    (x: Value) => x.min(),
    (x: Value) => maxPool2d(image(x), [1, 3]).sum(),
  ]) {
    const x = tensor([1, NaN, 2]);
    expect(grad(f)(x).toArray()).toEqual([NaN, NaN, NaN]);
    expect(jvp(f, [x], [tensor([1, 0, 0])])[1].item()).toBeNaN();
  }
});

test("max, min and max pooling: an infinite cotangent stays with what was chosen", () => {
  const image = (x: Value): Value => x.reshape([1, 1, 3, 1]);
  for (const f of [
    (x: Value) => x.max(),
    (x: Value) => x.neg().min().neg(),
    (x: Value) => maxPool2d(image(x), [1, 3]).sum(),
  ]) {
    // The root has an infinite slope at 0, the largest element.
    const x = tensor([-1, 0, -2]);
    expect(Array.from(grad((y) => f(y).sqrt())(x).dataSync(), Math.abs)).toEqual([0, Infinity, 0]);
    expect(Math.abs(jvp((y: Value) => f(y).sqrt(), [x], [tensor([1, 0, 1])])[1].item())).toBe(0);
  }
});

test("pow(0, NaN): its derivative in y is NaN", () => {
  const inY = (y: Value): Value => tensor(0).pow(y);
  expect(grad(inY)(NaN).item()).toBeNaN();
  expect(derivative(inY)(NaN).item()).toBeNaN();
  expect(grad(inY)(-1).item()).toBe(-Infinity);
});

test("mod: the derivative in y belongs to the remainder, however x / y is rounded", () => {
  for (const [x, y, expected] of [
    [0.3, 0.1, -2], // 0.3 / 0.1 rounds to 3, but the remainder is that of 2
    [1e-300, -1e300, 1], // x / y rounds to 0
    [1, -Infinity, 1],
    [1, Infinity, 0],
    [7, 3, -2],
    [-7, 3, 3],
  ]) {
    const inY = (v: Value): Value => tensor(x).mod(v);
    expect(grad(inY)(y).item()).toBeCloseTo(expected, 15);
    expect(derivative(inY)(y).item()).toBeCloseTo(expected, 15);
  }
});

test("fixedPoint: derivatives are as near as the option says, not only the value", () => {
  // x = cos(x / 2) + a, so dx/da = 1 / (1 + sin(x / 2) / 2).
  const solve = (a: Value): Value =>
    fixedPoint((x: Value) => x.mul(0.5).cos().add(a), a.zerosLike(), { tolerance: 1e-15 });
  const expected = 1 / (1 + Math.sin(solve(tensor(1.5)).item() / 2) / 2);
  // A few roundings, where the default is 1e-12.
  for (const found of [grad(solve)(1.5), derivative(solve)(1.5)])
    expect(Math.abs(found.item() - expected)).toBeLessThan(16 * 2 ** -53);
});

test("sinc: 0 at whole numbers, and no digits lost far out", () => {
  for (const x of [1, -2, 3, 1e15]) expect(Math.abs(tensor(x).sinc().item())).toBe(0);
  // At 100000.25 it is sin(π/4) / (π 100000.25); a few roundings.
  const expected = Math.SQRT1_2 / (Math.PI * 100000.25);
  expect(Math.abs(tensor(100000.25).sinc().item() / expected - 1)).toBeLessThan(8 * 2 ** -53);
});

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
  expect(back.toArray()).toEqual([4, 20, 0]);
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
  expect(back.toArray()).toEqual([3, 4]);
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
  const cube = customJvp(
    (v: Value) => v.mul(v).mul(v),
    ([v], [dv]) => [v.mul(v).mul(v), v.mul(v).mul(dv).mul(3)],
  );
  const f = (v: Value): Value => scan((c: Value, x: Value) => [cube(c).mul(x), null], v, tensor([1, 1]))[0];
  // x^9
  const [, [first, second]] = jet(f, [1], [[1, 0]]);
  expect([first.item(), second.item()]).toEqual([9, 72]);
});

test("sums, products and bounds of bools are refused: they were numbers that no bool is, and others on each backend", () => {
  const x = tensor([true, true, false]);
  const refused: readonly ((x: Value) => Value)[] = [
    (v) => v.sum(),
    (v) => v.prod(),
    (v) => v.cumsum(),
    (v) => v.clamp(-1, 0.5),
    (v) => v.scatterAdd(tensor([0], { dtype: "int32" }), tensor([true])),
  ];
  for (const f of refused) expect(() => f(x)).toThrow(DTypeError);
  expect(x.astype("int32").sum().item()).toBe(2);
});

test.each(backends().map(({ name }) => name))(
  "extremes of rows of bools and of negative numbers, in a jitted function on %s",
  (name) => {
    withBackend(name, () => {
      for (const size of [1, 2, 3, 4, 5, 7, 8, 33])
        for (const [at, beside] of [
          [true, false],
          [false, true],
        ])
          for (const where of [0, size >> 1, size - 1]) {
            const data = Array.from({ length: size }, (_, i) => (i === where ? at : beside));
            // Of both widths of vectors, along each axis, and of what was computed on the way.
            for (const dtype of ["float32", "int32", "float64"] as const) {
              const extremes = jit((x: Value, y: Value) => [
                x.max(),
                x.min(),
                y.gt(0).max(),
                y.gt(0).min(),
                y.sub(5).max(),
                y.neg().add(5).min(),
                x.reshape([size, 1]).broadcastTo([size, 3]).max({ axis: 0 }),
                x.reshape([size, 1]).broadcastTo([size, 3]).min({ axis: 0 }),
              ]);
              const found = extremes(tensor(data), tensor(data.map(Number), { dtype })).map((v) =>
                v.toArray(),
              );
              const [most, least] = [data.includes(true), !data.includes(false)];
              const top = Number(most) - 5;
              expect(found).toEqual([
                most,
                least,
                most,
                least,
                top,
                -top,
                [most, most, most],
                [least, least, least],
              ]);
            }
          }
    });
  },
);

test.each([...backends(), await createTfjsBackend("cpu")].map((backend) => [backend.name, backend] as const))(
  "int32 on %s: every digit of what is large, and of products that wrap around",
  (_, backend) => {
    const product = (...all: number[]): number => all.reduce(Math.imul, 1);
    const of = (...data: number[]): Value => tensor(data, { dtype: "int32" });
    const [a, b, c] = [-99_009_025, 1_734_367_441, -26_445_231];
    const results: readonly ((...all: Value[]) => Value)[] = [
      (x) => x.square(),
      (x, y) => x.mul(y),
      (x) => x.abs(),
      (x) => x.prod(),
      (x, y) => x.dot(y),
      (x, y) => x.scatterAdd(of(0, 2, 0), y),
    ];
    const expected = [
      [a, b, c].map((x) => product(x, x)),
      [product(a, b), product(b, c), product(c, a)],
      [-a, b, -c],
      product(a, b, c),
      (product(a, b) + product(b, c) + product(c, a)) | 0,
      [(a + b + a) | 0, b, (c + c) | 0],
    ];
    withBackend(backend, () => {
      const inputs = [of(a, b, c), of(b, c, a)];
      for (const [i, f] of results.entries()) {
        expect(f(...inputs).toArray()).toEqual(expected[i]);
        expect(jit(f)(...inputs).toArray()).toEqual(expected[i]);
      }
    });
  },
);
