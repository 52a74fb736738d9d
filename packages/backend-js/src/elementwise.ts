import type { Kernel, TypedArray } from "@cotangent/core";
import { sameShape } from "@cotangent/core";
import { erf, floorMod, roundHalfEven, sigmoid, softplus, strongProduct } from "./scalar-math.ts";
import { elements, result, rounded } from "./storage.ts";
import { broadcastStrides, offsets } from "./strided.ts";

type F1 = (x: number) => number;
type F2 = (x: number, y: number) => number;
type Loop1 = (f: F1, x: TypedArray, out: TypedArray) => void;
type Loop2 = (f: F2, x: TypedArray, y: TypedArray, out: TypedArray) => void;

/*
 * A copy of a loop that the engine optimises for one kernel alone: with a loop shared by all kernels the call of `f`
 * is never inlined, which makes it ten times slower. Where a page forbids `new Function`, the shared loop serves.
 */
let copies = 0;
function ownCopy<L>(loop: L): L {
  try {
    // The number makes each source differ: engines share what they know of functions of equal source.
    // oxlint-disable-next-line typescript/no-implied-eval -- the source is our own, a few lines below
    return new Function(`/* ${copies++} */ return ${String(loop)}`)() as L;
  } catch {
    return loop;
  }
}

const loop1: Loop1 = (f, x, out) => {
  for (let i = 0; i < out.length; i++) out[i] = f(x[i]);
};
const loop2: Loop2 = (f, x, y, out) => {
  for (let i = 0; i < out.length; i++) out[i] = f(x[i], y[i]);
};
const loop2Left: Loop2 = (f, x, y, out) => {
  for (let i = 0; i < out.length; i++) out[i] = f(x[0], y[i]);
};
const loop2Right: Loop2 = (f, x, y, out) => {
  for (let i = 0; i < out.length; i++) out[i] = f(x[i], y[0]);
};

/** Computed in float64 and rounded once, to the dtype of the output. */
function unary(f: F1): Kernel {
  const loop = ownCopy(loop1);
  return (inputs, output) => {
    const { buffer } = inputs[0];
    if (typeof buffer === "number") return rounded(f(buffer), output.dtype);
    const out = result(output);
    loop(f, elements(inputs[0]), out);
    return out;
  };
}

function binary(f: F2, integer: F2 = f): Kernel {
  const loops = { same: ownCopy(loop2), left: ownCopy(loop2Left), right: ownCopy(loop2Right) };
  return (inputs, output) => {
    const [a, b] = inputs;
    const g = a.aval.dtype === "int32" ? integer : f;
    if (typeof a.buffer === "number" && typeof b.buffer === "number")
      return rounded(g(a.buffer, b.buffer), output.dtype);
    const out = result(output);
    const [x, y] = [elements(a), elements(b)];
    if (sameShape(a.shape, b.shape)) loops.same(g, x, y, out);
    else if (a.size === 1) loops.left(g, x, y, out);
    else if (b.size === 1) loops.right(g, x, y, out);
    else {
      const ix = offsets(output.shape, broadcastStrides(a.shape, output.shape));
      const iy = offsets(output.shape, broadcastStrides(b.shape, output.shape));
      for (let i = 0; i < out.length; i++) out[i] = g(x[ix[i]], y[iy[i]]);
    }
    return out;
  };
}

const where: Kernel = ([condition, x, y], output) => {
  const [c, a, b] = [condition.buffer, x.buffer, y.buffer];
  if (typeof c === "number" && typeof a === "number" && typeof b === "number") return c ? a : b;
  const arrays = [condition, x, y].map(elements);
  const [ic, ix, iy] = [condition, x, y].map((v) =>
    offsets(output.shape, broadcastStrides(v.shape, output.shape)),
  );
  const out = result(output);
  for (let i = 0; i < out.length; i++) out[i] = arrays[0][ic[i]] ? arrays[1][ix[i]] : arrays[2][iy[i]];
  return out;
};

const clamp: Kernel = (inputs, output, params) => {
  const { low, high } = params as { low: number; high: number };
  return unary((x) => Math.min(Math.max(x, low), high))(inputs, output, params);
};

const convert: Kernel = (inputs, output, params) =>
  unary(output.dtype === "bool" ? (x) => (x !== 0 ? 1 : 0) : (x) => x)(inputs, output, params);

const same: Kernel = ([x]) => x.buffer;

const predicate = (f: (x: number, y: number) => boolean): Kernel => binary((x, y) => (f(x, y) ? 1 : 0));

/** Kernels of the elementwise primitives. */
export const elementwise: Record<string, Kernel> = {
  neg: unary((x) => -x),
  abs: unary(Math.abs),
  sign: unary(Math.sign),
  floor: unary(Math.floor),
  ceil: unary(Math.ceil),
  round: unary(roundHalfEven),
  exp: unary(Math.exp),
  expm1: unary(Math.expm1),
  log: unary(Math.log),
  log1p: unary(Math.log1p),
  tanh: unary(Math.tanh),
  sigmoid: unary(sigmoid),
  softplus: unary(softplus),
  relu: unary((x) => Math.max(x, 0)),
  sin: unary(Math.sin),
  cos: unary(Math.cos),
  tan: unary(Math.tan),
  asin: unary(Math.asin),
  acos: unary(Math.acos),
  atan: unary(Math.atan),
  sinh: unary(Math.sinh),
  cosh: unary(Math.cosh),
  asinh: unary(Math.asinh),
  acosh: unary(Math.acosh),
  atanh: unary(Math.atanh),
  sqrt: unary(Math.sqrt),
  rsqrt: unary((x) => 1 / Math.sqrt(x)),
  square: unary((x) => x * x),
  reciprocal: unary((x) => 1 / x),
  erf: unary(erf),
  not: unary((x) => (x ? 0 : 1)),
  isFinite: unary((x) => (Number.isFinite(x) ? 1 : 0)),

  add: binary((x, y) => x + y),
  sub: binary((x, y) => x - y),
  mul: binary((x, y) => x * y, Math.imul),
  strongMul: binary(strongProduct),
  div: binary((x, y) => x / y),
  pow: binary((x, y) => (x === 1 ? 1 : x ** y)), // 1 to any power is 1, NaN and Infinity included (IEEE 754 pow)
  max: binary(Math.max),
  min: binary(Math.min),
  hypot: binary(Math.hypot),
  atan2: binary(Math.atan2),
  mod: binary(floorMod),
  xlogy: binary((x, y) => (x === 0 && y === y ? 0 : x * Math.log(y))),

  eq: predicate((x, y) => x === y),
  ne: predicate((x, y) => x !== y),
  lt: predicate((x, y) => x < y),
  le: predicate((x, y) => x <= y),
  gt: predicate((x, y) => x > y),
  ge: predicate((x, y) => x >= y),
  and: predicate((x, y) => x !== 0 && y !== 0),
  or: predicate((x, y) => x !== 0 || y !== 0),

  where,
  clamp,
  convert,
  stopGradient: same,
};
