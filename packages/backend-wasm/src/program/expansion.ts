/** Primitives that are programs of others: what they are made of is fused and compiled like anything else. */
import {
  type Aval,
  type Axes,
  type Backend,
  type Graph,
  type GraphNode,
  type Value,
  call,
  copyNode,
  graphOf,
  rebuild,
  where,
  withoutCalls,
  paramsKey,
} from "@cotangent/core";

type Expansion = (inputs: readonly Value[], params: object) => Value;

const expansions: Readonly<Record<string, Expansion>> = {
  // The largest element is taken out of the sum, so that nothing overflows; where it is no finite number, it is the result.
  logSumExp: ([x], params) => {
    const { axes } = params as Axes;
    const top = x.max({ axis: axes });
    const isFinite = top.isFinite();
    const shift = where(isFinite, top, 0);
    const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
    const sum = x.sub(shift.reshape(kept).broadcastTo(x.shape)).exp().sum({ axis: axes });
    return where(isFinite, shift.add(sum.log()), top);
  },
};

const graphs = new Map<string, Graph>();

function expansionOf({ primitive, params }: GraphNode, avals: readonly Aval[], backend: Backend): Graph {
  const key = `${primitive.name} ${paramsKey(params)} ${avals.join(" ")}`;
  let found = graphs.get(key);
  if (found === undefined) {
    const expand = expansions[primitive.name];
    graphs.set(
      key,
      (found = graphOf(primitive.name, (...inputs) => [expand(inputs, params)], avals, backend)),
    );
  }
  return found;
}

/** The graph with what its nodes are made of in their place, where there is an expansion of them. */
export function expanded(graph: Graph, backend: Backend): Graph {
  if (!graph.nodes.some(({ primitive }) => primitive.name in expansions)) return graph;
  const { builder, drafts } = rebuild(graph);
  for (const node of graph.nodes) {
    const avals = node.inputs.map((variable) => graph.avals[variable]);
    const [output] = node.outputs;
    if (!(node.primitive.name in expansions) || avals.some(({ size }) => size === 0)) {
      copyNode(graph, node, builder, drafts);
      continue;
    }
    [drafts[output]] = builder.node(
      call.primitive,
      node.inputs.map((variable) => drafts[variable]),
      { graph: expansionOf(node, avals, backend), save: "everything" },
      [graph.avals[output]],
      node.origin,
    );
  }
  return withoutCalls(builder.build(graph.outputs.map((variable) => drafts[variable])));
}
