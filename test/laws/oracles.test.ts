/** What the laws are judged by: the differences' own error estimate, and the measured effect of rounding. */
import { type Backend, jsBackend, tensor, tidy } from "cotangent";
import { derivativeByDifferences, roundingSpread } from "@cotangent/verify";
import { assert, double, property } from "fast-check";
import { describe, expect, test } from "vitest";

describe("differences", () => {
  test.each([
    ["sin", Math.sin, Math.cos],
    ["exp", Math.exp, Math.exp],
    ["atan", Math.atan, (x: number) => 1 / (1 + x * x)],
    ["a cubic", (x: number) => x ** 3 - 2 * x, (x: number) => 3 * x * x - 2],
    ["a fast oscillation", (x: number) => Math.sin(40 * x), (x: number) => 40 * Math.cos(40 * x)],
  ] as const)("of %s are within four times their own estimate", (_, f, slope) => {
    assert(
      property(double({ min: -3, max: 3, noNaN: true }), (x) => {
        const { value, error } = derivativeByDifferences(
          (t) => f(x + t),
          0.025,
          (y) => Math.abs(y) + 1,
        );
        // The oracle is of use only where it is sharp, too.
        expect(error).toBeLessThan(1e-7 * (1 + Math.abs(slope(x))));
        expect(Math.abs(value - slope(x))).toBeLessThanOrEqual(4 * error);
      }),
    );
  });

  test("across a kink say themselves that they are worth nothing", () => {
    const { error } = derivativeByDifferences(
      (t) => Math.abs(t - 0.0005),
      0.025,
      (y) => y,
    );
    expect(error).toBeGreaterThan(0.01);
  });
});

describe("the measured effect of rounding", () => {
  const spread = (compute: (backend: Backend) => ArrayLike<number>): number =>
    tidy(() => roundingSpread(compute, jsBackend, "float32"));
  const eps = 2 ** -24;

  test("is some roundings of a well-conditioned result", () => {
    const found = spread((backend) => tensor([0.7, 1.3]).to(backend).exp().dataSync());
    expect(found).toBeGreaterThan(eps);
    expect(found).toBeLessThan(64 * eps);
  });

  test("is large where terms cancel on the way", () => {
    const found = spread((backend) => tensor(0.7).to(backend).exp().add(1e4).sub(1e4).dataSync());
    expect(found).toBeGreaterThan(1e4 * eps);
    expect(found).toBeLessThan(64 * 1e4 * eps);
  });

  test("is that of the terms of a sum, not of the sum", () => {
    const found = spread((backend) => tensor([1e4, 0.7, -1e4]).to(backend).sum().dataSync());
    expect(found).toBeGreaterThan(1e4 * eps);
  });

  test("is none where elements are only moved or chosen", () => {
    expect(spread((backend) => tensor([0.3, 0.7]).to(backend).flip().max().neg().dataSync())).toBe(0);
  });
});
