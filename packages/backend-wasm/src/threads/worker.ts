/**
 * What a worker runs: plain JavaScript as text, since Node and browsers start workers in different ways, and neither knows
 * where a bundler has put a file.
 *
 * A job is described in shared words (see pool.ts). Its chunks are claimed one by one; the word from which they are claimed
 * has the number of the job in its upper half, so that a worker that comes late claims nothing of the next job. The last
 * argument of a kernel is the address of the memory that the worker has for itself; kernels that need none ignore it.
 */
const workerSource = `
let words, memory, base, scratch;
const programs = new Map();
const never = () => { throw new Error("not on a worker"); };

/* What became of the job at hand: "none" left of it, "some" was done, or its program is "unknown". */
function work() {
  for (let found = "none"; ; found = "some") {
    const claim = Atomics.load(words, base + 1);
    const [job, chunk] = [claim >>> 16, claim & 0xffff];
    const [program, kernel, units, size, chunks, count] = words.subarray(base + 3, base + 9);
    if (chunk >= chunks) return found;
    const exports = programs.get(program);
    if (exports === undefined) return "unknown";
    const args = Array.from(words.subarray(base + 9, base + 9 + count));
    if (Atomics.compareExchange(words, base + 1, claim, ((job << 16) | (chunk + 1)) | 0) !== (claim | 0)) continue;
    exports["kernel" + kernel](...args, chunk * size, Math.min(units, (chunk + 1) * size), scratch);
    Atomics.add(words, base + 2, 1);
  }
}

async function serve() {
  for (;;) {
    const seen = Atomics.load(words, base);
    const found = work();
    // Where there was something to do, there mostly is again at once: sooner than a worker that waits would wake.
    if (found === "some") for (let i = 0; i < 10_000 && Atomics.load(words, base) === seen; i++);
    // The program is on its way, as a message, which is taken in between.
    if (found === "unknown") await new Promise((resolve) => setTimeout(resolve));
    const waiting = Atomics.waitAsync(words, base, seen);
    if (waiting.async) await waiting.value;
  }
}

function receive(message) {
  if (message.memory !== undefined) {
    memory = message.memory;
    words = new Int32Array(memory.buffer);
    base = message.base;
    scratch = message.scratch;
    void serve();
  } else if (message.module === undefined) programs.delete(message.program);
  else {
    const host = { memory, node: never, element: never, parallel: never, planLoop: never, forgetPlan: never };
    programs.set(message.program, new WebAssembly.Instance(message.module, { host }).exports);
  }
}
`;

/** Under what name a module exports the kernel of that number. */
export const kernelName = (kernel: number): string => `kernel${kernel}`;

/** The lines that connect it to the messages of Node's workers, and of browsers'. */
export const nodeWorkerSource = `${workerSource}
require("node:worker_threads").parentPort.on("message", receive);`;
export const browserWorkerSource = `${workerSource}
onmessage = (event) => receive(event.data);`;
