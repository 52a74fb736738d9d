/** What only says how to differentiate has no part in a run. */
import type { Graph } from "../graph/graph.ts";
import { stopGradient, straight } from "../primitives/cast.ts";
import type { Tell } from "./rewriter.ts";
import { type Rule, simplified } from "./simplification.ts";

const rules: readonly Rule[] = [
  {
    name: "stopGradient, straightThrough",
    because: "Their values are those of their first input.",
    of: ["stopGradient", "straightThrough"],
    apply: ({ inputs: [x] }) => x,
    example: (x, y) => [stopGradient(x), straight(x, y)],
  },
];

/** The graph without the operations that only derivatives look at; it may be run, no longer differentiated. */
export function withoutSurrogates(graph: Graph, tell?: Tell): Graph {
  return simplified(graph, { rules, ...(tell && { tell }) });
}
