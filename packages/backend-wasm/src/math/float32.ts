/** Elementary functions of float32, in the lanes of a vector. */
import type { VectorFunction } from "./index.ts";

export const float32Functions: Readonly<Record<string, VectorFunction>> = {};
