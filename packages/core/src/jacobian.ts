/** What both Jacobians share: bases of tangents or cotangents, and the layout of the result. */
import { type Shape, avalOf } from "./aval.ts";
import { ShapeError, fail } from "./errors.ts";
import { fromHost, hostArray } from "./tensor.ts";
import { mapTree } from "./tree.ts";
import { runBatched } from "./vmap/batch-trace.ts";
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
  /**
   * How many directions go through at once, as a batch; each takes the memory of a JVP or VJP. By default all, but no
   * more than keep a batch of arguments and results below a million elements (2^20); in reverse mode, a batch of the
   * largest value on the way from one to the other too. Forward mode does not know that value before it has run: where it
   * is much larger than the argument, a smaller chunk bounds the memory. With 1 nothing is batched: the passes run one
   * after the other, as they must where a rule of one's own (`custom`) asks for the elements of a tangent or cotangent.
   */
  readonly chunk?: number;
}

/** Elements of arguments and results that a batch of directions may have by default. */
const batchElements = 1 << 20;

/** The number of directions at a time, for so many in all and so many elements that each takes. */
export function chunkSize(
  who: string,
  chunk: number | undefined,
  directions: number,
  elements: number,
): number {
  if (chunk === undefined)
    return Math.max(1, Math.min(directions, Math.floor(batchElements / Math.max(1, elements))));
  if (!Number.isInteger(chunk) || chunk < 1)
    fail(ShapeError, `${who}: chunk ${chunk} given; it must be a whole number of directions, at least 1.`);
  return chunk;
}

/** Standard basis vectors from number `start` up to, not including, `end`, as rows [end - start, ...shape of the value]. */
export function basisVectors(like: Value, start: number, end: number): Value {
  const host = hostArray(like.dtype, (end - start) * like.size);
  for (let k = start; k < end; k++) host[(k - start) * like.size + k] = 1;
  return fromHost(host, avalOf([end - start, ...like.shape], like.dtype), like.backend);
}

/** The ranges into which so many directions are cut. */
export function chunks(directions: number, chunk: number): { start: number; end: number }[] {
  return Array.from({ length: Math.ceil(directions / chunk) }, (_, i) => ({
    start: i * chunk,
    end: Math.min(directions, (i + 1) * chunk),
  }));
}

/** A derivative along each of a batch of directions, [batch, ...], all at once; its results have the batch in front. */
export function alongAll(
  who: string,
  directions: Value,
  along: (direction: Value) => readonly Value[],
): Value[] {
  const advice =
    `${who} takes many directions at once, and a rule of a derivative asked for the elements of one. With the option ` +
    `{ chunk: 1 } it takes them one by one.`;
  return runBatched(who, directions.shape[0], along, [directions], [true], "all", advice).outputs;
}

/** The k-th standard basis vector in the shape, dtype and backend of a value. */
export function basisVector(like: Value, k: number): Value {
  const host = hostArray(like.dtype, like.size);
  host[k] = 1;
  return fromHost(host, avalOf(like.shape, like.dtype), like.backend);
}

/** Batches of columns d(out)/d(in_k), each [...out, batch], as [...out, ...in]. */
export function fromColumns(batches: readonly Value[], output: Value, input: Shape): Value {
  if (batches.length === 0) return output.constant(0, avalOf([...output.shape, ...input], output.dtype));
  return joined(batches, output.rank).reshape([...output.shape, ...input]);
}

/** Batches of rows d(out_k)/d(in), each [batch, ...in], as [...out, ...in]. */
export function fromRows(batches: readonly Value[], output: Shape, input: Value): Value {
  if (batches.length === 0) return input.constant(0, avalOf([...output, ...input.shape], input.dtype));
  return joined(batches, 0).reshape([...output, ...input.shape]);
}

/** Batches joined; one of several directions is whole as it is. */
const joined = ([first, ...others]: readonly Value[], axis: number): Value =>
  others.length === 0 && first.shape[axis] > 1 ? first : first.concatenate(others, axis);

/** A tree with the leaves replaced, in order. */
export function withLeaves<T>(tree: T, replacements: readonly unknown[]): T {
  let next = 0;
  return mapTree(tree, () => replacements[next++]);
}
