/** The passes that a graph goes through before it is run. */
import { type Graph, type GraphNode, mapNestedGraphs, nestedGraphs } from "../graph/graph.ts";
import { withoutCommonSubexpressions } from "./common-subexpressions.ts";
import { withoutConstantNodes } from "./constant-folding.ts";
import { withoutDeadCode } from "./dead-code.ts";
import { withoutCalls } from "./inlining.ts";
import { Rewriter, type Tell } from "./rewriter.ts";
import { simplified } from "./simplification.ts";
import { withoutSurrogates } from "./surrogates.ts";

export interface OptimizeOptions {
  /** Also simplify where NaN, infinities, signs of zeros or last bits may come out otherwise; by default false. */
  readonly fast?: boolean;
}

/** A pass: it gives the graph itself where it finds nothing to do. */
export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph, tell?: Tell, options?: OptimizeOptions) => Graph;
}

const deadCode: Pass = { name: "drop dead code", run: (graph) => withoutDeadCode(graph) };

/** Again and again, until nothing changes: each makes work for the others, but for the last one. */
export const passes: readonly Pass[] = [
  { name: "inline calls", run: withoutCalls },
  { name: "drop what only derivatives look at", run: withoutSurrogates },
  {
    name: "simplify",
    run: (graph, tell, { fast = false } = {}) => simplified(graph, { fast, ...(tell && { tell }) }),
  },
  { name: "fold constants", run: withoutConstantNodes },
  { name: "merge common subexpressions", run: withoutCommonSubexpressions },
  deadCode,
];

/** Before all others, and once: bodies and branches go through all passes by themselves. */
const nested: Pass = { name: "optimise nested graphs", run: withOptimisedBodies };

/** Rounds of the passes; each needs a reason that the one before has left. */
const mostRounds = 8;

/** Is told of each pass that changed something, and how often it did what. */
export type PassObserver = (
  pass: Pass,
  before: Graph,
  after: Graph,
  done: ReadonlyMap<string, number>,
) => void;

/** Runs all passes until none finds anything to do, nested graphs first. */
export function runPasses(graph: Graph, observe?: PassObserver, options: OptimizeOptions = {}): Graph {
  let current = graph;
  const run = (pass: Pass): void => {
    const done = new Map<string, number>();
    const before = current;
    current = pass.run(before, (what) => done.set(what, (done.get(what) ?? 0) + 1), options);
    if (current !== before) observe?.(pass, before, current, done);
  };
  run(nested);
  // How many passes in a row have found nothing to do.
  let idle = 0;
  for (let step = 0; step < mostRounds * passes.length && idle < passes.length; step++) {
    const pass = passes[step % passes.length];
    const before = current;
    run(pass);
    // No rule asks who uses a value, so that none matches only because something is gone.
    idle = current === before || pass === deadCode ? idle + 1 : 0;
  }
  return current;
}

/** Primitives that run their nested graphs as they are; what others do with theirs (differentiate them) is not known. */
const running: ReadonlySet<string> = new Set(["call", "switchCase", "scan", "whileLoop", "customCall"]);

/** The graph with graphs in parameters optimised: bodies of loops, branches. */
function withOptimisedBodies(graph: Graph, tell?: Tell, options: OptimizeOptions = {}): Graph {
  const isWorse = ({ primitive, params }: GraphNode): boolean =>
    running.has(primitive.name) && nestedGraphs(params).some((inner) => optimize(inner, options) !== inner);
  const worse = new Set(graph.nodes.filter(isWorse));
  if (worse.size === 0) return graph;
  const rewriter = new Rewriter(graph);
  for (const node of graph.nodes) {
    const isPoor = worse.has(node);
    if (isPoor) tell?.(node.primitive.name);
    rewriter.copy(
      node,
      isPoor ? mapNestedGraphs(node.params, (inner) => optimize(inner, options)) : node.params,
    );
  }
  return rewriter.finish();
}

const exact = new WeakMap<Graph, Graph>();
const fast = new WeakMap<Graph, Graph>();

/**
 * The graph to run in place of a graph: the same values to the last bit, unless `fast` is asked for, at less cost. Calls are
 * inlined, then nodes simplified, folded, merged and dropped until nothing is left to do; nested graphs too. It is made once
 * per graph. It is not for differentiation: what only derivatives look at is gone.
 */
export function optimize(graph: Graph, options: OptimizeOptions = {}): Graph {
  const optimised = options.fast === true ? fast : exact;
  let found = optimised.get(graph);
  if (found === undefined) {
    found = runPasses(graph, undefined, options);
    optimised.set(graph, found);
    // It is its own best form, when a run meets it again.
    optimised.set(found, found);
  }
  return found;
}
