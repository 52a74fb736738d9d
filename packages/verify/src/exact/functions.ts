/** The scalar primitives, as arbitrary precision has them. */
import { Decimal } from "decimal.js";

export type { Decimal } from "decimal.js";

/** Decimals of so many digits. Those in turn give what is computed of them as many. */
export function digits(precision: number): typeof Decimal {
  return Decimal.clone({ precision, maxE: 9e15, minE: -9e15 });
}

/** Enough that what the formulas below cancel leaves more than float64 has. */
const precise = digits(60);

/** The digits that an argument gives its results. */
const kindOf = (x: Decimal): typeof Decimal => x.constructor as typeof Decimal;

/** A number in arbitrary precision, exactly: decimal.js itself would take the shortest text that stands for it. */
export function decimal(x: number, kind: typeof Decimal = precise): Decimal {
  if (Number.isInteger(x)) return new kind(BigInt(x).toString());
  const bits = new BigUint64Array(Float64Array.of(x).buffer)[0];
  const exponent = Math.max(1, Number((bits >> 52n) & 0x7ffn));
  const mantissa = (bits & 0xfffffffffffffn) + (((bits >> 52n) & 0x7ffn) === 0n ? 0n : 1n << 52n);
  // m / 2^k = m 5^k / 10^k
  const k = 1075 - exponent;
  return new kind(`${x < 0 ? "-" : ""}${mantissa * 5n ** BigInt(k)}e-${k}`);
}

/** An open interval of arguments, as numbers. */
export type Interval = readonly [low: number, high: number];

/** How the function changes with an argument: on a scale of its own, or on that of the argument. */
export type Scale = "unit" | "relative";

/** One argument of a function. */
export interface ExactArgument {
  /** Where the function is defined and differentiable, but for kinks. */
  readonly within: Interval;
  readonly scale: Scale;
  /** Whether the function is linear in it. */
  readonly linear?: boolean;
  /** Where it is worth trying, where that is less: beyond it nothing changes, or arbitrary precision takes too long. */
  readonly tried?: Interval;
}

export interface ExactFunction {
  /** Of arguments where the function is finite. The digits of the first are those of the result. */
  readonly of: (args: readonly Decimal[], params: object) => Decimal;
  readonly args: readonly ExactArgument[];
  /** The highest order of derivatives that is tried, where that is less than 2: arbitrary precision takes long. */
  readonly highest?: 1;
  /** Whether terms of it cancel, or roundings on the way grow, so that it is as right as its arguments are, not as its digits. */
  readonly cancels?: boolean;
  /** Whether there is no derivative at some arguments, or next to them. */
  readonly kink?: (...args: number[]) => boolean;
}

const zero = (x: Decimal): Decimal => new (kindOf(x))(0);
const one = (x: Decimal): Decimal => new (kindOf(x))(1);
const pi = (x: Decimal): Decimal => kindOf(x).acos(-1);

/** Below this size a series needs few terms, and formulas with differences would lose digits. */
const isSmall = (x: Decimal): boolean => x.abs().lt(1e-3);

/** Σ cₙ xⁿ, from n = 1 on, to all digits of a small x. */
function series(x: Decimal, coefficient: (n: number) => Decimal): Decimal {
  const least = new (kindOf(x))(10).pow(-kindOf(x).precision - 2);
  let power = x;
  let sum = zero(x);
  for (let n = 1; !power.abs().lt(x.abs().times(least)); n++) {
    sum = sum.plus(power.times(coefficient(n)));
    power = power.times(x);
    if (power.isZero()) break;
  }
  return sum;
}

function log1p(x: Decimal): Decimal {
  if (!isSmall(x)) return x.plus(1).ln();
  return series(x, (n) => one(x).div(n % 2 === 0 ? -n : n));
}

function expm1(x: Decimal): Decimal {
  if (!isSmall(x)) return x.exp().minus(1);
  let factor = one(x);
  return series(x, (n) => (factor = factor.div(n)));
}

const sinh = (x: Decimal): Decimal => expm1(x).plus(expm1(x).div(x.exp())).div(2);
const tanh = (x: Decimal): Decimal =>
  x.gt(1)
    ? one(x).minus(one(x).times(2).div(x.times(2).exp().plus(1)))
    : expm1(x.times(2)).div(expm1(x.times(2)).plus(2));
const sech = (x: Decimal): Decimal => one(x).times(2).div(x.exp().plus(x.neg().exp()));

function asinh(x: Decimal): Decimal {
  const a = x.abs();
  const square = a.pow(2);
  const found = log1p(a.plus(square.div(square.plus(1).sqrt().plus(1))));
  return x.isNegative() ? found.neg() : found;
}

/** Of small arguments the first two terms of the series: decimal.js takes long over them. */
const nearZero =
  (order: number, factor: number, f: (x: Decimal) => Decimal) =>
  (x: Decimal): Decimal =>
    x.abs().lt(new (kindOf(x))(10).pow(-Math.ceil(kindOf(x).precision / 2)))
      ? x.plus(x.pow(order).div(factor))
      : f(x);

/** 2/√π e^(-x²) Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!, whose terms have one sign. https://dlmf.nist.gov/7.6.E2 */
function erf(x: Decimal): Decimal {
  const square = x.pow(2);
  const { precision } = kindOf(x);
  if (square.gt(2.4 * (precision + 5))) return new (kindOf(x))(x.isNegative() ? -1 : 1);
  const least = new (kindOf(x))(10).pow(-precision - 2);
  let term = x;
  let sum = x;
  for (let n = 1; term.abs().gt(sum.abs().times(least)); n++) {
    term = term
      .times(square)
      .times(2)
      .div(2 * n + 1);
    sum = sum.plus(term);
  }
  return sum.times(2).times(square.neg().exp()).div(pi(x).sqrt());
}

const bernoulliNumbers: (readonly [numerator: bigint, denominator: bigint])[] = [];

/** B₂, B₄, ... as fractions. https://dlmf.nist.gov/24.4.E8 solved for the last term. */
function bernoulli(k: number): readonly [bigint, bigint] {
  while (bernoulliNumbers.length < k) {
    const n = BigInt(2 * bernoulliNumbers.length + 2);
    // Σ over j <= n of (n + 1 choose j) B_j = 0, where B₀ = 1, B₁ = -1/2 and other odd ones are 0.
    let [top, bottom] = [(1n - n) * 1n, 2n];
    let choose = ((n + 1n) * n) / 2n;
    for (let j = 2n; j < n; j += 2n) {
      const [a, b] = bernoulliNumbers[Number(j / 2n) - 1];
      [top, bottom] = [top * b + choose * a * bottom, bottom * b];
      choose = (choose * (n + 1n - j) * (n - j)) / ((j + 1n) * (j + 2n));
    }
    const common = divisor(top, bottom);
    [top, bottom] = [-top / common, bottom / common];
    bernoulliNumbers.push([top, bottom * (n + 1n)]);
  }
  return bernoulliNumbers[k - 1];
}

function divisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y > 0n) [x, y] = [y, x % y];
  return x;
}

const factorial = (x: Decimal, n: number): Decimal => (n <= 1 ? one(x) : factorial(x, n - 1).times(n));

/** A whole number to add to x so that the asymptotic series in 1 / x have all digits. */
const shiftOf = (x: Decimal): number => Math.max(0, kindOf(x).precision - Math.floor(x.toNumber()));

/** Σ of B₂ₖ times a factor over powers of w, w^(2k + offset), to all digits. */
function asymptotic(w: Decimal, offset: number, factor: (k: number) => Decimal | number): Decimal {
  const kind = kindOf(w);
  const least = new kind(10).pow(-kind.precision - 2);
  const inverseSquare = one(w).div(w.pow(2));
  let power = w.pow(-offset);
  let sum = zero(w);
  for (let k = 1; ; k++) {
    const [a, b] = bernoulli(k);
    power = power.times(inverseSquare);
    const term = new kind(a.toString()).div(b.toString()).times(factor(k)).times(power);
    sum = sum.plus(term);
    if (term.abs().lt(least)) return sum;
  }
}

/** Stirling's series and the recurrence: https://dlmf.nist.gov/5.11.E1, 5.5.E1 */
function lgamma(x: Decimal): Decimal {
  const shift = shiftOf(x);
  const w = x.plus(shift);
  let product = one(x);
  for (let k = 0; k < shift; k++) product = product.times(x.plus(k));
  return w
    .minus(0.5)
    .times(w.ln())
    .minus(w)
    .plus(pi(x).times(2).ln().div(2))
    .plus(asymptotic(w, -1, (k) => one(x).div(2 * k * (2 * k - 1))))
    .minus(product.ln());
}

/** The derivative of order `order` + 1 of it: https://dlmf.nist.gov/5.15.E8, 5.15.E5 */
function polygamma(x: Decimal, order: number): Decimal {
  const shift = shiftOf(x);
  const w = x.plus(shift);
  let sum = order === 0 ? w.ln().neg() : factorial(x, order - 1).div(w.pow(order));
  sum = sum.plus(
    factorial(x, order)
      .div(2)
      .div(w.pow(order + 1)),
  );
  const rising = (k: number): Decimal => {
    let product = order === 0 ? one(x).div(2 * k) : one(x);
    for (let i = 1; i < order; i++) product = product.times(2 * k + i);
    return product;
  };
  sum = sum.plus(asymptotic(w, order, rising));
  let rest = zero(x);
  for (let k = 0; k < shift; k++) rest = rest.plus(one(x).div(x.plus(k).pow(order + 1)));
  return sum.plus(rest.times(factorial(x, order))).times(order % 2 === 0 ? -1 : 1);
}

/** Σ zⁿ / ((α + 1) ... (α + n)): with it P(α, z) = z^α e^-z Σ / Γ(α + 1). https://dlmf.nist.gov/8.7.E1 */
function incompleteGammaSeries(alpha: Decimal, z: Decimal): Decimal {
  const least = new (kindOf(alpha))(10).pow(-kindOf(alpha).precision - 2);
  let term = one(alpha);
  let sum = term;
  for (let n = 1; term.gt(sum.times(least)); n++) {
    term = term.times(z).div(alpha.plus(n));
    sum = sum.plus(term);
  }
  return sum;
}

/**
 * The derivative of P(α, z) in α of order 1 or 2, divided by the density: that of the series, term by term. One is
 * z^(α+n) e^-z / Γ(α + n + 1), the derivative of its logarithm log z - ψ(α + n + 1).
 */
function gammaRatio(alpha: Decimal, z: Decimal, order: number): Decimal {
  const least = new (kindOf(alpha))(10).pow(-kindOf(alpha).precision - 2);
  let term = z.div(alpha);
  let psi = polygamma(alpha.plus(1), 0);
  let trigamma = order === 1 ? zero(alpha) : polygamma(alpha.plus(1), 1);
  let [sum, size] = [zero(alpha), zero(alpha)];
  for (let n = 1; ; n++) {
    const slope = z.ln().minus(psi);
    const next = term.times(order === 1 ? slope : slope.pow(2).minus(trigamma));
    sum = sum.plus(next);
    size = size.plus(next.abs());
    if (alpha.plus(n).gt(z.times(2)) && next.abs().lt(size.times(least))) return sum;
    const inverse = one(alpha).div(alpha.plus(n));
    term = term.times(z).times(inverse);
    psi = psi.plus(inverse);
    trigamma = trigamma.minus(inverse.pow(2));
  }
}

/** The z with P(α, z) = p, by Newton's method for log P as a function of log z: few digits first, then all. */
function gammaQuantile(p: Decimal, alpha: Decimal): Decimal {
  const { precision } = kindOf(p);
  let z: Decimal | undefined;
  for (const few of [20, precision + 10]) {
    const kind = digits(few);
    const [goal, a] = [new kind(p), new kind(alpha)];
    // The next step would be the square of this one.
    const close = new kind(10).pow(-Math.ceil(few / 2));
    const target = goal.ln().plus(lgamma(a.plus(1)));
    // P is nearly a power where z is small. It is concave in these terms: steps from the left do not overshoot.
    let y: Decimal = z === undefined ? target.div(a).exp() : new kind(z);
    for (let isClose = false; !isClose;) {
      const sum = incompleteGammaSeries(a, y);
      const excess = a.times(y.ln()).minus(y).plus(sum.ln()).minus(target);
      const step = excess.times(sum).div(a);
      y = y.times(step.neg().exp());
      isClose = step.abs().lt(close);
    }
    z = y;
  }
  return new (kindOf(p))(z as Decimal);
}

const orderOf = (params: object): number => (params as { readonly order: number }).order;
const boundsOf = (params: object): { readonly low: number; readonly high: number } =>
  params as { readonly low: number; readonly high: number };

const everywhere: Interval = [-Infinity, Infinity];
const positive: Interval = [0, Infinity];

const unary = (
  f: (x: Decimal) => Decimal,
  argument: Partial<ExactArgument> = {},
  kink?: (x: number) => boolean,
): ExactFunction => ({
  of: ([x]) => f(x),
  args: [{ within: everywhere, scale: "unit", ...argument }],
  ...(kink && { kink }),
});

const binary = (
  f: (x: Decimal, y: Decimal) => Decimal,
  [x, y]: readonly Partial<ExactArgument>[] = [{}, {}],
  kink?: (x: number, y: number) => boolean,
): ExactFunction => ({
  of: ([a, b]) => f(a, b),
  args: [
    { within: everywhere, scale: "relative", ...x },
    { within: everywhere, scale: "relative", ...y },
  ],
  ...(kink && { kink }),
});

const linear = { linear: true } as const;
const relative = { scale: "relative" } as const;
/** Where e^x is neither 0 nor infinite in float64. */
const exponents = { tried: [-700, 700] } as const;
const angles = { tried: [-1e6, 1e6] } as const;
/** Arguments of the gamma function's family. */
const moderate = { within: positive, tried: [1e-3, 100], ...relative } as const;

const known: Readonly<Record<string, ExactFunction>> = {
  neg: unary((x) => x.neg()),
  abs: unary(
    (x) => x.abs(),
    relative,
    (x) => x === 0,
  ),
  relu: unary(
    (x) => (x.isNegative() ? zero(x) : x),
    relative,
    (x) => x === 0,
  ),
  sign: unary(
    (x) => new (kindOf(x))(x.cmp(0)),
    relative,
    (x) => x === 0,
  ),
  floor: unary((x) => x.floor(), {}, Number.isInteger),
  ceil: unary((x) => x.ceil(), {}, Number.isInteger),
  // Halves go to the even one.
  round: unary(
    (x) => x.toNearest(1, 6),
    {},
    (x) => Number.isInteger(x + 0.5),
  ),
  exp: unary((x) => x.exp(), exponents),
  expm1: unary(expm1, exponents),
  log: unary((x) => x.ln(), { within: positive, ...relative }),
  log1p: unary(log1p, { within: [-1, Infinity], ...relative }),
  sin: unary(
    nearZero(3, -6, (x) => x.sin()),
    angles,
  ),
  cos: unary((x) => (x.abs().lt(new (kindOf(x))(10).pow(-kindOf(x).precision)) ? one(x) : x.cos()), angles),
  tan: unary(
    nearZero(3, 3, (x) => x.tan()),
    angles,
  ),
  asin: unary(
    nearZero(3, 6, (x) => x.asin()),
    { within: [-1, 1], ...relative },
  ),
  acos: unary((x) => x.acos(), { within: [-1, 1] }),
  atan: unary(
    nearZero(3, -3, (x) => x.atan()),
    relative,
  ),
  sinh: unary(sinh, exponents),
  cosh: unary((x) => x.exp().plus(x.neg().exp()).div(2), exponents),
  sech: unary(sech, exponents),
  tanh: unary(tanh, { tried: [-100, 100] }),
  sigmoid: unary((x) => one(x).div(x.neg().exp().plus(1)), exponents),
  softplus: unary((x) => (x.isNegative() ? log1p(x.exp()) : x.plus(log1p(x.neg().exp()))), exponents),
  asinh: unary(asinh, relative),
  acosh: unary((x) => log1p(x.minus(1).plus(x.pow(2).minus(1).sqrt())), {
    within: [1, Infinity],
    ...relative,
  }),
  atanh: unary((x) => log1p(x.times(2).div(one(x).minus(x))).div(2), { within: [-1, 1], ...relative }),
  sqrt: unary((x) => x.sqrt(), { within: positive, ...relative }),
  rsqrt: unary((x) => one(x).div(x.sqrt()), { within: positive, ...relative }),
  square: unary((x) => x.pow(2), relative),
  reciprocal: unary(
    (x) => one(x).div(x),
    relative,
    (x) => x === 0,
  ),
  erf: unary(erf, { tried: [-12, 12] }),
  lgamma: unary(lgamma, moderate),
  polygamma: { of: ([x], params) => polygamma(x, orderOf(params)), args: [{ ...moderate }] },
  clamp: {
    of: ([x], params) => {
      const { low, high } = boundsOf(params);
      return x.lt(low) ? new (kindOf(x))(low) : x.gt(high) ? new (kindOf(x))(high) : x;
    },
    args: [{ within: everywhere, ...relative }],
    kink: (x) => Math.abs(x) === 1,
  },
  add: binary((x, y) => x.plus(y), [linear, linear]),
  sub: binary((x, y) => x.minus(y), [linear, linear]),
  mul: binary((x, y) => x.times(y), [linear, linear]),
  strongMul: binary((x, y) => x.times(y), [linear, linear]),
  div: binary(
    (x, y) => x.div(y),
    [linear, {}],
    (_, y) => y === 0,
  ),
  max: binary(
    (x, y) => (x.gt(y) ? x : y),
    [{}, {}],
    (x, y) => x === y,
  ),
  min: binary(
    (x, y) => (x.lt(y) ? x : y),
    [{}, {}],
    (x, y) => x === y,
  ),
  pow: binary(
    (x, y) => x.pow(y),
    [
      { within: positive, tried: [1e-30, 1e30] },
      { scale: "unit", tried: [-20, 20] },
    ],
  ),
  hypot: binary(
    (x, y) => x.pow(2).plus(y.pow(2)).sqrt(),
    [{}, {}],
    (x, y) => x === 0 && y === 0,
  ),
  atan2: binary(
    (y, x) => kindOf(y).atan2(y, x),
    [{}, {}],
    // It jumps at negative x, from -π to π.
    (y, x) => y === 0 && x <= 0,
  ),
  xlogy: binary((x, y) => (x.isZero() ? x : x.times(y.ln())), [linear, { within: positive }]),
  mod: {
    ...binary(
      (x, y) => x.minus(x.div(y).floor().times(y)),
      [{ tried: [-1e3, 1e3] }, { tried: [-1e3, 1e3] }],
      // Next to a jump the quotient may round to the other side.
      (x, y) => y === 0 || Math.abs(x / y - Math.round(x / y)) <= 1e-6 * Math.abs(x / y),
    ),
    cancels: true,
  },
  gammaRatio: {
    of: ([alpha, z], params) => gammaRatio(alpha, z, orderOf(params)),
    cancels: true,
    highest: 1,
    args: [
      { within: positive, tried: [0.1, 20], ...relative },
      { within: positive, tried: [0.01, 40], ...relative },
    ],
  },
  gammaQuantile: {
    of: ([p, alpha]) => gammaQuantile(p, alpha),
    // Where it is small it is a power of 1 / α.
    cancels: true,
    highest: 1,
    args: [
      { within: [0, 1], scale: "unit", tried: [1e-3, 0.999] },
      { within: positive, tried: [0.1, 20], ...relative },
    ],
  },
};

/**
 * The scalar primitives by name: what is not here moves numbers only, or takes random ones. One of your own comes with a line:
 *
 * @example `exactFunctions.set("cbrt", { of: ([x]) => x.cbrt(), args: [{ within: [0, Infinity], scale: "relative" }] })`
 */
export const exactFunctions: Map<string, ExactFunction> = new Map(Object.entries(known));
