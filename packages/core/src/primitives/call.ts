/** A graph as a primitive: what a jitted or checkpointed function is to the transformations around it. */
import type { Aval } from "../aval.ts";
import { runningPrimitive, type MultipleOp } from "../define/general.ts";
import { type SavePolicy, pulledGraph, pushedGraph } from "../graph/differentiate.ts";
import { requireInputs } from "../graph/check.ts";
import { runGraph } from "../graph/evaluate.ts";
import { type Graph } from "../graph/graph.ts";
import { graphFlops } from "../graph/cost.ts";
import { optimize } from "../passes/optimize.ts";
import { argument } from "../sampling.ts";
import { sampleGraph } from "../graph/sample.ts";
import type { Value } from "../value.ts";
import { batchedGraph } from "../vmap/batch-graph.ts";
import { batchOf } from "../vmap/batch-rules.ts";

export interface CallParams {
  readonly graph: Graph;
  /** What reverse mode keeps of the run for the way back. */
  readonly save: SavePolicy;
}

/** The outputs of a graph. Its derivatives are calls of graphs again. */
export const call: MultipleOp<CallParams> = runningPrimitive<CallParams>("call", {
  args: ["inputs"],
  variadic: true,
  shapes: (avals, { graph }) => {
    requireInputs("call", graph, avals);
    return [...graph.outputAvals];
  },
  evaluate: (inputs, { graph }) => runGraph(optimize(graph), inputs),
  jvp: (inputs, tangents, { graph, save }) => {
    const pushed = pushedGraph(
      graph,
      tangents.map((tangent) => tangent !== null),
      inputs[0].backend,
    );
    const all = call([...inputs, ...tangents.filter((tangent) => tangent !== null)], {
      graph: pushed.graph,
      save,
    });
    return splitTangents(all, graph.outputs.length, pushed.hasTangent);
  },
  vjp: (inputs, wanted, { graph, save }) => {
    const { backend } = inputs[0];
    const pulled = pulledGraph(graph, wanted, save, backend);
    const all = call(inputs, { graph: pulled.forward, save });
    const outputs = all.slice(0, graph.outputs.length);
    const residuals = [
      ...pulled.savedInputs.map((input) => inputs[input]),
      ...all.slice(graph.outputs.length),
    ];
    return {
      outputs,
      residuals,
      pull: (cotangents) => {
        const given = floatingCotangents(outputs, cotangents);
        const found = call([...residuals, ...given], { graph: pulled.backward, save });
        return spread(found, wanted);
      },
    };
  },
  batch: (inputs, batched, { graph, save }) => {
    const found = batchedGraph(graph, batchOf(inputs, batched), batched, inputs[0].backend);
    return { outputs: call(inputs, { graph: found.graph, save }), batched: found.batched };
  },
  cost: (_, { graph }) => graphFlops(graph),
  sample: (draw) => {
    const shape = draw.shape({ maxRank: 2 });
    const graph = sampleGraph((x, y) => [x.sin().mul(y), y.exp().sum()], [shape, []]);
    const save = draw.choose<SavePolicy>(["everything", "nothing", "products"]);
    return {
      inputs: [argument(shape), argument([])],
      params: (dtype) => ({ graph: graph(dtype), save }),
    };
  },
});

/** Outputs first, then the tangents of those that have one. */
export function splitTangents(
  all: readonly Value[],
  count: number,
  hasTangent: readonly boolean[],
): { outputs: Value[]; tangents: (Value | null)[] } {
  return { outputs: all.slice(0, count), tangents: spread(all.slice(count), hasTangent) };
}

/** Values put where the marks are, null elsewhere. */
export function spread(values: readonly Value[], marks: readonly boolean[]): (Value | null)[] {
  let next = 0;
  return marks.map((mark) => (mark ? values[next++] : null));
}

/** A cotangent for every floating output, zeros where there is none. */
export function floatingCotangents(
  outputs: readonly { readonly aval: Aval; zerosLike(): Value }[],
  cotangents: readonly (Value | null)[],
): Value[] {
  return outputs.flatMap((output, i) => (output.aval.floating ? [cotangents[i] ?? output.zerosLike()] : []));
}
