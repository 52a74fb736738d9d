/** Derivatives written by hand: in plain JavaScript, and in C compiled to WebAssembly ahead of time. */
import { readFile } from "node:fs/promises";
import type { Floats, Participant, Task } from "./participant.ts";

/** What a careful person would write: loops over typed arrays. */
export function plainJavaScript(): Participant {
  return {
    name: "plain JavaScript",
    dtype: "float32",
    enter: () => Promise.resolve(),

    chain(at, operations) {
      const pairs = operations / 2;
      const states = new Float64Array(pairs + 1);
      const forward = (): number => {
        states[0] = at;
        for (let i = 0; i < pairs; i++) states[i + 1] = Math.sin(states[i]) * at;
        return states[pairs];
      };
      return {
        value: forward,
        valueAndGrad() {
          const value = forward();
          let adjoint = 1;
          let gradient = 0;
          for (let i = pairs - 1; i >= 0; i--) {
            gradient += adjoint * Math.sin(states[i]);
            adjoint *= at * Math.cos(states[i]);
          }
          return { value, gradient: [[gradient + adjoint]] };
        },
      };
    },

    elementwise(x) {
      return {
        value() {
          let sum = 0;
          for (const v of x) sum += Math.sin(v) * Math.exp(-v * v) + Math.tanh(v);
          return sum;
        },
        valueAndGrad() {
          const gradient = new Float32Array(x.length);
          let sum = 0;
          for (let i = 0; i < x.length; i++) {
            const v = x[i];
            const [s, e, t] = [Math.sin(v), Math.exp(-v * v), Math.tanh(v)];
            sum += s * e + t;
            gradient[i] = Math.cos(v) * e - 2 * v * s * e + (1 - t * t);
          }
          return { value: sum, gradient: [gradient] };
        },
      };
    },

    product(a, b, size) {
      const read = (): Float32Array => {
        const c = new Float32Array(size * size);
        for (let i = 0; i < size; i++)
          for (let k = 0; k < size; k++) {
            const x = a[i * size + k];
            for (let j = 0; j < size; j++) c[i * size + j] += x * b[k * size + j];
          }
        return c;
      };
      return productTask(read, size);
    },

    integration(at, steps) {
      const positions = new Float64Array(steps + 1);
      let speed = 0;
      const forward = (): number => {
        let [q, v] = [at, 0];
        for (let i = 0; i < steps; i++) {
          positions[i] = q;
          v -= (Math.sin(q) + 0.1 * v) * 1e-3;
          q += v * 1e-3;
        }
        positions[steps] = q;
        speed = v;
        return q * q + v * v;
      };
      return {
        value: forward,
        valueAndGrad() {
          const value = forward();
          let [q, v] = [2 * positions[steps], 2 * speed];
          for (let i = steps - 1; i >= 0; i--) {
            v += q * 1e-3;
            q -= v * Math.cos(positions[i]) * 1e-3;
            v *= 1 - 1e-4;
          }
          return { value, gradient: [[q]] };
        },
      };
    },
  };
}

function productTask(read: () => Float32Array, size: number): Task {
  return {
    value: () => read()[size + 1],
    valueAndGrad() {
      const found = read();
      return { value: found[size + 1], gradient: [found] };
    },
  };
}

/** What kernels.c exports. */
export interface Kernels {
  readonly memory: WebAssembly.Memory;
  readonly take: (bytes: number) => number;
  readonly elementwise: (x: number, count: number) => number;
  readonly elementwise_gradient: (x: number, gradient: number, count: number) => number;
  readonly product: (a: number, b: number, c: number, size: number) => void;
  readonly multiply_add: (rounds: number) => number;
  readonly copy: (to: number, from: number, bytes: number) => void;
}

/** A fresh instance, with memory of its own. */
export async function kernels(): Promise<Kernels> {
  const { instance } = await WebAssembly.instantiate(
    await readFile(new URL("../kernels/kernels.wasm", import.meta.url)),
  );
  const { _initialize: initialize, ...exported } = instance.exports as unknown as Kernels & {
    readonly _initialize: () => void;
  };
  initialize();
  return exported;
}

/** C by clang, with the elementary functions of musl. */
export async function compiledC(): Promise<Participant> {
  const module = await kernels();
  const given = (data: Floats): number => {
    const at = module.take(data.byteLength);
    if (at === 0) throw new Error("kernels.c has no memory left.");
    new Float32Array(module.memory.buffer, at, data.length).set(data);
    return at;
  };
  const view = (at: number, length: number): Float32Array =>
    new Float32Array(module.memory.buffer, at, length);
  return {
    name: "C, clang -O3",
    dtype: "float32",
    enter: () => Promise.resolve(),
    elementwise(x) {
      const [at, gradient] = [given(x), given(x)];
      return {
        value: () => module.elementwise(at, x.length),
        valueAndGrad: () => ({
          value: module.elementwise_gradient(at, gradient, x.length),
          gradient: [view(gradient, x.length).slice()],
        }),
      };
    },
    product(a, b, size) {
      const [x, y, z] = [given(a), given(b), given(a)];
      return productTask(() => {
        module.product(x, y, z, size);
        return view(z, size * size).slice();
      }, size);
    },
  };
}
