/** A loop over a batch, whose elements may end at different steps. */
import { evaluateGraph } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { remembered } from "../graph/differentiate.ts";
import { intern, structuralHash } from "../graph/hash.ts";
import { graphOf } from "../graph/stage.ts";
import { where } from "../primitives/selection.ts";
import type { Value } from "../value.ts";
import { batchAval, batchedGraph } from "../vmap/batch-graph.ts";
import { moveAxis } from "../vmap/batch-rules.ts";
import { type LoopParams, kindOf } from "./loop-params.ts";
import { maskOf, mayFail, substituted } from "./masking.ts";

const maskedBodies = new WeakMap<Graph, Map<string, Graph>>();
const conditionsOfAny = new WeakMap<Graph, Map<string, Graph>>();

export interface BatchedLoop {
  readonly params: LoopParams;
  /** Which carries have a batch axis, from the start on; and which rows of results. */
  readonly carries: readonly boolean[];
  readonly rows: readonly boolean[];
}

/** The loop over a batch of carries. Where elements end at different steps, those that have ended stay as they are. */
export function batchedLoop(
  params: LoopParams,
  size: number,
  batched: readonly boolean[],
  like: Value,
): BatchedLoop {
  const { body, condition, constants, carries } = params;
  const { backend } = like;
  const marks = [...batched];
  const carried = (): boolean[] => marks.slice(constants, constants + carries);
  // What a carry depends on may itself depend on the batch only after some steps.
  for (let isStable = false; !isStable;) {
    const found = batchedGraph(body, size, marks, backend).batched;
    isStable = true;
    for (let i = 0; i < carries; i++) {
      if (!found[i] || marks[constants + i]) continue;
      marks[constants + i] = true;
      isStable = false;
    }
  }
  if (condition === null) {
    const all = batchedGraph(body, size, marks, backend, carried());
    return { params: { ...params, body: all.graph }, carries: carried(), rows: all.batched.slice(carries) };
  }
  const verdict = batchedGraph(condition, size, marks.slice(0, constants + carries), backend);
  if (!verdict.batched[0]) {
    const all = batchedGraph(body, size, marks, backend, carried());
    return { params: { ...params, body: all.graph, condition: verdict.graph }, carries: carried(), rows: [] };
  }
  for (let i = 0; i < carries; i++) marks[constants + i] = true;
  const own = batchedGraph(condition, size, marks, backend, "all").graph;
  const step = batchedGraph(body, size, marks, backend, "all").graph;
  const avals = body.inputs.map((aval, i) => (marks[i] ? batchAval(aval, size) : aval));
  const masked = (): Graph =>
    graphOf(
      "vmap of a loop",
      (...inputs) => {
        const [goesOn] = evaluateGraph(own, inputs);
        const safe = mayFail(body) ? substituted(inputs, marks, goesOn) : inputs;
        return evaluateGraph(step, safe).map((next, i) =>
          where(maskOf(goesOn, next.rank), next, inputs[constants + i]),
        );
      },
      avals,
      backend,
    );
  const any = (): Graph =>
    graphOf(
      "vmap of a loop",
      (...inputs) => [evaluateGraph(own, inputs)[0].astype("int32").sum().gt(0)],
      avals,
      backend,
    );
  // Both graphs are the same ones whenever the loop is met again, so that their constants are.
  const key = `${constants} ${structuralHash(own)}`;
  return {
    params: {
      ...params,
      body: remembered(maskedBodies, step, key, () => intern(masked())),
      condition: remembered(conditionsOfAny, step, key, () => intern(any())),
    },
    carries: carried(),
    rows: [],
  };
}

/** A loop's inputs with batch axes where the batched loop has them: rows keep the axis of the steps in front. */
export function batchedInputs(
  inputs: readonly Value[],
  batched: readonly boolean[],
  size: number,
  params: LoopParams,
  carries: readonly boolean[],
): Value[] {
  return inputs.map((input, i) => {
    const kind = kindOf(params, i);
    if (kind === "row") return batched[i] ? moveAxis(input, 0, 1) : input;
    const isSpread = kind === "carry" && carries[i - params.constants] && !batched[i];
    return isSpread ? input.broadcastTo([size, ...input.shape]) : input;
  });
}

/** The body of a batched scan with a batch axis in all its rows. */
export function spreadRows(loop: BatchedLoop, params: LoopParams, size: number, like: Value): Graph {
  if (params.condition !== null || loop.rows.every(Boolean)) return loop.params.body;
  const every = params.body.inputs.map(() => true);
  return batchedGraph(params.body, size, every, like.backend, "all").graph;
}
