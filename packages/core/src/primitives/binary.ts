/** Elementwise primitives of two inputs, which broadcast as in numpy. */
import { type BinaryOp, binary, signedSum } from "../define/elementwise.ts";
import { interval, positive, real } from "../sampling.ts";
import { where } from "./selection.ts";
import type { Value } from "../value.ts";

export const add: BinaryOp = signedSum("add", { sign: 1, domain: real(), accepts: "numeric", flops: 1 });
export const sub: BinaryOp = signedSum("sub", { sign: -1, domain: real(), accepts: "numeric", flops: 1 });

const product = {
  partials: { x: (_: unknown, y: Value) => y, y: (x: Value) => x },
  saves: { x: ["y"], y: ["x"] },
  domain: { x: real(), y: real() },
  flops: 1,
} as const;

export const mul: BinaryOp = binary("mul", { ...product, accepts: "numeric" });

/**
 * The product of the chain rule, in which 0 times anything is 0. A tangent or cotangent that a condition has masked
 * to zero must stay zero where the branch not taken has an infinite or undefined derivative; with this one
 * convention in every rule, both modes give the same.
 */
export const strongMul: BinaryOp = binary("strongMul", product);

/** x / y. */
export const div: BinaryOp = binary("div", {
  partials: {
    x: (_, y) => y.reciprocal(),
    y: (_, y, output) => output.div(y).neg(), // not x / y², in which y² may overflow
  },
  saves: { x: ["y"], y: ["y", "output"] },
  domain: { x: real(), y: positive() },
  flops: 4,
});

/** x to the power y. */
export const pow: BinaryOp = binary("pow", {
  partials: {
    // 0 where y is, whatever x: but as a product, so that its own derivative in y there is x⁻¹.
    x: (x, y) => strongMul(y, x.pow(y.sub(1))),
    // At 0 the limit from above: -0^y below y = 0, where that is infinite, and 0 from there on.
    y: (x, y, output) => where(x.eq(0), where(y.ge(0), 0, output.abs().neg()), output.mul(x.log())),
  },
  saves: { x: ["x", "y"], y: ["x", "y", "output"] },
  domain: { x: positive(), y: real() },
  flops: 25,
  kinks: [
    { at: [0, 0], partials: [0, 0], because: "x⁰ is constant; in y the limit from above" },
    { at: [0, 0.5], partials: [Infinity, 0], because: "the one-sided limit" },
    { at: [0, 1], partials: [1, 0], because: "the derivative exists" },
    { at: [0, 2], partials: [0, 0], because: "the derivative exists" },
    { at: [0, -1], partials: [-Infinity, -Infinity], because: "the one-sided limit" },
    { at: [-2, 2], partials: [-4, NaN], because: "at negative x not defined for y around 2" },
  ],
});

/** Of two numbers that never tie either may be the larger: the one is near a whole number, the other near a half. */
const apart = {
  x: real({ kinks: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], margin: 0.3 }),
  y: real({ kinks: [-3, -2, -1, 0, 1, 2, 3], margin: 0.3 }),
};

const tieSplit = (x: Value, y: Value, wins: Value): Value =>
  wins.astype(x.dtype).add(x.eq(y).astype(x.dtype).mul(0.5));

/** The larger of the two; NaN where either is. */
export const maximum: BinaryOp = binary("max", {
  partials: { x: (x, y) => tieSplit(x, y, x.gt(y)), y: (x, y) => tieSplit(x, y, y.gt(x)) },
  domain: apart,
  accepts: "numeric",
  flops: 1,
  kinks: [{ at: [1, 1], partials: [0.5, 0.5], because: "convex: the subgradient of minimum norm" }],
});

/** The smaller of the two; NaN where either is. */
export const minimum: BinaryOp = binary("min", {
  partials: { x: (x, y) => tieSplit(x, y, x.lt(y)), y: (x, y) => tieSplit(x, y, y.lt(x)) },
  domain: apart,
  accepts: "numeric",
  flops: 1,
  kinks: [{ at: [1, 1], partials: [0.5, 0.5], because: "concave: the supergradient of minimum norm" }],
});

/** sqrt(x² + y²) without overflow or underflow on the way. */
export const hypot: BinaryOp = binary("hypot", {
  partials: {
    x: (x, _, output) => where(output.eq(0), 0, x.div(output)),
    y: (_, y, output) => where(output.eq(0), 0, y.div(output)),
  },
  saves: { x: ["x", "output"], y: ["y", "output"] },
  domain: { x: positive(), y: real() },
  flops: 8,
  kinks: [{ at: [0, 0], partials: [0, 0], because: "convex: the subgradient of minimum norm" }],
});

/** The angle of the point (x = second, y = first) from the positive x axis, in (-π, π]. */
export const atan2: BinaryOp = binary("atan2", {
  partials: {
    x: (y, x) => x.div(x.hypot(y)).div(x.hypot(y)),
    y: (y, x) => y.neg().div(x.hypot(y)).div(x.hypot(y)),
  },
  domain: { x: real(), y: positive() },
  flops: 25,
  kinks: [{ at: [0, 0], partials: [NaN, NaN], because: "neither continuous nor one-sided" }],
});

/** x - floor(x / y) y: the remainder with the sign of y, as in Python. */
export const mod: BinaryOp = binary("mod", {
  partials: {
    x: (x) => x.onesLike(),
    // -floor(x / y) of the quotient that the output belongs to: x / y may round to the next whole number, or to 0. Only
    // of an infinite y and an x of the other sign is the remainder infinite, and the quotient then just below 0.
    y: (x, y, output) => where(output.abs().eq(Infinity), 1, x.sub(output).div(y).round().neg()),
  },
  saves: { x: ["x"], y: ["x", "y", "output"] },
  // y is near 1 or 2 and x near half of an odd number, so that their quotient is never near a whole one.
  domain: {
    x: real({ kinks: [-3, -2, -1, 0, 1, 2, 3], margin: 0.3 }),
    y: interval(0.95, 2.05, { kinks: [1.5], margin: 0.45 }),
  },
  flops: 6,
});

/** x log y, and 0 where x is 0: the limit of x log x. */
export const xlogy: BinaryOp = binary("xlogy", {
  partials: {
    x: (_, y) => y.log(),
    // 0 at x = 0 not by a condition on x, so that its own derivative in x there is 1 / y.
    y: (x, y) => where(y.eq(0), strongMul(x, y.reciprocal()), x.div(y)),
  },
  saves: { x: ["y"], y: ["x", "y"] },
  domain: { x: real(), y: positive() },
  flops: 11,
  kinks: [{ at: [0, 0], partials: [-Infinity, 0], because: "the one-sided limit in x; constant in y" }],
});
