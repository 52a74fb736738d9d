export { WasmBackend, isWasmSupported, wasmBackend } from "./backend.ts";
export { Heap } from "./heap.ts";
