/** A cluster as one function: a loop nest that reads each input once, computes in registers and writes each output once. */
import type { DType, Graph, GraphNode, Variable } from "@cotangent/core";
import { sizeOf } from "@cotangent/core";
import {
  type Expr,
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  f32,
  f32x4,
  f64,
  f64x2,
  i32,
  i32x4,
  v128,
} from "../emit/index.ts";
import {
  type HostElementwise,
  type Mathematics,
  type Site,
  elementwise,
  keepIn,
  selected,
} from "./elementwise.ts";
import { Known } from "../math/vector.ts";
import { type Layout, broadcastStrides } from "./layout.ts";
import { type LoopAxis, loopNest } from "./loop-nest.ts";
import {
  bytesPer,
  impossible,
  lanesFor,
  literal,
  loadVector,
  storeScalar,
  storeVector,
} from "./registers.ts";

/** What a function is made for: the nodes, and how their inputs and outputs lie. */
export interface ClusterSpec {
  /** Elementwise nodes, broadcasts, and reductions that nothing in the graph uses; constants are numbers. */
  readonly graph: Graph;
  readonly shape: readonly number[];
  /** The axes that the reductions reduce. */
  readonly axes: readonly number[];
  /** Of the graph's inputs. */
  readonly inputs: readonly Layout[];
  /** Of the graph's outputs; of a reduction's, its own. */
  readonly outputs: readonly Layout[];
}

/** What code that is shared by all functions of a module needs. */
export interface Shared {
  readonly module: ModuleBuilder;
  readonly mathematics: Mathematics;
  readonly host: HostElementwise;
}

export const reductionNames: ReadonlySet<string> = new Set(["sum", "prod", "reduceMax", "reduceMin"]);
export const isReduction = ({ primitive }: GraphNode): boolean => reductionNames.has(primitive.name);

/** A function, and the parts that it can be run in. */
export interface Emitted {
  readonly f: FunctionBuilder;
  /**
   * How many equal parts its work has. Where there are several, the last two arguments of the function say which of them it
   * is to do, from the first one to short of the second; a part gives the same, whoever does the others.
   */
  readonly units: number;
  /** Whether it calls the host, which other threads cannot. */
  readonly callsHost: boolean;
  /** Whether it has one more argument, the last: the address of memory that its thread has for itself. */
  readonly usesScratch?: boolean;
}

/** From so many elements on, a cluster can be run in parts. */
const manyElements = 32_768;

/** The function's arguments are the addresses of the inputs and then those of the outputs. */
export function emitCluster(name: string, spec: ClusterSpec, shared: Shared): Emitted {
  return new ClusterCode(name, spec, shared);
}

/** An input or output as the loops go through it. */
interface Operand {
  readonly dtype: DType;
  /** Elements per step of each axis of the shape. */
  readonly strides: readonly number[];
  readonly pointer: Local;
  /** Its place in the strides of a loop axis. */
  readonly index: number;
}

class ClusterCode implements Emitted {
  readonly f: FunctionBuilder;
  readonly units: number;
  readonly callsHost: boolean;
  private readonly spec: ClusterSpec;
  private readonly shared: Shared;
  private readonly lanes: 4 | 2;
  private readonly operands: Operand[] = [];
  /** Variables whose value differs from step to step of the innermost loop. */
  private readonly varies: Uint8Array;
  private readonly registers: (Expr | undefined)[] = [];
  private readonly accumulators = new Map<GraphNode, Accumulator>();
  private readonly vector: LoopAxis;

  constructor(name: string, spec: ClusterSpec, shared: Shared) {
    const { graph, shape, axes, inputs, outputs } = spec;
    this.spec = spec;
    this.shared = shared;
    this.lanes = lanesFor(graph.avals.map(({ dtype }) => dtype));
    const strides = this.stridesOf();
    const { kept, vector, reduced } = loopNest(shape, axes, strides);
    const reduces = graph.nodes.some(isReduction);
    const parts = kept.length > 0 ? kept[0].size : reduces ? 1 : Math.floor(vector.size / this.lanes);
    this.units = sizeOf(shape) < manyElements ? 1 : Math.max(1, parts);
    const addresses = [...inputs, ...outputs].map(() => "i32" as const);
    this.f = shared.module.function(name, this.units > 1 ? [...addresses, "i32", "i32"] : addresses);
    [...graph.inputs, ...graph.outputs.map((variable) => graph.avals[variable])].forEach(({ dtype }, index) =>
      this.operands.push({ dtype, strides: strides[index], pointer: this.f.args[index], index }),
    );
    const hostCalls = shared.host.calls();
    this.vector = vector;
    this.varies = this.varying(vector.reduced || !reduces ? [vector] : reduced);
    const body = (): void => {
      if (vector.reduced) {
        this.begin();
        this.nest(reduced, () => {
          this.compute(false, this.lanes);
          this.vectors((active) => this.compute(true, active));
        });
        this.finish(1);
      } else if (reduces) {
        this.vectors((active) => {
          this.begin();
          this.compute(false, active);
          this.nest(reduced, () => this.compute(true, active));
          this.finish(active);
        });
      } else {
        this.compute(false, this.lanes);
        this.vectors((active) => this.compute(true, active), kept.length === 0 && this.units > 1);
      }
    };
    this.nest(kept, body, this.units > 1);
    this.callsHost = shared.host.calls() > hostCalls;
  }

  /** How each operand goes through the axes of the shape. */
  private stridesOf(): (readonly number[])[] {
    const { graph, shape, axes, inputs, outputs } = this.spec;
    return [
      ...inputs.map((layout) => broadcastStrides(layout, shape)),
      ...graph.outputs.map((variable, i) =>
        this.isReduced(variable) ? keptStrides(outputs[i], shape, axes) : broadcastStrides(outputs[i], shape),
      ),
    ];
  }

  private isReduced(variable: Variable): boolean {
    const { graph } = this.spec;
    return graph.nodes.some((node) => node.outputs[0] === variable && isReduction(node));
  }

  private varying(innermost: readonly LoopAxis[]): Uint8Array {
    const { graph } = this.spec;
    const found = new Uint8Array(graph.avals.length);
    graph.inputs.forEach((_, i) => {
      if (innermost.some(({ strides }) => strides[i] !== 0)) found[i] = 1;
    });
    for (const node of graph.nodes)
      if (isReduction(node) || node.inputs.some((variable) => found[variable] === 1))
        found[node.outputs[0]] = 1;
    return found;
  }

  /**
   * Loops over axes, the first outermost, around a body; pointers move on with them, and back at the end. In parts, the
   * outermost loop goes from one argument of the function to the other.
   */
  private nest(axes: readonly LoopAxis[], body: () => void, isInParts = false): void {
    const [axis, ...rest] = axes;
    if (axis === undefined) {
      body();
      return;
    }
    if (isInParts) {
      this.part(axis, 1, () => this.nest(rest, body));
      return;
    }
    this.repeat(axis.size, axis, 1, () => this.nest(rest, body));
    this.move(axis, -axis.size);
  }

  /** Runs a body for each unit that the arguments of the function ask for, a unit being some steps of an axis. */
  private part(axis: LoopAxis, steps: number, body: () => void): void {
    const { f, operands } = this;
    const [begin, end] = f.args.slice(operands.length);
    for (const { pointer, dtype, index } of operands) {
      const bytes = axis.strides[index] * steps * bytesPer[dtype];
      if (bytes !== 0) f.set(pointer, i32.add(pointer.get, i32.mul(begin.get, i32.const(bytes))));
    }
    const left = f.let(i32.sub(end.get, begin.get));
    f.loop((again) => {
      body();
      this.move(axis, steps);
      f.set(left, i32.sub(left.get, i32.const(1)));
      f.branchIf(again, left.get);
    });
  }

  /** Runs a body so many times, and moves all pointers on by some steps of an axis after each. */
  private repeat(times: number, axis: LoopAxis, steps: number, body: () => void): void {
    const { f } = this;
    const moved = (): void => {
      body();
      this.move(axis, steps);
    };
    if (times === 1) {
      moved();
      return;
    }
    const left = f.let(i32.const(times));
    f.loop((again) => {
      moved();
      f.set(left, i32.sub(left.get, i32.const(1)));
      f.branchIf(again, left.get);
    });
  }

  private move(axis: LoopAxis, steps: number): void {
    for (const { pointer, dtype, index } of this.operands) {
      const bytes = axis.strides[index] * steps * bytesPer[dtype];
      if (bytes !== 0) this.f.set(pointer, i32.add(pointer.get, i32.const(bytes)));
    }
  }

  /** Goes through the vector axis: whole vectors in a loop, the rest with fewer active lanes. */
  private vectors(body: (active: number) => void, isInParts = false): void {
    const { f, vector, lanes, operands } = this;
    const whole = Math.floor(vector.size / lanes);
    const rest = vector.size % lanes;
    if (isInParts) {
      this.part(vector, lanes, () => body(lanes));
      // The last part has the rest.
      if (rest > 0) f.if(i32.eq(f.args[operands.length + 1].get, i32.const(whole)), () => body(rest));
      return;
    }
    if (whole > 0) this.repeat(whole, vector, lanes, () => body(lanes));
    if (rest > 0) body(rest);
    this.move(vector, -whole * lanes);
  }

  /** Loads and computes what varies in the innermost loop, or what does not; stores what varies there. */
  private compute(inner: boolean, active: number): void {
    const { f, lanes, registers, operands, varies } = this;
    const { graph } = this.spec;
    const wanted = inner ? 1 : 0;
    const keep = keepIn(f);
    // In the loop itself; where only some lanes are active, code comes once more and is called.
    const inline = active === lanes ? { f, known: new Known() } : undefined;
    graph.inputs.forEach(({ dtype }, i) => {
      if (varies[i] !== wanted) return;
      registers[i] = keep(loadVector(operands[i].pointer.get, dtype, lanes, this.vector.strides[i], active));
    });
    if (!inner)
      graph.constants.forEach((tensor, i) => {
        registers[graph.firstConstant + i] = literal(tensor.item(), tensor.dtype, lanes);
      });
    for (const node of graph.nodes) {
      const [output] = node.outputs;
      if (varies[output] !== wanted) continue;
      const args = node.inputs.map((variable) => registers[variable] ?? impossible("a register is not set"));
      const accumulator = this.accumulators.get(node);
      if (accumulator !== undefined) accumulator.add(args[0], this.vector.reduced ? active : lanes);
      else
        registers[output] = keep(
          elementwise(
            node.primitive.name,
            args,
            this.site(node, keep, inline),
            this.shared.mathematics,
            this.shared.host,
          ),
        );
    }
    if (!inner) return;
    graph.outputs.forEach((variable, i) => {
      if (this.isReduced(variable)) return;
      const { pointer, dtype, index } = operands[graph.inputs.length + i];
      const value = registers[variable] ?? impossible("an output is not set");
      for (const store of storeVector(pointer.get, value, dtype, lanes, this.vector.strides[index], active))
        f.store(store);
    });
  }

  private site({ inputs, outputs, params }: GraphNode, keep: Site["keep"], inline: Site["inline"]): Site {
    const { avals } = this.spec.graph;
    return {
      dtypes: inputs.map((variable) => avals[variable].dtype),
      output: avals[outputs[0]].dtype,
      lanes: this.lanes,
      params,
      keep,
      inline,
    };
  }

  private begin(): void {
    const { graph } = this.spec;
    for (const node of graph.nodes) {
      if (!isReduction(node)) continue;
      const { dtype } = graph.avals[node.inputs[0]];
      let accumulator = this.accumulators.get(node);
      if (accumulator === undefined)
        this.accumulators.set(
          node,
          (accumulator = new Accumulator(this.f, node.primitive.name, dtype, this.lanes)),
        );
      accumulator.start();
    }
  }

  /** Writes what the reductions have found: a number, or one per active lane. */
  private finish(active: number): void {
    const { f, lanes, operands, vector } = this;
    const { graph } = this.spec;
    graph.outputs.forEach((variable, i) => {
      const node = graph.nodes.find(({ outputs }) => outputs[0] === variable);
      const accumulator = node === undefined ? undefined : this.accumulators.get(node);
      if (accumulator === undefined) return;
      const { pointer, dtype, index } = operands[graph.inputs.length + i];
      if (vector.reduced) f.store(storeScalar(pointer.get, accumulator.total(), dtype));
      else
        for (const store of storeVector(
          pointer.get,
          f.let(accumulator.perLane()).get,
          dtype,
          lanes,
          vector.strides[index],
          active,
        ))
          f.store(store);
    });
  }
}

/** Strides along the axes of a shape, of a value that lacks the reduced ones. */
function keptStrides({ strides }: Layout, shape: readonly number[], axes: readonly number[]): number[] {
  let next = 0;
  return shape.map((_, axis) => (axes.includes(axis) ? 0 : strides[next++]));
}

/** Partial results of a reduction, one per lane. Sums and products of float32 are taken in float64, and rounded once. */
class Accumulator {
  private readonly f: FunctionBuilder;
  private readonly name: string;
  private readonly dtype: DType;
  private readonly lanes: 4 | 2;
  private readonly isWide: boolean;
  private readonly parts: Local[];

  constructor(f: FunctionBuilder, name: string, dtype: DType, lanes: 4 | 2) {
    this.f = f;
    this.name = name;
    this.dtype = dtype;
    this.lanes = lanes;
    this.isWide = dtype === "float32" && (name === "sum" || name === "prod");
    this.parts = Array.from({ length: this.isWide ? lanes / 2 : 1 }, () => f.local("v128"));
  }

  private get identity(): number {
    if (this.name === "sum") return 0;
    if (this.name === "prod") return 1;
    if (this.dtype === "int32") return this.name === "reduceMax" ? -(2 ** 31) : 2 ** 31 - 1;
    if (this.dtype === "bool") return this.name === "reduceMax" ? 0 : 1;
    return this.name === "reduceMax" ? -Infinity : Infinity;
  }

  start(): void {
    const identity = literal(this.identity, this.isWide ? "float64" : this.dtype, this.lanes);
    for (const part of this.parts) this.f.set(part, identity);
  }

  private combine(a: Expr, b: Expr): Expr {
    // Bools are masks.
    if (this.dtype === "bool") return (this.name === "reduceMax" ? v128.or : v128.and)(a, b);
    if (this.dtype === "int32") {
      const ops = { sum: i32x4.add, prod: i32x4.mul, reduceMax: i32x4.max_s, reduceMin: i32x4.min_s };
      return ops[this.name as keyof typeof ops](a, b);
    }
    const x2 = this.dtype === "float64" || this.isWide ? f64x2 : f32x4;
    const ops = { sum: x2.add, prod: x2.mul, reduceMax: x2.max, reduceMin: x2.min };
    return ops[this.name as keyof typeof ops](a, b);
  }

  /** Takes in a vector, of which the first `active` lanes count. */
  add(vector: Expr, active: number): void {
    const { f, lanes, parts, dtype } = this;
    let value = vector;
    if (active < lanes) {
      const bytes = (dtype === "bool" ? 16 / lanes : bytesPer[dtype]) * active;
      const mask = v128.const(Uint8Array.from({ length: 16 }, (_, i) => (i < bytes ? 255 : 0)));
      value = f.let(selected(mask, vector, literal(this.identity, dtype, lanes), dtype, lanes)).get;
    }
    const terms = this.isWide
      ? [value, ...(lanes === 4 ? [upperHalf(value)] : [])].map(f64x2.promote_low_f32x4)
      : [value];
    parts.forEach((part, i) => f.set(part, this.combine(part.get, terms[i])));
  }

  /** One result for all lanes together. */
  total(): Expr {
    const { f, parts, dtype, lanes } = this;
    const all = f.let(parts.length === 1 ? parts[0].get : this.combine(parts[0].get, parts[1].get)).get;
    if (dtype === "float64" || this.isWide) {
      const scalar = { sum: f64.add, prod: f64.mul, reduceMax: f64.max, reduceMin: f64.min };
      const [a, b] = [f64x2.extract_lane(all, 0), f64x2.extract_lane(all, 1)];
      const found = scalar[this.name as keyof typeof scalar](a, b);
      return this.isWide ? f32.demote_f64(found) : found;
    }
    const halves = f.let(lanes === 4 || dtype === "bool" ? this.combine(all, upperHalf(all)) : all).get;
    const one = f.let(this.combine(halves, swappedPair(halves))).get;
    if (dtype === "bool") return i32.and(i32x4.extract_lane(one, 0), i32.const(1));
    return dtype === "int32" ? i32x4.extract_lane(one, 0) : f32x4.extract_lane(one, 0);
  }

  /** One result for each lane. */
  perLane(): Expr {
    const [low, high] = this.parts;
    if (!this.isWide) return low.get;
    const first = f32x4.demote_f64x2_zero(low.get);
    if (high === undefined) return first;
    return v128.shuffle(
      first,
      f32x4.demote_f64x2_zero(high.get),
      [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
    );
  }
}

const upperHalf = (vector: Expr): Expr =>
  v128.shuffle(vector, vector, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
const swappedPair = (vector: Expr): Expr =>
  v128.shuffle(vector, vector, [4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]);

/** Whether a cluster has work that loops can do: elements at all. */
export const hasElements = ({ shape }: ClusterSpec): boolean => sizeOf(shape) > 0;
