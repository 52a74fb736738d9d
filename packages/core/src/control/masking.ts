/**
 * Bodies and branches that are run for a whole batch although some elements take no part in them. What these would
 * compute is thrown away, but it must not fail, as an index out of range does, nor go on for ever.
 */
import { type Graph, nestedGraphs } from "../graph/graph.ts";
import { gather } from "../primitives/indexing.ts";
import { argmaxAlong } from "../primitives/reduction.ts";
import { where } from "../primitives/selection.ts";
import type { Value } from "../value.ts";

const failing: ReadonlySet<string> = new Set(["gather", "scatterAdd", "whileLoop"]);

/** Whether what a graph computes may fail or not end, which depends on its inputs. */
export function mayFail(graph: Graph): boolean {
  return graph.nodes.some(
    ({ primitive, params }) => failing.has(primitive.name) || nestedGraphs(params).some(mayFail),
  );
}

/** One bool per element, shaped to choose between batches of that rank. */
export function maskOf(chosen: Value, rank: number): Value {
  return chosen.reshape([chosen.shape[0], ...new Array<number>(rank - 1).fill(1)]);
}

/** Batches in which the elements that take no part have the values of one that does, if any does. */
export function substituted(
  values: readonly Value[],
  batched: readonly boolean[],
  takesPart: Value,
): Value[] {
  if (takesPart.size === 0) return [...values];
  const one = argmaxAlong(takesPart.astype("int32"), { axis: 0 });
  return values.map((value, i) =>
    batched[i] ? where(maskOf(takesPart, value.rank), value, gather(value, one, { axis: 0 })) : value,
  );
}
