/**
 * Where a function is narrow. A cut is a set of variables that every dependence of an output on an input passes
 * through: with it the function is one function after another, f = g ∘ h, and its Jacobian the product of theirs.
 */
import type { Aval } from "../aval.ts";
import { FlowNetwork } from "../graph/flow-network.ts";
import { type Graph, GraphBuilder, type Variable, copyNode, rebuild } from "../graph/graph.ts";
import { withoutDeadCode } from "../passes/dead-code.ts";
import type { CallParams } from "../primitives/call.ts";

/** A graph without calls: those of graphs are replaced by the graphs' own nodes. */
export function inlined(graph: Graph): Graph {
  if (!graph.nodes.some(({ primitive }) => primitive.name === "call")) return graph;
  const { builder, drafts } = rebuild(graph);
  const copy = (inner: Graph, own: Variable[]): void => {
    for (const node of inner.nodes) {
      if (node.primitive.name !== "call") {
        copyNode(inner, node, builder, own);
        continue;
      }
      const { graph: called } = node.params as CallParams;
      const theirs = [
        ...node.inputs.map((variable) => own[variable]),
        ...called.constants.map((tensor) => builder.constant(tensor)),
      ];
      copy(called, theirs);
      node.outputs.forEach((variable, i) => (own[variable] = theirs[called.outputs[i]]));
    }
  };
  copy(graph, drafts);
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}

/** Variables whose derivatives with respect to the wanted inputs are not zero for certain. */
export function activeVariables(graph: Graph, wanted: readonly boolean[]): boolean[] {
  const active = graph.avals.map((_, variable) => wanted[variable] ?? false);
  for (const { primitive, inputs, outputs } of graph.nodes) {
    const reached = primitive.form !== "zero" && inputs.some((variable) => active[variable]);
    for (const variable of outputs) active[variable] = reached && graph.avals[variable].floating;
  }
  return active;
}

/**
 * The cuts with the fewest elements, nearest to the inputs and nearest to the outputs (one, where these are the same):
 * the minimum cuts of a network in which each variable is an edge as wide as it has elements.
 */
export function narrowestCuts(graph: Graph, wanted: readonly boolean[]): Variable[][] {
  const active = activeVariables(graph, wanted);
  const network = new FlowNetwork();
  const [source, sink] = [network.vertex(), network.vertex()];
  const [before, behind]: [number[], number[]] = [[], []];
  graph.avals.forEach((aval, variable) => {
    if (!active[variable]) return;
    before[variable] = network.vertex();
    behind[variable] = network.vertex();
    network.edge(before[variable], behind[variable], aval.size);
    if (variable < graph.inputs.length) network.edge(source, before[variable], Infinity);
  });
  for (const { inputs, outputs } of graph.nodes) {
    for (const to of outputs.filter((variable) => active[variable]))
      for (const from of inputs) if (active[from]) network.edge(behind[from], before[to], Infinity);
  }
  for (const variable of graph.outputs) if (active[variable]) network.edge(behind[variable], sink, Infinity);
  network.saturate(source, sink);
  const isActive = (_: Aval, variable: Variable): Variable[] => (active[variable] ? [variable] : []);
  const variables = graph.avals.flatMap(isActive);
  const fromInputs = network.reachedFrom(source);
  const toOutputs = network.reaching(sink);
  const early = variables.filter((v) => fromInputs[before[v]] === 1 && fromInputs[behind[v]] === 0);
  const late = variables.filter((v) => toOutputs[before[v]] === 0 && toOutputs[behind[v]] === 1);
  return early.join() === late.join() ? [early] : [early, late];
}

/** A graph cut in two. */
export interface Split {
  /** From the inputs to the variables of the cut, then to what else the outer part needs of them, without derivative. */
  readonly values: Graph;
  /** From the inputs to the variables of the cut. */
  readonly inner: Graph;
  /** From the variables of the cut, and what else it needs, to the outputs. */
  readonly outer: Graph;
  /** How many variables the cut has. */
  readonly width: number;
}

export function splitAt(graph: Graph, cut: readonly Variable[], wanted: readonly boolean[]): Split {
  const active = activeVariables(graph, wanted);
  const definedBy = new Map(graph.nodes.flatMap((node, n) => node.outputs.map((variable) => [variable, n])));
  const isCut = new Set(cut);
  const others = new Set<Variable>();
  const needed = new Set<number>();
  const seen = new Set<Variable>();
  const open = [...graph.outputs];
  for (let variable = open.pop(); variable !== undefined; variable = open.pop()) {
    if (seen.has(variable) || isCut.has(variable) || graph.constantOf(variable) !== undefined) continue;
    seen.add(variable);
    const n = definedBy.get(variable);
    if (n === undefined || !active[variable]) others.add(variable);
    else {
      needed.add(n);
      open.push(...graph.nodes[n].inputs);
    }
  }
  const given = [...cut, ...others];
  const builder = new GraphBuilder(given.map((variable) => graph.avals[variable]));
  const drafts: Variable[] = [];
  given.forEach((variable, i) => (drafts[variable] = builder.inputs[i]));
  graph.constants.forEach((tensor, i) => (drafts[graph.firstConstant + i] = builder.constant(tensor)));
  graph.nodes.forEach((node, n) => {
    if (!needed.has(n)) return;
    const kept = given.filter((variable) => node.outputs.includes(variable)).map((v) => [v, drafts[v]]);
    copyNode(graph, node, builder, drafts);
    // Another output of this node may be part of the cut: that one is given.
    for (const [variable, draft] of kept) drafts[variable] = draft;
  });
  return {
    values: withoutDeadCode(copyOf(graph, given)),
    inner: withoutDeadCode(copyOf(graph, cut)),
    outer: withoutDeadCode(builder.build(graph.outputs.map((variable) => drafts[variable]))),
    width: cut.reduce((total, variable) => total + graph.avals[variable].size, 0),
  };
}

/** The graph with other outputs. */
function copyOf(graph: Graph, outputs: readonly Variable[]): Graph {
  const { builder, drafts } = rebuild(graph);
  for (const node of graph.nodes) copyNode(graph, node, builder, drafts);
  return builder.build(outputs.map((variable) => drafts[variable]));
}
