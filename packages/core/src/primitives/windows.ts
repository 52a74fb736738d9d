/** Pooling over two-dimensional windows of images [N, H, W, C]. */
import { type Aval, type Shape, avalOf } from "../aval.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { requireAccepted } from "../define/elementwise.ts";
import { type Op, linear, primitive } from "../define/general.ts";
import type { Kink } from "../primitive.ts";
import { type Domain, type Draw, type Sample, argument, real } from "../sampling.ts";
import type { Value } from "../value.ts";
import { type WindowParams, windowCount } from "./convolution.ts";
import { overImages } from "../vmap/batch-rules.ts";
import { pad, slice } from "./shape.ts";
import { strongMul } from "./binary.ts";

export interface PoolParams extends WindowParams {
  readonly window: readonly [number, number];
}

function counts(who: string, x: Aval, params: PoolParams): [number, number] {
  if (x.rank !== 4 || !x.floating) {
    fail(
      x.floating ? ShapeError : DTypeError,
      `${who}: found ${x}; needed are images [N, H, W, C] of a floating dtype.`,
    );
  }
  return [
    windowCount(who, x.shape[1], params.window[0], 0, params),
    windowCount(who, x.shape[2], params.window[1], 1, params),
  ];
}

function sampleCall(draw: Draw, domain: Domain): Sample & { params: PoolParams } {
  const window = [draw.int(1, 3), draw.int(1, 2)] as const;
  const side = (k: number): readonly [number, number] => [draw.int(0, k - 1), draw.int(0, k - 1)];
  const params: PoolParams = {
    window,
    strides: [draw.int(1, 2), draw.int(1, 2)],
    padding: [side(window[0]), side(window[1])],
    dilation: [1, 1],
  };
  return {
    inputs: [argument([draw.size(2), draw.int(3, 5), draw.int(2, 4), draw.size(2)], domain)],
    params,
  };
}

const area = ({ window }: PoolParams): number => window[0] * window[1];

/**
 * The elements under each window position, as [N, OH, OW, KH * KW, C]; padding counts as zeros. With its transpose it
 * carries the derivatives of the pooling primitives.
 */
export const patches: Op<readonly ["x"], PoolParams> = linear("patches", {
  args: ["x"],
  shape: ([x], params: PoolParams) => {
    const [oh, ow] = counts("patches", x, params);
    return avalOf([x.shape[0], oh, ow, area(params), x.shape[3]], x.dtype);
  },
  transpose: { x: (ct, { avals, params }) => overlapAdd(ct, { ...params, size: avals.x.shape }) },
  batch: ([x], _, params) => overImages(x, (images) => patches(images, params)),
  cost: () => 0,
  sample: (draw) => sampleCall(draw, real()),
  decompose: ([x], params) => {
    const padded = padImage(x, params);
    const columns = eachOffset(padded.shape, params).map(({ begin, end }) => {
      const column = slice(padded, { begin, end, strides: stridesOver(params) });
      const [n, oh, ow, c] = column.shape;
      return column.reshape([n, oh, ow, 1, c]);
    });
    return columns[0].concatenate(columns.slice(1), 3);
  },
});

/** The transpose of `patches`: each window's elements added back where they came from. */
export const overlapAdd: Op<readonly ["x"], PoolParams & { readonly size: Shape }> = linear("overlapAdd", {
  args: ["x"],
  shape: ([x], { size }: PoolParams & { readonly size: Shape }) => {
    requireAccepted("overlapAdd", "floating", x);
    return avalOf(size, x.dtype);
  },
  transpose: {
    x: (ct, { params: { window, strides, padding, dilation } }) =>
      patches(ct, { window, strides, padding, dilation }),
  },
  batch: ([x], _, params) => {
    const [images, ...rest] = params.size;
    const all = { ...params, size: [images * x.shape[0], ...rest] };
    return overImages(x, (windows) => overlapAdd(windows, all));
  },
  cost: ([x]) => x.size,
  sample: (draw) => {
    const { inputs, params } = sampleCall(draw, real());
    const size = inputs[0].shape;
    const [oh, ow] = counts("overlapAdd", avalOf(size, "float64"), params);
    return { inputs: [argument([size[0], oh, ow, area(params), size[3]])], params: { ...params, size } };
  },
  decompose: ([x], params) => {
    const { size, padding } = params;
    const [n, oh, ow, , c] = x.shape;
    const [h, w] = [1, 2].map((i) => size[i] + padding[i - 1][0] + padding[i - 1][1]);
    let total: Value | undefined;
    eachOffset([n, h, w, c], params).forEach(({ begin }, k) => {
      const column = x.slice([0, 0, 0, k, 0], [n, oh, ow, k + 1, c]).reshape([n, oh, ow, c]);
      const strides = stridesOver(params);
      const span = [0, 1, 2, 3].map((i) =>
        column.shape[i] === 0 ? 0 : (column.shape[i] - 1) * strides[i] + 1,
      );
      const placed = pad(column, {
        low: begin,
        high: [n, h, w, c].map((length, i) => length - begin[i] - span[i]),
        interior: strides.map((s) => s - 1),
        value: 0,
      });
      total = total === undefined ? placed : total.add(placed);
    });
    const begin = [0, padding[0][0], padding[1][0], 0];
    return (total as Value).slice(
      begin,
      begin.map((b, i) => b + size[i]),
    );
  },
});

const stridesOver = ({ strides }: PoolParams): number[] => [1, strides[0], strides[1], 1];

function padImage(x: Value, { padding }: PoolParams): Value {
  const [rows, columns] = padding;
  return pad(x, {
    low: [0, rows[0], columns[0], 0],
    high: [0, rows[1], columns[1], 0],
    interior: [0, 0, 0, 0],
    value: 0,
  });
}

/** For each place within the window, the strided part of the padded image that lies under it. */
function eachOffset(padded: Shape, params: PoolParams): { begin: number[]; end: number[] }[] {
  const { window, strides, dilation } = params;
  const positions = [0, 1].map(
    (i) => Math.floor((padded[i + 1] - (window[i] - 1) * dilation[i] - 1) / strides[i]) + 1,
  );
  const offsets: { begin: number[]; end: number[] }[] = [];
  for (let i = 0; i < window[0]; i++) {
    for (let j = 0; j < window[1]; j++) {
      const begin = [0, i * dilation[0], j * dilation[1], 0];
      const end = [
        padded[0],
        begin[1] + (positions[0] - 1) * strides[0] + 1,
        begin[2] + (positions[1] - 1) * strides[1] + 1,
        padded[3],
      ];
      offsets.push({ begin, end });
    }
  }
  return offsets;
}

/**
 * The derivative of each window's maximum with respect to the elements under it, as patches: shared by those that attain
 * it and are no padding, 0 for the others, and NaN for all where there is a NaN, which equals nothing.
 */
function shares(x: Value, output: Value, params: PoolParams): Value {
  const [n, oh, ow, c] = output.shape;
  const inImage = patches(x.onesLike(), params).gt(0);
  const attains = patches(x, params).eq(output.reshape([n, oh, ow, 1, c]));
  const winners = attains.and(inImage).astype(x.dtype);
  return winners.mul(winners.sum({ axis: 3, keepDims: true }).reciprocal());
}

const pooledShape = (who: string, x: Aval, params: PoolParams): Aval => {
  const empty = [0, 1].find((i) => Math.max(...params.padding[i]) >= params.window[i]);
  if (empty !== undefined) {
    fail(
      ShapeError,
      `${who}: padding ${params.padding[empty].join(", ")} on image axis ${empty} leaves windows of ${params.window[empty]} ` +
        `without any element. Padding must be less than the window.`,
    );
  }
  const [oh, ow] = counts(who, x, params);
  return avalOf([x.shape[0], oh, ow, x.shape[3]], x.dtype);
};

/** Rows of an image of one channel, under windows of 2 by 2 that lie side by side. */
const pooledKink = (rows: readonly number[][], partials: readonly number[][]): Kink<PoolParams> => {
  const image = (numbers: readonly number[][]) => [[numbers.map((row) => row.map((x) => [x]))]];
  return {
    at: image(rows),
    params: {
      window: [2, 2],
      strides: [2, 2],
      padding: [
        [0, 0],
        [0, 0],
      ],
      dilation: [1, 1],
    },
    partials: image(partials),
    because: "convex: those that tie get the same share; in a window with a NaN nothing is the largest",
  };
};

/** The largest element under each window; padding never wins. Elements that tie share the derivative. */
export const maxPooling: Op<readonly ["x"], PoolParams> = primitive("maxPool2d", {
  args: ["x"],
  residuals: { x: ["x", "output"] },
  shape: ([x], params: PoolParams) => pooledShape("maxPool2d", x, params),
  jvp: {
    x: (dx, { x, output, params }) =>
      strongMul(patches(dx, params), shares(x, output, params)).sum({ axis: 3 }),
  },
  vjp: {
    x: (ct, { x, output, avals, params }) => {
      const [n, oh, ow, c] = ct.shape;
      const each = strongMul(ct.reshape([n, oh, ow, 1, c]), shares(x, output, params));
      return overlapAdd(each, { ...params, size: avals.x.shape });
    },
  },
  batch: ([x], _, params) => overImages(x, (images) => maxPooling(images, params)),
  cost: (_, output, params) => output.size * area(params),
  sample: (draw) => sampleCall(draw, real({ distinct: true })),
  kinks: [
    // The window [[1, 1], [0, 1]] and the window [[2, 1], [2, 0]].
    pooledKink(
      [
        [1, 1, 2, 1],
        [0, 1, 2, 0],
      ],
      [
        [1 / 3, 1 / 3, 1 / 2, 0],
        [0, 1 / 3, 1 / 2, 0],
      ],
    ),
    pooledKink(
      [
        [1, 1, NaN, 1],
        [0, 1, 2, 2],
      ],
      [
        [1 / 3, 1 / 3, NaN, NaN],
        [0, 1 / 3, NaN, NaN],
      ],
    ),
  ],
});

/** How many elements that are no padding lie under each window, as 1 / count in the shape [N, OH, OW, C]. */
function shareOf(like: Value, params: PoolParams): Value {
  return patches(like, params).sum({ axis: 3 }).reciprocal();
}

/** The mean of the elements under each window; padding does not count. */
export const avgPooling: Op<readonly ["x"], PoolParams> = linear("avgPool2d", {
  args: ["x"],
  shape: ([x], params: PoolParams) => pooledShape("avgPool2d", x, params),
  transpose: {
    x: (ct, { avals, params }) => {
      const [n, oh, ow, c] = ct.shape;
      const ones = ct.constant(1, avals.x);
      const each = ct.mul(shareOf(ones, params)).reshape([n, oh, ow, 1, c]);
      const spread = each.broadcastTo([n, oh, ow, area(params), c]);
      return overlapAdd(spread, { ...params, size: avals.x.shape });
    },
  },
  batch: ([x], _, params) => overImages(x, (images) => avgPooling(images, params)),
  cost: (_, output, params) => output.size * area(params),
  sample: (draw) => sampleCall(draw, real()),
  decompose: ([x], params) => patches(x, params).sum({ axis: 3 }).mul(shareOf(x.onesLike(), params)),
});
