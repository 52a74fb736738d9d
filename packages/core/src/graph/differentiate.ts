/**
 * Derivatives of graphs, by the same rules as those of eager code: forward along the nodes with tangents, or back along
 * them with cotangents. Control flow, whose bodies are graphs, is differentiated with these; so is a jitted function.
 */
import { bindNode, startingValues } from "./evaluate.ts";
import type { Backend } from "../backend.ts";
import type { Pullback } from "../primitive.ts";
import {
  pullback,
  pullbackMultiple,
  pushforward,
  pushforwardMultiple,
  requireReverseRule,
} from "../rules.ts";
import type { Value } from "../value.ts";
import { type Graph, GraphBuilder, type Variable, copyNode } from "./graph.ts";
import { withOrigin } from "./origin.ts";
import { graphOf } from "./stage.ts";
import { withoutDeadCode } from "../passes/dead-code.ts";
import { smallestSaved } from "../passes/recomputation.ts";

/** The outputs of a graph and their tangents, for inputs and tangents; null tangents are zeros. */
export function pushGraph(
  graph: Graph,
  inputs: readonly Value[],
  inputTangents: readonly (Value | null)[],
): { readonly outputs: Value[]; readonly tangents: (Value | null)[] } {
  const values = startingValues(graph, inputs);
  const tangents: (Value | null)[] = [...inputTangents, ...graph.constants.map(() => null)];
  for (const node of graph.nodes) {
    const { primitive, params } = node;
    const pushed = node.inputs.map((variable) => tangents[variable]);
    withOrigin(node.origin, () => {
      const primals = node.inputs.map((variable) => values[variable]);
      if (pushed.every((tangent) => tangent === null)) {
        bindNode(node, values).forEach((value, i) => {
          values[node.outputs[i]] = value;
          tangents[node.outputs[i]] = null;
        });
      } else if (primitive.rules.form === "multiple") {
        const found = pushforwardMultiple(primitive, primals, pushed, params);
        node.outputs.forEach((variable, i) => {
          values[variable] = found.outputs[i];
          tangents[variable] = found.outputs[i].aval.floating ? found.tangents[i] : null;
        });
      } else {
        const [output] = node.outputs;
        const value = bindNode(node, values)[0];
        values[output] = value;
        tangents[output] = value.aval.floating
          ? pushforward(primitive, primals, value, pushed, params)
          : null;
      }
    });
  }
  return {
    outputs: graph.outputs.map((variable) => values[variable]),
    tangents: graph.outputs.map((variable) => tangents[variable]),
  };
}

/** Looks on while `pullGraph` sweeps over a graph, forward and back. */
export interface SweepObserver {
  /** A node has been computed. */
  readonly computed?: (node: number, inputs: readonly Value[], outputs: readonly Value[]) => void;
  /** The adjoints of a node's outputs are whole, and are about to be pulled back through it; null is zero. */
  readonly reached?: (node: number, adjoints: readonly (Value | null)[]) => void;
  /** A term has come to the adjoint of a variable: along input `index` of a node, or from an output (node null). */
  readonly accumulated?: (
    variable: Variable,
    term: Value,
    total: Value,
    node: number | null,
    index: number,
  ) => void;
}

/**
 * The outputs of a graph, and the pullback from cotangents of its outputs to those of the wanted inputs. Null
 * cotangents are zeros. The pullback may be called again.
 */
export function pullGraph(
  graph: Graph,
  inputs: readonly Value[],
  wanted: readonly boolean[],
  observer: SweepObserver = {},
): Pullback {
  const values = startingValues(graph, inputs);
  const active: boolean[] = [...wanted, ...graph.constants.map(() => false)];
  const joint = new Map<number, Pullback>();
  graph.nodes.forEach((node, n) => {
    const { primitive, params } = node;
    const reached = node.inputs.map((variable) => active[variable]);
    const isActive = reached.includes(true) && primitive.form !== "zero";
    withOrigin(node.origin, () => {
      let outputs: readonly Value[];
      if (isActive && primitive.rules.form === "multiple") {
        const found = pullbackMultiple(
          primitive,
          node.inputs.map((variable) => values[variable]),
          reached,
          params,
        );
        joint.set(n, found);
        ({ outputs } = found);
      } else {
        outputs = bindNode(node, values);
      }
      node.outputs.forEach((variable, i) => {
        values[variable] = outputs[i];
        active[variable] = isActive && outputs[i].aval.floating;
      });
      if (isActive && active[node.outputs[0]] && !joint.has(n))
        reached.forEach((isReached, i) => {
          if (isReached) requireReverseRule(primitive, i);
        });
      observer.computed?.(
        n,
        node.inputs.map((variable) => values[variable]),
        outputs,
      );
    });
  });
  const pull = (cotangents: readonly (Value | null)[]): (Value | null)[] => {
    const adjoints = new Array<Value | null>(graph.avals.length).fill(null);
    const accumulate = (variable: Variable, term: Value | null, n: number | null, index: number): void => {
      if (term === null || !active[variable]) return;
      const before = adjoints[variable];
      const total = before === null ? term : before.add(term);
      adjoints[variable] = total;
      observer.accumulated?.(variable, term, total, n, index);
    };
    graph.outputs.forEach((variable, i) => accumulate(variable, cotangents[i], null, i));
    for (let n = graph.nodes.length - 1; n >= 0; n--) {
      const node = graph.nodes[n];
      const found = node.outputs.map((variable) => adjoints[variable]);
      if (found.every((adjoint) => adjoint === null)) continue;
      withOrigin(node.origin && node.origin.back, () => {
        observer.reached?.(n, found);
        const several = joint.get(n);
        if (several !== undefined) {
          several.pull(found).forEach((term, i) => accumulate(node.inputs[i], term, n, i));
          return;
        }
        const primals = node.inputs.map((variable) => values[variable]);
        node.inputs.forEach((variable, i) => {
          if (!active[variable]) return;
          const output = values[node.outputs[0]];
          const term = pullback(node.primitive, primals, output, node.params, i, found[0] as Value);
          accumulate(variable, term, n, i);
        });
      });
      for (const variable of node.outputs) adjoints[variable] = null;
    }
    return wanted.map((isWanted, i) => (isWanted ? adjoints[i] : null));
  };
  return { outputs: graph.outputs.map((variable) => values[variable]), residuals: values, pull };
}

/** A graph that gives outputs and tangents, and which outputs have one (those of the others are zeros). */
export interface Pushed {
  /** From the inputs and the tangents of the marked ones to the outputs and the tangents of those that have one. */
  readonly graph: Graph;
  readonly hasTangent: readonly boolean[];
}

const pushedGraphs = new WeakMap<Graph, Map<string, Pushed>>();

/**
 * The graph of a graph's JVP, for inputs of which those marked have tangents. `instantiate` names outputs that get a
 * tangent even where it is zero.
 */
export function pushedGraph(
  graph: Graph,
  hasTangent: readonly boolean[],
  backend: Backend,
  instantiate: readonly boolean[] = [],
): Pushed {
  return remembered(pushedGraphs, graph, keyOf(backend, hasTangent, instantiate), () => {
    let found: readonly boolean[] = [];
    const moved = graph.inputs.filter((_, i) => hasTangent[i]);
    const pushed = graphOf(
      "jvp of a graph",
      (...all) => {
        const inputs = all.slice(0, graph.inputs.length);
        let next = graph.inputs.length;
        const tangents = hasTangent.map((has) => (has ? all[next++] : null));
        const result = pushGraph(graph, inputs, tangents);
        const given = result.tangents.map((tangent, i) =>
          tangent === null && instantiate[i] ? inputs[0].constant(0, result.outputs[i].aval) : tangent,
        );
        found = given.map((tangent) => tangent !== null);
        return [...result.outputs, ...given.filter((tangent) => tangent !== null)];
      },
      [...graph.inputs, ...moved],
      backend,
    );
    return { graph: pushed, hasTangent: found };
  });
}

/** Whether the value of a node is kept for the way back, or computed again there. */
export type Recompute = (primitive: string) => boolean;

/**
 * What is kept of the forward run: all that the way back needs, nothing but the inputs, the costly products, or the
 * fewest bytes from which the rest can be made again cheaply (`passes/recomputation.ts`).
 */
export type SavePolicy = "everything" | "nothing" | "products" | "smallest";

/** What each policy computes again. */
export const recomputes: Readonly<Record<SavePolicy, Recompute>> = {
  // A broadcast or a reshape of what is kept costs nothing to make again.
  everything: (name) => name === "broadcastTo" || name === "reshape",
  nothing: () => true,
  products: (name) =>
    !["dotGeneral", "conv2d", "conv2dInputTranspose", "conv2dFilterTranspose"].includes(name),
  // Not said by the primitive: a minimum cut of the graph decides, within what "everything" keeps.
  smallest: (name) => recomputes.everything(name),
};

/** A graph's VJP as two graphs. */
export interface Pulled {
  /** From the inputs to the outputs and the residuals. */
  readonly forward: Graph;
  /** From the residuals and the cotangents of all floating outputs to those of the wanted inputs. */
  readonly backward: Graph;
  /** Which residuals are inputs of the graph: `forward` does not give those. */
  readonly savedInputs: readonly number[];
  /** How many of the outputs of `forward` are residuals, at the end. */
  readonly saved: number;
  /** How many nodes of the forward run are run again in `backward`. */
  readonly again: number;
}

const pulledGraphs = new WeakMap<Graph, Map<string, Pulled>>();

/**
 * The VJP of a graph, split where the cotangents come in: what does not depend on them is run forward, and the values
 * that cross the cut are saved, or computed again on the way back, as the policy says.
 */
export function pulledGraph(
  graph: Graph,
  wanted: readonly boolean[],
  policy: SavePolicy,
  backend: Backend,
): Pulled {
  return remembered(pulledGraphs, graph, keyOf(backend, wanted, policy), () => {
    const floating = graph.outputAvals.filter((aval) => aval.floating);
    const joint = graphOf(
      "vjp of a graph",
      (...all) => {
        const inputs = all.slice(0, graph.inputs.length);
        let next = graph.inputs.length;
        const { outputs, pull } = pullGraph(graph, inputs, wanted);
        const found = pull(outputs.map((output) => (output.aval.floating ? all[next++] : null)));
        const cotangents = graph.inputs.flatMap((aval, i) =>
          wanted[i] ? [found[i] ?? inputs[0].constant(0, aval)] : [],
        );
        return [...outputs, ...cotangents];
      },
      [...graph.inputs, ...floating],
      backend,
    );
    return cut(joint, graph.inputs.length, graph.outputs.length, policy);
  });
}

/** What crosses from the forward run to the way back, and what is run again there. */
interface Crossing {
  readonly savedInputs: ReadonlySet<Variable>;
  readonly saved: ReadonlySet<Variable>;
  readonly again: ReadonlySet<number>;
}

/** Cuts a joint graph in two, at what depends on its later inputs. */
function cut(joint: Graph, inputCount: number, outputCount: number, policy: SavePolicy): Pulled {
  const isLate = joint.avals.map((_, variable) => variable >= inputCount && variable < joint.inputs.length);
  const definedBy = new Map<Variable, number>();
  joint.nodes.forEach((node, n) => {
    const late = node.inputs.some((variable) => isLate[variable]);
    for (const variable of node.outputs) {
      isLate[variable] = late;
      definedBy.set(variable, n);
    }
  });
  const lateOutputs = joint.outputs.slice(outputCount);
  const needed = [
    ...joint.nodes.flatMap((node) => (isLate[node.outputs[0]] ? node.inputs : [])),
    ...lateOutputs,
  ];
  // What the way back uses of the forward run: kept, or made again from what is kept.
  const crossing = (isKept: (variable: Variable, n: number) => boolean): Crossing => {
    const savedInputs = new Set<Variable>();
    const saved = new Set<Variable>();
    const again = new Set<number>();
    for (const start of needed) {
      const open = [start];
      for (let variable = open.pop(); variable !== undefined; variable = open.pop()) {
        const n = definedBy.get(variable);
        if (isLate[variable] || saved.has(variable)) continue;
        if (n === undefined) {
          if (variable < inputCount) savedInputs.add(variable);
        } else if (isKept(variable, n)) {
          saved.add(variable);
        } else if (!again.has(n)) {
          again.add(n);
          open.push(...joint.nodes[n].inputs);
        }
      }
    }
    return { savedInputs, saved, again };
  };
  let found = crossing((_, n) => !recomputes[policy](joint.nodes[n].primitive.name));
  if (policy === "smallest") {
    const chosen = smallestSaved({
      graph: joint,
      needed,
      isLate: (variable) => isLate[variable],
      kept: found.savedInputs,
    });
    found = crossing((variable) => chosen.has(variable));
  }
  const { savedInputs, saved, again } = found;

  const forward = new GraphBuilder(joint.inputs.slice(0, inputCount));
  const before: Variable[] = [...forward.inputs];
  const back = new GraphBuilder([
    ...[...savedInputs, ...saved].map((variable) => joint.avals[variable]),
    ...joint.inputs.slice(inputCount),
  ]);
  const behind: Variable[] = [];
  [...savedInputs, ...saved].forEach((variable, i) => (behind[variable] = back.inputs[i]));
  joint.inputs.slice(inputCount).forEach((_, i) => {
    behind[inputCount + i] = back.inputs[savedInputs.size + saved.size + i];
  });
  joint.constants.forEach((tensor, i) => {
    before[joint.firstConstant + i] = forward.constant(tensor);
    behind[joint.firstConstant + i] = back.constant(tensor);
  });
  for (const node of joint.nodes) if (!isLate[node.outputs[0]]) copyNode(joint, node, forward, before);
  for (const n of backOrder(joint, (n) => isLate[joint.nodes[n].outputs[0]], again))
    copyNode(joint, joint.nodes[n], back, behind);
  return {
    forward: withoutDeadCode(
      forward.build([...joint.outputs.slice(0, outputCount), ...saved].map((variable) => before[variable])),
    ),
    backward: withoutDeadCode(back.build(lateOutputs.map((variable) => behind[variable]))),
    savedInputs: [...savedInputs],
    saved: saved.size,
    again: again.size,
  };
}

/** The nodes of the way back in their order, each that is run again as late as it can be: what it gives then lives short. */
function backOrder(
  joint: Graph,
  isLate: (node: number) => boolean,
  again: ReadonlySet<number>,
): readonly number[] {
  const firstUse = new Int32Array(joint.avals.length).fill(joint.nodes.length);
  const moments = joint.nodes.map((_, n) => n);
  for (let n = joint.nodes.length - 1; n >= 0; n--) {
    if (!isLate(n) && !again.has(n)) continue;
    const { inputs, outputs } = joint.nodes[n];
    if (again.has(n)) moments[n] = outputs.reduce((first, v) => Math.min(first, firstUse[v]), Infinity);
    for (const variable of inputs) firstUse[variable] = Math.min(firstUse[variable], moments[n]);
  }
  // Nodes run again for the same node keep their order, and come before it: their numbers are smaller.
  return moments
    .map((_, n) => n)
    .filter((n) => isLate(n) || again.has(n))
    .sort((a, b) => moments[a] - moments[b] || a - b);
}

function keyOf(backend: Backend, ...parts: readonly (readonly boolean[] | string)[]): string {
  return [
    backend.name,
    ...parts.map((part) => (typeof part === "string" ? part : part.map(Number).join(""))),
  ].join(" ");
}

/** What was made of a graph before, or is made now and kept for as long as the graph. */
export function remembered<K extends object, V>(
  cache: WeakMap<K, Map<string, V>>,
  owner: K,
  key: string,
  make: () => V,
): V {
  let own = cache.get(owner);
  if (own === undefined) cache.set(owner, (own = new Map()));
  let found = own.get(key);
  if (found === undefined) own.set(key, (found = make()));
  return found;
}
