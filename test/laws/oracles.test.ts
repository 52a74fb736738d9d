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

  test("find the step and the order: far below the room that they have", () => {
    for (const scale of [1, 40, 400, 4000]) {
      const { value, error } = derivativeByDifferences(
        (t) => Math.sin(scale * (t + 0.3)),
        0.025,
        (y) => Math.abs(y) + 1,
      );
      const slope = scale * Math.cos(scale * 0.3);
      expect(Math.abs(value - slope)).toBeLessThanOrEqual(4 * error);
      expect(error).toBeLessThan(1e-6 * scale);
    }
  });

  test("of what is odd but for a trace say how far they are from the slope, not how large the trace is", () => {
    const [scale, trace] = [
      double({ min: 1, max: 60, noNaN: true }),
      double({ min: -12, max: -2, noNaN: true }),
    ];
    assert(
      property(scale, trace, double({ min: 1, max: 400, noNaN: true }), (a, exponent, b) => {
        const { value, error } = derivativeByDifferences(
          (t) => Math.sin(a * t) + 10 ** exponent * Math.cos(b * t),
          0.025,
          (y) => Math.abs(y) + 1,
        );
        expect(Math.abs(value - a)).toBeLessThanOrEqual(4 * error);
      }),
      { numRuns: 2000 },
    );
  });

  test("next to a kink, however near, do not claim to know", () => {
    assert(
      property(double({ min: -8, max: Math.log10(0.05), noNaN: true }), (exponent) => {
        const distance = 10 ** exponent;
        const { value, error } = derivativeByDifferences(
          (t) => Math.abs(t - distance) + Math.sin(t),
          0.025,
          (y) => y,
        );
        // The slopes of the two terms at 0 are -1 and 1.
        expect(Math.abs(value)).toBeLessThanOrEqual(4 * error);
      }),
      { numRuns: 500 },
    );
  });

  test("see past a kink that is further away than a step may be small", () => {
    for (const distance of [0.02, 0.0005]) {
      const { value, error } = derivativeByDifferences(
        (t) => Math.abs(t - distance),
        0.025,
        (y) => y,
      );
      expect(Math.abs(value - -1)).toBeLessThanOrEqual(4 * error);
      expect(error).toBeLessThan(1e-9);
    }
    const { error } = derivativeByDifferences(
      (t) => Math.abs(t - 1e-6),
      0.025,
      (y) => y,
    );
    expect(error).toBeGreaterThan(0.1);
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
