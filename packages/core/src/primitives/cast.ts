/** Changes of dtype, and the open cut of a gradient. */
import { type Shape, sameShape } from "../aval.ts";
import { bind } from "../bind.ts";
import type { DType } from "../dtype.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { type Operand, lift } from "../operand.ts";
import { type Op, discrete, linear, primitive } from "../define/general.ts";
import { type NoParams, nonDifferentiable } from "../primitive.ts";
import { type ArgumentSample, argument, bools } from "../sampling.ts";
import { allBatched } from "../vmap/batch-rules.ts";
import type { Value } from "../value.ts";

const wholeNumbers = (shape: Shape): ArgumentSample =>
  argument(shape, { low: -9, high: 9, integer: true }, "int32");

interface ConvertParams {
  readonly dtype: DType;
}

const convert = linear("convert", {
  args: ["x"],
  elementwise: true,
  shape: ([x], { dtype }: ConvertParams) => x.withDType(dtype),
  transpose: { x: (ct, { avals }) => astype(ct, avals.x.dtype) },
  cost: (_, output) => output.size,
  sample: (draw) => {
    const shape = draw.shape();
    const from = draw.choose([argument(shape), argument(shape), wholeNumbers(shape), bools(shape)]);
    const to = draw.choose<DType | undefined>(["float32", "float32", undefined, undefined, "int32", "bool"]);
    return { inputs: [from], params: (float) => ({ dtype: to ?? float }) };
  },
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
  elementwise: true,
  shape: ([x]) => x,
  surrogateFor: ([x]) => x.zerosLike(),
  cost: () => 0,
  sample: (draw) => ({ inputs: [argument(draw.shape())], params: {} }),
});

/** The value of `hard` with the derivative of `soft`: a surrogate, which ops/straight-through.ts gives to the user. */
export const straight: Op<readonly ["hard", "soft"], NoParams> = primitive("straightThrough", {
  args: ["hard", "soft"],
  residuals: {},
  shape: ([hard, soft]) => {
    if (!sameShape(hard.shape, soft.shape) || hard.dtype !== soft.dtype) {
      fail(
        hard.dtype === soft.dtype ? ShapeError : DTypeError,
        `straightThrough: the hard function gives ${hard}, the soft one ${soft}. They must give the same shape and dtype.`,
      );
    }
    return hard;
  },
  surrogateFor: ([, soft]) => soft,
  jvp: { hard: nonDifferentiable("its derivative is that of the soft function"), soft: (tangent) => tangent },
  vjp: {
    hard: nonDifferentiable("its derivative is that of the soft function"),
    soft: (cotangent) => cotangent,
  },
  cost: () => 0,
  sample: (draw) => {
    const shape = draw.shape();
    return { inputs: [argument(shape), argument(shape)], params: {} };
  },
  batch: (inputs, batched) => {
    const [hard, soft] = allBatched(inputs, batched);
    return straight(hard, soft);
  },
});
