/** pow and hypot, of float64. */
import { rounder, scaled } from "./exponential.ts";
import { split } from "./logarithm.ts";
import type { Place, Vector } from "./vector.ts";

/*
 * After fdlibm's e_pow.c (Sun Microsystems, 1993): log2 |x| as a sum of two numbers, with 11 bits more than float64 has, its
 * product with y as another such sum, and 2 to the power of that. Numbers whose lower 32 bits are zero have exact products.
 */
const l = [
  5.99999999999994648725e-1, 4.28571428578550184252e-1, 3.33333329818377432918e-1, 2.72728123808534006489e-1,
  2.30660745775561754067e-1, 2.06975017800338417784e-1,
];
const p = [
  1.66666666666666019037e-1, -2.77777777770155933842e-3, 6.61375632143793436117e-5, -1.6533902205465251539e-6,
  4.13813679705723846039e-8,
];
/** log2 1.5 and 2 / (3 ln 2) and ln 2, each in two parts; the last two also whole. */
const log2Of3Halves = [5.84962487220764160156e-1, 1.35003920212974897128e-8];
const cp = [9.61796700954437255859e-1, -7.02846165095275826516e-9, 9.61796693925975554329e-1];
const ln2 = [6.93147182464599609375e-1, -1.90465429995776804525e-9, Math.LN2];

const upper = (x: Vector): Vector => x.andBits(-0x100000000n);

/** log2 of a positive number, as a sum. */
function logarithm(x: Vector, place: Place): readonly [Vector, Vector] {
  const isDenormal = x.lt(place.format.smallestNormal);
  // From √¾ to √3, in two halves, about 1 and about 1.5.
  const { k, m } = split(isDenormal.select(x.mul(2 ** 53), x), place, Math.sqrt(0.75));
  const n = k.sub(isDenormal.and(k.constant(53)));
  const isUpper = m.gt(Math.sqrt(1.5));
  const center = isUpper.select(1.5, 1);
  const u = m.sub(center);
  const sum = m.add(center);
  const v = sum.constant(1).div(sum);
  const s = u.mul(v);
  const sh = upper(s);
  const th = upper(sum);
  const tl = m.sub(th.sub(center));
  const sl = v.mul(u.sub(sh.mul(th)).sub(sh.mul(tl)));
  const s2 = s.square();
  const r = s2
    .square()
    .mul(s2.polynomial(l))
    .add(sl.mul(sh.add(s)));
  const sh2 = sh.square();
  const qh = upper(sh2.add(3).add(r));
  const ql = r.sub(qh.sub(3).sub(sh2));
  const a = sh.mul(qh);
  const b = sl.mul(qh).add(ql.mul(s));
  const ph = upper(a.add(b));
  const pl = b.sub(ph.sub(a));
  const zh = ph.mul(cp[0]);
  const zl = ph
    .mul(cp[1])
    .add(pl.mul(cp[2]))
    .add(isUpper.and(m.constant(log2Of3Halves[1])));
  const dh = isUpper.and(m.constant(log2Of3Halves[0]));
  const high = upper(zh.add(zl).add(dh).add(n));
  return [high, zl.sub(high.sub(n).sub(dh).sub(zh))];
}

/** 2 to the power of a sum. */
function powerOf2(high: Vector, low: Vector, place: Place): Vector {
  const magic = rounder(place.format);
  const sum = high.add(low);
  // Beyond these there is only infinity, or 0.
  const n = sum.atMost(1100).atLeast(-1200).add(magic).sub(magic);
  const isWithin = sum.abs().lt(1100);
  const first = isWithin.select(high.sub(n), 0);
  const rest = isWithin.select(low, 0);
  const t = upper(rest.add(first));
  const u = t.mul(ln2[0]);
  const v = rest.sub(t.sub(first)).mul(ln2[2]).add(t.mul(ln2[1]));
  const z = u.add(v);
  const w = v.sub(z.sub(u));
  const z2 = z.square();
  const t1 = z.sub(z2.mul(z2.polynomial(p)));
  const r = z
    .mul(t1)
    .div(t1.sub(2))
    .sub(w.add(z.mul(w)));
  return scaled(r.sub(z).from(1), n, place);
}

/** As IEEE 754 has it: 1 where x is 1 or y is 0 whatever the other is, and for -1 to an infinite power. */
export function pow([x, y]: readonly Vector[], place: Place): Vector {
  const size = x.abs();
  const [high, low] = logarithm(size, place);
  // Larger exponents all lead beyond what is finite, unless the logarithm is 0.
  const exponent = y.atMost(2 ** 66).atLeast(-(2 ** 66));
  const y1 = upper(exponent);
  const rest = exponent.sub(y1).mul(high).add(exponent.mul(low));
  const finite = powerOf2(y1.mul(high), rest, place);
  const vanishes = size.eq(0).xor(y.lt(0));
  const isLimit = size.eq(0).or(size.eq(Infinity));
  const found = isLimit.select(vanishes.select(0, Infinity), finite);
  const isWhole = y.rounded().eq(y);
  const half = y.mul(0.5);
  const isOdd = isWhole.and(half.rounded().eq(half).not());
  const signed = found.or(isOdd.and(x.sign()));
  const isUndefined = x.lt(0).and(x.gt(-Infinity)).and(isWhole.not());
  const isNaN = isUndefined.or(x.isNaN()).or(y.isNaN());
  return x.eq(1).or(y.eq(0)).select(1, isNaN.select(NaN, signed));
}

/** a √(1 + (b / a)²) with a the larger of |x| and |y|; infinite where either is, whatever the other. */
export function hypot([x, y]: readonly Vector[], _: Place): Vector {
  const [width, height] = [x.abs(), y.abs()];
  const isSteep = height.gt(width);
  const a = isSteep.select(height, width);
  const b = isSteep.select(width, height);
  const found = a.mul(b.div(a).square().add(1).sqrt());
  const isInfinite = width.eq(Infinity).or(height.eq(Infinity));
  return isInfinite.select(Infinity, a.eq(0).and(b.eq(0)).select(0, found));
}
