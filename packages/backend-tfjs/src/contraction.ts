/** Contractions as batched matrix products; convolutions by tfjs's kernels, on explicitly padded images. */
import {
  type ConvTransposeParams,
  type DotParams,
  type Kernel,
  type PoolParams,
  type Shape,
  type Tensor,
  type WindowParams,
  sizeOf,
} from "@cotangent/core";
import {
  type NamedAttrMap,
  type Tensor as TfTensor,
  type Tensor4D,
  engine,
  env,
  getBackend,
} from "@tensorflow/tfjs-core";
import { heldDType } from "./held.ts";
import { halves } from "./portable.ts";
import { padded, permuted } from "./shape.ts";
import * as ops from "./tf-ops.ts";

const bufferOf = (x: Tensor): TfTensor => x.buffer as TfTensor;

const dotGeneral: Kernel = ([x, y], output, params) => {
  const { contractX, contractY, batchX, batchY } = params as DotParams;
  const free = (v: Tensor, ...used: (readonly number[])[]): number[] =>
    v.shape.map((_, i) => i).filter((i) => !used.some((list) => list.includes(i)));
  const size = (v: Tensor, axes: readonly number[]): number => sizeOf(axes.map((i) => v.shape[i]));
  // Other backends of tfjs multiply matrices of float32 alone.
  const isWhole = x.dtype === "int32" && getBackend() === "cpu";
  // As [batch, free, contract], or with the last two swapped where that saves a copy: the product takes both.
  const matrices = (
    v: Tensor,
    batch: readonly number[],
    contract: readonly number[],
  ): { matrix: TfTensor; swapped: boolean } => {
    const own = free(v, batch, contract);
    const swapped = [...batch, ...contract, ...own].every((axis, i) => axis === i);
    const layout = swapped ? [contract, own] : [own, contract];
    const moved = permuted(bufferOf(v), v.shape, [...batch, ...layout.flat()]);
    const factor = moved.dtype === "int32" && !isWhole ? ops.cast(moved, "float32") : moved;
    return { matrix: ops.reshape(factor, [size(v, batch), ...layout.map((axes) => size(v, axes))]), swapped };
  };
  const a = matrices(x, batchX, contractX);
  const b = matrices(y, batchY, contractY);
  const productWith = (right: TfTensor): TfTensor => ops.matMul(a.matrix, right, a.swapped, !b.swapped);
  const multiply = (): TfTensor =>
    isWhole ? halves(b.matrix).map(productWith).reduce(ops.add) : productWith(b.matrix);
  const multiplications = output.size * size(x, contractX);
  const product = multiplications < manyMultiplications ? multiply() : withOwnShader(multiply);
  return ops.reshape(ops.cast(product, heldDType(output.dtype)), [...output.shape]);
};

/** From here on a product takes longer than compiling a shader is worth. */
const manyMultiplications = 1e6;

/** Runs `body` with shaders for its own shapes: loops of known length are up to twice as fast as those of any length. */
function withOwnShader(body: () => TfTensor): TfTensor {
  const before = env().getBool("WEBGL_USE_SHAPES_UNIFORMS");
  env().set("WEBGL_USE_SHAPES_UNIFORMS", false);
  try {
    return body();
  } finally {
    env().set("WEBGL_USE_SHAPES_UNIFORMS", before);
  }
}

/** The window's own spacing, as zeros between the filter's taps: tfjs's gradients know no dilation. */
function dilated(
  filter: TfTensor,
  shape: Shape,
  [dy, dx]: readonly [number, number],
): { filter: TfTensor; shape: number[] } {
  const interior = [dy - 1, dx - 1, 0, 0];
  const none = [0, 0, 0, 0];
  const size = shape.map((n, i) => (n - 1) * (interior[i] + 1) + 1);
  return { filter: padded(filter, shape, { low: none, high: none, interior }), shape: size };
}

function paddedImage(image: TfTensor, shape: Shape, { padding }: WindowParams): TfTensor {
  const [rows, columns] = padding;
  return padded(image, shape, {
    low: [0, rows[0], columns[0], 0],
    high: [0, rows[1], columns[1], 0],
    interior: [0, 0, 0, 0],
  });
}

const conv2d: Kernel = ([image, filter], _, params) => {
  const window = params as WindowParams;
  const x = paddedImage(bufferOf(image), image.shape, window);
  const w = dilated(bufferOf(filter), filter.shape, window.dilation).filter;
  return ops.conv2d(x as Tensor4D, w as Tensor4D, [...window.strides], "valid");
};

function runConvKernel(
  name: string,
  inputs: Record<string, TfTensor>,
  window: WindowParams,
  attrs: object,
): TfTensor {
  const all = {
    strides: [...window.strides],
    pad: "valid",
    dataFormat: "NHWC",
    dimRoundingMode: undefined,
    ...attrs,
  };
  return engine().runKernel<TfTensor>(name, inputs, all as unknown as NamedAttrMap);
}

const conv2dInputTranspose: Kernel = ([ct, filter], _, params) => {
  const window = params as ConvTransposeParams;
  const [rows, columns] = window.padding;
  const [n, h, w, c] = window.size;
  const inputShape = [n, h + rows[0] + rows[1], w + columns[0] + columns[1], c];
  const spread = dilated(bufferOf(filter), filter.shape, window.dilation).filter;
  const whole = runConvKernel("Conv2DBackpropInput", { dy: bufferOf(ct), filter: spread }, window, {
    inputShape,
  });
  return ops.slice(whole, [0, rows[0], columns[0], 0], [n, h, w, c]);
};

const conv2dFilterTranspose: Kernel = ([image, ct], _, params) => {
  const window = params as ConvTransposeParams;
  const [dy, dx] = window.dilation;
  const filterShape = window.size.map((n, i) => (n - 1) * ([dy, dx, 1, 1][i] ?? 1) + 1);
  const x = paddedImage(bufferOf(image), image.shape, window);
  const whole = runConvKernel("Conv2DBackpropFilter", { x, dy: bufferOf(ct) }, window, { filterShape });
  if (dy === 1 && dx === 1) return whole;
  return ops.stridedSlice(whole, [0, 0, 0, 0], filterShape, [dy, dx, 1, 1]);
};

/** The elementwise maximum over the places of the window, each a strided part of the padded image: exact, and NaN-safe. */
export const maxPool2d =
  (maximum: (x: TfTensor, y: TfTensor) => TfTensor): Kernel =>
  ([x], output, params) => {
    const { window, strides, padding, dilation } = params as PoolParams;
    const [rows, columns] = padding;
    const image = ops.pad(bufferOf(x), [[0, 0], [...rows], [...columns], [0, 0]], -Infinity);
    const [n, oh, ow, c] = output.shape;
    let best: TfTensor | undefined;
    for (let i = 0; i < window[0]; i++) {
      for (let j = 0; j < window[1]; j++) {
        const begin = [0, i * dilation[0], j * dilation[1], 0];
        const end = [n, begin[1] + (oh - 1) * strides[0] + 1, begin[2] + (ow - 1) * strides[1] + 1, c];
        const part = ops.stridedSlice(image, begin, end, [1, strides[0], strides[1], 1]);
        best = best === undefined ? part : maximum(best, part);
      }
    }
    return best;
  };

export const contractions: Readonly<Record<string, Kernel>> = {
  dotGeneral,
  conv2d,
  conv2dInputTranspose,
  conv2dFilterTranspose,
};
