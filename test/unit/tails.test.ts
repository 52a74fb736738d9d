/* oxlint-disable oxc/approx-constant -- the table is data */
import { type Value, derivative, grad, primitives, tensor } from "cotangent";
import { describe, expect, test } from "vitest";

/**
 * Values and first derivatives where naive formulas give 0, infinity or noise, computed with mpmath at 2600 bits and
 * rounded to float64: [function, x, f(x), f'(x)].
 */
const table: readonly (readonly [keyof Value & string, number, number, number])[] = [
  ["exp", -700.0, 9.85967654375977e-305, 9.85967654375977e-305],
  ["exp", 3.0, 20.085536923187668, 20.085536923187668],
  ["expm1", 1e-20, 1e-20, 1.0],
  ["expm1", -800.0, -1.0, 0.0],
  ["expm1", -40.0, -1.0, 4.248354255291589e-18],
  ["log", 1e-300, -690.7755278982137, 9.999999999999999e299],
  ["log", 1e300, 690.7755278982137, 1e-300],
  ["log1p", 1e-20, 1e-20, 1.0],
  ["log1p", -0.999999, -13.815510557935518, 999999.9999712444],
  ["log1p", 1e200, 460.51701859880916, 1e-200],
  ["tanh", 1e-20, 1e-20, 1.0],
  ["tanh", 20.0, 1.0, 1.6993417021166355e-17],
  ["tanh", 300.0, 1.0, 1.0601586212017243e-260],
  ["sigmoid", 1e-8, 0.5000000025, 0.25],
  ["sigmoid", 40.0, 1.0, 4.248354255291589e-18],
  ["sigmoid", -700.0, 9.85967654375977e-305, 9.85967654375977e-305],
  ["softplus", 0.0, 0.6931471805599453, 0.5],
  ["softplus", 40.0, 40.0, 1.0],
  ["softplus", -700.0, 9.85967654375977e-305, 9.85967654375977e-305],
  ["sin", 1e-20, 1e-20, 1.0],
  ["sin", 100000000.0, 0.931639027109726, -0.3633850893556905],
  ["cos", 1e-20, 1.0, -1e-20],
  ["cos", 100000000.0, -0.3633850893556905, -0.931639027109726],
  ["tan", 1e-20, 1e-20, 1.0],
  ["tan", 1.5, 14.101419947171719, 199.85004452649247],
  ["asin", 1e-20, 1e-20, 1.0],
  ["asin", 0.999999, 1.5693821131146521, 707.1069579531425],
  ["acos", 1e-20, 1.5707963267948966, -1.0],
  ["acos", -0.999999, 3.1401784399095485, -707.1069579531425],
  ["atan", 1e-20, 1e-20, 1.0],
  ["atan", 1e155, 1.5707963267948966, 1e-310],
  ["sinh", 1e-20, 1e-20, 1.0],
  ["sinh", 700.0, 5.0711602736750225e303, 5.0711602736750225e303],
  ["cosh", 1e-20, 1.0, 1e-20],
  ["cosh", -700.0, 5.0711602736750225e303, -5.0711602736750225e303],
  ["asinh", 1e-20, 1e-20, 1.0],
  ["asinh", 1e200, 461.2101657793691, 1e-200],
  ["acosh", 1.000001, 0.00141421344446382, 707.1066044390042],
  ["acosh", 1e200, 461.2101657793691, 1e-200],
  ["atanh", 1e-20, 1e-20, 1.0],
  ["atanh", 0.999999, 7.254328619247669, 500000.24998574716],
  ["sqrt", 5e-324, 2.2227587494850775e-162, 2.2494568972715982e161],
  ["sqrt", 1e300, 1e150, 5e-151],
  ["rsqrt", 1e-200, 1e100, -5e299],
  ["rsqrt", 1e200, 1e-100, -5e-301],
  ["reciprocal", 1e-150, 1e150, -1e300],
  ["reciprocal", 1e150, 1e-150, -1e-300],
  ["erf", 1e-20, 1.1283791670955125e-20, 1.1283791670955126],
  ["erf", 26.0, 1.0, 2.9470349932662697e-294],
];

/** A rule is a handful of operations, each right to about an ulp: 16 roundings of 2⁻⁵³, relative to the result. */
const tolerance = 16 * 2 ** -53;

function relativeError(found: number, wanted: number): number {
  return found === wanted ? 0 : Math.abs(found - wanted) / Math.abs(wanted);
}

describe("tails in float64", () => {
  test.each(table)("%s at %f", (name, x, value, slope) => {
    const f = (v: Value): Value => (v[name] as () => Value).call(v);
    expect(primitives().has(name)).toBe(true);
    expect(relativeError(f(tensor(x)).item(), value)).toBeLessThan(tolerance);
    expect(relativeError(derivative(f)(x).item(), slope)).toBeLessThan(tolerance);
    expect(grad(f)(x).item()).toBe(derivative(f)(x).item());
  });
});
