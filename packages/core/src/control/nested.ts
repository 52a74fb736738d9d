/** What primitives with nested graphs share: graphs of the user's functions, and graphs with other inputs and outputs. */
import type { Aval } from "../aval.ts";
import { leafValue } from "../arguments.ts";
import { type Backend, currentBackend } from "../backend.ts";
import { Graph, GraphBuilder, type Variable, copyNode } from "../graph/graph.ts";
import { intern } from "../graph/hash.ts";
import { recordGraph } from "../graph/stage.ts";
import { leaves, mapTree } from "../tree.ts";
import { Value } from "../value.ts";

/** A tree with a value at each leaf. */
export interface Flat {
  readonly tree: unknown;
  readonly values: readonly Value[];
}

/** A tree's leaves as values; numbers take the current backend's default dtype. */
export function flatten(who: string, tree: unknown, path: string): Flat {
  const values: Value[] = [];
  const lifted = mapTree(
    tree,
    (leaf, at) => {
      const value = leafValue(who, leaf, at);
      values.push(value);
      return value;
    },
    path,
  );
  return { tree: lifted, values };
}

/** A tree with its leaves replaced in order. */
export function unflatten(tree: unknown, values: readonly unknown[]): unknown {
  let next = 0;
  return mapTree(tree, () => values[next++]);
}

/** The backend of the first value there is. */
export function backendOf(values: readonly Value[]): Backend {
  return values[0]?.backend ?? currentBackend();
}

/** A traced function of which what it closed over comes first among the inputs. */
export interface Nested {
  readonly graph: Graph;
  readonly captured: readonly Value[];
  /** The result, a number in place of each leaf. */
  readonly tree: unknown;
}

/** Traces a function of trees. */
export function nestedGraph(
  who: string,
  f: (...args: never[]) => unknown,
  args: readonly unknown[],
  backend: Backend,
): Nested {
  const avals = (leaves(args) as (Value | Aval)[]).map((leaf) => (leaf instanceof Value ? leaf.aval : leaf));
  const call = (...inputs: Value[]): unknown => f(...(unflatten(args, inputs) as never[]));
  const { graph, captured, tree } = recordGraph(who, call, avals, backend, "numbers");
  const positions = graph.inputs.map((_, i) => (i < avals.length ? captured.length + i : i - avals.length));
  return {
    graph: withInputs(graph, [...captured.map((value) => value.aval), ...avals], positions),
    captured,
    tree,
  };
}

/** The same graph with other inputs, among which its own have the given positions. */
export function withInputs(graph: Graph, inputs: readonly Aval[], positions: readonly number[]): Graph {
  if (inputs.length === graph.inputs.length && positions.every((position, i) => position === i))
    return intern(graph);
  const builder = new GraphBuilder(inputs);
  const drafts: Variable[] = [
    ...positions.map((position) => builder.inputs[position]),
    ...graph.constants.map((tensor) => builder.constant(tensor)),
  ];
  for (const node of graph.nodes) copyNode(graph, node, builder, drafts);
  return intern(builder.build(graph.outputs.map((variable) => drafts[variable])));
}

/** The same graph with other outputs. */
export function withOutputs(graph: Graph, outputs: readonly Variable[]): Graph {
  return intern(new Graph(graph.inputs, graph.constants, graph.nodes, outputs, graph.avals));
}

/** Traces several functions of the same arguments to graphs of the same inputs: what any closes over, then those. */
export function tracedTogether(
  who: string,
  functions: readonly ((...args: never[]) => unknown)[],
  args: readonly unknown[],
  backend: Backend,
): {
  readonly graphs: readonly Graph[];
  readonly captured: readonly Value[];
  readonly trees: readonly unknown[];
} {
  const each = functions.map((f) => nestedGraph(who, f, args, backend));
  const captured = [...new Set(each.flatMap((nested) => nested.captured))];
  const count = captured.length;
  const graphs = each.map(({ graph, captured: own }) => {
    const avals = [...captured.map((value) => value.aval), ...graph.inputs.slice(own.length)];
    const positions = graph.inputs.map((_, i) =>
      i < own.length ? captured.indexOf(own[i]) : count + i - own.length,
    );
    return withInputs(graph, avals, positions);
  });
  return { graphs, captured, trees: each.map(({ tree }) => tree) };
}
