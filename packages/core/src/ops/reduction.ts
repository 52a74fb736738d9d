/** Reductions and what is built of them. */
import { normalizeAxes, normalizeAxis } from "../aval.ts";
import { bind } from "../bind.ts";
import { ShapeError, fail } from "../errors.ts";
import { type Operand, lift } from "../operand.ts";
import type { Primitive } from "../primitive.ts";
import * as primitives from "../primitives/reduction.ts";
import { stopGradient } from "../primitives/cast.ts";
import type { Value } from "../value.ts";

export interface ReductionOptions {
  /** The axes to reduce; by default all. Negative ones count from the back. */
  readonly axis?: number | readonly number[];
  /** Whether the result keeps the reduced axes, with size 1. */
  readonly keepDims?: boolean;
}

function reduce(primitive: Primitive, x: Operand, { axis, keepDims }: ReductionOptions): Value {
  const [value] = lift(primitive.name, [x]);
  const axes = normalizeAxes(primitive.name, axis, value.rank);
  const result =
    axes.length === 0 && primitive.rules.form === "linear" ? value : bind(primitive, [value], { axes });
  return keepDims === true ? result.reshape(value.shape.map((n, i) => (axes.includes(i) ? 1 : n))) : result;
}

export type Reduction = (x: Operand, options?: ReductionOptions) => Value;

export const sum: Reduction = (x, options = {}) => reduce(primitives.reduceSum.primitive, x, options);
export const prod: Reduction = (x, options = {}) => reduce(primitives.reduceProd.primitive, x, options);
/** The largest elements; k that tie share the derivative. ShapeError where there is nothing to choose from. */
export const max: Reduction = (x, options = {}) => reduce(primitives.reduceMax.primitive, x, options);
/** The smallest elements; k that tie share the derivative. ShapeError where there is nothing to choose from. */
export const min: Reduction = (x, options = {}) => reduce(primitives.reduceMin.primitive, x, options);
/** log(sum(exp(x))) without overflow. */
export const logSumExp: Reduction = (x, options = {}) =>
  reduce(primitives.reduceLogSumExp.primitive, x, options);

function countAlong(who: string, x: Value, axis: ReductionOptions["axis"]): number {
  return normalizeAxes(who, axis, x.rank).reduce((count, i) => count * x.shape[i], 1);
}

export const mean: Reduction = (x, options = {}) => {
  const [value] = lift("mean", [x]);
  return sum(value, options).mul(1 / countAlong("mean", value, options.axis));
};

/** The variance; `correction` 1 divides by n - 1 instead of n. */
export function variance(
  x: Operand,
  options: ReductionOptions & { readonly correction?: number } = {},
): Value {
  const [value] = lift("variance", [x]);
  const count = countAlong("variance", value, options.axis) - (options.correction ?? 0);
  const centred = value.sub(mean(value, { ...options, keepDims: true }));
  return sum(centred.square(), options).div(count);
}

/** The Euclidean norm; its derivative at the zero vector is 0, the subgradient of minimum norm. */
export const norm: Reduction = (x, options = {}) => sum(lift("norm", [x])[0].square(), options).sqrt();

/** Running sums along an axis; with `reverse`, from the end. */
export function cumsum(x: Operand, axis = 0, options: { readonly reverse?: boolean } = {}): Value {
  const [value] = lift("cumsum", [x]);
  return primitives.cumulativeSum(value, {
    axis: normalizeAxis("cumsum", axis, value.rank),
    reverse: options.reverse ?? false,
  });
}

/**
 * Running products along an axis, by doubling: log2(n) elementwise products, so that derivatives of every order are
 * right through zeros (Hillis and Steele, Data parallel algorithms, 1986).
 */
export function cumprod(x: Operand, axis = 0): Value {
  let [value] = lift("cumprod", [x]);
  const along = normalizeAxis("cumprod", axis, value.rank);
  const length = value.shape[along];
  for (let shift = 1; shift < length; shift *= 2) {
    const upTo = (n: number): number[] => value.shape.map((size, i) => (i === along ? n : size));
    const from = value.shape.map((_, i) => (i === along ? shift : 0));
    const earlier = value.slice(
      from.map(() => 0),
      upTo(length - shift),
    );
    const later = value.slice(from).mul(earlier);
    value = value
      .slice(
        from.map(() => 0),
        upTo(shift),
      )
      .concatenate([later], along);
  }
  return value;
}

function argReduce(op: typeof primitives.argmaxAlong, x: Operand, axis?: number): Value {
  const { name } = op.primitive;
  const [value] = lift(name, [x]);
  if (axis === undefined) return op(stopGradient(value).reshape([value.size]), { axis: 0 });
  if (value.rank === 0) fail(ShapeError, `${name}: axis ${axis} asked for, but the value has rank 0.`);
  return op(value, { axis: normalizeAxis(name, axis, value.rank) });
}

/** The int32 index of the first largest element along an axis; without one, in the flattened value. */
export const argmax = (x: Operand, axis?: number): Value => argReduce(primitives.argmaxAlong, x, axis);
/** The int32 index of the first smallest element along an axis; without one, in the flattened value. */
export const argmin = (x: Operand, axis?: number): Value => argReduce(primitives.argminAlong, x, axis);

/** exp(x) / sum(exp(x)) along an axis, without overflow. */
export function softmax(x: Operand, axis = -1): Value {
  return logSoftmax(x, axis).exp();
}

/** log(softmax(x)) along an axis, without overflow. */
export function logSoftmax(x: Operand, axis = -1): Value {
  const [value] = lift("logSoftmax", [x]);
  return value.sub(logSumExp(value, { axis, keepDims: true }));
}
