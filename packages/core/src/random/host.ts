/**
 * Random bits on the host, the same for every backend: a backend's kernels of the random primitives are these, between
 * a download and an upload.
 */
import type { Aval, Shape } from "../aval.ts";
import { CotangentError, fail } from "../errors.ts";
import type { Params } from "../primitive.ts";
import { type TypedArray, hostArray } from "../tensor.ts";
import { threefry2x32 } from "./threefry.ts";

/** The elements of an input, in row-major order. */
export interface HostArray {
  readonly data: ArrayLike<number>;
  readonly shape: Shape;
}

/** A kernel whose inputs and output are on the host. */
export type HostKernel = (inputs: readonly HostArray[], output: Aval, params: Params) => TypedArray;

/** How many elements of an int32 tensor make a key. */
export const keyWidth = 4;

/** What a block is drawn for: the top of the counter's first word, so that no two uses of one key meet. */
const purposes = { split: 0, fold: 0x4000_0000, draw: 0x8000_0000 } as const;

const word = 2 ** 32;

/** The two words of each key. */
function* keysOf(who: string, { data }: HostArray): Generator<[number, number]> {
  for (let at = 0; at < data.length; at += keyWidth) {
    for (let i = at; i < at + keyWidth; i++) if (data[i] >>> 16 !== 0) refuseKey(who, data[i]);
    yield [(data[at] << 16) | data[at + 1], (data[at + 2] << 16) | data[at + 3]];
  }
}

function refuseKey(who: string, half: number): never {
  fail(
    CotangentError,
    `${who}: a key holds ${half}, which is no 16-bit number. Keys are made by randomKey, splitKey and foldIn alone.`,
  );
}

/** Two words as the four 16-bit numbers of a key. */
function writeKey(out: TypedArray, at: number, [first, second]: Uint32Array): void {
  out[at] = first >>> 16;
  out[at + 1] = first & 0xffff;
  out[at + 2] = second >>> 16;
  out[at + 3] = second & 0xffff;
}

/** A block as a number in [0, 1): the top 53 bits of it, or the top 24 of the same ones. */
function unit(dtype: Aval["dtype"], [first, second]: Uint32Array): number {
  return dtype === "float64"
    ? ((first >>> 5) * 2 ** 26 + (second >>> 6)) * 2 ** -53
    : (first >>> 8) * 2 ** -24;
}

const randomUniform: HostKernel = ([keys], output) => {
  const out = hostArray(output.dtype, output.size);
  const count = (output.size * keyWidth) / keys.data.length;
  const block = new Uint32Array(2);
  let next = 0;
  for (const [first, second] of keysOf("randomUniform", keys)) {
    for (let i = 0; i < count; i++) {
      threefry2x32(first, second, purposes.draw | Math.floor(i / word), i | 0, block);
      out[next++] = unit(output.dtype, block);
    }
  }
  return out;
};

const splitKey: HostKernel = ([keys], output, params) => {
  const out = hostArray(output.dtype, output.size);
  const block = new Uint32Array(2);
  let next = 0;
  for (const [first, second] of keysOf("splitKey", keys)) {
    for (let i = 0; i < (params as { count: number }).count; i++, next += keyWidth) {
      threefry2x32(first, second, purposes.split, i, block);
      writeKey(out, next, block);
    }
  }
  return out;
};

const foldIn: HostKernel = ([keys, numbers], output) => {
  const out = hostArray(output.dtype, output.size);
  const block = new Uint32Array(2);
  let next = 0;
  for (const [first, second] of keysOf("foldIn", keys)) {
    threefry2x32(first, second, purposes.fold, numbers.data[next], block);
    writeKey(out, next++ * keyWidth, block);
  }
  return out;
};

/** By primitive name. */
export const hostKernels: Readonly<Record<string, HostKernel>> = { randomUniform, splitKey, foldIn };
