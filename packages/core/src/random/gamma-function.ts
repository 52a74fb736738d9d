/**
 * The gamma function's family on the host, in float64: for kernels, not for values. Of the incomplete gamma function it
 * has derivatives of every order in the parameter, by truncated power series.
 *
 * Series, continued fraction and recurrences: NIST Digital Library of Mathematical Functions, chapters 5 and 8.
 */

/** B₂, B₄, ... */
const bernoulliNumbers = [
  1 / 6,
  -1 / 30,
  1 / 42,
  -1 / 30,
  5 / 66,
  -691 / 2730,
  7 / 6,
  -3617 / 510,
  43867 / 798,
  -174611 / 330,
] as const;

const eulerGamma = 0.577_215_664_901_532_9;

/** From here on the asymptotic series in 1/x are right to the last bit. */
const large = 10;

const factorial = (n: number): number => {
  let product = 1;
  for (let i = 2; i <= n; i++) product *= i;
  return product;
};

/** log(x!) less Stirling's formula, (x + ½) log x - x + ½ log 2π. */
function stirlingError(x: number): number {
  if (x < large) return lgamma(x + 1) - (x + 0.5) * Math.log(x) + x - 0.5 * Math.log(2 * Math.PI);
  let sum = 0;
  bernoulliNumbers.forEach((b, i) => (sum += b / ((2 * i + 1) * (2 * i + 2) * x ** (2 * i + 1))));
  return sum;
}

let aroundTwo: number[] | undefined;

/** log Γ(2 + s) for |s| <= ½ by its Taylor series, which is right near its zeros too. */
function lgammaAroundTwo(s: number): number {
  aroundTwo ??= Array.from({ length: 28 }, (_, k) => (k === 0 ? 0 : polygamma(k - 1, 2) / factorial(k)));
  let sum = 0;
  for (let k = aroundTwo.length - 1; k >= 1; k--) sum = (sum + aroundTwo[k]) * s;
  return sum;
}

/** log Γ(x) for x > 0; NaN below. */
export function lgamma(x: number): number {
  if (!(x > 0)) return x === 0 ? Infinity : NaN;
  if (x < 0.5) return lgamma(x + 1) - Math.log(x);
  if (x < 1.5) return lgammaAroundTwo(x - 1) - Math.log1p(x - 1);
  if (x >= large) {
    return x === Infinity ? x : (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + stirlingError(x);
  }
  let product = 1;
  let y = x;
  while (y > 2.5) product *= --y;
  return lgammaAroundTwo(y - 2) + Math.log(product);
}

/** The zero of ψ, and what that lacks. */
const digammaZero = 1.4616321449683622;
const digammaZeroRest = 9.549995429965697e-17;
let aroundZero: number[] | undefined;

/** ψ(x) next to its zero by its Taylor series there, where it would be the difference of numbers of size 1. */
function digammaAroundZero(x: number): number {
  aroundZero ??= Array.from({ length: 40 }, (_, k) =>
    k === 0 ? 0 : polygamma(k, digammaZero) / factorial(k),
  );
  const s = x - digammaZero - digammaZeroRest;
  let sum = 0;
  for (let k = aroundZero.length - 1; k >= 1; k--) sum = (sum + aroundZero[k]) * s;
  return sum;
}

/** The derivative of order n + 1 of log Γ(x), for x > 0; NaN below. */
export function polygamma(n: number, x: number): number {
  if (!(x > 0)) return x === 0 ? (n % 2 === 0 ? -Infinity : Infinity) : NaN;
  if (n === 0 && x !== 1 && Math.abs(x - digammaZero) < 0.5) return digammaAroundZero(x);
  const sign = n % 2 === 0 ? -1 : 1;
  // 1/x^(n + 1) for each step of the recurrence, the smallest first.
  const steps = Math.max(0, Math.ceil(large + n - x));
  const y = x + steps;
  let tail = 0;
  for (let k = bernoulliNumbers.length; k >= 1; k--) {
    let ratio = bernoulliNumbers[k - 1]; // times (2k + n - 1)! / (2k)! / y^2k
    if (n === 0) ratio /= 2 * k;
    else for (let i = 2 * k + 1; i < 2 * k + n; i++) ratio *= i;
    tail += ratio / y ** (2 * k);
  }
  let sum =
    n === 0 ? tail + 0.5 / y - Math.log(y) : (tail + factorial(n - 1) + (0.5 * factorial(n)) / y) / y ** n;
  for (let i = steps - 1; i >= 0; i--) sum += factorial(n) / (x + i) ** (n + 1);
  if (n === 0 && x === 1) return -eulerGamma;
  return sign * sum;
}

/** ψ(x) - log x, which is near 0 where x is large. */
function digammaLessLog(x: number): number {
  if (x < large) return polygamma(0, x) - Math.log(x);
  let sum = -0.5 / x;
  bernoulliNumbers.forEach((b, i) => (sum -= b / ((2 * i + 2) * x ** (2 * i + 2))));
  return sum;
}

/** log(z / a), right to a fraction of itself where they are close. */
const logQuotient = (z: number, a: number): number =>
  areClose(z, a) ? Math.log1p((z - a) / a) : Math.log(z / a);

const areClose = (z: number, a: number): boolean => z > a / 2 && z < 2 * a;

/** x - log(1 + x), right near 0 too. */
function lessLog1p(x: number): number {
  const r = x / (2 + x); // log(1 + x) = 2 artanh r
  let sum = 0;
  for (let k = 33; k >= 3; k -= 2) sum = sum * r * r + 1 / k;
  return r * (x - 2 * r * r * sum);
}

/** log(z^a e^-z / Γ(a + 1)). */
function logWeight(a: number, z: number): number {
  const relative = (z - a) / a;
  const exponent = areClose(z, a) ? lessLog1p(relative) : relative - logQuotient(z, a);
  return -a * exponent - 0.5 * Math.log(2 * Math.PI * a) - stirlingError(a);
}

/** A polynomial in ε, the lowest power first, of which the powers up to a fixed one are kept. */
type Truncated = number[];

/** The last coefficient of a product. */
function lastOfProduct(x: Truncated, y: Truncated): number {
  let sum = 0;
  x.forEach((factor, i) => (sum += factor * y[x.length - 1 - i]));
  return sum;
}

/** The exponential of c₁ ε + c₂ ε² + ... */
function exponential(c: Truncated): Truncated {
  const out: Truncated = [1];
  for (let k = 1; k < c.length; k++) {
    let sum = 0;
    for (let i = 1; i <= k; i++) sum += i * c[i] * out[k - i];
    out.push(sum / k);
  }
  return out;
}

/** Enough terms for every a up to `largestShape`; what takes more has no result. */
const mostTerms = 2 ** 21;
/** Series and fraction take some 9 √a terms near z = a. */
export const largestShape = 1e10;
const roundoff = 2 ** -53;

/** Whether changes are of no account. */
function settled(sum: Truncated, changes: Truncated): boolean {
  for (let i = 0; i < sum.length; i++) {
    if (!(Math.abs(changes[i]) <= 4 * roundoff * Math.abs(sum[i]))) return false;
  }
  return true;
}

/** Σ z^k / ((a + 1 + ε) ... (a + k + ε)): P(a + ε, z) without its weight. Its coefficients are sums without cancellation. */
function lowerSeries(a: number, z: number, degree: number): Truncated {
  const sum: Truncated = new Array<number>(degree + 1).fill(0);
  const term: Truncated = new Array<number>(degree + 1).fill(0);
  sum[0] = term[0] = 1;
  for (let k = 1; k < mostTerms; k++) {
    const divisor = a + k;
    let before = 0;
    for (let i = 0; i <= degree; i++) {
      before = term[i] = (z * term[i] - before) / divisor;
      sum[i] += before;
    }
    if (settled(sum, term)) return sum;
  }
  return sum.fill(NaN);
}

/** Q(a + ε, z) / (its density times z), by Legendre's continued fraction, for z > a + 1. */
function upperFraction(a: number, z: number, degree: number): Truncated {
  let found = upperFractionOf(16, a, z, degree);
  for (let terms = 32; terms < mostTerms; terms *= 2) {
    const before = found;
    found = upperFractionOf(terms, a, z, degree);
    if (
      settled(
        found,
        before.map((x, i) => x - found[i]),
      )
    )
      return found;
  }
  return found.fill(NaN);
}

/** 1 / (z + 1 - a - 1 (1 - a) / (z + 3 - a - 2 (2 - a) / (...))) with a + ε for a, cut off after so many terms. */
function upperFractionOf(terms: number, a: number, z: number, degree: number): Truncated {
  const below: Truncated = new Array<number>(degree + 1).fill(0);
  const quotient: Truncated = new Array<number>(degree + 1).fill(0);
  below[0] = z + 2 * terms + 1 - a;
  if (degree > 0) below[1] = -1;
  for (let k = terms; k >= 0; k--) {
    // (k (k - a) - k ε) / below; at last 1 / below.
    for (let i = 0; i <= degree; i++) {
      let rest = i === 0 ? (k === 0 ? 1 : k * (k - a)) : i === 1 ? -k : 0;
      for (let j = 1; j <= i; j++) rest -= below[j] * quotient[i - j];
      quotient[i] = rest / below[0];
    }
    for (let i = 0; i <= degree; i++)
      below[i] = (i === 0 ? z + 2 * k - 1 - a : i === 1 ? -1 : 0) - quotient[i];
  }
  return quotient;
}

/**
 * The n-th derivative in a of the regularised incomplete gamma function P(a, z), divided by its derivative in z, the
 * density; n >= 1, 0 < a <= 1e10, z >= 0. Minus the first is the derivative of a gamma sample z in its parameter a.
 */
export function gammaRatio(n: number, a: number, z: number): number {
  if (!(a > 0 && a <= largestShape && z >= 0)) return NaN;
  if (z === 0) return 0;
  const isLower = z <= a + 1;
  const from = isLower ? a + 1 : a;
  // log z - ψ(from), which is small where both are large.
  const slope = logQuotient(z, a) - digammaLessLog(a) - (isLower ? 1 / a : 0);
  const logarithm = Array.from({ length: n + 1 }, (_, k) =>
    k === 0 ? 0 : k === 1 ? slope : -polygamma(k - 1, from) / factorial(k),
  );
  const rest = isLower ? lowerSeries(a, z, n) : upperFraction(a, z, n);
  const weight = isLower ? z / a : -z;
  return weight * factorial(n) * lastOfProduct(exponential(logarithm), rest);
}

/** The number of standard deviations below which normal numbers have probability p, to 4.5e-4 (Abramowitz, Stegun 26.2.23). */
function roughNormalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)));
  const size =
    t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  return p < 0.5 ? -size : size;
}

/**
 * The z with P(a, z) = p, 0 <= p <= 1, 0 < a <= 1e10, by Newton's method on the logarithm of P or of 1 - P, whichever is
 * smaller, as a function of log z: both are concave there, so it converges from anywhere.
 */
export function gammaQuantile(p: number, a: number): number {
  if (!(p >= 0 && p <= 1 && a > 0 && a <= largestShape)) return NaN;
  if (p === 0) return 0;
  if (p === 1) return Infinity;
  const tiny = Math.exp((Math.log(p) + lgamma(a + 1)) / a);
  if (tiny < 1e-17) return tiny; // where P is z^a / Γ(a + 1)
  let z = tiny;
  if (a > 0.5 || p > 0.5) {
    const cubeRoot = 1 - 1 / (9 * a) + roughNormalQuantile(p) / (3 * Math.sqrt(a));
    if (cubeRoot > 0) z = Math.max(Math.min(tiny, a), a * cubeRoot ** 3);
  }
  for (let i = 0; i < 100; i++) {
    const change = Math.max(-2, Math.min(2, newtonStep(p, a, z)));
    z *= Math.exp(change);
    if (!(Math.abs(change) > 1e-8)) break; // the next step would be the square of it
  }
  return z;
}

function newtonStep(p: number, a: number, z: number): number {
  const isLower = z <= a + 1;
  const weight = logWeight(a, z);
  const [rest] = isLower ? lowerSeries(a, z, 0) : upperFraction(a, z, 0);
  // log of P where z is in the lower part, of 1 - P where it is in the upper, and 1 / its derivative in log z.
  const logProbability = weight + Math.log(isLower ? rest : rest * a);
  const perSlope = isLower ? rest / a : rest;
  if (p < 0.5 === isLower) {
    return isLower ? (Math.log(p) - logProbability) * perSlope : (logProbability - Math.log1p(-p)) * perSlope;
  }
  const other = -Math.expm1(logProbability);
  const otherPerSlope = other / (a * Math.exp(weight));
  return p < 0.5
    ? (Math.log(p) - Math.log(other)) * otherPerSlope
    : (Math.log(other) - Math.log1p(-p)) * otherPerSlope;
}
