/** What elementwise primitives compute, in registers. */
import type { DType, Params } from "@cotangent/core";
import {
  type Expr,
  type FunctionBuilder,
  type FunctionRef,
  callOf,
  f32,
  f32x4,
  f64,
  f64x2,
  i32,
  i32x4,
  selectLanes,
  v128,
} from "../emit/index.ts";
import type { Known } from "../math/vector.ts";
import { type Lanes, converted, laneOf, literal, narrowed, widened, withLane } from "./registers.ts";

/** Instructions that vectors and scalars, of both widths, have alike. */
interface Arithmetic {
  readonly add: (a: Expr, b: Expr) => Expr;
  readonly sub: (a: Expr, b: Expr) => Expr;
  readonly mul: (a: Expr, b: Expr) => Expr;
}
interface FloatArithmetic extends Arithmetic {
  readonly div: (a: Expr, b: Expr) => Expr;
  readonly min: (a: Expr, b: Expr) => Expr;
  readonly max: (a: Expr, b: Expr) => Expr;
  readonly neg: (a: Expr) => Expr;
  readonly abs: (a: Expr) => Expr;
  readonly sqrt: (a: Expr) => Expr;
  readonly floor: (a: Expr) => Expr;
  readonly ceil: (a: Expr) => Expr;
  readonly nearest: (a: Expr) => Expr;
  readonly eq: (a: Expr, b: Expr) => Expr;
  readonly ne: (a: Expr, b: Expr) => Expr;
  readonly lt: (a: Expr, b: Expr) => Expr;
  readonly le: (a: Expr, b: Expr) => Expr;
  readonly gt: (a: Expr, b: Expr) => Expr;
  readonly ge: (a: Expr, b: Expr) => Expr;
}

const floatsOf = (dtype: DType, lanes: Lanes): FloatArithmetic =>
  dtype === "float64" ? (lanes === 1 ? f64 : f64x2) : lanes === 1 ? f32 : f32x4;

/** What the code of a primitive is made for. */
export interface Site {
  /** Of the inputs; where they differ (a condition, a conversion), of each. */
  readonly dtypes: readonly DType[];
  readonly output: DType;
  readonly lanes: Lanes;
  readonly params: Params;
  /** Keeps a value that is used more than once. */
  readonly keep: (value: Expr) => Expr;
  /** Where elementary functions are to be written in place, and what was computed there; else they are called. */
  readonly inline?: { readonly f: FunctionBuilder; readonly known: Known } | undefined;
}

type Code = (args: readonly Expr[], site: Site) => Expr;

/** `then` where the mask has ones, `otherwise` elsewhere; the mask is as wide as the values. */
export function selected(mask: Expr, then: Expr, otherwise: Expr, dtype: DType, lanes: Lanes): Expr {
  if (lanes > 1) return selectLanes(then, otherwise, mask);
  const scalar = dtype === "float64" ? f64 : dtype === "float32" ? f32 : i32;
  return scalar.select(then, otherwise, mask);
}

/** A mask as wide as elements of that dtype. */
const maskFor = (mask: Expr, dtype: DType, lanes: Lanes): Expr =>
  lanes === 2 && (dtype === "float32" || dtype === "int32") ? narrowed(mask) : mask;

/** A mask as wide as elements of that dtype, as one as wide as the lanes. */
const maskFrom = (mask: Expr, dtype: DType, lanes: Lanes): Expr =>
  lanes === 2 && (dtype === "float32" || dtype === "int32") ? widened(mask) : mask;

const float =
  (
    code: (ops: FloatArithmetic, args: readonly Expr[], site: Site, constant: (x: number) => Expr) => Expr,
  ): Code =>
  (args, site) => {
    const [dtype] = site.dtypes;
    return code(floatsOf(dtype, site.lanes), args, site, (x) => literal(x, dtype, site.lanes));
  };

const and = (a: Expr, b: Expr, lanes: Lanes): Expr => (lanes > 1 ? v128.and(a, b) : i32.and(a, b));
const or = (a: Expr, b: Expr, lanes: Lanes): Expr => (lanes > 1 ? v128.or(a, b) : i32.or(a, b));

type Comparison = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

function comparison(name: Comparison): Code {
  return ([a, b], { dtypes: [dtype], lanes }) => {
    if (dtype === "float64" || dtype === "float32")
      return maskFrom(floatsOf(dtype, lanes)[name](a, b), dtype, lanes);
    const signed = name === "eq" || name === "ne" ? name : (`${name}_s` as const);
    if (lanes === 1) return i32[signed](a, b);
    // Masks are -1 and 0, so that their order is the other way round.
    const [x, y] = dtype === "bool" ? [b, a] : [a, b];
    return maskFrom(i32x4[signed](x, y), dtype, lanes);
  };
}

const rounding = (name: "floor" | "ceil" | "nearest"): Code =>
  float((ops, [x], { dtypes }) => (dtypes[0] === "int32" ? x : ops[name](x)));

/** Primitives that take a few instructions. */
const short: Readonly<Record<string, Code>> = {
  add: ([a, b], { dtypes: [dtype], lanes }) =>
    (dtype === "int32" ? (lanes === 1 ? i32 : i32x4) : floatsOf(dtype, lanes)).add(a, b),
  sub: ([a, b], { dtypes: [dtype], lanes }) =>
    (dtype === "int32" ? (lanes === 1 ? i32 : i32x4) : floatsOf(dtype, lanes)).sub(a, b),
  mul: ([a, b], { dtypes: [dtype], lanes }) =>
    (dtype === "int32" ? (lanes === 1 ? i32 : i32x4) : floatsOf(dtype, lanes)).mul(a, b),
  div: float((ops, [a, b]) => ops.div(a, b)),
  max: ([a, b], { dtypes: [dtype], lanes, keep }) =>
    dtype !== "int32"
      ? floatsOf(dtype, lanes).max(a, b)
      : lanes === 1
        ? ((x: Expr, y: Expr) => i32.select(x, y, i32.gt_s(x, y)))(keep(a), keep(b))
        : i32x4.max_s(a, b),
  min: ([a, b], { dtypes: [dtype], lanes, keep }) =>
    dtype !== "int32"
      ? floatsOf(dtype, lanes).min(a, b)
      : lanes === 1
        ? ((x: Expr, y: Expr) => i32.select(x, y, i32.lt_s(x, y)))(keep(a), keep(b))
        : i32x4.min_s(a, b),
  neg: ([x], { dtypes: [dtype], lanes }) =>
    dtype !== "int32" ? floatsOf(dtype, lanes).neg(x) : lanes === 1 ? i32.sub(i32.const(0), x) : i32x4.neg(x),
  abs: ([x], { dtypes: [dtype], lanes, keep }) => {
    if (dtype !== "int32") return floatsOf(dtype, lanes).abs(x);
    if (lanes > 1) return i32x4.abs(x);
    const kept = keep(x);
    return i32.select(i32.sub(i32.const(0), kept), kept, i32.lt_s(kept, i32.const(0)));
  },
  floor: rounding("floor"),
  ceil: rounding("ceil"),
  round: rounding("nearest"),
  sqrt: float((ops, [x]) => ops.sqrt(x)),
  rsqrt: float((ops, [x], _, constant) => ops.div(constant(1), ops.sqrt(x))),
  reciprocal: float((ops, [x], _, constant) => ops.div(constant(1), x)),
  square: (args, site) => {
    const x = site.keep(args[0]);
    return short["mul"]([x, x], site);
  },
  relu: ([x], site) => short["max"]([x, literal(0, site.dtypes[0], site.lanes)], site),
  sign: float((ops, [x], { dtypes: [dtype], lanes, keep }, constant) => {
    const kept = keep(x);
    const negative = selected(ops.lt(kept, constant(0)), constant(-1), kept, dtype, lanes);
    return selected(ops.gt(kept, constant(0)), constant(1), negative, dtype, lanes);
  }),
  // 0 times anything is 0, in the product of the chain rule.
  strongMul: float((ops, [a, b], { dtypes: [dtype], lanes, keep }, constant) => {
    const [x, y] = [keep(a), keep(b)];
    const product = keep(ops.mul(x, y));
    const isZero = or(ops.eq(x, constant(0)), ops.eq(y, constant(0)), lanes);
    const isWrong = and(isZero, ops.ne(product, product), lanes);
    return lanes > 1 ? v128.andnot(product, isWrong) : selected(isWrong, constant(0), product, dtype, lanes);
  }),
  clamp: float((ops, [x], { params }, constant) => {
    const { low, high } = params as { readonly low: number; readonly high: number };
    return ops.min(ops.max(x, constant(low)), constant(high));
  }),
  isFinite: float((ops, [x], { dtypes: [dtype], lanes }, constant) =>
    maskFrom(ops.lt(ops.abs(x), constant(Infinity)), dtype, lanes),
  ),
  eq: comparison("eq"),
  ne: comparison("ne"),
  lt: comparison("lt"),
  le: comparison("le"),
  gt: comparison("gt"),
  ge: comparison("ge"),
  and: ([a, b], { lanes }) => and(a, b, lanes),
  or: ([a, b], { lanes }) => or(a, b, lanes),
  not: ([x], { lanes }) => (lanes > 1 ? v128.not(x) : i32.eqz(x)),
  where: ([mask, a, b], { output, lanes }) => selected(maskFor(mask, output, lanes), a, b, output, lanes),
  convert: ([x], { dtypes: [from], output, lanes }) => converted(x, from, output, lanes),
  stopGradient: ([x]) => x,
  straightThrough: ([hard]) => hard,
  broadcastTo: ([x]) => x,
};

/** Primitives whose short code is for floating values alone. */
const floatOnly = new Set(["div", "sqrt", "rsqrt", "reciprocal", "sign", "strongMul", "clamp", "isFinite"]);

/** Code for primitives that take more than a few instructions, by name: emitted as functions. */
export type Mathematics = (name: string, args: readonly Expr[], site: Site) => Expr | undefined;

/** How a primitive without code is computed: element by element, by the host. */
export interface HostElementwise {
  /** Calls the host with the number under which it knows this primitive at this site, and up to three elements. */
  readonly callee: FunctionRef;
  readonly numberOf: (name: string, site: Site) => number;
  /** How many such sites there are so far. */
  readonly calls: () => number;
}

/** The value of an elementwise primitive. */
export function elementwise(
  name: string,
  args: readonly Expr[],
  site: Site,
  mathematics: Mathematics,
  host: HostElementwise,
): Expr {
  const isFloat = site.dtypes[0] === "float64" || site.dtypes[0] === "float32";
  if (name in short && (isFloat || !floatOnly.has(name))) return short[name](args, site);
  return mathematics(name, args, site) ?? byHost(name, args, site, host);
}

function byHost(
  name: string,
  args: readonly Expr[],
  site: Site,
  { callee, numberOf }: HostElementwise,
): Expr {
  const { dtypes, output, lanes, keep } = site;
  const number = i32.const(numberOf(name, site));
  const one = (scalars: readonly Expr[]): Expr => {
    const numbers = scalars.map((x, i) => converted(x, dtypes[i], "float64", 1));
    while (numbers.length < 3) numbers.push(f64.const(0));
    const found = callOf(callee, number, ...numbers);
    return output === "bool"
      ? converted(found, "float64", "bool", 1)
      : converted(found, "float64", output, 1);
  };
  if (lanes === 1) return one(args);
  const kept = args.map(keep);
  let vector = literal(0, output, lanes);
  for (let lane = 0; lane < lanes; lane++) {
    const scalars = kept.map((x, i) => laneOf(x, dtypes[i], lanes, lane));
    vector = withLane(vector, output, lanes, lane, one(scalars));
  }
  return vector;
}

/** Keeps values in variables of a function. */
export const keepIn =
  (f: FunctionBuilder): Site["keep"] =>
  (value) =>
    value.args.length === 0 ? value : f.let(value).get;
