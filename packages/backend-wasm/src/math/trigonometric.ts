/** sin, cos and tan. */
import { type Expr, type FunctionBuilder, callOf, f64, f64x2, i32, i64, v128 } from "../emit/index.ts";
import { rounder } from "./exponential.ts";
import { type Place, Vector, double, halves, joined, nameOf, when } from "./vector.ts";

/*
 * x = q π/2 + r with |r| <= π/4, in float64 for both formats. Below `huge` the product q π/2 is taken off in parts of 33 bits,
 * whose products with q are exact (Cody and Waite; the parts are those of fdlibm's e_rem_pio2.c, Sun Microsystems, 1993).
 * Beyond, `reduceHuge` multiplies by so many bits of 2/π as matter.
 */
const halfPi = [
  1.57079632673412561417, 6.0771005063039659766e-11, 2.0222662487111664558e-21, 8.47842766036889956997e-32,
];
/** All of π/2 but the first part. */
const halfPiRest = 6.07710050650619224932e-11;
const huge = 2 ** 20;
/** π/2 in two parts, of which the first has 24 bits. */
const halfPiUpper = Math.fround(Math.PI / 2);
const halfPiLower = -4.371139000186242e-8;

interface Reduced {
  readonly r: Vector;
  /** Of a lane's bits the lowest two say which quarter. */
  readonly q: Vector;
}

/** The difference of two numbers, and what it lost by rounding (Knuth's two-sum). */
function difference(a: Vector, b: Vector): readonly [Vector, Vector] {
  const d = a.sub(b);
  const v = d.sub(a);
  return [d, a.sub(d.sub(v)).sub(b.add(v))];
}

/** Of numbers that are not huge. */
function reduce(x: Vector, isExact: boolean): Reduced {
  const magic = rounder(double);
  const q = x.mul(2 / Math.PI).add(magic);
  const n = q.sub(magic);
  const first = x.sub(n.mul(halfPi[0]));
  if (!isExact) return { r: first.sub(n.mul(halfPiRest)), q };
  const [second, lostFirst] = difference(first, n.mul(halfPi[1]));
  const [third, lostThen] = difference(second, n.mul(halfPi[2]));
  return { r: third.add(lostFirst.add(lostThen).sub(n.mul(halfPi[3]))), q };
}

/** What is known of a vector, but of its huge numbers by `reduceHuge`. */
function withHuge(x: Vector, { r, q }: Reduced, place: Place): Reduced {
  const helper = place.helper("reduceHuge", ["f64"], ["v128"], reduceHuge);
  const [a, b] = [0, 1].map((lane) => place.f.let(callOf(helper, f64x2.extract_lane(x.expr, lane))).get);
  const pick = (...bytes: number[]): Vector =>
    new Vector(
      place,
      v128.shuffle(
        a,
        b,
        bytes.flatMap((from) => Array.from({ length: 8 }, (_, i) => from + i)),
      ),
    );
  const isHuge = x.abs().ge(huge);
  return { r: isHuge.select(pick(0, 16), r), q: isHuge.select(pick(8, 24), q) };
}

/** Two halves in float64 as one vector of float32, and what the lower bits of q say. */
function joinedHalves([low, high]: readonly Reduced[], place: Place): Reduced {
  const q = v128.shuffle(low.q.expr, high.q.expr, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]);
  return { r: joined([low.r, high.r], place), q: new Vector(place, q) };
}

function reduced(x: Vector, place: Place): Reduced {
  // sin and cos of the same x share it.
  let found: Reduced | undefined;
  const part = (name: "r" | "q"): Vector => {
    const key = `${name} ${nameOf(x.expr)}`;
    return new Vector(
      place,
      place.known.find(key, () => (found ??= reducedNumbers(x, place))[name].expr, place),
    );
  };
  return { r: part("r"), q: part("q") };
}

function reducedNumbers(x: Vector, place: Place): Reduced {
  const { f, format } = place;
  const wide: Place = { ...place, format: double };
  const parts = format === double ? [x] : halves(x, wide);
  const all = (found: readonly Reduced[]): Reduced =>
    format === double ? found[0] : joinedHalves(found, place);
  const regular = parts.map((part) => reduce(part, format === double));
  const first = all(regular);
  const [r, q] = [f.let(first.r.expr), f.let(first.q.expr)];
  when(place, x.abs().ge(huge).any(), () => {
    const others = all(parts.map((part, i) => withHuge(part, regular[i], wide)));
    f.set(r, others.r.expr);
    f.set(q, others.q.expr);
  });
  return { r: new Vector(place, r.get), q: new Vector(place, q.get) };
}

/** The first 1280 bits of 2/π behind the point. */
const twoOverPi = BigInt(
  "0x" +
    [
      "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e0",
      "06492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f4",
      "9c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d",
      "7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6babf0cfbc209af4361d",
    ].join(""),
);

/**
 * r and q of one number of at least 2^20, as the two lanes of a vector, after Payne and Hanek (Radian reduction for trigonometric
 * functions, 1983): x = m 2^e with a whole m; of 2/π those bits count that make no multiple of 4, and 190 more.
 */
function reduceHuge(f: FunctionBuilder): void {
  const [x] = f.args;
  const bits = f.let(i64.and(i64.reinterpret_f64(x.get), i64.const(0x7fffffffffffffffn))).get;
  const mantissa = i64.or(i64.and(bits, i64.const(0xfffffffffffffn)), i64.const(1n << 52n));
  const m = f.let(mantissa).get;
  // Where the bits that count begin, in a text of 64 zeros and the bits of 2/π.
  const exponent = i32.sub(i32.wrap_i64(i64.shr_u(bits, i64.const(52))), i32.const(1023 + 52));
  const position = f.let(i32.add(exponent, i32.const(62))).get;
  const shift = f.let(i64.extend_i32_u(i32.and(position, i32.const(63)))).get;
  const words = Array.from({ length: 4 }, () => f.local("i64"));
  const at = f.let(i32.shr_u(position, i32.const(6))).get;
  // No table: the words are in the code, and each of the four is looked for among them.
  for (let word = 0; word < 20; word++) {
    const value = i64.const((twoOverPi >> BigInt(64 * (19 - word))) & 0xffffffffffffffffn);
    words.forEach((local, i) => f.if(i32.eq(at, i32.const(word + 1 - i)), () => f.set(local, value)));
  }
  const shifted = (i: number): Expr => {
    // A shift by 64 is none, so that it is made in two steps.
    const next = i64.shr_u(i64.shr_u(words[i + 1].get, i64.const(1)), i64.sub(i64.const(63), shift));
    return f.let(i64.or(i64.shl(words[i].get, shift), next)).get;
  };
  const [t2, t1, t0] = [shifted(0), shifted(1), shifted(2)];
  // m (t2 t1 t0) modulo 2^192, of which the lowest 64 bits only carry.
  const low = f.let(i64.add(highProduct(f, m, t0), i64.mul(m, t1))).get;
  const carry = i64.extend_i32_u(i64.lt_u(low, i64.mul(m, t1)));
  const high = f.let(i64.add(i64.add(highProduct(f, m, t1), i64.mul(m, t2)), carry)).get;
  // The point stands behind the second bit; rounded, what is left is a signed fraction.
  const q = f.let(i64.shr_u(i64.add(high, i64.const(1n << 61n)), i64.const(62))).get;
  const fraction = f.let(i64.sub(high, i64.shl(q, i64.const(62)))).get;
  // Of the fraction the upper 30 bits, whose product with the upper 24 of π/2 is exact, and the others.
  const upper = f.let(f64.convert_i64_s(i64.shr_s(fraction, i64.const(32)))).get;
  const middle = f64.convert_i64_s(i64.and(fraction, i64.const(0xffffffffn)));
  const lowest = f64.mul(f64.convert_i64_s(i64.shr_u(low, i64.const(1))), f64.const(2 ** -63));
  const small = f64.mul(f64.add(middle, lowest), f64.const((Math.PI / 2) * 2 ** -62));
  const main = f64.mul(upper, f64.const(halfPiUpper * 2 ** -30));
  const rest = f64.mul(upper, f64.const(halfPiLower * 2 ** -30));
  const r = f.let(f64.add(main, f64.add(rest, small))).get;
  const isNegative = f64.lt(x.get, f64.const(0));
  const isFinite = f64.lt(f64.abs(x.get), f64.const(Infinity));
  const signed = f64.select(f64.select(f64.neg(r), r, isNegative), f64.const(NaN), isFinite);
  const quarter = i64.select(i64.sub(i64.const(0), q), q, isNegative);
  f.return(f64x2.replace_lane(f64x2.splat(signed), 1, f64.reinterpret_i64(quarter)));
}

/** The upper half of a product of two numbers of 64 bits, the first below 2^53. */
function highProduct(f: FunctionBuilder, a: Expr, b: Expr): Expr {
  const lower = i64.const(0xffffffffn);
  const by32 = i64.const(32);
  const [a0, a1] = [i64.and(a, lower), i64.shr_u(a, by32)];
  const [b0, b1] = [i64.and(b, lower), i64.shr_u(b, by32)];
  const middle = f.let(i64.add(i64.mul(a1, b0), i64.shr_u(i64.mul(a0, b0), by32))).get;
  const other = f.let(i64.add(i64.mul(a0, b1), i64.and(middle, lower))).get;
  return f.let(i64.add(i64.add(i64.mul(a1, b1), i64.shr_u(middle, by32)), i64.shr_u(other, by32))).get;
}

/** sin r = r + r³ S(r²) and cos r = 1 - r²/2 + r⁴ C(r²) for |r| <= π/4, by `accuracy/coefficients.py sin cos`. */
const polynomials = {
  float32: {
    // error 2^-26.8, 2^-32.5
    sin: [-0.16666655242443085, 0.00833216030150652, -0.00019515275198500603],
    cos: [0.04166664555668831, -0.0013887316454201937, 2.443323319312185e-5],
  },
  float64: {
    // error 2^-56.4, 2^-59.7
    sin: [
      -0.1666666666666663, 0.00833333333332211, -0.00019841269829583248, 2.755731361927173e-6,
      -2.50507474360467e-8, 1.5896211261757746e-10,
    ],
    cos: [
      0.041666666666666595, -0.001388888888887305, 2.4801587288847286e-5, -2.755731417804964e-7,
      2.087570067460712e-9, -1.1358527898964302e-11,
    ],
  },
};

function sinOfSmall(r: Vector, { format }: Place): Vector {
  const z = r.square();
  return r.add(r.mul(z).mul(z.polynomial(polynomials[format.name].sin)));
}

function cosOfSmall(r: Vector, { format }: Place): Vector {
  const z = r.square();
  const half = z.mul(0.5);
  const first = half.from(1);
  return first.add(z.square().mul(z.polynomial(polynomials[format.name].cos)));
}

/** Quarters later by so many, sin is taken: 0 for sin, 1 for cos. */
function wave(x: Vector, later: bigint, place: Place): Vector {
  const { r, q } = reduced(x, place);
  const quarter = later === 0n ? q : q.plusBits(later);
  const isOdd = quarter.andBits(1n).sameBits(1n);
  const found = isOdd.select(cosOfSmall(r, place), sinOfSmall(r, place));
  const sign = quarter.andBits(2n).shiftedLeft(place.format === double ? 62 : 30);
  return found.xor(sign);
}

export function sin([x]: readonly Vector[], place: Place): Vector {
  return x.eq(0).select(x, wave(x, 0n, place));
}

export function cos([x]: readonly Vector[], place: Place): Vector {
  return wave(x, 1n, place);
}

export function tan([x]: readonly Vector[], place: Place): Vector {
  const { r, q } = reduced(x, place);
  const [s, c] = [sinOfSmall(r, place), cosOfSmall(r, place)];
  const isOdd = q.andBits(1n).sameBits(1n);
  const found = isOdd.select(c.neg(), s).div(isOdd.select(s, c));
  return x.eq(0).select(x, found);
}
