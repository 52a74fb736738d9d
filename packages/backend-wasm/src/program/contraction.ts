/** `dotGeneral` as a product of matrices: which axes are rows, columns, terms and batches, and how far apart they lie. */
import type { DType, DotParams, Shape } from "@cotangent/core";
import { type Layout } from "./layout.ts";

/** C[b, m, n] = sum over k of A[b, m, k] B[b, k, n]; strides in elements. */
export interface ProductSpec {
  readonly dtype: DType;
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly a: { readonly batch: number; readonly row: number; readonly term: number };
  readonly b: { readonly batch: number; readonly term: number; readonly column: number };
  readonly c: { readonly batch: number; readonly row: number; readonly column: number };
}

const free = (rank: number, ...used: (readonly number[])[]): number[] =>
  Array.from({ length: rank }, (_, i) => i).filter((i) => !used.some((list) => list.includes(i)));

const product = (shape: Shape, axes: readonly number[]): number =>
  axes.reduce((total, axis) => total * shape[axis], 1);

/** The one stride by which several axes are gone through as through one; undefined where there is none. */
function strideOf({ shape, strides }: Layout, axes: readonly number[]): number | undefined {
  const real = axes.filter((axis) => shape[axis] !== 1);
  for (let i = 0; i + 1 < real.length; i++)
    if (strides[real[i]] !== strides[real[i + 1]] * shape[real[i + 1]]) return undefined;
  return real.length === 0 ? 0 : strides[real[real.length - 1]];
}

/** The product that a contraction is; undefined where an operand's axes do not merge, so that it has to be put in order first. */
export function productOf(
  dtype: DType,
  x: Layout,
  y: Layout,
  { contractX, contractY, batchX, batchY }: DotParams,
): ProductSpec | undefined {
  const [rowAxes, columnAxes] = [
    free(x.shape.length, contractX, batchX),
    free(y.shape.length, contractY, batchY),
  ];
  const found = [
    strideOf(x, batchX),
    strideOf(x, rowAxes),
    strideOf(x, contractX),
    strideOf(y, batchY),
    strideOf(y, contractY),
    strideOf(y, columnAxes),
  ];
  if (found.some((stride) => stride === undefined)) return undefined;
  const [xBatch, xRow, xTerm, yBatch, yTerm, yColumn] = found as number[];
  const [rows, columns] = [product(x.shape, rowAxes), product(y.shape, columnAxes)];
  return {
    dtype,
    batch: product(x.shape, batchX),
    rows,
    columns,
    depth: product(x.shape, contractX),
    a: { batch: xBatch, row: xRow, term: xTerm },
    b: { batch: yBatch, term: yTerm, column: yColumn },
    c: { batch: rows * columns, row: columns, column: 1 },
  };
}

/** The axes of an operand in the order batch, free, contracted: an order in which each kind merges. */
export function mergeableOrder(
  rank: number,
  batch: readonly number[],
  contract: readonly number[],
): number[] {
  return [...batch, ...free(rank, batch, contract), ...contract];
}
