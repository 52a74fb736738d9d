/** Staging: running a function on variables instead of values, which records its graph. */
import type { Aval } from "../aval.ts";
import { leafValue, outputTree } from "../arguments.ts";
import { Aval as AvalClass } from "../aval.ts";
import { type Backend, currentBackend } from "../backend.ts";
import { BackendError, CotangentError, StagingError, fail } from "../errors.ts";
import { promote, scopeDepth, tidy } from "../memory.ts";
import type { Params, Primitive } from "../primitive.ts";
import { broadcastTo } from "../primitives/shape.ts";
import { Tensor, retained, scalarTensor, uniformOf } from "../tensor.ts";
import { leaves, mapTree } from "../tree.ts";
import { type Recorder, Tracer, Value, nextLevel, refuseEscaped } from "../value.ts";
import { checked } from "./check.ts";
import { type Draft, type Graph, GraphBuilder } from "./graph.ts";
import { followOrigins, originNow } from "./origin.ts";

/** A value of a graph that is being recorded: its aval is known, its elements are not. */
export class GraphVariable extends Tracer {
  declare readonly owner: StageTrace;
  readonly draft: Draft;

  constructor(owner: StageTrace, aval: Aval, draft: Draft) {
    super(owner, aval);
    this.draft = draft;
  }

  override get backend(): Backend {
    return this.owner.backend;
  }

  override get known(): boolean {
    return false;
  }

  override recorder(): Recorder {
    return this.owner;
  }

  override concrete(): Tensor {
    if (!this.owner.open) refuseEscaped(this, "reading elements");
    fail(
      StagingError,
      `${this.owner.name}: the elements of a traced value ${this.aval} were asked for (by item, toArray, dataSync, ` +
        `Number(x), or a JavaScript condition such as if (x > 0)), but a function that is traced to a graph runs ` +
        `without elements. Use where or cond in place of if, whileLoop, foriLoop or scan in place of a loop that they ` +
        `decide; or compute outside of the traced function what does not depend on its arguments.`,
    );
  }

  override parts(): readonly Value[] {
    return [];
  }

  override toString(): string {
    return `GraphVariable(${this.aval})`;
  }
}

/** What a graph keeps of what its function closed over: all tensors, numbers (which hold no storage), or nothing; the rest is captured. */
export type Closing = "tensors" | "numbers" | "nothing";

/** One recording of a graph. */
export class StageTrace implements Recorder {
  readonly level: number = nextLevel();
  readonly name: string;
  readonly backend: Backend;
  open = true;
  readonly builder: GraphBuilder = new GraphBuilder([]);
  /** Values that the function closed over and the graph does not keep: inputs of the graph after the arguments. */
  readonly captured: Value[] = [];
  private readonly closing: Closing;
  private readonly depth = scopeDepth();
  private readonly known = new Map<Value, Draft>();
  private readonly constants = new Map<string, Value>();

  constructor(name: string, backend: Backend, closing: Closing = "tensors") {
    this.name = name;
    this.backend = backend;
    this.closing = closing;
  }

  /** A new input of the graph. */
  input(aval: Aval): GraphVariable {
    return new GraphVariable(this, aval, this.builder.input(aval));
  }

  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    const drafts = inputs.map((input) => this.draftOf(input, primitive.name));
    const aval = primitive.infer(inputs, params);
    const [draft] = this.builder.node(primitive, drafts, params, [aval], originNow());
    return new GraphVariable(this, aval, draft);
  }

  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    const { rules } = primitive;
    if (rules.form !== "multiple")
      fail(CotangentError, `${primitive.name} has one output; bind it with bind.`);
    const drafts = inputs.map((input) => this.draftOf(input, primitive.name));
    const inputAvals = inputs.map((input) => input.aval);
    const own = rules.traced === undefined ? params : rules.traced(inputAvals, params, this.backend);
    const avals = rules.shapes(inputAvals, own);
    const outputs = this.builder.node(primitive, drafts, own, avals, originNow());
    return avals.map((aval, i) => new GraphVariable(this, aval, outputs[i]));
  }

  constant(value: number, aval: Aval): Value {
    const key = `${Object.is(value, -0) ? "-0" : value} ${aval}`;
    let found = this.constants.get(key);
    if (found === undefined) {
      const scalar = scalarTensor(value, aval.dtype, this.backend);
      const draft = this.draftOf(scalar, this.name);
      const params = { shape: aval.shape };
      const [output] = this.builder.node(broadcastTo.primitive, [draft], params, [aval], originNow());
      found = new GraphVariable(this, aval, output);
      this.constants.set(key, found);
    }
    return found;
  }

  lift(tensor: Tensor): Value {
    return new GraphVariable(this, tensor.aval, this.draftOf(tensor, this.name));
  }

  /** The variable that a value is in this graph; one of another level becomes a constant or a captured input. */
  draftOf(value: Value, who: string): Draft {
    if (value.level === this.level) {
      if (!this.open) refuseEscaped(value as GraphVariable, who);
      return (value as GraphVariable).draft;
    }
    let draft = this.known.get(value);
    if (draft === undefined) {
      const uniform =
        value instanceof Tensor && value.backend === this.backend ? uniformOf(value) : undefined;
      if (uniform !== undefined) draft = (this.constant(uniform, value.aval) as GraphVariable).draft;
      else draft = this.isKept(value) ? this.close(value, who) : this.capture(value, who);
      this.known.set(value, draft);
    }
    return draft;
  }

  private isKept(value: Value): value is Tensor {
    return (
      value instanceof Tensor &&
      (this.closing === "tensors" || (this.closing === "numbers" && value.lease === null))
    );
  }

  private capture(value: Value, who: string): Draft {
    this.requireBackend(value, who);
    // It may have been made in a tidy that ends before the recording does.
    promote(value, this.depth);
    this.captured.push(value);
    return this.builder.input(value.aval);
  }

  private close(tensor: Tensor, who: string): Draft {
    this.requireBackend(tensor, who);
    return this.builder.constant(retained(tensor));
  }

  private requireBackend({ aval, backend }: Value, who: string): void {
    if (backend === this.backend) return;
    fail(
      BackendError,
      `${who}: a value ${aval} on backend ${backend.name} is used in a function that is traced for backend ` +
        `${this.backend.name}. Move it: x.to(backend).`,
    );
  }
}

/** What a traced function gives. */
export interface Recorded {
  readonly graph: Graph;
  /** Values for the inputs of the graph that come after the arguments: what the function closed over. */
  readonly captured: readonly Value[];
  /** The function's result, with a number in place of each leaf: its position among the graph's outputs. */
  readonly tree: unknown;
}

/** Traces a function of values, whatever it closes over, to a graph. */
export function recordGraph(
  who: string,
  f: (...inputs: Value[]) => unknown,
  avals: readonly Aval[],
  backend: Backend,
  closing: Closing = "tensors",
): Recorded {
  const trace = new StageTrace(who, backend, closing);
  const inputs = avals.map((aval) => trace.input(aval));
  try {
    // Tensors that the function makes on the way are freed, but for those in what it captured; the graph retains its own.
    const found: { graph?: Graph; tree?: unknown } = {};
    tidy(() =>
      followOrigins(() => {
        const output = outputTree(who, f(...inputs));
        const values = leaves(output) as Value[];
        found.graph = checked(
          trace.builder.build(values.map((value) => trace.draftOf(value, `the result of ${who}`))),
        );
        let next = 0;
        found.tree = mapTree(output, () => next++);
        return trace.captured;
      }),
    );
    return { graph: found.graph as Graph, captured: trace.captured, tree: found.tree };
  } finally {
    trace.open = false;
  }
}

/** The graph of a function of values that closes over nothing but tensors. */
export function graphOf(
  who: string,
  f: (...inputs: Value[]) => unknown,
  avals: readonly Aval[],
  backend: Backend,
): Graph {
  const { graph, captured } = recordGraph(who, f, avals, backend);
  if (captured.length > 0) {
    const { owner, aval } = captured[0] as Tracer;
    fail(
      StagingError,
      `${who}: the function closes over a traced value ${aval} of ${owner.name}, which a graph on its own cannot hold. ` +
        `Pass it as an argument.`,
    );
  }
  return graph;
}

/** A leaf of an argument by which to trace: its aval, or undefined for what is no value (a string, a function). */
export function abstractLeaf(who: string, leaf: unknown, path: string): Aval | undefined {
  if (leaf instanceof AvalClass) return leaf;
  if (typeof leaf === "number" || leaf instanceof Value) return leafValue(who, leaf, path).aval;
  return undefined;
}

/**
 * Traces a function once, to its graph.
 *
 * @returns a function of the same arguments that gives the graph: values and abstract values (`avalOf([2, 3], "float64")`)
 * serve alike, in trees as everywhere, since only shapes and dtypes matter. The graph's inputs are the leaves of the
 * arguments in order, its outputs those of the result. Leaves that are no values (strings, functions) pass as they are.
 * @throws StagingError where the function reads the elements of an argument, or closes over a value that another
 * transformation traces.
 * @example
 * ```ts
 * const graph = stage((x: Value) => x.sin().mul(2))(avalOf([3], "float64"));
 * console.log(graph.toString());
 * ```
 */
export function stage<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
): (...args: Stageable<A>) => Graph {
  return (...args) => {
    const avals: Aval[] = [];
    for (const [i, arg] of args.entries()) {
      mapTree(
        arg,
        (leaf, path) => {
          const aval = abstractLeaf("stage", leaf, path);
          if (aval !== undefined) avals.push(aval);
        },
        `argument ${i}`,
      );
    }
    const values = leaves(args).filter((leaf) => leaf instanceof Value);
    const backend = values[0]?.backend ?? currentBackend();
    const call = (...inputs: Value[]): unknown => {
      let next = 0;
      const traced = mapTree(args, (leaf, path) =>
        abstractLeaf("stage", leaf, path) === undefined ? leaf : inputs[next++],
      );
      return f(...(traced as unknown as A));
    };
    return graphOf("stage", call, avals, backend);
  };
}

/** Arguments by which to trace: an abstract value or a number may stand for each value. */
export type Stageable<T> = T extends Value
  ? Value | Aval | number
  : T extends object
    ? { [K in keyof T]: Stageable<T[K]> }
    : T;
