/**
 * Fusion: nodes that one kernel can compute in one loop over one shape, without writing down what passes between them.
 *
 * The clusters are those of the loop fusion of array compilers (XLA's instruction fusion and TVM's "injective" and
 * "reduction" rules: T. Chen and others, "TVM: An Automated End-to-End Optimizing Compiler for Deep Learning", 2018,
 * section 3; which unions keep a graph acyclic: K. Kennedy, K. S. McKinley, "Maximizing Loop Parallelism and Improving
 * Data Locality via Loop Fusion and Distribution", 1993).
 */
import { type Shape, sameShape, sizeOf } from "../aval.ts";
import {
  type Graph,
  GraphBuilder,
  type GraphNode,
  type Variable,
  copyNode,
  rebuild,
} from "../graph/graph.ts";
import { call } from "../primitives/call.ts";

/** What a cluster is: elementwise alone, or with reductions at its end. */
export type ClusterKind = "elementwise" | "reduction";

/** Nodes for one kernel. */
export interface Cluster {
  /** Their positions among the graph's nodes, ascending: an order in which they can be computed. */
  readonly nodes: readonly number[];
  /** What they use that other nodes define, inputs and constants among it, in order of first use. */
  readonly inputs: readonly Variable[];
  /** What they define that others use or that the graph gives, ascending. */
  readonly outputs: readonly Variable[];
  readonly kind: ClusterKind;
  /** The shape of the loop; every node has it, but for results of reductions and for numbers, which are made outside. */
  readonly shape: Shape;
  /** The axes that all reductions of the cluster reduce; empty without any. */
  readonly axes: readonly number[];
  /** Bytes that the nodes move one by one, less those that the cluster moves: each input read, each output written once. */
  readonly bytesSaved: number;
}

/** Reductions whose result is ready when the loop is done. */
const reductions: ReadonlySet<string> = new Set(["sum", "prod", "reduceMax", "reduceMin"]);

/** How near to each other two places may be; well above the distance of neighbouring numbers of that size. */
const narrowest = 1e-6;

/** How many readers of a value before a node it is tried to join: all would be quadratic in long graphs. */
const mostSiblings = 8;

/** Nodes that are one step; at the start, each node is one. */
interface Group {
  nodes: number[];
  /** Of its loop; undefined for a node that cannot be in a cluster. */
  shape: Shape | undefined;
  /** Those of its nodes that are reductions, and the axes of these. */
  reductions: number[];
  axes: readonly number[] | undefined;
  /** Its place in an order of all groups in which each comes after those that it needs; neighbours there are linked. */
  place: number;
  before: Group | undefined;
  after: Group | undefined;
}

export interface FusionOptions {
  /** Whether a node may be in a cluster; by default any of which the pass knows that it is one loop. */
  readonly among?: (node: GraphNode, graph: Graph) => boolean;
  /** The most nodes of one cluster; by default as many as there are. */
  readonly mostNodes?: number;
}

/** Whether a node repeats its input, or is a number made of numbers: what a loop reads or has ready, at no cost. */
const isFeeder = ({ avals }: Graph, { primitive, inputs, outputs }: GraphNode): boolean =>
  primitive.name === "broadcastTo" ||
  (avals[outputs[0]].size === 1 && inputs.every((variable) => avals[variable].size === 1));

class Fusion {
  private readonly graph: Graph;
  /** The group of each node. */
  private readonly groups: Group[];
  private readonly definedBy: Int32Array;
  /** For each node, the nodes that use what it defines. */
  private readonly users: readonly number[][];
  /** For each node, the nodes that define what it uses. */
  private readonly operands: readonly number[][];
  private readonly isOutput: Uint8Array;
  private readonly mostNodes: number;

  constructor(graph: Graph, { among = () => true, mostNodes = Infinity }: FusionOptions) {
    this.graph = graph;
    this.mostNodes = mostNodes;
    this.groups = graph.nodes.map((node, n) => startingGroup(graph, node, n, among(node, graph)));
    this.groups.forEach((group, n) => {
      group.before = this.groups[n - 1];
      group.after = this.groups[n + 1];
    });
    this.definedBy = new Int32Array(graph.avals.length).fill(-1);
    graph.nodes.forEach((node, n) => node.outputs.forEach((variable) => (this.definedBy[variable] = n)));
    this.operands = graph.nodes.map(({ inputs }) => [
      ...new Set(inputs.map((variable) => this.definedBy[variable]).filter((n) => n >= 0)),
    ]);
    this.users = graph.nodes.map(() => []);
    this.operands.forEach((operands, n) => operands.forEach((operand) => this.users[operand].push(n)));
    this.isOutput = new Uint8Array(graph.avals.length);
    for (const variable of graph.outputs) this.isOutput[variable] = 1;
  }

  clusters(): Cluster[] {
    this.joinChains((node) => !isFeeder(this.graph, node));
    this.joinSiblings();
    this.joinFeeders();
    this.joinChains(({ primitive }) => primitive.name !== "broadcastTo");
    const groups = [...new Set(this.groups)].filter(({ nodes }) => nodes.length > 1);
    return groups.map((group) => this.cluster(group));
  }

  /** Nodes to what computes their inputs, the largest input first. */
  private joinChains(isIn: (node: GraphNode) => boolean): void {
    const { nodes, avals } = this.graph;
    nodes.forEach((node, n) => {
      if (this.groups[n].shape === undefined || !isIn(node)) return;
      const inputs = [...new Set(node.inputs)].sort((a, b) => avals[b].bytes - avals[a].bytes || a - b);
      for (const variable of inputs) {
        const operand = this.definedBy[variable];
        if (operand >= 0 && isIn(nodes[operand])) this.join(operand, n);
      }
    });
  }

  /** Nodes that read the same value, which is then read once. */
  private joinSiblings(): void {
    const { nodes, avals } = this.graph;
    const readers = avals.map((): number[] => []);
    nodes.forEach((node, n) => {
      if (this.groups[n].shape === undefined || isFeeder(this.graph, node)) return;
      for (const variable of new Set(node.inputs)) readers[variable].push(n);
    });
    readers.forEach((own, variable) => {
      if (avals[variable].size <= 1) return;
      own.forEach((n, i) => {
        const others = own.slice(Math.max(0, i - mostSiblings), i);
        others.some((other) => this.groups[other] !== this.groups[n] && this.join(other, n));
      });
    });
  }

  /** Broadcasts and numbers to the one group that uses them, from the last to the first. */
  private joinFeeders(): void {
    const { nodes } = this.graph;
    for (let n = nodes.length - 1; n >= 0; n--) {
      if (this.groups[n].shape === undefined || !isFeeder(this.graph, nodes[n])) continue;
      const uses = new Set(this.users[n].map((user) => this.groups[user]));
      const [only] = uses;
      if (uses.size === 1 && only !== undefined) this.join(n, this.users[n][0]);
    }
  }

  /** Makes one group of those of two nodes, where that is one loop and the graph stays acyclic. */
  private join(first: number, second: number): boolean {
    const [a, b] = [this.groups[first], this.groups[second]];
    if (a === b || a.nodes.length + b.nodes.length > this.mostNodes) return false;
    const shape = this.commonShape(a, b);
    if (shape === undefined) return false;
    if (a.axes !== undefined && b.axes !== undefined && a.axes.join() !== b.axes.join()) return false;
    if (this.usesReduction(a, b) || this.usesReduction(b, a)) return false;
    const isFirst = a.place < b.place;
    return this.unite(isFirst ? a : b, isFirst ? b : a, shape);
  }

  /** The shape of the loop of both. Numbers feed loops of any shape. */
  private commonShape(a: Group, b: Group): Shape | undefined {
    if (a.shape === undefined || b.shape === undefined) return undefined;
    if (sameShape(a.shape, b.shape)) return a.shape;
    return this.isNumbers(a) && this.feedsOnly(a, b) ? b.shape : undefined;
  }

  private isNumbers({ nodes, shape, axes }: Group): boolean {
    if (shape === undefined || sizeOf(shape) !== 1 || axes !== undefined) return false;
    return nodes.every((n) => isFeeder(this.graph, this.graph.nodes[n]));
  }

  private feedsOnly(a: Group, b: Group): boolean {
    return a.nodes.every((n) =>
      this.users[n].every((user) => this.groups[user] === a || this.groups[user] === b),
    );
  }

  /** Whether one uses what a reduction of the other gives, which is not there before the loop is done. */
  private usesReduction(a: Group, b: Group): boolean {
    return a.reductions.some((n) => this.users[n].some((user) => this.groups[user] === b));
  }

  /**
   * Makes one group of two, the first of which comes before the second, unless a path leads from the one through others
   * to the other: as one, they would have to wait for themselves. Only groups placed between the two can be on such a
   * path. It is looked for from the smaller of the two, which then moves to where the other stands, and what was found on the
   * way with it: D. J. Pearce, P. H. J. Kelly, "A Dynamic Topological Sort Algorithm for Directed Acyclic Graphs" (2006).
   */
  private unite(first: Group, second: Group, shape: Shape): boolean {
    const isFirstSmall = first.nodes.length <= second.nodes.length;
    const [small, large] = isFirstSmall ? [first, second] : [second, first];
    const found = this.between(small, large, isFirstSmall ? this.users : this.operands);
    if (found.has(large)) return false;
    const moved = [...found].sort((a, b) => a.place - b.place);
    for (const group of [small, ...moved]) this.unlink(group);
    if (isFirstSmall) this.insert(moved, large, large.after);
    else this.insert(moved, large.before, large);
    for (const n of small.nodes) this.groups[n] = large;
    large.nodes.push(...small.nodes);
    large.reductions.push(...small.reductions);
    large.shape = shape;
    large.axes ??= small.axes;
    return true;
  }

  private unlink({ before, after }: Group): void {
    if (before !== undefined) before.after = after;
    if (after !== undefined) after.before = before;
  }

  /** Puts groups between two neighbours in the order. */
  private insert(groups: readonly Group[], left: Group | undefined, right: Group | undefined): void {
    if (groups.length === 0) return;
    const low = left?.place ?? (right as Group).place - 1;
    const gap = ((right?.place ?? low + 1) - low) / (groups.length + 1);
    let last = left;
    groups.forEach((group, i) => {
      group.place = low + (i + 1) * gap;
      group.before = last;
      if (last !== undefined) last.after = group;
      last = group;
    });
    (last as Group).after = right;
    if (right !== undefined) right.before = last;
    if (gap < narrowest) this.renumber(groups[0]);
  }

  /** Gives all groups places at equal distances. */
  private renumber(any: Group): void {
    let group = any;
    while (group.before !== undefined) group = group.before;
    let place = 0;
    for (let next: Group | undefined = group; next !== undefined; next = next.after) next.place = place++;
  }

  /** The groups to which edges lead from one, short of another; that one too, if it is reached by way of others. */
  private between(start: Group, end: Group, edges: readonly (readonly number[])[]): Set<Group> {
    const found = new Set<Group>();
    const [low, high] = [Math.min(start.place, end.place), Math.max(start.place, end.place)];
    const visit = (group: Group): void => {
      for (const n of group.nodes) {
        for (const m of edges[n]) {
          const next = this.groups[m];
          if (next === start || next.place < low || next.place > high) continue;
          if (next !== end || group !== start) found.add(next);
        }
      }
    };
    visit(start);
    for (const group of found) {
      if (group === end) break;
      visit(group);
    }
    return found;
  }

  private cluster({ nodes: members, shape = [], axes }: Group): Cluster {
    const { nodes, avals } = this.graph;
    const sorted = [...members].sort((a, b) => a - b);
    const own = new Set(sorted);
    const inputs = new Set<Variable>();
    const outputs: Variable[] = [];
    let bytes = 0;
    for (const n of sorted) {
      for (const variable of nodes[n].inputs) {
        bytes += avals[variable].bytes;
        if (!own.has(this.definedBy[variable])) inputs.add(variable);
      }
      const [output] = nodes[n].outputs;
      bytes += avals[output].bytes;
      if (this.isOutput[output] === 1 || this.users[n].some((user) => !own.has(user))) outputs.push(output);
    }
    const moved = [...inputs, ...outputs].reduce((total, variable) => total + avals[variable].bytes, 0);
    return {
      nodes: sorted,
      inputs: [...inputs],
      outputs,
      kind: axes === undefined ? "elementwise" : "reduction",
      shape,
      axes: axes ?? [],
      bytesSaved: bytes - moved,
    };
  }
}

/** What a node is alone: a loop over its output's shape, or, if it is a reduction, over its input's. */
function startingGroup({ avals }: Graph, node: GraphNode, n: number, isIn: boolean): Group {
  const { primitive, inputs, outputs, params } = node;
  const group = {
    nodes: [n],
    shape: undefined,
    reductions: [],
    axes: undefined,
    place: n,
    before: undefined,
    after: undefined,
  };
  if (primitive.form === "multiple" || !isIn) return group;
  if (primitive.elementwise || primitive.name === "broadcastTo")
    return { ...group, shape: avals[outputs[0]].shape };
  if (!reductions.has(primitive.name)) return group;
  const { axes } = params as { readonly axes: readonly number[] };
  return { ...group, shape: avals[inputs[0]].shape, reductions: [n], axes };
}

/**
 * The graph's nodes in clusters of two or more, each for one kernel: a loop over one shape that computes elementwise
 * nodes, reads broadcasts where they lie, has numbers ready before it begins, and reduces along the same axes at its
 * end. Nothing in a cluster uses what a reduction in it gives.
 *
 * Clusters are disjoint and convex: no path leaves one and comes back; nor are they in a circle with others, so that
 * they can be run one after another. They are found greedily, and the same for the same graph: first nodes join what
 * computes their inputs, then those that read the same value join each other, at last broadcasts and numbers join the
 * one cluster that uses them. A call, a loop or any other node is in none.
 */
export function fusionClusters(graph: Graph, options: FusionOptions = {}): Cluster[] {
  return new Fusion(graph, options).clusters();
}

/**
 * The graph with each cluster as one call. It gives the same values to the last bit. Running it in the executor gains
 * nothing by itself: it is for backends that make one kernel of a call, and for looking at.
 */
export function fused(graph: Graph, options: FusionOptions = {}): Graph {
  const clusters = fusionClusters(graph, options);
  if (clusters.length === 0) return graph;
  const { builder, drafts } = rebuild(graph);
  for (const step of stepsOf(graph, clusters)) {
    if (typeof step === "number") {
      copyNode(graph, graph.nodes[step], builder, drafts);
      continue;
    }
    const { inputs, inner } = graphOfCluster(graph, step);
    const found = builder.node(
      call.primitive,
      inputs.map((variable) => drafts[variable]),
      { graph: inner, save: "everything" },
      inner.outputAvals,
      graph.nodes[step.nodes[step.nodes.length - 1]].origin,
    );
    step.outputs.forEach((variable, i) => (drafts[variable] = found[i]));
  }
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}

/** A cluster as a graph of its own; numbers written in the program stay such, but for one where there is no other input. */
function graphOfCluster(
  graph: Graph,
  { nodes, inputs, outputs }: Cluster,
): { readonly inputs: readonly Variable[]; readonly inner: Graph } {
  const isLiteral = (variable: Variable): boolean => graph.constantOf(variable)?.rank === 0;
  const others = inputs.filter((variable) => !isLiteral(variable));
  const given = others.length > 0 ? others : inputs;
  const builder = new GraphBuilder(given.map((variable) => graph.avals[variable]));
  const drafts: number[] = [];
  given.forEach((variable, i) => (drafts[variable] = builder.inputs[i]));
  for (const variable of inputs) {
    const tensor = graph.constantOf(variable);
    if (drafts[variable] === undefined && tensor !== undefined) drafts[variable] = builder.constant(tensor);
  }
  for (const n of nodes) copyNode(graph, graph.nodes[n], builder, drafts);
  return { inputs: given, inner: builder.build(outputs.map((variable) => drafts[variable])) };
}

/** Clusters and single nodes in an order in which they can be run: whatever waits for nothing, the first of it first. */
function stepsOf(graph: Graph, clusters: readonly Cluster[]): (Cluster | number)[] {
  const clusterOf = new Map(clusters.flatMap((cluster) => cluster.nodes.map((n) => [n, cluster] as const)));
  const definedBy = new Map(graph.nodes.flatMap((node, n) => node.outputs.map((variable) => [variable, n])));
  const done = new Set<number>();
  const steps: (Cluster | number)[] = [];
  // Depth first: a step comes after all that its nodes need.
  const open: { readonly step: Cluster | number; readonly needs: readonly Variable[]; next: number }[] = [];
  const enter = (n: number): void => {
    if (done.has(n)) return;
    const step = clusterOf.get(n) ?? n;
    for (const member of typeof step === "number" ? [step] : step.nodes) done.add(member);
    open.push({ step, needs: typeof step === "number" ? graph.nodes[n].inputs : step.inputs, next: 0 });
  };
  graph.nodes.forEach((_, n) => {
    enter(n);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (top.next === top.needs.length) {
        steps.push(top.step);
        open.pop();
        continue;
      }
      const needed = definedBy.get(top.needs[top.next++]);
      if (needed !== undefined) enter(needed);
    }
  });
  return steps;
}
