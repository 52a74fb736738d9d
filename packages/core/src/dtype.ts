/** The element types of a value. Which of them exist is a property of the backend. */
export type DType = "float64" | "float32" | "int32" | "bool";

/** The dtypes that can be differentiated. */
export type FloatDType = "float64" | "float32";

/** Bytes that one element takes. */
export const bytesPerElement: Readonly<Record<DType, number>> = { float64: 8, float32: 4, int32: 4, bool: 1 };

export function isFloating(dtype: DType): dtype is FloatDType {
  return dtype === "float64" || dtype === "float32";
}
