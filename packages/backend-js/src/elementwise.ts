import type { Kernel, TypedArray } from "@cotangent/core";
import { sameShape } from "@cotangent/core";
import {
  erf,
  floorMod,
  power,
  roundHalfEven,
  sech,
  sigmoid,
  softplus,
  strongProduct,
} from "./scalar-math.ts";
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

/**
 * The kernel of an elementwise primitive of one input, from a function of one number: computed in float64 and rounded
 * once, to the dtype of the output; `integer` serves int32, where it differs.
 *
 * @example `jsBackend.kernels.set("cbrt", unaryKernel(Math.cbrt))`
 */
export function unaryKernel(f: F1, integer: F1 = f): Kernel {
  const loop = ownCopy(loop1);
  return (inputs, output) => {
    const { buffer, aval } = inputs[0];
    const g = aval.dtype === "int32" ? integer : f;
    if (typeof buffer === "number") return rounded(g(buffer), output.dtype);
    const out = result(output);
    loop(g, elements(inputs[0]), out);
    return out;
  };
}

/**
 * The kernel of an elementwise primitive of two inputs, which broadcast; `integer` serves int32, where it differs.
 *
 * @example `jsBackend.kernels.set("rem", binaryKernel((x, y) => x % y))`
 */
export function binaryKernel(f: F2, integer: F2 = f): Kernel {
  const loops = { same: ownCopy(loop2), left: ownCopy(loop2Left), right: ownCopy(loop2Right) };
  return (inputs, output) => {
    const a = inputs[0];
    const b = inputs[1];
    const g = a.aval.dtype === "int32" ? integer : f;
    const p = a.buffer;
    const q = b.buffer;
    if (typeof p === "number" && typeof q === "number") return rounded(g(p, q), output.dtype);
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
  return unaryKernel((x) => Math.min(Math.max(x, low), high))(inputs, output, params);
};

const convert: Kernel = (inputs, output, params) =>
  unaryKernel(output.dtype === "bool" ? (x) => (x !== 0 ? 1 : 0) : (x) => x)(inputs, output, params);

const same: Kernel = ([x]) => x.buffer;

const predicate = (f: (x: number, y: number) => boolean): Kernel => binaryKernel((x, y) => (f(x, y) ? 1 : 0));

/** Kernels of the elementwise primitives. */
export const elementwise: Record<string, Kernel> = {
  neg: unaryKernel((x) => -x),
  abs: unaryKernel(Math.abs),
  sign: unaryKernel(Math.sign),
  floor: unaryKernel(Math.floor),
  ceil: unaryKernel(Math.ceil),
  round: unaryKernel(roundHalfEven),
  exp: unaryKernel(Math.exp),
  expm1: unaryKernel(Math.expm1),
  log: unaryKernel(Math.log),
  log1p: unaryKernel(Math.log1p),
  tanh: unaryKernel(Math.tanh),
  sigmoid: unaryKernel(sigmoid),
  softplus: unaryKernel(softplus),
  relu: unaryKernel((x) => Math.max(x, 0)),
  sin: unaryKernel(Math.sin),
  cos: unaryKernel(Math.cos),
  tan: unaryKernel(Math.tan),
  asin: unaryKernel(Math.asin),
  acos: unaryKernel(Math.acos),
  atan: unaryKernel(Math.atan),
  sinh: unaryKernel(Math.sinh),
  cosh: unaryKernel(Math.cosh),
  sech: unaryKernel(sech),
  asinh: unaryKernel(Math.asinh),
  acosh: unaryKernel(Math.acosh),
  atanh: unaryKernel(Math.atanh),
  sqrt: unaryKernel(Math.sqrt),
  rsqrt: unaryKernel((x) => 1 / Math.sqrt(x)),
  square: unaryKernel(
    (x) => x * x,
    (x) => Math.imul(x, x),
  ),
  reciprocal: unaryKernel((x) => 1 / x),
  erf: unaryKernel(erf),
  not: unaryKernel((x) => (x ? 0 : 1)),
  isFinite: unaryKernel((x) => (Number.isFinite(x) ? 1 : 0)),

  add: binaryKernel((x, y) => x + y),
  sub: binaryKernel((x, y) => x - y),
  mul: binaryKernel((x, y) => x * y, Math.imul),
  strongMul: binaryKernel(strongProduct),
  div: binaryKernel((x, y) => x / y),
  pow: binaryKernel(power),
  max: binaryKernel(Math.max),
  min: binaryKernel(Math.min),
  hypot: binaryKernel(Math.hypot),
  atan2: binaryKernel(Math.atan2),
  mod: binaryKernel(floorMod),
  xlogy: binaryKernel((x, y) => (x === 0 && y === y ? 0 : x * Math.log(y))),

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
  straightThrough: same,
};
