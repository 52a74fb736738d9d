/** Common subexpressions: what is computed twice from the same values. */
import type { Draft, Graph, GraphNode } from "../graph/graph.ts";
import { paramsKey } from "../graph/hash.ts";
import type { CallParams } from "../primitives/call.ts";
import { Rewriter, type Tell } from "./rewriter.ts";

/** Primitives whose result is the same, to the last bit, for inputs in either order. */
const commutative: ReadonlySet<string> = new Set("add mul strongMul max min eq ne and or".split(" "));

/**
 * The graph with one node in place of several that apply the same primitive with equal parameters to the same inputs, and
 * one constant in place of several of the same storage; the graph itself where there are none. Primitives are functions,
 * random draws included, so equal nodes have equal values. Calls that say what is computed again on the way back stay
 * apart, since merging what runs forward with what runs back again would keep what was to be forgotten. The first node's
 * origin stays.
 */
export function withoutCommonSubexpressions(graph: Graph, tell?: Tell): Graph {
  const rewriter = new Rewriter(graph);
  const { drafts } = rewriter;
  const known = new Map<string, readonly Draft[]>();
  const storages = new Map<object, Map<string, Draft>>();
  let isChanged = false;
  graph.constants.forEach(({ lease, aval }, i) => {
    const variable = graph.firstConstant + i;
    if (lease === null) return;
    let views = storages.get(lease);
    if (views === undefined) storages.set(lease, (views = new Map()));
    const found = views.get(aval.toString());
    if (found === undefined) views.set(aval.toString(), drafts[variable]);
    else if (found !== drafts[variable]) {
      drafts[variable] = found;
      isChanged = true;
      tell?.("constant");
    }
  });
  for (const node of graph.nodes) {
    const key = keyOf(node, drafts);
    const found = key === undefined ? undefined : known.get(key);
    if (found !== undefined) {
      rewriter.enter(node, found);
      isChanged = true;
      tell?.(node.primitive.name);
    } else {
      rewriter.copy(node);
      if (key !== undefined)
        known.set(
          key,
          node.outputs.map((variable) => drafts[variable]),
        );
    }
  }
  return isChanged ? rewriter.finish() : graph;
}

/** The same text for nodes that may be one; undefined for a node that must stay on its own. */
function keyOf({ primitive, inputs, params }: GraphNode, drafts: readonly Draft[]): string | undefined {
  if (isCheckpointed(primitive.name, params)) return undefined;
  let key = primitive.name;
  if (inputs.length === 2 && commutative.has(primitive.name)) {
    const [a, b] = [drafts[inputs[0]], drafts[inputs[1]]];
    key += a < b ? ` ${a} ${b}` : ` ${b} ${a}`;
  } else {
    for (const variable of inputs) key += ` ${drafts[variable]}`;
  }
  return `${key} ${paramsKey(params)}`;
}

/** Whether a node is a call of which not all is kept for the way back. */
export function isCheckpointed(name: string, params: object): boolean {
  return name === "call" && (params as CallParams).save !== "everything";
}
