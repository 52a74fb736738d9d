/** Dead code: nodes whose outputs nothing uses, and constants that nothing uses. */
import { type Graph, GraphBuilder, copyNode } from "../graph/graph.ts";

/**
 * The graph without the nodes that no output depends on and without unused constants; the graph itself where there are
 * none. Primitives have no side effects, so nothing is lost. Inputs stay: they are the signature.
 */
export function withoutDeadCode(graph: Graph): Graph {
  const used = new Uint8Array(graph.avals.length);
  for (const variable of graph.outputs) used[variable] = 1;
  const isLive = new Uint8Array(graph.nodes.length);
  let live = 0;
  for (let n = graph.nodes.length - 1; n >= 0; n--) {
    const node = graph.nodes[n];
    if (!node.outputs.some((variable) => used[variable])) continue;
    isLive[n] = 1;
    live++;
    for (const variable of node.inputs) used[variable] = 1;
  }
  const isWhole = graph.constants.every((_, i) => used[graph.firstConstant + i]);
  if (isWhole && live === graph.nodes.length) return graph;
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
