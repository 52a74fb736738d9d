/**
 * The computational graph of one execution, made explicit: every node with its value and its adjoint, every edge with
 * its local derivative. Differentiation needs none of this; it is there to be looked at, tested and drawn.
 */
import {
  type Aval,
  DerivativeError,
  type LiftableArguments,
  type Params,
  type Primitive,
  Value,
  currentUserFrame,
  fail,
  leaves,
  pullback,
  pushforward,
  requireSameShape,
  plainParamsText,
} from "@cotangent/core";
import { Tape, type TapeNode, TapeValue } from "./tape.ts";
import { record } from "./vjp.ts";

/** A dependence of one node on another, and the derivative that belongs to it alone. */
export class ComputationalEdge {
  readonly from: ComputationalNode;
  readonly to: ComputationalNode;
  /** The position among the inputs of `to`. */
  readonly index: number;
  readonly #primals: readonly Value[];

  constructor(from: ComputationalNode, to: ComputationalNode, index: number, primals: readonly Value[]) {
    this.from = from;
    this.to = to;
    this.index = index;
    this.#primals = primals;
  }

  /** The name of the argument that the edge enters. */
  get argument(): string {
    const { args, variadic } = this.#primitive;
    return variadic ? `${args[0]}[${this.index}]` : args[this.index];
  }

  get #primitive(): Primitive {
    return this.to.primitive as Primitive;
  }

  /** Whether a derivative flows along the edge: not into discrete primitives, nor from constants. */
  get differentiable(): boolean {
    return this.to.tapeNode !== null && this.from.tapeNode !== null;
  }

  /**
   * The local partial derivative of `to` with respect to `from` where one tensor can say it: for an elementwise
   * primitive its diagonal (in the shape of `to`), between scalars a scalar. Otherwise undefined; ask `jvp` or `vjp`.
   */
  get partial(): Value | undefined {
    if (!this.differentiable) return undefined;
    const scalars = this.from.aval.rank === 0 && this.to.aval.rank === 0;
    return this.#primitive.elementwise || scalars ? this.jvp(this.from.value.onesLike()) : undefined;
  }

  /** The tangent of `to` for a tangent of `from`, all other inputs held. */
  jvp(tangent: Value): Value {
    requireSameShape("edge.jvp", "the tangent", tangent, this.from.aval);
    const tangents = this.#primals.map((_, i) => (i === this.index ? tangent : null));
    const { value, params } = this.to;
    return pushforward(this.#primitive, this.#primals, value, tangents, params) ?? value.zerosLike();
  }

  /** The contribution to the cotangent of `from` that a cotangent of `to` makes along this edge. */
  vjp(cotangent: Value): Value {
    requireSameShape("edge.vjp", "the cotangent", cotangent, this.to.aval);
    const { value, params } = this.to;
    return (
      pullback(this.#primitive, this.#primals, value, params, this.index, cotangent) ??
      this.from.value.zerosLike()
    );
  }
}

/** A value of the execution: an input, a constant, or the result of a primitive. */
export class ComputationalNode {
  /** The position in topological order: every node comes after those it depends on. */
  readonly id: number;
  readonly kind: "input" | "constant" | "operation";
  readonly value: Value;
  /** What computed the value; null for inputs and constants. */
  readonly primitive: Primitive | null;
  readonly params: Params;
  /** The user's source line, where the stack showed one. */
  readonly source: string | undefined;
  readonly incoming: ComputationalEdge[] = [];
  readonly outgoing: ComputationalEdge[] = [];
  readonly tapeNode: TapeNode | null;
  readonly #graph: ComputationalGraph;

  constructor(
    graph: ComputationalGraph,
    id: number,
    kind: ComputationalNode["kind"],
    value: Value,
    tapeNode: TapeNode | null,
    operation: Operation | null,
  ) {
    this.#graph = graph;
    this.id = id;
    this.kind = kind;
    this.value = value;
    this.tapeNode = tapeNode;
    this.primitive = operation?.primitive ?? null;
    this.params = operation?.params ?? {};
    this.source = operation?.source;
  }

  get aval(): Aval {
    return this.value.aval;
  }

  /** The derivative of the root with respect to this node; null for what the root does not depend on smoothly. */
  get adjoint(): Value | null {
    return this.#graph.adjoint(this);
  }
}

/** A primitive as it was applied. */
interface Operation {
  readonly primitive: Primitive;
  readonly inputs: readonly Value[];
  readonly primals: readonly Value[];
  readonly params: Params;
  readonly output: Value;
  readonly source: string | undefined;
}

/** A tape that also remembers what a derivative would not need. */
class RecordingTape extends Tape {
  readonly operations: Operation[] = [];

  override process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    const output = super.process(primitive, inputs, params);
    this.remember(primitive, inputs, params, output);
    return output;
  }

  override processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    const outputs = super.processMultiple(primitive, inputs, params);
    for (const output of outputs) this.remember(primitive, inputs, params, output);
    return outputs;
  }

  private remember(primitive: Primitive, inputs: readonly Value[], params: Params, output: Value): void {
    const primals = inputs.map((input) => this.primal(input));
    this.operations.push({ primitive, inputs, primals, params, output, source: currentUserFrame() });
  }

  primal(value: Value): Value {
    return value instanceof TapeValue && value.level === this.level ? value.primal : value;
  }

  nodeOf(value: Value): TapeNode | null {
    return value instanceof TapeValue && value.level === this.level ? value.node : null;
  }
}

/** An explicit, directed, acyclic graph of one execution, in topological order. */
export class ComputationalGraph {
  readonly nodes: readonly ComputationalNode[];
  /** The nodes of the arguments. */
  readonly inputs: readonly ComputationalNode[];
  /** The node of the result. */
  readonly root: ComputationalNode;
  readonly #tape: RecordingTape;
  #adjoints: Map<TapeNode, Value> | null = null;

  constructor(tape: RecordingTape, inputs: readonly Value[], output: Value) {
    this.#tape = tape;
    const nodes: ComputationalNode[] = [];
    const byValue = new Map<Value, ComputationalNode>();
    const add = (
      value: Value,
      kind: ComputationalNode["kind"],
      operation: Operation | null,
    ): ComputationalNode => {
      const node = new ComputationalNode(
        this,
        nodes.length,
        kind,
        tape.primal(value),
        tape.nodeOf(value),
        operation,
      );
      nodes.push(node);
      byValue.set(value, node);
      return node;
    };
    const find = (value: Value): ComputationalNode => byValue.get(value) ?? add(value, "constant", null);
    this.inputs = inputs.map((input) => add(input, "input", null));
    for (const operation of tape.operations) {
      const sources = operation.inputs.map(find);
      const node = add(operation.output, "operation", operation);
      sources.forEach((from, index) => {
        const edge = new ComputationalEdge(from, node, index, operation.primals);
        from.outgoing.push(edge);
        node.incoming.push(edge);
      });
    }
    this.root = find(output);
    this.nodes = nodes;
  }

  /**
   * Sweeps back from a cotangent of the root, and sets the adjoint of every node by it.
   *
   * @param cotangent by default 1, for a scalar root.
   * @throws DerivativeError for a root that is no scalar where no cotangent is given.
   */
  backward(cotangent?: Value): void {
    const { root } = this;
    if (cotangent === undefined && root.aval.rank !== 0) {
      fail(
        DerivativeError,
        `backward: the root is ${root.aval}, so its adjoint must be given. Call graph.backward(cotangent) with a value of its shape.`,
      );
    }
    const seed = cotangent ?? root.value.onesLike();
    requireSameShape("backward", "the cotangent", seed, root.aval);
    const adjoints = new Map<TapeNode, Value>();
    root.tapeNode?.accumulate(seed);
    const wanted = this.nodes.flatMap((node) => node.tapeNode ?? []);
    const found = this.#tape.sweep(wanted, false);
    wanted.forEach((node, i) => {
      const adjoint = found[i];
      if (adjoint !== null) adjoints.set(node, adjoint);
    });
    this.#adjoints = adjoints;
  }

  /** The adjoint of a node; the first one asked for makes the sweep. */
  adjoint(node: ComputationalNode): Value | null {
    if (node.tapeNode === null) return null;
    if (this.#adjoints === null) this.backward();
    return this.#adjoints?.get(node.tapeNode) ?? null;
  }

  /**
   * The number of directed paths between two nodes (by default from all inputs to the root), exactly. It can be
   * exponential in the number of nodes; counting takes one visit of each.
   */
  pathCount(from?: ComputationalNode, to: ComputationalNode = this.root): bigint {
    const counts = new Map<ComputationalNode, bigint>([[to, 1n]]);
    for (let i = to.id; i >= 0; i--) {
      const node = this.nodes[i];
      const paths = counts.get(node);
      if (paths === undefined) continue;
      for (const { from: source } of node.incoming) counts.set(source, (counts.get(source) ?? 0n) + paths);
    }
    const starts = from === undefined ? this.inputs : [from];
    return starts.reduce((total, start) => total + (counts.get(start) ?? 0n), 0n);
  }

  /** The execution as a program, one line per node, with values, adjoints and source lines. */
  toText(): string {
    return this.nodes
      .map((node) => {
        const head = `%${node.id}: ${node.aval.toString()} = ${describe(node)}`;
        const facts = [`value ${show(node.value)}`];
        if (this.#adjoints !== null && node.adjoint !== null) facts.push(`adjoint ${show(node.adjoint)}`);
        if (node === this.root) facts.push("root");
        if (node.source !== undefined) facts.push(node.source);
        return `${head}  # ${facts.join("; ")}`;
      })
      .join("\n");
  }

  /** The graph in Graphviz's DOT language: values and adjoints on the nodes, scalar local derivatives on the edges. */
  toDot(): string {
    const quote = (text: string): string =>
      `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
    const lines = ["digraph computation {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];'];
    for (const node of this.nodes) {
      const label = [node.primitive?.name ?? node.kind, node.aval.toString(), `value ${show(node.value)}`];
      if (this.#adjoints !== null && node.adjoint !== null) label.push(`adjoint ${show(node.adjoint)}`);
      const style =
        node.kind === "input" ? ", style=rounded" : node.kind === "constant" ? ", style=dashed" : "";
      lines.push(
        `  n${node.id} [label=${quote(label.join("\n"))}${style}${node === this.root ? ", peripheries=2" : ""}];`,
      );
    }
    for (const node of this.nodes) {
      for (const edge of node.incoming) {
        const { partial } = edge;
        const label = partial === undefined ? "" : ` [label=${quote(show(partial))}]`;
        const style = edge.differentiable || edge.from.tapeNode === null ? "" : " [style=dotted]";
        lines.push(`  n${edge.from.id} -> n${node.id}${label}${style};`);
      }
    }
    lines.push("}");
    return lines.join("\n");
  }
}

function describe(node: ComputationalNode): string {
  if (node.primitive === null) return node.kind;
  const operands = node.incoming.map((edge) => `%${edge.from.id}`);
  return `${node.primitive.name}(${[...operands, ...plainParamsText(node.params)].join(", ")})`;
}

/** A short form of a value: all elements of a small one, the first few of a large one. */
function show(value: Value): string {
  const data = Array.from(value.dataSync().slice(0, 4), (x) => String(Number(x.toPrecision(6))));
  const text = value.size > 4 ? [...data, "..."].join(", ") : data.join(", ");
  return value.rank === 0 ? text : `[${text}]`;
}

/**
 * Records the computational graph of one execution of f: define-by-run code of any shape, as it ran for these
 * arguments.
 *
 * @param f a function with one value as its result.
 * @returns a function of the same arguments that gives the graph.
 * @throws DTypeError for int32 or bool arguments; DerivativeError where f returns a tree.
 * @example
 * ```ts
 * const graph = computationalGraph((x: Value, w: Value) => x.mul(w).tanh())(0.5, 2);
 * graph.root.incoming[0].partial?.item(); // the local derivative 1 / cosh²(1)
 * graph.inputs[1].adjoint?.item(); // the derivative with respect to w
 * ```
 */
export function computationalGraph<A extends readonly unknown[] = Value[]>(
  f: (...args: A) => Value,
): (...args: LiftableArguments<A>) => ComputationalGraph {
  return (...args) => {
    const tape = new RecordingTape("computationalGraph");
    const every = args.map((_, i) => i);
    const { inputs, output } = record("computationalGraph", f, args, every, tape);
    const [root] = leaves(output);
    if (!(output instanceof Value) || !(root instanceof Value)) {
      fail(
        DerivativeError,
        `computationalGraph: the function returned a tree; it must return one value, the root of the graph.`,
      );
    }
    return new ComputationalGraph(tape, inputs, root);
  };
}
