/** Loops over arrays, and loops of a known number of steps. */
import { avalOf } from "../aval.ts";
import { DTypeError, ShapeError, TreeError, fail } from "../errors.ts";
import { type Liftable, leaves } from "../tree.ts";
import { scalarTensor } from "../tensor.ts";
import type { Lifted } from "../arguments.ts";
import { Value } from "../value.ts";
import { scanPrimitive } from "./loop.ts";
import type { LoopParams } from "./loop-params.ts";
import { carriedLike, requireSameCarry } from "./carry.ts";
import { backendOf, flatten, nestedGraph, unflatten } from "./nested.ts";
import { type LoopCheckpoint, checkpointOption } from "./schedule.ts";
import { whileLoop } from "./while-loop.ts";

export interface LoopOptions {
  /**
   * What reverse mode keeps. By default everything that the way back needs, of every step. Otherwise states of the
   * carry only, from which steps are run again: "all" of them, the O(√n) of "sqrt", the log2(n) of "log", or so many
   * `slots`, in the order of steps that runs the fewest again.
   */
  readonly checkpoint?: LoopCheckpoint;
}

export interface ScanOptions extends LoopOptions {
  /** The number of steps, where xs is null. */
  readonly length?: number;
  /** Whether to go through the rows from the last to the first. */
  readonly reverse?: boolean;
}

/** A result's rows stacked: each leaf gets a leading axis. */
export type Stacked<Y> = Lifted<Y>;

/**
 * A loop that carries state from row to row: `carry, y = f(carry, x)` for each row x of xs along its first axis, as one
 * primitive. f is traced once, whatever the number of steps, in eager code too; so is its derivative.
 *
 * @param f takes the carry and one row of xs, gives the next carry, of the same shapes and dtypes, and a result (or null).
 * @param init the carry at the start, a tree of values.
 * @param xs a tree of values whose first axes have the same size; null with `length`.
 * @returns the last carry, and the results of all steps stacked along a new first axis.
 * @throws ShapeError where first axes differ or the carry changes its shape; DTypeError where it changes its dtype;
 * TreeError where f does not return a pair, or the carry changes its structure.
 * @example
 * ```ts
 * const [total, partial] = scan((sum: Value, x: Value) => [sum.add(x), sum.add(x)], 0, tensor([1, 2, 3]));
 * partial.toArray(); // [1, 3, 6]
 * ```
 */
export function scan<C, X, Y>(
  f: (carry: C, x: X) => readonly [C, Y],
  init: Liftable<C>,
  xs: X,
  options: ScanOptions = {},
): [C, Stacked<Y>] {
  const start = flatten("scan", init, "the initial carry");
  const arrays = flatten("scan", xs, "xs");
  const length = scanLength(arrays.values, options.length);
  const rows = unflatten(
    arrays.tree,
    arrays.values.map((value) => avalOf(value.shape.slice(1), value.dtype)),
  );
  const { loop, captured, tree } = loopBody("scan", f, start.tree, rows, [...start.values, ...arrays.values]);
  const outputs = scanPrimitive([...captured, ...start.values, ...arrays.values], {
    ...loop,
    length,
    reverse: options.reverse ?? false,
    checkpoint: checkpointOption("scan", options.checkpoint),
  });
  const count = start.values.length;
  return [
    unflatten(start.tree, outputs.slice(0, count)),
    unflatten((tree as unknown[])[1], outputs.slice(count)),
  ] as [C, Stacked<Y>];
}

function scanLength(arrays: readonly Value[], length: number | undefined): number {
  const scalar = arrays.find((array) => array.rank === 0);
  if (scalar !== undefined)
    fail(ShapeError, `scan: xs holds ${scalar.aval}, which has no rows. Each leaf needs at least one axis.`);
  const sizes = new Set(arrays.map((array) => array.shape[0]));
  if (length !== undefined) sizes.add(length);
  if (sizes.size > 1) {
    fail(
      ShapeError,
      `scan: the first axes of xs${length === undefined ? "" : ` and length ${length}`} differ: ` +
        `${arrays.map((array) => array.aval).join(", ")}. All must have the same size.`,
    );
  }
  const [found] = sizes;
  if (found === undefined || !Number.isInteger(found) || found < 0)
    fail(ShapeError, `scan: the number of steps is not known. Give xs, or { length } as a whole number.`);
  return found;
}

/** Traces a loop's body, from the carry (and a row) to [carry, result], and checks what it carries. */
function loopBody(
  who: string,
  f: (...args: never[]) => unknown,
  start: unknown,
  rows: unknown,
  operands: readonly Value[],
): {
  readonly loop: Pick<LoopParams, "body" | "condition" | "constants" | "carries">;
  readonly captured: readonly Value[];
  readonly tree: unknown;
} {
  const body = (carry: never, row: never): unknown => {
    const result = f(carry, row);
    if (!Array.isArray(result) || result.length !== 2)
      fail(TreeError, `${who}: the function must return [carry, result], but returned ${String(result)}.`);
    const [next, y] = result as [unknown, unknown];
    return [carriedLike(who, next, start), y ?? []];
  };
  const { graph, captured, tree } = nestedGraph(who, body, [start, rows], backendOf(operands));
  const wanted = leaves(start) as Value[];
  requireSameCarry(who, wanted, graph);
  return {
    loop: { body: graph, condition: null, constants: captured.length, carries: wanted.length },
    captured,
    tree,
  };
}

/**
 * `carry = f(i, carry)` for i from `lower` up to, not including, `upper`. With numbers for bounds it is a `scan`; with
 * a value among them, a `whileLoop`.
 *
 * @param f takes i, an int32 scalar, and the carry, and gives the next carry of the same structure, shapes and dtypes.
 * @throws as `scan`.
 * @example `foriLoop(0, 3, (i, x: Value) => x.mul(2), tensor(1)).item()` is 8.
 */
export function foriLoop<C>(
  lower: number | Value,
  upper: number | Value,
  f: (i: Value, carry: C) => C,
  init: Liftable<C>,
  options: LoopOptions = {},
): C {
  const start = flatten("foriLoop", init, "the initial carry");
  const bounds = [lower, upper].filter((bound) => bound instanceof Value);
  const backend = backendOf([...start.values, ...bounds]);
  const whole = (bound: number | Value): Value => {
    const isWhole =
      typeof bound === "number" ? Number.isInteger(bound) : bound.dtype === "int32" && bound.rank === 0;
    if (!isWhole) {
      const found = typeof bound === "number" ? bound : bound.aval;
      fail(DTypeError, `foriLoop: a bound is ${found}, but must be a whole number or an int32 scalar.`);
    }
    return typeof bound === "number" ? scalarTensor(bound, "int32", backend) : bound;
  };
  const [first, end] = [whole(lower), whole(upper)];
  if (typeof lower === "number" && typeof upper === "number") {
    type State = readonly [Value, C];
    const step = ([i, carry]: State): readonly [State, null] => [[i.add(1), f(i, carry)], null];
    const [[, last]] = scan<State, null, null>(step, [first, start.tree] as Liftable<State>, null, {
      ...options,
      length: Math.max(0, upper - lower),
    });
    return last;
  }
  type State = { readonly i: Value; readonly carry: C };
  const last = whileLoop<State>(
    ({ i }) => i.lt(end),
    ({ i, carry }) => ({ i: i.add(1), carry: f(i, carry) }),
    { i: first, carry: start.tree } as Liftable<State>,
    options,
  );
  return last.carry;
}
