/** Elementwise primitives of one input, each from its local partial derivative. */
import { signed, stepFunction, unary, type UnaryOp } from "../define/elementwise.ts";
import { interval, positive, real } from "../sampling.ts";
import type { Value } from "../value.ts";
import { where } from "./selection.ts";

/** -x. */
export const neg: UnaryOp = signed("neg", { domain: real(), accepts: "numeric", flops: 1 });

/** |x|. */
export const abs: UnaryOp = unary("abs", {
  partial: (x) => x.sign(),
  domain: real({ kinks: [0] }),
  accepts: "numeric",
  flops: 1,
  kinks: [{ at: [0], partials: [0], because: "convex: the subgradient of minimum norm" }],
});

/** -1, 0 or 1, as x is negative, zero or positive. */
export const sign: UnaryOp = stepFunction("sign", {
  domain: real({ kinks: [0] }),
  accepts: "numeric",
  flops: 1,
  kinks: [{ at: [0], partials: [0], because: "discrete: zero everywhere" }],
});

/** The largest whole number not above x. */
export const floor: UnaryOp = stepFunction("floor", {
  domain: real({ kinks: [-3, -2, -1, 0, 1, 2, 3] }),
  flops: 1,
  kinks: [{ at: [1], partials: [0], because: "discrete: zero everywhere" }],
});

/** The smallest whole number not below x. */
export const ceil: UnaryOp = stepFunction("ceil", {
  domain: real({ kinks: [-3, -2, -1, 0, 1, 2, 3] }),
  flops: 1,
  kinks: [{ at: [1], partials: [0], because: "discrete: zero everywhere" }],
});

/** The nearest whole number; halves go to the even one (IEEE 754). */
export const round: UnaryOp = stepFunction("round", {
  domain: real({ kinks: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5] }),
  flops: 1,
  kinks: [{ at: [0.5], partials: [0], because: "discrete: zero everywhere" }],
});

/** e^x. */
export const exp: UnaryOp = unary("exp", {
  partialFromOutput: (y) => y,
  domain: real(),
  flops: 10,
});

/** e^x - 1, accurate near 0. */
export const expm1: UnaryOp = unary("expm1", {
  partial: (x) => x.exp(), // not y + 1, which loses the tail at very negative x
  domain: real(),
  flops: 12,
});

/** The natural logarithm. */
export const log: UnaryOp = unary("log", {
  partial: (x) => x.reciprocal(),
  domain: positive(),
  flops: 10,
  kinks: [{ at: [0], partials: [Infinity], because: "the one-sided limit" }],
});

/** log(1 + x), accurate near 0. */
export const log1p: UnaryOp = unary("log1p", {
  partial: (x) => x.add(1).reciprocal(),
  domain: interval(-0.8, 4),
  flops: 12,
});

/**
 * The hyperbolic secant 1 / cosh x. It is a primitive for the sake of its own derivative: that of a reciprocal squares
 * it, which underflows long before the result does.
 */
export const sech: UnaryOp = unary("sech", {
  partial: (x) => sech(x).mul(x.tanh()).neg(),
  domain: real(),
  flops: 14,
  decompose: ([x]) => x.cosh().reciprocal(),
});

/** The hyperbolic tangent. */
export const tanh: UnaryOp = unary("tanh", {
  partial: (x) => sech(x).square(), // not 1 - y², which is 0 from |x| = 19 on
  domain: real(),
  flops: 12,
});

/** The logistic function 1 / (1 + e^-x). */
export const sigmoid: UnaryOp = unary("sigmoid", {
  partial: (x) => sech(x.mul(0.5)).square().mul(0.25), // not y (1 - y), which is 0 from x = 37 on
  domain: real(),
  flops: 12,
});

/** log(1 + e^x). */
export const softplus: UnaryOp = unary("softplus", {
  partial: (x) => x.sigmoid(),
  domain: real(),
  flops: 24,
  kinks: [{ at: [0], partials: [0.5], because: "smooth, though often written with max and abs" }],
});

/** max(x, 0). */
export const relu: UnaryOp = unary("relu", {
  partial: (x) => x.gt(0).astype(x.dtype),
  domain: real({ kinks: [0] }),
  flops: 1,
  kinks: [{ at: [0], partials: [0], because: "convex: the subgradient of minimum norm" }],
});

export const sin: UnaryOp = unary("sin", { partial: (x) => x.cos(), domain: real(), flops: 12 });
export const cos: UnaryOp = unary("cos", { partial: (x) => x.sin().neg(), domain: real(), flops: 12 });
export const tan: UnaryOp = unary("tan", {
  partial: (x) => x.cos().reciprocal().square(),
  domain: interval(-1.2, 1.2),
  flops: 15,
});

/** 1 - x², exact near 0 and, as (1 - x)(1 + x), near ±1; so are its derivatives. */
const oneMinusSquare = (x: Value): Value =>
  where(x.abs().lt(0.5), x.square().neg().add(1), x.neg().add(1).mul(x.add(1)));

export const asin: UnaryOp = unary("asin", {
  partial: (x) => oneMinusSquare(x).rsqrt(),
  domain: interval(-0.9, 0.9),
  flops: 15,
  kinks: [{ at: [1], partials: [Infinity], because: "the one-sided limit" }],
});
export const acos: UnaryOp = unary("acos", {
  partial: (x) => oneMinusSquare(x).rsqrt().neg(),
  domain: interval(-0.9, 0.9),
  flops: 15,
  kinks: [{ at: [1], partials: [-Infinity], because: "the one-sided limit" }],
});
export const atan: UnaryOp = unary("atan", {
  partial: (x) => x.hypot(1).reciprocal().square(), // 1 / (1 + x²) without overflow in x²
  domain: real(),
  flops: 15,
});

export const sinh: UnaryOp = unary("sinh", { partial: (x) => x.cosh(), domain: real(), flops: 12 });
export const cosh: UnaryOp = unary("cosh", { partial: (x) => x.sinh(), domain: real(), flops: 12 });
export const asinh: UnaryOp = unary("asinh", {
  partial: (x) => x.hypot(1).reciprocal(),
  domain: real(),
  flops: 15,
});
export const acosh: UnaryOp = unary("acosh", {
  partial: (x) => x.sub(1).rsqrt().mul(x.add(1).rsqrt()), // two roots: x² - 1 would overflow
  domain: interval(1.2, 5),
  flops: 15,
  kinks: [{ at: [1], partials: [Infinity], because: "the one-sided limit" }],
});
export const atanh: UnaryOp = unary("atanh", {
  partial: (x) => oneMinusSquare(x).reciprocal(),
  domain: interval(-0.9, 0.9),
  flops: 15,
});

/** The square root. */
export const sqrt: UnaryOp = unary("sqrt", {
  partialFromOutput: (y) => y.reciprocal().mul(0.5),
  domain: positive(),
  flops: 4,
  kinks: [{ at: [0], partials: [Infinity], because: "the one-sided limit" }],
});

/** 1 / sqrt(x). */
export const rsqrt: UnaryOp = unary("rsqrt", {
  partial: (x) => x.rsqrt().div(x).mul(-0.5),
  domain: positive(),
  flops: 5,
  kinks: [{ at: [0], partials: [-Infinity], because: "the one-sided limit" }],
});

/** x². */
export const square: UnaryOp = unary("square", {
  partial: (x) => x.mul(2),
  domain: real(),
  accepts: "numeric",
  flops: 1,
});

/** 1 / x. */
export const reciprocal: UnaryOp = unary("reciprocal", {
  partialFromOutput: (y) => y.square().neg(),
  domain: positive(),
  flops: 4,
});

/** The error function 2/√π ∫₀ˣ exp(-t²) dt. */
export const erf: UnaryOp = unary("erf", {
  partial: (x) =>
    x
      .square()
      .neg()
      .exp()
      .mul(2 / Math.sqrt(Math.PI)),
  domain: real(),
  flops: 25,
});
