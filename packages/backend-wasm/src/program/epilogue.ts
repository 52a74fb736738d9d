/** Elementwise nodes that follow a product alone: they are computed tile by tile, before the tile leaves the cache. */
import {
  type CallParams,
  type Graph,
  GraphBuilder,
  type GraphNode,
  type Variable,
  call,
  copyNode,
  rebuild,
  sameShape,
} from "@cotangent/core";
import { type ProductAxis, type ProductSpec } from "./contraction.ts";
import { hasImageCode } from "./images.ts";
import { type Layout, broadcastStrides, contiguous } from "./layout.ts";
import { lanesFor } from "./registers.ts";
import { isTinyNode } from "./tiny.ts";

/** What is made of a product before it is written. */
export interface Epilogue {
  /** Its first input is the product; of the others and the outputs, the strides come after C's. */
  readonly graph: Graph;
  /** The output that is C: until the last terms have been added it holds the sums. */
  readonly main: number;
}

const productNames = new Set(["dotGeneral", "conv2d", "conv2dFilterTranspose"]);

/** Whether a cluster begins with a product. */
export const startsWithProduct = ({ nodes }: Graph): boolean =>
  nodes.length > 0 && productNames.has(nodes[0].primitive.name);

/** The graph with products that one cluster alone uses, or one elementwise node, within that: the first of its nodes. */
export function withEpilogues(graph: Graph, isCluster: (inner: Graph) => boolean): Graph {
  const uses = new Int32Array(graph.avals.length);
  for (const variable of [...graph.outputs, ...graph.nodes.flatMap(({ inputs }) => inputs)]) uses[variable]++;
  const products = new Map<Variable, GraphNode>();
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    if (!productNames.has(node.primitive.name) || uses[output] !== 1 || isTinyNode(graph, node)) continue;
    if (node.primitive.name === "dotGeneral" || hasImageCode(node)) products.set(output, node);
  }
  const chosen = new Map<GraphNode, { readonly inner: Graph; readonly product: GraphNode }>();
  for (const node of graph.nodes) {
    const inner = clusterOf(graph, node, isCluster);
    if (inner === undefined) continue;
    const found = node.inputs.find((variable) => products.has(variable) && fits(graph, variable, inner));
    const product = found === undefined ? undefined : products.get(found);
    if (product !== undefined) chosen.set(node, { inner, product });
  }
  if (chosen.size === 0) return graph;
  const taken = new Set([...chosen.values()].map(({ product }) => product));
  const { builder, drafts } = rebuild(graph);
  for (const node of graph.nodes) {
    if (taken.has(node)) continue;
    const choice = chosen.get(node);
    if (choice === undefined) {
      copyNode(graph, node, builder, drafts);
      continue;
    }
    const { inputs, combined } = withProduct(graph, node, choice.inner, choice.product);
    const found = builder.node(
      call.primitive,
      inputs.map((variable) => drafts[variable]),
      { graph: combined, save: "everything" },
      combined.outputAvals,
      node.origin,
    );
    node.outputs.forEach((variable, i) => (drafts[variable] = found[i]));
  }
  return builder.build(graph.outputs.map((variable) => drafts[variable]));
}

/** The loop that a node is, as a graph. */
function clusterOf(
  graph: Graph,
  { primitive, inputs, outputs, params, origin }: GraphNode,
  isCluster: (inner: Graph) => boolean,
): Graph | undefined {
  if (primitive.name === "call") {
    const inner = (params as CallParams).graph;
    return isCluster(inner) ? inner : undefined;
  }
  if (!primitive.elementwise || outputs.length !== 1) return undefined;
  const builder = new GraphBuilder(inputs.map((variable) => graph.avals[variable]));
  return builder.build(builder.node(primitive, builder.inputs, params, [graph.avals[outputs[0]]], origin));
}

/** Whether a cluster is a loop over the elements of a product, in vectors as long as the product's. */
function fits({ avals }: Graph, product: Variable, { nodes, avals: inner, outputAvals }: Graph): boolean {
  const { shape, dtype } = avals[product];
  return (
    nodes.every(({ primitive }) => primitive.elementwise || primitive.name === "broadcastTo") &&
    outputAvals.every((aval) => sameShape(aval.shape, shape)) &&
    outputAvals.some((aval) => aval.dtype === dtype) &&
    lanesFor(inner.map((aval) => aval.dtype)) === lanesFor([dtype])
  );
}

function withProduct(
  graph: Graph,
  node: GraphNode,
  inner: Graph,
  product: GraphNode,
): { readonly inputs: readonly Variable[]; readonly combined: Graph } {
  const [output] = product.outputs;
  const others = node.inputs.filter((variable) => variable !== output);
  const builder = new GraphBuilder([...product.inputs, ...others].map((variable) => graph.avals[variable]));
  const [found] = builder.node(
    product.primitive,
    builder.inputs.slice(0, 2),
    product.params,
    [graph.avals[output]],
    product.origin,
  );
  const drafts: number[] = [];
  let next = 2;
  node.inputs.forEach((variable, i) => (drafts[i] = variable === output ? found : builder.inputs[next++]));
  inner.constants.forEach((tensor, i) => (drafts[inner.firstConstant + i] = builder.constant(tensor)));
  for (const member of inner.nodes) copyNode(inner, member, builder, drafts);
  return {
    inputs: [...product.inputs, ...others],
    combined: builder.build(inner.outputs.map((variable) => drafts[variable])),
  };
}

/** What comes after the product in a cluster that begins with one: its inputs are the product, then the cluster's others. */
export function epilogueOf(cluster: Graph): Epilogue {
  const [product, ...rest] = cluster.nodes;
  const [output] = product.outputs;
  const builder = new GraphBuilder([cluster.avals[output], ...cluster.inputs.slice(2)]);
  const drafts: number[] = [];
  builder.inputs.forEach((draft, i) => (drafts[i === 0 ? output : i + 1] = draft));
  cluster.constants.forEach((tensor, i) => (drafts[cluster.firstConstant + i] = builder.constant(tensor)));
  for (const node of rest) copyNode(cluster, node, builder, drafts);
  const graph = builder.build(cluster.outputs.map((variable) => drafts[variable]));
  const { dtype } = cluster.avals[output];
  return { graph, main: graph.outputAvals.findIndex((aval) => aval.dtype === dtype) };
}

/** A product whose result is in order, with the strides of what an epilogue reads, as it lies, and writes, in order. */
export function finishedBy(spec: ProductSpec, epilogue: Epilogue, others: readonly Layout[]): ProductSpec {
  const { batch, rows, columns } = spec;
  const { graph, main } = epilogue;
  const { shape } = graph.inputs[0];
  const strides = [
    ...others.map((layout) => broadcastStrides(layout, shape)),
    ...graph.outputs.filter((_, i) => i !== main).map(() => contiguous(shape).strides),
  ];
  let axis = 0;
  const extended = (axes: readonly ProductAxis[]): ProductAxis[] =>
    axes.map(({ size, strides: own }) => {
      const found = { size, strides: [...own, ...strides.map((all) => all[axis])] };
      axis++;
      return found;
    });
  return {
    ...spec,
    batch: extended(batch),
    rows: extended(rows),
    columns: extended(columns),
    terms: spec.terms.map(({ size, strides: own }) => ({
      size,
      strides: [...own, ...strides.map(() => 0)],
    })),
    epilogue,
  };
}
