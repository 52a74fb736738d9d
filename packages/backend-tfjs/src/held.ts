import type { DType } from "@cotangent/core";
import { getBackend } from "@tensorflow/tfjs-core";

/**
 * The dtype under which tfjs holds a value. WebGL computes every dtype in float32 textures; held as float32, an int32
 * or bool has room for a NaN, which marks an int32 that is out of range and all that depends on it.
 */
export function heldDType(dtype: DType): "float32" | "int32" | "bool" {
  return dtype === "float64" || getBackend() === "webgl" ? "float32" : dtype;
}

/** From 2^24 on, a whole number in float32 may be another one rounded. */
export const largestExactInteger: number = 2 ** 24 - 1;
