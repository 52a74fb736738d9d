/** Work that is counted, by whom it was done: how tests see that workers take part, in Node and in browsers. */
import { wasmBackend } from "cotangent";
import { ModuleBuilder, atomics, i32 } from "../../packages/backend-wasm/src/emit/index.ts";
import { type Kernels, Pool } from "../../packages/backend-wasm/src/threads/pool.ts";
import { kernelName } from "../../packages/backend-wasm/src/threads/worker.ts";

/** Waits until a condition holds, and throws where it does not come to that. */
export async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !condition();) {
    if (Date.now() > deadline) throw new Error("waited in vain");
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface Counted {
  readonly pool: Pool;
  /** Has 1000 units counted; how many of all units so far were counted in all, and by this thread. */
  readonly run: () => { readonly all: number; readonly own: number };
}

export interface CountedOptions {
  /** Whether the kernel never ends on a worker. */
  readonly getsStuck?: boolean;
  /** See `Pool`. */
  readonly patience?: number;
}

/** A pool of its own on two threads, and a kernel that counts its units in memory, from either. */
export function counted({ getsStuck = false, patience }: CountedOptions = {}): Counted {
  const { heap } = wasmBackend;
  const pool = new Pool(heap, patience);
  pool.setThreads(2);
  const counter = heap.allocate(8);
  const module = new ModuleBuilder();
  const f = module.function("count", ["i32", "i32", "i32", "i32"]);
  const [at, begin, end, scratch] = f.args;
  // Only a worker gets memory of its own here.
  if (getsStuck) f.if(scratch.get, () => f.loop((again) => f.branch(again)));
  f.drop(atomics.add(at.get, i32.sub(end.get, begin.get)));
  module.export(f, kernelName(0));
  const compiled = new WebAssembly.Module(module.encode({ initial: 1, maximum: 65_536, shared: true }));
  const { exports } = new WebAssembly.Instance(compiled, { host: { memory: heap.memory } });
  let own = 0;
  const kernels: Kernels = {
    module: compiled,
    run: (_, args, first, last) => {
      own += last - first;
      (exports[kernelName(0)] as (...words: number[]) => void)(...args, first, last, 0);
      // Time for the other thread to take its share.
      for (const start = performance.now(); performance.now() < start + 2;);
    },
  };
  const words = heap.view("int32", counter, 1);
  words[0] = 0;
  return {
    pool,
    run() {
      pool.run(kernels, 0, [counter], 1000);
      return { all: words[0], own };
    },
  };
}
