/** Sums of values that were padded to lie side by side, as slices' derivatives are: one value put together. */
import {
  type Backend,
  type Graph,
  type PadParams,
  type Primitive,
  type Variable,
  copyNode,
  outsideScopes,
  primitives,
  rebuild,
  scalarTensor,
} from "@cotangent/core";

/** A value that fills part of an axis, with zeros before and behind. */
interface Piece {
  readonly variable: Variable;
  readonly begin: number;
  readonly end: number;
}
interface Pieces {
  readonly axis: number;
  /** In order, and apart. */
  readonly list: readonly Piece[];
}

/** What a pad along one axis puts zeros around. */
function padded(graph: Graph, input: Variable, { low, high, interior }: PadParams): Pieces | undefined {
  const axes = low.flatMap((n, axis) => (n !== 0 || high[axis] !== 0 ? [axis] : []));
  if (axes.length !== 1 || [...low, ...high].some((n) => n < 0) || interior.some((n) => n !== 0))
    return undefined;
  const [axis] = axes;
  const begin = low[axis];
  return { axis, list: [{ variable: input, begin, end: begin + graph.avals[input].shape[axis] }] };
}

function together(a: Pieces | undefined, b: Pieces | undefined): Pieces | undefined {
  if (a === undefined || b === undefined || a.axis !== b.axis) return undefined;
  const list = [...a.list, ...b.list].toSorted((p, q) => p.begin - q.begin);
  return list.every(({ begin }, i) => i === 0 || list[i - 1].end <= begin)
    ? { axis: a.axis, list }
    : undefined;
}

/**
 * The graph with such sums as concatenations, where nothing is left of the zeros. To each part a zero is added, as the sum does
 * it: of -0 it makes 0.
 */
export function withConcatenations(graph: Graph, backend: Backend): Graph {
  if (!graph.nodes.some(({ primitive }) => primitive.name === "pad")) return graph;
  const pieces = new Map<Variable, Pieces>();
  const whole = new Set<Variable>();
  for (const { primitive, inputs, outputs, params } of graph.nodes) {
    const [output] = outputs;
    const found =
      primitive.name === "pad"
        ? padded(graph, inputs[0], params as PadParams)
        : primitive.name === "add"
          ? together(pieces.get(inputs[0]), pieces.get(inputs[1]))
          : undefined;
    if (found === undefined) continue;
    pieces.set(output, found);
    const { axis, list } = found;
    const filled = list.reduce((sum, { begin, end }) => sum + end - begin, 0);
    if (list.length > 1 && filled === graph.avals[output].shape[axis]) whole.add(output);
  }
  if (whole.size === 0) return graph;
  const { builder, drafts } = rebuild(graph);
  const [add, concatenate] = ["add", "concatenate"].map((name) => primitives().get(name) as Primitive);
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const found = whole.has(output) ? pieces.get(output) : undefined;
    if (found === undefined) {
      copyNode(graph, node, builder, drafts);
      continue;
    }
    const aval = graph.avals[output];
    const zero = builder.constant(outsideScopes(() => scalarTensor(0, aval.dtype, backend)));
    const parts = found.list.map(({ variable }) => {
      const own = graph.avals[variable];
      return builder.node(add, [drafts[variable], zero], {}, [own], node.origin)[0];
    });
    [drafts[output]] = builder.node(concatenate, parts, { axis: found.axis }, [aval], node.origin);
  }
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}
