/** A process that has workers and comes to its end. */
import { jit, setThreads, tensor, type Value } from "cotangent";

const threads = setThreads(2);
const x = tensor(new Float32Array(512 * 512).fill(0.5)).reshape([512, 512]);
const f = jit((v: Value) => v.matmul(v).add(1).sum());
let total = f(x).item();
// Some runs with the worker.
await new Promise((resolve) => setTimeout(resolve, 100));
for (let i = 0; i < 10; i++) total = Math.max(total, f(x).item());
console.log(`${threads} threads, ${total}`);
