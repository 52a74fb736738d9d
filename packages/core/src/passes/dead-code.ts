/** Dead code: nodes whose outputs nothing uses, and constants that nothing uses. */
import { type Graph, GraphBuilder, copyNode } from "../graph/graph.ts";

/** The graph without the nodes that no output depends on. Inputs stay: they are the signature. */
export function withoutDeadCode(graph: Graph): Graph {
  const used = new Uint8Array(graph.avals.length);
  for (const variable of graph.outputs) used[variable] = 1;
  const isLive = graph.nodes.map(() => false);
  for (let n = graph.nodes.length - 1; n >= 0; n--) {
    const node = graph.nodes[n];
    if (!node.outputs.some((variable) => used[variable])) continue;
    isLive[n] = true;
    for (const variable of node.inputs) used[variable] = 1;
  }
  const areConstantsUsed = graph.constants.every((_, i) => used[graph.firstConstant + i] === 1);
  if (areConstantsUsed && !isLive.includes(false)) return graph;
  const builder = new GraphBuilder(graph.inputs);
  const drafts = [...builder.inputs];
  graph.constants.forEach((tensor, i) => {
    const variable = graph.firstConstant + i;
    if (used[variable]) drafts[variable] = builder.constant(tensor);
  });
  graph.nodes.forEach((node, n) => {
    if (isLive[n]) copyNode(graph, node, builder, drafts);
  });
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}
