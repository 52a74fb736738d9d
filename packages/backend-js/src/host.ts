import { type Kernel, hostKernels } from "@cotangent/core";
import { elements, stored } from "./storage.ts";

/** Kernels that core has for every backend: random bits. */
export const host: Record<string, Kernel> = Object.fromEntries(
  Object.entries(hostKernels).map(([name, kernel]): [string, Kernel] => [
    name,
    (inputs, output, params) => {
      const arrays = inputs.map((input) => ({ data: elements(input), shape: input.shape }));
      return stored(kernel(arrays, output, params), output);
    },
  ]),
);
