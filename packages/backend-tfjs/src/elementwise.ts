/** Elementwise kernels: on WebGL one program each, of our own; on other tfjs backends a composition of tfjs's kernels. */
import {
  type Aval,
  BackendError,
  type Kernel,
  type Shape,
  type Tensor,
  fail,
  sameShape,
} from "@cotangent/core";
import type { GPGPUProgram, MathBackendWebGL } from "@tensorflow/tfjs-backend-webgl";
import {
  type NamedAttrMap,
  type Tensor as TfTensor,
  type TensorInfo,
  engine,
  getBackend,
  getKernel,
  registerKernel,
  reshape,
} from "@tensorflow/tfjs-core";
import { glslExpressions, glslFunctionsFor, glslIntegerExpressions } from "./glsl.ts";
import { portable } from "./portable.ts";

const kernelName = "CotangentProgram";

/**
 * Runs a program of our own on the WebGL backend, inside tfjs's engine, which counts and disposes of the output.
 * `uniforms` are the values of its custom uniforms.
 */
export function runProgram(
  program: GPGPUProgram,
  inputs: readonly TfTensor[],
  uniforms: readonly number[] = [],
): TfTensor {
  registerPrograms();
  const named: Record<string, TfTensor> = {};
  inputs.forEach((input, i) => (named["abc"[i]] = input));
  const attributes = { program, uniforms: uniforms.map((value) => [value]) } as unknown as NamedAttrMap;
  return engine().runKernel<TfTensor>(kernelName, named, attributes);
}

/** A shader that computes one expression of its inputs a, b, c, which broadcast to the output. */
function programOf(expression: string, inputCount: number, outputShape: number[]): GPGPUProgram {
  const names = ["A", "B", "C"].slice(0, inputCount);
  const reads = names
    .map((name) => `float ${name.toLowerCase()} = get${name}AtOutCoords();`)
    .join("\n      ");
  return {
    variableNames: names,
    outputShape,
    enableShapeUniforms: outputShape.length <= 4, // tfjs writes larger shapes into the shader, but not into its key
    userCode: `
    ${glslFunctionsFor(expression)}
    void main() {
      ${reads}
      setOutput(${expression});
    }`,
  };
}

function registerPrograms(): void {
  if (getKernel(kernelName, "webgl") !== undefined) return;
  registerKernel({
    kernelName,
    backendName: "webgl",
    kernelFunc: ({ inputs, backend, attrs }): TensorInfo => {
      const { program, uniforms } = attrs as unknown as { program: GPGPUProgram; uniforms: number[][] };
      const given = Object.values(inputs as Record<string, TensorInfo>);
      return (backend as unknown as MathBackendWebGL).compileAndRun(program, given, "float32", uniforms);
    },
  });
}

/** Runs an elementwise expression on WebGL tensors that broadcast to the output's shape. */
export function runExpression(expression: string, inputs: readonly TfTensor[], output: Aval): TfTensor {
  const { shapes, outputShape } = merged(
    inputs.map((input) => input.shape),
    output.shape,
  );
  const program = programOf(expression, inputs.length, outputShape);
  const merging = inputs.map((input, i) => reshape(input, shapes[i]));
  const found = runProgram(program, merging);
  return reshape(found, [...output.shape]);
}

/**
 * Merges neighbouring axes along which every input is either whole or broadcast: shaders read at most six axes, and most
 * calls need one.
 */
function merged(shapes: readonly Shape[], output: Shape): { shapes: number[][]; outputShape: number[] } {
  const padded = shapes.map((shape) => [
    ...new Array<number>(output.length - shape.length).fill(1),
    ...shape,
  ]);
  const outputShape: number[] = [];
  const out: number[][] = shapes.map(() => []);
  let pattern = "";
  output.forEach((n, axis) => {
    if (n === 1) return;
    const here = padded.map((shape) => (shape[axis] === 1 ? "b" : "w")).join("");
    if (here !== pattern) {
      pattern = here;
      outputShape.push(1);
      for (const shape of out) shape.push(1);
    }
    const last = outputShape.length - 1;
    outputShape[last] *= n;
    padded.forEach((shape, i) => (out[i][last] *= shape[axis]));
  });
  // tfjs reads an input at the output's own place where ranks and textures agree, and a slice has its parent's texture:
  // a broadcast input must therefore have another rank than the output.
  const broadcasts = out.some((shape) => shape.some((n, i) => n !== outputShape[i]));
  if (broadcasts) outputShape.unshift(1);
  if (outputShape.length > 6) {
    fail(
      BackendError,
      `WebGL broadcasts along at most 5 groups of axes, but ${shapes.map((shape) => `[${shape.join(", ")}]`).join(" and ")} ` +
        `need ${outputShape.length - 1}. Reshape so that fewer axes of size 1 alternate with others.`,
    );
  }
  return { shapes: out, outputShape };
}

const unwrap = (inputs: readonly Tensor[]): TfTensor[] => inputs.map((input) => input.buffer as TfTensor);

/** The kernel of an elementwise primitive. */
function elementwiseKernel(name: string): Kernel {
  return (inputs, output) => {
    const tensors = unwrap(inputs);
    if (getBackend() === "webgl") {
      const expressions = inputs[0].dtype === "int32" ? glslIntegerExpressions : glslExpressions;
      return runExpression(expressions[name] ?? glslExpressions[name], tensors, output);
    }
    return portable[name](tensors, output);
  };
}

const clamp: Kernel = (inputs, output, params) => {
  const { low, high } = params as { low: number; high: number };
  const tensors = unwrap(inputs);
  if (getBackend() !== "webgl") return portable["clamp"](tensors, output, params);
  const bound = (x: number): string =>
    Number.isFinite(x) ? `float(${x.toExponential()})` : x > 0 ? "INF_" : "-INF_";
  return runExpression(`isnan_(a) ? a : min(max(a, ${bound(low)}), ${bound(high)})`, tensors, output);
};

const convert: Kernel = (inputs, output) => {
  const tensors = unwrap(inputs);
  if (getBackend() !== "webgl") return portable["convert"](tensors, output);
  const isFloat = inputs[0].dtype === "float32";
  const expression = {
    float32: "a == 0.0 ? 0.0 : a", // an int32 knows no -0
    int32: isFloat ? "isnan_(a) || isinf_(a) ? 0.0 : whole_(sign(a) * floor(abs(a)))" : "a",
    bool: isFloat ? "a != 0.0 || isnan_(a) ? 1.0 : 0.0" : "isnan_(a) ? a : float(a != 0.0)",
    float64: "a",
  }[output.dtype];
  return runExpression(expression, tensors, output);
};

export const elementwise: Readonly<Record<string, Kernel>> = {
  ...Object.fromEntries(Object.keys(glslExpressions).map((name) => [name, elementwiseKernel(name)])),
  stopGradient: ([x]) => x.buffer,
  straightThrough: ([hard]) => hard.buffer,
  broadcastTo: ([x], output, params) =>
    sameShape(x.shape, output.shape) ? x.buffer : elementwiseKernel("broadcastTo")([x], output, params),
  clamp,
  convert,
};
