/** Small graphs for the samples of primitives that take graphs. */
import { type Shape, avalOf } from "../aval.ts";
import { currentBackend } from "../backend.ts";
import type { FloatDType } from "../dtype.ts";
import type { Value } from "../value.ts";
import type { Graph } from "./graph.ts";
import { graphOf } from "./stage.ts";

/** The graph of a function of floats, for any floating dtype. */
export function sampleGraph(
  f: (...inputs: Value[]) => unknown,
  shapes: readonly Shape[],
): (float: FloatDType) => Graph {
  const made = new Map<FloatDType, Graph>();
  return (float) => {
    let graph = made.get(float);
    if (graph === undefined) {
      const avals = shapes.map((shape) => avalOf(shape, float));
      made.set(float, (graph = graphOf("sample", f, avals, currentBackend())));
    }
    return graph;
  };
}
