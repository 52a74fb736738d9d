/** Functions of one number that JavaScript's Math lacks, to within a few units in the last place in float64. */

/** The nearest whole number; halves go to the even one. */
export function roundHalfEven(x: number): number {
  const r = Math.round(x); // halves go up
  return r - x === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** 1 / (1 + e^-x), each branch without overflow or cancellation. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** 1 / cosh x, also where cosh x overflows. */
export function sech(x: number): number {
  const a = Math.abs(x);
  if (a < 700) return 1 / Math.cosh(x);
  const e = Math.exp(-a / 2); // whose square may be denormal
  return 2 * e * e;
}

/** log(1 + e^x). */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** x to the power y as IEEE 754 has it: unlike JavaScript, 1 where x is 1 or, at infinite y, -1. */
export function power(x: number, y: number): number {
  return x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y;
}

/** The remainder with the sign of the divisor. */
export function floorMod(x: number, y: number): number {
  const r = x % y;
  return r !== 0 && r < 0 !== y < 0 ? r + y : r;
}

/** 0 times anything is 0: the product of the chain rule. The common path is one product and one comparison. */
export function strongProduct(x: number, y: number): number {
  const p = x * y;
  return p === p || (x !== 0 && y !== 0) ? p : 0;
}

function horner(x: number, coefficients: readonly number[]): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + coefficients[i];
  return sum;
}

/* Rational approximations of erf and erfc from fdlibm's s_erf.c (Sun Microsystems, 1993; freely distributable). */
const erx = 8.45062911510467529297e-1;
const pp = [
  1.28379167095512558561e-1, -3.2504210724700149937e-1, -2.84817495755985104766e-2,
  -5.77027029648944159157e-3, -2.37630166566501626084e-5,
];
const qq = [
  1, 3.97917223959155352819e-1, 6.50222499887672944485e-2, 5.08130628187576562776e-3,
  1.32494738004321644526e-4, -3.9602282787753681232e-6,
];
const pa = [
  -2.36211856075265944077e-3, 4.14856118683748331666e-1, -3.72207876035701323847e-1,
  3.18346619901161753674e-1, -1.10894694282396677476e-1, 3.54783043256182359371e-2, -2.166375594868790843e-3,
];
const qa = [
  1, 1.06420880400844228286e-1, 5.40397917702171048937e-1, 7.18286544141962662868e-2,
  1.26171219808761642112e-1, 1.36370839120290507362e-2, 1.1984499846799107417e-2,
];
const ra = [
  -9.86494403484714822705e-3, -6.93858572707181764372e-1, -1.05586262253232909814e1,
  -6.23753324503260060396e1, -1.62396669462573470355e2, -1.84605092906711035994e2, -8.12874355063065934246e1,
  -9.81432934416914548592,
];
const sa = [
  1, 1.96512716674392571292e1, 1.376577541435190426e2, 4.34565877475229228821e2, 6.45387271733267880336e2,
  4.29008140027567833386e2, 1.08635005541779435134e2, 6.57024977031928170135, -6.04244152148580987438e-2,
];
const rb = [
  -9.86494292470009928597e-3, -7.99283237680523006574e-1, -1.77579549177547519889e1,
  -1.60636384855821916062e2, -6.37566443368389627722e2, -1.02509513161107724954e3, -4.83519191608651397019e2,
];
const sb = [
  1, 3.03380607434824582924e1, 3.25792512996573918826e2, 1.53672958608443695994e3, 3.19985821950859553908e3,
  2.55305040643316442583e3, 4.74528541206955367215e2, -2.24409524465858183362e1,
];

const high = new Float64Array(1);
const highBits = new Uint32Array(high.buffer);

/** The error function. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return Number.isNaN(x) ? NaN : Math.sign(x);
  if (a < 0.84375) {
    if (a < 2 ** -28) return x + x * 1.28379167095512586316e-1;
    return x + x * (horner(x * x, pp) / horner(x * x, qq));
  }
  if (a < 1.25) return Math.sign(x) * (erx + horner(a - 1, pa) / horner(a - 1, qa));
  const s = 1 / (a * a);
  const ratio = a < 1 / 0.35 ? horner(s, ra) / horner(s, sa) : horner(s, rb) / horner(s, sb);
  high[0] = a;
  highBits[0] = 0; // a with its low half cleared, so that its square is exact
  const z = high[0];
  const tail = Math.exp(-z * z - 0.5625) * Math.exp((z - a) * (z + a) + ratio);
  return Math.sign(x) * (1 - tail / a);
}
