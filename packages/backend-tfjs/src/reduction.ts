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
import type { GPGPUProgram } from "@tensorflow/tfjs-backend-webgl";
import { type Tensor as TfTensor, getBackend } from "@tensorflow/tfjs-core";
import { heldDType } from "./held.ts";
import { runProgram } from "./program.ts";
import { glslFunctionsFor } from "./glsl.ts";
import { wholeProduct } from "./portable.ts";
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

/** How many elements one shader invocation looks at: a row is reduced in steps of this. */
const stride = 64;

/**
 * The extremum of each row, NaN where one is in it. tfjs's own shaders start from -1e20 for -Infinity, and do not
 * promise NaN.
 */
function extremumOfRows(matrix: TfTensor, name: "max" | "min"): TfTensor {
  if (getBackend() !== "webgl") {
    const isNaN = ops.cast(ops.notEqual(matrix, matrix), "float32");
    const found = (name === "max" ? ops.max : ops.min)(matrix, 1);
    if (matrix.dtype !== "float32") return found;
    return ops.where(ops.greater(ops.max(isNaN, 1), 0), ops.fill(found.shape, NaN), found);
  }
  let found = matrix;
  while ((found.shape[1] as number) > 1) {
    const [count, length] = found.shape as [number, number];
    const program: GPGPUProgram = {
      variableNames: ["A"],
      enableShapeUniforms: true,
      customUniforms: [{ name: "rowLength", type: "int" }],
      outputShape: [count, Math.ceil(length / stride)],
      userCode: `
      ${glslFunctionsFor(`${name}_()`)}
      void main() {
        ivec2 at = getOutputCoords();
        int first = at.y * ${stride};
        float best = getA(at.x, first);
        for (int j = first + 1; j < first + ${stride}; j++) {
          if (j >= rowLength) break;
          best = ${name}_(best, getA(at.x, j));
        }
        setOutput(best);
      }`,
    };
    found = runProgram(program, [found], [length]);
  }
  return ops.reshape(found, [matrix.shape[0]]);
}

const extremum =
  (name: "max" | "min"): ((matrix: TfTensor) => TfTensor) =>
  (matrix) =>
    extremumOfRows(matrix, name);

/** Products of each row: of int32, which wraps around, of halves of it. */
function product(matrix: TfTensor): TfTensor {
  if (matrix.dtype !== "int32" || getBackend() === "webgl") return ops.prod(matrix, 1);
  const [count, columns] = matrix.shape as [number, number];
  let found = matrix;
  for (let length = columns; length > 1; length = Math.ceil(length / 2)) {
    const half = length >> 1;
    const part = (begin: number, size: number): TfTensor => ops.slice(found, [0, begin], [count, size]);
    const products = wholeProduct(part(0, half), part(half, half));
    found = length % 2 === 0 ? products : ops.concat([products, part(2 * half, 1)], 1);
  }
  return ops.reshape(found, [count]);
}

function logSumExp(matrix: TfTensor): TfTensor {
  const top = extremumOfRows(matrix, "max");
  const shift = ops.where(ops.isFinite(top), top, ops.zerosLike(top));
  const total = ops.sum(ops.exp(ops.sub(matrix, ops.reshape(shift, [shift.size, 1]))), 1);
  // An infinite maximum is the result; all -Infinity too.
  return ops.where(ops.isFinite(top), ops.add(ops.log(total), shift), top);
}

/** The first NaN of a row, or else its first extremum, as in numpy. */
function argExtremum(name: "max" | "min"): Kernel {
  return ([x], output: Aval, params) => {
    const matrix = rows(x, [(params as Axis).axis]);
    const best = ops.reshape(extremumOfRows(matrix, name), [matrix.shape[0], 1]);
    const isNaN = ops.notEqual(matrix, matrix);
    const hits = ops.add(
      ops.cast(ops.equal(matrix, best), "float32"),
      ops.mul(2, ops.cast(isNaN, "float32")),
    );
    return ops.cast(ops.reshape(ops.argMax(hits, 1), [...output.shape]), heldDType("int32"));
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
  prod: reduction(product),
  reduceMax: reduction(extremum("max")),
  reduceMin: reduction(extremum("min")),
  logSumExp: reduction(logSumExp),
  argmax: argExtremum("max"),
  argmin: argExtremum("min"),
  cumsum,
};

/** What a reduction of no elements gives. */
export const ofNothing: Readonly<Record<string, number>> = { sum: 0, prod: 1, logSumExp: -Infinity };
