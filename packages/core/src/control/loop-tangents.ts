/** The JVP of a loop as a loop: over primals and tangents. */
import type { Aval } from "../aval.ts";
import { pushedGraph } from "../graph/differentiate.ts";
import { zeroTangent } from "../rules.ts";
import type { Value } from "../value.ts";
import { type LoopParams, kindOf } from "./loop-params.ts";
import { withInputs, withOutputs } from "./nested.ts";

export interface PushedLoop {
  readonly params: LoopParams;
  /** The inputs of the pushed loop, from those of the loop and their tangents. */
  readonly arrange: (inputs: readonly Value[], tangents: readonly (Value | null)[]) => Value[];
  /** Outputs and tangents, from the outputs of the pushed loop. */
  readonly split: (outputs: readonly Value[]) => { outputs: Value[]; tangents: (Value | null)[] };
  /** For each output of the loop the position of its tangent among those of the pushed loop, or -1. */
  readonly tangentAt: readonly number[];
  /** For each output of the loop its own position there. */
  readonly primalAt: readonly number[];
  /** For each input of the loop its position among those of the pushed loop. */
  readonly inputAt: readonly number[];
  readonly inputTangentAt: readonly number[];
}

/** The loop over primals and tangents. All floating carries get a tangent, since any may become one on the way. */
export function pushedLoop(params: LoopParams, given: readonly boolean[], like: Value): PushedLoop {
  const { body, condition, constants, carries } = params;
  const has = body.inputs.map((aval, i) => (kindOf(params, i) === "carry" ? aval.floating : given[i]));
  const carryMarks = body.outputs.map((_, i) => i < carries && has[constants + i]);
  const pushed = pushedGraph(body, has, like.backend, carryMarks);
  // Each group of inputs is followed by the tangents of its members that have one; the same for the outputs.
  const groups = [
    [0, constants],
    [constants, constants + carries],
    [constants + carries, body.inputs.length],
  ];
  const inputAt = new Array<number>(body.inputs.length).fill(-1);
  const inputTangentAt = new Array<number>(body.inputs.length).fill(-1);
  let next = 0;
  for (const [begin, end] of groups) {
    for (let i = begin; i < end; i++) inputAt[i] = next++;
    for (let i = begin; i < end; i++) if (has[i]) inputTangentAt[i] = next++;
  }
  const avals = new Array<Aval>(next);
  body.inputs.forEach((aval, i) => {
    avals[inputAt[i]] = aval;
    if (has[i]) avals[inputTangentAt[i]] = aval;
  });
  const marked = body.inputs.map((_, i) => i).filter((i) => has[i]);
  const withArranged = withInputs(pushed.graph, avals, [
    ...body.inputs.map((_, i) => inputAt[i]),
    ...marked.map((i) => inputTangentAt[i]),
  ]);
  const outputAt = body.outputs.map((_, i) => i);
  const outputTangentAt = body.outputs.map(() => -1);
  let at = body.outputs.length;
  pushed.hasTangent.forEach((mark, i) => {
    if (mark) outputTangentAt[i] = at++;
  });
  const order = [
    ...outputAt.slice(0, carries),
    ...outputTangentAt.slice(0, carries).filter((i) => i >= 0),
    ...outputAt.slice(carries),
    ...outputTangentAt.slice(carries).filter((i) => i >= 0),
  ];
  const primalAt = outputAt.map((i) => order.indexOf(i));
  const tangentAt = outputTangentAt.map((i) => (i < 0 ? -1 : order.indexOf(i)));
  const constantTangents = has.slice(0, constants).filter(Boolean).length;
  const carryTangents = has.slice(constants, constants + carries).filter(Boolean).length;
  return {
    params: {
      ...params,
      body: withOutputs(
        withArranged,
        order.map((i) => withArranged.outputs[i]),
      ),
      condition:
        condition === null
          ? null
          : withInputs(
              condition,
              avals.slice(0, constants + constantTangents + carries + carryTangents),
              inputAt.slice(0, constants + carries),
            ),
      constants: constants + constantTangents,
      carries: carries + carryTangents,
    },
    arrange: (inputs, tangents) => {
      const all = new Array<Value>(next);
      inputs.forEach((input, i) => {
        all[inputAt[i]] = input;
        if (has[i]) all[inputTangentAt[i]] = tangents[i] ?? zeroTangent(input, tangents);
      });
      return all;
    },
    split: (outputs) => ({
      outputs: primalAt.map((i) => outputs[i]),
      tangents: tangentAt.map((i) => (i < 0 ? null : outputs[i])),
    }),
    tangentAt,
    primalAt,
    inputAt,
    inputTangentAt,
  };
}
