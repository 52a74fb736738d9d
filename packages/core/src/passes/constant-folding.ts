/** Constant folding: what depends on constants alone is computed now. */
import { bind } from "../bind.ts";
import { type Graph, copyNode, rebuild } from "../graph/graph.ts";
import { tidy } from "../memory.ts";
import { broadcastTo } from "../primitives/shape.ts";
import { type Tensor, retained } from "../tensor.ts";

/** A result larger than this is computed at each run rather than kept, unless it replaces as much. */
const small = 64;

/** The graph in which no node of one output has constants alone as inputs, unless its result would be large. */
export function withoutConstantNodes(graph: Graph): Graph {
  const { builder, drafts } = rebuild(graph);
  const constants = new Map<number, Tensor>();
  graph.constants.forEach((tensor, i) => constants.set(graph.firstConstant + i, tensor));
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const inputs = node.inputs.map((variable) => constants.get(variable));
    const isKnown = inputs.every((input) => input !== undefined);
    const { size } = graph.avals[output];
    const replaced = inputs.reduce((total, input) => total + (input?.size ?? 0), 0);
    const isWorth =
      size <= Math.max(small, replaced) && (node.primitive !== broadcastTo.primitive || size <= 1);
    if (isKnown && isWorth && inputs.length > 0 && node.primitive.rules.form !== "multiple") {
      const found = tidy(() => retained(bind(node.primitive, inputs, node.params).concrete()));
      constants.set(output, found);
      drafts[output] = builder.constant(found);
    } else copyNode(graph, node, builder, drafts);
  }
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}
