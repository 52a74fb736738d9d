/** Constant folding: what depends on constants alone is computed now. */
import { bind } from "../bind.ts";
import { type Graph, type GraphNode, type Variable, copyNode, rebuild } from "../graph/graph.ts";
import { tidy } from "../memory.ts";
import { broadcastTo } from "../primitives/shape.ts";
import { type Tensor, retained } from "../tensor.ts";

/** A result larger than this is computed at each run rather than kept, unless it replaces as much. */
const small = 64;

/** Whether a node whose inputs are all constants is computed now. */
function isFolded(graph: Graph, { primitive, inputs, outputs }: GraphNode): boolean {
  if (inputs.length === 0 || primitive.rules.form === "multiple") return false;
  const { size } = graph.avals[outputs[0]];
  if (primitive === broadcastTo.primitive) return size <= 1;
  return (
    size <=
    Math.max(
      small,
      inputs.reduce((total, variable) => total + graph.avals[variable].size, 0),
    )
  );
}

/** The graph in which no node of one output has constants alone as inputs, unless its result would be large. */
export function withoutConstantNodes(graph: Graph): Graph {
  const isConstant = (variable: Variable): boolean => graph.constantOf(variable) !== undefined;
  if (!graph.nodes.some((node) => node.inputs.every(isConstant) && isFolded(graph, node))) return graph;
  const { builder, drafts } = rebuild(graph);
  const constants = new Map<Variable, Tensor>();
  graph.constants.forEach((tensor, i) => constants.set(graph.firstConstant + i, tensor));
  for (const node of graph.nodes) {
    const inputs = node.inputs.flatMap((variable) => constants.get(variable) ?? []);
    if (inputs.length === node.inputs.length && isFolded(graph, node)) {
      const found = tidy(() => retained(bind(node.primitive, inputs, node.params).concrete()));
      constants.set(node.outputs[0], found);
      drafts[node.outputs[0]] = builder.constant(found);
    } else copyNode(graph, node, builder, drafts);
  }
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}
