/** Reading and adding at indices. */
import { type Axis, type Kernel, ShapeError, type Tensor, fail, sizeOf } from "@cotangent/core";
import { type Rank, type Tensor as TfTensor, type Tensor1D, getBackend } from "@tensorflow/tfjs-core";
import { around } from "./shape.ts";
import * as ops from "./tf-ops.ts";

/**
 * The indices as a flat list, checked. WebGL reads anything at an index out of range, so they are read back; most come
 * from the host and are there still.
 */
function checked(who: string, x: Tensor, indices: Tensor, axis: number): Tensor1D {
  const flat = ops.reshape<Rank.R1>(indices.buffer as TfTensor, [indices.size]);
  const size = x.shape[axis];
  for (const index of flat.dataSync()) {
    if (!(index >= 0 && index < size)) {
      fail(
        ShapeError,
        `${who}: index ${index} is outside [0, ${size}), the range of axis ${axis} of ${x.aval}.`,
      );
    }
  }
  return ops.cast(flat, "int32");
}

const gather: Kernel = ([x, indices], output, params) => {
  const { axis } = params as Axis;
  const flat = checked("gather", x, indices, axis);
  return ops.reshape(ops.gather(around(x.buffer as TfTensor, x.shape, axis), flat, 1), [...output.shape]);
};

const scatterAdd: Kernel = ([x, indices, updates], output, params) => {
  const { axis } = params as Axis;
  if (updates.size === 0) return x.buffer;
  const flat = checked("scatterAdd", x, indices, axis);
  const before = sizeOf(x.shape.slice(0, axis));
  const after = sizeOf(x.shape.slice(axis + 1));
  const parts = ops.reshape(updates.buffer as TfTensor, [before, indices.size, after]);
  // Segments are summed along the first axis.
  const first = ops.reshape(ops.transpose(parts, [1, 0, 2]), [indices.size, before * after]);
  const length = x.shape[axis];
  // tfjs sums segments in float32, which is not exact for an int32.
  const summed =
    x.dtype === "int32" && getBackend() === "cpu"
      ? ops.slice(ops.matMul(ops.oneHot(flat, Math.max(2, length), 1, 0, "int32"), first, true), 0, length)
      : ops.unsortedSegmentSum(first, flat, length);
  const sums = ops.reshape(summed, [length, before, after]);
  const placed = ops.reshape(ops.transpose(sums, [1, 0, 2]), [...output.shape]);
  return ops.add(x.buffer as TfTensor, placed);
};

export const indexing: Readonly<Record<string, Kernel>> = { gather, scatterAdd };
