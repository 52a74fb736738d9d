/** The passes that a graph goes through before it is run. */
import type { Graph } from "../graph/graph.ts";
import { withoutDeadCode } from "./dead-code.ts";

const optimised = new WeakMap<Graph, Graph>();

/** The graph after all passes that make it cheaper and leave its values as they are; made once per graph. */
export function optimize(graph: Graph): Graph {
  let found = optimised.get(graph);
  if (found === undefined) optimised.set(graph, (found = withoutDeadCode(graph)));
  return found;
}
