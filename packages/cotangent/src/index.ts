import "@cotangent/graph-view";
import { registerBackend } from "@cotangent/core";
import { jsBackend } from "@cotangent/backend-js";
import { isWasmSupported, wasmBackend } from "@cotangent/backend-wasm";

// The first one registered is the default.
if (isWasmSupported()) registerBackend(wasmBackend);
registerBackend(jsBackend);

export * from "@cotangent/core";
export * from "@cotangent/forward-mode";
export * from "@cotangent/reverse-mode";
export { JsBackend, binaryKernel, jsBackend, unaryKernel } from "@cotangent/backend-js";
export {
  WasmBackend,
  isWasmSupported,
  setRelaxedSimd,
  setThreads,
  wasmBackend,
} from "@cotangent/backend-wasm";
export { type HvpComposition, hessian, hvp, jacobian, mixedJacobian } from "./both-modes.ts";
