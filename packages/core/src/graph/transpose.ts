/** Transposes of linear graphs. */
import { DerivativeError, fail } from "../errors.ts";
import type { Primitive } from "../primitive.ts";
import { broadcastTo } from "../primitives/shape.ts";
import type { Value } from "../value.ts";
import { pullGraph } from "./differentiate.ts";
import { type Graph, type GraphNode, type Variable, nestedGraphs } from "./graph.ts";

/** How many of its inputs, each alone, a primitive that is no declared linear or bilinear one is linear in. */
const linearAlone: Readonly<Record<string, readonly number[]>> = { mul: [0, 1], strongMul: [0, 1], div: [0] };
/** Elementwise sums: linear in their inputs together. */
const linearTogether: ReadonlySet<string> = new Set(["add", "sub", "neg"]);

/**
 * The transpose of a graph that is linear in the marked inputs: from cotangents of its outputs to those of these
 * inputs, given the values of the others. Of a linear function the VJP is the transpose, whatever the point, so the rules
 * that are used are those of the few linear primitives.
 *
 * The graph is one that `requireLinear` has let pass.
 */
export function transposeGraph(
  graph: Graph,
  linear: readonly boolean[],
  inputs: readonly Value[],
): (cotangents: readonly (Value | null)[]) => (Value | null)[] {
  return pullGraph(graph, inputs, linear).pull;
}

/**
 * Refuses a graph that is not, node by node, linear in the marked inputs; returns which outputs depend on them. Values
 * of inputs, where they are given, tell which are zero.
 *
 * @throws DerivativeError that names the node, with its line.
 */
export function requireLinear(
  graph: Graph,
  linear: readonly boolean[],
  inputs: readonly (Value | undefined)[] = [],
): boolean[] {
  const depends = graph.avals.map((_, variable) => linear[variable] ?? false);
  const isZero = zeros(graph, inputs);
  for (const node of graph.nodes) {
    const marks = node.inputs.map((variable) => depends[variable]);
    if (!marks.includes(true)) continue;
    if (!node.outputs.some((variable) => graph.avals[variable].floating))
      refuse(node, "a result that is no float");
    const reached = linearOutputs(graph, node, marks, isZero);
    node.outputs.forEach((variable, i) => (depends[variable] = reached[i]));
  }
  return graph.outputs.map((variable) => depends[variable]);
}

function linearOutputs(
  graph: Graph,
  node: GraphNode,
  marks: readonly boolean[],
  isZero: ReadonlySet<Variable>,
): boolean[] {
  const { primitive, inputs, params } = node;
  const affine = inputs.find((variable, i) => isJoint(primitive, i) && !marks[i] && !isZero.has(variable));
  if (primitive.rules.form === "linear" || linearTogether.has(primitive.name)) {
    if (primitive.rules.form === "linear" && marks.some((mark, i) => mark && !isJoint(primitive, i)))
      refuse(node, "a condition or an index");
    if (affine !== undefined)
      refuse(node, `a term ${graph.avals[affine]} that is neither zero nor depends on the argument`);
    return [true];
  }
  const alone = primitive.rules.form === "bilinear" ? [0, 1] : linearAlone[primitive.name];
  if (alone !== undefined) {
    const dependent = marks.flatMap((mark, i) => (mark ? [i] : []));
    if (dependent.length > 1) refuse(node, "a product of two values that both depend on the argument");
    if (!alone.includes(dependent[0])) refuse(node, "a divisor");
    return [true];
  }
  if (primitive.name === "call") return requireLinear(nestedGraphs(params)[0], marks);
  // Loops and branches: their bodies repeat, so what reaches what is not told apart.
  if (primitive.rules.form === "multiple")
    return node.outputs.map((variable) => graph.avals[variable].floating);
  return refuse(node, "an argument of its own");
}

/** Whether a primitive is linear in this input together with others, so that a constant there makes it affine. */
function isJoint({ rules, args, variadic }: Primitive, index: number): boolean {
  if (rules.form !== "linear") return true;
  return args[variadic ? 0 : index] in rules.transpose;
}

/** Variables that are zeros, as far as constants and broadcasts of them tell. */
function zeros(graph: Graph, inputs: readonly (Value | undefined)[]): Set<Variable> {
  const found = new Set<Variable>();
  const add = (value: Value | undefined, variable: Variable): void => {
    if (value === undefined || value.level !== 0) return;
    if (value.size === 0 || (value.size === 1 && value.item() === 0)) found.add(variable);
  };
  inputs.forEach(add);
  graph.constants.forEach((tensor, i) => add(tensor, graph.firstConstant + i));
  for (const { primitive, inputs, outputs } of graph.nodes) {
    if (primitive === broadcastTo.primitive && found.has(inputs[0])) found.add(outputs[0]);
  }
  return found;
}

function refuse({ primitive, origin }: GraphNode, where: string): never {
  const line = origin?.line;
  fail(
    DerivativeError,
    `linearTranspose: the function is not linear in its argument: ${primitive.name}${line === undefined ? "" : ` (${line})`} ` +
      `has it as ${where}. Linearise it first (linearize), or take its vjp.`,
  );
}
