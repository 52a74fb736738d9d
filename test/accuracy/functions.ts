/** The elementary functions, as arbitrary precision has them. */
import { Decimal } from "decimal.js";

/** Enough that what the formulas below cancel leaves more than float64 has. */
const precise = Decimal.clone({ precision: 60, maxE: 9e15, minE: -9e15 });

/** Of finite arguments at which the function is finite and not 0. */
export type Exact = (...args: Decimal[]) => Decimal;

const one = new precise(1);
const two = new precise(2);

/** log(1 + x), by its series where the sum would lose digits. */
function log1p(x: Decimal): Decimal {
  if (x.abs().gt("1e-12")) return one.plus(x).ln();
  return x.minus(x.pow(2).div(2)).plus(x.pow(3).div(3)).minus(x.pow(4).div(4)).plus(x.pow(5).div(5));
}
function expm1(x: Decimal): Decimal {
  if (x.abs().gt("1e-12")) return x.exp().minus(1);
  return x.plus(x.pow(2).div(2)).plus(x.pow(3).div(6)).plus(x.pow(4).div(24)).plus(x.pow(5).div(120));
}
const sinh = (x: Decimal): Decimal => expm1(x).plus(expm1(x).div(x.exp())).div(2);
const tanh = (x: Decimal): Decimal =>
  x.gt(1) ? one.minus(two.div(x.times(2).exp().plus(1))) : expm1(x.times(2)).div(expm1(x.times(2)).plus(2));
const asinh = (x: Decimal): Decimal => {
  const a = x.abs();
  const found = log1p(a.plus(a.pow(2).div(a.pow(2).plus(1).sqrt().plus(1))));
  return x.isNegative() ? found.neg() : found;
};

/** 2/√π Σ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)), of terms that grow to e^(x²) first: hence with more digits. */
function erf(x: Decimal): Decimal {
  const Wide = Decimal.clone({ precision: 100, maxE: 9e15, minE: -9e15 });
  const z = new Wide(x.toString());
  if (z.abs().gt(8)) return new precise(x.isNegative() ? -1 : 1);
  const square = z.pow(2);
  let term = z;
  let sum = z;
  for (let n = 1; term.abs().gt(sum.abs().times("1e-70")); n++) {
    term = term.times(square).div(-n);
    sum = sum.plus(term.div(2 * n + 1));
  }
  return new precise(sum.times(2).div(Wide.acos(-1).sqrt()).toString());
}

/** Of small arguments the first two terms of the series: decimal.js takes long over them. */
const nearZero =
  (order: number, factor: number, f: (x: Decimal) => Decimal) =>
  (x: Decimal): Decimal =>
    x.abs().lt("1e-25") ? x.plus(x.pow(order).times(factor)) : f(x);

export const elementaryFunctions: Readonly<Record<string, Exact>> = {
  sqrt: (x) => x.sqrt(),
  rsqrt: (x) => one.div(x.sqrt()),
  reciprocal: (x) => one.div(x),
  exp: (x) => x.exp(),
  expm1,
  log: (x) => x.ln(),
  log1p,
  sin: nearZero(3, -1 / 6, (x) => x.sin()),
  cos: (x) => (x.abs().lt("1e-25") ? one : x.cos()),
  tan: nearZero(3, 1 / 3, (x) => x.tan()),
  asin: nearZero(3, 1 / 6, (x) => x.asin()),
  acos: (x) => x.acos(),
  atan: nearZero(3, -1 / 3, (x) => x.atan()),
  sinh,
  cosh: (x) => x.exp().plus(x.neg().exp()).div(2),
  sech: (x) => two.div(x.exp().plus(x.neg().exp())),
  tanh,
  sigmoid: (x) => one.div(x.neg().exp().plus(1)),
  softplus: (x) => (x.isNegative() ? log1p(x.exp()) : x.plus(log1p(x.neg().exp()))),
  asinh,
  acosh: (x) => log1p(x.minus(1).plus(x.pow(2).minus(1).sqrt())),
  atanh: (x) => log1p(x.times(2).div(one.minus(x))).div(2),
  erf,
  pow: (x, y) => x.pow(y),
  atan2: (y, x) => precise.atan2(y, x),
  hypot: (x, y) => x.pow(2).plus(y.pow(2)).sqrt(),
  xlogy: (x, y) => x.times(y.ln()),
};

/** A number in arbitrary precision, exactly: decimal.js itself would take the shortest text that stands for it. */
export function decimal(x: number): Decimal {
  if (Number.isInteger(x)) return new precise(BigInt(x).toString());
  const bits = new BigUint64Array(Float64Array.of(x).buffer)[0];
  const exponent = Math.max(1, Number((bits >> 52n) & 0x7ffn));
  const mantissa = (bits & 0xfffffffffffffn) + (((bits >> 52n) & 0x7ffn) === 0n ? 0n : 1n << 52n);
  // m / 2^k = m 5^k / 10^k
  const k = 1075 - exponent;
  return new precise(`${x < 0 ? "-" : ""}${mantissa * 5n ** BigInt(k)}e-${k}`);
}
