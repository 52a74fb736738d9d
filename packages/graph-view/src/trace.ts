/** Both sweeps over a graph at given inputs, step by step, into nested graphs as well. */
import {
  type LoopParams,
  type Aval,
  CotangentError,
  type Graph,
  type GraphNode,
  type Operand,
  Value,
  DerivativeError,
  currentBackend,
  fail,
  pullGraph,
  pullback,
  requireSameShape,
  sameShape,
  scalarTensor,
  tidy,
} from "@cotangent/core";
import { type Summary, summarize } from "./numbers.ts";

/** Where a graph is: "" for the outermost, then the node and the name of each graph on the way, as in `2.body/`. */
export type Path = string;

export const pathInto = (path: Path, node: number, name: string): Path => `${path}${node}.${name}/`;

/** A term that comes to an adjoint. */
export interface TracedTerm {
  readonly variable: number;
  /** The node and the input of it by which the term comes; null for a cotangent of an output. */
  readonly edge: { readonly node: number; readonly index: number } | null;
  /** For such a cotangent, of which output it is. */
  readonly output: number | null;
  readonly term: Summary;
  /** The adjoint so far. */
  readonly total: Summary;
  /** The local derivative, where one value can say it: between scalars, and the diagonal of elementwise primitives. */
  readonly local?: Summary;
}

export interface TracedStep {
  readonly phase: "forward" | "backward";
  readonly path: Path;
  /** What is computed or pulled back; null where a nested graph is entered, or a sweep back begins. */
  readonly node: number | null;
  /** Which time a loop's body is run. */
  readonly iteration?: { readonly step: number; readonly of: number };
  readonly values: readonly { readonly variable: number; readonly value: Summary }[];
  readonly terms: readonly TracedTerm[];
}

export interface Traced {
  /** Inputs and constants, which are there from the start. */
  readonly start: TracedStep["values"];
  readonly steps: readonly TracedStep[];
  /** Why there is no sweep back, where there is none. */
  readonly notice?: string;
}

interface MutableStep extends TracedStep {
  readonly values: { variable: number; value: Summary }[];
  readonly terms: TracedTerm[];
}

/** What a nested graph, or each run of a loop's body, needs for the way back. */
interface Inside {
  readonly back: (adjoints: readonly (Value | null)[]) => void;
}

interface Swept {
  readonly outputs: readonly Value[];
  readonly back: (cotangents: readonly (Value | null)[]) => (Value | null)[];
}

/** More steps than this inside of one node are not shown one by one. */
const mostStepsInside = 400;

class Recording {
  readonly steps: MutableStep[] = [];
  start: TracedStep["values"] = [];

  private open(
    phase: TracedStep["phase"],
    path: Path,
    node: number | null,
    iteration: TracedStep["iteration"],
  ): MutableStep {
    const step = { phase, path, node, ...(iteration && { iteration }), values: [], terms: [] };
    this.steps.push(step);
    return step;
  }

  sweep(
    graph: Graph,
    inputs: readonly Value[],
    wanted: readonly boolean[],
    path: Path,
    iteration?: TracedStep["iteration"],
  ): Swept {
    const computed = new Map<number, { readonly inputs: readonly Value[]; readonly output: Value }>();
    const inside = new Map<number, Inside>();
    const seen = [...inputs, ...graph.constants].map((value, variable) => ({
      variable,
      value: summarize(value),
    }));
    if (path === "") this.start = [...seen];
    else this.open("forward", path, null, iteration).values.push(...seen);
    let current: MutableStep | null = null;
    const pulled = pullGraph(graph, inputs, wanted, {
      computed: (n, primals, outputs) => {
        const node = graph.nodes[n];
        const found = this.inside(node, n, primals, path);
        if (found !== undefined) inside.set(n, found);
        computed.set(n, { inputs: primals, output: outputs[0] });
        const values = node.outputs.map((variable, i) => ({ variable, value: summarize(outputs[i]) }));
        this.open("forward", path, n, iteration).values.push(...values);
        seen.push(...values);
      },
      reached: (n, adjoints) => {
        inside.get(n)?.back(adjoints);
        current = null;
      },
      accumulated: (variable, term, total, n, index) => {
        current ??= this.open("backward", path, n, iteration);
        const local = n === null ? undefined : localDerivative(graph.nodes[n], index, computed.get(n));
        current.terms.push({
          variable,
          edge: n === null ? null : { node: n, index },
          output: n === null ? index : null,
          term: summarize(term),
          total: summarize(total),
          ...(local && { local: summarize(local) }),
        });
      },
    });
    return {
      outputs: pulled.outputs,
      back: (cotangents) => {
        current = this.open("backward", path, null, iteration);
        // The values of that run of the body are shown again.
        if (iteration !== undefined) current.values.push(...seen);
        return pulled.pull(cotangents);
      },
    };
  }

  /** The sweeps inside of a node, where its nested graph is one that can be followed. */
  private inside(node: GraphNode, n: number, inputs: readonly Value[], path: Path): Inside | undefined {
    const before = this.steps.length;
    try {
      return (
        this.call(node, n, inputs, path) ??
        this.branch(node, n, inputs, path) ??
        this.loop(node, n, inputs, path)
      );
    } catch (error) {
      // What has no derivative inside is shown from outside alone.
      if (!(error instanceof CotangentError)) throw error;
      this.steps.length = before;
      return undefined;
    }
  }

  private call({ params }: GraphNode, n: number, inputs: readonly Value[], path: Path): Inside | undefined {
    const { graph, call } = params as { readonly graph?: Graph; readonly call?: Graph };
    // A function with rules of its own is run as it is written, but not gone back through.
    if (call !== undefined && fits(call, inputs))
      this.sweep(
        call,
        inputs,
        inputs.map(() => false),
        pathInto(path, n, "call"),
      );
    if (graph === undefined || !fits(graph, inputs)) return undefined;
    return this.sweep(graph, inputs, floats(graph), pathInto(path, n, "graph"));
  }

  private branch({ params }: GraphNode, n: number, inputs: readonly Value[], path: Path): Inside | undefined {
    const { branches } = params as { readonly branches?: readonly Graph[] };
    if (branches === undefined) return undefined;
    const [index, ...operands] = inputs;
    const taken = Math.min(Math.max(index.item(), 0), branches.length - 1);
    if (!fits(branches[taken], operands)) return undefined;
    return this.sweep(
      branches[taken],
      operands,
      floats(branches[taken]),
      pathInto(path, n, `branches[${taken}]`),
    );
  }

  private loop(
    { primitive, params }: GraphNode,
    n: number,
    inputs: readonly Value[],
    path: Path,
  ): Inside | undefined {
    if (primitive.name !== "scan" && primitive.name !== "whileLoop") return undefined;
    const { body, condition, constants, carries, length, reverse } = params as LoopParams;
    const fixed = inputs.slice(0, constants);
    const arrays = inputs.slice(constants + carries);
    const each = 2 * (body.nodes.length + 2) + (condition === null ? 0 : condition.nodes.length + 1);
    const most = Math.floor(mostStepsInside / each);
    const start = inputs.slice(constants, constants + carries);
    let of = length;
    if (condition !== null) {
      // How often it runs is known once it has.
      const goesOn = (carry: readonly Value[]): boolean =>
        evaluate(condition, [...fixed, ...carry])[0].item() !== 0;
      let carry: readonly Value[] = start;
      for (of = 0; of <= most && goesOn(carry); of++) {
        carry = evaluate(body, [...fixed, ...carry]);
      }
    }
    if (of > most) return undefined;
    let carry = start;
    const rowAt = (step: number): number => (reverse ? of - 1 - step : step);
    const sweeps: Swept[] = [];
    const ask = (step: number): void => {
      if (condition === null) return;
      const none = condition.inputs.map(() => false);
      this.sweep(condition, [...fixed, ...carry], none, pathInto(path, n, "condition"), { step, of: of + 1 });
    };
    for (let step = 0; step < of; step++) {
      ask(step + 1);
      const rows = arrays.map((array) => array.at(rowAt(step)));
      const swept = this.sweep(body, [...fixed, ...carry, ...rows], floats(body), pathInto(path, n, "body"), {
        step: step + 1,
        of,
      });
      sweeps.push(swept);
      carry = swept.outputs.slice(0, carries);
    }
    ask(of + 1);
    return {
      back: (adjoints) => {
        let carried = adjoints.slice(0, carries);
        for (let step = of - 1; step >= 0; step--) {
          const rows = adjoints.slice(carries).map((adjoint) => adjoint?.at(rowAt(step)) ?? null);
          const found = sweeps[step].back([...carried, ...rows]);
          carried = found.slice(constants, constants + carries);
        }
      },
    };
  }
}

const floats = (graph: Graph): boolean[] => graph.inputs.map((aval) => aval.floating);
const evaluate = (graph: Graph, inputs: readonly Value[]): readonly Value[] =>
  pullGraph(
    graph,
    inputs,
    graph.inputs.map(() => false),
  ).outputs;

const same = (a: Aval, b: Aval): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);
const fits = (graph: Graph, inputs: readonly Value[]): boolean =>
  graph.inputs.length === inputs.length && graph.inputs.every((aval, i) => same(aval, inputs[i].aval));

function localDerivative(
  { primitive, params }: GraphNode,
  index: number,
  computed: { readonly inputs: readonly Value[]; readonly output: Value } | undefined,
): Value | null {
  if (computed === undefined || primitive.rules.form === "multiple") return null;
  const { inputs, output } = computed;
  const isDiagonal = primitive.elementwise && sameShape(inputs[index].shape, output.shape);
  const isScalar = inputs[index].rank === 0 && output.rank === 0;
  return isDiagonal || isScalar
    ? pullback(primitive, inputs, output, params, index, output.onesLike())
    : null;
}

/**
 * The sweeps over a graph.
 *
 * @throws ShapeError or DTypeError for inputs or cotangents that are not what the graph takes.
 */
export function trace(
  graph: Graph,
  inputs: readonly Operand[],
  cotangents?: readonly (Operand | null)[],
): Traced {
  return tidy(() => {
    if (inputs.length !== graph.inputs.length)
      fail(DerivativeError, `toHtml: ${inputs.length} inputs given for a graph of ${graph.inputs.length}.`);
    const given = inputs.find((input) => input instanceof Value);
    const backend = given?.backend ?? graph.constants[0]?.backend ?? currentBackend();
    const valueOf = (what: string, operand: Operand, aval: Aval): Value => {
      const value = operand instanceof Value ? operand : scalarTensor(operand, aval.dtype, backend);
      requireSameShape("toHtml", what, value, aval);
      return value.concrete();
    };
    const values = inputs.map((input, i) => valueOf(`input ${i}`, input, graph.inputs[i]));
    const [first] = graph.outputAvals;
    const isScalar = graph.outputs.length === 1 && first.rank === 0 && first.floating;
    if (cotangents !== undefined && cotangents.length !== graph.outputs.length)
      fail(
        DerivativeError,
        `toHtml: ${cotangents.length} cotangents given for a graph of ${graph.outputs.length} outputs.`,
      );
    const seeds = (cotangents ?? (isScalar ? [1] : undefined))?.map((seed, i) =>
      seed === null ? null : valueOf(`cotangent ${i}`, seed, graph.outputAvals[i]),
    );
    const run = (wanted: boolean[]): { recording: Recording; swept: Swept } => {
      const recording = new Recording();
      return { recording, swept: recording.sweep(graph, values, wanted, "") };
    };
    const none = graph.inputs.map(() => false);
    if (seeds === undefined) {
      const { recording } = run(none);
      return {
        start: recording.start,
        steps: recording.steps,
        notice: "The output is no scalar: give cotangents to see the sweep back.",
      };
    }
    try {
      const { recording, swept } = run(floats(graph));
      swept.back(seeds);
      return { start: recording.start, steps: recording.steps };
    } catch (error) {
      if (!(error instanceof DerivativeError)) throw error;
      const { recording } = run(none);
      return { start: recording.start, steps: recording.steps, notice: `No sweep back. ${error.message}` };
    }
  });
}
