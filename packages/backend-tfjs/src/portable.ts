/** Elementwise primitives as compositions of tfjs-core ops, for tfjs backends other than WebGL. */
import type { Aval } from "@cotangent/core";
import * as ops from "./tf-ops.ts";
import type { Tensor } from "@tensorflow/tfjs-core";

type Portable = (inputs: Tensor[], output: Aval, params?: object) => Tensor;

const one =
  (f: (x: Tensor) => Tensor): Portable =>
  ([x]) =>
    f(x);
const two =
  (f: (x: Tensor, y: Tensor) => Tensor): Portable =>
  ([x, y]) =>
    f(x, y);

const isNaN = (x: Tensor): Tensor => ops.notEqual(x, x);
const zero = (x: Tensor): Tensor => ops.zerosLike(x);

/** x as multiples of 2^16 and what is left: products of an int32 with either are exact in the float64 that tfjs computes them in. */
export function halves(x: Tensor): [high: Tensor, low: Tensor] {
  const low = ops.mod(x, ops.scalar(2 ** 16, "int32"));
  return [ops.sub(x, low), low];
}

/** The product of int32, which wraps around. */
export function wholeProduct(x: Tensor, y: Tensor): Tensor {
  const [high, low] = halves(y);
  return ops.add(ops.mul(x, high), ops.mul(x, low));
}

const isWhole = ({ dtype }: Tensor): boolean => dtype === "int32";

function hypot(x: Tensor, y: Tensor): Tensor {
  const big = ops.maximum(ops.abs(x), ops.abs(y));
  const ratio = ops.div(ops.minimum(ops.abs(x), ops.abs(y)), big);
  const finite = ops.mul(big, ops.sqrt(ops.add(1, ops.square(ratio))));
  return ops.where(ops.logicalOr(ops.equal(big, 0), ops.equal(big, Infinity)), big, finite);
}

function strongMul(x: Tensor, y: Tensor): Tensor {
  const product = ops.mul(x, y);
  return ops.where(ops.logicalOr(ops.equal(x, 0), ops.equal(y, 0)), zero(product), product);
}

function xlogy(x: Tensor, y: Tensor): Tensor {
  const product = ops.mul(x, ops.log(y));
  return ops.where(ops.logicalAnd(ops.equal(x, 0), ops.equal(y, y)), zero(product), product);
}

function floorMod(x: Tensor, y: Tensor): Tensor {
  return ops.sub(x, ops.mul(y, ops.floor(ops.div(x, y))));
}

/** 2 e^-|x| / (1 + e^-2|x|), which does not overflow on the way. */
function sech(x: Tensor): Tensor {
  const e = ops.exp(ops.neg(ops.abs(x)));
  return ops.div(ops.mul(2, e), ops.add(1, ops.square(e)));
}

/** Below 1 the Taylor series: tfjs's erf is right to 2e-7 of 1, not of itself. */
function erf(x: Tensor): Tensor {
  const z = ops.neg(ops.square(x));
  let series: Tensor = zero(x);
  let factorial = 39916800; // 11!
  for (let n = 11; n >= 0; n--) {
    series = ops.add(ops.mul(series, z), 2 / Math.sqrt(Math.PI) / (factorial * (2 * n + 1)));
    if (n > 0) factorial /= n;
  }
  return ops.where(ops.less(ops.abs(x), 1), ops.mul(x, series), ops.erf(x));
}

/** By primitive name. */
export const portable: Readonly<Record<string, Portable>> = {
  neg: one(ops.neg),
  // tfjs's own gives float32.
  abs: one((x) => (isWhole(x) ? ops.maximum(x, ops.neg(x)) : ops.abs(x))),
  sign: one(ops.sign),
  floor: one(ops.floor),
  ceil: one(ops.ceil),
  round: one(ops.round),
  exp: one(ops.exp),
  expm1: one(ops.expm1),
  log: one(ops.log),
  log1p: one(ops.log1p),
  tanh: one(ops.tanh),
  sigmoid: one(ops.sigmoid),
  softplus: one((x) => ops.add(ops.relu(x), ops.log1p(ops.exp(ops.neg(ops.abs(x)))))),
  relu: one(ops.relu),
  sin: one(ops.sin),
  cos: one(ops.cos),
  tan: one(ops.tan),
  asin: one(ops.asin),
  acos: one(ops.acos),
  atan: one(ops.atan),
  sinh: one(ops.sinh),
  cosh: one(ops.cosh),
  sech: one(sech),
  asinh: one(ops.asinh),
  acosh: one(ops.acosh),
  atanh: one(ops.atanh),
  sqrt: one(ops.sqrt),
  rsqrt: one(ops.rsqrt),
  square: one((x) => (isWhole(x) ? wholeProduct(x, x) : ops.square(x))),
  reciprocal: one(ops.reciprocal),
  erf: one(erf),
  not: one(ops.logicalNot),
  isFinite: one(ops.isFinite),
  broadcastTo: ([x], output) => ops.broadcastTo(x, [...output.shape]),

  add: two(ops.add),
  sub: two(ops.sub),
  mul: two((x, y) => (isWhole(x) ? wholeProduct(x, y) : ops.mul(x, y))),
  strongMul: two(strongMul),
  div: two(ops.div),
  pow: two(ops.pow),
  max: two(ops.maximum),
  min: two(ops.minimum),
  hypot: two(hypot),
  atan2: two(ops.atan2),
  mod: two(floorMod),
  xlogy: two(xlogy),

  eq: two(ops.equal),
  ne: two(ops.notEqual),
  lt: two(ops.less),
  le: two(ops.lessEqual),
  gt: two(ops.greater),
  ge: two(ops.greaterEqual),
  and: two(ops.logicalAnd),
  or: two(ops.logicalOr),

  where: ([condition, x, y], output) =>
    ops.where(
      ops.broadcastTo(condition, [...output.shape]),
      ops.broadcastTo(x, [...output.shape]),
      ops.broadcastTo(y, [...output.shape]),
    ),
  clamp: ([x], _, params) => {
    const { low, high } = params as { low: number; high: number };
    return ops.where(isNaN(x), x, ops.clipByValue(x, low, high));
  },
  convert: ([x], output) =>
    output.dtype === "bool"
      ? ops.notEqual(x, ops.cast(0, x.dtype))
      : ops.cast(x, output.dtype as "float32" | "int32"),
};
