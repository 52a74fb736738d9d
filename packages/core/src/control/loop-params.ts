/** What loops are: their parameters, and the shapes of what they take and give. */
import { type Aval, avalOf, sameAval } from "../aval.ts";
import { CotangentError, fail } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import type { Value } from "../value.ts";
import type { LoopCheckpoint } from "./schedule.ts";

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

/** Which of a loop's inputs are constants, carry, rows: what kind each position has. */
export const kindOf = ({ constants, carries }: LoopParams, position: number): "constant" | "carry" | "row" =>
  position < constants ? "constant" : position < constants + carries ? "carry" : "row";

export interface LoopPullbackParams extends LoopParams {
  /** For each input of the loop, whether its cotangent is asked for. */
  readonly wanted: readonly boolean[];
}

export const stepAvals = (avals: readonly Aval[]): Aval[] =>
  avals.map((aval) => avalOf(aval.shape.slice(1), aval.dtype));

/** The avals of the outputs: the carry, then the stacked rows. */
export function loopShapes(avals: readonly Aval[], params: LoopParams): Aval[] {
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

/** The loop's inputs and outputs, told apart from the cotangents that follow them. */
export function splitPullback(values: readonly Value[], params: LoopPullbackParams): [Value[], Value[]] {
  const count = params.wanted.length;
  return [values.slice(0, count), values.slice(count)];
}

export function loopOf({ wanted: _, ...params }: LoopPullbackParams): LoopParams {
  return params;
}
