/** From the nodes of a graph to the code of a program's main function. */
import {
  type Aval,
  type Axis,
  type CumulativeParams,
  type DotParams,
  type Backend,
  type CallParams,
  type Graph,
  GraphBuilder,
  type GraphNode,
  type LoopParams,
  type LoopPullbackParams,
  type PadParams,
  type Primitive,
  type Shape,
  type SwitchParams,
  type Variable,
  avalOf,
  fused,
  memoryPlan,
  optimize,
  sizeOf,
  stridesOf,
  withoutCalls,
  paramsKey,
} from "@cotangent/core";
import { type Expr, type FunctionBuilder, type FunctionRef, type Local, callOf, i32 } from "../emit/index.ts";
import {
  type ClusterSpec,
  type Emitted,
  type Shared,
  emitCluster,
  isReduction,
  reductionNames,
} from "./cluster.ts";
import { type ProductSpec, productOf } from "./contraction.ts";
import { keepIn } from "./elementwise.ts";
import { epilogueOf, finishedBy, startsWithProduct, withEpilogues } from "./epilogue.ts";
import { expanded } from "./expansion.ts";
import { emitArgExtremum, emitCumsum, emitGather, emitIndexCheck, emitScatterAdd } from "./indexing.ts";
import { Images, type Product, hasImageCode, imageNames } from "./images.ts";
import { type LoopPlan, Loops, type Site, ordered } from "./loops.ts";
import { withConcatenations } from "./joined.ts";
import { type Layout, contiguous, isContiguous, layoutsOf } from "./layout.ts";
import { withNumbers } from "./numbers.ts";
import { emitPanels } from "./packing.ts";
import { planOf } from "./product-plan.ts";
import { emitProduct } from "./product.ts";
import { bytesPer, impossible, literal, loadScalar, registerType, storeScalar } from "./registers.ts";
import { type Slot, inMemory, inRegisters, isTiny } from "./slot.ts";
import { hasNegative, isTinyNode, paddedLayout, placesOf, tinyNode } from "./tiny.ts";

/** Memory of a program while it runs, laid out when it is compiled. */
export class Arena {
  private top = 0;
  private highest = 0;

  reserve(bytes: number): number {
    const start = this.top;
    this.top = Math.ceil((start + bytes) / 64) * 64;
    this.highest = Math.max(this.highest, this.top);
    return start;
  }

  /** What is reserved in the body is free again after it. */
  within<T>(body: () => T): T {
    const { top } = this;
    const found = body();
    this.top = top;
    return found;
  }

  get bytes(): number {
    return this.highest;
  }
}

/** A node that the host computes, as it is known at run time. */
export interface HostNode {
  readonly node: GraphNode;
  readonly inputs: readonly Aval[];
  readonly outputs: readonly Aval[];
}

/** A kernel that several threads can share, as it is known at run time. */
export interface ParallelKernel {
  readonly f: FunctionBuilder;
  readonly units: number;
  /** How many arguments it has, but for the units to be done. */
  readonly args: number;
}

export interface Lowering extends Shared {
  readonly main: FunctionBuilder;
  readonly backend: Backend;
  readonly arena: Arena;
  /** The address of the arena. */
  readonly base: Expr;
  /** Runs a node on the host: its number, and the address of the addresses of its inputs and outputs. */
  readonly hostNode: FunctionRef;
  readonly hostNodes: HostNode[];
  /** Runs a kernel on several threads: its number, and the address of its arguments. */
  readonly parallel: FunctionRef;
  readonly parallelKernels: ParallelKernel[];
  /** Has the host plan a loop's way back: its number, and how many steps it has; gives the plan's address. */
  readonly planLoop: FunctionRef;
  readonly forgetPlan: FunctionRef;
  readonly loopPlans: LoopPlan[];
  /** Whether products multiply and add in one instruction. */
  readonly relaxed: boolean;
  /** Where it says how many threads there are. */
  readonly threadsAddress: number;
  /** The main thread's memory for kernels that need some. */
  readonly scratchAddress: number;
  /** Functions of the module, by what they are for. */
  readonly functions: Map<string, Emitted>;
  readonly addressOfConstant: (graph: Graph, index: number) => number;
}

/** Emits the code of graphs, nested ones within their nodes. */
export class Lowerer {
  private readonly shared: Lowering;
  private readonly f: FunctionBuilder;
  private readonly keep: (value: Expr) => Expr;

  constructor(shared: Lowering) {
    this.shared = shared;
    this.f = shared.main;
    this.keep = keepIn(shared.main);
  }

  private at(offset: number): Expr {
    return i32.add(this.shared.base, i32.const(offset));
  }

  /**
   * The outputs of a graph for these inputs. An output that has a target is written there, in order.
   */
  graph(graph: Graph, inputs: readonly Slot[], targets: readonly (Expr | undefined)[]): Slot[] {
    return new GraphCode(this, this.shared, graph, inputs, targets).run();
  }

  /** The elements as scalars. */
  registers(slot: Slot): readonly Expr[] {
    const { aval, layout, address } = slot;
    if (slot.registers !== undefined) return slot.registers;
    if (address === undefined) impossible("a value has no place");
    const bytes = bytesPer[aval.dtype];
    slot.registers = placesOf(layout).map((place) =>
      this.keep(loadScalar(this.offset(address, place * bytes), aval.dtype)),
    );
    return slot.registers;
  }

  offset(address: Expr, bytes: number): Expr {
    return bytes === 0 ? address : i32.add(address, i32.const(bytes));
  }

  /** The address from which the layout counts; registers are written to memory first. */
  address(slot: Slot): Expr {
    if (slot.address !== undefined) return slot.address;
    const address = this.at(this.shared.arena.reserve(slot.aval.bytes));
    this.write(slot, address);
    slot.address = address;
    return address;
  }

  /** The address of the first element of a value in order; one that is not is copied. */
  ordered(slot: Slot): Expr {
    const bytes = bytesPer[slot.aval.dtype];
    if (slot.registers !== undefined || isContiguous(slot.layout))
      return this.offset(this.address(slot), slot.layout.offset * bytes);
    const address = this.at(this.shared.arena.reserve(slot.aval.bytes));
    this.write(slot, address);
    return address;
  }

  /** Writes the elements in order to an address, or as they lie in a layout from there on. */
  write(slot: Slot, target: Expr, layout: Layout = contiguous(slot.aval.shape)): void {
    const { aval, registers } = slot;
    if (aval.size === 0) return;
    const bytes = bytesPer[aval.dtype];
    if (registers !== undefined) {
      const places = placesOf(layout);
      registers.forEach((value, k) =>
        this.f.store(storeScalar(this.offset(target, places[k] * bytes), value, aval.dtype)),
      );
      return;
    }
    const source = this.address(slot);
    if (isContiguous(slot.layout) && isContiguous(layout)) {
      this.f.copy(
        this.offset(target, layout.offset * bytes),
        this.offset(source, slot.layout.offset * bytes),
        i32.const(aval.bytes),
      );
      return;
    }
    const builder = new GraphBuilder([aval]);
    const graph = builder.build(builder.inputs);
    this.cluster(
      { graph, shape: aval.shape, axes: [], inputs: [slot.layout], outputs: [layout] },
      [source],
      [target],
    );
  }

  /** The function with that key, emitted once. */
  emitted(key: string, emit: () => FunctionBuilder): FunctionBuilder {
    return this.kernel(key, () => ({ f: emit(), units: 1, callsHost: false })).f;
  }

  /** The kernel with that key, emitted once. */
  kernel(key: string, emit: () => Emitted): Emitted {
    const { functions } = this.shared;
    let found = functions.get(key);
    if (found === undefined) functions.set(key, (found = emit()));
    return found;
  }

  /** Runs all of a kernel, on the threads that there are. */
  run({ f, units, callsHost, usesScratch = false }: Emitted, args: readonly Expr[]): void {
    const { main, base, arena, parallel, parallelKernels, threadsAddress, scratchAddress } = this.shared;
    const rest = [
      ...(units > 1 ? [i32.const(0), i32.const(units)] : []),
      ...(usesScratch ? [i32.const(scratchAddress)] : []),
    ];
    const alone = (): void => main.call(f, ...args, ...rest);
    if (units === 1 || callsHost) {
      alone();
      return;
    }
    let number = parallelKernels.findIndex((kernel) => kernel.f === f);
    if (number < 0) number = parallelKernels.push({ f, units, args: args.length }) - 1;
    const together = (): void =>
      arena.within(() => {
        const frame = i32.add(base, i32.const(arena.reserve(4 * args.length)));
        args.forEach((arg, i) => main.store(i32.store(frame, arg, 4 * i)));
        main.call(parallel, i32.const(number), frame);
      });
    main.if(i32.gt_s(i32.load(i32.const(threadsAddress)), i32.const(1)), together, alone);
  }

  /** Multiplies what lies at the addresses of A and B, into that of C, after which come those of an epilogue. */
  product(spec: ProductSpec, a: Expr, b: Expr, others: readonly Expr[]): void {
    const { module, arena, base } = this.shared;
    const plan = planOf(spec, this.shared.relaxed);
    const { epilogue, ...plain } = plan.spec;
    const key = JSON.stringify(plain) + (epilogue === undefined ? "" : keyOfGraph(epilogue.graph));
    const [x, y] = plan.isSwapped ? [b, a] : [a, b];
    arena.within(() => {
      let from = y;
      if (plan.packsB) {
        from = i32.add(base, i32.const(arena.reserve(plan.panelBytes)));
        this.run(
          this.kernel(`panels ${key}`, () => emitPanels(module, plan)),
          [y, from],
        );
      }
      this.run(
        this.kernel(`product ${key}`, () => emitProduct(this.shared, plan)),
        [x, from, ...others],
      );
    });
  }

  /** Calls the function of a cluster, which is emitted once for all clusters like it. */
  cluster(spec: ClusterSpec, inputs: readonly Expr[], outputs: readonly Expr[]): void {
    if (sizeOf(spec.shape) === 0) impossible("a cluster has no elements");
    const found = this.kernel(keyOf(spec), () => {
      const names = spec.graph.nodes.map(({ primitive }) => primitive.name);
      return emitCluster(names.join("_").slice(0, 60) || "copy", spec, this.shared);
    });
    const addresses = [
      ...inputs.map((address, i) =>
        this.offset(address, spec.inputs[i].offset * bytesPer[spec.graph.inputs[i].dtype]),
      ),
      ...outputs.map((address, i) =>
        this.offset(
          address,
          spec.outputs[i].offset * bytesPer[spec.graph.avals[spec.graph.outputs[i]].dtype],
        ),
      ),
    ];
    this.run(found, addresses);
  }
}

/** Clusters with equal keys have equal code. */
function keyOf({ graph, shape, axes, inputs, outputs }: ClusterSpec): string {
  const layouts = [...inputs, ...outputs].map((layout) => `${layout.shape.join()}/${layout.strides.join()}`);
  return [shape.join(), axes.join(), keyOfGraph(graph), ...layouts].join(";");
}

function keyOfGraph(graph: Graph): string {
  const nodes = graph.nodes.map(
    ({ primitive, params, inputs: from, outputs: to }) =>
      `${primitive.name} ${paramsKey(params)} ${from.join()}>${to.join()}`,
  );
  const constants = graph.constants.map(
    (tensor) => `${tensor.dtype} ${Object.is(tensor.item(), -0) ? "-0" : tensor.item()}`,
  );
  return [graph.avals.join(" "), constants.join(), graph.outputs.join(), ...nodes].join(";");
}

const readsAnyLayout = ({ primitive }: GraphNode): boolean =>
  primitive.elementwise ||
  reductionNames.has(primitive.name) ||
  viewNames.has(primitive.name) ||
  imageNames.has(primitive.name) ||
  ["call", "concatenate", "pad", "dotGeneral"].includes(primitive.name);

const viewNames = new Set(["reshape", "transpose", "slice", "flip", "broadcastTo", "straightThrough"]);

/** From so many elements on, a reduction to numbers is taken in pieces. */
const manyReduced = 65_536;

/** Into how many equal pieces so many elements are taken apart, of whole vectors each. */
function piecesOf(size: number): number {
  if (size < manyReduced) return 1;
  for (let pieces = 64; pieces > 1; pieces--) if (size % (4 * pieces) === 0) return pieces;
  return 1;
}

/** Whether a primitive of one output has code, as opposed to being left to the host. */
export const hasCode = ({ name, elementwise }: Primitive): boolean =>
  elementwise ||
  reductionNames.has(name) ||
  viewNames.has(name) ||
  imageNames.has(name) ||
  compiledNames.has(name);

const compiledNames = new Set([
  "concatenate",
  "pad",
  "gather",
  "scatterAdd",
  "cumsum",
  "argmax",
  "argmin",
  "logSumExp",
  "dotGeneral",
]);

/** One graph: its values by variable, and where they lie. */
class GraphCode {
  private readonly lower: Lowerer;
  private readonly shared: Lowering;
  private readonly f: FunctionBuilder;
  private readonly graph: Graph;
  private readonly slots: Slot[];
  private readonly targets: readonly (Expr | undefined)[];
  private readonly layouts: readonly Layout[];
  private readonly isView: readonly boolean[];
  /** Graphs that the program calls, as opposed to clusters. */
  private readonly called: ReadonlySet<Graph>;
  /** Addresses of what nodes write. */
  private readonly places: (Expr | undefined)[] = [];

  constructor(
    lower: Lowerer,
    shared: Lowering,
    given: Graph,
    inputs: readonly Slot[],
    targets: readonly (Expr | undefined)[],
  ) {
    const { backend } = shared;
    const plain = optimize(withConcatenations(withNumbers(expanded(withoutCalls(given), backend)), backend));
    // Loops have elements; what has none is left to the host, node by node.
    const called = new Set(
      plain.nodes.flatMap(({ primitive, params }) =>
        primitive.name === "call" ? [(params as CallParams).graph] : [],
      ),
    );
    // Straight-line code has no loops that could be one.
    const isLoopless =
      plain.avals.some(({ size }) => size === 0) || plain.nodes.every((node) => isTinyNode(plain, node));
    const graph = isLoopless ? plain : withEpilogues(fused(plain), (inner) => !called.has(inner));
    this.lower = lower;
    this.shared = shared;
    this.f = shared.main;
    this.graph = graph;
    this.called = called;
    this.targets = targets;
    this.slots = inputs.map((slot) => ({ ...slot }));
    const { of, isView } = layoutsOf(graph, readsAnyLayout, (node) => isTinyNode(graph, node));
    inputs.forEach((slot, i) => {
      if (!isContiguous(slot.layout) && slot.registers === undefined)
        impossible(`input ${i} of a graph is not in order`);
    });
    this.layouts = of;
    this.isView = isView;
    const elsewhere = new Set<Variable>();
    graph.nodes.forEach((node) => {
      if (isTinyNode(graph, node)) for (const variable of node.outputs) elsewhere.add(variable);
    });
    graph.outputs.forEach((variable, i) => {
      const target = targets[i];
      if (
        target === undefined ||
        variable < graph.firstDefined ||
        isView[variable] ||
        elsewhere.has(variable)
      )
        return;
      elsewhere.add(variable);
      this.places[variable] = target;
    });
    const plan = memoryPlan(graph, {
      alignment: 64,
      isView: (node) => isView[node.outputs[0]],
      elsewhere,
      overwrites: false,
    });
    const start = shared.arena.reserve(plan.bytes);
    plan.bufferOf.forEach((buffer, variable) => {
      if (buffer !== undefined && !isView[variable])
        this.places[variable] = i32.add(shared.base, i32.const(start + plan.buffers[buffer].offset));
    });
    graph.constants.forEach((tensor, i) => {
      const slot = isTiny(tensor.aval)
        ? inRegisters(
            tensor.aval,
            Array.from(tensor.dataSync(), (x) => literal(x, tensor.dtype, 1)),
          )
        : inMemory(tensor.aval, i32.const(shared.addressOfConstant(graph, i)));
      this.slots.push(slot);
    });
  }

  run(): Slot[] {
    const { graph, lower, targets } = this;
    for (const node of graph.nodes) this.node(node);
    return graph.outputs.map((variable, i) => {
      const slot = this.slots[variable];
      const target = targets[i];
      if (target === undefined) return slot;
      if (slot.address !== target) lower.write(slot, target);
      return inMemory(slot.aval, target);
    });
  }

  private place(variable: Variable): Expr {
    return this.places[variable] ?? impossible("a value has no place in the plan");
  }

  /** The slot of a variable that a node writes to its place in the plan. */
  private written(variable: Variable): Slot {
    return (this.slots[variable] = inMemory(this.graph.avals[variable], this.place(variable)));
  }

  private node(node: GraphNode): void {
    const { graph, lower, slots } = this;
    const { primitive, outputs } = node;
    const inputs = node.inputs.map((variable) => slots[variable]);
    const [variable] = outputs;
    const aval = graph.avals[variable];
    if (isTinyNode(graph, node)) {
      this.tiny(node, inputs);
      return;
    }
    if (this.isView[variable]) {
      const [input] = inputs;
      slots[variable] = inMemory(aval, lower.address(input), this.layouts[variable]);
      return;
    }
    const isEmpty = [...inputs.map((slot) => slot.aval), ...outputs.map((v) => graph.avals[v])].some(
      ({ size }) => size === 0,
    );
    if (isEmpty && !["scan", "whileLoop", "switchCase", "call"].includes(primitive.name)) {
      this.byHost(node, inputs);
      return;
    }
    switch (primitive.name) {
      case "call":
        this.call(node, inputs);
        return;
      case "concatenate":
        this.concatenate(inputs, this.written(variable), (node.params as { readonly axis: number }).axis);
        return;
      case "pad":
        if (hasNegative(node.params as PadParams)) break;
        this.pad(inputs[0], this.written(variable), node.params as PadParams);
        return;
      case "dotGeneral":
        this.contraction(node, inputs);
        return;
      case "gather":
      case "scatterAdd":
        this.indexed(node, inputs);
        return;
      case "cumsum":
      case "argmax":
      case "argmin":
        this.alongAxis(node, inputs[0]);
        return;
      case "switchCase":
        this.switchCase(node, inputs);
        return;
      case "scan":
      case "whileLoop":
        this.loops().loop(node.params as LoopParams, inputs, this.sites(node));
        return;
      case "loopPullback":
        this.loops().pullback(node.params as LoopPullbackParams, inputs, this.sites(node));
        return;
      default:
        if (hasImageCode(node)) {
          new Images(lower, this.shared).node(node, inputs, aval, this.place(variable));
          this.written(variable);
          return;
        }
        if (primitive.elementwise || reductionNames.has(primitive.name) || viewNames.has(primitive.name)) {
          this.single(node, inputs);
          return;
        }
    }
    this.byHost(node, inputs);
  }

  private tiny(node: GraphNode, inputs: readonly Slot[]): void {
    const { graph, lower, shared, slots } = this;
    const context = { mathematics: shared.mathematics, host: shared.host, keep: keepIn(this.f) };
    if (node.primitive.name !== "call") {
      const found = tinyNode(
        graph,
        node,
        inputs.map((slot) => lower.registers(slot)),
        context,
      );
      slots[node.outputs[0]] = inRegisters(graph.avals[node.outputs[0]], found);
      return;
    }
    const inner = (node.params as { readonly graph: Graph }).graph;
    const values: (readonly Expr[])[] = inputs.map((slot) => lower.registers(slot));
    for (const tensor of inner.constants)
      values.push(Array.from(tensor.dataSync(), (x) => literal(x, tensor.dtype, 1)));
    for (const member of inner.nodes)
      values[member.outputs[0]] = tinyNode(
        inner,
        member,
        member.inputs.map((v) => values[v]),
        context,
      );
    inner.outputs.forEach((variable, i) => {
      slots[node.outputs[i]] = inRegisters(inner.avals[variable], values[variable]);
    });
  }

  private call(node: GraphNode, inputs: readonly Slot[]): void {
    const { lower, shared, slots } = this;
    const { graph } = node.params as CallParams;
    if (!this.called.has(graph)) {
      this.cluster(node, graph, inputs);
      return;
    }
    const given = inputs.map((slot) => ordered(lower, slot));
    const targets = node.outputs.map((variable) => this.places[variable]);
    // What stays in registers outlives the memory of the call, to which it may have been written too.
    shared.arena.within(() => {
      lower.graph(graph, given, targets).forEach((slot, i) => {
        const { aval, registers } = slot;
        const isLeft = targets[i] === undefined && registers !== undefined;
        slots[node.outputs[i]] = isLeft ? inRegisters(aval, registers) : slot;
      });
    });
  }

  /** A fused cluster. */
  private cluster(node: GraphNode, inner: Graph, inputs: readonly Slot[]): void {
    if (startsWithProduct(inner)) {
      this.finished(node, inner, inputs);
      return;
    }
    const reduction = inner.nodes.find(({ primitive }) => reductionNames.has(primitive.name));
    const shape =
      reduction === undefined
        ? largest(inner.outputs.map((variable) => inner.avals[variable].shape))
        : inner.avals[reduction.inputs[0]].shape;
    const axes =
      reduction === undefined ? [] : (reduction.params as { readonly axes: readonly number[] }).axes;
    this.runCluster(node, { graph: inner, shape, axes }, inputs);
  }

  /** A node that is a cluster by itself. */
  private single(node: GraphNode, inputs: readonly Slot[]): void {
    const builder = new GraphBuilder(inputs.map(({ aval }) => aval));
    const { primitive, params, origin, outputs } = node;
    const aval = this.graph.avals[outputs[0]];
    const elementary =
      viewNames.has(primitive.name) && primitive.name !== "broadcastTo" ? undefined : primitive;
    if (elementary === undefined) {
      // A rearrangement that cannot be a view: its input is, under the layout of the output.
      this.rearranged(node, inputs[0]);
      return;
    }
    const found = builder.node(primitive, builder.inputs, params, [aval], origin);
    const isReduction = reductionNames.has(primitive.name);
    this.runCluster(
      node,
      {
        graph: builder.build(found),
        shape: isReduction ? inputs[0].aval.shape : aval.shape,
        axes: isReduction ? (params as { readonly axes: readonly number[] }).axes : [],
      },
      inputs,
    );
  }

  private rearranged(node: GraphNode, input: Slot): void {
    const { lower } = this;
    const [variable] = node.outputs;
    const target = this.written(variable);
    const view = layoutsOf(
      singleNode(this.graph, node),
      () => true,
      () => false,
    );
    if (isContiguous(input.layout) && view.isView[1]) {
      lower.write(
        inMemory(target.aval, lower.address(input), {
          ...view.of[1],
          offset: view.of[1].offset + input.layout.offset,
        }),
        this.place(variable),
      );
      return;
    }
    // A reshape of elements out of order, which are put in order first.
    lower.write({ ...input }, this.place(variable));
  }

  private runCluster(
    node: GraphNode,
    { graph, shape, axes }: Pick<ClusterSpec, "graph" | "shape" | "axes">,
    inputs: readonly Slot[],
  ): void {
    const { lower } = this;
    const addresses = inputs.map((slot) => lower.address(slot));
    const outputs = node.outputs.map((variable) => this.written(variable));
    const targets = node.outputs.map((variable) => this.place(variable));
    const layouts = inputs.map(({ layout }) => layout);
    if (axes.length > 0 && this.inPieces({ graph, shape, axes }, layouts, addresses, targets)) return;
    lower.cluster(
      { graph, shape, axes, inputs: layouts, outputs: outputs.map(({ layout }) => layout) },
      addresses,
      targets,
    );
  }

  /**
   * A cluster that reduces many elements to numbers, as one that reduces each of some pieces, which threads can share; then
   * the numbers of the pieces. How many pieces there are depends on the shape alone, and so do the results.
   */
  private inPieces(
    { graph, shape, axes }: Pick<ClusterSpec, "graph" | "shape" | "axes">,
    inputs: readonly Layout[],
    addresses: readonly Expr[],
    targets: readonly Expr[],
  ): boolean {
    const { lower, shared } = this;
    const size = sizeOf(shape);
    const pieces = piecesOf(size);
    const isWhole = shape.every((n, axis) => n === 1 || axes.includes(axis));
    const isFlat = (layout: Layout): boolean =>
      sizeOf(layout.shape) === 1 || (sizeOf(layout.shape) === size && isContiguous(layout));
    if (pieces === 1 || !isWhole || !inputs.every(isFlat)) return false;
    const split = [pieces, size / pieces];
    const flat = ({ shape: from, offset }: Layout): Layout => ({
      shape: split,
      strides: sizeOf(from) === 1 ? [0, 0] : [split[1], 1],
      offset,
    });
    const reductions = new Map(
      graph.nodes.filter((inner) => isReduction(inner)).map((inner) => [inner.outputs[0], inner]),
    );
    shared.arena.within(() => {
      const partial = graph.outputs.map((variable, i) => {
        if (!reductions.has(variable)) return targets[i];
        const { dtype } = graph.avals[variable];
        return i32.add(shared.base, i32.const(shared.arena.reserve(pieces * bytesPer[dtype])));
      });
      lower.cluster(
        {
          graph,
          shape: split,
          axes: [1],
          inputs: inputs.map(flat),
          outputs: graph.outputs.map((variable) => contiguous(reductions.has(variable) ? [pieces] : split)),
        },
        addresses,
        partial,
      );
      graph.outputs.forEach((variable, i) => {
        const inner = reductions.get(variable);
        if (inner === undefined) return;
        const builder = new GraphBuilder([avalOf([pieces], graph.avals[variable].dtype)]);
        const aval = avalOf([], graph.avals[variable].dtype);
        const found = builder.node(inner.primitive, builder.inputs, { axes: [0] }, [aval], inner.origin);
        lower.cluster(
          {
            graph: builder.build(found),
            shape: [pieces],
            axes: [0],
            inputs: [contiguous([pieces])],
            outputs: [contiguous([])],
          },
          [partial[i]],
          [targets[i]],
        );
      });
    });
    return true;
  }

  private concatenate(inputs: readonly Slot[], { aval, address }: Slot, axis: number): void {
    const strides = stridesOf(aval.shape);
    let start = 0;
    for (const slot of inputs) {
      this.lower.write(slot, address as Expr, {
        shape: slot.aval.shape,
        strides,
        offset: start * strides[axis],
      });
      start += slot.aval.shape[axis];
    }
  }

  private pad(input: Slot, { aval, address }: Slot, { low, interior }: PadParams): void {
    this.f.fill(address as Expr, i32.const(0), i32.const(aval.bytes));
    this.lower.write(input, address as Expr, paddedLayout(input.aval.shape, aval.shape, low, interior));
  }

  private contraction(node: GraphNode, inputs: readonly Slot[]): void {
    const [variable] = node.outputs;
    const { spec, a, b } = this.product(node, inputs, this.graph.avals[variable]);
    this.lower.product(spec, a, b, [this.place(variable)]);
    this.written(variable);
  }

  private product(node: GraphNode, inputs: readonly Slot[], output: Aval): Product {
    const { lower, shared } = this;
    if (node.primitive.name !== "dotGeneral") return new Images(lower, shared).product(node, inputs, output);
    const [x, y] = inputs;
    const [a, b] = [x, y].map((slot) =>
      lower.offset(lower.address(slot), slot.layout.offset * bytesPer[output.dtype]),
    );
    return { spec: productOf(output.dtype, x.layout, y.layout, node.params as DotParams), a, b };
  }

  /** A cluster that begins with a product: what comes after it is computed tile by tile, where its values can be reached. */
  private finished(node: GraphNode, cluster: Graph, inputs: readonly Slot[]): void {
    const { lower, shared } = this;
    const [product] = cluster.nodes;
    const aval = cluster.avals[product.outputs[0]];
    const [x, y, ...rest] = inputs;
    const addresses = inputs.map((slot) => lower.address(slot));
    const targets = node.outputs.map((variable) => this.place(variable));
    shared.arena.within(() => {
      const { spec, a, b } = this.product(product, [x, y], aval);
      const epilogue = epilogueOf(cluster);
      const { graph, main } = epilogue;
      const layouts = rest.map(({ layout }) => layout);
      const whole = finishedBy(spec, epilogue, layouts);
      if (planOf(whole, shared.relaxed).canFinish) {
        const read = rest.map(({ layout }, i) =>
          lower.offset(addresses[2 + i], layout.offset * bytesPer[graph.inputs[1 + i].dtype]),
        );
        lower.product(whole, a, b, [targets[main], ...read, ...targets.filter((_, i) => i !== main)]);
        return;
      }
      const place = i32.add(shared.base, i32.const(shared.arena.reserve(aval.bytes)));
      lower.product(spec, a, b, [place]);
      const layout = contiguous(aval.shape);
      lower.cluster(
        {
          graph,
          shape: aval.shape,
          axes: [],
          inputs: [layout, ...layouts],
          outputs: graph.outputs.map(() => layout),
        },
        [place, ...addresses.slice(2)],
        targets,
      );
    });
    for (const variable of node.outputs) this.written(variable);
  }

  /** What is outside of the range is left to the host, which says so. */
  private indexed(node: GraphNode, inputs: readonly Slot[]): void {
    const { f, lower, shared } = this;
    const { module } = shared;
    const [variable] = node.outputs;
    const params = node.params as Axis;
    const [x, indices, updates] = inputs;
    const at = lower.ordered(indices);
    const outside = lower.emitted(`outside ${indices.aval.size} ${x.aval.shape[params.axis]}`, () =>
      emitIndexCheck(module, indices.aval.size, x.aval.shape[params.axis]),
    );
    f.if(callOf(outside, at), () =>
      shared.arena.within(() =>
        this.byHost(
          node,
          inputs.map((slot) => ({ ...slot })),
        ),
      ),
    );
    const target = this.place(variable);
    const key = `${node.primitive.name} ${x.aval} ${indices.aval} ${params.axis}`;
    if (updates === undefined) {
      const source = lower.ordered(x);
      f.call(
        lower.emitted(key, () => emitGather(module, x.aval, indices.aval, params)),
        source,
        at,
        target,
      );
    } else {
      const added = lower.ordered(updates);
      lower.write(x, target);
      f.call(
        lower.emitted(key, () => emitScatterAdd(module, x.aval, indices.aval, params)),
        target,
        at,
        added,
      );
    }
    this.written(variable);
  }

  private alongAxis(node: GraphNode, input: Slot): void {
    const { f, lower, shared } = this;
    const { primitive, params, outputs } = node;
    const { name } = primitive;
    const emitted = lower.emitted(`${name} ${input.aval} ${paramsKey(params)}`, () =>
      name === "cumsum"
        ? emitCumsum(shared.module, input.aval, params as CumulativeParams)
        : emitArgExtremum(shared.module, input.aval, params as Axis, name === "argmax"),
    );
    const source = lower.ordered(input);
    f.call(emitted, source, this.place(outputs[0]));
    this.written(outputs[0]);
  }

  private switchCase(node: GraphNode, [index, ...operands]: readonly Slot[]): void {
    const { f, graph, lower, shared } = this;
    const { branches } = node.params as SwitchParams;
    const [chosen] = lower.registers(index);
    const given = operands.map((slot) => ordered(lower, slot));
    const results = node.outputs.map((variable) => this.result(graph.avals[variable], this.places[variable]));
    const branch = (b: number): void => {
      const run = (): void =>
        shared.arena.within(() => {
          const found = lower.graph(
            branches[b],
            given,
            results.map(({ target }) => target),
          );
          found.forEach((slot, i) => this.assign(results[i], slot));
        });
      if (b === branches.length - 1) run();
      else f.if(i32.eq(chosen, i32.const(b)), run, () => branch(b + 1));
    };
    branch(0);
    node.outputs.forEach((variable, i) => (this.slots[variable] = results[i].slot));
  }

  /** Where code that runs conditionally, or again and again, leaves a value: in variables, or at a target. */
  private result(
    aval: Aval,
    target: Expr | undefined,
  ): { slot: Slot; target: Expr | undefined; locals: Local[] } {
    if (isTiny(aval)) {
      const locals = Array.from({ length: aval.size }, () => this.f.local(registerType(aval.dtype, 1)));
      return {
        slot: inRegisters(
          aval,
          locals.map(({ get }) => get),
        ),
        target: undefined,
        locals,
      };
    }
    const address = target ?? impossible("a result has no place");
    return { slot: inMemory(aval, address), target: address, locals: [] };
  }

  private assign({ locals }: { readonly locals: readonly Local[] }, slot: Slot): void {
    if (locals.length === 0) return;
    const values = this.lower.registers(slot);
    const kept = values.map((value) => this.f.let(value));
    locals.forEach((local, i) => this.f.set(local, kept[i].get));
  }

  private loops(): Loops {
    return new Loops(this.f, this.lower, this.shared);
  }

  /** Where a node's results may be written, and who is told where they are. */
  private sites({ outputs }: GraphNode): Site[] {
    return outputs.map((variable) => ({
      aval: this.graph.avals[variable],
      place: () => this.place(variable),
      found: (slot) => (this.slots[variable] = slot),
    }));
  }

  private byHost(node: GraphNode, inputs: readonly Slot[]): void {
    const { f, graph, lower, shared } = this;
    const outputs = node.outputs.map((variable) => graph.avals[variable]);
    const frame = i32.add(shared.base, i32.const(shared.arena.reserve(4 * (inputs.length + outputs.length))));
    const addresses = [
      ...inputs.map((slot) => lower.ordered(slot)),
      ...node.outputs.map((variable) =>
        graph.avals[variable].size === 0 ? shared.base : this.place(variable),
      ),
    ];
    addresses.forEach((address, i) => f.store(i32.store(frame, address, 4 * i)));
    const number = shared.hostNodes.push({ node, inputs: inputs.map(({ aval }) => aval), outputs }) - 1;
    f.call(shared.hostNode, i32.const(number), frame);
    node.outputs.forEach((variable) => {
      const aval = graph.avals[variable];
      this.slots[variable] = inMemory(aval, aval.size === 0 ? shared.base : this.place(variable));
    });
  }
}

function largest(shapes: readonly Shape[]): Shape {
  return shapes.reduce((a, b) => (sizeOf(b) > sizeOf(a) ? b : a));
}

function singleNode(graph: Graph, { primitive, inputs, outputs, params, origin }: GraphNode): Graph {
  const builder = new GraphBuilder(inputs.map((variable) => graph.avals[variable]));
  return builder.build(builder.node(primitive, builder.inputs, params, [graph.avals[outputs[0]]], origin));
}
