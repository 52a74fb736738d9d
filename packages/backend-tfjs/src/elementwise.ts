/** Elementwise kernels: on WebGL one program each, of our own; on other tfjs backends a composition of tfjs's kernels. */
import {
  BackendError,
  type DType,
  type Kernel,
  type Params,
  type Shape,
  type Tensor,
  fail,
  sameShape,
} from "@cotangent/core";
import { type Tensor as TfTensor, getBackend } from "@tensorflow/tfjs-core";
import { glslExpressions, glslIntegerExpressions } from "./glsl.ts";
import { portable } from "./portable.ts";
import { loopOf, runLoop } from "./program.ts";

/** Runs an elementwise expression in a, b and c on WebGL tensors that broadcast to the output's shape. */
export function runExpression(expression: string, inputs: readonly TfTensor[], output: Shape): TfTensor {
  const shapes = inputs.map((input) => input.shape);
  const operands = shapes.map((_, i) => `x${i}`);
  const loop = loopOf(definition("y", expression, operands), "y", shapes, output);
  if (loop === undefined) {
    fail(
      BackendError,
      `WebGL broadcasts along at most 5 groups of axes, but ${shapes.map((shape) => `[${shape.join(", ")}]`).join(" and ")} ` +
        `need more. Reshape so that fewer axes of size 1 alternate with others.`,
    );
  }
  return runLoop(loop, inputs);
}

/** The definition of a GLSL variable by an expression in a, b and c, which stand for these operands. */
export function definition(name: string, expression: string, operands: readonly string[]): string {
  const named = operands.slice(0, 3).map((operand, i) => `float ${"abc"[i]} = ${operand};`);
  return `float ${name}; { ${named.join(" ")} ${name} = ${expression}; }`;
}

/** The GLSL expression of an elementwise primitive in its inputs a, b and c; undefined where it has none. */
export function expressionOf(name: string, params: Params, input: DType, output: DType): string | undefined {
  switch (name) {
    case "clamp": {
      const { low, high } = params as { readonly low: number; readonly high: number };
      return `isnan_(a) ? a : min(max(a, ${literal(low)}), ${literal(high)})`;
    }
    case "convert":
      return conversion(input, output);
    default:
      return (input === "int32" ? glslIntegerExpressions[name] : undefined) ?? glslExpressions[name];
  }
}

/** A number as float32 holds it, to the last bit, whatever the compiler makes of decimals. */
export function literal(value: number): string {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer);
  return `uintBitsToFloat(0x${bits.toString(16)}u)`;
}

function conversion(from: DType, to: DType): string {
  const isFloat = from === "float32";
  switch (to) {
    case "float32":
      return "a == 0.0 ? 0.0 : a"; // an int32 knows no -0
    case "int32":
      return isFloat ? "isnan_(a) || isinf_(a) ? 0.0 : whole_(sign(a) * floor(abs(a)))" : "a";
    case "bool":
      return isFloat ? "a != 0.0 || isnan_(a) ? 1.0 : 0.0" : "isnan_(a) ? a : float(a != 0.0)";
    case "float64":
      return "a";
  }
}

const unwrap = (inputs: readonly Tensor[]): TfTensor[] => inputs.map((input) => input.buffer as TfTensor);

/** The kernel of an elementwise primitive. */
const elementwiseKernel =
  (name: string): Kernel =>
  (inputs, output, params) => {
    const tensors = unwrap(inputs);
    const expression = expressionOf(name, params, inputs[0].dtype, output.dtype);
    return getBackend() === "webgl" && expression !== undefined
      ? runExpression(expression, tensors, output.shape)
      : portable[name](tensors, output, params);
  };

/** What gives its first input. */
const identities = ["stopGradient", "straightThrough"];

export const elementwise: Readonly<Record<string, Kernel>> = {
  ...Object.fromEntries(
    [...Object.keys(glslExpressions), "clamp", "convert"].map((name) => [name, elementwiseKernel(name)]),
  ),
  ...Object.fromEntries(identities.map((name): [string, Kernel] => [name, ([x]) => x.buffer])),
  broadcastTo: ([x], output, params) =>
    sameShape(x.shape, output.shape) ? x.buffer : elementwiseKernel("broadcastTo")([x], output, params),
};
