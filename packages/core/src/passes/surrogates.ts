/** What only says how to differentiate has no part in a run. */
import { type Graph } from "../graph/graph.ts";
import { type Rule, rewritten } from "./rewriter.ts";

/** Identities but for their derivatives; a graph without them may be run, no longer differentiated. */
const rules: readonly Rule[] = [
  { name: "stopGradient", on: ["stopGradient"], rewrite: (site) => site.inputs[0], because: "an identity" },
  {
    name: "straightThrough",
    on: ["straightThrough"],
    rewrite: (site) => site.inputs[0],
    because: "its value is that of the hard function, its first input",
  },
];

/** The graph without the operations that only derivatives look at. */
export function withoutSurrogates(graph: Graph): Graph {
  const names = new Set(rules.flatMap(({ on }) => on));
  return graph.nodes.some(({ primitive }) => names.has(primitive.name))
    ? rewritten(graph, rules, false).graph
    : graph;
}
