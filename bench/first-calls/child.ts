/**
 * A process that makes first calls when it is told to, by one library.
 *
 * It does so in a thread with a large stack: jax-js simplifies expressions by recursion as deep as a chain is long, and
 * overflows Node's usual stack at some hundreds of operations. Everyone gets the same.
 */
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort } from "node:worker_threads";
import { wasmBackend } from "cotangent";
import { cotangentBeginner } from "../participants/cotangent.ts";
import { jaxJsBeginner } from "../participants/jax-js.ts";
import type { Beginner } from "../participants/participant.ts";
import type { Ask, Library, Reply } from "./first-calls.ts";

const beginners: Record<Library, () => Promise<Beginner>> = {
  cotangent: () => Promise.resolve(cotangentBeginner("float32", wasmBackend)),
  jaxJs: jaxJsBeginner,
};

/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origins */
if (isMainThread) {
  const worker = new Worker(fileURLToPath(import.meta.url), {
    argv: process.argv.slice(2),
    resourceLimits: { stackSizeMb: 256 },
  });
  worker.on("message", (reply: Reply) => process.send?.(reply));
  worker.on("error", (error) => {
    throw error;
  });
  process.on("message", (ask: Ask) => worker.postMessage(ask));
  process.on("disconnect", () => process.exit());
} else {
  const beginner = await beginners[process.argv[2] as Library]();
  parentPort?.on("message", ({ what, x, operations, factor }: Ask) => {
    const start = performance.now();
    const found = beginner[what](x, operations, factor);
    const milliseconds = performance.now() - start;
    parentPort?.postMessage({ found, milliseconds } satisfies Reply);
  });
}
