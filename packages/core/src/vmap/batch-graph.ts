/** Graphs of whole batches: what the nested graphs of a batched loop or call are. */
import type { Aval } from "../aval.ts";
import type { Backend } from "../backend.ts";
import { remembered } from "../graph/differentiate.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { graphOf } from "../graph/stage.ts";
import { runBatched } from "./batch-trace.ts";

export interface BatchedGraph {
  readonly graph: Graph;
  /** Which outputs differ from element to element, or were asked to have a batch axis. */
  readonly batched: readonly boolean[];
}

const batchedGraphs = new WeakMap<Graph, Map<string, BatchedGraph>>();

/** The aval of a batch of so many. */
export function batchAval(aval: Aval, size: number): Aval {
  return aval.withShape([size, ...aval.shape]);
}

/** The graph of a graph applied to all elements of a batch; the marked inputs have a batch axis in front. */
export function batchedGraph(
  graph: Graph,
  size: number,
  batched: readonly boolean[],
  backend: Backend,
  spread: readonly boolean[] | "all" = [],
): BatchedGraph {
  const key = [
    backend.name,
    size,
    batched.map(Number).join(""),
    spread === "all" ? spread : spread.map(Number).join(""),
  ];
  return remembered(batchedGraphs, graph, key.join(" "), () => {
    let found: readonly boolean[] = [];
    const all = graphOf(
      "vmap of a graph",
      (...inputs) => {
        const result = runBatched("vmap", size, (...xs) => evaluateGraph(graph, xs), inputs, batched, spread);
        found = result.batched;
        return result.outputs;
      },
      graph.inputs.map((aval, i) => (batched[i] ? batchAval(aval, size) : aval)),
      backend,
    );
    return { graph: all, batched: found };
  });
}
