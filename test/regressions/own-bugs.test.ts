/** Wrong derivatives that the verification suite found in Cotangent itself, each once more by hand. */
import {
  type Value,
  backends,
  checkpoint,
  concatenate,
  derivative,
  grad,
  hvp,
  jit,
  linearTranspose,
  linearize,
  scan,
  tensor,
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
