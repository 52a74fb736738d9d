import "@cotangent/graph-view";
import { registerBackend } from "@cotangent/core";
import { jsBackend } from "@cotangent/backend-js";

registerBackend(jsBackend);

export * from "@cotangent/core";
export * from "@cotangent/forward-mode";
export * from "@cotangent/reverse-mode";
export { JsBackend, binaryKernel, jsBackend, unaryKernel } from "@cotangent/backend-js";
export { type HvpComposition, hessian, hvp, jacobian, mixedJacobian } from "./both-modes.ts";
