/** What is drawn of a graph: items (inputs, constants, nodes) and edges between them, in frames that nest. */
import {
  type Aval,
  type Family,
  Graph,
  type GraphNode,
  type GraphViewOptions,
  type SavePolicy,
  type Tensor,
  familyOf,
  namedGraphs,
  numberText,
  plainParamsText,
  recomputes,
  shapeText,
} from "@cotangent/core";
import { type Path, pathInto } from "./trace.ts";

export interface Item {
  readonly id: number;
  readonly path: Path;
  /** The position among the nodes of its graph; -1 for inputs and constants. */
  readonly n: number;
  readonly family: Family;
  /** The primitive, or the input's name. */
  readonly name: string;
  /** As it is drawn: with the scalar constants among its operands, `mul(·, 0.5)`. */
  readonly label: string;
  readonly variables: readonly DrawnVariable[];
  readonly params: readonly string[];
  readonly line: string | undefined;
  readonly inner: readonly Frame[];
  /** Which outputs of its graph it gives. */
  readonly outputs: readonly string[];
  /** Why it is marked as computed again, if it is. */
  readonly recomputed: string | undefined;
  readonly cluster: number | undefined;
}

export interface DrawnVariable {
  readonly id: number;
  readonly name: string;
  readonly type: string;
}

export interface Edge {
  readonly id: number;
  readonly variable: number;
  readonly from: number;
  readonly to: number;
  /** The position among the inputs of the node. */
  readonly index: number;
  readonly argument: string;
  /** The name of the argument in any case. */
  readonly name: string;
  readonly shape: string;
  /** The name of the variable, or of the input. */
  readonly source: string;
}

export interface Frame {
  readonly name: string;
  readonly path: Path;
  readonly items: readonly Item[];
  readonly edges: readonly Edge[];
}

export interface Scene {
  readonly frame: Frame;
  /** All of them, by their ids. */
  readonly items: readonly Item[];
  readonly edges: readonly Edge[];
  /** The id of a variable of the graph at a path. */
  readonly variableAt: (path: Path, variable: number) => number | undefined;
  readonly itemAt: (path: Path, node: number) => Item | undefined;
  readonly edgeAt: (path: Path, node: number, index: number) => Edge | undefined;
}

const commutative = new Set(["add", "mul", "strongMul", "maximum", "minimum", "eq", "ne", "and", "or"]);

export function sceneOf(graph: Graph, options: GraphViewOptions): Scene {
  return new SceneBuilder(options, repeatedNodes(graph)).build(graph);
}

class SceneBuilder {
  private readonly items: Item[] = [];
  private readonly edges: Edge[] = [];
  private readonly variables = new Map<string, number>();
  private readonly itemsByNode = new Map<string, Item>();
  private readonly edgesByInput = new Map<string, Edge>();
  private readonly options: GraphViewOptions;
  private readonly repeats: ReadonlySet<string>;
  /** What the calls around keep of their runs. */
  private readonly policies: SavePolicy[] = [];

  constructor(options: GraphViewOptions, repeats: ReadonlySet<string>) {
    this.options = options;
    this.repeats = repeats;
  }

  build(graph: Graph): Scene {
    const frame = this.frame(graph, "", "", (i) => this.options.names?.[i]);
    const { items, edges, variables, itemsByNode, edgesByInput } = this;
    return {
      frame,
      items,
      edges,
      variableAt: (path, variable) => variables.get(`${path}%${variable}`),
      itemAt: (path, node) => itemsByNode.get(`${path}${node}`),
      edgeAt: (path, node, index) => edgesByInput.get(`${path}${node}:${index}`),
    };
  }

  private variable(path: Path, variable: number, aval: Aval, name?: string): DrawnVariable {
    const id = this.variables.size;
    this.variables.set(`${path}%${variable}`, id);
    return { id, name: name ?? `%${variable}`, type: aval.toString() };
  }

  private frame(
    graph: Graph,
    path: Path,
    name: string,
    nameOf: (input: number) => string | undefined,
  ): Frame {
    const items: Item[] = [];
    const edges: Edge[] = [];
    const source: Item[] = [];
    const outputs = (variables: readonly number[]): string[] =>
      graph.outputs.flatMap((variable, i) =>
        variables.includes(variable) ? [graph.outputs.length === 1 ? "output" : `output ${i}`] : [],
      );
    const add = (facts: Omit<Item, "id" | "path">, variables: readonly number[]): void => {
      const item: Item = { ...facts, id: this.items.length, path };
      this.items.push(item);
      items.push(item);
      for (const variable of variables) source[variable] = item;
      if (item.n >= 0) this.itemsByNode.set(`${path}${item.n}`, item);
    };
    const plain = {
      n: -1,
      params: [],
      line: undefined,
      inner: [],
      recomputed: undefined,
      cluster: undefined,
    };
    graph.inputs.forEach((aval, i) => {
      const given = nameOf(i) ?? `input ${i}`;
      const variables = [this.variable(path, i, aval)];
      add({ ...plain, family: "input", name: given, label: given, variables, outputs: outputs([i]) }, [i]);
    });
    const used = new Set(graph.nodes.flatMap((node) => node.inputs));
    graph.constants.forEach((tensor, i) => {
      const variable = graph.firstConstant + i;
      // Scalars stand in the labels of what uses them.
      if (tensor.rank === 0 ? !graph.outputs.includes(variable) : !used.has(variable)) return;
      const variables = [this.variable(path, variable, tensor.aval)];
      const label = tensor.rank === 0 ? literal(tensor) : "constant";
      add(
        { ...plain, family: "constant", name: "constant", label, variables, outputs: outputs([variable]) },
        [variable],
      );
    });
    graph.nodes.forEach((node, n) => {
      const inner = this.inner(node, n, path);
      const variables = node.outputs.map((variable) => this.variable(path, variable, graph.avals[variable]));
      add(
        {
          n,
          family: familyOf(node.primitive, node.params),
          name: node.primitive.name,
          label: labelOf(graph, node),
          variables,
          params: plainParamsText(node.params),
          line: node.origin?.line,
          inner,
          outputs: outputs(node.outputs),
          recomputed: this.recomputed(node, n, path),
          cluster: path === "" ? clusterOf(this.options, n) : undefined,
        },
        node.outputs,
      );
      const to = source[node.outputs[0]];
      node.inputs.forEach((variable, index) => {
        const from = source[variable] as Item | undefined;
        if (from === undefined) return;
        const edge: Edge = {
          id: this.edges.length,
          variable: this.variables.get(`${path}%${variable}`) as number,
          from: from.id,
          to: to.id,
          index,
          argument: argumentOf(node, index),
          name: node.primitive.variadic ? `input ${index}` : node.primitive.args[index],
          source: from.n < 0 && from.family === "input" ? from.label : `%${variable}`,
          shape: shapeText(graph.avals[variable]),
        };
        this.edges.push(edge);
        edges.push(edge);
        this.edgesByInput.set(`${path}${n}:${index}`, edge);
      });
    });
    return { name, path, items, edges };
  }

  private inner(node: GraphNode, n: number, path: Path): Frame[] {
    const { save } = node.params as { readonly save?: SavePolicy };
    return namedGraphs(node.params).map(({ name, graph }) => {
      const inside = pathInto(path, n, name);
      // A graph that repeats some of another is a way back: of it, the repeats alone are marked.
      const isWayBack = graph.nodes.some((_, k) => this.repeats.has(`${inside}${k}`));
      this.policies.push(isWayBack ? "everything" : (save ?? "everything"));
      const frame = this.frame(graph, inside, name, (i) => innerName(node, name, i));
      this.policies.pop();
      return frame;
    });
  }

  private recomputed(node: GraphNode, n: number, path: Path): string | undefined {
    if (this.repeats.has(`${path}${n}`)) return "computed again: the same was computed before";
    if (path === "" && this.options.recomputed?.includes(n)) return "computed again on the way back";
    const policy = this.policies.at(-1) ?? "everything";
    if (policy === "everything" || !recomputes[policy](node.primitive.name)) return undefined;
    return "not saved: computed again on the way back";
  }
}

function clusterOf({ clusters }: GraphViewOptions, n: number): number | undefined {
  const found = clusters?.findIndex((members) => members.includes(n)) ?? -1;
  return found < 0 ? undefined : found;
}

const literal = (tensor: Tensor): string => numberText(tensor.item(), tensor.dtype).replace(/\.0$/, "");

/** The primitive, with the operands where scalar constants are among them. */
function labelOf(graph: Graph, { primitive, inputs }: GraphNode): string {
  const constants = inputs.map((variable) => graph.constantOf(variable));
  if (inputs.length > 4 || !constants.some((tensor) => tensor?.rank === 0)) return primitive.name;
  return `${primitive.name}(${constants.map((tensor) => (tensor?.rank === 0 ? literal(tensor) : "·")).join(", ")})`;
}

/** The argument that an edge enters, where it matters which one it is. */
function argumentOf(node: GraphNode, index: number): string {
  const { primitive, inputs, params } = node;
  if ("carries" in params) return innerName(node, "body", index);
  if ("branches" in params) return index === 0 ? "index" : `operand ${index - 1}`;
  if ("graph" in params) return `input ${index}`;
  if (primitive.variadic) return inputs.length === 1 ? "" : `${index}`;
  return primitive.args.length === 1 || commutative.has(primitive.name) ? "" : primitive.args[index];
}

/** What an input of a nested graph is to the node. */
function innerName(node: GraphNode, name: string, input: number): string {
  const { constants, carries } = node.params as { readonly constants?: number; readonly carries?: number };
  if (constants === undefined || carries === undefined)
    return `${name.startsWith("branches") ? "operand" : "input"} ${input}`;
  const numbered = (what: string, i: number, count: number): string => (count === 1 ? what : `${what} ${i}`);
  if (input < constants) return numbered("captured", input, constants);
  if (input < constants + carries) return numbered("carry", input - constants, carries);
  return numbered("row", input - constants - carries, node.inputs.length - constants - carries);
}

/**
 * Nodes of nested calls that compute what a graph before them has computed: the same primitive with the same parameters
 * on the same values, seen through the calls.
 */
function repeatedNodes(graph: Graph): Set<string> {
  const repeats = new Set<string>();
  const known = new Map<string, { readonly values: readonly number[]; readonly path: Path }>();
  const tensors = new Map<object, number>();
  let next = 0;
  const visit = (graph: Graph, inputs: readonly number[], path: Path): number[] => {
    const values = [...inputs, ...graph.constants.map((tensor) => constantNumber(tensor))];
    graph.nodes.forEach((node, n) => {
      const operands = node.inputs.map((variable) => values[variable]);
      const { graph: inner } = node.params as { readonly graph?: unknown };
      let found: readonly number[];
      if (node.primitive.name === "call" && inner instanceof Graph) {
        found = visit(inner, operands, pathInto(path, n, "graph"));
      } else {
        const isOpaque = namedGraphs(node.params).length > 0;
        const key = isOpaque
          ? `${path}${n}`
          : [node.primitive.name, plainParamsText(node.params), ...operands].join(" ");
        const before = known.get(key);
        if (before !== undefined && before.path !== path) repeats.add(`${path}${n}`);
        found = before?.values ?? node.outputs.map(() => next++);
        if (before === undefined) known.set(key, { values: found, path });
      }
      node.outputs.forEach((variable, i) => (values[variable] = found[i]));
    });
    return graph.outputs.map((variable) => values[variable]);
  };
  const constantNumber = (tensor: Tensor): number => {
    const key = tensor.rank === 0 ? `${tensor.dtype} ${literal(tensor)}` : (tensor.lease ?? tensor);
    const numbers = tensors as Map<unknown, number>;
    let number = numbers.get(key);
    if (number === undefined) numbers.set(key, (number = next++));
    return number;
  };
  visit(
    graph,
    graph.inputs.map(() => next++),
    "",
  );
  return repeats;
}
