import {
  type Value,
  DTypeError,
  derivative,
  digamma,
  gamma,
  gammaQuantile,
  grad,
  lgamma,
  randomKey,
  tensor,
} from "cotangent";
import { describe, expect, test } from "vitest";

/** Of both, as a part of the size of the second; at least of 1. */
const relativeError = (found: number, wanted: number): number =>
  Math.abs(found - wanted) / Math.max(Math.abs(wanted), Number.MIN_VALUE);

describe("the gamma function", () => {
  // x, log Γ(x), ψ(x), ψ'(x), ψ''(x) by mpmath 1.4.1 with 60 digits, rounded to float64.
  const table = [
    [1e-8, 18.42068073818021, -100000000.57721566, 1e16, -2e24],
    [0.1, 2.252712651734206, -10.423754940411076, 101.43329915079275, -2001.8614573783436],
    [0.9, 0.06637623973474295, -0.7549269499470513, 1.9225399594772035, -3.20179704379472],
    [1, 0, -0.5772156649015329, 1.6449340668482264, -2.4041138063191885],
    [1.461632144968, -0.12148629053584961, -3.505395133995687e-13, 0.967672245447942, -0.885526337967746],
    [1.4616, -0.12148629003589732, -3.110625123034165e-5, 0.9677007114650835, -0.8855761967999034],
    [1.999, -0.0004224618006921073, 0.4221391988923556, 0.6453384277720445, -0.40460818920162894],
    [2.6, 0.35741186354897986, 0.7510474527734763, 0.4678068931245799, -0.21529102788419888],
    [9.99, 12.779315214350193, 2.250700372831201, 0.10527695014824177, -0.011073070531461051],
    [10.5, 13.940625219403763, 2.3030010342976865, 0.09991695605912673, -0.00997514424771517],
    [33.3, 82.60372358165495, 3.490467238520243, 0.030485444095338887, -0.0009292903678115173],
    [100000000, 1742068066.1038346, 18.420680738952363, 1.000000005e-8, -1.00000001e-16],
  ];

  test("log Γ and its derivatives are right to a few roundings", () => {
    for (const [x, ...wanted] of table) {
      let f: (v: Value | number) => Value = lgamma;
      for (const each of wanted) {
        // Next to the zeros of log Γ and of ψ too.
        expect(Math.abs(f(x).item() - each)).toBeLessThanOrEqual(4e-15 * Math.abs(each));
        f = derivative(f);
      }
    }
    // The zeros of log Γ itself are exact.
    expect([lgamma(1).item(), lgamma(2).item()]).toEqual([0, 0]);
    expect(relativeError(lgamma(1.001).item(), -0.0005763935982833056)).toBeLessThan(2e-15);
  });

  test("is for positive numbers", () => {
    expect([lgamma(0).item(), lgamma(-1.5).item()]).toEqual([Infinity, NaN]);
    expect([digamma(0).item(), digamma(-1.5).item()]).toEqual([-Infinity, NaN]);
    expect(() => digamma(tensor(1, { dtype: "int32" }))).toThrow(DTypeError);
  });
});

describe("the quantile of the gamma distribution", () => {
  // p, α, the quantile z and its first two derivatives in α, by bisection and differences with h = 1e-15 α, in mpmath
  // 1.4.1 with 60 digits, rounded to float64: the quantile's own differences, not the formula that is tested.
  const table = [
    [0.9, 0.01, 1.5035936230702948e-5, 0.015854423025492455, 13.549265894384382],
    [0.5, 0.1, 0.0005933911044602261, 0.041597742364844474, 2.094155490469929],
    [0.01, 0.5, 7.854392895485099e-5, 0.0014905869250994663, 0.022473859623791784],
    [0.999, 0.5, 5.4137830853313655, 3.5198829608416577, -3.34756503533168],
    [0.5, 1, Math.LN2, 0.9680448304420445, 0.07161694213508339],
    [1e-10, 1.5, 2.6046988107172404e-7, 2.754718511587605e-6, 2.55459809095379e-5],
    [0.7, 3.7, 4.4205281985240354, 1.1419534924622818, -0.02050048166581363],
    [0.001, 10, 2.9605203727437597, 0.5200632528848211, 0.0228070079057542],
    [0.99, 10, 18.783117393312523, 1.3705316944158499, -0.01884021203073484],
    [0.3, 100, 94.52429935888071, 0.973729199569989, 0.0001318712003227316],
    [0.999999, 1000, 1157.577911008724, 1.0751276881337226, -3.753427046468751e-5],
  ];

  test("and its derivatives in α are right to a few roundings", () => {
    for (const [p, alpha, ...wanted] of table) {
      const z = (a: Value | number): Value => gammaQuantile(p, a);
      const found = [z, derivative(z), derivative(derivative(z))].map((f) => f(alpha).item());
      // A rounding of p moves log z by 1/α roundings where α is small; that of the second derivative is the difference of
      // terms of the size of the first, or larger by the logarithm of the quantile.
      expect(relativeError(found[0], wanted[0])).toBeLessThan(1e-14 * Math.max(1, 1 / alpha));
      expect(relativeError(found[1], wanted[1])).toBeLessThan(2e-14 * Math.max(1, 1 / alpha));
      expect(Math.abs(found[2] - wanted[2])).toBeLessThan(1e-12 * Math.max(Math.abs(wanted[2]), 1));
    }
  });

  test("of α = 1 is that of the exponential distribution, out to both ends", () => {
    for (const p of [1e-300, 1e-12, 0.3, 0.5, 0.9, 1 - 2 ** -53])
      expect(relativeError(gammaQuantile(p, 1).item(), -Math.log1p(-p))).toBeLessThan(4e-14); // 1e-16 of log p: 700
    expect([0, 1].map((p) => gammaQuantile(p, 3).item())).toEqual([0, Infinity]);
    expect(gammaQuantile(0.5, 1e10).item()).toBeCloseTo(1e10 - 1 / 3, 4); // 1e-4 is 50 roundings of 1e10
    for (const [p, alpha] of [
      [-0.1, 1],
      [1.1, 1],
      [0.5, 0],
      [0.5, 100000000000],
    ])
      expect(gammaQuantile(p, alpha).item()).toBeNaN();
  });
});

describe("gamma draws", () => {
  const draws = 30_000;
  const key = randomKey(11);
  const alphas = [0.1, 0.7, 1, 3, 50];

  /** The mean, and five times its own standard deviation: a right one is farther off with probability 6e-7. */
  const estimate = (values: Value): { mean: number; within: number } => {
    const mean = values.mean().item();
    const deviation = Math.sqrt(values.sub(mean).square().mean().item());
    return { mean, within: (5 * deviation) / Math.sqrt(draws) };
  };
  const agree = (values: Value, wanted: number): void => {
    const { mean, within } = estimate(values.astype("float64"));
    expect(Math.abs(mean - wanted)).toBeLessThan(within);
  };

  test.each(["float64", "float32"] as const)("have the moments of the distribution in %s", (dtype) => {
    // In float32 one draw of α = 0.1 in 30,000 is below the smallest number.
    for (const each of dtype === "float64" ? alphas : alphas.slice(1)) {
      const alpha = tensor(each, { dtype });
      const z = gamma(key, alpha, [draws]);
      expect([z.dtype, z.shape]).toEqual([dtype, [draws]]);
      expect(z.gt(0).astype("int32").sum().item()).toBe(draws);
      agree(z, each);
      agree(z.square(), each * (each + 1));
      agree(z.log(), digamma(each).item());
    }
  });

  test("the derivative of an expectation is the expectation of the derivative", () => {
    for (const each of alphas) {
      const found = derivative((alpha) => {
        const z = gamma(key, alpha, [draws]);
        return { z, square: z.square(), log: z.log() };
      })(each);
      agree(found.z, 1);
      agree(found.square, 2 * each + 1);
      agree(found.log, derivative(digamma)(each).item());
    }
    agree(derivative(derivative((alpha) => gamma(key, alpha, [draws]).square()))(3), 2);
  });

  test("both modes agree, for one α for all and for one for each", () => {
    const alpha = tensor([0.5, 2, 8]);
    const f = (a: Value): Value => gamma(key, a).log().sum();
    const g = grad(f)(alpha).dataSync();
    alpha.dataSync().forEach((_, i) => {
      const v = tensor([0, 1, 2].map((j) => Number(i === j)));
      const along = derivative((t) => f(alpha.add(v.mul(t))))(0).item();
      expect(relativeError(g[i], along)).toBeLessThan(1e-14); // the same few products, in another order
    });
    expect(gamma(key, 2, [4]).shape).toEqual([4]);
    const small = gamma(key, 1e-4, [100]);
    expect(small.isFinite().astype("int32").sum().item()).toBe(100); // most underflow to 0
    expect(
      grad((a) => gamma(key, a, [100]).sum())(1e-4)
        .isFinite()
        .item(),
    ).toBe(1);
  });
});
