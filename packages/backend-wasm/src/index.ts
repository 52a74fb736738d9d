export { WasmBackend, isWasmSupported, setThreads, wasmBackend } from "./backend.ts";
export { Heap } from "./heap.ts";
