/** Transposes of linear graphs. */
import type { SwitchParams } from "../control/cond.ts";
import type { LoopParams } from "../control/loop-params.ts";
import { DerivativeError, fail } from "../errors.ts";
import type { Primitive } from "../primitive.ts";
import type { CallParams } from "../primitives/call.ts";
import type { Value } from "../value.ts";
import { pullGraph } from "./differentiate.ts";
import type { Graph, GraphNode } from "./graph.ts";

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

/** How a variable depends on the marked inputs: zero is both constant and linear. */
type Dependence = "zero" | "constant" | "linear";

/**
 * Refuses a graph that is not, node by node, linear in the marked inputs, in the graphs of its branches, loops and calls
 * too. Values of inputs, where they are given, tell which are zero.
 *
 * @throws DerivativeError that names the node, with its line.
 */
export function requireLinear(
  graph: Graph,
  linear: readonly boolean[],
  inputs: readonly (Value | undefined)[] = [],
): void {
  const required = (known: Knowledge): void => {
    const own = graph.inputs.map((_, i) => (linear[i] ? "linear" : known(inputs[i])));
    dependences(graph, own, known);
  };
  try {
    required(atAGlance);
  } catch {
    // It may be linear all the same: terms that were computed as zeros.
    required(inFull);
  }
}

/** What is known of a value that does not depend on the inputs. */
type Knowledge = (value: Value | undefined) => "zero" | "constant";

const atAGlance: Knowledge = (value) =>
  value !== undefined && value.level === 0 && (value.size === 0 || (value.size === 1 && value.item() === 0))
    ? "zero"
    : "constant";

/** From all elements, which are not there at a glance. */
const inFull: Knowledge = (value) =>
  value !== undefined && value.level === 0 && value.dataSync().every((x) => x === 0) ? "zero" : "constant";

/** How the outputs of a graph depend on what its inputs do. */
function dependences(graph: Graph, inputs: readonly Dependence[], known: Knowledge): Dependence[] {
  const found: Dependence[] = [...inputs, ...graph.constants.map(known)];
  for (const node of graph.nodes) {
    const own = node.inputs.map((variable) => found[variable]);
    const outputs = own.every((dependence) => dependence === "constant")
      ? node.outputs.map(() => "constant" as const)
      : ofNode(graph, node, own, known);
    node.outputs.forEach((variable, i) => (found[variable] = outputs[i]));
  }
  return graph.outputs.map((variable) => found[variable]);
}

function ofNode(
  graph: Graph,
  node: GraphNode,
  own: readonly Dependence[],
  known: Knowledge,
): readonly Dependence[] {
  const { primitive, inputs, outputs } = node;
  const isReached = own.includes("linear");
  if (primitive.rules.form === "multiple") return ofNested(graph, node, own, known);
  if (isReached && !graph.avals[outputs[0]].floating) refuse(node, "a result that is no float");
  if (primitive.rules.form === "linear" || linearTogether.has(primitive.name)) {
    const joint = own.map((dependence, i) => (isJoint(primitive, i) ? dependence : "zero"));
    if (own.some((dependence, i) => dependence === "linear" && !isJoint(primitive, i)))
      refuse(node, "a condition or an index");
    const affine = isReached ? joint.indexOf("constant") : -1;
    if (affine >= 0) {
      const aval = graph.avals[inputs[affine]];
      refuse(node, `a term ${aval} that is neither zero nor depends on the argument`);
    }
    return [joint.reduce(either)];
  }
  const alone = primitive.rules.form === "bilinear" ? [0, 1] : linearAlone[primitive.name];
  if (alone !== undefined) {
    const dependent = own.flatMap((dependence, i) => (dependence === "linear" ? [i] : []));
    if (dependent.length > 1) refuse(node, "a product of two values that both depend on the argument");
    if (isReached) return alone.includes(dependent[0]) ? ["linear"] : refuse(node, "a divisor");
    return [alone.some((i) => own[i] === "zero") ? "zero" : "constant"];
  }
  return isReached ? refuse(node, "an argument of its own") : ["constant"];
}

/** The dependence of what is the one or the other, of which only one is more than zero. */
const either = (a: Dependence, b: Dependence): Dependence => (a === "zero" ? b : a);

function ofNested(graph: Graph, node: GraphNode, own: readonly Dependence[], known: Knowledge): Dependence[] {
  const { primitive, params, outputs } = node;
  /** What is now the one, now the other. */
  const join = (a: Dependence, b: Dependence): Dependence =>
    a === "zero" || b === "zero" || a === b
      ? either(a, b)
      : refuse(
          node,
          "a result that is a constant in one branch or step and depends on the argument in another",
        );
  switch (primitive.name) {
    case "call":
      return dependences((params as CallParams).graph, own, known);
    case "switchCase": {
      const [index, ...operands] = own;
      if (index === "linear") refuse(node, "an index");
      return (params as SwitchParams).branches
        .map((branch) => dependences(branch, operands, known))
        .reduce((a, b) => a.map((dependence, i) => join(dependence, b[i])));
    }
    case "scan":
    case "whileLoop": {
      const { body, condition, constants, carries } = params as LoopParams;
      const state = [...own];
      for (;;) {
        const next = dependences(body, state, known);
        let isStable = true;
        for (let i = 0; i < carries; i++) {
          const joined = join(state[constants + i], next[i]);
          isStable &&= joined === state[constants + i];
          state[constants + i] = joined;
        }
        if (!isStable) continue;
        // For what it refuses.
        if (condition !== null) dependences(condition, state.slice(0, constants + carries), known);
        return [...state.slice(constants, constants + carries), ...next.slice(carries)];
      }
    }
  }
  // Rules that nobody has read: what reaches what is not told apart.
  const isReached = own.includes("linear");
  return outputs.map((variable) => (isReached && graph.avals[variable].floating ? "linear" : "constant"));
}

/** Whether a primitive is linear in this input together with others, so that a constant there makes it affine. */
function isJoint({ rules, args, variadic }: Primitive, index: number): boolean {
  if (rules.form !== "linear") return true;
  return args[variadic ? 0 : index] in rules.transpose;
}

function refuse({ primitive, origin }: GraphNode, where: string): never {
  const line = origin?.line;
  fail(
    DerivativeError,
    `linearTranspose: the function is not linear in its argument: ${primitive.name}${line === undefined ? "" : ` (${line})`} ` +
      `has it as ${where}. Linearise it first (linearize), or take its vjp.`,
  );
}
