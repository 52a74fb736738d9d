/** Running a graph: on tensors, node by node with exact liveness; on traced values, by binding each node again. */
import type { Backend, Program } from "../backend.ts";
import { bind, bindMultiple, isObserved, notify, sharedLease } from "../bind.ts";
import { enterScope, outsideScopes, tidy, unowned } from "../memory.ts";
import { withoutDeadCode } from "../passes/dead-code.ts";
import { Tensor } from "../tensor.ts";
import type { Recorder, Value } from "../value.ts";
import { requireInputs } from "./check.ts";
import { type Draft, Graph, GraphBuilder, type GraphNode, type Variable, copyNode } from "./graph.ts";
import { withOrigin } from "./origin.ts";

/**
 * The graph's outputs for these inputs, whatever they are: tensors are computed, traced values are traced on, each node
 * by the rules of its primitive.
 */
export function evaluateGraph(graph: Graph, inputs: readonly Value[]): Value[] {
  requireInputs(
    "evaluateGraph",
    graph,
    inputs.map((input) => input.aval),
  );
  if (inputs.length > 0 && inputs.every((input) => input.level === 0)) {
    const outputs = runGraph(graph, inputs as readonly Tensor[]);
    outputs.forEach(enterScope);
    return outputs;
  }
  const values = startingValues(graph, inputs);
  for (const node of graph.nodes) {
    const outputs = withOrigin(node.origin, () => bindNode(node, values));
    node.outputs.forEach((variable, i) => (values[variable] = outputs[i]));
  }
  return graph.outputs.map((variable) => values[variable]);
}

/**
 * Values of the variables that are there before the first node. Constants move to the backend of the inputs; where
 * those are recorded in another graph, into that graph: what is computed of them alone stays an operation there.
 */
export function startingValues(graph: Graph, inputs: readonly Value[]): Value[] {
  if (inputs.length === 0) return [...graph.constants];
  const { backend } = inputs[0];
  let recorder: Recorder | null = null;
  for (const input of inputs) recorder ??= input.recorder();
  return [
    ...inputs,
    ...graph.constants.map((tensor) => {
      const moved = tensor.to(backend);
      return recorder === null ? moved : recorder.lift(moved);
    }),
  ];
}

/** Binds a node of a graph to values of its inputs. */
export function bindNode({ primitive, inputs, params }: GraphNode, values: readonly Value[]): Value[] {
  const operands = inputs.map((variable) => values[variable]);
  return primitive.rules.form === "multiple"
    ? bindMultiple(primitive, operands, params)
    : [bind(primitive, operands, params)];
}

type Step = (values: readonly Tensor[]) => Tensor[] | Tensor;

/** A graph made ready to run on one backend. */
export interface Executable {
  /** The outputs, which belong to nobody yet; inputs among them are given as tensors of their own. */
  run(inputs: readonly Tensor[]): Tensor[];
}

/** Runs a graph node by node. */
class Interpreter implements Executable {
  private readonly graph: Graph;
  private readonly backend: Backend;
  private readonly constants: readonly Tensor[];
  private readonly steps: readonly Step[];
  /** After each node, the variables that nothing uses any more. */
  private readonly dead: readonly (readonly Variable[])[];

  constructor(graph: Graph, backend: Backend) {
    this.graph = graph;
    this.backend = backend;
    this.constants = outsideScopes(() => graph.constants.map((tensor) => tensor.to(backend)));
    this.steps = graph.nodes.map((node) => this.step(node));
    this.dead = lastUses(graph);
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const { graph, constants, steps, dead } = this;
    const values = new Array<Tensor>(graph.avals.length);
    let next = 0;
    for (const input of inputs) values[next++] = input;
    for (const constant of constants) values[next++] = constant;
    return unowned(() => {
      let done = 0;
      try {
        for (; done < steps.length; done++) {
          const result = steps[done](values);
          if (Array.isArray(result)) for (const output of result) values[next++] = output;
          else values[next++] = result;
          for (const variable of dead[done]) values[variable].dispose();
        }
      } catch (error) {
        for (let variable = graph.firstDefined; variable < next; variable++) values[variable].dispose();
        throw error;
      }
      const handedOver = new Set<Variable>();
      return graph.outputs.map((variable) => {
        if (variable >= graph.firstDefined && !handedOver.has(variable)) {
          handedOver.add(variable);
          return values[variable];
        }
        return values[variable].sharing();
      });
    });
  }

  private step(node: GraphNode): Step {
    const { primitive, params } = node;
    const { backend, graph } = this;
    const [a, b] = node.inputs;
    const gather: (values: readonly Tensor[]) => Tensor[] =
      node.inputs.length === 1
        ? (values) => [values[a]]
        : node.inputs.length === 2
          ? (values) => [values[a], values[b]]
          : (values) => node.inputs.map((variable) => values[variable]);
    const aval = graph.avals[node.outputs[0]];
    return (values) => {
      const inputs = gather(values);
      // Looked up at each run: a kernel may be replaced.
      const kernel = backend.kernels.get(primitive.name);
      if (kernel === undefined || primitive.rules.form === "multiple")
        return this.bound(node, values, inputs);
      const buffer = kernel(inputs, aval, params);
      const lease = typeof buffer === "number" ? null : sharedLease(buffer, inputs[0]);
      const output = new Tensor(aval, backend, buffer, lease);
      if (isObserved()) withOrigin(node.origin, () => notify(primitive, inputs, [output], params));
      return output;
    };
  }

  /** A node that no single kernel computes: its temporaries are freed, and its outputs are tensors of their own. */
  private bound(node: GraphNode, values: readonly Tensor[], inputs: readonly Tensor[]): Tensor[] {
    return tidy(() =>
      withOrigin(node.origin, () => bindNode(node, values)).map((output) => {
        const tensor = output.concrete();
        return inputs.includes(tensor) ? tensor.sharing() : tensor;
      }),
    );
  }
}

/** The outputs that nodes define, each once. */
export const computedOutputs = (graph: Graph): Variable[] => [
  ...new Set(graph.outputs.filter((variable) => variable >= graph.firstDefined)),
];

/** Runs a graph as its backend has compiled it; node by node while anybody observes the nodes. */
class Compiled implements Executable {
  private readonly graph: Graph;
  private readonly backend: Backend;
  private readonly program: Program;
  private readonly computed: readonly Variable[];
  private readonly constants: readonly Tensor[];

  constructor(graph: Graph, backend: Backend, program: Program) {
    this.graph = graph;
    this.backend = backend;
    this.program = program;
    this.computed = computedOutputs(graph);
    this.constants = outsideScopes(() => graph.constants.map((tensor) => tensor.to(backend)));
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const { graph, backend } = this;
    if (isObserved()) return interpreterOf(graph, backend).run(inputs);
    return unowned(() => {
      const buffers = this.program.run(inputs);
      const values = new Map<Variable, Tensor>();
      this.computed.forEach((variable, i) =>
        values.set(variable, new Tensor(graph.avals[variable], backend, buffers[i])),
      );
      const handedOver = new Set<Variable>();
      return graph.outputs.map((variable) => {
        const found = values.get(variable) ?? inputs[variable] ?? this.constants[variable - inputs.length];
        if (!values.has(variable) || handedOver.has(variable)) return found.sharing();
        handedOver.add(variable);
        return found;
      });
    });
  }
}

/** Runs another graph of the same values, which the backend would rather run; not while anybody observes the nodes. */
class Replaced implements Executable {
  private readonly graph: Graph;
  private readonly backend: Backend;
  private readonly other: Graph;

  constructor(graph: Graph, backend: Backend, other: Graph) {
    this.graph = graph;
    this.backend = backend;
    this.other = other;
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    return interpreterOf(isObserved() ? this.graph : this.other, this.backend).run(inputs);
  }
}

/** A graph that is too large for one program: two of half its nodes, one after the other. */
class Halves implements Executable {
  private readonly first: Executable;
  private readonly second: Executable;

  constructor(graph: Graph, backend: Backend) {
    const middle = Math.floor(graph.nodes.length / 2);
    const [before, after] = [graph.nodes.slice(0, middle), graph.nodes.slice(middle)];
    const used = new Set([...after.flatMap((node) => node.inputs), ...graph.outputs]);
    const between = before.flatMap((node) => node.outputs.filter((variable) => used.has(variable)));
    const half = (
      inputs: readonly Variable[],
      nodes: readonly GraphNode[],
      outputs: readonly Variable[],
    ): Executable => {
      const builder = new GraphBuilder(inputs.map((variable) => graph.avals[variable]));
      const drafts: Draft[] = [];
      inputs.forEach((variable, i) => (drafts[variable] = builder.inputs[i]));
      graph.constants.forEach((tensor, i) => (drafts[graph.firstConstant + i] = builder.constant(tensor)));
      for (const node of nodes) copyNode(graph, node, builder, drafts);
      return executableOf(
        withoutDeadCode(builder.build(outputs.map((variable) => drafts[variable]))),
        backend,
      );
    };
    const given = graph.inputs.map((_, i) => i);
    this.first = half(given, before, between);
    this.second = half([...given, ...between], after, graph.outputs);
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const between = this.first.run(inputs);
    try {
      return this.second.run([...inputs, ...between]);
    } finally {
      for (const tensor of between) tensor.dispose();
    }
  }
}

/** Of how few nodes a graph is not taken apart any further. */
const fewNodes = 1000;

/** For each node, the variables defined by nodes that are used for the last time there, or never. */
export function lastUses(graph: Graph): Variable[][] {
  const last = new Int32Array(graph.avals.length).fill(-1);
  graph.nodes.forEach((node, i) => {
    for (const variable of [...node.outputs, ...node.inputs]) last[variable] = i;
  });
  for (const variable of graph.outputs) last[variable] = graph.nodes.length;
  const dead: Variable[][] = graph.nodes.map(() => []);
  for (let variable = graph.firstDefined; variable < last.length; variable++) {
    if (last[variable] < graph.nodes.length) dead[last[variable]].push(variable);
  }
  return dead;
}

type PerBackend<T> = WeakMap<Graph, Map<Backend, T>>;

const interpreters: PerBackend<Interpreter> = new WeakMap();
const executables: PerBackend<Executable> = new WeakMap();

function cached<T>(cache: PerBackend<T>, graph: Graph, backend: Backend, make: () => T): T {
  let perBackend = cache.get(graph);
  if (perBackend === undefined) cache.set(graph, (perBackend = new Map()));
  let found = perBackend.get(backend);
  if (found === undefined) perBackend.set(backend, (found = make()));
  return found;
}

const interpreterOf = (graph: Graph, backend: Backend): Interpreter =>
  cached(interpreters, graph, backend, () => new Interpreter(graph, backend));

/** The graph ready to run on a backend, prepared once. */
export function executableOf(graph: Graph, backend: Backend): Executable {
  return cached(executables, graph, backend, () => {
    const made = backend.compile === undefined ? graph : backend.compile(graph);
    if (made === graph) return interpreterOf(graph, backend);
    if (made instanceof Graph) return new Replaced(graph, backend, made);
    if (made !== undefined) return new Compiled(graph, backend, made);
    return graph.nodes.length > fewNodes ? new Halves(graph, backend) : interpreterOf(graph, backend);
  });
}

/** The graph's outputs for tensors on one backend; they belong to nobody yet. */
export function runGraph(graph: Graph, inputs: readonly Tensor[]): Tensor[] {
  return executableOf(graph, inputs[0].backend).run(inputs);
}
