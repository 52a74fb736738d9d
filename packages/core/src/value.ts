import type { Aval, Shape } from "./aval.ts";
import type { Backend } from "./backend.ts";
import type { DType } from "./dtype.ts";
import { EscapedTracerError, ShapeError, fail } from "./errors.ts";
import type { Params, Primitive } from "./primitive.ts";
import type { Methods } from "./ops/methods.ts";
import type { NestedArray, Tensor, TypedArray } from "./tensor.ts";

/**
 * What every op takes and gives. A concrete value is a `Tensor` (level 0); a traced one belongs to a transformation
 * in progress. The op functions are methods too (`add(x, y)` is `x.add(y)`); ops/methods.ts puts them here.
 */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the interface below is filled at load time
export abstract class Value {
  // Declared only: as class fields they would be defined before they are set, on every kind of value in turn, which
  // costs the eager scalar path a quarter of its time.
  declare readonly aval: Aval;
  /** The level of the transformation that this value belongs to: 0 for a tensor, more the further in. */
  declare readonly level: number;

  constructor(aval: Aval, level: number) {
    this.aval = aval;
    this.level = level;
  }

  abstract get backend(): Backend;

  /** The concrete tensor underneath, through every level of eager tracing. */
  abstract concrete(): Tensor;

  /** Whether the elements are there to be read: not those of a traced graph, nor of one element of a batch. */
  abstract get known(): boolean;

  /** The graph being recorded that this value is part of, at any depth of tracing; null for one that is not. */
  abstract recorder(): Recorder | null;

  get shape(): Shape {
    return this.aval.shape;
  }

  get dtype(): DType {
    return this.aval.dtype;
  }

  get rank(): number {
    return this.aval.shape.length;
  }

  get size(): number {
    return this.aval.size;
  }

  /** The one element, as a JavaScript number (0 or 1 for bool). Derivatives do not pass through it. */
  item(): number {
    if (this.aval.size !== 1) {
      // A value without elements says that first.
      if (!this.known) this.concrete();
      fail(
        ShapeError,
        `item() asked of ${this.aval}, which has ${this.aval.size} elements; it needs exactly one. ` +
          `Reduce first (sum, mean ...), or read toArray().`,
      );
    }
    return Number(this.concrete().dataSync()[0]);
  }

  /** The elements in row-major order, copied to the host. */
  dataSync(): TypedArray {
    return this.concrete().dataSync();
  }

  /** The elements in row-major order, copied to the host without blocking where the backend can. */
  data(): Promise<TypedArray> {
    return this.concrete().data();
  }

  /** The elements as nested arrays of the value's shape; a rank-0 value gives a plain number or boolean. */
  toArray(): NestedArray {
    return this.concrete().toArray();
  }

  /** What JSON has of a value: its elements. */
  toJSON(): NestedArray {
    return this.toArray();
  }

  /** How Node's console shows a value. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Lets define-by-run code branch on a rank-0 value: `if (x > 0)`. */
  [Symbol.toPrimitive](hint: string): number | string {
    return hint === "string" ? this.toString() : this.item();
  }
}

// The op functions as methods, which ops/methods.ts defines.
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging, typescript/no-empty-object-type -- as above
export interface Value extends Methods {}

/** A transformation in progress: it interprets each primitive that is applied to one of its own values. */
export interface Trace {
  readonly level: number;
  /** The transformation's name, for messages. */
  readonly name: string;
  /** False once the transformation has returned; its values have escaped from then on. */
  readonly open: boolean;
  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value;
  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[];
}

/** A transformation that records a graph; constants of a shape are operations of the graph, not tensors kept in it. */
export interface Recorder extends Trace {
  constant(value: number, aval: Aval): Value;
  /** A tensor as a variable of the graph, so that what is computed of it is computed in the graph too. */
  lift(tensor: Tensor): Value;
}

/** A value of a transformation in progress. */
export abstract class Tracer extends Value {
  declare readonly owner: Trace;

  constructor(owner: Trace, aval: Aval) {
    super(aval, owner.level);
    this.owner = owner;
  }

  /** The values of lower levels that this one is made of, its primal first. */
  abstract parts(): readonly Value[];

  // Those of scalar eager code have these two written out: it would make an array of parts for each operation.
  override get backend(): Backend {
    return this.parts()[0].backend;
  }

  override concrete(): Tensor {
    return this.parts()[0].concrete();
  }

  override get known(): boolean {
    return this.parts()[0].known;
  }

  override recorder(): Recorder | null {
    // Where a tangent is recorded and the primal is not (linearize), this is a value outside of the graph.
    return this.parts()[0].recorder();
  }
}

let lastLevel = 0;

/**
 * A level that no other application of a transformation has or had. An inner application always gets a higher one
 * than those around it, so dispatch to the highest level is dispatch to the innermost transformation, and values of
 * different applications can never be confused (perturbation confusion).
 */
export function nextLevel(): number {
  return ++lastLevel;
}

export function refuseEscaped(tracer: Tracer, what: string): never {
  fail(
    EscapedTracerError,
    `${what}: a traced value ${tracer.aval} of ${tracer.owner.name} (level ${tracer.level}) was used after ` +
      `${tracer.owner.name} had returned. Return what you need from the function ` +
      `(with hasAux where there is one) instead of storing it outside.`,
  );
}
