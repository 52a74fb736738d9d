import { type Aval, type Shape, avalOf, scalarAval, showShape, sizeOf } from "./aval.ts";
import { type Backend, type Buffer, currentBackend, requireDType } from "./backend.ts";
import type { DType } from "./dtype.ts";
import { DTypeError, DisposedError, ShapeError, fail } from "./errors.ts";
import { Lease, collector, enterScope, outsideScopes } from "./memory.ts";
import { Value } from "./value.ts";

export type TypedArray = Float64Array | Float32Array | Int32Array | Uint8Array;

/** Elements as JavaScript has them: a number or boolean, or arrays of such, nested to the rank. */
export type NestedArray = number | boolean | NestedArray[];

const arrayTypes = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

/** A zeroed host array of the dtype. */
export function hostArray(dtype: DType, size: number): TypedArray {
  return new arrayTypes[dtype](size);
}

const uniform = new WeakMap<Tensor, number>();

/** The number that all elements of a tensor are, where it was made as such: a graph then has it as an operation. */
export const uniformOf = (tensor: Tensor): number | undefined => uniform.get(tensor);

export function markUniform(tensor: Tensor, value: number): Tensor {
  uniform.set(tensor, value);
  return tensor;
}

/** A concrete value: shape, dtype and a buffer on a backend. */
export class Tensor extends Value {
  readonly #backend: Backend;
  readonly #lease: Lease | null;
  #buffer: Buffer;
  #watched = false;
  /** The depth of the `tidy` that frees this tensor; memory.ts keeps it. */
  home = 0;

  /** For backends and core: wraps a buffer, whose lease is shared where another tensor has it already. */
  constructor(aval: Aval, backend: Backend, buffer: Buffer, shared: Lease | null = null) {
    super(aval, 0);
    this.#backend = backend;
    this.#buffer = buffer;
    if (typeof buffer === "number") {
      this.#lease = null;
    } else {
      if (shared !== null) this.#lease = shared.share();
      else {
        const token = backend.adopt(buffer, aval);
        this.#lease = new Lease(() => backend.free(token));
      }
      enterScope(this);
    }
  }

  override get backend(): Backend {
    return this.#backend;
  }

  /** The backend's buffer; a `DisposedError` after `dispose`. */
  get buffer(): Buffer {
    if (this.#buffer === undefined) refuseDisposed(this);
    return this.#buffer;
  }

  get lease(): Lease | null {
    return this.#lease;
  }

  get disposed(): boolean {
    return this.#buffer === undefined;
  }

  override concrete(): Tensor {
    return this;
  }

  override get known(): boolean {
    return true;
  }

  override recorder(): null {
    return null;
  }

  override item(): number {
    return typeof this.#buffer === "number" ? this.#buffer : super.item();
  }

  override dataSync(): TypedArray {
    return this.#backend.toHostSync(this.buffer, this.aval);
  }

  override data(): Promise<TypedArray> {
    return this.#backend.toHost(this.buffer, this.aval);
  }

  override toArray(): NestedArray {
    return nest(this.dataSync(), this.aval);
  }

  /** Frees the buffer now (once no other tensor shares it). A second call does nothing. */
  dispose(): void {
    if (this.#buffer === undefined) return;
    this.#buffer = undefined;
    if (this.#lease !== null) {
      if (this.#watched) collector.unregister(this);
      this.#lease.drop();
    }
  }

  /** For memory.ts: drops the lease when the garbage collector takes this tensor, as no `tidy` does. */
  watch(): void {
    if (this.#lease === null || this.#watched || this.disposed) return;
    this.#watched = true;
    collector.register(this, this.#lease, this);
  }

  /** Another tensor of the same elements in the same storage, to be freed on its own. */
  sharing(): Tensor {
    return new Tensor(this.aval, this.#backend, this.buffer, this.#lease);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A copy of this tensor on another backend, in the same dtype. */
  to(backend: Backend): Tensor {
    if (backend === this.#backend) return this;
    requireDType(backend, this.aval.dtype);
    return new Tensor(this.aval, backend, backend.fromHost(this.dataSync(), this.aval));
  }

  override toString(): string {
    if (this.disposed) return `Tensor(disposed ${this.aval})`;
    const limit = 20;
    const data = Array.from(this.dataSync().slice(0, limit), (x) => (this.dtype === "bool" ? x !== 0 : x));
    if (this.rank === 0) return `Tensor(${String(data[0])}, ${this.aval})`;
    return `Tensor([${data.join(", ")}${this.size > limit ? ", ..." : ""}], ${this.aval})`;
  }
}

function refuseDisposed(tensor: Tensor): never {
  fail(
    DisposedError,
    `A tensor ${tensor.aval} on backend ${tensor.backend.name} was used after it had been disposed. ` +
      `Return it from the tidy that made it, or dispose of it later.`,
  );
}

/** The same elements in a tensor of its own, which no `tidy` frees: what a graph keeps. */
export function retained(tensor: Tensor): Tensor {
  return outsideScopes(() => tensor.sharing());
}

function nest(data: TypedArray, aval: Aval): NestedArray {
  let next = 0;
  const build = (axis: number): NestedArray => {
    if (axis === aval.rank) {
      const x = data[next++];
      return aval.dtype === "bool" ? x !== 0 : x;
    }
    return Array.from({ length: aval.shape[axis] }, () => build(axis + 1));
  };
  return build(0);
}

/** Anything that `tensor` makes a tensor from. */
export type TensorLike = number | boolean | readonly TensorLike[] | TypedArray;

export interface TensorOptions {
  /** By default the backend's own (float64 on js, float32 on WebGL), bool for booleans, and a typed array's own. */
  readonly dtype?: DType;
  /** By default the nesting of the data; a flat list of the right length takes any shape. */
  readonly shape?: Shape;
  readonly backend?: Backend;
}

/**
 * Makes a tensor from a number, a boolean, nested arrays or a typed array (which is copied).
 *
 * @throws ShapeError for ragged arrays, or a shape of another size; DTypeError for a dtype that the backend lacks or
 * that cannot hold the data (2.5 as int32).
 * @example
 * ```ts
 * tensor([[1, 2], [3, 4]]);                          // float64[2,2] on js
 * tensor([1, 2, 3, 4], { shape: [2, 2], dtype: "int32" });
 * ```
 */
export function tensor(data: TensorLike, options: TensorOptions = {}): Tensor {
  const backend = options.backend ?? currentBackend();
  const flat: (number | boolean)[] = [];
  const found = ArrayBuffer.isView(data) ? [data.length] : measure(data, flat);
  const dtype = options.dtype ?? inferDType(data, flat, backend);
  requireDType(backend, dtype);
  const shape = options.shape ?? found;
  const source = ArrayBuffer.isView(data) ? data : flat;
  if (sizeOf(shape) !== source.length) {
    fail(
      ShapeError,
      `tensor: ${source.length} elements given for shape ${showShape(shape)}, which has ${sizeOf(shape)}. ` +
        `Give as many elements as the shape has.`,
    );
  }
  const host = hostArray(dtype, source.length);
  for (let i = 0; i < source.length; i++) host[i] = Number(source[i]);
  if (dtype === "int32" || dtype === "bool") {
    for (let i = 0; i < source.length; i++)
      if (host[i] !== Number(source[i])) refuseElement(Number(source[i]), dtype);
  }
  return fromHost(host, avalOf(shape, dtype), backend);
}

/** Wraps a host array that nobody else will write to. */
export function fromHost(host: TypedArray, aval: Aval, backend: Backend): Tensor {
  return new Tensor(aval, backend, backend.fromHost(host, aval));
}

/** A rank-0 tensor of that dtype. */
export function scalarTensor(value: number, dtype: DType, backend: Backend): Tensor {
  if ((dtype === "int32" || dtype === "bool") && (dtype === "int32" ? value | 0 : value ? 1 : 0) !== value) {
    refuseElement(value, dtype);
  }
  requireDType(backend, dtype);
  return new Tensor(scalarAval(dtype), backend, backend.scalar(value, dtype));
}

function refuseElement(value: number, dtype: DType): never {
  fail(
    DTypeError,
    `The number ${value} is not a ${dtype}, and a dtype never changes by itself. ` +
      `Convert the other operand to a floating dtype first (x.astype("float64")), or round the number.`,
  );
}

function measure(data: TensorLike, flat: (number | boolean)[]): number[] {
  if (typeof data === "number" || typeof data === "boolean") {
    flat.push(data);
    return [];
  }
  if (!Array.isArray(data) && !ArrayBuffer.isView(data)) {
    fail(ShapeError, `tensor: found ${typeof data} where a number, a boolean or an array of them is needed.`);
  }
  const list = data as readonly TensorLike[];
  let inner: number[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const shape = measure(list[i], flat);
    if (inner === undefined) inner = shape;
    else if (showShape(inner) !== showShape(shape)) {
      fail(
        ShapeError,
        `tensor: ragged data: element 0 has shape ${showShape(inner)}, element ${i} has shape ${showShape(shape)}. ` +
          `All elements of an array must have the same shape.`,
      );
    }
  }
  return [list.length, ...(inner ?? [])];
}

function inferDType(data: TensorLike, flat: readonly (number | boolean)[], backend: Backend): DType {
  if (data instanceof Int32Array) return "int32";
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  if (flat.length > 0 && flat.every((x) => typeof x === "boolean")) return "bool";
  return backend.defaultDType;
}
