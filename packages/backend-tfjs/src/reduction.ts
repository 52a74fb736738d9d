/** Reductions: the reduced axes are moved last, and a matrix is reduced along its rows. */
import {
  type Aval,
  type Axes,
  type Axis,
  type CumulativeParams,
  type Kernel,
  type Tensor,
  sizeOf,
} from "@cotangent/core";
import type { Tensor as TfTensor } from "@tensorflow/tfjs-core";
import { around, permuted } from "./shape.ts";
import * as ops from "./tf-ops.ts";

/** One row per element of the output. */
function rows(x: Tensor, axes: readonly number[]): TfTensor {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const moved = permuted(x.buffer as TfTensor, x.shape, [...kept, ...axes]);
  return ops.reshape(moved, [sizeOf(kept.map((i) => x.shape[i])), sizeOf(axes.map((i) => x.shape[i]))]);
}

function reduction(reduce: (matrix: TfTensor) => TfTensor): Kernel {
  return ([x], output, params) => ops.reshape(reduce(rows(x, (params as Axes).axes)), [...output.shape]);
}

/** A NaN in a row makes its extremum NaN, which tfjs does not promise: a sum of x - x finds it. */
function withNaN(matrix: TfTensor, extremum: TfTensor): TfTensor {
  const isNaN = ops.cast(ops.notEqual(matrix, matrix), "float32");
  return ops.where(ops.greater(ops.max(isNaN, 1), 0), ops.fill(extremum.shape, NaN), extremum);
}

const extremum =
  (op: typeof ops.max): ((matrix: TfTensor) => TfTensor) =>
  (matrix) => {
    const found = op(matrix, 1);
    return matrix.dtype === "float32" ? withNaN(matrix, found) : found;
  };

function logSumExp(matrix: TfTensor): TfTensor {
  const top = extremum(ops.max)(matrix);
  const shift = ops.where(ops.isFinite(top), top, ops.zerosLike(top));
  const total = ops.sum(ops.exp(ops.sub(matrix, ops.reshape(shift, [shift.size, 1]))), 1);
  // An infinite maximum is the result; all -Infinity too.
  return ops.where(ops.isFinite(top), ops.add(ops.log(total), shift), top);
}

/** The first NaN of a row, or else its first extremum, as in numpy. */
function argExtremum(op: typeof ops.max): Kernel {
  return ([x], output: Aval, params) => {
    const matrix = rows(x, [(params as Axis).axis]);
    const best = ops.reshape(op(matrix, 1), [matrix.shape[0], 1]);
    const isNaN = ops.notEqual(matrix, matrix);
    const hits = ops.add(
      ops.cast(ops.equal(matrix, best), "float32"),
      ops.mul(2, ops.cast(isNaN, "float32")),
    );
    return ops.reshape(ops.argMax(hits, 1), [...output.shape]);
  };
}

const cumsum: Kernel = ([x], output, params) => {
  const { axis, reverse } = params as CumulativeParams;
  return ops.reshape(ops.cumsum(around(x.buffer as TfTensor, x.shape, axis), 1, false, reverse), [
    ...output.shape,
  ]);
};

export const reductions: Readonly<Record<string, Kernel>> = {
  sum: reduction((matrix) => ops.sum(matrix, 1)),
  prod: reduction((matrix) => ops.prod(matrix, 1)),
  reduceMax: reduction(extremum(ops.max)),
  reduceMin: reduction(extremum(ops.min)),
  logSumExp: reduction(logSumExp),
  argmax: argExtremum(ops.max),
  argmin: argExtremum(ops.min),
  cumsum,
};

/** What a reduction of no elements gives. */
export const ofNothing: Readonly<Record<string, number>> = { sum: 0, prod: 1, logSumExp: -Infinity };
