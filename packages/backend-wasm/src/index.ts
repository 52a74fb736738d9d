export { WasmBackend, wasmBackend } from "./backend.ts";
export { Heap } from "./heap.ts";
