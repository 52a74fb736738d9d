/** The linear memory that all compiled programs and large tensors share, and who has which part of it. */
import { BackendError, type DType, type TypedArray, fail } from "@cotangent/core";

/** WebAssembly's page. */
const pageBytes = 65_536;
/** All that 32-bit addresses reach. */
const mostPages = 65_536;
/** Blocks start at multiples of a cache line, which also suits every vector load. */
const alignment = 64;

const constructors = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

const rounded = (bytes: number): number => Math.max(alignment, Math.ceil(bytes / alignment) * alignment);

/** Eight classes of sizes between one power of two and the next: a block found in a class fits to within an eighth. */
function classOf(bytes: number): number {
  const exponent = 31 - Math.clz32(bytes / alignment);
  const eighth = (bytes / alignment / 2 ** exponent - 1) * 8;
  return exponent * 8 + Math.floor(eighth);
}

/**
 * Blocks of a WebAssembly memory. Free neighbours are one block; a request takes the first block of the smallest class of
 * sizes that has one large enough (segregated fit with boundary tags kept outside the memory: D. E. Knuth, The Art of
 * Computer Programming, volume 1, 2.5).
 */
export class Heap {
  readonly memory: WebAssembly.Memory;
  /** Free blocks by their first and by their last address, to find neighbours. */
  private readonly sizeAt = new Map<number, number>();
  private readonly startOfEnd = new Map<number, number>();
  private readonly bins = new Map<number, Set<number>>();
  /** Blocks in use: their sizes by their addresses. */
  private readonly sizes = new Map<number, number>();
  private end: number;
  private views: { readonly buffer: ArrayBufferLike } & Record<DType, TypedArray>;

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: 16, maximum: mostPages, shared: true });
    // Address 0 stays free, so that no block has it.
    this.end = alignment;
    this.views = this.wholeViews();
    this.release(this.end, this.memory.buffer.byteLength - this.end);
    this.end = this.memory.buffer.byteLength;
  }

  /** The address of a block of at least so many bytes. */
  allocate(bytes: number): number {
    const wanted = rounded(bytes);
    const found = this.find(wanted);
    if (found === undefined) {
      this.grow(wanted);
      return this.allocate(bytes);
    }
    const size = this.take(found);
    if (size > wanted) this.put(found + wanted, size - wanted);
    this.sizes.set(found, wanted);
    return found;
  }

  /** Gives a block back. */
  free(address: number): void {
    const bytes = this.sizes.get(address);
    if (bytes === undefined) fail(BackendError, `wasm: no block begins at address ${address}.`);
    this.sizes.delete(address);
    this.release(address, bytes);
  }

  /** Bytes in use. */
  get used(): number {
    let total = 0;
    for (const bytes of this.sizes.values()) total += bytes;
    return total;
  }

  /** The elements that lie at an address. Growing the memory leaves views as they are, since it is shared. */
  view(dtype: DType, address: number, size: number): TypedArray {
    return new constructors[dtype](this.memory.buffer, address, size);
  }

  /** The whole memory as elements of a dtype. */
  whole(dtype: DType): TypedArray {
    if (this.views.buffer !== this.memory.buffer) this.views = this.wholeViews();
    return this.views[dtype];
  }

  /** Whether an array lies in this memory; its address is then its `byteOffset`. */
  owns(array: TypedArray): boolean {
    return !(array.buffer instanceof ArrayBuffer) && this.sizes.has(array.byteOffset);
  }

  private wholeViews(): Heap["views"] {
    const { buffer } = this.memory;
    return {
      buffer,
      float64: new Float64Array(buffer),
      float32: new Float32Array(buffer),
      int32: new Int32Array(buffer),
      bool: new Uint8Array(buffer),
    };
  }

  private find(bytes: number): number | undefined {
    const least = classOf(bytes);
    for (const start of this.bins.get(least) ?? [])
      if ((this.sizeAt.get(start) as number) >= bytes) return start;
    const last = classOf(mostPages * pageBytes - alignment);
    for (let size = least + 1; size <= last; size++) {
      const bin = this.bins.get(size);
      if (bin === undefined) continue;
      for (const start of bin) return start;
    }
    return undefined;
  }

  private take(start: number): number {
    const size = this.sizeAt.get(start) as number;
    this.sizeAt.delete(start);
    this.startOfEnd.delete(start + size);
    const key = classOf(size);
    const bin = this.bins.get(key) as Set<number>;
    bin.delete(start);
    if (bin.size === 0) this.bins.delete(key);
    return size;
  }

  private put(start: number, size: number): void {
    this.sizeAt.set(start, size);
    this.startOfEnd.set(start + size, start);
    const key = classOf(size);
    const bin = this.bins.get(key);
    if (bin === undefined) this.bins.set(key, new Set([start]));
    else bin.add(start);
  }

  private release(address: number, bytes: number): void {
    let [start, size] = [address, bytes];
    if (this.sizeAt.has(start + size)) size += this.take(start + size);
    const before = this.startOfEnd.get(start);
    if (before !== undefined) {
      size += this.take(before);
      start = before;
    }
    this.put(start, size);
  }

  /** More memory: what is wanted, and at least an eighth of what there is. */
  private grow(bytes: number): void {
    const pages = this.memory.buffer.byteLength / pageBytes;
    const needed = Math.ceil(bytes / pageBytes);
    const room = mostPages - pages;
    const wanted = Math.min(room, Math.max(needed, Math.ceil(pages / 8)));
    try {
      if (needed > room) throw new RangeError();
      this.memory.grow(wanted);
    } catch {
      fail(
        BackendError,
        `wasm: ${bytes} bytes asked for, but of the 4 GiB that WebAssembly can address ${this.used} bytes are in use and no ` +
          `free stretch is that long. Free tensors (tidy, using), split the work, or use another backend.`,
      );
    }
    const added = wanted * pageBytes;
    this.release(this.end, added);
    this.end += added;
  }
}
