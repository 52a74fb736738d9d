/** The thread that measures part (h): programs compiled to WebAssembly. */
import { parentPort, workerData } from "node:worker_threads";
import { wasmBackend } from "cotangent";
import "@tensorflow/tfjs-backend-wasm";
import { fullPatience, measure, quickPatience } from "./measure.ts";
import { compiledC, plainJavaScript } from "./participants/by-hand.ts";
import { cotangent } from "./participants/cotangent.ts";
import { jaxJs } from "./participants/jax-js.ts";
import type { Participant } from "./participants/participant.ts";
import { tfjs } from "./participants/tfjs.ts";
import { type Part, compiledPart } from "./result.ts";
import { measureRoofline } from "./roofline.ts";
import { works } from "./works.ts";

/** What it is at, and in the end what it found. */
export type FromCompiled = string | Part;

const { quick } = workerData as { readonly quick: boolean };
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origins
const send = (message: FromCompiled): void => parentPort?.postMessage(message);

const onWasm = (dtype: "float32" | "float64", threads: 1 | 2): Participant =>
  cotangent(dtype, {
    backend: wasmBackend,
    jitted: true,
    threads,
    as: `wasm, ${threads === 1 ? "1 thread" : "2 threads"}`,
  });
const participants = [
  onWasm("float32", 1),
  onWasm("float32", 2),
  onWasm("float64", 1),
  await jaxJs({ jitted: true }),
  await tfjs("wasm"),
  plainJavaScript(),
  await compiledC(),
];
// Of loops it writes the steps out, and needs half a millisecond for each: the shorter loop is enough.
const eagerJaxJs = await jaxJs();
const { compiled, shortLoop } = works(quick);
const measured = [];
for (const work of compiled) {
  send(`${work.title} ...`);
  const all = work === shortLoop ? [...participants, eagerJaxJs] : participants;
  // oxlint-disable-next-line no-await-in-loop -- one at a time
  measured.push(await measure(work, all, quick ? quickPatience : fullPatience));
}
wasmBackend.pool.setThreads(1);
send(compiledPart(measured, await measureRoofline()));
