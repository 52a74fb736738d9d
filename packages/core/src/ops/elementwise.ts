/** Elementwise functions that are built of others. */
import { type Operand, lift } from "../operand.ts";
import { polygammaOf } from "../primitives/gamma.ts";
import { where } from "../primitives/selection.ts";
import type { Value } from "../value.ts";

/** The terms of sin(t)/t = 1 - t²/3! + t⁴/5! - ... that matter in float64 for |t| <= π/2. */
const sincTerms = 13;

/**
 * sin(πx) / (πx), and 1 at 0. Near 0 it is its Taylor series, so derivatives of all orders are right there too; elsewhere
 * the sine is that of the distance to the nearest whole number, of which no digit is lost to the size of x.
 */
export function sinc(x: Operand): Value {
  const [value] = lift("sinc", [x]);
  const t = value.mul(Math.PI);
  const squared = t.square();
  let series = value.onesLike();
  for (let k = sincTerms; k >= 1; k--)
    series = series
      .mul(squared)
      .mul(-1 / (2 * k * (2 * k + 1)))
      .add(1);
  const whole = value.round();
  const half = whole.mul(0.5);
  const sign = half.sub(half.floor()).mul(-4).add(1); // -1 for odd ones
  const sine = value.sub(whole).mul(Math.PI).sin().mul(sign);
  return where(value.abs().lt(0.5), series, sine.div(t));
}

/** The derivative of log Γ(x), for positive x; NaN below 0. */
export function digamma(x: Operand): Value {
  return polygammaOf(x, { order: 0 });
}

/** -x log x, and 0 at 0: the terms of an entropy. */
export function entropyTerms(x: Operand): Value {
  const [value] = lift("entropyTerms", [x]);
  return value.xlogy(value).neg();
}
