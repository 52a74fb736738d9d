/**
 * Batching: a batched value stands for one element of a batch, which is held in one value with the batch along its first
 * axis. Each primitive is applied to all elements at once, by its batching rule.
 */
import { type Aval, avalOf } from "../aval.ts";
import { bind } from "../bind.ts";
import { CotangentError, StagingError, fail } from "../errors.ts";
import type { Params, Primitive } from "../primitive.ts";
import type { Tensor } from "../tensor.ts";
import { type Trace, Tracer, type Value, nextLevel, refuseEscaped } from "../value.ts";

/** One element of a batch; `all` holds the batch, along axis 0. */
export class Batched extends Tracer {
  readonly all: Value;

  constructor(owner: BatchTrace, all: Value) {
    super(owner, avalOf(all.shape.slice(1), all.dtype));
    this.all = all;
  }

  override get known(): boolean {
    return false;
  }

  override concrete(): Tensor {
    if (!this.owner.open) refuseEscaped(this, "reading elements");
    fail(
      StagingError,
      `${this.owner.name}: the elements of a batched value ${this.aval} were asked for (by item, toArray, dataSync, ` +
        `Number(x), or a JavaScript condition such as if (x > 0)), but it stands for every element of a batch, and each ` +
        `may decide otherwise. ${(this.owner as BatchTrace).advice}`,
    );
  }

  override parts(): readonly Value[] {
    return [this.all];
  }

  override toString(): string {
    return `Batched(one of ${this.all.shape[0]} in ${this.all.toString()})`;
  }
}

/** One application of batching, over so many elements. */
export class BatchTrace implements Trace {
  readonly level: number = nextLevel();
  readonly name: string;
  readonly size: number;
  /** What to do about code that asks for the elements of a batched value. */
  readonly advice: string;
  open = true;

  constructor(
    name: string,
    size: number,
    advice = "Use where or cond in place of if, whileLoop in place of a loop that values decide.",
  ) {
    this.name = name;
    this.size = size;
    this.advice = advice;
  }

  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    const batched = this.flags(inputs, primitive.name);
    const values = this.unwrapped(inputs);
    if (primitive.elementwise)
      return new Batched(this, elementwise(primitive, inputs, values, batched, params));
    if (primitive.batch === undefined)
      fail(CotangentError, `${primitive.name} has several outputs; bind it with bindMultiple.`);
    return new Batched(this, primitive.batch(values, batched, params));
  }

  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    const { rules } = primitive;
    if (rules.form !== "multiple")
      fail(CotangentError, `${primitive.name} has one output; bind it with bind.`);
    const batched = this.flags(inputs, primitive.name);
    const found = rules.batch(this.unwrapped(inputs), batched, params);
    return found.outputs.map((output, i) => (found.batched[i] ? new Batched(this, output) : output));
  }

  /** A value of this batch, in which all elements are the same where it was none. */
  spread(value: Value): Value {
    return this.owns(value) ? value.all : value.broadcastTo([this.size, ...value.shape]);
  }

  owns(value: Value): value is Batched {
    return value.level === this.level;
  }

  private flags(inputs: readonly Value[], who: string): boolean[] {
    return inputs.map((input) => {
      if (!this.owns(input)) return false;
      if (!this.open) refuseEscaped(input, who);
      return true;
    });
  }

  private unwrapped(inputs: readonly Value[]): Value[] {
    return inputs.map((input) => (this.owns(input) ? input.all : input));
  }
}

/** Elementwise primitives broadcast: axes of size 1 after the batch axis line up what has fewer. */
function elementwise(
  primitive: Primitive,
  inputs: readonly Value[],
  values: readonly Value[],
  batched: readonly boolean[],
  params: Params,
): Value {
  const rank = inputs.reduce((most, input) => Math.max(most, input.rank), 0);
  const aligned = values.map((value, i) => {
    if (!batched[i] || value.rank === rank + 1) return value;
    const [size, ...shape] = value.shape;
    return value.reshape([size, ...new Array<number>(rank - shape.length).fill(1), ...shape]);
  });
  return bind(primitive, aligned, params);
}

/** The number of elements of the batch that these inputs of a rule have. */
export function batchSize(inputs: readonly { readonly aval: Aval }[], batched: readonly boolean[]): number {
  return inputs[batched.indexOf(true)].aval.shape[0];
}

/** Runs a function of values on all elements of a batch at once; outputs have a batch axis where they are marked. */
export function runBatched(
  who: string,
  size: number,
  f: (...inputs: Value[]) => readonly Value[],
  inputs: readonly Value[],
  batched: readonly boolean[],
  spread: readonly boolean[] | "all" = [],
  advice?: string,
): { readonly outputs: Value[]; readonly batched: boolean[] } {
  const trace = new BatchTrace(who, size, advice);
  const elements = inputs.map((input, i) => (batched[i] ? new Batched(trace, input) : input));
  try {
    const outputs = f(...elements);
    const marks = outputs.map((output, i) => trace.owns(output) || spread === "all" || (spread[i] ?? false));
    return {
      outputs: outputs.map((output, i) => (marks[i] ? trace.spread(output) : output)),
      batched: marks,
    };
  } finally {
    trace.open = false;
  }
}
