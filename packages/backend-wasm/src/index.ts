export { WasmBackend, isWasmSupported, setRelaxedSimd, setThreads, wasmBackend } from "./backend.ts";
export { Heap } from "./heap.ts";
