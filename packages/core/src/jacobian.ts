/** What both Jacobians share: bases of tangents or cotangents, and the layout of the result. */
import { type Shape, avalOf } from "./aval.ts";
import { fromHost, hostArray } from "./tensor.ts";
import { mapTree } from "./tree.ts";
import { stack } from "./ops/shape.ts";
import type { Value } from "./value.ts";

/** A Jacobian in the structure of the result and, within each leaf of it, that of the argument. */
export type Jacobian<R, T> = R extends number | Value
  ? T
  : R extends object
    ? { [K in keyof R]: Jacobian<R[K], T> }
    : never;

export interface JacobianOptions<N extends number = number> {
  /** Which argument to differentiate with respect to; by default the first. */
  readonly argnum?: N;
}

/** The k-th standard basis vector in the shape, dtype and backend of a value. */
export function basisVector(like: Value, k: number): Value {
  const host = hostArray(like.dtype, like.size);
  host[k] = 1;
  return fromHost(host, avalOf(like.shape, like.dtype), like.backend);
}

/** Columns d(out)/d(in_k), one per element of the input, as [...out, ...in]. */
export function fromColumns(columns: readonly Value[], output: Value, input: Shape): Value {
  if (columns.length === 0) return output.constant(0, avalOf([...output.shape, ...input], output.dtype));
  return stack(columns, output.rank).reshape([...output.shape, ...input]);
}

/** Rows d(out_k)/d(in), one per element of the output, as [...out, ...in]. */
export function fromRows(rows: readonly Value[], output: Shape, input: Value): Value {
  if (rows.length === 0) return input.constant(0, avalOf([...output, ...input.shape], input.dtype));
  return stack(rows, 0).reshape([...output, ...input.shape]);
}

/** A tree with the leaves replaced, in order. */
export function withLeaves<T>(tree: T, replacements: readonly unknown[]): T {
  let next = 0;
  return mapTree(tree, () => replacements[next++]);
}
