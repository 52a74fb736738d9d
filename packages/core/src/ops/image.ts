/** Convolution and pooling of images [N, H, W, C], as the user writes them. */
import { ShapeError, fail } from "../errors.ts";
import { type WindowParams, convolve } from "../primitives/convolution.ts";
import { avgPooling, maxPooling } from "../primitives/windows.ts";
import type { Value } from "../value.ts";

type Pair = number | readonly [number, number];

export interface WindowOptions {
  /** By default 1 for convolutions, the window for pooling. */
  readonly strides?: Pair;
  /** "valid" (the default) pads nothing; "same" makes the output ceil(size / stride), as in TensorFlow; or explicit. */
  readonly padding?:
    | "valid"
    | "same"
    | number
    | readonly [readonly [number, number], readonly [number, number]];
  readonly dilation?: Pair;
}

const pair = (value: Pair): readonly [number, number] => (typeof value === "number" ? [value, value] : value);

function windowParams(
  who: string,
  x: Value,
  window: readonly [number, number],
  options: WindowOptions,
  stride: Pair,
): WindowParams {
  if (x.rank !== 4) fail(ShapeError, `${who}: found ${x.aval}; images need the shape [N, H, W, C].`);
  const strides = pair(options.strides ?? stride);
  const dilation = pair(options.dilation ?? 1);
  const { padding = "valid" } = options;
  const same = (axis: 0 | 1): readonly [number, number] => {
    const size = x.shape[axis + 1];
    const span = (window[axis] - 1) * dilation[axis] + 1;
    const total = Math.max(0, (Math.ceil(size / strides[axis]) - 1) * strides[axis] + span - size);
    return [total >> 1, total - (total >> 1)];
  };
  if (padding === "same") return { strides, dilation, padding: [same(0), same(1)] };
  if (padding === "valid")
    return {
      strides,
      dilation,
      padding: [
        [0, 0],
        [0, 0],
      ],
    };
  if (typeof padding === "number")
    return {
      strides,
      dilation,
      padding: [
        [padding, padding],
        [padding, padding],
      ],
    };
  return { strides, dilation, padding };
}

/**
 * Convolution (cross-correlation) of images [N, H, W, C] with filters [KH, KW, C, O].
 *
 * @throws ShapeError where ranks, channels or the window do not fit.
 */
export function conv2d(x: Value, filters: Value, options: WindowOptions = {}): Value {
  if (filters.rank !== 4)
    fail(ShapeError, `conv2d: found filters ${filters.aval}; they need the shape [KH, KW, C, O].`);
  return convolve(x, filters, windowParams("conv2d", x, [filters.shape[0], filters.shape[1]], options, 1));
}

/** The largest element under each window; padding never wins. */
export function maxPool2d(x: Value, window: Pair, options: WindowOptions = {}): Value {
  const size = pair(window);
  return maxPooling(x, { window: size, ...windowParams("maxPool2d", x, size, options, window) });
}

/** The mean of the elements under each window; padding does not count. */
export function avgPool2d(x: Value, window: Pair, options: WindowOptions = {}): Value {
  const size = pair(window);
  return avgPooling(x, { window: size, ...windowParams("avgPool2d", x, size, options, window) });
}
