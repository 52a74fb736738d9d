/** What running a graph costs, from its avals alone. */
import type { Graph } from "./graph.ts";

/** Floating-point operations of one run. */
export function graphFlops(graph: Graph): number {
  return graph.nodes.reduce((total, { primitive, inputs, params, outputs }) => {
    const avals = inputs.map((variable) => graph.avals[variable]);
    return total + primitive.cost(avals, graph.avals[outputs[0]], params);
  }, 0);
}
