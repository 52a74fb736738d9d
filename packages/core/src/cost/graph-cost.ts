/** What running a graph costs, told from its avals and last uses before anything runs. */
import { type Backend, currentBackend } from "../backend.ts";
import type { LoopParams } from "../control/loop-params.ts";
import { CotangentError, fail } from "../errors.ts";
import { type Graph, type GraphNode, nestedGraphs } from "../graph/graph.ts";
import type { CallParams } from "../primitives/call.ts";
import { type Ghost, DryRun, callers } from "./dry-run.ts";

/** What a run costs: the figures of `profile`. */
export interface RunCost {
  /** Primitives that a backend evaluates, those of nested graphs as often as they run. */
  readonly evaluations: number;
  /** The sum of the primitives' own costs. */
  readonly flops: number;
  /** Bytes of all inputs read and all outputs written; an output that shares its input's buffer moves none. */
  readonly bytesMoved: number;
  /** The most bytes of computed tensors that must be held at once, if each is let go of as early as it can be. */
  readonly peakLiveBytes: number;
}

/** How large a graph is. */
export interface GraphSize {
  /** Nodes, those of each nested graph counted once, however often it runs. */
  readonly nodes: number;
  /**
   * The longest chain of nodes, each of which needs the one before. A node with nested graphs is as long as these: a
   * call as its graph, a condition as its longest branch, a loop as its body, times its steps.
   */
  readonly depth: number;
  /**
   * The number of directed paths from all inputs to all outputs, exactly, an input that a node has twice being two edges. A
   * call has the paths through its graph; every other node, loops and conditions included, is one vertex, with an edge
   * from each of its inputs to each of its outputs. Paths that begin at constants are not counted.
   */
  readonly paths: bigint;
}

export interface GraphCost extends RunCost, GraphSize {}

export interface GraphCostOptions {
  /** How many steps every `whileLoop` in the graph is taken to make, which no graph can know; by default 1. */
  readonly whileSteps?: number;
  /** Whose kernels run the graph; by default the current backend. */
  readonly backend?: Backend;
}

/** A run of graphs of which the figures are wanted together. */
export function dryRun(options: GraphCostOptions, body: (run: DryRun) => readonly Ghost[]): RunCost {
  const { whileSteps = 1, backend = currentBackend() } = options;
  if (!Number.isInteger(whileSteps) || whileSteps < 0)
    fail(CotangentError, `graphCost: whileSteps is ${whileSteps}, but must be a whole number, 0 or more.`);
  const run = new DryRun({ backend, whileSteps });
  run.keep(body(run));
  return { ...run.counts, peakLiveBytes: run.peak() };
}

/**
 * What running a graph costs, without running it: exactly the figures that `profile` counts on it, and the graph's size.
 *
 * The graph is taken as it is, as `evaluateGraph` runs it (a jitted function runs `optimize(graph)`); graphs nested in it
 * are optimised first, as they are when they run. A `scan` is its steps, a `loopPullback` its schedule's, a `whileLoop`
 * makes `whileSteps` steps, and a `switchCase` is its branch with the most FLOPs. Scalars are taken to be plain numbers, as
 * on the JavaScript backend: they share no buffer.
 *
 * @throws CotangentError for a primitive that runs in a way of its own, so that nothing can be said of it.
 * @example
 * ```ts
 * const graph = stage((x: Value) => x.sin().mul(x).sum())(avalOf([1000], "float64"));
 * graphCost(graph).peakLiveBytes; // 16000
 * ```
 */
export function graphCost(graph: Graph, options: GraphCostOptions = {}): GraphCost {
  const cost = dryRun(options, (run) => run.graph(graph, graph.inputs.map(callers)));
  return { ...cost, ...graphSize(graph, options) };
}

export const graphSize = (graph: Graph, { whileSteps = 1 }: GraphCostOptions = {}): GraphSize => ({
  nodes: nodesOf(graph),
  depth: depthOf(graph, whileSteps),
  paths: pathsOf(graph),
});

/** The nodes of a graph and, each once, of the graphs nested in it. */
function nodesOf(graph: Graph): number {
  const found = new Set<Graph>();
  const open = [graph];
  let total = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    total += next.nodes.length;
    for (const { params } of next.nodes) open.push(...nestedGraphs(params));
  }
  return total;
}

function depthOf(graph: Graph, whileSteps: number): number {
  const depths = new Float64Array(graph.avals.length);
  for (const node of graph.nodes) {
    const before = Math.max(0, ...node.inputs.map((variable) => depths[variable]));
    const own = lengthOf(node, whileSteps);
    for (const variable of node.outputs) depths[variable] = before + own;
  }
  return Math.max(0, ...graph.outputs.map((variable) => depths[variable]));
}

function lengthOf({ primitive, params }: GraphNode, whileSteps: number): number {
  const graphs = nestedGraphs(params);
  if (graphs.length === 0) return 1;
  const longest = Math.max(...graphs.map((graph) => depthOf(graph, whileSteps)));
  switch (primitive.name) {
    case "scan":
    case "whileLoop":
    case "loopPullback": {
      const { condition, length } = params as LoopParams;
      return (condition === null ? length : whileSteps) * longest;
    }
    default:
      return longest;
  }
}

const pathTables = new WeakMap<Graph, readonly (readonly bigint[])[]>();

/** The number of paths from each input to each output. */
function pathTable(graph: Graph): readonly (readonly bigint[])[] {
  let table = pathTables.get(graph);
  if (table === undefined) {
    table = graph.inputs.map((_, input) => {
      const counts = pathsFrom(graph, (variable) => variable === input);
      return graph.outputs.map((variable) => counts[variable]);
    });
    pathTables.set(graph, table);
  }
  return table;
}

/** The number of paths to each variable from those inputs. */
function pathsFrom(graph: Graph, isStart: (input: number) => boolean): bigint[] {
  const counts = graph.avals.map((_, variable): bigint =>
    variable < graph.inputs.length && isStart(variable) ? 1n : 0n,
  );
  for (const { primitive, params, inputs, outputs } of graph.nodes) {
    const through = primitive.name === "call" ? pathTable((params as CallParams).graph) : undefined;
    outputs.forEach((variable, o) => {
      counts[variable] = inputs.reduce(
        (total, input, i) => total + counts[input] * (through === undefined ? 1n : through[i][o]),
        0n,
      );
    });
  }
  return counts;
}

function pathsOf(graph: Graph): bigint {
  const counts = pathsFrom(graph, () => true);
  return graph.outputs.reduce((total, variable) => total + counts[variable], 0n);
}
