/** Constant folding: what depends on constants alone, computed once. */
import type { Aval } from "../aval.ts";
import { sharedLease } from "../bind.ts";
import type { Draft, Graph, GraphNode, Variable } from "../graph/graph.ts";
import { outsideScopes } from "../memory.ts";
import { broadcastTo } from "../primitives/shape.ts";
import { Tensor, scalarTensor } from "../tensor.ts";
import { Rewriter, type Tell } from "./rewriter.ts";

/** The largest tensor that is computed on the way, in elements, and the most FLOPs that a node may cost. */
const mostElements = 1 << 16;
const mostFlops = 1 << 20;

/** What a variable that depends on constants alone is computed from. */
interface Known {
  readonly node: GraphNode | null;
  /** Elements of the constants that it is computed from. */
  readonly source: number;
}

/**
 * The graph with a constant in place of each value that depends on constants alone; the graph itself where there is none. A
 * result is kept if it has no more elements than the constants it comes of, so that the broadcast of a number stays a node, and
 * what is elementwise in such broadcasts becomes the broadcast of one number. The backend of the constants computes: values
 * are those of a run there. Only what its kernels do is folded; draws from constant keys are functions like any other.
 */
export function withoutConstantNodes(graph: Graph, tell?: Tell): Graph {
  const known = knownVariables(graph);
  if (known === undefined) return graph;
  const folder = new Folder(graph, known);
  for (const node of graph.nodes) {
    const folded = folder.folded(node);
    if (folded === undefined) folder.copy(node);
    else {
      folder.enter(node, [folded]);
      tell?.(node.primitive.name);
    }
  }
  folder.dispose();
  return folder.isChanged ? folder.finish() : graph;
}

/** The variables that depend on constants alone; undefined where there are none but constants and their broadcasts. */
function knownVariables(graph: Graph): ReadonlyMap<Variable, Known> | undefined {
  const known = new Map<Variable, Known>();
  graph.constants.forEach(({ size }, i) => known.set(graph.firstConstant + i, { node: null, source: size }));
  const constants = known.size;
  let isAny = false;
  for (const node of graph.nodes) {
    const { primitive, inputs, outputs } = node;
    if (inputs.length === 0 || primitive.rules.form === "multiple") continue;
    if (!inputs.every((variable) => known.has(variable))) continue;
    const aval = graph.avals[outputs[0]];
    isAny ||= primitive.name !== "broadcastTo" || aval.size === graph.avals[inputs[0]].size;
    const source = inputs.reduce((sum, variable) => sum + (known.get(variable) as Known).source, 0);
    known.set(outputs[0], { node, source });
  }
  return isAny && known.size > constants ? known : undefined;
}

class Folder extends Rewriter {
  isChanged = false;
  private readonly known: ReadonlyMap<Variable, Known>;
  private readonly computed = new Map<Variable, Tensor | null>();
  private readonly kept = new Set<Tensor>();

  constructor(graph: Graph, known: ReadonlyMap<Variable, Known>) {
    super(graph);
    this.known = known;
  }

  /** What stands for the output of a node: a constant, the broadcast of a scalar constant, or undefined if it must stay. */
  folded(node: GraphNode): Draft | undefined {
    const [output] = node.outputs;
    const found = this.known.get(output);
    if (found === undefined) return undefined;
    const aval = this.graph.avals[output];
    if (aval.size <= found.source) {
      const tensor = this.tensorOf(output);
      if (tensor === undefined) return undefined;
      this.isChanged = true;
      this.kept.add(tensor);
      return this.constant(tensor);
    }
    return this.ofNumbers(node, aval);
  }

  /** For an elementwise node of broadcast numbers, the broadcast of one number. */
  private ofNumbers(node: GraphNode, aval: Aval): Draft | undefined {
    const { primitive, params, inputs } = node;
    if (!primitive.elementwise || aval.rank === 0) return undefined;
    const numbers = inputs.map((variable) => this.uniform(this.drafts[variable]));
    const [first] = this.graph.constants;
    if (numbers.some((number) => number === undefined)) return undefined;
    const scalars = outsideScopes(() =>
      numbers.map((number, i) =>
        scalarTensor(number as number, this.graph.avals[inputs[i]].dtype, first.backend),
      ),
    );
    const number = this.compute(node, scalars, primitive.infer(scalars, params));
    for (const scalar of scalars) scalar.dispose();
    if (number === undefined) return undefined;
    this.isChanged = true;
    return this.node(
      broadcastTo.primitive,
      [this.constant(number)],
      { shape: aval.shape },
      [aval],
      node.origin,
    )[0];
  }

  private tensorOf(variable: Variable): Tensor | undefined {
    const constant = this.graph.constantOf(variable);
    if (constant !== undefined) return constant;
    let found = this.computed.get(variable);
    if (found === undefined) {
      const { node } = this.known.get(variable) as Known;
      const aval = this.graph.avals[variable];
      const isHandy = node !== null && aval.size <= mostElements && this.flopsOf(node, aval) <= mostFlops;
      const inputs = isHandy ? node.inputs.map((input) => this.tensorOf(input)) : [undefined];
      found = inputs.includes(undefined)
        ? null
        : (this.compute(node as GraphNode, inputs as Tensor[], aval) ?? null);
      this.computed.set(variable, found);
    }
    return found ?? undefined;
  }

  private flopsOf({ primitive, inputs, params }: GraphNode, aval: Aval): number {
    return primitive.cost(
      inputs.map((variable) => this.graph.avals[variable]),
      aval,
      params,
    );
  }

  /** By the kernel itself: nobody who counts evaluations is told, since no run is in progress. */
  private compute(
    { primitive, params }: GraphNode,
    inputs: readonly Tensor[],
    aval: Aval,
  ): Tensor | undefined {
    const [{ backend }] = inputs;
    const kernel = backend.kernels.get(primitive.name);
    if (kernel === undefined || inputs.some((input) => input.backend !== backend)) return undefined;
    try {
      const buffer = kernel(inputs, aval, params);
      const lease = typeof buffer === "number" ? null : sharedLease(buffer, inputs[0]);
      return outsideScopes(() => new Tensor(aval, backend, buffer, lease));
    } catch {
      return undefined; // What fails, fails when it is run.
    }
  }

  /** Frees what was computed on the way. */
  dispose(): void {
    for (const tensor of this.computed.values())
      if (tensor !== null && !this.kept.has(tensor)) tensor.dispose();
  }
}
