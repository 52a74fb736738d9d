/** log and what is made of it. */
import { scaledExp } from "./exponential.ts";
import { type FunctionCode, type Place, Vector, bitsOf, when } from "./vector.ts";

/*
 * x = 2^k (1 + f) with √½ <= 1 + f < √2, and with s = f / (2 + f): log(1 + f) = f - f²/2 + s (f²/2 + R),
 * R = s² Q(s²) (fdlibm's e_log.c, Sun Microsystems, 1993). Q by `accuracy/coefficients.py log`.
 */
const constants = {
  float32: {
    // 0.693145751953125 has 16 bits, so that its product with k is exact.
    ln2: [0.693145751953125, 1.428606765330187e-6],
    // error 2^-29.1
    q: [0.6666677594184875, 0.3997754454612732, 0.2987165153026581],
    tiny: 2 ** -25,
  },
  float64: {
    ln2: [6.9314718036912381649e-1, 1.90821492927058770002e-10],
    // error 2^-58.0
    q: [
      0.6666666666666734, 0.3999999999941472, 0.28571428742376903, 0.2222219857450689, 0.18183564247300882,
      0.15314052769013461, 0.147959260893091,
    ],
    tiny: 2 ** -54,
  },
};

/** A positive normal number as 2^k m with `from` <= m < 2 from. */
export function split(
  x: Vector,
  { format }: Place,
  from: number = Math.SQRT1_2,
): { readonly k: Vector; readonly m: Vector } {
  const { fraction, bias } = format;
  const one = BigInt(bias) << BigInt(fraction);
  // What the exponent counts begins at `from`.
  const exponent = x.plusBits(one - bitsOf(from, format)).shiftedRight(fraction);
  const m = x.minusBits(exponent.shiftedLeft(fraction)).plusBits(one);
  // As the low bits of a number whose unit is 1.
  const unit = 2 ** fraction;
  const k = exponent.orBits(bitsOf(unit, format)).sub(unit + bias);
  return { k, m };
}

/** k ln 2 + log(1 + f), and a small number c besides. */
function logSum(k: Vector, f: Vector, c: Vector | undefined, { format }: Place): Vector {
  const { ln2, q } = constants[format.name];
  const s = f.div(f.add(2));
  const z = s.square();
  const half = f.square().mul(0.5);
  const r = z.mul(z.polynomial(q));
  const low = c === undefined ? k.mul(ln2[1]) : k.mul(ln2[1]).add(c);
  return k.mul(ln2[0]).sub(half.sub(s.mul(half.add(r)).add(low)).sub(f));
}

/** Of any number, as a function, since it is rarely needed. */
const anyLog: FunctionCode = ([x], place) => {
  const { fraction, smallestNormal } = place.format;
  const isDenormal = x.lt(smallestNormal);
  const { k, m } = split(isDenormal.select(x.mul(2 ** (fraction + 1)), x), place);
  const exponent = k.sub(isDenormal.and(k.constant(fraction + 1)));
  const found = logSum(exponent, m.sub(1), undefined, place);
  const regular = x.lt(Infinity).select(found, x);
  return x.gt(0).select(regular, x.eq(0).select(-Infinity, NaN));
};

export function log([x]: readonly Vector[], place: Place): Vector {
  const { k, m } = split(x, place);
  const result = place.f.let(logSum(k, m.sub(1), undefined, place).expr);
  const isRegular = x.ge(place.format.smallestNormal).and(x.lt(Infinity));
  when(place, isRegular.not().any(), () => place.f.set(result, place.call(anyLog, x).expr));
  return new Vector(place, result.get);
}

/** log(1 + x) of x > -1, with what the sum loses given back: log u + (x - (u - 1)) / u, u = 1 + x (fdlibm, s_log1p.c). */
function logOfSum(x: Vector, place: Place): Vector {
  const u = x.add(1);
  const { k, m } = split(u, place);
  const isNear = k.eq(0);
  const lost = u
    .gt(2)
    .select(u.sub(x).from(1), x.sub(u.sub(1)))
    .div(u);
  return logSum(k, isNear.select(x, m.sub(1)), isNear.select(0, lost), place);
}

export function log1p([x]: readonly Vector[], place: Place): Vector {
  const regular = x.lt(Infinity).select(logOfSum(x, place), x);
  const inDomain = x.gt(-1).select(regular, x.eq(-1).select(-Infinity, NaN));
  return x.abs().lt(constants[place.format.name].tiny).select(x, inDomain);
}

/** max(x, 0) + log(1 + e^-|x|) */
export function softplus([x]: readonly Vector[], place: Place): Vector {
  const e = scaledExp(x.abs().neg(), 0, true, place);
  const tail = e.lt(constants[place.format.name].tiny).select(e, logOfSum(e, place));
  return x.lt(0).select(0, x).add(tail);
}

/** log1p(a + a² / (1 + √(1 + a²))) with a = |x|; log a + log 2 where squares might overflow. */
export function asinh([x]: readonly Vector[], place: Place): Vector {
  const a = x.abs();
  const isLarge = a.gt(2 ** 30);
  const square = a.square();
  const small = a.add(square.div(square.add(1).sqrt().add(1)));
  const found = place.call(log1p, isLarge.select(a.sub(1), small));
  return isLarge.select(found.add(Math.LN2), found).signed(x);
}

/** log1p(t + √(2t + t²)) with t = x - 1; log x + log 2 where squares might overflow. */
export function acosh([x]: readonly Vector[], place: Place): Vector {
  const isLarge = x.gt(2 ** 30);
  const t = x.sub(1);
  const small = t.add(t.add(t).add(t.square()).sqrt());
  const found = place.call(log1p, isLarge.select(t, small));
  return x.lt(1).select(NaN, isLarge.select(found.add(Math.LN2), found));
}

/** log1p(2a / (1 - a)) / 2 with a = |x| */
export function atanh([x]: readonly Vector[], place: Place): Vector {
  const a = x.abs();
  return place
    .call(log1p, a.add(a).div(a.from(1)))
    .mul(0.5)
    .signed(x);
}

/** x log y, which is 0 where x is. */
export function xlogy([x, y]: readonly Vector[], place: Place): Vector {
  const product = x.mul(place.call(log, y));
  return x.eq(0).and(y.isNaN().not()).select(0, product);
}
