import { type Aval, type Buffer, type DType, type Tensor, type TypedArray, hostArray } from "@cotangent/core";

/** Rank-0 values are plain numbers; all others are typed arrays in row-major order. */
export type JsBuffer = number | TypedArray;

/** A number as its dtype stores it. */
export function rounded(value: number, dtype: DType): number {
  switch (dtype) {
    case "float64":
      return value;
    case "float32":
      return Math.fround(value);
    case "int32":
      return value | 0;
    case "bool":
      return value !== 0 && value === value ? 1 : value === value ? 0 : 1;
  }
}

/** The elements as an array, whatever the rank. */
export function elements(tensor: Tensor): TypedArray {
  const buffer = tensor.buffer as JsBuffer;
  return typeof buffer === "number" ? hostArray(tensor.dtype, 1).fill(buffer) : buffer;
}

/** A fresh array for a result. */
export function result(aval: Aval): TypedArray {
  return hostArray(aval.dtype, aval.size);
}

/** The array as the buffer of a value of that rank. */
export function stored(array: TypedArray, aval: Aval): Buffer {
  return aval.shape.length === 0 ? array[0] : array;
}
