/** Constants that are one number in every element: seeds of gradients, zeros at the start of loops. */
import {
  type Graph,
  type Primitive,
  type Tensor,
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

/** The graph with such constants as broadcasts of a number, which need no memory and which passes see through. */
export function withNumbers(graph: Graph): Graph {
  const { constants, firstConstant } = graph;
  const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  const numbers = constants.map((tensor, i) => (used.has(firstConstant + i) ? numberOf(tensor) : undefined));
  if (numbers.every((number) => number === undefined)) return graph;
  const { builder, drafts } = rebuild(graph);
  const outputs = graph.outputs.map((variable) =>
    variable < graph.firstDefined ? drafts[variable] : undefined,
  );
  const broadcastTo = primitives().get("broadcastTo") as Primitive;
  constants.forEach(({ aval, backend }, i) => {
    const number = numbers[i];
    if (number === undefined) return;
    const scalar = builder.constant(outsideScopes(() => scalarTensor(number, aval.dtype, backend)));
    [drafts[firstConstant + i]] = builder.node(broadcastTo, [scalar], { shape: aval.shape }, [aval], null);
  });
  for (const node of graph.nodes) copyNode(graph, node, builder, drafts);
  return builder.build(graph.outputs.map((variable, i) => outputs[i] ?? drafts[variable]));
}
