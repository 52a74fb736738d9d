import {
  type Buffer,
  type ConvTransposeParams,
  type DotParams,
  type Kernel,
  type PoolParams,
  type Shape,
  type Tensor,
  type TypedArray,
  type WindowParams,
  stridesOf,
} from "@cotangent/core";
import { elements, result, stored } from "./storage.ts";
import { offsets } from "./strided.ts";

/** The elements with axes in the given order. */
function arranged(x: Tensor, order: readonly number[]): TypedArray {
  const source = elements(x);
  if (order.every((axis, i) => axis === i)) return source;
  const strides = stridesOf(x.shape);
  const index = offsets(
    order.map((i) => x.shape[i]),
    order.map((i) => strides[i]),
  );
  const out = result(x.aval);
  for (let i = 0; i < out.length; i++) out[i] = source[index[i]];
  return out;
}

const sizeAlong = (shape: Shape, axes: readonly number[]): number => axes.reduce((n, i) => n * shape[i], 1);

/** Both operands as [batch, free, contract], then inner products summed in float64. */
const dotGeneral: Kernel = ([a, b], output, params) => {
  const { contractX, contractY, batchX, batchY } = params as DotParams;
  const free = (v: Tensor, ...used: (readonly number[])[]): number[] =>
    v.shape.map((_, i) => i).filter((i) => !used.some((list) => list.includes(i)));
  const freeX = free(a, contractX, batchX);
  const freeY = free(b, contractY, batchY);
  const x = arranged(a, [...batchX, ...freeX, ...contractX]);
  const y = arranged(b, [...batchY, ...freeY, ...contractY]);
  const [batch, m, n, k] = [
    sizeAlong(a.shape, batchX),
    sizeAlong(a.shape, freeX),
    sizeAlong(b.shape, freeY),
    sizeAlong(a.shape, contractX),
  ];
  const out = result(output);
  const integer = output.dtype === "int32";
  let next = 0;
  for (let p = 0; p < batch; p++) {
    for (let i = 0; i < m; i++) {
      const row = (p * m + i) * k;
      for (let j = 0; j < n; j++) {
        const column = (p * n + j) * k;
        let sum = 0;
        if (integer) for (let l = 0; l < k; l++) sum = (sum + Math.imul(x[row + l], y[column + l])) | 0;
        else for (let l = 0; l < k; l++) sum += x[row + l] * y[column + l];
        out[next++] = sum;
      }
    }
  }
  return stored(out, output);
};

/** Calls `visit` for each pair of an output position and an image position that a window joins. */
function eachTap(
  image: Shape,
  window: readonly [number, number],
  output: readonly [number, number],
  { strides, padding, dilation }: WindowParams,
  visit: (batch: number, outputPosition: number, tap: number, imagePosition: number) => void,
): void {
  const [batch, height, width] = image;
  for (let b = 0; b < batch; b++) {
    for (let oy = 0; oy < output[0]; oy++) {
      for (let ox = 0; ox < output[1]; ox++) {
        const position = (b * output[0] + oy) * output[1] + ox;
        for (let ky = 0; ky < window[0]; ky++) {
          const y = oy * strides[0] + ky * dilation[0] - padding[0][0];
          if (y < 0 || y >= height) continue;
          for (let kx = 0; kx < window[1]; kx++) {
            const x = ox * strides[1] + kx * dilation[1] - padding[1][0];
            if (x < 0 || x >= width) continue;
            visit(b, position, ky * window[1] + kx, (b * height + y) * width + x);
          }
        }
      }
    }
  }
}

/** One triple loop for a convolution and its two transposes: `add` says which of the three products is summed. */
function convolution(
  image: Shape,
  filter: Shape,
  output: Shape,
  params: WindowParams,
  add: (imageAt: number, filterAt: number, outputAt: number) => void,
): void {
  const [kh, kw, channels, features] = filter;
  eachTap(image, [kh, kw], [output[1], output[2]], params, (_, position, tap, pixel) => {
    for (let c = 0; c < channels; c++) {
      for (let o = 0; o < features; o++) {
        add(pixel * channels + c, (tap * channels + c) * features + o, position * features + o);
      }
    }
  });
}

/** Sums in float64, then rounded to the dtype of the output. */
function accumulated(output: { size: number; dtype: string }, fill: (sums: Float64Array) => void): Buffer {
  const sums = new Float64Array(output.size);
  fill(sums);
  return output.dtype === "float64" ? sums : Float32Array.from(sums);
}

const conv2d: Kernel = ([image, filter], output, params) =>
  accumulated(output, (sums) => {
    const [x, w] = [elements(image), elements(filter)];
    convolution(
      image.shape,
      filter.shape,
      output.shape,
      params as WindowParams,
      (i, f, o) => (sums[o] += x[i] * w[f]),
    );
  });

const conv2dInputTranspose: Kernel = ([ct, filter], output, params) =>
  accumulated(output, (sums) => {
    const [y, w] = [elements(ct), elements(filter)];
    convolution(
      output.shape,
      filter.shape,
      ct.shape,
      params as ConvTransposeParams,
      (i, f, o) => (sums[i] += y[o] * w[f]),
    );
  });

const conv2dFilterTranspose: Kernel = ([image, ct], output, params) =>
  accumulated(output, (sums) => {
    const [x, y] = [elements(image), elements(ct)];
    convolution(
      image.shape,
      output.shape,
      ct.shape,
      params as ConvTransposeParams,
      (i, f, o) => (sums[f] += x[i] * y[o]),
    );
  });

/** Visits each element under each window. */
function eachElement(
  image: Shape,
  output: readonly [number, number],
  params: PoolParams,
  visit: (pixel: number, position: number, tap: number, channel: number) => void,
): void {
  const channels = image[3];
  eachTap(image, params.window, output, params, (_, position, tap, pixel) => {
    for (let c = 0; c < channels; c++) visit(pixel, position, tap, c);
  });
}

const patches: Kernel = ([x], output, params) => {
  const source = elements(x);
  const out = result(output);
  const [, oh, ow, taps, channels] = output.shape;
  eachElement(x.shape, [oh, ow], params as PoolParams, (pixel, position, tap, c) => {
    out[(position * taps + tap) * channels + c] = source[pixel * channels + c];
  });
  return out;
};

const overlapAdd: Kernel = ([x], output, params) => {
  const [, oh, ow, taps, channels] = x.shape;
  const source = elements(x);
  return accumulated(output, (sums) =>
    eachElement(output.shape, [oh, ow], params as PoolParams, (pixel, position, tap, c) => {
      sums[pixel * channels + c] += source[(position * taps + tap) * channels + c];
    }),
  );
};

const maxPool2d: Kernel = ([x], output, params) => {
  const source = elements(x);
  const [, oh, ow, channels] = output.shape;
  const out = result(output).fill(-Infinity);
  eachElement(x.shape, [oh, ow], params as PoolParams, (pixel, position, _, c) => {
    const at = position * channels + c;
    out[at] = Math.max(out[at], source[pixel * channels + c]);
  });
  return out;
};

const avgPool2d: Kernel = ([x], output, params) => {
  const source = elements(x);
  const [, oh, ow, channels] = output.shape;
  const counts = new Float64Array(output.size);
  return accumulated(output, (sums) => {
    eachElement(x.shape, [oh, ow], params as PoolParams, (pixel, position, _, c) => {
      sums[position * channels + c] += source[pixel * channels + c];
      counts[position * channels + c]++;
    });
    for (let i = 0; i < sums.length; i++) sums[i] /= counts[i];
  });
};

/** Kernels of contractions, convolutions and pooling. */
export const contractions: Record<string, Kernel> = {
  dotGeneral,
  conv2d,
  conv2dInputTranspose,
  conv2dFilterTranspose,
  patches,
  overlapAdd,
  maxPool2d,
  avgPool2d,
};
