/** A graph in the making that knows how its variables came about: what passes match patterns on. */
import type { Aval } from "../aval.ts";
import { type Draft, type Graph, type GraphBuilder, type GraphNode, rebuild } from "../graph/graph.ts";
import type { Origin } from "../graph/origin.ts";
import type { Params, Primitive } from "../primitive.ts";
import type { Tensor } from "../tensor.ts";
import { withoutDeadCode } from "./dead-code.ts";

/** Is told, by name, of each thing that a pass does. */
export type Tell = (what: string) => void;

/** How a variable with one definition came about. */
export interface Definition {
  readonly primitive: Primitive;
  readonly inputs: readonly Draft[];
  readonly params: Params;
}

/** A copy of a graph, built node by node; `drafts` maps the graph's variables to those of the copy. */
export class Rewriter {
  readonly graph: Graph;
  readonly drafts: Draft[];
  protected readonly builder: GraphBuilder;
  private readonly definitions: (Definition | undefined)[] = [];
  private readonly tensors: (Tensor | undefined)[] = [];
  private readonly uniforms: (number | null | undefined)[] = [];

  constructor(graph: Graph) {
    this.graph = graph;
    const { builder, drafts } = rebuild(graph);
    this.builder = builder;
    this.drafts = drafts;
    graph.constants.forEach((tensor, i) => (this.tensors[drafts[graph.firstConstant + i]] = tensor));
  }

  aval(draft: Draft): Aval {
    return this.builder.aval(draft);
  }

  constant(tensor: Tensor): Draft {
    const draft = this.builder.constant(tensor);
    this.tensors[draft] = tensor;
    return draft;
  }

  /** How the one output of a node came about; undefined for inputs, constants, and outputs among several. */
  definition(draft: Draft): Definition | undefined {
    return this.definitions[draft];
  }

  /** The number that all elements of a value are known to be: of a scalar constant, broadcast or not. */
  uniform(draft: Draft): number | undefined {
    let found = this.uniforms[draft];
    if (found === undefined) {
      const tensor = this.tensors[draft];
      const definition = this.definitions[draft];
      found = null;
      if (tensor !== undefined) found = tensor.rank === 0 ? tensor.item() : null;
      else if (definition !== undefined && isSpreading(definition.primitive))
        found = this.uniform(definition.inputs[0]) ?? null;
      this.uniforms[draft] = found;
    }
    return found ?? undefined;
  }

  /** A new node, as it is. */
  node(
    primitive: Primitive,
    inputs: readonly Draft[],
    params: Params,
    avals: readonly Aval[],
    origin: Origin | null,
  ): Draft[] {
    const outputs = this.builder.node(primitive, inputs, params, avals, origin);
    if (outputs.length === 1) this.definitions[outputs[0]] = { primitive, inputs, params };
    return outputs;
  }

  inputsOf(node: GraphNode): Draft[] {
    return node.inputs.map((variable) => this.drafts[variable]);
  }

  /** A node of the graph, copied, perhaps with other parameters. */
  copy(node: GraphNode, params: Params = node.params): void {
    const avals = node.outputs.map((variable) => this.graph.avals[variable]);
    this.enter(node, this.node(node.primitive, this.inputsOf(node), params, avals, node.origin));
  }

  /** Lets drafts stand for the outputs of a node of the graph. */
  enter(node: GraphNode, outputs: readonly Draft[]): void {
    node.outputs.forEach((variable, i) => (this.drafts[variable] = outputs[i]));
  }

  /** The new graph, without what nothing uses any more. */
  finish(): Graph {
    return withoutDeadCode(this.builder.build(this.graph.outputs.map((variable) => this.drafts[variable])));
  }
}

const isSpreading = ({ name }: Primitive): boolean => name === "broadcastTo" || name === "reshape";
