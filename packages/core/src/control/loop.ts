/**
 * Loops as primitives. Their bodies are graphs, so are the bodies of their derivatives: the JVP of a loop is a loop over
 * primals and tangents; its VJP is a loop the other way over what the first one saved (`scan`), or one that keeps some
 * states only and runs the body again from there (`loopPullback`).
 */
import { sameAval } from "../aval.ts";
import type { Backend } from "../backend.ts";
import { type MultipleOp, runningPrimitive } from "../define/general.ts";
import { CotangentError, fail } from "../errors.ts";
import { graphFlops } from "../graph/cost.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { intern } from "../graph/hash.ts";
import { sampleGraph } from "../graph/sample.ts";
import { graphOf } from "../graph/stage.ts";
import type { MultipleRules, Pullback } from "../primitive.ts";
import { floatingCotangents, spread } from "../primitives/call.ts";
import { argument, interval } from "../sampling.ts";
import type { Value } from "../value.ts";
import { allBatched, batchOf, moveAxis } from "../vmap/batch-rules.ts";
import { batchedInputs, batchedLoop, spreadRows } from "./loop-batch.ts";
import {
  type LoopParams,
  type LoopPullbackParams,
  kindOf,
  loopOf,
  loopShapes,
  splitPullback,
  stepAvals,
} from "./loop-params.ts";
import { pulledBody, runLoop, runPullback } from "./loop-run.ts";
import { pushedLoop } from "./loop-tangents.ts";
import { withOutputs } from "./nested.ts";
import type { LoopCheckpoint } from "./schedule.ts";

function pushLoop(
  op: MultipleOp<LoopParams>,
  inputs: readonly Value[],
  tangents: readonly (Value | null)[],
  params: LoopParams,
): { outputs: Value[]; tangents: (Value | null)[] } {
  const pushed = pushedLoop(
    params,
    tangents.map((tangent) => tangent !== null),
    inputs[0],
  );
  return pushed.split(op(pushed.arrange(inputs, tangents), pushed.params));
}

/** The VJP of a scan that saves everything: the forward scan gives the residuals of each step as rows. */
function pullScan(inputs: readonly Value[], wanted: readonly boolean[], params: LoopParams): Pullback {
  const { body, constants, carries, reverse, length } = params;
  const { marks, pulled } = pulledBody(params, wanted, inputs[0].backend);
  const { forward, backward, savedInputs, saved } = pulled;
  const savedCarries = savedInputs.filter((i) => kindOf(params, i) === "carry");
  // Outputs: carry, rows of results, rows of residuals, rows of the carry as each step found it.
  const recording = { ...params, body: withOutputs(forward, [...forward.outputs, ...savedCarries]) };
  const all = scanPrimitive(inputs, recording);
  const outputs = all.slice(0, body.outputs.length);
  const residualRows = all.slice(body.outputs.length);
  const carryRows = residualRows.slice(saved);
  const savedConstants = savedInputs.filter((i) => kindOf(params, i) === "constant");
  const savedRows = savedInputs.filter((i) => kindOf(params, i) === "row");

  const fixed = savedConstants.map((i) => inputs[i]);
  const rows = [...residualRows.slice(0, saved), ...carryRows, ...savedRows.map((i) => inputs[i])];
  const floatCarries = body.outputAvals.slice(0, carries).filter((aval) => aval.floating).length;
  const wantedConstants = marks.flatMap((mark, i) => (mark && kindOf(params, i) === "constant" ? [i] : []));
  const wantedRows = marks.flatMap((mark, i) => (mark && kindOf(params, i) === "row" ? [i] : []));

  const pull = (cotangents: readonly (Value | null)[]): (Value | null)[] => {
    const given = floatingCotangents(outputs, cotangents);
    const sums = wantedConstants.map((i) => inputs[i].zerosLike());
    const start = [...given.slice(0, floatCarries), ...sums];
    const taken = [...rows, ...given.slice(floatCarries)];
    const avals = [
      ...[...fixed, ...start].map((value) => value.aval),
      ...stepAvals(taken.map((value) => value.aval)),
    ];
    const back = intern(
      graphOf(
        "the way back of a scan",
        (...values) => {
          const take = (count: number): Value[] => values.splice(0, count);
          const [held, carry, total] = [take(fixed.length), take(floatCarries), take(sums.length)];
          const [kept, carryIn, row] = [take(saved), take(savedCarries.length), take(savedRows.length)];
          const at = new Map<number, Value>();
          savedConstants.forEach((i, k) => at.set(i, held[k]));
          savedCarries.forEach((i, k) => at.set(i, carryIn[k]));
          savedRows.forEach((i, k) => at.set(i, row[k]));
          const found = spread(
            evaluateGraph(backward, [
              ...savedInputs.map((i) => at.get(i) as Value),
              ...kept,
              ...carry,
              ...values,
            ]),
            marks,
          );
          const carryBack = found.slice(constants, constants + carries).filter((value) => value !== null);
          const added = wantedConstants.map((i, k) => total[k].add(found[i] as Value));
          return [...carryBack, ...added, ...wantedRows.map((i) => found[i] as Value)];
        },
        avals,
        inputs[0].backend,
      ),
    );
    const found = scanPrimitive([...fixed, ...start, ...taken], {
      body: back,
      condition: null,
      constants: fixed.length,
      carries: start.length,
      length,
      reverse: !reverse,
      checkpoint: null,
    });
    const result: (Value | null)[] = inputs.map(() => null);
    let next = 0;
    marks.forEach((mark, i) => {
      if (mark && kindOf(params, i) === "carry") result[i] = found[next++];
    });
    for (const i of wantedConstants) result[i] = found[next++];
    for (const i of wantedRows) result[i] = found[next++];
    return result.map((value, i) => (wanted[i] ? value : null));
  };
  return { outputs, residuals: [...fixed, ...rows, ...outputs], pull };
}

/** The VJP of a loop that runs it once more on the way back, keeping the states that its schedule says. */
function pullLoop(
  op: MultipleOp<LoopParams>,
  inputs: readonly Value[],
  wanted: readonly boolean[],
  params: LoopParams,
): Pullback {
  const outputs = op(inputs, params);
  return {
    outputs,
    residuals: [...inputs, ...outputs],
    pull: (cotangents) =>
      spread(
        loopPullback([...inputs, ...floatingCotangents(outputs, cotangents)], { ...params, wanted }),
        wanted,
      ),
  };
}

/**
 * One step of a loop's way back, as a graph: from the loop's constants, the state before the step and its rows; the cotangents
 * of the state after it, the sums so far of the constants' wanted cotangents, and the cotangents of the rows that it gave; to
 * the cotangents of the state before it, the sums, and the cotangents of the wanted rows.
 */
export function stepBack(params: LoopPullbackParams, backend: Backend): Graph {
  const { body, constants, carries, wanted } = params;
  const { marks, pulled } = pulledBody(params, wanted, backend);
  const sums = body.inputs.filter((_, i) => marks[i] && kindOf(params, i) === "constant");
  const floats = body.outputAvals.filter((aval) => aval.floating);
  const floatCarries = body.outputAvals.slice(0, carries).filter((aval) => aval.floating).length;
  const traced = graphOf(
    "one step of a loop's way back",
    (...values) => {
      const take = (count: number): Value[] => values.splice(0, count);
      const [inputs, after, totals] = [take(body.inputs.length), take(floatCarries), take(sums.length)];
      const residuals = evaluateGraph(pulled.forward, inputs).slice(body.outputs.length);
      const saved = pulled.savedInputs.map((i) => inputs[i]);
      const found = spread(
        evaluateGraph(pulled.backward, [...saved, ...residuals, ...after, ...values]),
        marks,
      );
      const before = found.slice(constants, constants + carries).filter((value) => value !== null);
      const added = found.slice(0, constants).filter((value) => value !== null);
      const rows = found.slice(constants + carries).filter((value) => value !== null);
      return [...before, ...added.map((value, i) => totals[i].add(value)), ...rows];
    },
    [...body.inputs, ...floats.slice(0, floatCarries), ...sums, ...floats.slice(floatCarries)],
    backend,
  );
  return intern(traced);
}

const opOf = (params: LoopParams): MultipleOp<LoopParams> =>
  params.condition === null ? scanPrimitive : whilePrimitive;

function batchLoop(
  op: MultipleOp<LoopParams>,
  inputs: readonly Value[],
  batched: readonly boolean[],
  params: LoopParams,
): ReturnType<MultipleRules["batch"]> {
  const size = batchOf(inputs, batched);
  const found = batchedLoop(params, size, batched, inputs[0]);
  const outputs = op(batchedInputs(inputs, batched, size, params, found.carries), found.params);
  return {
    outputs: outputs.map((output, i) =>
      i >= params.carries && found.rows[i - params.carries] ? moveAxis(output, 1, 0) : output,
    ),
    batched: [...found.carries, ...found.rows],
  };
}

const loopCost = (params: LoopParams): number => Math.max(1, params.length) * graphFlops(params.body);

/** A loop over rows of arrays; see `scan`. */
export const scanPrimitive: MultipleOp<LoopParams> = runningPrimitive<LoopParams>("scan", {
  args: ["inputs"],
  variadic: true,
  shapes: loopShapes,
  evaluate: runLoop,
  jvp: (inputs, tangents, params) => pushLoop(scanPrimitive, inputs, tangents, params),
  vjp: (inputs, wanted, params) =>
    params.checkpoint === null
      ? pullScan(inputs, wanted, params)
      : pullLoop(scanPrimitive, inputs, wanted, params),
  batch: (inputs, batched, params) => batchLoop(scanPrimitive, inputs, batched, params),
  cost: (_, params) => loopCost(params),
  sample: (draw) => {
    const length = draw.int(0, 4);
    const shape = draw.choose<number[]>([[], [2], [2, 3]]);
    const body = sampleGraph(
      (w, carry, x) => [carry.mul(w).add(x.sin()).tanh(), carry.mul(x).sum()],
      [[], shape, shape],
    );
    const rest = {
      condition: null,
      constants: 1,
      carries: 1,
      length,
      reverse: draw.bool(),
      checkpoint: draw.choose<LoopCheckpoint | null>([null, null, "all", "sqrt", "log", { slots: 2 }]),
    };
    return {
      inputs: [argument([]), argument(shape), argument([length, ...shape])],
      params: (dtype) => ({ ...rest, body: body(dtype) }),
    };
  },
});

/** A loop as long as its condition holds; see `whileLoop`. */
export const whilePrimitive: MultipleOp<LoopParams> = runningPrimitive<LoopParams>("whileLoop", {
  args: ["inputs"],
  variadic: true,
  shapes: loopShapes,
  evaluate: runLoop,
  jvp: (inputs, tangents, params) => pushLoop(whilePrimitive, inputs, tangents, params),
  vjp: (inputs, wanted, params) => pullLoop(whilePrimitive, inputs, wanted, params),
  batch: (inputs, batched, params) => batchLoop(whilePrimitive, inputs, batched, params),
  cost: (_, params) => loopCost(params),
  sample: (draw) => {
    const shape = draw.choose<number[]>([[], [2], [2, 3]]);
    const steps = draw.int(0, 3);
    const body = sampleGraph((w, n, x) => [n.add(1), x.mul(w).sin().add(x)], [[], [], shape]);
    const condition = sampleGraph((_, n) => n.lt(steps), [[], [], shape]);
    return {
      // The counter is a float of its own, far from where the condition changes; of a batch each has another.
      inputs: [
        argument([]),
        argument([], interval(-1.5, 0.5, { kinks: [-1, 0], margin: 0.2 })),
        argument(shape),
      ],
      params: (dtype) => ({
        body: body(dtype),
        condition: condition(dtype),
        constants: 1,
        carries: 2,
        length: 0,
        reverse: false,
        checkpoint: draw.bool() ? "all" : { slots: 2 },
      }),
    };
  },
});

/**
 * The cotangents of a loop's inputs from those of its outputs, by running it back. Its own derivatives are those of the
 * loop over primals and tangents: with T(z, w̄) = F'(z)ᵀ w̄ and G(z, ż) = (F(z), F'(z) ż), the derivative of T along
 * (ż, w̄̇) is the z̄ part of G's VJP at (z, ż) for the cotangents (w̄̇, w̄), and <u, T> has the gradient F'(z) u in w̄.
 */
export const loopPullback: MultipleOp<LoopPullbackParams> = runningPrimitive<LoopPullbackParams>(
  "loopPullback",
  {
    args: ["inputs"],
    variadic: true,
    shapes: (avals, params) => {
      const inputs = avals.slice(0, params.wanted.length);
      const cotangents = avals.slice(inputs.length);
      const outputs = loopShapes(inputs, params).filter((aval) => aval.floating);
      if (cotangents.length !== outputs.length || !outputs.every((aval, i) => sameAval(aval, cotangents[i])))
        fail(
          CotangentError,
          `A loop that gives ${outputs.join(", ")} has cotangents ${cotangents.join(", ")}.`,
        );
      return inputs.filter((_, i) => params.wanted[i]);
    },
    evaluate: runPullback,
    jvp: (values, tangents, params) => {
      const [inputs, cotangents] = splitPullback(values, params);
      const moved = tangents.slice(0, inputs.length);
      const outputs = loopPullback(values, params);
      // T is linear in the cotangents.
      const rates = cotangents.map((cotangent, i) => tangents[inputs.length + i] ?? cotangent.zerosLike());
      if (moved.every((tangent) => tangent === null)) {
        const isZero = tangents.every((tangent) => tangent === null);
        return {
          outputs,
          tangents: isZero ? outputs.map(() => null) : loopPullback([...inputs, ...rates], params),
        };
      }
      return { outputs, tangents: secondPullback(inputs, moved, rates, cotangents, params) };
    },
    vjp: (values, wantedOfAll, params) => {
      const [inputs, cotangents] = splitPullback(values, params);
      const outputs = loopPullback(values, params);
      return {
        outputs,
        residuals: values,
        pull: (given) => {
          const directions = spread(
            given.map((direction, i) => direction ?? outputs[i].zerosLike()),
            params.wanted,
          );
          const loop = loopOf(params);
          const forWeights = wantedOfAll.slice(inputs.length).some(Boolean);
          const pushed = forWeights ? pushLoop(opOf(loop), inputs, directions, loop) : undefined;
          const rates =
            pushed?.tangents.filter((_, i) => params.body.outputAvals[i].floating) ??
            cotangents.map(() => null);
          const asked = wantedOfAll.slice(0, inputs.length);
          const zeros = cotangents.map((cotangent) => cotangent.zerosLike());
          const found = asked.some(Boolean)
            ? spread(
                secondPullback(inputs, directions, zeros, cotangents, { ...params, wanted: asked }),
                asked,
              )
            : inputs.map(() => null);
          return [...found, ...rates];
        },
      };
    },
    // Every element has cotangents of its own, of what all share too.
    batch: (values, batched, params) => {
      const size = batchOf(values, batched);
      const [inputs, cotangents] = splitPullback(allBatched(values, batched), params);
      const every = inputs.map(() => true);
      const loop = batchedLoop(loopOf(params), size, every, inputs[0]);
      const avals = params.body.outputAvals;
      const floats = avals.flatMap((aval, i) => (aval.floating ? [i] : []));
      const given = cotangents.map((cotangent, k) =>
        floats[k] >= params.carries ? moveAxis(cotangent, 0, 1) : cotangent,
      );
      const arranged = batchedInputs(inputs, every, size, params, loop.carries);
      // Rows of results that do not depend on the batch have no batch axis in the loop; all do here.
      const full = { ...loop.params, body: spreadRows(loop, params, size, inputs[0]) };
      const outputs = loopPullback([...arranged, ...given], { ...full, wanted: params.wanted });
      const asked = params.wanted.flatMap((isWanted, i) => (isWanted ? [i] : []));
      return {
        outputs: outputs.map((output, k) =>
          kindOf(params, asked[k]) === "row" ? moveAxis(output, 1, 0) : output,
        ),
        batched: outputs.map(() => true),
      };
    },
    cost: (_, params) => 4 * loopCost(params),
    sample: (draw) => {
      const length = draw.int(1, 3);
      const shape = draw.choose<number[]>([[], [], [2, 3]]);
      const body = sampleGraph(
        (w, carry, x) => [carry.mul(w).add(x.sin()), carry.mul(x)],
        [[], shape, shape],
      );
      const rest = {
        condition: null,
        constants: 1,
        carries: 1,
        length,
        reverse: draw.bool(),
        checkpoint: draw.choose<LoopCheckpoint>(["all", "sqrt", "log", { slots: 2 }]),
        wanted: [true, true, draw.bool()],
      };
      return {
        inputs: [[], shape, [length, ...shape], shape, [length, ...shape]].map((own) => argument(own)),
        params: (dtype) => ({ ...rest, body: body(dtype) }),
      };
    },
  },
);

/** The z̄ part of the VJP of the loop over primals and tangents: the wanted inputs' own cotangents. */
function secondPullback(
  inputs: readonly Value[],
  directions: readonly (Value | null)[],
  ofPrimals: readonly Value[],
  ofTangents: readonly Value[],
  params: LoopPullbackParams,
): Value[] {
  const loop = loopOf(params);
  const pushed = pushedLoop(
    loop,
    directions.map((direction) => direction !== null),
    inputs[0],
  );
  const all = pushed.arrange(inputs, directions);
  const outputCount = pushed.params.body.outputs.length;
  const cotangents = new Array<Value | null>(outputCount).fill(null);
  let next = 0;
  params.body.outputAvals.forEach((aval, i) => {
    if (!aval.floating) return;
    cotangents[pushed.primalAt[i]] = ofPrimals[next];
    if (pushed.tangentAt[i] >= 0) cotangents[pushed.tangentAt[i]] = ofTangents[next];
    next++;
  });
  const wanted = all.map(() => false);
  params.wanted.forEach((isWanted, i) => (wanted[pushed.inputAt[i]] = isWanted));
  return loopPullback([...all, ...cotangents.filter((value) => value !== null)], {
    ...pushed.params,
    wanted,
  });
}
