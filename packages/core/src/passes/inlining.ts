/** Inlining: the nodes of a called graph in place of the call. */
import { type Draft, Graph, type GraphBuilder, type Variable, copyNode, rebuild } from "../graph/graph.ts";

/** The graph with all calls opened, but for those of checkpointed functions, which are run again on purpose. */
export function withoutCalls(graph: Graph): Graph {
  if (!graph.nodes.some(({ primitive }) => primitive.name === "call")) return graph;
  const { builder, drafts } = rebuild(graph);
  copyNodes(graph, builder, drafts);
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}

function copyNodes(graph: Graph, builder: GraphBuilder, drafts: Draft[]): void {
  for (const node of graph.nodes) {
    const { graph: called, save } = node.params as { graph?: unknown; save?: unknown };
    if (node.primitive.name !== "call" || save !== "everything" || !(called instanceof Graph)) {
      copyNode(graph, node, builder, drafts);
      continue;
    }
    const own: Draft[] = [
      ...node.inputs.map((variable) => drafts[variable]),
      ...called.constants.map((tensor) => builder.constant(tensor)),
    ];
    copyNodes(called, builder, own);
    node.outputs.forEach((variable: Variable, i) => (drafts[variable] = own[called.outputs[i]]));
  }
}
