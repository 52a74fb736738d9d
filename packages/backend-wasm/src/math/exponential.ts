/** exp and what is made of it. */
import { type Format, type FunctionCode, type Place, Vector, single, when } from "./vector.ts";

/*
 * e^x = 2^n e^r with n the whole number nearest to x / ln 2, and r = x - n ln 2 taken off in two parts, of which the first has
 * so few bits that its product is exact (Cody and Waite, Software Manual for the Elementary Functions, 1980).
 * e^r - 1 = r + r² E(r); E by `accuracy/coefficients.py exp`.
 */
const constants = {
  float32: {
    ln2: [0.693359375, -2.121944400546906e-4],
    // error 2^-25.8
    e: [
      0.4999999701976776, 0.1666654348373413, 0.04166720062494278, 0.008366542868316174,
      0.0013882466591894627,
    ],
    overflow: 89,
    /** Below this size e^x, its half and its double are normal numbers. */
    safe: 86,
    underflow: -104,
    /** From here on e^-x is below half a unit in the last place of 1. */
    negligible: 20,
    /** Below this e^x - 1 is x. */
    tiny: 2 ** -26,
  },
  float64: {
    // fdlibm, e_exp.c: the first has 32 bits.
    ln2: [6.9314718036912381649e-1, 1.90821492927058770002e-10],
    // error 2^-54.7
    e: [
      0.5000000000000006, 0.16666666666666588, 0.04166666666657649, 0.008333333333389653,
      0.0013888888931658644, 0.00019841269718879684, 2.480150515258966e-5, 2.7557407558154855e-6,
      2.762608897493139e-7, 2.5053806908045288e-8,
    ],
    overflow: 710,
    safe: 707,
    underflow: -746,
    negligible: 40,
    tiny: 2 ** -55,
  },
};

/** tanh x = x + x³ T(x²) for |x| <= 0.625 in float32, by `accuracy/coefficients.py tanh`; error 2^-26.6. */
const t = [
  -0.3333328068256378, 0.13331441581249237, -0.053739625960588455, 0.020638776943087578,
  -0.005704622250050306,
];

/** 1.5 * 2^fraction: added to a number it leaves the nearest whole number in the lowest bits, and takes the rest away. */
export const rounder = ({ fraction }: Format): number => 1.5 * 2 ** fraction;

/** A number of the form 2^n, from a sum of n and `rounder`. */
const powerOfTwo = (sum: Vector, { fraction, bias }: Format): Vector =>
  sum.shiftedLeft(fraction).plusBits(BigInt(bias) << BigInt(fraction));

/** The parts of e^x: n plus `rounder`, r, and what r lost by rounding; and r² E(r). */
interface Parts {
  readonly sum: Vector;
  readonly r: Vector;
  readonly lost: Vector;
  readonly rest: Vector;
}

function parts(x: Vector, { format }: Place): Parts {
  const { ln2, e } = constants[format.name];
  const magic = rounder(format);
  const sum = x.mul(Math.LOG2E).add(magic);
  const n = sum.sub(magic);
  const high = x.sub(n.mul(ln2[0]));
  const low = n.mul(ln2[1]);
  const r = high.sub(low);
  return { sum, r, lost: high.sub(r).sub(low), rest: r.square().mul(r.polynomial(e)) };
}

/** y 2^n for |n| up to twice the largest exponent, rounded once: in two steps, so that no power of two overflows. */
export function scaled(y: Vector, n: Vector, { format }: Place): Vector {
  const magic = rounder(format);
  const half = n.mul(0.5).add(magic);
  const rest = n.sub(half.sub(magic)).add(magic);
  return y.mul(powerOfTwo(half, format)).mul(powerOfTwo(rest, format));
}

/** e^r, to within little more than half a unit in the last place, or half that care. */
function expOfParts({ r, lost, rest }: Parts, isCareful: boolean): Vector {
  if (!isCareful) return r.add(rest).add(1);
  const first = r.add(1);
  return first.add(rest.add(lost).add(r.sub(first.sub(1))));
}

/** 2^by e^x of any x. */
function anyScaledExp(x: Vector, by: number, place: Place): Vector {
  const { overflow, underflow } = constants[place.format.name];
  const found = parts(x.atMost(overflow + 1).atLeast(underflow - 1), place);
  return scaled(expOfParts(found, true), found.sum.sub(rounder(place.format) - by), place);
}
/** As functions, since they are rarely needed. */
const anyExp: FunctionCode = ([x], place) => anyScaledExp(x, 0, place);
const anyHalfExp: FunctionCode = ([x], place) => anyScaledExp(x, -1, place);
const anyTwiceExp: FunctionCode = ([x], place) => anyScaledExp(x, 1, place);

/** 2^by e^x, by the exponent's bits where all results are normal numbers. */
export function scaledExp(x: Vector, by: -1 | 0 | 1, isCareful: boolean, place: Place): Vector {
  const { fraction } = place.format;
  const found = parts(x, place);
  const n = by === 0 ? found.sum : found.sum.add(by);
  const result = place.f.let(expOfParts(found, isCareful).plusBits(n.shiftedLeft(fraction)).expr);
  const any = by === 0 ? anyExp : by < 0 ? anyHalfExp : anyTwiceExp;
  const isOther = x.abs().lt(constants[place.format.name].safe).not();
  when(place, isOther.any(), () => place.f.set(result, place.call(any, x).expr));
  return new Vector(place, result.get);
}

/** (e^x - 1) / 2, which does not overflow before it must; x is at least -`negligible` and at most `overflow`. */
function halfExpm1(x: Vector, place: Place): Vector {
  const { sum, r, lost, rest } = parts(x, place);
  const power = powerOfTwo(sum.sub(1), place.format);
  return power.sub(0.5).add(r.mul(power)).add(rest.add(lost).mul(power));
}

export function exp([x]: readonly Vector[], place: Place): Vector {
  return scaledExp(x, 0, false, place);
}

export function expm1([x]: readonly Vector[], place: Place): Vector {
  const { overflow, negligible, tiny } = constants[place.format.name];
  const found = halfExpm1(x.atMost(overflow).atLeast(-negligible), place);
  return x.abs().lt(tiny).select(x, found.add(found));
}

/** With e = e^-|x| and q = e / (1 + e): 1 / (1 + e), or q; where e is small, e - e q, which is rounded less. */
export function sigmoid([x]: readonly Vector[], place: Place): Vector {
  const e = scaledExp(x.abs().neg(), 0, true, place);
  const isNegative = x.lt(0);
  const q = isNegative.select(e, 1).div(e.add(1));
  return isNegative.and(e.lt(0.5)).select(e.sub(e.mul(q)), q);
}

/** With e = 2 e^-|x|, z = e² / 4 and q = e / (1 + z), which is near sech x: what sech and tanh have in common. */
function sechParts(x: Vector, place: Place): { readonly e: Vector; readonly z: Vector; readonly q: Vector } {
  const e = scaledExp(x.abs().neg(), 1, true, place);
  const z = e.square().mul(0.25);
  return { e, z, q: e.div(z.add(1)) };
}

/** h / (h + 1) with h = (e^2|x| - 1) / 2. In float32 1 - e q / 2, or a polynomial where that cancels. */
export function tanh([x]: readonly Vector[], place: Place): Vector {
  const { negligible, tiny } = constants[place.format.name];
  const a = x.abs();
  if (place.format !== single) {
    const h = halfExpm1(a.add(a).atMost(negligible), place);
    return a.lt(tiny).select(x, h.div(h.add(1)).signed(x));
  }
  const { e, q } = sechParts(x, place);
  const z = x.square();
  return a
    .lt(0.625)
    .select(a.add(a.mul(z.mul(z.polynomial(t)))), e.mul(0.5).mul(q).from(1))
    .signed(x);
}

/** h + h / (2h + 1) with h = (e^|x| - 1) / 2; e^|x| / 2 where that is all. */
export function sinh([x]: readonly Vector[], place: Place): Vector {
  const { negligible, tiny } = constants[place.format.name];
  const a = x.abs();
  const h = halfExpm1(a.atMost(negligible), place);
  const small = h.add(h.div(h.add(h).add(1)));
  const found = a
    .lt(negligible)
    .select(small, scaledExp(a, -1, true, place))
    .signed(x);
  return a.lt(tiny).select(x, found);
}

/** With e = e^|x| / 2: e + 1 / 4e. */
export function cosh([x]: readonly Vector[], place: Place): Vector {
  const e = scaledExp(x.abs(), -1, true, place);
  return e.add(e.constant(0.25).div(e));
}

/** q, or e - z q where z is small. It reaches into the denormals. */
export function sech([x]: readonly Vector[], place: Place): Vector {
  const { e, z, q } = sechParts(x, place);
  return z.lt(0.13).select(e.sub(z.mul(q)), q);
}
