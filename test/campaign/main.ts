/** The long verification campaign over all backends: `pnpm verify`. */
import "@tensorflow/tfjs-backend-cpu";
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { localColumn, verifyCommand } from "@cotangent/verify/command";
import { jsBackend, wasmBackend } from "cotangent";
import { webgl } from "./webgl.ts";

process.exitCode = await verifyCommand(
  [
    localColumn("js", jsBackend.dtypes, () => jsBackend, jsBackend),
    localColumn("wasm", wasmBackend.dtypes, () => wasmBackend, jsBackend),
    localColumn("tfjs-cpu", ["float32", "int32", "bool"], () => createTfjsBackend("cpu"), jsBackend),
    webgl,
  ],
  process.argv.slice(2),
  { invocation: "pnpm verify" },
);
