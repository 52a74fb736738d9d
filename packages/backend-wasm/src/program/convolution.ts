/** Convolutions as products of matrices whose operands are windows of an image, read where they lie. */
import type { DType, Shape, WindowParams } from "@cotangent/core";
import { stridesOf } from "@cotangent/core";
import type { ProductSpec } from "./contraction.ts";
import type { Layout } from "./layout.ts";

/** The elements under each position of a window: [N, OH, OW, KH, KW, C], of a padded image [N, H, W, C]. */
export function windowsOf(
  image: Layout,
  [oh, ow]: readonly number[],
  [kh, kw]: readonly number[],
  { strides: [down, right], dilation }: Pick<WindowParams, "strides" | "dilation">,
): Layout {
  const [n, h, w, c] = image.strides;
  return {
    shape: [image.shape[0], oh, ow, kh, kw, image.shape[3]],
    strides: [n, down * h, right * w, dilation[0] * h, dilation[1] * w, c],
    offset: image.offset,
  };
}

/** `conv2d` from the windows of the image and the filters. */
export function convolution(dtype: DType, windows: Layout, filters: Layout): ProductSpec {
  const [n, oh, ow, kh, kw, c] = windows.strides;
  const [batch, down, across, height, width, channels] = windows.shape;
  const features = filters.shape[3];
  return {
    dtype,
    batch: [],
    rows: [
      { size: batch, strides: [n, 0, down * across * features] },
      { size: down, strides: [oh, 0, across * features] },
      { size: across, strides: [ow, 0, features] },
    ],
    columns: [{ size: features, strides: [0, filters.strides[3], 1] }],
    terms: [
      { size: height, strides: [kh, filters.strides[0], 0] },
      { size: width, strides: [kw, filters.strides[1], 0] },
      { size: channels, strides: [c, filters.strides[2], 0] },
    ],
  };
}

/** `conv2dFilterTranspose` from the windows of the image and the cotangent. */
export function filterTranspose(dtype: DType, windows: Layout, cotangent: Layout): ProductSpec {
  const [n, oh, ow, kh, kw, c] = windows.strides;
  const [batch, down, across, height, width, channels] = windows.shape;
  const features = cotangent.shape[3];
  return {
    dtype,
    batch: [],
    rows: [
      { size: height, strides: [kh, 0, width * channels * features] },
      { size: width, strides: [kw, 0, channels * features] },
      { size: channels, strides: [c, 0, features] },
    ],
    columns: [{ size: features, strides: [0, cotangent.strides[3], 1] }],
    terms: [
      { size: batch, strides: [n, cotangent.strides[0], 0] },
      { size: down, strides: [oh, cotangent.strides[1], 0] },
      { size: across, strides: [ow, cotangent.strides[2], 0] },
    ],
  };
}

/** One product of those that an input transpose is made of, and where its operands and its result begin. */
interface Phase {
  readonly spec: ProductSpec;
  readonly offsets: readonly [cotangent: number, filters: number, image: number];
}

/** What reaches every `stride`-th row of an image, from one on: filters from `first` on in steps, and cotangents. */
interface PhaseOfAxis {
  readonly start: number;
  readonly count: number;
  readonly first: number;
  readonly taps: number;
  readonly tapStep: number;
  /** Which cotangent the first tap meets at the first row, and how many fewer each further tap does. */
  readonly cotangent: number;
  readonly cotangentStep: number;
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

function phasesOf(
  size: number,
  window: number,
  stride: number,
  before: number,
  dilation: number,
): PhaseOfAxis[] {
  const tapStep = stride / divisor(stride, dilation);
  return Array.from({ length: Math.min(stride, size) }, (_, start) => {
    const isMet = (tap: number): boolean => (start + before - tap * dilation) % stride === 0;
    const first = Array.from({ length: Math.min(window, tapStep) }, (__, tap) => tap).find(isMet);
    return {
      start,
      count: Math.ceil((size - start) / stride),
      first: first ?? 0,
      taps: first === undefined ? 0 : Math.ceil((window - first) / tapStep),
      tapStep,
      cotangent: first === undefined ? 0 : (start + before - first * dilation) / stride,
      cotangentStep: (tapStep * dilation) / stride,
    };
  });
}

/** How many products there may be along an axis, for its two ends and what lies between. */
const mostSegments = 3;

/**
 * A phase in pieces, of which those at the ends leave out the taps that meet no cotangent there: a filter as wide as half the
 * image would else be multiplied by as many zeros around the cotangents. In one piece where that saves less than a tenth.
 */
function segmentsOf(phase: PhaseOfAxis, cotangents: number, stride: number): PhaseOfAxis[] {
  const { start, count, first, taps, tapStep, cotangent, cotangentStep } = phase;
  const piece = (begin: number, end: number): PhaseOfAxis => {
    const skipped = Math.max(0, Math.floor((cotangent + begin - cotangents) / cotangentStep) + 1);
    const last = Math.min(taps, Math.floor((cotangent + end - 1) / cotangentStep) + 1);
    return {
      start: start + begin * stride,
      count: end - begin,
      first: first + skipped * tapStep,
      taps: Math.max(0, last - skipped),
      tapStep,
      cotangent: cotangent + begin - skipped * cotangentStep,
      cotangentStep,
    };
  };
  const costOf = (pieces: readonly PhaseOfAxis[]): number =>
    pieces.reduce((sum, each) => sum + each.count * each.taps, 0);
  let best = [phase];
  // At the ends at most as many rows as the filter reaches over them.
  const reach = Math.min(taps * cotangentStep, Math.floor((count - 1) / (mostSegments - 1)));
  for (let width = 1; width <= reach; width++) {
    const pieces = [piece(0, width), piece(width, count - width), piece(count - width, count)];
    if (costOf(pieces) < costOf(best)) best = pieces;
  }
  return costOf(best) < 0.9 * costOf([phase]) ? best : [phase];
}

/** `conv2dInputTranspose`: products for the rows and columns of the image that the same part of the filters reaches. */
export interface InputTranspose {
  /** How many zeros the cotangent needs [before, after] its rows and columns. */
  readonly padding: readonly (readonly [number, number])[];
  /** Whether some of the image is reached by no filter, and so is zero. */
  readonly leavesZeros: boolean;
  readonly phases: (cotangent: Layout, filters: Layout) => Phase[];
}

export function inputTranspose(
  dtype: DType,
  image: Shape,
  [kh, kw]: readonly number[],
  [oh, ow]: readonly number[],
  { strides, padding, dilation }: WindowParams,
): InputTranspose {
  const isDense = strides.every((stride) => stride === 1);
  const axes = [
    phasesOf(image[1], kh, strides[0], padding[0][0], dilation[0]),
    phasesOf(image[2], kw, strides[1], padding[1][0], dilation[1]),
  ].map((phases, axis) =>
    isDense ? phases.flatMap((phase) => segmentsOf(phase, [oh, ow][axis], strides[axis])) : phases,
  );
  const needed = axes.map((phases, axis): [number, number] => {
    const used = phases.filter(({ taps }) => taps > 0);
    const low = used.map(({ cotangent, cotangentStep, taps }) => cotangent - (taps - 1) * cotangentStep);
    const high = used.map(({ cotangent, count }) => cotangent + count - 1);
    return [Math.max(0, ...low.map((n) => -n)), Math.max(0, ...high.map((n) => n - [oh, ow][axis] + 1))];
  });
  const result = stridesOf(image);
  return {
    padding: needed,
    leavesZeros: axes.some((phases) => phases.some(({ taps }) => taps === 0)),
    phases: (cotangent, filters) =>
      axes[0].flatMap((down) =>
        axes[1].flatMap((across): Phase[] => {
          if (down.taps === 0 || across.taps === 0) return [];
          // The taps from the last to the first, so that the cotangents are gone through forwards.
          const lastOf = ({ first, taps, tapStep }: PhaseOfAxis): number => first + (taps - 1) * tapStep;
          const from = (phase: PhaseOfAxis, axis: number): number =>
            needed[axis][0] + phase.cotangent - (phase.taps - 1) * phase.cotangentStep;
          const [n, h, w, o] = cotangent.strides;
          const spec: ProductSpec = {
            dtype,
            batch: [],
            rows: [
              { size: image[0], strides: [n, 0, result[0]] },
              { size: down.count, strides: [h, 0, strides[0] * result[1]] },
              { size: across.count, strides: [w, 0, strides[1] * result[2]] },
            ],
            columns: [{ size: image[3], strides: [0, filters.strides[2], 1] }],
            terms: [
              {
                size: down.taps,
                strides: [down.cotangentStep * h, -down.tapStep * filters.strides[0], 0],
              },
              {
                size: across.taps,
                strides: [across.cotangentStep * w, -across.tapStep * filters.strides[1], 0],
              },
              { size: filters.shape[3], strides: [o, filters.strides[3], 0] },
            ],
          };
          return [
            {
              spec,
              offsets: [
                cotangent.offset + from(down, 0) * h + from(across, 1) * w,
                filters.offset + lastOf(down) * filters.strides[0] + lastOf(across) * filters.strides[1],
                down.start * result[1] + across.start * result[2],
              ],
            },
          ];
        }),
      ),
  };
}

/** How patches [N, OH, OW, KH * KW, C] lie, with the axes of the window apart. */
export function patchesApart(
  { shape: [n, oh, ow, , c], strides, offset }: Layout,
  window: readonly number[],
): Layout {
  const [kh, kw] = window;
  return {
    shape: [n, oh, ow, kh, kw, c],
    strides: [...strides.slice(0, 3), strides[3] * kw, strides[3], strides[4]],
    offset,
  };
}
