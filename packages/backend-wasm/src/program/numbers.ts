/** Values that are one number in every element: seeds of gradients, zeros at the start of loops, patches of ones. */
import {
  type Graph,
  type GraphNode,
  type Primitive,
  type Tensor,
  type Variable,
  type WindowParams,
  copyNode,
  outsideScopes,
  primitives,
  rebuild,
  scalarTensor,
} from "@cotangent/core";

/** The number in every element; the sign of a zero counts, and NaN is one number. */
function numberOf(tensor: Tensor): number | undefined {
  if (tensor.size < 2) return undefined;
  const elements = tensor.dataSync();
  const [first] = elements;
  return elements.every((x) => Object.is(x, first)) ? first : undefined;
}

/** Patches of an image that nothing was put around: they have its elements, and no others. */
const isPlainPatches = ({ primitive, params }: GraphNode): boolean =>
  primitive.name === "patches" && (params as WindowParams).padding.flat().every((n) => n === 0);

/** The graph with such values as broadcasts of a number, which need no memory and which passes see through. */
export function withNumbers(graph: Graph): Graph {
  const { constants, firstConstant, nodes } = graph;
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  const numbers = constants.map((tensor, i) => (used.has(firstConstant + i) ? numberOf(tensor) : undefined));
  if (numbers.every((number) => number === undefined) && !nodes.some(isPlainPatches)) return graph;
  const { builder, drafts } = rebuild(graph);
  const given = [...drafts];
  const broadcastTo = primitives().get("broadcastTo") as Primitive;
  /** Of what number a variable is the broadcast. */
  const sources = new Map<Variable, Variable>();
  const spread = (variable: Variable, source: Variable, origin: GraphNode["origin"]): void => {
    const aval = graph.avals[variable];
    [drafts[variable]] = builder.node(broadcastTo, [source], { shape: aval.shape }, [aval], origin);
    sources.set(variable, source);
  };
  constants.forEach(({ dtype, backend }, i) => {
    const number = numbers[i];
    if (number === undefined) return;
    const scalar = outsideScopes(() => scalarTensor(number, dtype, backend));
    spread(firstConstant + i, builder.constant(scalar), null);
  });
  for (const node of nodes) {
    const { primitive, inputs, outputs } = node;
    const source = isPlainPatches(node) ? sources.get(inputs[0]) : undefined;
    if (source !== undefined) spread(outputs[0], source, node.origin);
    else copyNode(graph, node, builder, drafts);
    if (primitive === broadcastTo && graph.avals[inputs[0]].rank === 0)
      sources.set(outputs[0], drafts[inputs[0]]);
  }
  return builder.build(
    graph.outputs.map((variable) => (variable < graph.firstDefined ? given : drafts)[variable]),
  );
}
