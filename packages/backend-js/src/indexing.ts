import { type Axis, type Kernel, ShapeError, type Tensor, type TypedArray, fail } from "@cotangent/core";
import { elements, result, stored } from "./storage.ts";

/** The sizes around the indexed axis, and the checked indices. */
function layout(
  who: string,
  x: Tensor,
  indices: Tensor,
  axis: number,
): { outer: number; inner: number; size: number; at: TypedArray } {
  const at = elements(indices);
  const size = x.shape[axis];
  for (const index of at) {
    if (index < 0 || index >= size) {
      fail(
        ShapeError,
        `${who}: index ${index} is outside [0, ${size}), the range of axis ${axis} of ${x.aval}.`,
      );
    }
  }
  const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
  return { outer: product(x.shape.slice(0, axis)), inner: product(x.shape.slice(axis + 1)), size, at };
}

const gather: Kernel = ([x, indices], output, params) => {
  const { outer, inner, size, at } = layout("gather", x, indices, (params as Axis).axis);
  const source = elements(x);
  const out = result(output);
  let next = 0;
  for (let i = 0; i < outer; i++) {
    for (const index of at) {
      for (let j = 0; j < inner; j++) out[next++] = source[(i * size + index) * inner + j];
    }
  }
  return stored(out, output);
};

const scatterAdd: Kernel = ([x, indices, updates], output, params) => {
  const { outer, inner, size, at } = layout("scatterAdd", x, indices, (params as Axis).axis);
  const sums = Float64Array.from(elements(x));
  const source = elements(updates);
  let next = 0;
  for (let i = 0; i < outer; i++) {
    for (const index of at) {
      for (let j = 0; j < inner; j++) sums[(i * size + index) * inner + j] += source[next++];
    }
  }
  const out = result(output);
  out.set(sums);
  return stored(out, output);
};

/** Kernels of the indexing primitives. */
export const indexing: Record<string, Kernel> = { gather, scatterAdd };
