/** Keeps tfjs from running a shader on textures for which it was not compiled. */
import { type GPGPUProgram, type MathBackendWebGL, webgl_util } from "@tensorflow/tfjs-backend-webgl";
import { type TensorInfo, env, util } from "@tensorflow/tfjs-core";

/**
 * Makes the backend compile shaders apart that read their inputs in different ways.
 *
 * With shapes as uniforms, tfjs shares one shader among inputs of many shapes. It reads an input without its axes of
 * size 1 straight at [row, column] where the texture has that very shape, and by offset otherwise. Of tfjs's key for
 * compiled shaders that distinction is a part only where there are no axes of size 1 (as of 4.22, `makeShaderKey` compares
 * the texture with the full shape): [6, 3, 1] in a texture of 1 x 18 would be read by the shader for one in a texture of
 * 6 x 3, or the other way round. So the distinction is made part of the code, which is part of the key.
 */
export function keepShadersApart(backend: MathBackendWebGL): void {
  const run = backend.runWebGLProgram.bind(backend);
  backend.runWebGLProgram = (program, inputs, ...rest) => {
    if (program.enableShapeUniforms !== true) return run(program, inputs, ...rest);
    const { userCode } = program;
    program.userCode = `${userCode}\n// ${inputs.map((input) => readingOf(backend, program, input)).join(" ")}`;
    try {
      return run(program, inputs, ...rest);
    } finally {
      program.userCode = userCode;
    }
  };
}

function readingOf(backend: MathBackendWebGL, program: GPGPUProgram, input: TensorInfo): string {
  const texture = textureShapeOf(backend, program.packedInputs === true, input);
  if (texture === undefined) return "uniform";
  return util.arraysEqual(util.squeezeShape(input.shape).newShape, texture) ? "direct" : "offset";
}

/** The shape of the texture in which the program will find the input, as `runWebGLProgram` provides for it. */
function textureShapeOf(
  backend: MathBackendWebGL,
  packed: boolean,
  { dataId, shape }: TensorInfo,
): number[] | undefined {
  const found = backend.texData.get(dataId);
  const isUploaded = found.texture !== undefined && found.texture !== null;
  if (!isUploaded && !packed)
    return util.sizeFromShape(shape) <= env().getNumber("WEBGL_SIZE_UPLOAD_UNIFORM")
      ? undefined
      : webgl_util.getTextureShapeFromLogicalShape(found.shape, false);
  const isAsNeeded =
    isUploaded &&
    (found.isPacked === true) === packed &&
    (!packed || webgl_util.isReshapeFree(found.shape, shape));
  return isAsNeeded ? found.texShape : webgl_util.getTextureShapeFromLogicalShape(shape, packed);
}
