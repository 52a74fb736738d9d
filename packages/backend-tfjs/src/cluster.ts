/**
 * Elementwise nodes as shaders that compute several of them at once. A shader gives one output, so there is one for each
 * output of a cluster; what was computed for an earlier one is read.
 */
import {
  type Graph,
  type GraphNode,
  type Program,
  type Tensor,
  type Variable,
  computedOutputs,
} from "@cotangent/core";
import { type Tensor as TfTensor, engine, env, keep } from "@tensorflow/tfjs-core";
import { definition, expressionOf, literal } from "./elementwise.ts";
import { type Loop, loopOf, runLoop } from "./program.ts";

/** Shaders compile in proportion to their length, and longer. */
export const mostNodes = 48;
/** What costs as many FLOPs for an element is computed once, and not again for each output that needs it. */
const dear = 6;

/** Whether a node is an expression of its inputs' elements. */
export const isExpression = (node: GraphNode, graph: Graph): boolean =>
  expressionIn(graph, node) !== undefined && node.outputs.every((variable) => graph.avals[variable].size > 0);

function expressionIn(
  { avals }: Graph,
  { primitive, inputs, outputs, params }: GraphNode,
): string | undefined {
  if (!primitive.elementwise && primitive.name !== "broadcastTo") return undefined;
  return expressionOf(primitive.name, params, avals[inputs[0]].dtype, avals[outputs[0]].dtype);
}

/** One shader: what it computes, and what it reads. */
interface Stage {
  readonly variable: Variable;
  readonly inputs: readonly Variable[];
  readonly loop: Loop;
}

/** A graph of such nodes alone as shaders; undefined where one of them would read more than a shader can. */
export function compileCluster(graph: Graph): Program | undefined {
  const definedBy = new Map(graph.nodes.flatMap((node) => node.outputs.map((variable) => [variable, node])));
  const roots = rootsOf(graph, definedBy);
  const stages: Stage[] = [];
  for (const { outputs } of graph.nodes) {
    if (!roots.has(outputs[0])) continue;
    const stage = stageOf(graph, outputs[0], roots, definedBy);
    if (stage === undefined) return undefined;
    stages.push(stage);
  }
  const outputs = computedOutputs(graph);
  return {
    run: (inputs) => engine().tidy("cluster", () => run(stages, inputs, outputs)),
  };
}

function run(stages: readonly Stage[], given: readonly Tensor[], outputs: readonly Variable[]): TfTensor[] {
  const values = new Map<Variable, TfTensor>(given.map((input, i) => [i, input.buffer as TfTensor]));
  const valueOf = (variable: Variable): TfTensor => values.get(variable) as TfTensor;
  for (const { variable, inputs, loop } of stages) values.set(variable, runLoop(loop, inputs.map(valueOf)));
  return outputs.map((variable) => keep(valueOf(variable)));
}

/**
 * What gets a shader of its own: the outputs; what is smaller than what is made of it, lest it be computed for each element
 * of that; and what is dear and needed by several of these.
 */
function rootsOf(graph: Graph, definedBy: ReadonlyMap<Variable, GraphNode>): Set<Variable> {
  const { avals, nodes } = graph;
  const roots = new Set(computedOutputs(graph));
  for (const { inputs, outputs } of nodes)
    for (const variable of inputs)
      if (definedBy.has(variable) && avals[variable].size < avals[outputs[0]].size) roots.add(variable);
  /** The roots that need each variable, found from the end: a variable that becomes a root is needed by itself alone. */
  const needing = new Map<Variable, Set<Variable>>();
  for (const { primitive, inputs, outputs, params } of [...nodes].reverse()) {
    const [output] = outputs;
    const own = needing.get(output) ?? new Set();
    const flops = primitive.cost(
      inputs.map((variable) => avals[variable]),
      avals[output],
      params,
    );
    if (own.size > 1 && flops >= dear * avals[output].size) roots.add(output);
    const reached = roots.has(output) ? new Set([output]) : own;
    for (const variable of inputs)
      needing.set(variable, new Set([...(needing.get(variable) ?? []), ...reached]));
  }
  return roots;
}

/** The shader of a variable, from inputs and from other roots. */
function stageOf(
  graph: Graph,
  variable: Variable,
  roots: ReadonlySet<Variable>,
  definedBy: ReadonlyMap<Variable, GraphNode>,
): Stage | undefined {
  const inputs: Variable[] = [];
  const names = new Map<Variable, string>();
  const statements: string[] = [];
  const visit = (wanted: Variable): string => {
    const known = names.get(wanted);
    if (known !== undefined) return known;
    const node = definedBy.get(wanted);
    const constant = graph.constantOf(wanted);
    let name: string;
    if (constant !== undefined) name = literal(constant.item());
    else if (node === undefined || (wanted !== variable && roots.has(wanted)))
      name = `x${inputs.push(wanted) - 1}`;
    else {
      const operands = node.inputs.map(visit);
      name = `v${wanted}`;
      statements.push(definition(name, expressionIn(graph, node) as string, operands));
    }
    names.set(wanted, name);
    return name;
  };
  const result = visit(variable);
  if (inputs.length > env().getNumber("WEBGL_MAX_TEXTURES_IN_SHADER")) return undefined;
  const shapes = inputs.map((input) => graph.avals[input].shape);
  const loop = loopOf(statements.join("\n      "), result, shapes, graph.avals[variable].shape);
  return loop && { variable, inputs, loop };
}
