/** Loops that go on while a condition holds. */
import { DTypeError, fail } from "../errors.ts";
import type { Liftable } from "../tree.ts";
import type { Value } from "../value.ts";
import { whilePrimitive } from "./loop.ts";
import { carriedLike, requireSameCarry } from "./carry.ts";
import { backendOf, flatten, tracedTogether, unflatten } from "./nested.ts";
import { type LoopCheckpoint, checkpointOption } from "./schedule.ts";

/**
 * `carry = body(carry)` for as long as `condition(carry)` holds, as one primitive. Reverse mode works: on the way back
 * the loop is run once more to count its steps and to keep its states, all of them or those that `checkpoint` says.
 *
 * @param condition takes the carry and gives a bool scalar.
 * @param body takes the carry and gives the next, of the same structure, shapes and dtypes.
 * @throws ShapeError or DTypeError where the condition is no bool scalar or the carry changes; TreeError where its
 * structure does.
 * @example
 * ```ts
 * const halved = whileLoop((x: Value) => x.gt(1), (x) => x.div(2), tensor(40)); // 0.625
 * ```
 */
export function whileLoop<C>(
  condition: (carry: C) => Value,
  body: (carry: C) => C,
  init: Liftable<C>,
  options: { readonly checkpoint?: LoopCheckpoint } = {},
): C {
  const start = flatten("whileLoop", init, "the initial carry");
  const both = [condition, (carry: C): unknown => carriedLike("whileLoop", body(carry), start.tree)];
  const { graphs, captured } = tracedTogether("whileLoop", both, [start.tree], backendOf(start.values));
  const [verdict] = graphs[0].outputAvals;
  if (verdict.dtype !== "bool" || verdict.rank !== 0) {
    fail(
      DTypeError,
      `whileLoop: the condition gave ${verdict}, but must give a bool scalar. Compare (x.lt(1)), and reduce arrays.`,
    );
  }
  requireSameCarry("whileLoop", start.values, graphs[1]);
  const outputs = whilePrimitive([...captured, ...start.values], {
    body: graphs[1],
    condition: graphs[0],
    constants: captured.length,
    carries: start.values.length,
    length: 0,
    reverse: false,
    checkpoint: checkpointOption("whileLoop", options.checkpoint),
  });
  return unflatten(start.tree, outputs) as C;
}
