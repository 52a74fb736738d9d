/**
 * Random bits, and what draws are made of, on the host: the same for every backend. A backend's kernels of these
 * primitives are these, between a download and an upload.
 */
import { type Aval, type Shape, sizeOf, stridesOf } from "../aval.ts";
import { CotangentError, fail } from "../errors.ts";
import type { Params } from "../primitive.ts";
import { type TypedArray, hostArray } from "../tensor.ts";
import { gammaQuantile, gammaRatio, lgamma, polygamma } from "./gamma-function.ts";
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

/** For each element of the output the place of the element of an input that broadcasts to it. */
function places(shape: Shape, output: Aval): (i: number) => number {
  if (sizeOf(shape) === output.size) return (i) => i;
  const strides = stridesOf(shape);
  const lead = output.rank - shape.length;
  const whole = stridesOf(output.shape);
  return (i) => {
    let place = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      if (shape[axis] > 1) place += (Math.floor(i / whole[axis + lead]) % shape[axis]) * strides[axis];
    }
    return place;
  };
}

const ofOne =
  (f: (params: Params) => (x: number) => number): HostKernel =>
  ([{ data }], output, params) => {
    const out = hostArray(output.dtype, output.size);
    const g = f(params);
    for (let i = 0; i < out.length; i++) out[i] = g(data[i]);
    return out;
  };

const ofTwo =
  (f: (params: Params) => (x: number, y: number) => number): HostKernel =>
  ([x, y], output, params) => {
    const out = hostArray(output.dtype, output.size);
    const [ofX, ofY] = [places(x.shape, output), places(y.shape, output)];
    const g = f(params);
    for (let i = 0; i < out.length; i++) out[i] = g(x.data[ofX(i)], y.data[ofY(i)]);
    return out;
  };

const orderOf = (params: Params): number => (params as { order: number }).order;

/** By primitive name. */
export const hostKernels: Readonly<Record<string, HostKernel>> = {
  randomUniform,
  splitKey,
  foldIn,
  lgamma: ofOne(() => lgamma),
  polygamma: ofOne((params) => (x) => polygamma(orderOf(params), x)),
  gammaQuantile: ofTwo(() => gammaQuantile),
  gammaRatio: ofTwo((params) => (alpha, z) => gammaRatio(orderOf(params), alpha, z)),
};
