import type { Aval } from "./aval.ts";
import type { DType } from "./dtype.ts";
import { BackendError, DTypeError, fail } from "./errors.ts";
import type { Graph } from "./graph/graph.ts";
import type { Params } from "./primitive.ts";
import type { Tensor, TypedArray } from "./tensor.ts";

/** A backend's own storage of the elements of one tensor. A plain number is allowed, and counts as no buffer. */
export type Buffer = unknown;

/** Computes the output's buffer of one primitive; returning an input's own buffer shares it. */
export type Kernel = (inputs: readonly Tensor[], output: Aval, params: Params) => Buffer;

/** As `Kernel`, for a primitive with several outputs. */
export type MultipleKernel = (
  inputs: readonly Tensor[],
  outputs: readonly Aval[],
  params: Params,
) => Buffer[];

/** A graph that a backend has compiled as a whole. */
export interface Program {
  /** The buffers of the outputs that nodes define (`computedOutputs`), in their order; none of them is an input's. */
  run(inputs: readonly Tensor[]): Buffer[];
}

export interface MemoryFigures {
  /** Buffers that are alive. */
  readonly buffers: number;
  readonly bytes: number;
}

/** What runs primitives: storage, transfer and kernels. Backends know nothing of derivatives. */
export interface Backend {
  readonly name: string;
  readonly dtypes: readonly DType[];
  readonly defaultDType: DType;
  /** Kernels by primitive name. */
  readonly kernels: Map<string, Kernel>;
  readonly multipleKernels: Map<string, MultipleKernel>;
  /**
   * The graph as one program; or a graph of the same values that is run node by node, perhaps the same one, of whose calls
   * the backend is asked in turn. Undefined where it is too large for one program: its parts are then compiled one by one.
   * Without this method graphs are run node by node.
   */
  compile?(graph: Graph): Program | Graph | undefined;
  /** Stores host elements (row-major; bool as 0 and 1). The array is the backend's own from then on. */
  fromHost(data: TypedArray, aval: Aval): Buffer;
  /** Stores one number as a rank-0 buffer; the number is already one of that dtype but for float32 rounding. */
  scalar(value: number, dtype: DType): Buffer;
  /** Copies the elements to the host. */
  toHostSync(buffer: Buffer, aval: Aval): TypedArray;
  toHost(buffer: Buffer, aval: Aval): Promise<TypedArray>;
  /**
   * Counts a new buffer as alive and gives the token by which it is freed. The token must not keep the buffer alive:
   * it is what remains when the garbage collector has taken the tensor.
   */
  adopt(buffer: Buffer, aval: Aval): Token;
  free(token: Token): void;
  memory(): MemoryFigures;
}

export type Token = object;

const registered = new Map<string, Backend>();
let current: Backend | undefined;

/** Makes a backend known by its name; the first one registered becomes the current one. */
export function registerBackend(backend: Backend): void {
  registered.set(backend.name, backend);
  current ??= backend;
}

/** Backends registered so far. */
export function backends(): Backend[] {
  return [...registered.values()];
}

/** The registered backend of that name, or a `BackendError` that lists those there are. */
export function backendNamed(name: string): Backend {
  return (
    registered.get(name) ??
    fail(
      BackendError,
      `Backend "${name}" asked for, but registered are: ${[...registered.keys()].join(", ") || "none"}. ` +
        `Import its package and register it first.`,
    )
  );
}

/** The backend on which new tensors are made. */
export function currentBackend(): Backend {
  return (
    current ?? fail(BackendError, `No backend is registered. Import "cotangent", or register one yourself.`)
  );
}

/** Sets the current backend, by name or as an object; returns the one before. */
export function setBackend(backend: Backend | string): Backend | undefined {
  const before = current;
  current = typeof backend === "string" ? backendNamed(backend) : backend;
  return before;
}

/** Runs `body` with another current backend. */
export function withBackend<T>(backend: Backend | string, body: () => T): T {
  const before = setBackend(backend);
  try {
    return body();
  } finally {
    current = before;
  }
}

export function requireDType(backend: Backend, dtype: DType): void {
  if (!backend.dtypes.includes(dtype)) {
    fail(
      DTypeError,
      `dtype ${dtype} asked for on backend ${backend.name}, which has ${backend.dtypes.join(", ")}. ` +
        `Choose one of those, or another backend.`,
    );
  }
}
