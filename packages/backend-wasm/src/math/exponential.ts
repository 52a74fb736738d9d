/** exp and what is made of it. */
import type { Format, Place, Vector } from "./vector.ts";

/*
 * e^x = 2^n e^r with n the whole number nearest to x / ln 2, and r = x - n ln 2 taken off in two parts, of which the first has
 * so few bits that its product is exact (Cody and Waite, Software Manual for the Elementary Functions, 1980).
 * e^r - 1 = r + r² E(r); E by `accuracy/coefficients.py exp`.
 */
const constants = {
  float32: {
    ln2: [0.693359375, -2.12194440054690583e-4],
    // error 2^-25.8
    e: [
      0.4999999701976776, 0.1666654348373413, 0.04166720062494278, 0.008366542868316174,
      0.0013882466591894627,
    ],
    overflow: 89,
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
    underflow: -746,
    negligible: 40,
    tiny: 2 ** -55,
  },
};

/** 1.5 * 2^fraction: added to a number it leaves the nearest whole number in the lowest bits, and takes the rest away. */
export const rounder = ({ fraction }: Format): number => 1.5 * 2 ** fraction;

/** A number of the form 2^n, from a sum of n and `rounder`. */
const powerOfTwo = (sum: Vector, { fraction, bias }: Format): Vector =>
  sum.shiftedLeft(fraction).plusBits(BigInt(bias) << BigInt(fraction));

/** The parts of e^x, or of e^(x + low): n as a number, and e^r - 1. */
function parts(x: Vector, place: Place): { readonly n: Vector; readonly p: Vector } {
  const { ln2, e } = constants[place.format.name];
  const magic = rounder(place.format);
  const n = x.mul(Math.LOG2E).add(magic).sub(magic);
  const r = x.sub(n.mul(ln2[0])).sub(n.mul(ln2[1]));
  return { n, p: r.add(r.square().mul(r.polynomial(e))) };
}

/** y 2^n for |n| up to twice the largest exponent, rounded once: in two steps, so that no power of two overflows. */
export function scaled(y: Vector, n: Vector, { format }: Place): Vector {
  const magic = rounder(format);
  const half = n.mul(0.5).add(magic);
  const rest = n.sub(half.sub(magic)).add(magic);
  return y.mul(powerOfTwo(half, format)).mul(powerOfTwo(rest, format));
}

/** 2^by e^x. */
function scaledExp(x: Vector, by: number, place: Place): Vector {
  const { overflow, underflow } = constants[place.format.name];
  const { n, p } = parts(x.atMost(overflow + 1).atLeast(underflow - 1), place);
  return scaled(p.add(1), by === 0 ? n : n.add(by), place);
}

/** (e^x - 1) / 2, which does not overflow before it must; x is at most `overflow`. */
function halfExpm1(x: Vector, place: Place): Vector {
  const { negligible, tiny } = constants[place.format.name];
  const { n, p } = parts(x.atLeast(-negligible), place);
  const power = powerOfTwo(n.add(rounder(place.format) - 1), place.format);
  return x
    .abs()
    .lt(tiny)
    .select(x.mul(0.5), p.mul(power).add(power.sub(0.5)));
}

export function exp([x]: readonly Vector[], place: Place): Vector {
  return scaledExp(x, 0, place);
}

export function expm1([x]: readonly Vector[], place: Place): Vector {
  const { overflow, tiny } = constants[place.format.name];
  const found = halfExpm1(x.atMost(overflow), place);
  return x.abs().lt(tiny).select(x, found.add(found));
}

/** 1 / (1 + e^-x), or e^x / (1 + e^x), in which nothing cancels or overflows. */
export function sigmoid([x]: readonly Vector[], place: Place): Vector {
  const e = scaledExp(x.abs().neg(), 0, place);
  return x.lt(0).select(e, 1).div(e.add(1));
}

/** h / (h + 1) with h = (e^2|x| - 1) / 2. */
export function tanh([x]: readonly Vector[], place: Place): Vector {
  const a = x.abs();
  const h = halfExpm1(a.add(a).atMost(constants[place.format.name].negligible), place);
  return a.lt(constants[place.format.name].tiny).select(x, h.div(h.add(1)).signed(x));
}

/** h + h / (2h + 1) with h = (e^|x| - 1) / 2; e^|x| / 2 where that is all. */
export function sinh([x]: readonly Vector[], place: Place): Vector {
  const { negligible, tiny } = constants[place.format.name];
  const a = x.abs();
  const h = halfExpm1(a.atMost(negligible), place);
  const small = h.add(h.div(h.add(h).add(1)));
  const found = a
    .lt(negligible)
    .select(small, scaledExp(a, -1, place))
    .signed(x);
  return a.lt(tiny).select(x, found);
}

/** With e = e^|x| / 2: e + 1 / 4e. */
export function cosh([x]: readonly Vector[], place: Place): Vector {
  const e = scaledExp(x.abs(), -1, place);
  return e.add(e.constant(0.25).div(e));
}

/** With e = 2 e^-|x|: e / (1 + e² / 4), which reaches into the denormals. */
export function sech([x]: readonly Vector[], place: Place): Vector {
  const e = scaledExp(x.abs().neg(), 1, place);
  return e.div(e.square().mul(0.25).add(1));
}
