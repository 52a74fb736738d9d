/** The graph: a traced function as plain data, in single static assignment form. */
import type { Aval } from "../aval.ts";
import type { Params, Primitive } from "../primitive.ts";
import type { Tensor } from "../tensor.ts";
import type { GraphMethods } from "./methods.ts";
import type { Origin } from "./origin.ts";

/**
 * A variable of a graph, by its number: first the inputs, then the constants, then what each node defines, in the
 * order of the nodes. Every variable is defined once, and before it is used.
 */
export type Variable = number;

/** One application of a primitive. */
export interface GraphNode {
  readonly primitive: Primitive;
  readonly inputs: readonly Variable[];
  readonly params: Params;
  /** One variable, or several in a row for a primitive with several outputs. */
  readonly outputs: readonly Variable[];
  /** Where in the user's program it comes from; for a node of a derivative, that of the node it belongs to. */
  readonly origin: Origin | null;
}

/**
 * A traced function: immutable, typed and without side effects. A pass makes a new graph of it with a `GraphBuilder`,
 * a transformation by evaluating it on its own values.
 */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the interface below is filled at load time
export class Graph {
  /** Abstract values of the inputs. */
  readonly inputs: readonly Aval[];
  /** What the function closed over, and numbers written in it. */
  readonly constants: readonly Tensor[];
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly Variable[];
  /** The abstract value of every variable. */
  readonly avals: readonly Aval[];

  /** For `GraphBuilder`; it holds what the fields promise, and gives up the lists. */
  constructor(
    inputs: readonly Aval[],
    constants: readonly Tensor[],
    nodes: readonly GraphNode[],
    outputs: readonly Variable[],
    avals: readonly Aval[],
  ) {
    this.inputs = inputs;
    this.constants = constants;
    this.nodes = nodes;
    this.outputs = outputs;
    this.avals = avals;
    for (const part of [this, inputs, constants, nodes, outputs, avals]) Object.freeze(part);
    for (const node of nodes) for (const part of [node, node.inputs, node.outputs]) Object.freeze(part);
  }

  /** The number of the first constant. */
  get firstConstant(): Variable {
    return this.inputs.length;
  }

  /** The number of the first variable that a node defines. */
  get firstDefined(): Variable {
    return this.inputs.length + this.constants.length;
  }

  /** Abstract values of the outputs. */
  get outputAvals(): readonly Aval[] {
    return this.outputs.map((variable) => this.avals[variable]);
  }

  /** The constant that a variable is, or undefined for any other variable. */
  constantOf(variable: Variable): Tensor | undefined {
    return this.constants[variable - this.inputs.length];
  }
}

// The views of a graph, which methods.ts defines.
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging, typescript/no-empty-object-type -- as above
export interface Graph extends GraphMethods {}

/** Graphs nested in the parameters of a primitive (the body of a loop, the branches of a condition). */
export function nestedGraphs(params: Params): Graph[] {
  return Object.values(params as Record<string, unknown>).flatMap((value) => {
    if (value instanceof Graph) return [value];
    return Array.isArray(value) ? value.filter((item) => item instanceof Graph) : [];
  });
}

/** The same parameters with each nested graph replaced. */
export function mapNestedGraphs(params: Params, f: (graph: Graph) => Graph): Params {
  if (nestedGraphs(params).length === 0) return params;
  const replaced = (value: unknown): unknown => (value instanceof Graph ? f(value) : value);
  return Object.fromEntries(
    Object.entries(params).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.map(replaced) : replaced(value),
    ]),
  );
}

/** A variable of a graph that is being built. */
export type Draft = number;

/**
 * Builds a graph node by node. Its numbers are drafts: `build` numbers the variables anew, so that constants may come
 * at any time.
 */
export class GraphBuilder {
  readonly inputs: readonly Draft[];
  private readonly avals: Aval[] = [];
  private readonly constants: { readonly draft: Draft; readonly tensor: Tensor }[] = [];
  private readonly constantDrafts = new Map<Tensor | string, Draft>();
  private readonly nodes: GraphNode[] = [];

  constructor(inputs: readonly Aval[]) {
    this.inputs = inputs.map((aval) => this.define(aval));
  }

  private define(aval: Aval): Draft {
    return this.avals.push(aval) - 1;
  }

  aval(draft: Draft): Aval {
    return this.avals[draft];
  }

  /** One more input, after all others. */
  input(aval: Aval): Draft {
    const draft = this.define(aval);
    (this.inputs as Draft[]).push(draft);
    return draft;
  }

  /** The same number for the same tensor, and for scalars of the same dtype, backend and value. */
  constant(tensor: Tensor): Draft {
    const key = literalKey(tensor) ?? tensor;
    let draft = this.constantDrafts.get(key);
    if (draft === undefined) {
      draft = this.define(tensor.aval);
      this.constants.push({ draft, tensor });
      this.constantDrafts.set(key, draft);
    }
    return draft;
  }

  node(
    primitive: Primitive,
    inputs: readonly Draft[],
    params: Params,
    avals: readonly Aval[],
    origin: Origin | null,
  ): Draft[] {
    const outputs = avals.map((aval) => this.define(aval));
    this.nodes.push({ primitive, inputs, params, outputs, origin });
    return outputs;
  }

  build(outputs: readonly Draft[]): Graph {
    const numbers = new Int32Array(this.avals.length);
    const avals: Aval[] = [];
    const number = (draft: Draft): void => {
      numbers[draft] = avals.push(this.avals[draft]) - 1;
    };
    this.inputs.forEach(number);
    for (const { draft } of this.constants) number(draft);
    for (const node of this.nodes) node.outputs.forEach(number);
    const numberOf = (draft: Draft): Variable => numbers[draft];
    return new Graph(
      this.inputs.map((draft) => this.avals[draft]),
      this.constants.map(({ tensor }) => tensor),
      this.nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map(numberOf),
        outputs: node.outputs.map(numberOf),
      })),
      outputs.map(numberOf),
      avals,
    );
  }
}

/** What two scalar constants have in common when one can stand for the other; -0 and 0 cannot. */
function literalKey(tensor: Tensor): string | undefined {
  if (tensor.aval.rank !== 0) return undefined;
  const value = tensor.item();
  return `${tensor.dtype} ${tensor.backend.name} ${Object.is(value, -0) ? "-0" : value}`;
}

/**
 * A builder whose inputs are those of a graph, and the map from the graph's variables to the builder's, filled with
 * the inputs and constants: where every pass begins.
 */
export function rebuild(graph: Graph): { readonly builder: GraphBuilder; readonly drafts: Draft[] } {
  const builder = new GraphBuilder(graph.inputs);
  const drafts = [...builder.inputs, ...graph.constants.map((tensor) => builder.constant(tensor))];
  return { builder, drafts };
}

/** Copies a node into a builder, where `drafts` has its inputs, and enters its outputs there. */
export function copyNode(graph: Graph, node: GraphNode, builder: GraphBuilder, drafts: Draft[]): void {
  const outputs = builder.node(
    node.primitive,
    node.inputs.map((variable) => drafts[variable]),
    node.params,
    node.outputs.map((variable) => graph.avals[variable]),
    node.origin,
  );
  node.outputs.forEach((variable, i) => (drafts[variable] = outputs[i]));
}
