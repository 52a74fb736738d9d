import {
  type Aval,
  type Backend,
  BackendError,
  type Buffer,
  DTypeError,
  type DType,
  type Graph,
  type Kernel,
  type MemoryFigures,
  type MultipleKernel,
  type Program,
  ShapeError,
  type Tensor,
  type Token,
  type TypedArray,
  fail,
  fused,
  hostArray,
} from "@cotangent/core";
import {
  type Tensor as TfTensor,
  engine,
  env,
  getBackend,
  keep,
  ready,
  setBackend,
  tensor as tfTensor,
} from "@tensorflow/tfjs-core";
import type { MathBackendWebGL } from "@tensorflow/tfjs-backend-webgl";
import "@tensorflow/tfjs-backend-webgl";
import { compileCluster, isExpression, mostNodes } from "./cluster.ts";
import { contractions, maxPool2d } from "./contraction.ts";
import { elementwise, runExpression } from "./elementwise.ts";
import { glslExpressions } from "./glsl.ts";
import { heldDType, largestExactInteger } from "./held.ts";
import { host } from "./host.ts";
import { indexing } from "./indexing.ts";
import { ofNothing, reductions } from "./reduction.ts";
import { shape } from "./shape.ts";
import { keepShadersApart } from "./shader-keys.ts";
import * as ops from "./tf-ops.ts";

interface Owned {
  readonly tensor: TfTensor;
  readonly bytes: number;
}

/** tfjs-core's kernels as a backend; of tfjs's gradients it uses nothing. */
export class TfjsBackend implements Backend {
  readonly name: string;
  readonly dtypes: readonly DType[] = ["float32", "int32", "bool"];
  readonly defaultDType: DType = "float32";
  readonly kernels: Map<string, Kernel>;
  readonly multipleKernels: Map<string, MultipleKernel> = new Map();
  /** The tfjs backend's own name. */
  readonly tfjsName: string;
  #buffers = 0;
  #bytes = 0;

  /** Use `createTfjsBackend`, which waits until tfjs is ready. */
  constructor(tfjsName: string) {
    this.tfjsName = tfjsName;
    this.name = tfjsName === "webgl" ? "webgl" : `tfjs-${tfjsName}`;
    const maximum = (x: TfTensor, y: TfTensor): TfTensor =>
      tfjsName === "webgl" ? runExpression(glslExpressions["max"], [x, y], x.shape) : ops.maximum(x, y);
    const all = {
      ...elementwise,
      ...shape,
      ...reductions,
      ...contractions,
      ...indexing,
      ...host,
      maxPool2d: maxPool2d(maximum),
    };
    this.kernels = new Map(Object.entries(all).map(([name, kernel]) => [name, this.#guarded(name, kernel)]));
  }

  /**
   * Others may have used tfjs meanwhile. It is synchronous for a backend that is ready, but goes through all kernels that are
   * registered, so it is done only where there is need.
   */
  #makeCurrent(): void {
    if (getBackend() !== this.tfjsName) void setBackend(this.tfjsName);
  }

  /** A kernel whose intermediates tfjs disposes of; what has no elements never reaches a shader. */
  #guarded(name: string, kernel: Kernel): Kernel {
    return (inputs, output, params) => {
      this.#makeCurrent();
      if (output.size === 0) return keep(tfTensor([], [...output.shape], heldDType(output.dtype)));
      this.#requireTexture(output);
      const empty = inputs.some((input) => input.size === 0);
      return engine().tidy(name, () => {
        const result = empty
          ? withoutElements(name, inputs, output, kernel, params)
          : (kernel(inputs, output, params) as TfTensor);
        return keep(addingUp.has(name) && output.dtype === "int32" ? whole(result, output) : result);
      });
    };
  }

  /**
   * On WebGL elementwise nodes are one shader for several of them: a graph is run with its clusters as calls, and a graph
   * that is one cluster is compiled.
   */
  compile(graph: Graph): Program | Graph {
    if (this.tfjsName !== "webgl") return graph;
    const isCluster =
      graph.nodes.length <= mostNodes &&
      graph.inputs.length > 0 &&
      graph.nodes.every((node) => isExpression(node, graph)) &&
      graph.constants.every((constant) => constant.rank === 0);
    if (!isCluster) return fused(graph, { among: isExpression, mostNodes });
    graph.avals.forEach((aval) => this.#requireTexture(aval));
    const program = compileCluster(graph);
    return program === undefined
      ? graph
      : {
          run: (inputs) => {
            this.#makeCurrent();
            return program.run(inputs);
          },
        };
  }

  #requireTexture(aval: Aval): void {
    if (this.tfjsName !== "webgl") return;
    const side = env().getNumber("WEBGL_MAX_TEXTURE_SIZE");
    if (aval.size > side * side) {
      fail(
        ShapeError,
        `${aval} has ${aval.size} elements, but a texture of this device holds at most ${side} x ${side} = ${side * side}. ` +
          `Split the value, or compute it on another backend.`,
      );
    }
  }

  /** A browser may take the context away (sixteen others opened, a driver reset); what is read from then on is zeros. */
  #requireContext(): void {
    if (this.tfjsName !== "webgl") return;
    const { gl } = (engine().findBackend("webgl") as unknown as MathBackendWebGL).gpgpu;
    if (gl.isContextLost()) {
      fail(
        BackendError,
        `The browser has taken away the WebGL context, and with it all values on backend ${this.name}. ` +
          `Reload the page; open fewer WebGL contexts on it.`,
      );
    }
  }

  fromHost(data: TypedArray, aval: Aval): Buffer {
    this.#makeCurrent();
    this.#requireTexture(aval);
    if (aval.dtype === "int32" && this.tfjsName === "webgl") {
      const large = (data as Int32Array).find((x) => Math.abs(x) > largestExactInteger);
      if (large !== undefined) refuseInteger(large);
    }
    return keep(
      tfTensor(data as Float32Array | Int32Array | Uint8Array, [...aval.shape], heldDType(aval.dtype)),
    );
  }

  scalar(value: number, dtype: DType): Buffer {
    this.#makeCurrent();
    if (dtype === "int32" && this.tfjsName === "webgl" && Math.abs(value) > largestExactInteger)
      refuseInteger(value);
    return keep(ops.scalar(heldDType(dtype) === "bool" ? value !== 0 : value, heldDType(dtype)));
  }

  toHostSync(buffer: Buffer, aval: Aval): TypedArray {
    const data = (buffer as TfTensor).dataSync();
    this.#requireContext();
    return copied(data, aval);
  }

  async toHost(buffer: Buffer, aval: Aval): Promise<TypedArray> {
    this.#requireContext(); // without one tfjs would wait for ever
    const data = await (buffer as TfTensor).data();
    this.#requireContext();
    return copied(data, aval);
  }

  adopt(buffer: Buffer, aval: Aval): Token {
    this.#buffers++;
    this.#bytes += aval.bytes;
    return { tensor: buffer as TfTensor, bytes: aval.bytes } satisfies Owned;
  }

  free(token: Token): void {
    const { tensor, bytes } = token as Owned;
    this.#buffers--;
    this.#bytes -= bytes;
    tensor.dispose();
  }

  memory(): MemoryFigures {
    return { buffers: this.#buffers, bytes: this.#bytes };
  }
}

function refuseInteger(value: number): never {
  fail(
    DTypeError,
    `The int32 ${value} was given to backend webgl, which computes in float32 and is exact for whole numbers up to ` +
      `${largestExactInteger} alone. Use another backend for larger ones.`,
  );
}

/** Primitives whose result may leave the range of exact integers in a kernel of tfjs's. */
const addingUp = new Set(["sum", "prod", "cumsum", "dotGeneral", "scatterAdd"]);

function whole(result: TfTensor, output: Aval): TfTensor {
  return getBackend() === "webgl" ? runExpression("whole_(a)", [result], output.shape) : result;
}

function copied(data: ArrayLike<number>, aval: Aval): TypedArray {
  if (aval.dtype !== "float32" && Array.prototype.some.call(data, Number.isNaN)) {
    fail(
      DTypeError,
      `This ${aval} depends on an int32 beyond ${largestExactInteger}, the largest up to which backend webgl is exact, ` +
        `since it computes in float32. Use another backend for larger ones.`,
    );
  }
  const host = hostArray(aval.dtype, aval.size);
  host.set(data);
  return host;
}

/** A result with elements, of inputs some of which have none. */
function withoutElements(
  name: string,
  inputs: readonly Tensor[],
  output: Aval,
  kernel: Kernel,
  params: object,
): TfTensor {
  switch (name) {
    case "concatenate":
    case "scatterAdd":
      return kernel(inputs, output, params) as TfTensor;
    case "dotGeneral":
    case "conv2dFilterTranspose":
    case "conv2dInputTranspose":
    case "conv2d":
    case "overlapAdd":
    case "pad":
      return ops.zeros([...output.shape], heldDType(output.dtype));
    default:
      if (name in ofNothing) return ops.fill([...output.shape], ofNothing[name], heldDType(output.dtype));
      return fail(
        BackendError,
        `${name}: inputs ${inputs.map((x) => x.aval.toString()).join(", ")} have no elements, but the output ${output} has. ` +
          `This backend has no rule for that.`,
      );
  }
}

/**
 * The tfjs backend of that name, ready to use: "webgl" by default, or any other that the caller has registered with
 * tfjs by importing it (cpu, wasm, webgpu).
 *
 * @throws BackendError where tfjs has no such backend or cannot start it.
 * @example
 * ```ts
 * const webgl = await createTfjsBackend();
 * registerBackend(webgl);
 * withBackend("webgl", () => grad(loss)(weights));
 * ```
 */
export async function createTfjsBackend(tfjsName = "webgl"): Promise<TfjsBackend> {
  const started = await setBackend(tfjsName).catch(() => false);
  if (!started) {
    fail(
      BackendError,
      `tfjs could not start its backend "${tfjsName}". ` +
        (tfjsName === "webgl"
          ? `WebGL needs a browser with float textures.`
          : `Import @tensorflow/tfjs-backend-${tfjsName} first.`),
    );
  }
  await ready();
  if (
    tfjsName === "webgl" &&
    (env().getNumber("WEBGL_VERSION") < 2 || !env().getBool("WEBGL_RENDER_FLOAT32_ENABLED"))
  ) {
    fail(
      BackendError,
      `This device's WebGL cannot draw into 32-bit float textures (WebGL ${env().getNumber("WEBGL_VERSION")}), so its results ` +
        `would have 10 bits. Use another backend.`,
    );
  }
  // Small tensors would else be computed on the host, by other kernels than large ones.
  if (tfjsName === "webgl") {
    env().set("WEBGL_CPU_FORWARD", false);
    env().set("WEBGL_USE_SHAPES_UNIFORMS", true); // one shader for all shapes of a rank
    keepShadersApart(engine().findBackend("webgl") as unknown as MathBackendWebGL);
  }
  return new TfjsBackend(tfjsName);
}
