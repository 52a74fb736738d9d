/** Wrong derivatives that the verification suite found in Cotangent itself, each once more by hand. */
import { type Value, derivative, grad, hvp, tensor } from "cotangent";
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
