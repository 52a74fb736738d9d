/**
 * What to keep of a forward run for the way back, when it is to be as few bytes as can be: a minimum cut.
 *
 * Values that do not come from costly work can be made again from others. To save a set of values is to cut every path
 * from what cannot be made again to what the way back uses; the set of fewest bytes is a minimum cut of a network in
 * which each value is an edge as wide as its bytes.
 *
 * Sources: T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost" (2016,
 * arXiv:1604.06174), for recomputing what is cheap; the formulation as a cut is that of the min-cut partitioner of
 * PyTorch's AOTAutograd (H. He, "Min-cut optimal recomputation", 2022; functorch/partitioners.py).
 */
import { FlowNetwork } from "../graph/flow-network.ts";
import type { Graph, GraphNode, Variable } from "../graph/graph.ts";

/** Primitives that only move elements, and as a whole cost less than to write their result down. */
const moves: ReadonlySet<string> = new Set([
  "broadcastTo",
  "reshape",
  "transpose",
  "slice",
  "pad",
  "flip",
  "concatenate",
  "straightThrough",
]);

/** Floating-point operations per element from which on even an elementwise primitive is kept. */
const costly = 64;

/** Whether a node may be run again: elementwise functions and moves, unless they iterate. */
export function isCheap({ avals }: Graph, { primitive, inputs, outputs, params }: GraphNode): boolean {
  if (moves.has(primitive.name)) return true;
  if (!primitive.elementwise) return false;
  const output = avals[outputs[0]];
  const flops = primitive.cost(
    inputs.map((variable) => avals[variable]),
    output,
    params,
  );
  return flops <= costly * output.size;
}

/** What is to be chosen from. */
export interface RecomputationProblem {
  readonly graph: Graph;
  /** What the way back uses of the forward run. */
  readonly needed: readonly Variable[];
  /** Whether a variable belongs to the way back itself. */
  readonly isLate: (variable: Variable) => boolean;
  /** Inputs that are kept in any case. */
  readonly kept: ReadonlySet<Variable>;
}

/**
 * The values to save, inputs among them, so that all that is needed can be made again from them by cheap nodes: of
 * fewest bytes, and among these the ones nearest to where they are needed, so that the least is computed again. Inputs
 * that are kept in any case count as nothing.
 */
export function smallestSaved({ graph, needed, isLate, kept }: RecomputationProblem): Set<Variable> {
  const { avals, nodes, firstConstant } = graph;
  const network = new FlowNetwork();
  const source = network.vertex();
  const sink = network.vertex();
  const into = new Int32Array(avals.length).fill(-1);
  const outOf = new Int32Array(avals.length).fill(-1);
  const enter = (variable: Variable): void => {
    into[variable] = network.vertex();
    outOf[variable] = network.vertex();
    network.edge(into[variable], outOf[variable], kept.has(variable) ? 0 : avals[variable].bytes);
  };
  // Constants are there in any case: they are no part of the network.
  for (let variable = 0; variable < firstConstant; variable++) {
    if (isLate(variable)) continue;
    enter(variable);
    network.edge(source, into[variable], Infinity);
  }
  for (const node of nodes) {
    if (isLate(node.outputs[0])) continue;
    node.outputs.forEach(enter);
    if (!isCheap(graph, node)) {
      for (const variable of node.outputs) network.edge(source, into[variable], Infinity);
      continue;
    }
    for (const operand of new Set(node.inputs))
      if (outOf[operand] >= 0) network.edge(outOf[operand], into[node.outputs[0]], Infinity);
  }
  for (const variable of new Set(needed))
    if (outOf[variable] >= 0) network.edge(outOf[variable], sink, Infinity);
  network.saturate(source, sink);
  const behind = network.reaching(sink);
  const saved = new Set<Variable>();
  into.forEach((vertex, variable) => {
    if (vertex >= 0 && behind[vertex] === 0 && behind[outOf[variable]] === 1) saved.add(variable);
  });
  return saved;
}
