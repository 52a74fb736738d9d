/** Common subexpressions: the same primitive of the same inputs and parameters is computed once. */
import { type Draft, type Graph, type GraphNode, copyNode, rebuild } from "../graph/graph.ts";
import { paramsKey } from "../graph/hash.ts";

/** Primitives whose operands may change places without changing a bit of the result. */
const commutative: ReadonlySet<string> = new Set([
  "add",
  "mul",
  "strongMul",
  "max",
  "min",
  "hypot",
  "eq",
  "ne",
  "and",
  "or",
]);

/** Whether two runs of a node may be made one: not of what is run again on purpose, to keep less. */
function isMergeable({ primitive, params }: GraphNode): boolean {
  return primitive.name !== "call" || (params as { save?: string }).save === "everything";
}

/** What a node computes, from what its inputs are called. */
function keyOf({ primitive, params }: GraphNode, inputs: readonly number[]): string {
  const order = commutative.has(primitive.name) ? inputs.toSorted((a, b) => a - b) : inputs;
  return `${primitive.name} ${order.join(" ")} ${paramsKey(params)}`;
}

/** Whether any two nodes have the same inputs and the like; where none have, no two nodes compute the same. */
function hasRepetition(graph: Graph): boolean {
  const known = new Set<string>();
  return graph.nodes.some((node) => {
    if (!isMergeable(node)) return false;
    const { size } = known;
    return known.add(keyOf(node, node.inputs)).size === size;
  });
}

/** The graph in which no two nodes compute the same. What is checkpointed stays computed as often as it was. */
export function withoutCommonSubexpressions(graph: Graph): Graph {
  if (!hasRepetition(graph)) return graph;
  const { builder, drafts } = rebuild(graph);
  const known = new Map<string, readonly Draft[]>();
  for (const node of graph.nodes) {
    const key = keyOf(
      node,
      node.inputs.map((variable) => drafts[variable]),
    );
    const found = isMergeable(node) ? known.get(key) : undefined;
    if (found !== undefined) {
      node.outputs.forEach((variable, i) => (drafts[variable] = found[i]));
      continue;
    }
    copyNode(graph, node, builder, drafts);
    known.set(
      key,
      node.outputs.map((variable) => drafts[variable]),
    );
  }
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}
