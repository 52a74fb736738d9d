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

/** The graph in which no two nodes compute the same. What is checkpointed stays computed as often as it was. */
export function withoutCommonSubexpressions(graph: Graph): Graph {
  const { builder, drafts } = rebuild(graph);
  const known = new Map<string, readonly Draft[]>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((variable) => drafts[variable]);
    const order = commutative.has(node.primitive.name) ? inputs.sort((a, b) => a - b) : inputs;
    const key = `${node.primitive.name} ${order.join(" ")} ${paramsKey(node.params)}`;
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
