/** What the passes do to a graph. */
import { currentBackend } from "../backend.ts";
import { DerivativeError } from "../errors.ts";
import { graphFlops } from "../graph/cost.ts";
import { type SavePolicy, pulledGraph, recomputes } from "../graph/differentiate.ts";
import { type Graph, nestedGraphs } from "../graph/graph.ts";
import { type Cluster, fusionClusters } from "./fusion.ts";
import { type MemoryPlan, memoryPlan } from "./memory-plan.ts";
import { type OptimizeOptions, runPasses } from "./optimize.ts";

/** A graph in numbers. */
export interface GraphFigures {
  /** Nodes, those of nested graphs included. */
  readonly nodes: number;
  readonly flops: number;
  /** Bytes of all values that nodes define. */
  readonly bytes: number;
}

/** A pass that changed something. */
export interface PassReport {
  readonly pass: string;
  readonly before: GraphFigures;
  readonly after: GraphFigures;
  /** How often each rule was applied, or how many nodes of each primitive were merged, folded or inlined. */
  readonly done: Readonly<Record<string, number>>;
}

/** What one policy of `checkpoint` means for the way back through the graph, from all floating inputs. */
export interface Recomputation {
  readonly policy: SavePolicy;
  /** Values of the run that are kept for the way back, besides inputs. */
  readonly kept: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Nodes that are run again on the way back. */
  readonly again: number;
}

export interface Explanation {
  readonly passes: readonly PassReport[];
  readonly before: GraphFigures;
  readonly after: GraphFigures;
  /** The graph that is run. */
  readonly optimised: Graph;
  /** The nodes of that graph that one kernel each could compute. */
  readonly clusters: readonly Cluster[];
  /** Where the values of that graph can lie in memory. */
  readonly memory: MemoryPlan;
  /** What reverse mode keeps and computes again, by each policy; of a graph that has no VJP, nothing. */
  readonly recomputations: readonly Recomputation[];
  /** The same as a table to read. */
  toString(): string;
}

function figures(graph: Graph): GraphFigures {
  const bytes = graph.avals.slice(graph.firstDefined).reduce((total, aval) => total + aval.bytes, 0);
  return graph.nodes
    .flatMap(({ params }) => nestedGraphs(params).map(figures))
    .reduce((sum, nested) => ({ ...sum, nodes: sum.nodes + nested.nodes, bytes: sum.bytes + nested.bytes }), {
      nodes: graph.nodes.length,
      flops: graphFlops(graph),
      bytes,
    });
}

/**
 * What each pass makes of a graph on its way to being run, in the order in which they run: nodes, FLOPs and bytes before and
 * after and what it did how often; of the result, what could be fused, and the memory that it needs; and what reverse mode
 * would keep of a run and compute again. A pass that runs again has found more to do.
 *
 * @example `console.log(String(explain(stage(grad(f))(avalOf([3], "float64")))))`
 */
export function explain(graph: Graph, options: OptimizeOptions = {}): Explanation {
  const passes: PassReport[] = [];
  const optimised = runPasses(
    graph,
    ({ name }, before, after, done) => {
      passes.push({
        pass: name,
        before: figures(before),
        after: figures(after),
        done: Object.fromEntries(done),
      });
    },
    options,
  );
  const [before, after] = [figures(graph), figures(optimised)];
  const clusters = fusionClusters(optimised);
  const memory = memoryPlan(optimised);
  const recomputations = recomputationsOf(graph);
  return {
    passes,
    before,
    after,
    optimised,
    clusters,
    memory,
    recomputations,
    toString: () =>
      [
        passTable(passes, before, after),
        clusterLine(clusters),
        memoryLine(optimised, memory),
        ...(recomputations.length === 0 ? [] : [recomputationTable(recomputations)]),
      ].join("\n"),
  };
}

function recomputationsOf(graph: Graph): Recomputation[] {
  const wanted = graph.inputs.map((aval) => aval.floating);
  if (!wanted.includes(true) || !graph.outputAvals.some((aval) => aval.floating)) return [];
  const backend = graph.constants[0]?.backend ?? currentBackend();
  try {
    return (Object.keys(recomputes) as SavePolicy[]).map((policy) => {
      const { forward, saved, again } = pulledGraph(graph, wanted, policy, backend);
      const kept = forward.outputAvals.slice(forward.outputs.length - saved);
      return { policy, kept: saved, bytes: kept.reduce((sum, aval) => sum + aval.bytes, 0), again };
    });
  } catch (error) {
    // What is refused has no VJP.
    if (error instanceof DerivativeError) return [];
    throw error;
  }
}

function clusterLine(clusters: readonly Cluster[]): string {
  const nodes = clusters.reduce((sum, cluster) => sum + cluster.nodes.length, 0);
  const bytes = clusters.reduce((sum, cluster) => sum + cluster.bytesSaved, 0);
  return `fusion: ${nodes} nodes in ${clusters.length} clusters, which would move ${bytes} bytes less`;
}

function memoryLine(graph: Graph, { buffers, inPlace, bytes, peakLiveBytes }: MemoryPlan): string {
  const values = graph.avals.length - graph.firstDefined;
  return (
    `memory: ${values} values in ${buffers.length} buffers of ${bytes} bytes in all, ${inPlace.length} results in place; ` +
    `at most ${peakLiveBytes} bytes live`
  );
}

function passTable(passes: readonly PassReport[], before: GraphFigures, after: GraphFigures): string {
  const change = (from: number, to: number): string => (from === to ? `${to}` : `${from} -> ${to}`);
  const changes = (a: GraphFigures, b: GraphFigures): string[] => [
    change(a.nodes, b.nodes),
    change(a.flops, b.flops),
    change(a.bytes, b.bytes),
  ];
  const lines = passes.map(({ pass, before: a, after: b, done }) => {
    const what = Object.entries(done).map(([name, count]) => (count === 1 ? name : `${name} (${count})`));
    return [pass, ...changes(a, b), what.join(", ")];
  });
  return aligned([
    ["pass", "nodes", "FLOPs", "bytes", "done"],
    ...lines,
    ["all", ...changes(before, after), ""],
  ]);
}

function recomputationTable(recomputations: readonly Recomputation[]): string {
  const lines = recomputations.map(({ policy, kept, bytes, again }) =>
    [policy, kept, bytes, again].map(String),
  );
  return aligned([["way back, keeping", "values", "bytes", "nodes run again"], ...lines]);
}

function aligned(all: readonly (readonly string[])[]): string {
  const widths = all[0].map((_, column) => Math.max(...all.map((line) => line[column].length)));
  return all
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
