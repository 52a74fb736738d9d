/** asin, acos, atan and atan2, of float64. */
import type { Place, Vector } from "./vector.ts";

/** asin s = s + s³ A(s²) for s² <= 1/4, by `accuracy/coefficients.py asin`; error 2^-55.7. */
const a = [
  0.1666666666666541, 0.07500000000336765, 0.04464285682850914, 0.030381959130031205, 0.022371758210774025,
  0.017359702382387, 0.013885258904657558, 0.012169057286389126, 0.006528646657781425, 0.019526416244609015,
  -0.0162213346178557, 0.031910260158661045,
];
/** atan t = t + t³ T(t²) for t <= √2 - 1, by `accuracy/coefficients.py atan`; error 2^-57.3. */
const t = [
  -0.333333333333332, 0.19999999999953189, -0.14285714280160747, 0.11111110781860703, -0.09090897716664295,
  0.07692059562692531, -0.06663097425889385, 0.05847846221255264, -0.05039131169002307, 0.03806062436041254,
  -0.017903369879283457,
];
/** What π and its half lack in float64. */
const piLow = 1.2246467991473532e-16;
const [quarterPi, halfPi] = [Math.PI / 4, Math.PI / 2];

/** Of |x| <= 1/2 asin x itself, beyond π/2 - 2 asin √((1 - |x|) / 2): the argument of `a` and what it gives. */
function arc(x: Vector): { readonly isLarge: Vector; readonly angle: Vector } {
  const size = x.abs();
  const isLarge = size.gt(0.5);
  const z = isLarge.select(size.from(1).mul(0.5), x.square());
  const s = isLarge.select(z.sqrt(), size);
  return { isLarge, angle: s.add(s.mul(z).mul(z.polynomial(a))) };
}

export function asin([x]: readonly Vector[], _: Place): Vector {
  const { isLarge, angle } = arc(x);
  return isLarge
    .select(
      angle
        .add(angle)
        .sub(piLow / 2)
        .from(halfPi),
      angle,
    )
    .signed(x);
}

export function acos([x]: readonly Vector[], _: Place): Vector {
  const { isLarge, angle } = arc(x);
  const twice = angle.add(angle);
  const small = angle
    .xor(x.sign())
    .sub(piLow / 2)
    .from(halfPi);
  const large = x.lt(0).select(twice.sub(piLow).from(Math.PI), twice);
  return isLarge.select(large, small);
}

/** atan of a quotient y / x with 0 <= y <= x. */
function atanOfQuotient(y: Vector, x: Vector): Vector {
  const isLarge = y.gt(x.mul(Math.SQRT2 - 1));
  const q = isLarge.select(y.sub(x), y).div(isLarge.select(y.add(x), x));
  const z = q.square();
  const angle = q.add(q.mul(z).mul(z.polynomial(t)));
  return isLarge.select(angle.add(piLow / 4).add(quarterPi), angle);
}

export function atan([x]: readonly Vector[], _: Place): Vector {
  const size = x.abs();
  const isSteep = size.gt(1);
  const one = x.constant(1);
  // 1 / ∞ is 0, so that the sum of both stays finite.
  const angle = atanOfQuotient(isSteep.select(one.div(size), size), one);
  return isSteep.select(angle.sub(piLow / 2).from(halfPi), angle).signed(x);
}

export function atan2([y, x]: readonly Vector[], _: Place): Vector {
  const [height, width] = [y.abs(), x.abs()];
  const isSteep = height.gt(width);
  // Halves, whose sum does not overflow, of what is not so small that halves would lose bits.
  const scale = isSteep.select(height, width).gt(1).select(0.5, 1);
  const least = isSteep.select(width, height).mul(scale);
  const most = isSteep.select(height, width).mul(scale);
  const isSame = least.sameBits(most);
  // Zeros have no quotient, nor have infinities.
  const one = x.constant(1);
  const numerator = isSame.select(most.eq(0).select(0, one), least);
  const found = atanOfQuotient(numerator, isSame.select(one, most));
  // -0 is on the left, too.
  const isLeft = x.sign().sameBits(x.constant(-0));
  const [from, low] = [isLeft.select(Math.PI, 0), isLeft.select(piLow, 0)];
  const turned = found.xor(isSteep.xor(isLeft).and(x.constant(-0)));
  const angle = turned
    .add(isSteep.select(piLow / 2, low))
    .add(isSteep.select(halfPi, from))
    .signed(y);
  return y.isNaN().or(x.isNaN()).select(NaN, angle);
}
