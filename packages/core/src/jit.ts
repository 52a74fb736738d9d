/** Functions that are traced once per kind of arguments and run as graphs from then on. */
import { Aval } from "./aval.ts";
import { describe, leafValue } from "./arguments.ts";
import { type Backend, currentBackend } from "./backend.ts";
import { StagingError, TreeError, fail } from "./errors.ts";
import { evaluateGraph } from "./graph/evaluate.ts";
import type { Graph } from "./graph/graph.ts";
import { intern } from "./graph/hash.ts";
import { isPlain } from "./graph/literal.ts";
import { areLinesExact } from "./graph/origin.ts";
import { type Recorded, recordGraph } from "./graph/stage.ts";
import { call } from "./primitives/call.ts";
import { type LiftableArguments, leaves, mapTree, treeStructure } from "./tree.ts";
import type { Lifted } from "./arguments.ts";
import { scalarTensor } from "./tensor.ts";
import { Value } from "./value.ts";

export interface JitOptions {
  /** Numbers of arguments that are no values but choose the program: it is traced again for each that is new. */
  readonly static?: readonly number[];
}

export interface JitStats {
  readonly calls: number;
  /** How often the function was traced: once for each combination of structure, shapes, dtypes, backend and statics. */
  readonly traces: number;
  /** Programs compiled: fewer than traces where two traces gave the same graph. */
  readonly compilations: number;
  /** Milliseconds spent tracing. */
  readonly tracingTime: number;
}

/** A function that runs as a graph. */
export type Jitted<A extends readonly unknown[], R> = ((...args: LiftableArguments<A>) => Lifted<R>) & {
  /** What calls so far have cost. */
  readonly stats: () => JitStats;
  /** The graph for these arguments, traced now if need be. */
  readonly graph: (...args: LiftableArguments<A>) => Graph;
};

/** A traced function. Its graph has its own lines; the one that is run may be that of another function. */
interface Program extends Recorded {
  readonly shared: Graph;
}

interface Arguments {
  readonly key: string;
  readonly inputs: readonly Value[];
  readonly avals: readonly Aval[];
  readonly backend: Backend;
}

const identities = new WeakMap<object, number>();
let identityCount = 0;

/** A static argument as part of a key: by value where it is primitive or made of arrays and plain objects, else by identity. */
function staticKey(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(staticKey).join()}]`;
  if (isPlain(value)) {
    const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${staticKey(item)}`);
    return `{${entries.join()}}`;
  }
  if (typeof value === "function" || (typeof value === "object" && value !== null)) {
    let found = identities.get(value);
    if (found === undefined) identities.set(value, (found = ++identityCount));
    return `#${found}`;
  }
  return Object.is(value, -0) ? "-0" : `${typeof value} ${String(value)}`;
}

/**
 * The function, traced to a graph at its first call and run as that graph from then on. Calls with arguments of the
 * same structure, shapes, dtypes and backend share one graph; another kind of argument is traced anew.
 *
 * Plain numbers among the arguments take the dtype of the first floating value there, or else the default one.
 *
 * A jitted function is transformed like any other: the derivative of a graph is a graph. What it closes over is a
 * constant: a closed-over tensor is the one of the first call.
 *
 * @throws StagingError where f reads the elements of an argument, or calls itself without end; TreeError for an argument that is neither a value nor
 * static.
 * @example
 * ```ts
 * const step = jit((x: Value) => x.sin().mul(x).sum());
 * step(tensor([1, 2])); // traced, then run
 * step(tensor([3, 4])); // run
 * step.stats().traces; // 1
 * ```
 */
export function jit<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  options: JitOptions = {},
): Jitted<A, R> {
  const statics = new Set(options.static);
  const programs = new Map<string, Program>();
  /** What is being traced now. */
  const tracing = new Set<string>();
  const compiled = new Set<Graph>();
  const stats = { calls: 0, traces: 0, tracingTime: 0 };

  const flatten = (args: readonly unknown[]): Arguments => {
    const inputs: Value[] = [];
    const key: string[] = [];
    const like = leaves(args.filter((_, i) => !statics.has(i))).find(
      (leaf) => leaf instanceof Value && leaf.aval.floating,
    ) as Value | undefined;
    args.forEach((arg, i) => {
      if (statics.has(i)) {
        key.push(staticKey(arg));
        return;
      }
      key.push(treeStructure(arg));
      mapTree(arg, (leaf, path) => inputs.push(inputLeaf(leaf, path, like)), `argument ${i}`);
    });
    const backend = inputs.find((input) => input.backend !== undefined)?.backend ?? currentBackend();
    const avals = inputs.map((input) => input.aval);
    return { key: `${backend.name} ${key.join(" ")} ${avals.join(" ")}`, inputs, avals, backend };
  };

  const program = (args: readonly unknown[], { key, avals, backend }: Arguments): Program => {
    const known = programs.get(key);
    if (known !== undefined) return known;
    if (tracing.has(key)) {
      fail(
        StagingError,
        `jit: the function calls itself, with arguments like its own (${avals.join(", ")}), while it is traced, which ` +
          `would go on for ever. Use whileLoop, scan or foriLoop; recursion that values decide cannot be a graph.`,
      );
    }
    const start = performance.now();
    const traced = (...inputs: Value[]): unknown => {
      let next = 0;
      const own = args.map((arg, i) => (statics.has(i) ? arg : mapTree(arg, () => inputs[next++])));
      return f(...(own as unknown as A));
    };
    tracing.add(key);
    let found: Recorded;
    try {
      found = recordGraph("jit", traced, avals, backend);
    } finally {
      tracing.delete(key);
    }
    const recorded = { ...found, shared: intern(found.graph) };
    stats.traces++;
    stats.tracingTime += performance.now() - start;
    compiled.add(recorded.shared);
    // A graph that uses values of an outer transformation holds for this call alone: those have other values next time.
    if (recorded.captured.length === 0) programs.set(key, recorded);
    return recorded;
  };

  const jitted = (...args: unknown[]): unknown => {
    const found = flatten(args);
    const { graph: own, shared, captured, tree } = program(args, found);
    const graph = areLinesExact() ? own : shared;
    stats.calls++;
    const inputs = [...found.inputs, ...captured];
    const outputs =
      inputs.length === 0 ? evaluateGraph(graph, []) : call(inputs, { graph, save: "everything" });
    return mapTree(tree, (position) => outputs[position as number]);
  };
  return Object.assign(jitted, {
    stats: (): JitStats => ({ ...stats, compilations: compiled.size }),
    graph: (...args: unknown[]): Graph => {
      const { graph, captured } = program(args, flatten(args));
      if (captured.length > 0)
        fail(
          StagingError,
          "jit: the function closes over values of another transformation; its graph is not its own.",
        );
      return graph;
    },
  }) as unknown as Jitted<A, R>;
}

/** An argument's leaf as a value; a number is as weakly typed as in eager code: it takes the dtype of what is there. */
function inputLeaf(leaf: unknown, path: string, like: Value | undefined): Value {
  if (typeof leaf === "number" && like !== undefined) return scalarTensor(leaf, like.dtype, like.backend);
  if (leaf instanceof Value || typeof leaf === "number") return leafValue("jit", leaf, path);
  if (leaf instanceof Aval) {
    fail(
      TreeError,
      `jit: ${path} is the abstract value ${leaf}, but a jitted function runs on values. Give one; stage(f) traces by ` +
        `abstract values.`,
    );
  }
  fail(
    TreeError,
    `jit: ${path} is ${describe(leaf)}, which no graph can take as an input. Name its argument as static, ` +
      `jit(f, { static: [number] }), or close over it.`,
  );
}
