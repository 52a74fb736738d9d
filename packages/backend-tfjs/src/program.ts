/** Shaders of our own, run inside tfjs's engine. */
import type { Shape } from "@cotangent/core";
import type { GPGPUProgram, MathBackendWebGL } from "@tensorflow/tfjs-backend-webgl";
import {
  type NamedAttrMap,
  type Tensor as TfTensor,
  type TensorInfo,
  engine,
  getKernel,
  registerKernel,
  reshape,
} from "@tensorflow/tfjs-core";
import { glslFunctionsFor } from "./glsl.ts";

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
  inputs.forEach((input, i) => (named[`x${i}`] = input));
  const attributes = { program, uniforms: uniforms.map((value) => [value]) } as unknown as NamedAttrMap;
  return engine().runKernel<TfTensor>(kernelName, named, attributes);
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

/** A shader that computes every element of its output from those of its inputs at the same place. */
export interface Loop {
  readonly program: GPGPUProgram;
  /** The shapes in which it takes its inputs. */
  readonly shapes: readonly number[][];
  readonly outputShape: Shape;
}

/**
 * The shader whose element of the output is `result`, after some `statements`; in both x0, x1 and so on are the elements of
 * inputs that broadcast to the output. Undefined where that takes more axes than shaders have.
 */
export function loopOf(
  statements: string,
  result: string,
  inputs: readonly Shape[],
  outputShape: Shape,
): Loop | undefined {
  const merged = commonAxes(inputs, outputShape);
  if (merged === undefined) return undefined;
  const reads = inputs.map((_, i) => `float x${i} = getX${i}AtOutCoords();`);
  const program: GPGPUProgram = {
    variableNames: inputs.map((_, i) => `X${i}`),
    outputShape: merged.outputShape,
    enableShapeUniforms: merged.outputShape.length <= 4, // tfjs writes larger shapes into the shader, but not into its key
    userCode: `
    ${glslFunctionsFor(`${statements} ${result}`)}
    void main() {
      ${[...reads, statements].join("\n      ")}
      setOutput(${result});
    }`,
  };
  return { program, shapes: merged.shapes, outputShape };
}

/** What a shader makes of its inputs. */
export function runLoop({ program, shapes, outputShape }: Loop, inputs: readonly TfTensor[]): TfTensor {
  const found = runProgram(
    program,
    inputs.map((input, i) => reshape(input, shapes[i])),
  );
  return reshape(found, [...outputShape]);
}

/**
 * Merges neighbouring axes along which every input is either whole or broadcast: shaders read at most six axes, and most
 * calls need one.
 */
function commonAxes(
  shapes: readonly Shape[],
  output: Shape,
): { readonly shapes: number[][]; readonly outputShape: number[] } | undefined {
  const padded = shapes.map((shape) => [
    ...new Array<number>(output.length - shape.length).fill(1),
    ...shape,
  ]);
  const outputShape: number[] = [];
  const out: number[][] = shapes.map(() => []);
  let pattern: string | undefined;
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
  return outputShape.length > 6 ? undefined : { shapes: out, outputShape };
}
