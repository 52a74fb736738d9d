/**
 * Two-dimensional convolution (cross-correlation, as in every deep learning library) of images [N, H, W, C] with
 * filters [KH, KW, C, O]. It and its two transposes are bilinear and are each other's transposes, so the family is
 * closed under differentiation of any order.
 */
import { type Aval, type Shape, avalOf, showShape } from "../aval.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { type Op, bilinear } from "../define/general.ts";
import { type Draw, type Sample, argument } from "../sampling.ts";
import { batchByLoop, batchOf, overChannels, overImages } from "../vmap/batch-rules.ts";

/** How a window moves over an image. */
export interface WindowParams {
  readonly strides: readonly [number, number];
  /** Zeros put [before, after] the rows and the columns. */
  readonly padding: readonly [readonly [number, number], readonly [number, number]];
  readonly dilation: readonly [number, number];
}

export interface ConvTransposeParams extends WindowParams {
  /** The shape of the result, which the other two do not determine. */
  readonly size: Shape;
}

/** The number of window positions along one axis. */
export function windowCount(
  who: string,
  size: number,
  window: number,
  axis: 0 | 1,
  params: WindowParams,
): number {
  const { strides, padding, dilation } = params;
  const padded = size + padding[axis][0] + padding[axis][1];
  const span = (window - 1) * dilation[axis] + 1;
  if (window < 1 || span > padded || strides[axis] < 1 || dilation[axis] < 1) {
    fail(
      ShapeError,
      `${who}: a window of ${window} (dilation ${dilation[axis]}, stride ${strides[axis]}) does not fit a padded size ` +
        `of ${padded} on image axis ${axis}. Use a smaller window or more padding; strides and dilations start at 1.`,
    );
  }
  return Math.floor((padded - span) / strides[axis]) + 1;
}

function requireImage(who: string, x: Aval, filter: Aval): void {
  if (x.rank !== 4 || filter.rank !== 4 || x.dtype !== filter.dtype || !x.floating) {
    fail(
      x.dtype !== filter.dtype || !x.floating ? DTypeError : ShapeError,
      `${who}: found ${x} and ${filter}; needed are images [N, H, W, C] and filters [KH, KW, C, O] of one floating dtype.`,
    );
  }
}

function convShape(x: Aval, filter: Aval, params: WindowParams): number[] {
  requireImage("conv2d", x, filter);
  const [n, h, w, c] = x.shape;
  const [kh, kw, inner, o] = filter.shape;
  if (inner !== c) {
    fail(
      ShapeError,
      `conv2d: the images ${showShape(x.shape)} have ${c} channels, the filters ${showShape(filter.shape)} take ${inner}. ` +
        `Axis 3 of the images must match axis 2 of the filters.`,
    );
  }
  return [n, windowCount("conv2d", h, kh, 0, params), windowCount("conv2d", w, kw, 1, params), o];
}

const flops = (filter: Shape, output: Shape): number =>
  2 * filter[0] * filter[1] * filter[2] * output.reduce((a, b) => a * b, 1);

const windowOf = ({ strides, padding, dilation }: WindowParams): WindowParams => ({
  strides,
  padding,
  dilation,
});

function sampleCall(draw: Draw): {
  image: number[];
  filter: number[];
  output: number[];
  params: WindowParams;
} {
  const [kh, kw] = [draw.int(1, 3), draw.int(1, 2)];
  const anyParams: WindowParams = {
    strides: [draw.int(1, 2), draw.int(1, 2)],
    padding: [
      [draw.int(0, 1), draw.int(0, 1)],
      [draw.int(0, 1), draw.int(0, 1)],
    ],
    dilation: [draw.int(1, 2), draw.int(1, 2)],
  };
  const image = [draw.size(2), draw.int(5, 6), draw.int(3, 4), draw.size(2)];
  // Now and then images and outputs of one shape, which only their places tell apart.
  const isSame = draw.int(0, 5) === 5;
  const filter = [kh, kw, image[3], isSame ? image[3] : draw.size(2)];
  const around = (k: number): readonly [number, number] => [k >> 1, (k - 1) >> 1];
  const params: WindowParams = isSame
    ? { strides: [1, 1], padding: [around(kh), around(kw)], dilation: [1, 1] }
    : anyParams;
  const output = convShape(avalOf(image, "float64"), avalOf(filter, "float64"), params);
  return { image, filter, output, params };
}

const call = (x: Shape, y: Shape, params: object): Sample => ({ inputs: [argument(x), argument(y)], params });

export const convolve: Op<readonly ["x", "y"], WindowParams> = bilinear("conv2d", {
  shape: ([x, filter], params: WindowParams) => avalOf(convShape(x, filter, params), x.dtype),
  transpose: {
    x: (ct, { y, avals, params }) => convolveInputTranspose(ct, y, { ...params, size: avals.x.shape }),
    y: (ct, { x, avals, params }) => convolveFilterTranspose(x, ct, { ...params, size: avals.y.shape }),
  },
  batch: (inputs, batched, params) => {
    const [x, filter] = inputs;
    if (!batched[1]) return overImages(x, (images) => convolve(images, filter, params));
    if (!batched[0]) return overChannels(filter, (filters) => convolve(x, filters, params));
    return batchByLoop<WindowParams>(() => convolve.primitive)(inputs, batched, params);
  },
  cost: ([, filter], output) => flops(filter.shape, output.shape),
  sample: (draw) => {
    const { image, filter, params } = sampleCall(draw);
    return call(image, filter, params);
  },
});

/** The transpose of `conv2d` in its images: x is the cotangent of the output, y the filters. */
export const convolveInputTranspose: Op<readonly ["x", "y"], ConvTransposeParams> = bilinear(
  "conv2dInputTranspose",
  {
    shape: ([ct, filter], { size }: ConvTransposeParams) => {
      requireImage("conv2dInputTranspose", ct, filter);
      return avalOf(size, ct.dtype);
    },
    transpose: {
      x: (image, { y, params }) => convolve(image, y, windowOf(params)),
      y: (image, { x, avals, params }) =>
        convolveFilterTranspose(image, x, { ...params, size: avals.y.shape }),
    },
    batch: (inputs, batched, params) => {
      const [ct, filter] = inputs;
      if (batched[1])
        return batchByLoop<ConvTransposeParams>(() => convolveInputTranspose.primitive)(
          inputs,
          batched,
          params,
        );
      const size = batchOf(inputs, batched);
      const [images, ...rest] = params.size;
      const all = { ...params, size: [images * size, ...rest] };
      return overImages(ct, (cotangents) => convolveInputTranspose(cotangents, filter, all));
    },
    cost: ([ct, filter]) => flops(filter.shape, ct.shape),
    sample: (draw) => {
      const { image, filter, output, params } = sampleCall(draw);
      return call(output, filter, { ...params, size: image });
    },
  },
);

/** The transpose of `conv2d` in its filters: x is the images, y the cotangent of the output. */
export const convolveFilterTranspose: Op<readonly ["x", "y"], ConvTransposeParams> = bilinear(
  "conv2dFilterTranspose",
  {
    shape: ([image, ct], { size }: ConvTransposeParams) => {
      requireImage("conv2dFilterTranspose", image, ct);
      return avalOf(size, ct.dtype);
    },
    transpose: {
      x: (filter, { y, avals, params }) =>
        convolveInputTranspose(y, filter, { ...params, size: avals.x.shape }),
      y: (filter, { x, params }) => convolve(x, filter, windowOf(params)),
    },
    batch: (inputs, batched, params) => {
      const [image, ct] = inputs;
      if (batched[0])
        return batchByLoop<ConvTransposeParams>(() => convolveFilterTranspose.primitive)(
          inputs,
          batched,
          params,
        );
      const size = batchOf(inputs, batched);
      const [kh, kw, c, o] = params.size;
      const all = { ...params, size: [kh, kw, c, o * size] };
      return overChannels(ct, (cotangents) => convolveFilterTranspose(image, cotangents, all));
    },
    cost: ([, ct], output) => flops(output.shape, ct.shape),
    sample: (draw) => {
      const { image, filter, output, params } = sampleCall(draw);
      return call(image, output, { ...params, size: filter });
    },
  },
);
