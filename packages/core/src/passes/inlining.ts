/** Inlining: calls as the nodes of the graph that is called. */
import type { SwitchParams } from "../control/cond.ts";
import type { Draft, Graph, GraphNode } from "../graph/graph.ts";
import type { CallParams } from "../primitives/call.ts";
import { isCheckpointed } from "./common-subexpressions.ts";
import { Rewriter, type Tell } from "./rewriter.ts";

/** The most nodes that a graph may come to have by inlining. */
const mostNodes = 20_000;

/**
 * The graph with the nodes of each called graph in place of the call, and those of the branch taken in place of a
 * `switchCase` whose index is a constant; calls within these likewise. The graph itself where there is nothing to inline.
 * It is for graphs that are run: a call of which not all is kept stays a call, since its recomputation ends at its
 * borders, and so does a call that would make the graph larger than can be handled.
 */
export function withoutCalls(graph: Graph, tell?: Tell): Graph {
  if (!graph.nodes.some((node) => calledBy(graph, node) !== undefined)) return graph;
  const rewriter = new Rewriter(graph);
  let nodes = graph.nodes.length;
  let isChanged = false;
  for (const node of graph.nodes) {
    const called = calledBy(graph, node);
    const body = called === undefined ? undefined : withoutCalls(called, tell);
    if (body === undefined || nodes + body.nodes.length > mostNodes) {
      rewriter.copy(node);
      continue;
    }
    nodes += body.nodes.length - 1;
    isChanged = true;
    tell?.(node.primitive.name);
    const inputs = rewriter.inputsOf(node);
    const own: Draft[] = node.primitive.name === "call" ? inputs : inputs.slice(1);
    for (const tensor of body.constants) own.push(rewriter.constant(tensor));
    for (const inner of body.nodes) {
      own.push(
        ...rewriter.node(
          inner.primitive,
          inner.inputs.map((variable) => own[variable]),
          inner.params,
          inner.outputs.map((variable) => body.avals[variable]),
          inner.origin,
        ),
      );
    }
    rewriter.enter(
      node,
      body.outputs.map((variable) => own[variable]),
    );
  }
  return isChanged ? rewriter.finish() : graph;
}

/** The graph that a node is sure to run once, on its own inputs. */
function calledBy(graph: Graph, { primitive: { name }, params, inputs }: GraphNode): Graph | undefined {
  if (name === "call") return isCheckpointed(name, params) ? undefined : (params as CallParams).graph;
  if (name !== "switchCase") return undefined;
  const index = graph.constantOf(inputs[0])?.item();
  return index === undefined ? undefined : (params as SwitchParams).branches[index];
}
