/** The WebGL kernels themselves: precision, special values, shapes that shaders dislike, leaks, limits, large tensors. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { memory as tfjsMemory } from "@tensorflow/tfjs-core";
import {
  type Value,
  arange,
  hostKernels,
  jsBackend,
  primitives,
  registerBackend,
  tensor,
  tidy,
  valueAndGrad,
  withBackend,
} from "cotangent";
import { describe, expect, test } from "vitest";

const webgl = await createTfjsBackend();
registerBackend(webgl);
const on = <T>(body: () => T): T => withBackend(webgl, body);

describe("kernels", () => {
  test("there is one for every primitive, or a decomposition, or it runs graphs of others", () => {
    const missing = [...primitives().values()].filter(
      (p) =>
        !webgl.kernels.has(p.name) &&
        p.decompose === undefined &&
        !(p.rules.form === "multiple" && p.rules.evaluate !== undefined),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -2.5, 1e-6, 30, -30, 90, -90, 1e10];
  const unary = [...primitives().values()].filter(
    (p) => p.elementwise && p.args.length === 1 && p.name !== "convert" && !(p.name in hostKernels),
  );
  const binary = [
    "add",
    "sub",
    "mul",
    "strongMul",
    "div",
    "pow",
    "max",
    "min",
    "hypot",
    "atan2",
    "xlogy",
    "eq",
    "ne",
    "lt",
    "ge",
  ];

  /** Special values exactly; numbers to 16 roundings of float32, relative, or absolute near 0. */
  function expectSame(
    found: ArrayLike<number>,
    reference: ArrayLike<number>,
    label: (i: number) => string,
    condition: (i: number) => number = () => 0,
  ): void {
    for (let i = 0; i < reference.length; i++) {
      const [a, b] = [found[i], Math.fround(reference[i])];
      const same =
        Object.is(a, b) ||
        a === b ||
        Math.abs(a - b) <= (16 + condition(i)) * 2 ** -24 * Math.max(Math.abs(b), 1e-30) ||
        (Math.abs(b) < 2 ** -126 && a === 0);
      if (!same) expect.fail(`${label(i)}: found ${a}, reference ${b}`);
    }
  }

  test.each(unary.map(({ name }) => name))("%s has the special values of the reference", (name) => {
    if (name === "not") {
      expect(on(() => tensor([true, false]).not().toArray())).toEqual([false, true]);
      return;
    }
    const run = (backend: typeof webgl | typeof jsBackend): ArrayLike<number> =>
      withBackend(backend, () =>
        tidy(() =>
          (name === "clamp" ? clamped : tensor(special, { dtype: "float32" })[name as "sin"])
            .call(tensor(special, { dtype: "float32" }))
            .dataSync(),
        ),
      );
    // Beyond 8000 the reduction of the argument by multiples of π/2 loses what it needs.
    const judged = (numbers: ArrayLike<number>): number[] =>
      Array.from(numbers).filter(
        (_, i) => !["sin", "cos", "tan"].includes(name) || Math.abs(special[i]) !== 1e10,
      );
    expectSame(judged(run(webgl)), judged(run(jsBackend)), (i) => `${name}(${special[i]})`);
  });

  function clamped(this: Value): Value {
    return this.clamp(-1, 1);
  }

  test.each(binary)("%s has the special values of the reference", (name) => {
    const pairs = special.flatMap((x) => special.map((y) => [x, y]));
    const run = (backend: typeof webgl | typeof jsBackend): ArrayLike<number> =>
      withBackend(backend, () =>
        tidy(() => {
          const [x, y] = [0, 1].map((k) =>
            tensor(
              pairs.map((pair) => pair[k]),
              { dtype: "float32" },
            ),
          );
          return x[name as "add"](y).dataSync();
        }),
      );
    // x^y = exp(y log x): a relative error in the logarithm is |y log x| times as large in the power.
    const condition = (i: number): number =>
      name === "pow" ? Math.abs(pairs[i][1] * Math.log(Math.abs(pairs[i][0]))) : 0;
    expectSame(run(webgl), run(jsBackend), (i) => `${name}(${pairs[i].join(", ")})`, condition);
  });

  test("shapes of high rank, of size 0, and strange orders of axes", () => {
    const run = (backend: typeof webgl | typeof jsBackend): unknown =>
      withBackend(backend, () =>
        tidy(() => {
          const x = arange(0, 2 ** 8, 1, { dtype: "float32" }).reshape([2, 2, 2, 2, 2, 2, 2, 2]);
          const y = x.transpose([7, 0, 5, 2, 3, 6, 1, 4]);
          return [
            y.reshape([-1]).toArray(),
            y.slice([0, 1, 0, 1, 0, 1, 0, 1]).reshape([-1]).toArray(),
            y
              .flip([0, 3, 6])
              .sum({ axis: [1, 3, 5] })
              .reshape([-1])
              .toArray(),
            x
              .add(x.slice([0, 1], [2, 2]))
              .concatenate([x], 3)
              .max({ axis: [0, 7] })
              .reshape([-1])
              .toArray(),
            x.reshape([16, 16]).cumsum(0, { reverse: true }).at(3).toArray(),
            x.reshape([256]).slice([0], [0]).sum().item(),
            x.reshape([256]).slice([0], [0]).prod().item(),
            tensor([[], []], { dtype: "float32" })
              .matmul(tensor([], { shape: [0, 3], dtype: "float32" }))
              .toArray(),
            tensor([], { dtype: "float32" }).sin().shape,
            tensor([], { dtype: "float32" })
              .concatenate([tensor([1], { dtype: "float32" })])
              .toArray(),
          ];
        }),
      );
    expect(run(webgl)).toEqual(run(jsBackend));
  });

  test("broadcasts along five groups of axes, of one size after the other", () => {
    const run = (n: number): unknown => {
      const float = { dtype: "float32" } as const;
      const x = arange(0, 4 * n, 1, float).reshape([2, 1, n, 1, 2]);
      const y = arange(0, 6, 1, float).mul(100).reshape([1, 3, 1, 2, 1]);
      return x.add(y).toArray();
    };
    for (const n of [2, 3, 4]) expect(on(() => run(n))).toEqual(withBackend(jsBackend, () => run(n)));
  });

  test("a part of a value broadcasts as itself", () => {
    on(() =>
      tidy(() => {
        const x = tensor([0.25, 0.5, 0.75, 1]);
        for (const i of [0, 1, 3]) {
          const part = [0.25, 0.5, 0.75, 1][i];
          expect(
            x
              .at(i)
              .mul(tensor([10, 20]))
              .toArray(),
          ).toEqual([10 * part, 20 * part]);
          expect(
            x
              .at(i)
              .mul(tensor([10, 20, 30, 40]))
              .toArray(),
          ).toEqual([10, 20, 30, 40].map((y) => y * part));
        }
        const column = x.reshape([2, 2]).slice([0, 0], [2, 1]);
        expect(
          column
            .add(
              tensor([
                [1, 2],
                [3, 4],
              ]),
            )
            .toArray(),
        ).toEqual([
          [1.25, 2.25],
          [3.75, 4.75],
        ]);
      }),
    );
  });

  test("data is read without blocking too", async () => {
    const x = on(() => tensor([1, 2]).mul(3));
    expect([...(await x.data())]).toEqual([3, 6]);
    x.concrete().dispose();
  });
});

describe("refusals", () => {
  test("float64, large int32, and what no texture holds, by name and figure", () => {
    on(() => {
      expect(() => tensor([1], { dtype: "float64" })).toThrow(
        /dtype float64 asked for on backend webgl, which has float32, int32, bool/,
      );
      expect(() => tensor([2 ** 24 + 1], { dtype: "int32" })).toThrow(
        /The int32 16777217 was given to backend webgl.*exact for whole numbers up to 16777215/,
      );
      expect(() => tidy(() => tensor([1]).broadcastTo([2 ** 16, 2 ** 16]))).toThrow(
        /a texture of this device holds at most \d+ x \d+/,
      );
      expect(() => tidy(() => tensor([1, 2]).take([2]))).toThrow(/index 2 is outside \[0, 2\)/);
      expect(() => tensor([1]).add(tensor([1], { backend: jsBackend, dtype: "float32" }))).toThrow(
        /inputs are on backends webgl and js/,
      );
    });
  });

  test("a tfjs backend that is not there", async () => {
    await expect(createTfjsBackend("nowhere")).rejects.toThrow(/tfjs could not start its backend "nowhere"/);
  });
});

describe("memory", () => {
  test("nothing leaks, in Cotangent's count or in tfjs's own", () => {
    const f = (x: Value, w: Value): Value => x.matmul(w).tanh().logSoftmax().take([0, 1], 1).square().sum();
    const step = (): number =>
      tidy(() =>
        on(() =>
          valueAndGrad(f, { argnums: [0, 1] })(
            tensor([
              [1, 2],
              [3, 4],
            ]),
            tensor([
              [0.1, 0.2],
              [0.3, 0.4],
            ]),
          )[0].item(),
        ),
      );
    step(); // compiles the shaders
    const before = [webgl.memory(), tfjsMemory().numTensors];
    step();
    expect([webgl.memory(), tfjsMemory().numTensors]).toEqual(before);
  });
});

describe("large tensors against the reference", { timeout: 400_000 }, () => {
  /** Rounding of so many float32 terms, each of the size of the largest. */
  const tolerance = (terms: number, size: number): number => 2 ** -24 * (16 + Math.sqrt(terms)) * size;

  test("4096 x 4096 elementwise, value and gradient", () => {
    const n = 4096;
    const data = Float32Array.from({ length: n * n }, (_, i) => ((i * 7919) % 4001) / 1000 - 2);
    const f = (x: Value): Value => x.sin().mul(x.square().neg().exp()).add(x.tanh()).sum();
    const run = (backend: typeof webgl | typeof jsBackend): [number, Float32Array] =>
      withBackend(backend, () =>
        tidy(() => {
          const [value, gradient] = valueAndGrad(f)(tensor(data, { shape: [n, n], dtype: "float32" }));
          return [value.item(), gradient.dataSync() as Float32Array];
        }),
      );
    const [value, gradient] = run(webgl);
    const [expected, reference] = run(jsBackend);
    expect(Math.abs(value - expected)).toBeLessThan(tolerance(n * n, n * n));
    let worst = 0;
    for (let i = 0; i < reference.length; i++) worst = Math.max(worst, Math.abs(gradient[i] - reference[i]));
    expect(worst).toBeLessThan(tolerance(16, 2)); // a few operations on numbers of size 1
  });

  test("2048 x 2048 matmul, value and gradients, on 16 rows and columns", { timeout: 400_000 }, () => {
    const n = 2048;
    const numbers = (seed: number): Float32Array =>
      Float32Array.from({ length: n * n }, (_, i) => ((i * seed) % 2003) / 1001.5 - 1);
    const [a, b] = [numbers(7919), numbers(6133)];
    const sample = Array.from({ length: 16 }, (_, i) => (i * 127) % n);
    const [product, da, db, [value]] = on(() =>
      tidy(() => {
        const loss = (p: Value, q: Value): [Value, Value] => {
          const pq = p.matmul(q);
          return [pq.square().mean(), pq];
        };
        const inputs = [a, b].map((data) => tensor(data, { shape: [n, n], dtype: "float32" }));
        const [[mean, pq], gradients] = valueAndGrad(loss, { argnums: [0, 1], hasAux: true })(
          inputs[0],
          inputs[1],
        );
        return [pq, ...gradients, mean].map((result) => result.dataSync() as Float32Array);
      }),
    );
    const row = (m: Float32Array, i: number): Float32Array => m.subarray(i * n, (i + 1) * n);
    const column = (m: Float32Array, j: number): Float32Array =>
      Float32Array.from({ length: n }, (_, i) => m[i * n + j]);
    const dot = (x: Float32Array, y: Float32Array): number =>
      x.reduce((sum, each, i) => sum + each * y[i], 0);
    // The mean of n² squares of size n / 9, which tfjs sums in runs of up to n.
    const meanSquare = product.reduce((sum, each) => sum + each ** 2, 0) / n ** 2;
    expect(Math.abs(value - meanSquare)).toBeLessThan(tolerance(n, meanSquare));
    const scale = 2 / (n * n);
    for (const k of sample) {
      const rowK = row(a, k);
      const productRow = new Float64Array(n);
      for (let l = 0; l < n; l++) for (let j = 0; j < n; j++) productRow[j] += rowK[l] * b[l * n + j];
      for (const j of sample) {
        expect(Math.abs(product[k * n + j] - productRow[j])).toBeLessThan(tolerance(n, n));
        // d mean(P²)/dA = 2/n² P Bᵀ, so row k of it needs row k of P and row j of B.
        const wantedA = scale * dot(Float32Array.from(productRow), row(b, j));
        expect(Math.abs(da[k * n + j] - wantedA)).toBeLessThan(scale * tolerance(n, n * Math.sqrt(n)));
      }
    }
    // dB = 2/n² Aᵀ P: columns of A with columns of P.
    for (const j of sample.slice(0, 8)) {
      const productColumn = Float32Array.from({ length: n }, (_, i) => dot(row(a, i), column(b, j)));
      for (const l of sample.slice(0, 8)) {
        const wanted = scale * dot(column(a, l), productColumn);
        expect(Math.abs(db[l * n + j] - wanted)).toBeLessThan(scale * tolerance(n, n * Math.sqrt(n)));
      }
    }
  });
});
