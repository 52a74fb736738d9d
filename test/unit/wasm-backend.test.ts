/** Compiled programs: the heap they share, what they copy and what not, rearrangements without copies, and what they refuse. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Heap } from "@cotangent/backend-wasm";
import { ModuleBuilder, TooLarge } from "../../packages/backend-wasm/src/emit/index.ts";
import {
  type Backend,
  type Tensor,
  type TypedArray,
  type Value,
  arange,
  concatenate,
  cond,
  cumsum,
  evaluateGraph,
  grad,
  jit,
  jsBackend,
  lgamma,
  logSumExp,
  scan,
  setThreads,
  stage,
  switchCase,
  tensor,
  tidy,
  valueAndGrad,
  wasmBackend,
  whileLoop,
  withBackend,
  zeros,
} from "cotangent";
import { array, assert, boolean, constantFrom, integer, nat, property, tuple } from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { counted, until } from "../threads/counted.ts";

const seed = Number(process.env["COTANGENT_SEED"] ?? 20261);
const onWasm = <T>(body: () => T): T => withBackend(wasmBackend, body);

describe("the heap", () => {
  test(`blocks never overlap, keep what is written to them, and are all one again in the end (seed ${seed})`, () => {
    assert(
      property(array(tuple(nat(200_000), boolean(), nat())), (steps) => {
        const heap = new Heap();
        const alive: { address: number; bytes: number; mark: number }[] = [];
        const check = ({ address, bytes, mark }: (typeof alive)[number]): void => {
          const view = heap.view("bool", address, bytes);
          expect([view[0], view[bytes - 1]]).toEqual([mark, mark]);
        };
        steps.forEach(([size, isFreed, which], i) => {
          if (isFreed && alive.length > 0) {
            const [block] = alive.splice(which % alive.length, 1);
            check(block);
            heap.free(block.address);
            return;
          }
          const bytes = size + 1;
          const address = heap.allocate(bytes);
          expect(address % 64).toBe(0);
          heap.view("bool", address, bytes).fill(i % 251);
          alive.push({ address, bytes, mark: i % 251 });
        });
        for (const block of alive) check(block);
        for (const { address } of alive) heap.free(address);
        expect(heap.used).toBe(0);
        // All of it is one free block: it can be had as one without growing.
        const { byteLength } = heap.memory.buffer;
        heap.allocate(byteLength - 64);
        expect(heap.memory.buffer.byteLength).toBe(byteLength);
      }),
      { seed, numRuns: 60 },
    );
  });

  test("what does not fit into 4 GiB is refused with the figures", () => {
    const heap = new Heap();
    heap.allocate(1000);
    expect(() => heap.allocate(2 ** 32)).toThrow(
      /wasm: 4294967296 bytes asked for, but of the 4 GiB that WebAssembly can address 1024 bytes are in use/,
    );
    expect(() => heap.free(12)).toThrow(/no block begins at address 12/);
  });

  test("tensors stay where they are when it grows", () => {
    onWasm(() => {
      const x = arange(1000);
      const before = wasmBackend.heap.memory.buffer.byteLength;
      using large = zeros([before / 8]);
      expect(wasmBackend.heap.memory.buffer.byteLength).toBeGreaterThan(before);
      expect(large.size).toBe(before / 8);
      expect(x.sum().item()).toBe(499_500);
    });
  });
});

describe("memory", () => {
  const isShared = (x: Value): boolean => wasmBackend.heap.owns((x as Tensor).buffer as TypedArray);

  test("large tensors lie in the heap, whoever made them, and programs take and give them without a copy", () => {
    onWasm(() => {
      const given = arange(5000);
      const eager = given.add(1);
      const jitted = jit((x: Value) => x.mul(2))(eager);
      expect([given, eager, jitted].map(isShared)).toEqual([true, true, true]);
      // Written behind the program's back, to tell a view from a copy.
      const view = given.buffer as TypedArray;
      const f = jit((x: Value) => x.at(0).mul(1));
      f(given);
      view[0] = 42;
      expect(f(given).item()).toBe(42);
      expect(isShared(tensor([1, 2, 3]))).toBe(false);
    });
  });

  test.each([
    ["elementwise", (x: Value) => x.sin().mul(x)],
    ["a gradient", grad((x: Value) => x.sin().mul(x).sum())],
    [
      "a loop over large values",
      (x: Value) => scan((c: Value, _: Value) => [c.mul(0.5).add(x), c.sum()], x, zeros([20]))[0],
    ],
  ] as const)("a run of %s leaves the heap as it was, but for its results", (_, f) => {
    onWasm(() => {
      const x = arange(3000);
      const run = jit(f);
      tidy(() => void run(x));
      const before = wasmBackend.heap.used;
      const result = run(x) as Tensor;
      expect(wasmBackend.heap.used - before).toBe(Math.ceil(result.aval.bytes / 64) * 64);
      result.dispose();
      expect(wasmBackend.heap.used).toBe(before);
    });
  });

  test("a run that fails leaves the heap as it was", () => {
    onWasm(() => {
      const x = arange(3000);
      const f = jit((x: Value, i: Value) => x.take(i).add(x));
      const index = (last: number): Value => arange(0, 3000, 1, { dtype: "int32" }).minimum(last);
      tidy(() => void f(x, index(2999)));
      const wrong = index(2999).add(1);
      const before = wasmBackend.heap.used;
      expect(() => f(x, wrong)).toThrow(/gather: index 3000 is outside \[0, 3000\)/);
      expect(wasmBackend.heap.used).toBe(before);
    });
  });
});

/** A value of any rank, rearranged again and again. */
const rearrangements = array(tuple(nat(5), nat(), nat()), { minLength: 1, maxLength: 6 });

function rearranged(x: Value, steps: readonly (readonly [number, number, number])[]): Value {
  return steps.reduce((value, [kind, a, b]) => {
    const { rank, shape } = value;
    if (rank === 0) return value.reshape([1]);
    const axis = a % rank;
    switch (kind) {
      case 0:
        return value.transpose([...Array(rank).keys()].map((i) => (i + 1 + a) % rank));
      case 1:
        return value.flip(axis);
      case 2: {
        const begin = shape.map((_, i) => (i === axis ? b % shape[i] : 0));
        return value.slice(begin, [...shape]);
      }
      case 3:
        return value.reshape([value.size]);
      case 4:
        return value.size < 2000 ? value.reshape([1, ...shape]).broadcastTo([2, ...shape]) : value;
      default:
        return value.size < 2000 ? concatenate([value, value.neg()], axis) : value;
    }
  }, x);
}

test(`rearrangements are read where they lie (seed ${seed})`, () => {
  assert(
    property(
      array(integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 }),
      rearrangements,
      rearrangements,
      constantFrom("float64" as const, "float32" as const, "int32" as const),
      (shape, first, second, dtype) => {
        const size = shape.reduce((p, n) => p * n, 1);
        const f = (x: Value): Value[] => {
          const y = rearranged(x, first);
          return [y, y.mul(y), rearranged(y.add(1), second), y.sum(), y.max()];
        };
        const run = (backend: typeof wasmBackend | typeof jsBackend): unknown =>
          withBackend(backend, () => {
            const x = arange(0, size, 1, { dtype }).reshape(shape);
            return evaluateGraph(stage((v: Value) => f(v))(x), [x]).map((value) => value.toArray());
          });
        expect(run(wasmBackend)).toEqual(run(jsBackend));
      },
    ),
    { seed, numRuns: 300 },
  );
});

describe("a program that is more than engines take", () => {
  test("is compiled in halves, and leaves nothing behind", () => {
    onWasm(() => {
      const weights = arange(2000);
      const graph = stage((x: Value) => {
        let y = x.mul(weights);
        for (let i = 0; i < 1100; i++) y = y.mul(0.5).add(x);
        return [y, x, y, weights];
      })(weights);
      const x = arange(2000).mul(1e-3);
      const before = wasmBackend.heap.used;
      const refused = vi.spyOn(ModuleBuilder.prototype, "encode").mockImplementation(() => {
        throw new TooLarge("main has 60000 variables.");
      });
      expect(wasmBackend.compile(graph)).toBe(undefined);
      expect(wasmBackend.heap.used).toBe(before);
      refused.mockRestore();
      vi.spyOn(ModuleBuilder.prototype, "encode").mockImplementationOnce(() => {
        throw new TooLarge("main has 60000 variables.");
      });
      const compiled = vi.spyOn(wasmBackend, "compile");
      const run = (backend: Backend): unknown[] =>
        tidy(() => evaluateGraph(graph, [x.concrete().to(backend)]).map((value) => value.toArray()));
      const found = run(wasmBackend);
      expect(compiled.mock.calls.map(([{ nodes }]) => nodes.length)).toEqual([2201, 1100, 1101]);
      compiled.mockRestore();
      expect(found).toEqual(run(jsBackend));
      const alive = wasmBackend.memory();
      run(wasmBackend);
      expect(wasmBackend.memory()).toEqual(alive);
    });
  });

  test("is known by its variables and its bytes", () => {
    const withLocals = (count: number): ModuleBuilder => {
      const module = new ModuleBuilder();
      const f = module.function("f", []);
      for (let i = 0; i < count; i++) f.local("i32");
      return module;
    };
    const memory = { initial: 1, maximum: 1, shared: true };
    expect(new WebAssembly.Module(withLocals(50_000).encode(memory))).toBeInstanceOf(WebAssembly.Module);
    expect(() => withLocals(50_001).encode(memory)).toThrow(TooLarge);
    const module = new ModuleBuilder();
    const f = module.function("f", []);
    for (let i = 0; i < 7_654_321; i++) f.unreachable();
    expect(() => module.encode(memory)).toThrow(/f has 0 variables and 7654323 bytes/);
  });
});

describe("eager code", () => {
  test("tells apart parameters that JSON does not", () => {
    const bounds = [-Infinity, Infinity, NaN, 0, -0];
    const run = (x: Value, f: (v: Value, low: number) => Value): number[] =>
      bounds.map((low) => 1 / f(x, low).at(0).item());
    const clamped = (v: Value, low: number): Value => v.clamp(low, 1);
    const wanted = withBackend(jsBackend, () => run(zeros([3000]).mul(-1), clamped));
    expect(new Set(wanted).size).toBe(4);
    onWasm(() => {
      const x = zeros([3000]).mul(-1);
      expect(run(x, clamped)).toEqual(wanted);
      const all = jit((v: Value) => bounds.map((low) => v.clamp(low, 1)))(x);
      expect(all.map((value) => 1 / value.at(0).item())).toEqual(wanted);
    });
  });

  test("takes rows of a large array without a program for each", () => {
    onWasm(() => {
      const rows = arange(30_000).reshape([6000, 5]);
      const compiled = vi.spyOn(wasmBackend, "compile");
      for (let i = 0; i < 6000; i += 7) tidy(() => expect(rows.at(i).sum().item()).toBe(25 * i + 10));
      expect(compiled).not.toHaveBeenCalled();
      compiled.mockRestore();
    });
  });

  test("keeps programs for what comes up again, and lets go of those that do not", () => {
    onWasm(() => {
      const x = arange(3000);
      const compiled = vi.spyOn(wasmBackend, "compile");
      const from = (i: number): void => tidy(() => expect(x.slice([i]).at(0).item()).toBe(i));
      for (let round = 0; round < 2; round++) for (let i = 1; i <= 400; i++) from(i);
      expect(compiled).toHaveBeenCalledTimes(400);
      for (let i = 401; i <= 800; i++) from(i);
      from(800);
      expect(compiled).toHaveBeenCalledTimes(800);
      from(1);
      expect(compiled).toHaveBeenCalledTimes(801);
      compiled.mockRestore();
    });
  });
});

test("a value of each dtype passes through a program unchanged, special values included", () => {
  const numbers = [NaN, Infinity, -Infinity, 0, -0, 5e-324, 1e-40, 1.5, -2.25];
  const long = Array.from({ length: 100 }, (_, i) => numbers[i % numbers.length]);
  onWasm(() => {
    for (const data of [numbers, long]) {
      for (const dtype of ["float64", "float32"] as const) {
        const x = tensor(data, { dtype });
        expect(jit((v: Value) => v.neg().neg().add(v.sign().mul(0)))(x).dataSync()).toEqual(
          withBackend(jsBackend, () => {
            const y = tensor(data, { dtype });
            return y.neg().neg().add(y.sign().mul(0)).dataSync();
          }),
        );
      }
      const flags = tensor(data.map((x) => x > 0));
      expect(jit((v: Value) => v.not().not())(flags).dataSync()).toEqual(flags.dataSync());
    }
  });
});

describe("control flow", () => {
  /** How often compiled code calls the host while `body` runs. */
  function hostCalls(body: () => void): number {
    const { Instance } = WebAssembly;
    let calls = 0;
    WebAssembly.Instance = class extends Instance {
      constructor(module: WebAssembly.Module, imports: WebAssembly.Imports = {}) {
        const host = { ...imports["host"] };
        for (const name of ["node", "element"]) {
          const original = host[name];
          if (typeof original !== "function") continue;
          host[name] = (...args: number[]): unknown => {
            calls++;
            return (original as (...words: number[]) => unknown)(...args);
          };
        }
        super(module, { ...imports, host });
      }
    };
    try {
      body();
    } finally {
      WebAssembly.Instance = Instance;
    }
    return calls;
  }

  const rows = (x: Value): Value =>
    x.reshape([1, 3]).mul(arange(0, 5, 1, { backend: x.backend }).reshape([5, 1]));
  const functions: Readonly<Record<string, (x: Value) => Value>> = {
    scan: (x) => scan((c: Value, row: Value) => [c.mul(row).sin().add(x), c.sum()], x, rows(x))[0].sum(),
    "scan with checkpoints": (x) =>
      scan((c: Value, row: Value) => [c.mul(row).sin().add(x), null], x, rows(x), {
        checkpoint: "sqrt",
      })[0].sum(),
    whileLoop: (x) =>
      whileLoop<{ n: Value; c: Value }>(
        ({ n }) => n.lt(5),
        ({ n, c }) => ({ n: n.add(1), c: c.mul(x).cos() }),
        { n: tensor(0, { dtype: "int32", backend: x.backend }), c: x },
      ).c.sum(),
    cond: (x) =>
      cond(
        x.sum().gt(1),
        (v: Value) => v.square().sum(),
        (v: Value) => v.sin().sum(),
        x,
      ),
    switchCase: (x) =>
      switchCase(
        x.sum().mul(2).floor().astype("int32"),
        [0, 1, 2, 3].map((k) => (v: Value) => v.mul(k).exp().sum()),
        x,
      ),
  };

  test.each(Object.entries(functions))(
    "%s and its way back are compiled: nothing is left to the host",
    (_, f) => {
      const run = (backend: typeof wasmBackend | typeof jsBackend): Value[] =>
        [0.2, 0.4].flatMap((first) => {
          const x = tensor([first, 0.3, 0.5], { backend });
          const second = (v: Value): Value => grad(f)(v).square().sum();
          return [...jit(valueAndGrad(f))(x), ...jit(valueAndGrad(second))(x)];
        });
      const found: Value[] = [];
      expect(hostCalls(() => found.push(...run(wasmBackend)))).toBe(0);
      const wanted = run(jsBackend);
      found.forEach((value, i) => {
        const expected = wanted[i].dataSync();
        value
          .dataSync()
          .forEach((x, k) =>
            expect(Math.abs(x - expected[k])).toBeLessThan(1e-13 * Math.max(1, Math.abs(expected[k]))),
          );
      });
    },
  );

  test("what has no code is left to the host, and counted", () => {
    const calls = hostCalls(() => onWasm(() => void jit((x: Value) => lgamma(x))(tensor([0.5, 1.5]))));
    expect(calls).toBe(2);
  });
});

test("programs that are collected give back their constants", async () => {
  const { heap } = wasmBackend;
  const before = heap.used;
  onWasm(() => {
    for (let i = 0; i < 10; i++)
      tidy(() => {
        const large = arange(100_000).mul(i + 1);
        jit((x: Value) => x.add(large).sum())(tensor(1));
      });
  });
  expect(heap.used).toBeGreaterThan(before + 9 * 800_000);
  for (const deadline = Date.now() + 10_000; heap.used > before + 100_000 && Date.now() < deadline;) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(heap.used).toBeLessThanOrEqual(before + 100_000);
});

describe("what a graph is turned into before it is compiled", () => {
  /** As a program on either backend; the signs of zeros count. */
  const compare = (f: (x: Value) => Value[], elements: readonly number[]): void => {
    const run = (backend: typeof wasmBackend | typeof jsBackend): unknown =>
      withBackend(backend, () => {
        const x = tensor([...elements]);
        return evaluateGraph(stage((v: Value) => f(v))(x), [x]).map((value) => value.toArray());
      });
    expect(run(wasmBackend)).toEqual(run(jsBackend));
  };

  test(`sums of padded values, side by side, apart and over each other (seed ${seed})`, () => {
    const part = tuple(nat(30), integer({ min: 1, max: 30 }));
    assert(
      property(array(part, { minLength: 1, maxLength: 4 }), boolean(), (parts, isWhole) => {
        const pads: (readonly [number, number, number])[] = [];
        if (isWhole) {
          let begin = 0;
          const total = parts.reduce((sum, [, size]) => sum + size, 0);
          for (const [, size] of parts) {
            pads.push([begin, size, total - begin - size]);
            begin += size;
          }
        } else for (const [begin, size] of parts) pads.push([begin, size, 60 - begin - size]);
        const elements = Array.from({ length: 30 }, (_, i) => [-0, 0, -1.5, Infinity, 2][i % 5]);
        compare(
          (x) => [
            pads
              .map(([low, size, high]) =>
                x
                  .slice([0], [size])
                  .mul(3)
                  .pad([[low, high]]),
              )
              .reduceRight((sum, each) => each.add(sum)),
          ],
          elements,
        );
      }),
      { seed, numRuns: 60 },
    );
  });

  test("numbers beyond int32 wrap around, and what is no number is 0", () => {
    const few = [
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 32 + 5.5,
      -1.5,
      2 ** 53 - 1,
      1e20,
      -1e25,
      2 ** 90,
      NaN,
      Infinity,
    ];
    for (const dtype of ["float64", "float32"] as const) {
      const numbers = Array.from({ length: 30 }, (_, i) => few[i % few.length] * (i < 15 ? 1 : -1));
      const given = (backend: Backend): Value => tensor(numbers, { dtype, backend });
      const expected = given(jsBackend).astype("int32").toArray();
      const convert = (x: Value): Value => x.astype("int32");
      expect(onWasm(() => convert(given(wasmBackend))).toArray()).toEqual(expected);
      expect(onWasm(() => jit((x: Value) => convert(x.mul(1)))(given(wasmBackend))).toArray()).toEqual(
        expected,
      );
    }
  });

  test("a reshape of what is not in order is read in order", () => {
    const f = (x: Value): Value[] => [
      x.transpose().reshape([600]).neg(),
      x.slice([0, 5], [20, 25]).reshape([400]).mul(2),
      x.transpose([1, 0]).reshape([5, 6, 20]).add(1),
      x.flip(1).reshape([10, 60]).abs(),
    ];
    const x = (backend: Backend): Value => arange(0, 600, 1, { backend }).mul(0.01).reshape([20, 30]);
    const found = onWasm(() => jit(f)(x(wasmBackend))).map((y) => y.toArray());
    expect(found).toEqual(f(x(jsBackend)).map((y) => y.toArray()));
  });

  test("small sums of float32 are rounded once", () => {
    const small = 2 ** -25;
    for (const run of [(x: Value) => x.sum(), jit((x: Value) => x.mul(1).sum())])
      expect(onWasm(() => run(tensor([1, small, small, small, small], { dtype: "float32" }))).item()).toBe(
        1 + 2 ** -23,
      );
  });

  test("the way back of a loop is planned for as many steps as there are", () => {
    const power = (x: Value, n: Value): Value =>
      whileLoop(
        ({ i }) => i.lt(n),
        ({ i, y }) => ({ i: i.add(1), y: y.mul(x) }),
        { i: n.mul(0), y: x.onesLike() },
      ).y;
    const slope = jit((x: Value, n: Value) => grad((v: Value) => power(v, n))(x));
    onWasm(() => {
      for (const n of [3, 12, 2, 40, 3]) {
        const found = slope(tensor(1.25), tensor(n, { dtype: "int32" })).item();
        expect(found / (n * 1.25 ** (n - 1))).toBeCloseTo(1, 12);
      }
    });
  });

  test("running sums keep what a large number hides", () => {
    const numbers = [1, 1e100, 1, -1e100];
    for (const run of [cumsum, jit((x: Value) => cumsum(x))])
      expect(onWasm(() => run(tensor(numbers, { dtype: "float64" }))).toArray()).toEqual([
        1, 1e100, 1e100, 2,
      ]);
  });

  test("exponentials of large numbers are added up", () => {
    for (const dtype of ["float64", "float32"] as const)
      for (const run of [logSumExp, jit((x: Value) => logSumExp(x))]) {
        const sums = onWasm(() =>
          [1000, -1000].map((by) => run(tensor([0, 0, 0, 0], { dtype }).add(by)).item()),
        );
        expect(sums).toEqual([1000 + Math.log(4), Math.log(4) - 1000].map((sum) => expect.closeTo(sum, 3)));
      }
  });

  test.each([0, -0, 1, -2.5, NaN, Infinity])("constants that are %s in every element", (number) => {
    const constant = (backend: Backend): Value => tensor(Array<number>(30).fill(number), { backend });
    const f = (x: Value): Value[] => {
      const c = constant(x.backend);
      return [x.mul(c), x.strongMul(c), c.add(x).sum(), c, c.reshape([5, 6]), x.outer(c)];
    };
    compare(
      f,
      Array.from({ length: 30 }, (_, i) => [-0, 0, -1.5, Infinity, 2][i % 5]),
    );
  });
});

describe("threads", () => {
  const heavy = (x: Value): Value[] => {
    const y = x.mul(x).add(1).sqrt();
    return [y, y.sum(), y.max({ axis: 0 }), y.matmul(y.transpose()), x.reshape([5, 300, 21]).mul(2)];
  };
  const bits = (values: readonly Value[]): Buffer[] =>
    values.map((value) => {
      const { buffer, byteOffset, byteLength } = value.dataSync();
      return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
    });

  test("results are the same to the last bit for any number of them, run after run", async () => {
    for (const dtype of ["float64", "float32"] as const) {
      const x = onWasm(() => arange(0, 31_500, 1, { dtype }).mul(1e-4).reshape([1500, 21]).add(1));
      const wide = onWasm(() => concatenate([x, x.neg(), x.square()], 1));
      const run = jit((v: Value, w: Value) => [...heavy(v), ...heavy(w.slice([0, 0], [1500, 21])), w.mul(w)]);
      const alone = bits(run(x, wide));
      for (const threads of [2, 3]) {
        expect(setThreads(threads)).toBe(threads);
        // Some runs before the workers have started, the others with them.
        for (let k = 0; k < 15; k++) {
          const found = bits(run(x, wide));
          expect(found.map((each, i) => each.equals(alone[i]))).toEqual(alone.map(() => true));
          await new Promise((resolve) => setTimeout(resolve, k < 5 ? 40 : 0));
        }
      }
      expect(setThreads(1)).toBe(1);
    }
  });

  test("the last unit of work has what does not fill a vector", () => {
    for (const dtype of ["float64", "float32"] as const) {
      const run = jit((x: Value) => x.mul(x).sub(x));
      const count = 50_003;
      const found = onWasm(() => run(arange(0, count, 1, { dtype }))).toArray() as number[];
      expect(found.slice(-4)).toEqual(
        [4, 3, 2, 1].map((back) => {
          const i = count - back;
          return dtype === "float32" ? Math.fround(Math.fround(i * i) - i) : i * i - i;
        }),
      );
    }
  });

  test("workers take part, and one that is gone is done without, with a warning", async () => {
    const warnings = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const { pool, run } = counted();
    let total = 0;
    await until(() => {
      const { all, own } = run();
      expect(all).toBe((total += 1000));
      return own < total;
    });
    await pool.workers[0].terminate();
    await until(() => warnings.mock.calls.length > 0);
    expect(String(warnings.mock.calls[0][0])).toMatch(
      /a worker has ended \(exit code 1\); kernels run on 1 threads/,
    );
    expect(pool.threads).toBe(1);
    expect(run().all).toBe(total + 1000);
    warnings.mockRestore();
  });

  test("one that does not come back is done without, with a warning, and nothing is missing", async () => {
    const warnings = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const { pool, run } = counted({ getsStuck: true, patience: 50 });
    let total = 0;
    await until(() => {
      expect(run().all).toBe((total += 1000));
      return pool.threads === 1;
    });
    expect(String(warnings.mock.calls[0][0])).toMatch(
      /a worker did not come back with its part of a kernel; kernels run on one thread/,
    );
    expect(run().all).toBe(total + 1000);
    warnings.mockRestore();
  });

  test("a process that has workers ends by itself", { timeout: 30_000 }, async () => {
    const script = fileURLToPath(new URL("../threads/exits.ts", import.meta.url));
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script]);
    expect([stdout, stderr]).toEqual([`2 threads, ${512 * 512 * 129}\n`, ""]);
  });

  test("a number of threads that there cannot be is refused", () => {
    expect(() => setThreads(0)).toThrow(/setThreads: 0 threads asked for; give a whole number from 1 to 64/);
    expect(() => setThreads(1.5)).toThrow(/1.5 threads/);
  });
});
