/**
 * Every op function as a method of `Value`. The rules of the primitives are written with these methods too, so that a
 * file of primitives needs no other.
 */
import type { Aval, Shape } from "../aval.ts";
import type { DType } from "../dtype.ts";
import type { Operand } from "../operand.ts";
import { astype, stopGradient } from "../primitives/cast.ts";
import * as binary from "../primitives/binary.ts";
import * as comparison from "../primitives/comparison.ts";
import { clamp } from "../primitives/selection.ts";
import * as unary from "../primitives/unary.ts";
import { Value } from "../value.ts";
import { dot, matmul, outer, trace } from "./contraction.ts";
import { constantLike, onesLike, zerosLike } from "./creation.ts";
import { sinc } from "./elementwise.ts";
import { scatterAdd, take } from "./indexing.ts";
import * as reduction from "./reduction.ts";
import type { ReductionOptions } from "./reduction.ts";
import * as shape from "./shape.ts";

type Unary = Record<keyof typeof unaryMethods, () => Value>;
type Binary = Record<keyof typeof binaryMethods, (y: Operand) => Value>;
type Reduce = Record<keyof typeof reductionMethods, (options?: ReductionOptions) => Value>;

/** The methods that every value has. */
export interface Methods extends Unary, Binary, Reduce {
  clamp(low: Operand, high: Operand): Value;
  astype(dtype: DType): Value;
  stopGradient(): Value;
  reshape(shape: Shape): Value;
  transpose(permutation?: readonly number[]): Value;
  broadcastTo(shape: Shape): Value;
  concatenate(others: readonly Operand[], axis?: number): Value;
  split(parts: number | readonly number[], axis?: number): Value[];
  slice(begin: readonly number[], end?: readonly number[], strides?: readonly number[]): Value;
  at(index: number, axis?: number): Value;
  pad(widths: readonly (readonly [number, number])[], value?: number): Value;
  flip(axis?: number | readonly number[]): Value;
  expandDims(axis: number): Value;
  squeeze(axis?: number | readonly number[]): Value;
  variance(options?: ReductionOptions & { readonly correction?: number }): Value;
  cumsum(axis?: number, options?: { readonly reverse?: boolean }): Value;
  cumprod(axis?: number): Value;
  argmax(axis?: number): Value;
  argmin(axis?: number): Value;
  softmax(axis?: number): Value;
  logSoftmax(axis?: number): Value;
  matmul(y: Value): Value;
  dot(y: Value): Value;
  outer(y: Value): Value;
  trace(): Value;
  take(indices: Value | readonly number[], axis?: number): Value;
  scatterAdd(indices: Value | readonly number[], updates: Value, axis?: number): Value;
  /** Zeros in this value's shape and dtype. */
  zerosLike(): Value;
  /** Ones in this value's shape and dtype. */
  onesLike(): Value;
  /** A value where this one is (its backend, its graph) with every element the same. */
  constant(value: number, aval: Aval): Value;
}

const unaryMethods = { ...unary, not: comparison.not, isFinite: comparison.isFinite, sinc };
const { isFinite: _isFinite, not: _not, ...comparisons } = comparison;
const binaryMethods = { ...binary, ...comparisons };
const { sum, prod, max, min, mean, norm, logSumExp } = reduction;
const reductionMethods = { sum, prod, max, min, mean, norm, logSumExp };

function method(op: (x: Value, ...rest: never[]) => unknown): PropertyDescriptor {
  const call = op as (x: Value, ...rest: unknown[]) => unknown;
  return {
    configurable: true,
    writable: true,
    value(this: Value, ...rest: unknown[]): unknown {
      return call(this, ...rest);
    },
  };
}

const { reshape, transpose, broadcastTo, split, slice, at, pad, flip, expandDims, squeeze } = shape;
const { variance, cumsum, cumprod, argmax, argmin, softmax, logSoftmax } = reduction;
const otherMethods = {
  clamp,
  astype,
  stopGradient,
  reshape,
  transpose,
  broadcastTo,
  split,
  slice,
  at,
  pad,
  flip,
  expandDims,
  squeeze,
  variance,
  cumsum,
  cumprod,
  argmax,
  argmin,
  softmax,
  logSoftmax,
  matmul,
  dot,
  outer,
  trace,
  take,
  scatterAdd,
  zerosLike,
  onesLike,
  concatenate: (x: Value, others: readonly Operand[], axis?: number) =>
    shape.concatenate([x, ...others], axis),
  constant: constantLike,
};

for (const [name, op] of Object.entries({ ...reductionMethods, ...otherMethods })) {
  Object.defineProperty(Value.prototype, name, method(op));
}
// The methods of the eager scalar path take their operands without a rest array.
for (const [name, op] of Object.entries(unaryMethods)) {
  Object.defineProperty(Value.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Value): Value {
      return op(this);
    },
  });
}
for (const [name, op] of Object.entries(binaryMethods)) {
  Object.defineProperty(Value.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Value, y: Operand): Value {
      return op(this, y);
    },
  });
}
