/** Contractions as products of matrices: which axes are rows, columns, terms and batches, and how far apart they lie. */
import type { DType, DotParams } from "@cotangent/core";
import type { Epilogue } from "./epilogue.ts";
import type { Layout } from "./layout.ts";

/**
 * An axis that A, B and C go through together, and what an epilogue reads and writes: each by a stride in elements, which is 0
 * where it takes no part.
 */
export interface ProductAxis {
  readonly size: number;
  readonly strides: readonly number[];
}

/**
 * C[b, m, n] = sum over k of A[b, m, k] B[b, k, n], where each index stands for several axes, the last of them the fastest. So
 * a convolution is a product too: its windows are rows and terms of an image, which overlap.
 */
export interface ProductSpec {
  readonly dtype: DType;
  readonly batch: readonly ProductAxis[];
  readonly rows: readonly ProductAxis[];
  readonly columns: readonly ProductAxis[];
  readonly terms: readonly ProductAxis[];
  readonly epilogue?: Epilogue;
}

export const countOf = (axes: readonly ProductAxis[]): number =>
  axes.reduce((total, { size }) => total * size, 1);

/** The axes with neighbours that all operands go through as through one made one, and those of size 1 left out. */
export function merged(axes: readonly ProductAxis[]): ProductAxis[] {
  const found: ProductAxis[] = [];
  for (const axis of axes) {
    if (axis.size === 1) continue;
    const last = found.at(-1);
    if (last?.strides.every((stride, i) => stride === axis.strides[i] * axis.size) === true)
      found[found.length - 1] = { size: last.size * axis.size, strides: axis.strides };
    else found.push(axis);
  }
  return found;
}

/** The product with its axes merged. */
export const simplest = ({ batch, rows, columns, terms, ...rest }: ProductSpec): ProductSpec => ({
  ...rest,
  batch: merged(batch),
  rows: merged(rows),
  columns: merged(columns),
  terms: merged(terms),
});

/** The same product with A and B, and so rows and columns, in each other's places. */
export function swapped({ batch, rows, columns, terms, ...rest }: ProductSpec): ProductSpec {
  const swap = (axes: readonly ProductAxis[]): ProductAxis[] =>
    axes.map(({ size, strides: [a, b, ...others] }) => ({ size, strides: [b, a, ...others] }));
  return { ...rest, batch: swap(batch), rows: swap(columns), columns: swap(rows), terms: swap(terms) };
}

const free = (rank: number, ...used: (readonly number[])[]): number[] =>
  Array.from({ length: rank }, (_, i) => i).filter((i) => !used.some((list) => list.includes(i)));

/** The product that a contraction is, with a result in order: its axes are those of the batch, the rows and the columns. */
export function productOf(
  dtype: DType,
  x: Layout,
  y: Layout,
  { contractX, contractY, batchX, batchY }: DotParams,
): ProductSpec {
  const freeX = free(x.shape.length, contractX, batchX);
  const freeY = free(y.shape.length, contractY, batchY);
  // The result's axes from the last to the first.
  let stride = 1;
  const strideOfNext = (size: number): number => {
    stride *= size;
    return stride / size;
  };
  const columns = freeY.toReversed().map((axis): ProductAxis => {
    const size = y.shape[axis];
    return { size, strides: [0, y.strides[axis], strideOfNext(size)] };
  });
  const rows = freeX.toReversed().map((axis): ProductAxis => {
    const size = x.shape[axis];
    return { size, strides: [x.strides[axis], 0, strideOfNext(size)] };
  });
  const batch = [...batchX.keys()].toReversed().map((i): ProductAxis => {
    const size = x.shape[batchX[i]];
    return { size, strides: [x.strides[batchX[i]], y.strides[batchY[i]], strideOfNext(size)] };
  });
  const terms = contractX.map((axis, i): ProductAxis => ({
    size: x.shape[axis],
    strides: [x.strides[axis], y.strides[contractY[i]], 0],
  }));
  return {
    dtype,
    batch: batch.toReversed(),
    rows: rows.toReversed(),
    columns: columns.toReversed(),
    // In the order in which the first operand lies: a sum may be taken in any.
    terms: terms.toSorted((p, q) => Math.abs(q.strides[0]) - Math.abs(p.strides[0])),
  };
}
