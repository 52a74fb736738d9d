/** What a loop carries keeps its structure, shapes and dtypes. */
import { sameAval } from "../aval.ts";
import { DTypeError, ShapeError, TreeError, fail } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { scalarTensor } from "../tensor.ts";
import { leaves, mapTree, treeStructure } from "../tree.ts";
import type { Value } from "../value.ts";

/** A carry as the body gave it, numbers among it in the dtypes of the carry at the start. */
export function carriedLike(who: string, found: unknown, start: unknown): unknown {
  const [a, b] = [treeStructure(found), treeStructure(start)];
  if (a !== b) {
    fail(
      TreeError,
      `${who}: the carry came in with the structure ${b} and went out as ${a}. Return the same arrays and keys.`,
    );
  }
  const before = leaves(start) as Value[];
  let next = 0;
  return mapTree(found, (leaf) => {
    const like = before[next++];
    return typeof leaf === "number" ? scalarTensor(leaf, like.dtype, like.backend) : leaf;
  });
}

/** Refuses a body whose first outputs are not what it was given as its carry. */
export function requireSameCarry(who: string, start: readonly Value[], body: Graph): void {
  start.forEach(({ aval: wanted }, i) => {
    const found = body.outputAvals[i];
    if (sameAval(found, wanted)) return;
    const leaf = start.length === 1 ? "the carry" : `leaf ${i} of the carry`;
    fail(
      found.dtype === wanted.dtype ? ShapeError : DTypeError,
      `${who}: ${leaf} came in as ${wanted} and went out as ${found}. A carry keeps its shape and dtype from step to ` +
        `step; give the initial one as what the body returns (broadcastTo, astype).`,
    );
  });
}
