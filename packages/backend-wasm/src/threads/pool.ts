/** Threads that share the work of large kernels. */
import { BackendError, fail } from "@cotangent/core";
import type { Heap } from "../heap.ts";
import { browserWorkerSource, nodeWorkerSource } from "./worker.ts";

/** What both kinds of workers have. */
interface WorkerLike {
  postMessage(message: unknown): void;
  terminate(): unknown;
}

interface NodeWorker extends WorkerLike {
  unref(): void;
  on(event: "error" | "exit", listener: (reason: unknown) => void): void;
}

interface BrowserWorker extends WorkerLike {
  addEventListener(event: "error", listener: (reason: { readonly message?: string }) => void): void;
}

interface NodeWorkerThreads {
  readonly Worker: new (source: string, options: { readonly eval: true }) => NodeWorker;
}

declare const process: { getBuiltinModule?(name: "node:worker_threads"): NodeWorkerThreads } | undefined;
declare const Worker: (new (url: string) => BrowserWorker) | undefined;
declare const Blob: new (parts: readonly string[], options: { readonly type: string }) => object;
declare const URL: { createObjectURL(blob: object): string };

/** A program's module, and its kernels on this thread. */
export interface Kernels {
  readonly module: WebAssembly.Module;
  readonly run: (kernel: number, args: readonly number[], begin: number, end: number) => void;
}

/*
 * The words of a job, in shared memory: how many jobs there were (workers wait on it); the number of this job and its next
 * chunk; how many chunks are done; then what the job is.
 */
const [wake, claims, done, description, threadCount] = [0, 1, 2, 3, 127];
const mostArguments = 100;
const wordCount = 128;

/** Chunks per thread: enough that a thread that is held up does not hold up the others. */
const chunksPerThread = 4;

/** A worker is taken to be gone when it takes so many times as long for a chunk as this thread does, and `patience`. */
const patienceOfChunks = 8;

/** A chunk that there is not. */
const noChunk = 0xffff;

/** Memory that each thread has for itself while it runs a kernel. */
export const scratchBytes = 262_144;

/** The threads of one heap. */
export class Pool {
  private readonly heap: Heap;
  private readonly base: number;
  /** Of this thread. */
  readonly scratchAddress: number;
  /** Of each worker. */
  private readonly scratch = new Map<WorkerLike, number>();
  /** The other threads. */
  workers: readonly WorkerLike[] = [];
  private readonly numbers = new WeakMap<Kernels, number>();
  private programs = 0;
  /** The programs that each worker has. */
  private readonly sent = new WeakMap<WorkerLike, Set<number>>();
  private readonly collected = new FinalizationRegistry<number>((program) => this.release(program));
  private jobs = 0;

  private readonly patience: number;

  /** Workers have at least so many milliseconds to come back with what they have begun. */
  constructor(heap: Heap, patience = 2000) {
    this.heap = heap;
    this.patience = patience;
    this.base = heap.allocate(4 * wordCount) / 4;
    heap.whole("int32").fill(0, this.base, this.base + wordCount);
    this.scratchAddress = heap.allocate(scratchBytes);
    this.count();
  }

  /** Where programs see how many threads there are. */
  get threadsAddress(): number {
    return 4 * (this.base + threadCount);
  }

  private count(): void {
    this.heap.whole("int32")[this.base + threadCount] = this.threads;
  }

  /** How many threads work, this one among them. */
  get threads(): number {
    return this.workers.length + 1;
  }

  /** Starts or ends workers, so that there are so many threads. */
  setThreads(count: number): void {
    if (!Number.isInteger(count) || count < 1 || count > 64)
      fail(BackendError, `setThreads: ${count} threads asked for; give a whole number from 1 to 64.`);
    for (const worker of this.workers.slice(count - 1)) {
      worker.terminate();
      this.freeScratch(worker);
    }
    this.workers = this.workers.slice(0, count - 1);
    while (this.threads < count) {
      const worker = this.start();
      if (worker === undefined) break;
      this.workers = [...this.workers, worker];
    }
    this.count();
  }

  private start(): WorkerLike | undefined {
    try {
      const worker = this.newWorker();
      const scratch = this.heap.allocate(scratchBytes);
      this.scratch.set(worker, scratch);
      worker.postMessage({ memory: this.heap.memory, base: this.base, scratch });
      this.sent.set(worker, new Set());
      return worker;
    } catch (error) {
      warn(`no worker could be started (${String(error)}); kernels run on ${this.threads} threads`);
      return undefined;
    }
  }

  /** Gives back the memory of a worker that computes nothing any more. */
  private freeScratch(worker: WorkerLike): void {
    const address = this.scratch.get(worker);
    if (address === undefined) return;
    this.scratch.delete(worker);
    this.heap.free(address);
  }

  private newWorker(): WorkerLike {
    const threads =
      typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:worker_threads");
    if (threads !== undefined) {
      const worker = new threads.Worker(nodeWorkerSource, { eval: true });
      worker.unref();
      worker.on("error", (reason) => this.lose(worker, reason));
      worker.on("exit", (code) => this.lose(worker, `exit code ${String(code)}`));
      return worker;
    }
    if (typeof Worker === "undefined") throw new Error("there are no workers here");
    const worker = new Worker(
      URL.createObjectURL(new Blob([browserWorkerSource], { type: "text/javascript" })),
    );
    worker.addEventListener("error", ({ message }) => this.lose(worker, message ?? "no reason given"));
    return worker;
  }

  private lose(worker: WorkerLike, reason: unknown): void {
    this.freeScratch(worker);
    if (!this.workers.includes(worker)) return;
    this.workers = this.workers.filter((other) => other !== worker);
    this.count();
    warn(`a worker has ended (${String(reason)}); kernels run on ${this.threads} threads`);
  }

  /** Runs a kernel on the units [0, units), in chunks that the threads take one after the other. */
  run(kernels: Kernels, kernel: number, args: readonly number[], units: number): void {
    const { base, threads } = this;
    if (threads === 1 || args.length > mostArguments) {
      kernels.run(kernel, args, 0, units);
      return;
    }
    const words = this.heap.whole("int32") as Int32Array<SharedArrayBuffer>;
    const size = Math.ceil(units / (threads * chunksPerThread));
    const chunks = Math.ceil(units / size);
    // Nothing can be claimed while the words of the last job are written over: neither of it, nor of this one.
    this.jobs = (this.jobs + 1) & 0xffff;
    Atomics.store(words, base + claims, (this.jobs << 16) | noChunk);
    words.set(
      [this.programOf(kernels), kernel, units, size, chunks, args.length, ...args],
      base + description,
    );
    Atomics.store(words, base + done, 0);
    Atomics.store(words, base + claims, this.jobs << 16);
    Atomics.add(words, base + wake, 1);
    Atomics.notify(words, base + wake);
    const own: number[] = [];
    const start = performance.now();
    for (;;) {
      const chunk = Atomics.add(words, base + claims, 1) & 0xffff;
      if (chunk >= chunks) break;
      own.push(chunk);
      kernels.run(kernel, args, chunk * size, Math.min(units, (chunk + 1) * size));
      Atomics.add(words, base + done, 1);
    }
    const now = performance.now();
    const perChunk = (now - start) / Math.max(1, own.length);
    if (this.isDone(words, chunks, now + Math.max(this.patience, patienceOfChunks * perChunk))) return;
    // What a worker has claimed and not brought back is done again here; a chunk gives the same, however often it runs.
    for (let chunk = 0; chunk < chunks; chunk++)
      if (!own.includes(chunk)) kernels.run(kernel, args, chunk * size, Math.min(units, (chunk + 1) * size));
    for (const worker of this.workers) worker.terminate();
    this.workers = [];
    this.count();
    warn("a worker did not come back with its part of a kernel; kernels run on one thread");
  }

  private isDone(words: Int32Array<SharedArrayBuffer>, chunks: number, deadline: number): boolean {
    const isReady = (): boolean => Atomics.load(words, this.base + done) >= chunks;
    for (let turn = 1; !isReady(); turn++)
      if (turn % 1024 === 0 && performance.now() > deadline) return isReady();
    return true;
  }

  /** The number by which workers know a program; those that lack it are sent it, and take part from the next job on. */
  private programOf(kernels: Kernels): number {
    let program = this.numbers.get(kernels);
    if (program === undefined) {
      this.numbers.set(kernels, (program = this.programs++));
      this.collected.register(kernels, program);
    }
    for (const worker of this.workers) {
      const sent = this.sent.get(worker);
      if (sent === undefined || sent.has(program)) continue;
      sent.add(program);
      worker.postMessage({ program, module: kernels.module });
    }
    return program;
  }

  private release(program: number): void {
    for (const worker of this.workers)
      if (this.sent.get(worker)?.delete(program) === true) worker.postMessage({ program });
  }
}

function warn(text: string): void {
  console.warn(`cotangent, backend wasm: ${text}.`);
}
