import { type Axes, type Kernel, type PadParams, type SliceParams, stridesOf } from "@cotangent/core";
import { elements, result, stored } from "./storage.ts";
import { broadcastStrides, offsets } from "./strided.ts";

const reshape: Kernel = ([x], output) => {
  // Between ranks 0 and n the form of the buffer changes; else the two values share it.
  const scalar = typeof x.buffer === "number";
  return scalar || output.shape.length === 0 ? stored(elements(x).slice(), output) : x.buffer;
};

/** Reads the input at strides, from a start. */
function read(
  strides: (shape: readonly number[], params: object) => readonly number[],
  start = (_: readonly number[], __: object): number => 0,
): Kernel {
  return ([x], output, params) => {
    const source = elements(x);
    const index = offsets(output.shape, strides(x.shape, params), start(x.shape, params));
    const out = result(output);
    for (let i = 0; i < out.length; i++) out[i] = source[index[i]];
    return stored(out, output);
  };
}

const dotProduct = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b[i], 0);

const pad: Kernel = ([x], output, params) => {
  const { low, interior } = params as PadParams;
  const outer = stridesOf(output.shape);
  const source = elements(x);
  const index = offsets(
    x.shape,
    outer.map((stride, i) => stride * (interior[i] + 1)),
    dotProduct(outer, low),
  );
  const out = result(output);
  for (let i = 0; i < source.length; i++) out[index[i]] = source[i];
  return stored(out, output);
};

const concatenate: Kernel = (inputs, output, params) => {
  const { axis } = params as { axis: number };
  const inner = output.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = output.shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const row = output.shape[axis] * inner;
  const out = result(output);
  let start = 0;
  for (const input of inputs) {
    const width = input.shape[axis] * inner;
    const source = elements(input);
    for (let i = 0; i < outer; i++) out.set(source.subarray(i * width, (i + 1) * width), i * row + start);
    start += width;
  }
  return out;
};

/** Kernels of the primitives that rearrange elements. */
export const shape: Record<string, Kernel> = {
  reshape,
  transpose: read((from, params) => {
    const strides = stridesOf(from);
    return (params as { permutation: readonly number[] }).permutation.map((axis) => strides[axis]);
  }),
  broadcastTo: ([x], output) => {
    const source = elements(x);
    const out = result(output);
    if (source.length === 1) return stored(out.fill(source[0]), output);
    const index = offsets(output.shape, broadcastStrides(x.shape, output.shape));
    for (let i = 0; i < out.length; i++) out[i] = source[index[i]];
    return stored(out, output);
  },
  slice: read(
    (from, params) => stridesOf(from).map((stride, i) => stride * (params as SliceParams).strides[i]),
    (from, params) => dotProduct(stridesOf(from), (params as SliceParams).begin),
  ),
  flip: read(
    (from, params) =>
      stridesOf(from).map((stride, i) => ((params as Axes).axes.includes(i) ? -stride : stride)),
    (from, params) =>
      stridesOf(from).reduce(
        (sum, stride, i) => sum + ((params as Axes).axes.includes(i) ? stride * (from[i] - 1) : 0),
        0,
      ),
  ),
  pad,
  concatenate,
};
