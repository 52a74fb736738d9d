/**
 * Loops as primitives. Their bodies are graphs, so are the bodies of their derivatives: the JVP of a loop is a loop over
 * primals and tangents; its VJP is a loop the other way over what the first one saved (`scan`), or one that keeps some
 * states only and runs the body again from there (`loopPullback`).
 */
import { type Aval, avalOf, sameAval } from "../aval.ts";
import type { Backend } from "../backend.ts";
import { type MultipleOp, runningPrimitive } from "../define/general.ts";
import { CotangentError, fail } from "../errors.ts";
import { graphFlops } from "../graph/cost.ts";
import { type Pulled, pulledGraph, pushedGraph } from "../graph/differentiate.ts";
import { evaluateGraph, executableOf } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { intern } from "../graph/hash.ts";
import { sampleGraph } from "../graph/sample.ts";
import { graphOf } from "../graph/stage.ts";
import { tidy } from "../memory.ts";
import { optimize } from "../passes/optimize.ts";
import type { MultipleRules, Pullback } from "../primitive.ts";
import { zeroTangent } from "../rules.ts";
import { floatingCotangents, spread } from "../primitives/call.ts";
import { where } from "../primitives/selection.ts";
import { argument, interval } from "../sampling.ts";
import type { Tensor } from "../tensor.ts";
import type { Value } from "../value.ts";
import { batchAval, batchedGraph } from "../vmap/batch-graph.ts";
import { allBatched, batchOf, moveAxis } from "../vmap/batch-rules.ts";
import { maskOf, mayFail, substituted } from "./masking.ts";
import { withInputs, withOutputs } from "./nested.ts";
import { type LoopCheckpoint, reportSchedule, schedule } from "./schedule.ts";
import { rowOf, stackRows } from "./rows.ts";

/** A loop's inputs are constants, the carry at the start and, for a scan, arrays of which each step takes a row. */
export interface LoopParams {
  /** From constants, carry and rows to the next carry and, for a scan, rows of the results. */
  readonly body: Graph;
  /** For a `whileLoop`: from constants and carry to a bool scalar, whether to go on. */
  readonly condition: Graph | null;
  readonly constants: number;
  readonly carries: number;
  /** The number of steps; 0 for a `whileLoop`, which has as many as it takes. */
  readonly length: number;
  /** Whether the rows are taken from the last one. */
  readonly reverse: boolean;
  /** What reverse mode keeps; null for everything, saved during the loop itself. */
  readonly checkpoint: LoopCheckpoint | null;
}

const stepAvals = (avals: readonly Aval[]): Aval[] =>
  avals.map((aval) => avalOf(aval.shape.slice(1), aval.dtype));

/** The avals of the outputs: the carry, then the stacked rows. */
function loopShapes(avals: readonly Aval[], params: LoopParams): Aval[] {
  const { body, constants, carries, length } = params;
  const wanted = [...avals.slice(0, constants + carries), ...stepAvals(avals.slice(constants + carries))];
  const fits = (a: Aval, b: Aval | undefined): boolean => b !== undefined && sameAval(a, b);
  if (wanted.length !== body.inputs.length || !body.inputs.every((aval, i) => fits(aval, wanted[i])))
    fail(CotangentError, `A loop over ${avals.join(", ")} has a body of ${body.inputs.join(", ")}.`);
  const out = body.outputAvals;
  const start = body.inputs.slice(constants, constants + carries);
  if (!start.every((aval, i) => fits(aval, out[i])))
    fail(CotangentError, `A loop's carry is ${start.join(", ")}, but its body gives ${out.join(", ")}.`);
  const rows = out.slice(carries).map((aval) => avalOf([length, ...aval.shape], aval.dtype));
  return [...out.slice(0, carries), ...rows];
}

/** Runs a loop on tensors. Its own temporaries are freed; the outputs belong to nobody. */
function runLoop(inputs: readonly Tensor[], params: LoopParams): Tensor[] {
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

/** Which of a loop's inputs are constants, carry, rows: what kind each position has. */
export const kindOf = ({ constants, carries }: LoopParams, position: number): "constant" | "carry" | "row" =>
  position < constants ? "constant" : position < constants + carries ? "carry" : "row";

interface PushedLoop {
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
function pushedLoop(params: LoopParams, given: readonly boolean[], like: Value): PushedLoop {
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

export interface LoopPullbackParams extends LoopParams {
  /** For each input of the loop, whether its cotangent is asked for. */
  readonly wanted: readonly boolean[];
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

/** The loop's inputs and outputs, told apart from the cotangents that follow them. */
function splitPullback(values: readonly Value[], params: LoopPullbackParams): [Value[], Value[]] {
  const count = params.wanted.length;
  return [values.slice(0, count), values.slice(count)];
}

function loopOf({ wanted: _, ...params }: LoopPullbackParams): LoopParams {
  return params;
}

const opOf = (params: LoopParams): MultipleOp<LoopParams> =>
  params.condition === null ? scanPrimitive : whilePrimitive;

/** Runs a loop back on tensors, as its schedule says. */
function runPullback(values: readonly Tensor[], params: LoopPullbackParams): Tensor[] {
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

interface BatchedLoop {
  readonly params: LoopParams;
  /** Which carries have a batch axis, from the start on; and which rows of results. */
  readonly carries: readonly boolean[];
  readonly rows: readonly boolean[];
}

/** The loop over a batch of carries. Where elements end at different steps, those that have ended stay as they are. */
function batchedLoop(
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
  const masked = graphOf(
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
  const any = graphOf(
    "vmap of a loop",
    (...inputs) => [evaluateGraph(own, inputs)[0].astype("int32").sum().gt(0)],
    avals,
    backend,
  );
  return {
    params: { ...params, body: intern(masked), condition: intern(any) },
    carries: carried(),
    rows: [],
  };
}

/** A loop's inputs with batch axes where the batched loop has them: rows keep the axis of the steps in front. */
function batchedInputs(
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

/** The body of a batched scan with a batch axis in all its rows. */
function spreadRows(loop: BatchedLoop, params: LoopParams, size: number, like: Value): Graph {
  if (params.condition !== null || loop.rows.every(Boolean)) return loop.params.body;
  const every = params.body.inputs.map(() => true);
  return batchedGraph(params.body, size, every, like.backend, "all").graph;
}

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
