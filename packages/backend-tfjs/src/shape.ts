/** Kernels that rearrange elements: axes are merged until at most three or four are left, which every tfjs kernel takes. */
import {
  type Axes,
  type Kernel,
  type PadParams,
  type Shape,
  type SliceParams,
  sizeOf,
  stridesOf,
} from "@cotangent/core";
import type { Tensor as TfTensor } from "@tensorflow/tfjs-core";
import * as ops from "./tf-ops.ts";

const bufferOf = (x: { readonly buffer: unknown }): TfTensor => x.buffer as TfTensor;

/** The value as [before, axis, after]. */
export function around(x: TfTensor, shape: Shape, axis: number): TfTensor {
  return ops.reshape(x, [sizeOf(shape.slice(0, axis)), shape[axis], sizeOf(shape.slice(axis + 1))]);
}

/** The axes in another order; neighbours that stay neighbours move as one. */
export function permuted(x: TfTensor, shape: Shape, permutation: readonly number[]): TfTensor {
  const groups: number[][] = [];
  for (const axis of permutation) {
    const last = groups.at(-1);
    if (shape[axis] === 1) continue;
    if (last !== undefined && last.at(-1) === axis - 1) last.push(axis);
    else groups.push([axis]);
  }
  const inOrder = [...groups].sort((a, b) => a[0] - b[0]);
  const order = groups.map((group) => inOrder.indexOf(group));
  const target = permutation.map((axis) => shape[axis]);
  if (order.every((from, to) => from === to)) return ops.reshape(x, target);
  // Not before it is needed: a reshape of what tfjs keeps in a packed texture is a draw.
  const merged = ops.reshape(
    x,
    inOrder.map((group) => sizeOf(group.map((axis) => shape[axis]))),
  );
  if (order.length <= 6) return ops.reshape(ops.transpose(merged, order), target);
  return readAt(
    x,
    target,
    permutation.map((axis) => stridesOf(shape)[axis]),
  );
}

/** Elements picked one by one, by their offsets: for ranks that tfjs's shaders do not reach. */
function readAt(x: TfTensor, shape: Shape, strides: readonly number[]): TfTensor {
  const index = new Int32Array(sizeOf(shape));
  const place = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < index.length; i++) {
    index[i] = place.reduce((offset, p, axis) => offset + p * strides[axis], 0);
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis] === shape[axis]; axis--) place[axis] = 0;
  }
  const flat = ops.reshape(x, [x.size]);
  return ops.reshape(ops.gather(flat, ops.tensor1d(index, "int32")), [...shape]);
}

const slice: Kernel = ([x], output, params) => {
  const { begin, end, strides } = params as SliceParams;
  // One axis at a time, as [before, axis, after].
  let found = bufferOf(x);
  const shape = [...x.shape];
  for (let axis = 0; axis < shape.length; axis++) {
    const length = end[axis] - begin[axis];
    if (length !== shape[axis]) {
      const whole = around(found, shape, axis);
      found = ops.slice(whole, [0, begin[axis], 0], [whole.shape[0], length, whole.shape[2] as number]);
      shape[axis] = length;
    }
    if (strides[axis] !== 1) {
      const whole = around(found, shape, axis);
      const [before, , after] = whole.shape as [number, number, number];
      found = ops.stridedSlice(whole, [0, 0, 0], [before, length, after], [1, strides[axis], 1]);
      shape[axis] = Math.ceil(length / strides[axis]);
    }
  }
  return ops.reshape(found, [...output.shape]);
};

/** Zeros around and between the elements, one axis at a time. */
export function padded(
  x: TfTensor,
  shape: Shape,
  { low, high, interior }: Omit<PadParams, "value">,
): TfTensor {
  let found = x;
  const size = [...shape];
  for (let axis = 0; axis < shape.length; axis++) {
    if (interior[axis] > 0 && size[axis] > 1) {
      const n = size[axis];
      const [before, , after] = around(found, size, axis).shape as [number, number, number];
      const apart = ops.pad(ops.reshape(found, [before * n, 1, after]), [
        [0, 0],
        [0, interior[axis]],
        [0, 0],
      ]);
      size[axis] = (n - 1) * (interior[axis] + 1) + 1;
      found = ops.slice(
        ops.reshape(apart, [before, n * (interior[axis] + 1), after]),
        [0, 0, 0],
        [before, size[axis], after],
      );
    }
    if (low[axis] + high[axis] > 0) {
      found = ops.pad(around(found, size, axis), [
        [0, 0],
        [low[axis], high[axis]],
        [0, 0],
      ]);
      size[axis] += low[axis] + high[axis];
    }
  }
  return ops.reshape(found, size);
}

const concatenate: Kernel = (inputs, output, params) => {
  const { axis } = params as { axis: number };
  const parts = inputs.filter((x) => x.size > 0).map((x) => around(bufferOf(x), x.shape, axis));
  return ops.reshape(parts.length === 1 ? parts[0] : ops.concat(parts, 1), [...output.shape]);
};

const flip: Kernel = ([x], output, params) => {
  let found = bufferOf(x);
  for (const axis of (params as Axes).axes) found = ops.reverse(around(found, x.shape, axis), 1);
  return ops.reshape(found, [...output.shape]);
};

export const shape: Readonly<Record<string, Kernel>> = {
  reshape: ([x], output) => ops.reshape(bufferOf(x), [...output.shape]),
  transpose: ([x], _, params) =>
    permuted(bufferOf(x), x.shape, (params as { permutation: readonly number[] }).permutation),
  slice,
  pad: ([x], _, params) => padded(bufferOf(x), x.shape, params as PadParams),
  concatenate,
  flip,
};
