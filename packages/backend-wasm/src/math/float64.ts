/** Elementary functions of float64, in the lanes of a vector. */
import type { VectorFunction } from "./index.ts";

export const float64Functions: Readonly<Record<string, VectorFunction>> = {};
