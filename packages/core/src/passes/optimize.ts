/** The passes that a graph goes through before it is run. */
import { type Graph, copyNode, mapNestedGraphs, nestedGraphs, rebuild } from "../graph/graph.ts";
import { withoutCommonSubexpressions } from "./common-subexpressions.ts";
import { withoutConstantNodes } from "./constant-folding.ts";
import { withoutDeadCode } from "./dead-code.ts";
import { withoutCalls } from "./inlining.ts";
import { simplified } from "./simplification.ts";
import { withoutSurrogates } from "./surrogates.ts";

export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph) => Graph;
}

/** Once, at the start: they make one flat graph of what is to be run. */
export const openingPasses: readonly Pass[] = [
  { name: "inline calls", run: withoutCalls },
  { name: "drop what only derivatives look at", run: withoutSurrogates },
];

/** Again and again, until nothing changes: each makes work for the others. */
export const repeatedPasses: readonly Pass[] = [
  { name: "simplify", run: (graph) => simplified(graph) },
  { name: "fold constants", run: withoutConstantNodes },
  { name: "merge common subexpressions", run: withoutCommonSubexpressions },
  { name: "drop dead code", run: withoutDeadCode },
];

/** Rounds of the repeated passes; what a fourth would find is not worth its time. */
const mostRounds = 3;

/** Is told of each pass. */
export type PassObserver = (pass: Pass, before: Graph, after: Graph) => void;

/** Runs all passes, nested graphs first. */
export function runPasses(graph: Graph, observe: PassObserver = () => undefined): Graph {
  const apply = (before: Graph, pass: Pass): Graph => {
    const after = pass.run(before);
    observe(pass, before, after);
    return after;
  };
  let current = openingPasses.reduce(apply, withOptimisedBodies(graph));
  for (let round = 0; round < mostRounds; round++) {
    const before = current;
    current = repeatedPasses.reduce(apply, current);
    if (current === before) break;
  }
  return current;
}

/** The graph with all graphs in parameters optimised: bodies of loops, branches. */
function withOptimisedBodies(graph: Graph): Graph {
  if (!graph.nodes.some(({ params }) => nestedGraphs(params).length > 0)) return graph;
  const { builder, drafts } = rebuild(graph);
  for (const node of graph.nodes) {
    // A loop that goes back differentiates its body, and so needs all of it.
    const params =
      node.primitive.name === "loopPullback" ? node.params : mapNestedGraphs(node.params, optimize);
    copyNode(graph, { ...node, params }, builder, drafts);
  }
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}

const optimised = new WeakMap<Graph, Graph>();

/**
 * The graph to run in place of a graph: the same values to the last bit, at less cost. It is made once per graph. It is
 * not for differentiation: what only derivatives look at is gone.
 */
export function optimize(graph: Graph): Graph {
  let found = optimised.get(graph);
  if (found === undefined) {
    found = runPasses(graph);
    optimised.set(graph, found);
    // It is its own best form, when a run meets it again.
    optimised.set(found, found);
  }
  return found;
}
