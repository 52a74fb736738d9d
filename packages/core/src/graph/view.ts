/** The seam to a package that draws graphs as pages: core has none itself. */
import { CotangentError, fail } from "../errors.ts";
import type { Operand } from "../operand.ts";
import type { Graph } from "./graph.ts";

export interface GraphViewOptions {
  /** The page's heading. */
  readonly title?: string;
  /** Values of the inputs, at which the graph is evaluated; without them the page shows the structure alone. */
  readonly inputs?: readonly Operand[];
  /** Cotangents of the outputs, null for zero; by default 1 where there is one output and it is a scalar. */
  readonly cotangents?: readonly (Operand | null)[];
  /** Names of the inputs, as far as they have any. */
  readonly names?: readonly string[];
  /** Groups of nodes (by their positions) to be outlined; by default those that can run as one loop (`fusionClusters`). */
  readonly clusters?: readonly (readonly number[])[];
  /** Nodes (by their positions) that compute again what was computed before, besides those found in nested calls. */
  readonly recomputed?: readonly number[];
}

/** Draws a graph as one self-contained HTML page. */
export type GraphView = (graph: Graph, options: GraphViewOptions) => string;

let registered: GraphView | undefined;

/** Makes a renderer the one behind `graph.toHtml`. */
export function registerGraphView(view: GraphView): void {
  registered = view;
}

/** The graph as a page. */
export function graphToHtml(graph: Graph, options: GraphViewOptions = {}): string {
  const view =
    registered ??
    fail(
      CotangentError,
      `toHtml: nothing here can draw a graph. Import "cotangent" or "@cotangent/graph-view", which registers itself.`,
    );
  return view(graph, options);
}
