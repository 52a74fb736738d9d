import type {
  Aval,
  Backend,
  Buffer,
  DType,
  Kernel,
  MemoryFigures,
  MultipleKernel,
  Token,
  TypedArray,
} from "@cotangent/core";
import { contractions } from "./contraction.ts";
import { elementwise } from "./elementwise.ts";
import { host } from "./host.ts";
import { indexing } from "./indexing.ts";
import { reductions } from "./reduction.ts";
import { shape } from "./shape.ts";
import { type JsBuffer, rounded, stored } from "./storage.ts";
import { hostArray } from "@cotangent/core";

interface Bytes {
  readonly bytes: number;
}

/** The reference backend: plain kernels on typed arrays, computed in float64 and rounded once to the dtype. */
export class JsBackend implements Backend {
  readonly name = "js";
  readonly dtypes: readonly DType[] = ["float64", "float32", "int32", "bool"];
  readonly defaultDType: DType = "float64";
  readonly kernels: Map<string, Kernel> = new Map(
    Object.entries({ ...elementwise, ...shape, ...reductions, ...contractions, ...indexing, ...host }),
  );
  readonly multipleKernels: Map<string, MultipleKernel> = new Map();
  #buffers = 0;
  #bytes = 0;

  fromHost(data: TypedArray, aval: Aval): Buffer {
    return stored(data, aval);
  }

  scalar(value: number, dtype: DType): Buffer {
    return rounded(value, dtype);
  }

  toHostSync(buffer: Buffer, aval: Aval): TypedArray {
    const found = buffer as JsBuffer;
    return typeof found === "number" ? hostArray(aval.dtype, 1).fill(found) : found.slice();
  }

  toHost(buffer: Buffer, aval: Aval): Promise<TypedArray> {
    return Promise.resolve(this.toHostSync(buffer, aval));
  }

  adopt(_: Buffer, aval: Aval): Token {
    this.#buffers++;
    this.#bytes += aval.bytes;
    return { bytes: aval.bytes } satisfies Bytes;
  }

  free(token: Token): void {
    this.#buffers--;
    this.#bytes -= (token as Bytes).bytes;
  }

  memory(): MemoryFigures {
    return { buffers: this.#buffers, bytes: this.#bytes };
  }
}

export { binaryKernel, unaryKernel } from "./elementwise.ts";

/** The one instance that `cotangent` registers. */
export const jsBackend: JsBackend = new JsBackend();
