/**
 * The primitives that are analytic, or analytic in pieces, at complex points. Where the imaginary part is tiny both parts are
 * right to a few roundings, which textbook formulas are not: log |w| of a w on the unit circle is lost in the rounding of |w|.
 *
 * W. Kahan, Branch cuts for complex elementary functions, in: The state of the art in numerical analysis (1987).
 */
import {
  type Value,
  gammaQuantile as gammaQuantileOf,
  lgamma as lgammaOf,
  patches,
  where,
} from "@cotangent/core";
import { NoComplexForm } from "./no-form.ts";
import type { ComplexPlane } from "./trace.ts";

/**
 * A primitive at complex points, by op functions, which take complex values too. Only what has no formula in terms of
 * others needs the parts.
 */
export type ComplexForm = (inputs: readonly Value[], params: never, plane: ComplexPlane) => Value;

/** From the two parts of the one input to the two of the output. */
const byParts =
  (f: (re: Value, im: Value) => readonly [Value, Value]): ComplexForm =>
  ([z], _, { re, im, of }) =>
    of(...f(re(z), im(z)));

/** A product, by one of real numbers: the strong one has zeros that win over infinities. */
const product =
  (times: (x: Value, y: Value) => Value): ComplexForm =>
  ([x, y], _, { re, im, of }) => {
    const [a, b, c, d] = [re(x), im(x), re(y), im(y)];
    return of(times(a, c).sub(times(b, d)), times(a, d).add(times(b, c)));
  };

/** What is linear in all of its inputs together. */
const linear =
  (f: (...inputs: Value[]) => Value): ComplexForm =>
  (inputs, _, { re, im, of }) =>
    of(f(...inputs.map(re)), f(...inputs.map(im)));

/** One of two, by how their real parts compare. */
const choice =
  (isFirst: (x: Value, y: Value) => Value): ComplexForm =>
  ([x, y], _, { re }) =>
    where(isFirst(re(x), re(y)), x, y);

/** Elements along axes, one after the other: each reduced value is made of one of each. */
function alongAxes(x: Value, axes: readonly number[]): Value[] {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const count = axes.reduce((all, axis) => all * x.shape[axis], 1);
  const rows = x.transpose([...axes, ...kept]).reshape([count, ...kept.map((i) => x.shape[i])]);
  return Array.from({ length: count }, (_, i) => rows.at(i));
}

interface Reduction {
  readonly axes: readonly number[];
}

const extremum =
  (isBetter: (x: Value, y: Value) => Value): ComplexForm =>
  ([x], { axes }: Reduction, { re }) =>
    alongAxes(x, axes).reduce((best, next) => where(isBetter(re(next), re(best)), next, best));

/** (x + i y)^½ without cancellation. */
const sqrt = byParts((x, y) => {
  const t = x.hypot(y).add(x.abs()).mul(0.5).sqrt();
  const isLeft = x.lt(0);
  const other = y.div(t).mul(0.5);
  return [where(isLeft, other.abs(), t), where(isLeft, where(y.lt(0), t.neg(), t), other)];
});

const asin: ComplexForm = ([z], _, { re, im, of }) => {
  const [a, b] = [z.neg().add(1).sqrt(), z.add(1).sqrt()];
  const [x, y] = [
    re(z),
    re(a)
      .mul(im(b))
      .sub(im(a).mul(re(b))),
  ];
  return of(
    x.atan2(
      re(a)
        .mul(re(b))
        .sub(im(a).mul(im(b))),
    ),
    y.asinh(),
  );
};

const atanh = byParts((x, y) => {
  const below = x.neg().add(1);
  const distance = below.square().add(y.square());
  return [
    x.mul(4).div(distance).log1p().mul(0.25),
    y
      .mul(2)
      .atan2(below.mul(x.add(1)).sub(y.square()))
      .mul(0.5),
  ];
});

/** i z */
const turned = (z: Value, { re, im, of }: ComplexPlane): Value => of(im(z).neg(), re(z));
const turnedBack = (z: Value, { re, im, of }: ComplexPlane): Value => of(im(z), re(z).neg());

/** 2/√π e^(-z²) Σ 2ⁿ z²ⁿ⁺¹ / (2n + 1)!!: for real z all terms have one sign. */
const erf: ComplexForm = ([z]) => {
  const square = z.square();
  let term = z;
  let total = z;
  for (let n = 1; n < 64; n++) {
    term = term.mul(square).mul(2 / (2 * n + 1));
    total = total.add(term);
  }
  return total.mul(square.neg().exp()).mul(2 / Math.sqrt(Math.PI));
};

/** B₂, B₄, ... */
const bernoulli = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510];
/** From z + this on the asymptotic series below are right to the last bits. */
const shift = 12;

const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));

function power(z: Value, n: number): Value {
  return n === 1 ? z : z.mul(power(z, n - 1));
}

/** Stirling's series; https://dlmf.nist.gov/5.11.E1 and 5.5.E1 */
const lgamma: ComplexForm = ([z]) => {
  const w = z.add(shift);
  const inverse = w.reciprocal();
  let found = w
    .sub(0.5)
    .mul(w.log())
    .sub(w)
    .add(0.5 * Math.log(2 * Math.PI));
  bernoulli.forEach((b, i) => {
    found = found.add(power(inverse, 2 * i + 1).mul(b / ((2 * i + 1) * (2 * i + 2))));
  });
  for (let k = shift - 1; k >= 0; k--) found = found.sub(z.add(k).log());
  return found;
};

/** https://dlmf.nist.gov/5.11.E2, differentiated `order` times, and 5.15.E5 */
function polygamma(z: Value, order: number): Value {
  const w = z.add(shift);
  const inverse = w.reciprocal();
  const sign = order % 2 === 0 ? -1 : 1;
  let found =
    order === 0
      ? w.log().sub(inverse.mul(0.5))
      : power(inverse, order)
          .mul(factorial(order - 1))
          .add(power(inverse, order + 1).mul(factorial(order) / 2))
          .mul(sign);
  bernoulli.forEach((b, i) => {
    const factor = (sign * b * factorial(2 * i + 1 + order)) / factorial(2 * i + 2);
    found = found.add(power(inverse, 2 * i + 2 + order).mul(factor));
  });
  for (let k = shift - 1; k >= 0; k--)
    found = found.add(power(z.add(k).reciprocal(), order + 1).mul(sign * factorial(order)));
  return found;
}

/** How many terms of the series of the incomplete gamma function are summed: enough where it is sampled. */
const terms = 64;

/** Derivatives in α of the terms z^(α+n) e^-z / Γ(α + n + 1) of P(α, z), each divided by the gamma density at z. */
function gammaRatio(alpha: Value, z: Value, order: number): Value {
  let term = z.div(alpha);
  let psi = polygamma(alpha.add(1), 0);
  let higher = [1, 2].slice(0, Math.max(0, order - 1)).map((n) => polygamma(alpha.add(1), n));
  let total: Value | undefined;
  for (let n = 1; n <= terms; n++) {
    const g = z.log().sub(psi);
    // The complete Bell polynomials.
    let factor = g;
    if (order >= 2) factor = g.square().sub(higher[0]);
    if (order >= 3) factor = g.mul(g.square().sub(higher[0].mul(3))).sub(higher[1]);
    const next = order === 0 ? term : term.mul(factor);
    total = total === undefined ? next : total.add(next);
    const inverse = alpha.add(n).reciprocal();
    term = term.mul(z).mul(inverse);
    psi = psi.add(inverse);
    higher = higher.map((value, i) => value.add(power(inverse, i + 2).mul(i % 2 === 0 ? -1 : 2)));
  }
  return total as Value;
}

/** log Γ(α) and the density of the gamma distribution. */
const gammaDensity = (alpha: Value, z: Value): Value =>
  alpha.sub(1).mul(z.log()).sub(z).sub(lgammaOf(alpha)).exp();

interface Order {
  readonly order: number;
}

/** The largest order of derivatives of the incomplete gamma function that there is a formula of. */
const largestOrder = 3;

/** The parameters of pooling. */
interface Windows {
  readonly window: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly padding: readonly [readonly [number, number], readonly [number, number]];
  readonly dilation: readonly [number, number];
}

/**
 * By primitive; linear and bilinear ones, step functions and control flow need none. One of your own comes with a line:
 *
 * @example `complexForms.set("cbrt", ([z]) => z.log().div(3).exp())`
 */
export const complexForms: Map<string, ComplexForm> = new Map<string, ComplexForm>([
  ["add", linear((x, y) => x.add(y))],
  ["sub", linear((x, y) => x.sub(y))],
  ["neg", linear((x) => x.neg())],
  ["mul", product((x, y) => x.mul(y))],
  ["strongMul", product((x, y) => x.strongMul(y))],
  ["square", ([z]) => z.mul(z)],
  ["div", ([x, y]) => x.mul(y.reciprocal())],
  [
    "reciprocal",
    byParts((x, y) => {
      const size = x.square().add(y.square());
      return [x.div(size), y.neg().div(size)];
    }),
  ],
  ["sqrt", sqrt],
  ["rsqrt", ([z]) => z.sqrt().reciprocal()],
  ["exp", byParts((x, y) => [x.exp().mul(y.cos()), x.exp().mul(y.sin())])],
  [
    "expm1",
    byParts((x, y) => [x.expm1().mul(y.cos()).sub(y.mul(0.5).sin().square().mul(2)), x.exp().mul(y.sin())]),
  ],
  ["log", byParts((x, y) => [x.hypot(y).log(), y.atan2(x)])],
  ["log1p", byParts((x, y) => [x.mul(x.add(2)).add(y.square()).log1p().mul(0.5), y.atan2(x.add(1))])],
  ["sin", byParts((x, y) => [x.sin().mul(y.cosh()), x.cos().mul(y.sinh())])],
  ["cos", byParts((x, y) => [x.cos().mul(y.cosh()), x.sin().mul(y.sinh()).neg()])],
  ["sinh", byParts((x, y) => [x.sinh().mul(y.cos()), x.cosh().mul(y.sin())])],
  ["cosh", byParts((x, y) => [x.cosh().mul(y.cos()), x.sinh().mul(y.sin())])],
  ["tan", ([z]) => z.sin().div(z.cos())],
  ["tanh", ([z]) => z.sinh().div(z.cosh())],
  ["sech", ([z]) => z.cosh().reciprocal()],
  ["sigmoid", ([z]) => z.neg().exp().add(1).reciprocal()],
  ["softplus", ([z]) => z.exp().log1p()],
  ["asin", asin],
  [
    "acos",
    ([z]) =>
      z
        .asin()
        .neg()
        .add(Math.PI / 2),
  ],
  ["asinh", ([z], _, plane) => turnedBack(turned(z, plane).asin(), plane)],
  ["atanh", atanh],
  ["atan", ([z], _, plane) => turnedBack(turned(z, plane).atanh(), plane)],
  ["acosh", ([z]) => z.sub(1).sqrt().mul(z.add(1).sqrt()).asinh()],
  ["erf", erf],
  ["pow", ([x, y]) => x.log().mul(y).exp()],
  ["hypot", ([x, y]) => x.square().add(y.square()).sqrt()],
  [
    "atan2",
    ([y, x], _, { re }) => {
      const half = where(re(y).lt(0), -Math.PI / 2, Math.PI / 2);
      const along = y
        .div(x)
        .atan()
        .add(where(re(x).lt(0), half.mul(2), 0));
      return where(re(x).abs().ge(re(y).abs()), along, half.sub(x.div(y).atan()));
    },
  ],
  ["xlogy", ([x, y], _, { re, im }) => where(re(x).eq(0).and(im(x).eq(0)), 0, x.mul(y.log()))],
  ["mod", ([x, y], _, { re }) => x.sub(y.mul(re(x).div(re(y)).floor()))],
  ["abs", ([z], _, { re }) => z.mul(re(z).sign())],
  ["relu", ([z], _, { re }) => where(re(z).gt(0), z, 0)],
  [
    "clamp",
    ([z], { low, high }: { readonly low: number; readonly high: number }, { re }) =>
      where(re(z).lt(low), low, where(re(z).gt(high), high, z)),
  ],
  ["max", choice((x, y) => x.gt(y))],
  ["min", choice((x, y) => x.lt(y))],
  ["lgamma", lgamma],
  ["polygamma", ([z], { order }: Order) => polygamma(z, order)],
  [
    "gammaRatio",
    ([alpha, z], { order }: Order) => {
      if (order > largestOrder) throw new NoComplexForm(`gammaRatio of order ${order}`);
      return gammaRatio(alpha, z, order);
    },
  ],
  [
    "gammaQuantile",
    ([p, alpha], _, { re, im, of }) => {
      // One step of Newton's method, from where the real part is right already.
      const z = gammaQuantileOf(re(p), re(alpha));
      const excess = gammaRatio(alpha, z, 0).sub(p.div(gammaDensity(alpha, z)));
      return of(z, im(excess).neg());
    },
  ],
  [
    "prod",
    ([x], { axes }: Reduction, { re }) =>
      alongAxes(x, axes).reduce((total, next) => total.mul(next), re(x).prod({ axis: axes }).onesLike()),
  ],
  ["reduceMax", extremum((x, y) => x.gt(y))],
  ["reduceMin", extremum((x, y) => x.lt(y))],
  [
    "logSumExp",
    ([x], { axes }: Reduction, { re }) => {
      const keepDims = { axis: axes, keepDims: true };
      const top = re(x).max(keepDims);
      return x.sub(top).exp().sum(keepDims).log().add(top).sum({ axis: axes });
    },
  ],
  [
    "maxPool2d",
    ([x], params: Windows, { re }) => {
      const elements = patches(x, params);
      const inImage = patches(re(x).onesLike(), params).gt(0);
      const real = where(inImage, re(elements), -Infinity);
      const top = real.max({ axis: 3, keepDims: true });
      return where(real.eq(top), elements, 0).sum({ axis: 3 });
    },
  ],
]);
