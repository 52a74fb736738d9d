import { jsBackend, real, unary, unaryKernel } from "cotangent";

/** The real cube root. */
export const cbrt = unary("cbrt", {
  // d/dx x^(1/3) = 1 / (3 y²), from the output y.
  partialFromOutput: (y) => y.square().reciprocal().div(3),
  domain: real({ kinks: [0], margin: 0.2 }),
  flops: 15,
  kinks: [{ at: [0], partials: [Infinity], because: "the one-sided limit, the same from both sides" }],
});

jsBackend.kernels.set("cbrt", unaryKernel(Math.cbrt));
