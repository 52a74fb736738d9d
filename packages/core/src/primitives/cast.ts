/** Changes of dtype, and the open cut of a gradient. */
import { bind } from "../bind.ts";
import type { DType } from "../dtype.ts";
import { type Operand, lift } from "../operand.ts";
import { discrete, linear } from "../define/general.ts";
import { argument } from "../sampling.ts";
import type { Value } from "../value.ts";

interface ConvertParams {
  readonly dtype: DType;
}

const convert = linear("convert", {
  args: ["x"],
  elementwise: true,
  shape: ([x], { dtype }: ConvertParams) => x.withDType(dtype),
  transpose: { x: (ct, { avals }) => astype(ct, avals.x.dtype) },
  cost: (_, output) => output.size,
  sample: (draw) => ({ inputs: [argument(draw.shape())], params: { dtype: "float32" } }),
});

/**
 * The value in another dtype: int32 and bool from floats truncate towards zero and test for non-zero. Between
 * floating dtypes the derivative passes through; to int32 or bool it is cut.
 */
export function astype(x: Operand, dtype: DType): Value {
  const [value] = lift("astype", [x]);
  return value.dtype === dtype ? value : bind(convert.primitive, [value], { dtype });
}

/** The same value, with every derivative zero. */
export const stopGradient: (x: Operand) => Value = discrete("stopGradient", {
  args: ["x"],
  shape: ([x]) => x,
  cost: () => 0,
  sample: (draw) => ({ inputs: [argument(draw.shape())], params: {} }),
});
