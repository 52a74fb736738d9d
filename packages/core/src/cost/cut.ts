/**
 * Where a function is narrow. A cut is a set of variables that every dependence of an output on an input passes
 * through: with it the function is one function after another, f = g ∘ h, and its Jacobian the product of theirs.
 */
import type { Aval } from "../aval.ts";
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

/** Edges of a network, each with its reverse behind it. */
class Network {
  readonly #first: number[] = [];
  readonly #next: number[] = [];
  readonly #to: number[] = [];
  readonly #room: number[] = [];

  vertex(): number {
    return this.#first.push(-1) - 1;
  }

  edge(from: number, to: number, capacity: number): void {
    for (const [a, b, room] of [
      [from, to, capacity],
      [to, from, 0],
    ]) {
      this.#to.push(b);
      this.#room.push(room);
      this.#next.push(this.#first[a]);
      this.#first[a] = this.#to.length - 1;
    }
  }

  /** Sends as much as possible from the source to the sink, by shortest augmenting paths (Edmonds and Karp, 1972). */
  saturate(source: number, sink: number): void {
    for (;;) {
      const via = new Int32Array(this.#first.length).fill(-1);
      const open = [source];
      for (const vertex of open) {
        if (vertex === sink) break;
        for (let e = this.#first[vertex]; e >= 0; e = this.#next[e]) {
          const to = this.#to[e];
          if (this.#room[e] <= 0 || to === source || via[to] >= 0) continue;
          via[to] = e;
          open.push(to);
        }
      }
      if (via[sink] < 0) return;
      let most = Infinity;
      for (let v = sink; v !== source; v = this.#to[via[v] ^ 1]) most = Math.min(most, this.#room[via[v]]);
      for (let v = sink; v !== source; v = this.#to[via[v] ^ 1]) {
        this.#room[via[v]] -= most;
        this.#room[via[v] ^ 1] += most;
      }
    }
  }

  /** The vertices that the start reaches with what room is left, or, backward, that reach it. */
  reached(start: number, backward: boolean): Set<number> {
    const found = new Set([start]);
    for (const vertex of found) {
      for (let e = this.#first[vertex]; e >= 0; e = this.#next[e])
        if (this.#room[backward ? e ^ 1 : e] > 0) found.add(this.#to[e]);
    }
    return found;
  }
}

/**
 * The cuts with the fewest elements, nearest to the inputs and nearest to the outputs (one, where these are the same):
 * the minimum cuts of a network in which each variable is an edge as wide as it has elements.
 */
export function narrowestCuts(graph: Graph, wanted: readonly boolean[]): Variable[][] {
  const active = activeVariables(graph, wanted);
  const network = new Network();
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
  const fromInputs = network.reached(source, false);
  const toOutputs = network.reached(sink, true);
  const early = variables.filter((v) => fromInputs.has(before[v]) && !fromInputs.has(behind[v]));
  const late = variables.filter((v) => !toOutputs.has(before[v]) && toOutputs.has(behind[v]));
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
