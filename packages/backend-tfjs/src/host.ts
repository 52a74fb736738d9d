import { type Kernel, hostKernels } from "@cotangent/core";
import { type Tensor as TfTensor, tensor } from "@tensorflow/tfjs-core";
import { heldDType } from "./held.ts";

/** Kernels that core has for every backend, on the host: the same random bits everywhere. */
export const host: Readonly<Record<string, Kernel>> = Object.fromEntries(
  Object.entries(hostKernels).map(([name, kernel]): [string, Kernel] => [
    name,
    (inputs, output, params) => {
      const arrays = inputs.map((input) => ({
        data: (input.buffer as TfTensor).dataSync(),
        shape: input.shape,
      }));
      const found = kernel(arrays, output, params) as Float32Array | Int32Array;
      return tensor(found, [...output.shape], heldDType(output.dtype));
    },
  ]),
);
