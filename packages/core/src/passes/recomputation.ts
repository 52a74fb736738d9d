/**
 * What to keep of a forward run for the way back, when it is to be as few bytes as can be: a minimum cut.
 *
 * Values that do not come from costly work can be made again from others. To save a set of values is to cut every path
 * from what cannot be made again to what the way back uses; the set of fewest bytes is a minimum cut of a network in
 * which each value is an edge as wide as its bytes.
 *
 * Sources: T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost" (2016,
 * arXiv:1604.06174), for recomputing what is cheap; the formulation as a cut is that of the min-cut partitioner of
 * PyTorch's AOTAutograd (H. He, "Min-cut optimal recomputation", 2022; functorch/partitioners.py); the flow is found by
 * E. A. Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation" (1970).
 */
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

/** A network of edges with room for flow, each followed by its reverse. */
export class FlowNetwork {
  readonly #edges: number[][] = [];
  readonly #to: number[] = [];
  readonly #room: number[] = [];

  vertex(): number {
    return this.#edges.push([]) - 1;
  }

  edge(from: number, to: number, room: number): void {
    this.#edges[from].push(this.#to.push(to) - 1);
    this.#room.push(room);
    this.#edges[to].push(this.#to.push(from) - 1);
    this.#room.push(0);
  }

  /** Sends as much as possible from the source to the sink, and gives how much that is. */
  saturate(source: number, sink: number): number {
    let total = 0;
    for (;;) {
      const levels = this.#levels(source, sink);
      if (levels[sink] < 0) return total;
      total += this.#blockingFlow(source, sink, levels);
    }
  }

  /** Distances from the source along edges with room. */
  #levels(source: number, sink: number): Int32Array {
    const levels = new Int32Array(this.#edges.length).fill(-1);
    levels[source] = 0;
    const open = [source];
    for (const vertex of open) {
      if (vertex === sink) break;
      for (const edge of this.#edges[vertex]) {
        const to = this.#to[edge];
        if (this.#room[edge] <= 0 || levels[to] >= 0) continue;
        levels[to] = levels[vertex] + 1;
        open.push(to);
      }
    }
    return levels;
  }

  /** Fills all shortest paths. Paths are kept in a list, as a graph may be deeper than the stack. */
  #blockingFlow(source: number, sink: number, levels: Int32Array): number {
    const next = new Int32Array(this.#edges.length);
    const path: number[] = [];
    let total = 0;
    for (;;) {
      const last = path.at(-1);
      const vertex = last === undefined ? source : this.#to[last];
      if (vertex === sink) {
        const most = path.reduce((least, edge) => Math.min(least, this.#room[edge]), Infinity);
        for (const edge of path) {
          this.#room[edge] -= most;
          this.#room[edge ^ 1] += most;
        }
        total += most;
        path.length = path.findIndex((edge) => this.#room[edge] <= 0);
        continue;
      }
      const edges = this.#edges[vertex];
      const leadsOn = (edge: number): boolean =>
        this.#room[edge] > 0 && levels[this.#to[edge]] === levels[vertex] + 1;
      while (next[vertex] < edges.length && !leadsOn(edges[next[vertex]])) next[vertex]++;
      if (next[vertex] < edges.length) {
        path.push(edges[next[vertex]]);
      } else {
        if (last === undefined) return total;
        path.pop();
        // That edge leads nowhere any more.
        next[this.#to[last ^ 1]]++;
      }
    }
  }

  /** Which vertices reach the end along edges with room: 1 for those that do. */
  reaching(end: number): Uint8Array {
    const found = new Uint8Array(this.#edges.length);
    found[end] = 1;
    const open = [end];
    for (const vertex of open) {
      for (const edge of this.#edges[vertex]) {
        const from = this.#to[edge];
        if (this.#room[edge ^ 1] <= 0 || found[from] === 1) continue;
        found[from] = 1;
        open.push(from);
      }
    }
    return found;
  }
}
