/** Loops run on tensors, forward and back, step by step. */
import type { Backend } from "../backend.ts";
import { type Pulled, pulledGraph } from "../graph/differentiate.ts";
import { executableOf } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { tidy } from "../memory.ts";
import { optimize } from "../passes/optimize.ts";
import { spread } from "../primitives/call.ts";
import type { Tensor } from "../tensor.ts";
import {
  type LoopParams,
  type LoopPullbackParams,
  kindOf,
  loopShapes,
  splitPullback,
} from "./loop-params.ts";
import { withOutputs } from "./nested.ts";
import { rowOf, stackRows } from "./rows.ts";
import { reportSchedule, schedule } from "./schedule.ts";

/** Runs a loop on tensors. Its own temporaries are freed; the outputs belong to nobody. */
export function runLoop(inputs: readonly Tensor[], params: LoopParams): Tensor[] {
  const { condition, constants, carries, length, reverse } = params;
  const { backend } = inputs[0];
  const body = executableOf(optimize(params.body), backend);
  const fixed = inputs.slice(0, constants);
  const arrays = inputs.slice(constants + carries);
  const rows: Tensor[][] = params.body.outputs.slice(carries).map(() => []);
  let carry = inputs.slice(constants, constants + carries);
  let first = true;
  const advance = (step: number): void => {
    const at = reverse ? length - 1 - step : step;
    const taken = arrays.map((array) => rowOf(array, at));
    const outputs = body.run([...fixed, ...carry, ...taken]);
    for (const row of taken) row.dispose();
    if (!first) for (const value of carry) value.dispose();
    first = false;
    carry = outputs.slice(0, carries);
    outputs.slice(carries).forEach((row, i) => rows[i].push(row));
  };
  if (condition === null) for (let step = 0; step < length; step++) advance(step);
  else {
    const goesOn = conditionOf(params, fixed, backend);
    for (let step = 0; goesOn(carry); step++) advance(step);
  }
  const last = first ? evaluateIdentity(carry) : carry;
  const avals = loopShapes(
    inputs.map((input) => input.aval),
    params,
  );
  return [
    ...last,
    ...rows.map((list, i) => stackRows(reverse ? list.reverse() : list, avals[carries + i], backend)),
  ];
}

const evaluateIdentity = (values: readonly Tensor[]): Tensor[] => values.map((value) => value.sharing());

/** Whether a loop goes on from a carry. */
function conditionOf(
  { condition }: LoopParams,
  fixed: readonly Tensor[],
  backend: Backend,
): (carry: readonly Tensor[]) => boolean {
  const executable = executableOf(optimize(condition as Graph), backend);
  return (carry) => {
    const [verdict] = executable.run([...fixed, ...carry]);
    const goesOn = verdict.item() !== 0;
    verdict.dispose();
    return goesOn;
  };
}

/** What the body needs of its inputs on the way back, for a loop of which these inputs are wanted. */
export function pulledBody(
  params: LoopParams,
  wanted: readonly boolean[],
  backend: Backend,
): { marks: boolean[]; pulled: Pulled } {
  const marks = params.body.inputs.map((aval, i) =>
    kindOf(params, i) === "carry" ? aval.floating : wanted[i],
  );
  return { marks, pulled: pulledGraph(params.body, marks, "everything", backend) };
}

/** Runs a loop back on tensors, as its schedule says. */
export function runPullback(values: readonly Tensor[], params: LoopPullbackParams): Tensor[] {
  const { wanted, constants, carries, reverse, condition } = params;
  const [inputs, given] = splitPullback(values, params) as [Tensor[], Tensor[]];
  const { backend } = inputs[0];
  const { marks, pulled } = pulledBody(params, wanted, inputs[0].backend);
  const body = executableOf(
    optimize(withOutputs(params.body, params.body.outputs.slice(0, carries))),
    backend,
  );
  const forward = executableOf(optimize(pulled.forward), backend);
  const backward = executableOf(optimize(pulled.backward), backend);
  const fixed = inputs.slice(0, constants);
  const arrays = inputs.slice(constants + carries);
  const bodyOutputs = params.body.outputAvals;

  const start = inputs.slice(constants, constants + carries);
  const own = new Set<Tensor>();
  const release = (state: readonly Tensor[]): void => {
    for (const tensor of state) if (own.delete(tensor)) tensor.dispose();
  };
  const rowsAt = (step: number): Tensor[] =>
    arrays.map((array) => rowOf(array, reverse ? length - 1 - step : step));
  const next = (state: readonly Tensor[], step: number): Tensor[] => {
    const taken = rowsAt(step);
    const found = body.run([...fixed, ...state, ...taken]);
    for (const row of taken) row.dispose();
    for (const tensor of found) own.add(tensor);
    return found;
  };
  let { length } = params;
  if (condition !== null) {
    const goesOn = conditionOf(params, fixed, backend);
    let state: readonly Tensor[] = start;
    for (length = 0; goesOn(state); length++) {
      const after = next(state, length);
      release(state);
      state = after;
    }
    release(state);
  }

  const floatCarries = bodyOutputs.slice(0, carries).filter((aval) => aval.floating).length;
  let carryBack = given.slice(0, floatCarries);
  const givenRows = given.slice(floatCarries);
  const sums = new Map<number, Tensor>();
  const foundRows = new Map<number, Tensor[]>();
  const add = (a: Tensor, b: Tensor): Tensor => {
    const sum = a.add(b).concrete();
    a.dispose();
    b.dispose();
    return sum;
  };
  const pullStep = (state: readonly Tensor[], step: number): void => {
    const at = reverse ? length - 1 - step : step;
    const taken = rowsAt(step);
    const stepInputs = [...fixed, ...state, ...taken];
    const recorded = forward.run(stepInputs);
    const cotangentRows = givenRows.map((array) => rowOf(array, at));
    const residuals = recorded.slice(bodyOutputs.length);
    const found = backward.run([
      ...pulled.savedInputs.map((i) => stepInputs[i]),
      ...residuals,
      ...carryBack,
      ...cotangentRows,
    ]);
    for (const tensor of [...recorded, ...taken, ...cotangentRows]) tensor.dispose();
    if (step < length - 1) for (const tensor of carryBack) tensor.dispose();
    carryBack = [];
    spread(found, marks).forEach((value, i) => {
      if (value === null) return;
      const tensor = value as Tensor;
      const kind = kindOf(params, i);
      if (kind === "carry") carryBack.push(tensor);
      else if (kind === "row") (foundRows.get(i) ?? foundRows.set(i, []).get(i))?.push(tensor);
      else {
        const before = sums.get(i);
        sums.set(i, before === undefined ? tensor : add(before, tensor));
      }
    });
  };

  const kept = new Map<number, readonly Tensor[]>([[0, start]]);
  let inHand: readonly Tensor[] = start;
  let [most, advances] = [1, 0];
  const isKept = new Set(kept.values());
  for (const action of schedule(length, params.checkpoint ?? "all")) {
    switch (action.kind) {
      case "advance":
        for (let step = action.from; step < action.to; step++) {
          const after = next(inHand, step);
          if (!isKept.has(inHand)) release(inHand);
          inHand = after;
          advances++;
        }
        break;
      case "keep":
        kept.set(action.at, inHand);
        isKept.add(inHand);
        most = Math.max(most, kept.size);
        break;
      case "restore":
        inHand = kept.get(action.at) as readonly Tensor[];
        break;
      case "release": {
        const state = kept.get(action.at) as readonly Tensor[];
        kept.delete(action.at);
        isKept.delete(state);
        release(state);
        break;
      }
      case "reverse":
        pullStep(inHand, action.step);
        if (!isKept.has(inHand)) release(inHand);
        break;
    }
  }
  reportSchedule({ steps: length, slots: most, advances });

  let nextCarry = 0;
  const carryAt = marks.map((mark, i) => (mark && kindOf(params, i) === "carry" ? nextCarry++ : -1));
  const results = wanted.flatMap((isWanted, i) => {
    if (!isWanted) return [];
    const { aval } = inputs[i];
    if (kindOf(params, i) === "row") {
      const list = foundRows.get(i) ?? [];
      return [stackRows(reverse ? list : list.reverse(), aval, backend)];
    }
    if (kindOf(params, i) === "carry") {
      const found = carryBack[carryAt[i]];
      return [length === 0 ? found.sharing() : found];
    }
    return [sums.get(i) ?? tidy(() => inputs[i].zerosLike()).concrete()];
  });
  if (length > 0) for (const tensor of carryBack) if (!results.includes(tensor)) tensor.dispose();
  return results;
}
