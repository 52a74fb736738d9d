/** A graph as a WebAssembly module, and what it takes to run it on tensors. */
import {
  type Aval,
  type Backend,
  type Buffer,
  type Graph,
  type Kernel,
  type Program,
  Tensor,
  type TypedArray,
  bindNode,
  computedOutputs,
  optimize,
  tidy,
  withoutCalls,
} from "@cotangent/core";
import { type Expr, ModuleBuilder, TooLarge, f64, i32 } from "../emit/index.ts";
import type { Heap } from "../heap.ts";
import type { Mathematics, Site } from "./elementwise.ts";
import type { Kernels, Pool } from "../threads/pool.ts";
import { kernelName } from "../threads/worker.ts";
import { Arena, type HostNode, Lowerer, type Lowering, type ParallelKernel } from "./lower.ts";
import { type LoopPlan, writePlan } from "./loops.ts";
import { converted } from "./registers.ts";
import { type Slot, inMemory, inRegisters } from "./slot.ts";

/** Results of fewer bytes are copied out, which costs less than a block of the heap. */
export const smallBytes = 1024;

/** Computes an elementwise primitive for one element. */
export type ScalarKernel = (
  name: string,
  site: Pick<Site, "dtypes" | "output" | "params">,
) => (x: number, y: number, z: number) => number;

export interface ProgramContext {
  readonly backend: Backend;
  readonly heap: Heap;
  readonly mathematics: (module: ModuleBuilder) => Mathematics;
  readonly scalarKernel: ScalarKernel;
  readonly pool: Pool;
  /** Whether products multiply and add in one instruction. */
  readonly relaxed: boolean;
  /** Kernels for nodes that have no code. */
  readonly hostKernel: (name: string) => Kernel | undefined;
}

type ElementFunction = (x: number, y: number, z: number) => number;

/**
 * Compiles a graph; constants lie in the heap from then on, until the program is collected. Undefined where it would be more
 * than engines take at once.
 */
export function compile(graph: Graph, context: ProgramContext): Program | undefined {
  const blocks: number[] = [];
  try {
    return new WasmProgram(graph, context, blocks);
  } catch (error) {
    for (const address of blocks) context.heap.free(address);
    if (error instanceof TooLarge) return undefined;
    throw error;
  }
}

/** What a program leaves behind. Held until it is collected, so nothing in here may lead to the program. */
interface Remains {
  readonly heap: Heap;
  readonly blocks: readonly number[];
}

const registry = new FinalizationRegistry<Remains>(({ heap, blocks }) => {
  for (const address of blocks) heap.free(address);
});

class WasmProgram implements Program {
  private readonly context: ProgramContext;
  private readonly inputs: readonly Aval[];
  private readonly outputs: readonly Aval[];
  private readonly arenaBytes: number;
  /** Where the addresses of inputs and outputs lie, and inputs that are numbers. */
  private readonly table: number;
  /** Where small inputs are copied to, and small outputs lie, from the start of the arena. */
  private readonly inputAt: readonly number[];
  private readonly outputAt: readonly number[];
  private readonly main: (arena: number) => void;
  private readonly hostNodes: HostNode[] = [];
  private readonly parallelKernels: ParallelKernel[] = [];
  private readonly loopPlans: LoopPlan[] = [];
  /** The plans of loops that are running. */
  private readonly running = new Set<number>();
  private readonly kernels: Kernels;
  private readonly elementFunctions: ElementFunction[] = [];
  private readonly constants = new Map<Graph, (number | undefined)[]>();
  private readonly blocks: number[];

  /** `blocks` are those of the heap that it has taken for good. */
  constructor(given: Graph, context: ProgramContext, blocks: number[]) {
    this.blocks = blocks;
    const graph = optimize(withoutCalls(given));
    this.context = context;
    const computed = computedOutputs(given);
    this.inputs = graph.inputs;
    // The passes keep outputs in their places.
    const firstAt = new Map(given.outputs.map((variable, i) => [variable, i] as const).reverse());
    const positions = computed.map((variable) => firstAt.get(variable) as number);
    const { outputAvals } = graph;
    this.outputs = positions.map((i) => outputAvals[i]);

    const module = new ModuleBuilder();
    const hostNode = module.import("node", ["i32", "i32"]);
    const parallel = module.import("parallel", ["i32", "i32"]);
    const planLoop = module.import("planLoop", ["i32", "i32"], ["i32"]);
    const forgetPlan = module.import("forgetPlan", ["i32"]);
    const element = module.import("element", ["i32", "f64", "f64", "f64"], ["f64"]);
    const main = module.function("main", ["i32"]);
    const arena = new Arena();
    const base = main.args[0].get;
    const table = arena.reserve(8 * (this.inputs.length + this.outputs.length));
    this.inputAt = this.inputs.map((aval, i) =>
      aval.rank === 0 ? table + 8 * i : arena.reserve(Math.min(aval.bytes, smallBytes)),
    );
    this.outputAt = this.outputs.map((aval, i) =>
      aval.rank === 0
        ? table + 8 * (this.inputs.length + i)
        : arena.reserve(Math.min(aval.bytes, smallBytes)),
    );
    const lowering: Lowering = {
      module,
      main,
      backend: context.backend,
      arena,
      base,
      hostNode,
      hostNodes: this.hostNodes,
      parallel,
      parallelKernels: this.parallelKernels,
      planLoop,
      forgetPlan,
      loopPlans: this.loopPlans,
      relaxed: context.relaxed,
      threadsAddress: context.pool.threadsAddress,
      scratchAddress: context.pool.scratchAddress,
      functions: new Map(),
      mathematics: context.mathematics(module),
      host: {
        callee: element,
        numberOf: (name, site) => this.elementFunctions.push(context.scalarKernel(name, site)) - 1,
        calls: () => this.elementFunctions.length,
      },
      addressOfConstant: (owner, index) => this.constant(owner, index),
    };
    const lower = new Lowerer(lowering);
    const slots: Slot[] = this.inputs.map((aval, i) => {
      const slot = i32.add(base, i32.const(table + 8 * i));
      if (aval.rank === 0) {
        const value = f64.load(slot);
        return inRegisters(aval, [
          main.let(
            aval.dtype === "bool"
              ? converted(value, "float64", "bool", 1)
              : aval.dtype === "float64"
                ? value
                : converted(value, "float64", aval.dtype, 1),
          ).get,
        ]);
      }
      return inMemory(aval, main.let(i32.load(slot)).get);
    });
    const targets = this.outputs.map(
      (_, i): Expr => main.let(i32.load(i32.add(base, i32.const(table + 8 * (this.inputs.length + i))))).get,
    );
    const wanted = new Map(positions.map((position, i) => [position, targets[i]]));
    lower.graph(
      graph,
      slots,
      graph.outputs.map((_, i) => wanted.get(i)),
    );
    this.table = table;
    module.export(main);
    this.parallelKernels.forEach(({ f }, i) => module.export(f, kernelName(i)));
    this.arenaBytes = arena.bytes;
    const { memory } = context.heap;
    const bytes = module.encode({ initial: 1, maximum: 65_536, shared: true });
    const compiled = new WebAssembly.Module(bytes);
    const instance = new WebAssembly.Instance(compiled, {
      host: {
        memory,
        node: (number: number, frame: number) => this.runHostNode(number, frame >>> 0),
        parallel: (number: number, frame: number) => this.runInParallel(number, frame >>> 0),
        planLoop: (number: number, steps: number) => this.planLoop(number, steps),
        forgetPlan: (address: number) => this.forgetPlan(address >>> 0),
        element: (number: number, x: number, y: number, z: number) => this.elementFunctions[number](x, y, z),
      },
    });
    this.main = instance.exports["main"] as (arena: number) => void;
    this.kernels = {
      module: compiled,
      run: (kernel, args, begin, end) =>
        (instance.exports[kernelName(kernel)] as (...words: number[]) => void)(
          ...args,
          begin,
          end,
          context.pool.scratchAddress,
        ),
    };
    registry.register(this, { heap: context.heap, blocks: this.blocks });
  }

  private constant(owner: Graph, index: number): number {
    let known = this.constants.get(owner);
    if (known === undefined) this.constants.set(owner, (known = []));
    let address = known[index];
    if (address === undefined) {
      const { heap } = this.context;
      const tensor = owner.constants[index];
      address = known[index] = heap.allocate(tensor.aval.bytes);
      this.blocks.push(address);
      heap.view(tensor.dtype, address, tensor.size).set(tensor.dataSync());
    }
    return address;
  }

  run(given: readonly Tensor[]): Buffer[] {
    const { inputs, outputs, inputAt, outputAt, table } = this;
    const { heap } = this.context;
    const arena = heap.allocate(this.arenaBytes);
    const borrowed: number[] = [];
    const results: number[] = [];
    try {
      let words = heap.whole("int32");
      let floats = heap.whole("float64");
      given.forEach((tensor, i) => {
        const buffer = tensor.buffer as number | TypedArray;
        if (typeof buffer === "number") floats[(arena + inputAt[i]) >>> 3] = buffer;
        else
          words[(arena + table + 8 * i) >>> 2] = this.addressOf(
            buffer,
            inputs[i],
            arena + inputAt[i],
            borrowed,
          );
      });
      outputs.forEach((aval, i) => {
        const at = (arena + table + 8 * (inputs.length + i)) >>> 2;
        if (aval.rank > 0 && aval.bytes >= smallBytes) {
          const address = heap.allocate(aval.bytes);
          results.push(address);
          words = heap.whole("int32");
          words[at] = address;
        } else words[at] = arena + outputAt[i];
      });
      this.main(arena);
      floats = heap.whole("float64");
      let next = 0;
      return outputs.map((aval, i) => {
        const at = arena + outputAt[i];
        if (aval.rank === 0) return heap.view(aval.dtype, at, 1)[0];
        if (aval.bytes < smallBytes) return heap.view(aval.dtype, at, aval.size).slice();
        return heap.view(aval.dtype, results[next++], aval.size);
      });
    } catch (error) {
      for (const address of results) heap.free(address);
      throw error;
    } finally {
      heap.free(arena);
      for (const address of borrowed) heap.free(address);
      // Of a run that failed.
      for (const address of this.running) this.forgetPlan(address);
    }
  }

  /** Where a buffer lies; one outside the heap is copied, to its place in the arena if it is small. */
  private addressOf(buffer: TypedArray, aval: Aval, place: number, borrowed: number[]): number {
    const { heap } = this.context;
    if (heap.owns(buffer)) return buffer.byteOffset;
    let address = place;
    if (aval.bytes > smallBytes) {
      address = heap.allocate(aval.bytes);
      borrowed.push(address);
    }
    heap.view(aval.dtype, address, aval.size).set(buffer);
    return address;
  }

  private planLoop(number: number, steps: number): number {
    const address = writePlan(this.context.heap, this.loopPlans[number], steps);
    this.running.add(address);
    return address;
  }

  private forgetPlan(address: number): void {
    this.running.delete(address);
    this.context.heap.free(address);
  }

  private runInParallel(number: number, frame: number): void {
    const { units, args } = this.parallelKernels[number];
    const { heap, pool } = this.context;
    pool.run(this.kernels, number, Array.from(heap.view("int32", frame, args)), units);
  }

  /** A node that has no code: its kernel on views of the memory, and its results copied to where they belong. */
  private runHostNode(number: number, frame: number): void {
    const { node, inputs, outputs } = this.hostNodes[number];
    const { heap, backend, hostKernel } = this.context;
    const addresses = heap.view("int32", frame, inputs.length + outputs.length);
    tidy(() => {
      const values: Tensor[] = [];
      inputs.forEach((aval, i) => {
        const view = heap.view(aval.dtype, addresses[i] >>> 0, aval.size);
        values.push(new Tensor(aval, backend, aval.rank === 0 ? view[0] : view.slice()));
      });
      const kernel = hostKernel(node.primitive.name);
      const found =
        kernel === undefined
          ? bindNode({ ...node, inputs: values.map((_, i) => i) }, values)
          : [new Tensor(outputs[0], backend, kernel(values, outputs[0], node.params))];
      found.forEach((value, i) => {
        const { aval } = value;
        if (aval.size === 0) return;
        heap.view(aval.dtype, addresses[inputs.length + i] >>> 0, aval.size).set(value.dataSync());
      });
    });
  }
}
