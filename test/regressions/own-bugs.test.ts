/** Wrong derivatives that the verification suite found in Cotangent itself, each once more by hand. */
import { type Value, hvp, tensor } from "cotangent";
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
