/** The fast CPU: jitted code as SIMD WebAssembly; eager code on the kernels of the reference backend. */
import { jsBackend } from "@cotangent/backend-js";
import {
  type Aval,
  type Backend,
  type Buffer,
  type DType,
  type Graph,
  type Kernel,
  type MemoryFigures,
  type MultipleKernel,
  type Program,
  type Token,
  type TypedArray,
  avalOf,
  fail,
  BackendError,
  hostArray,
  scalarTensor,
} from "@cotangent/core";
import { type Kernels, KernelsOver, kernelsOf } from "./eager.ts";
import { Heap } from "./heap.ts";
import { mathematics } from "./math/index.ts";
import { compile, smallBytes } from "./program/program.ts";
import { hasCode } from "./program/lower.ts";
import { hasRelaxedSimd } from "./emit/index.ts";
import { Pool } from "./threads/pool.ts";
import type { ScalarKernel } from "./program/program.ts";

interface Owned {
  readonly bytes: number;
  /** Its block in the heap; undefined for an array outside. */
  readonly address: number | undefined;
}

/** The elementwise kernels, for one element. */
const scalarKernels =
  (host: Kernels["host"]): ScalarKernel =>
  (name, { dtypes, output, params }) => {
    const kernel = host(name);
    if (kernel === undefined)
      fail(BackendError, `wasm: the primitive ${name} has no kernel on backend wasm, nor on backend js.`);
    const aval = avalOf([], output);
    return (...elements) =>
      Number(
        kernel(
          dtypes.map((dtype, i) => scalarTensor(elements[i], dtype, jsBackend)),
          aval,
          params,
        ),
      );
  };

/** Graphs compiled to WebAssembly; rank-0 values are numbers, larger ones typed arrays, in its memory from 1 KiB on. */
export class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly dtypes: readonly DType[] = ["float64", "float32", "int32", "bool"];
  readonly defaultDType: DType = "float64";
  readonly #kernels: Kernels = kernelsOf((graph) => this.compile(graph), hasCode);
  readonly kernels: Map<string, Kernel> = this.#kernels.eager;
  readonly multipleKernels: Map<string, MultipleKernel> = new KernelsOver(jsBackend.multipleKernels);
  readonly heap: Heap = new Heap();
  readonly pool: Pool = new Pool(this.heap);
  /** See `setRelaxedSimd`. */
  relaxed = false;
  #buffers = 0;
  #bytes = 0;

  compile(graph: Graph): Program | undefined {
    return compile(graph, {
      backend: this,
      heap: this.heap,
      pool: this.pool,
      relaxed: this.relaxed,
      mathematics,
      scalarKernel: scalarKernels(this.#kernels.host),
      hostKernel: this.#kernels.host,
    });
  }

  fromHost(data: TypedArray, aval: Aval): Buffer {
    if (aval.rank === 0) return data[0];
    if (aval.bytes < smallBytes) return data;
    const view = this.heap.view(aval.dtype, this.heap.allocate(aval.bytes), aval.size);
    view.set(data);
    return view;
  }

  scalar(value: number, dtype: DType): Buffer {
    return jsBackend.scalar(value, dtype);
  }

  toHostSync(buffer: Buffer, aval: Aval): TypedArray {
    const found = buffer as number | TypedArray;
    return typeof found === "number" ? hostArray(aval.dtype, 1).fill(found) : found.slice();
  }

  toHost(buffer: Buffer, aval: Aval): Promise<TypedArray> {
    return Promise.resolve(this.toHostSync(buffer, aval));
  }

  adopt(buffer: Buffer, aval: Aval): Token {
    this.#buffers++;
    this.#bytes += aval.bytes;
    const array = buffer as TypedArray;
    return {
      bytes: aval.bytes,
      address: this.heap.owns(array) ? array.byteOffset : undefined,
    } satisfies Owned;
  }

  free(token: Token): void {
    const { bytes, address } = token as Owned;
    this.#buffers--;
    this.#bytes -= bytes;
    if (address !== undefined) this.heap.free(address);
  }

  memory(): MemoryFigures {
    return { buffers: this.#buffers, bytes: this.#bytes };
  }
}

/** The one instance that `cotangent` registers. */
export const wasmBackend: WasmBackend = new WasmBackend();

/** A module whose one function has a vector in it. */
const withVector = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98,
  11,
]);

/** Whether this engine has what compiled programs need: WebAssembly with SIMD and shared memory. */
export function isWasmSupported(): boolean {
  try {
    return (
      WebAssembly.validate(withVector) &&
      new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer.byteLength > 0
    );
  } catch {
    return false;
  }
}

/**
 * Has the kernels of large values run on so many threads, this one among them; 1 to begin with. Results do not depend on
 * the number. Workers do not keep a process alive. In a browser they need a page that is cross-origin isolated; where none
 * can be started, a warning says so and everything goes on with those there are.
 *
 * @returns how many threads there are now.
 * @throws BackendError for anything but a whole number from 1 to 64.
 * @example `setThreads(navigator.hardwareConcurrency)`
 */
export function setThreads(count: number): number {
  wasmBackend.pool.setThreads(count);
  return wasmBackend.pool.threads;
}

/**
 * Has products of matrices and convolutions multiply and add in one instruction, where the engine has relaxed SIMD: up to
 * twice as many operations per second. Off to begin with, since results then depend on the machine: where its
 * instruction rounds once per term (fused multiply-add) rather than twice, sums differ in their last bits, and are
 * nearer the exact ones; x·x − y·y of equal numbers need not be zero. On one machine results stay the same from run to run.
 *
 * Applies to what is compiled from then on: functions that `jit` has compiled stay as they are.
 *
 * @returns whether it is on now: false where the engine has no relaxed SIMD.
 * @example `setRelaxedSimd(true)`
 */
export function setRelaxedSimd(on: boolean): boolean {
  wasmBackend.relaxed = on && hasRelaxedSimd;
  return wasmBackend.relaxed;
}
