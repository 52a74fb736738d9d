/** Products of matrices and convolutions as WebAssembly, against the reference backend: random shapes, strides and layouts. */
import {
  convolve,
  convolveFilterTranspose,
  convolveInputTranspose,
  overlapAdd,
  patches,
} from "@cotangent/core";
import {
  type Value,
  avgPool2d,
  dotGeneral,
  evaluateGraph,
  grad,
  jit,
  jsBackend,
  maxPool2d,
  setRelaxedSimd,
  setThreads,
  stage,
  tensor,
  tidy,
  where,
  wasmBackend,
  withBackend,
} from "cotangent";
import { assert, boolean, constantFrom, integer, nat, property, tuple } from "fast-check";
import { afterEach, describe, expect, test } from "vitest";

const seed = Number(process.env["COTANGENT_SEED"] ?? 20261);

type Floating = "float64" | "float32";
const floating = constantFrom<Floating[]>("float64", "float32");

/** Numbers from -1 to 1, the same for the same number. */
function numbers(size: number, mark: number): Float32Array {
  let state = (mark + 1) * 2_654_435_761;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  });
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((p, n) => p * n, 1);

/** What a function of tensors of these shapes gives on a backend, as one program. */
function results(
  backend: typeof wasmBackend | typeof jsBackend,
  dtype: Floating | "int32",
  shapes: readonly (readonly number[])[],
  f: (...xs: Value[]) => Value[],
): Float64Array[] {
  return withBackend(backend, () => {
    const inputs = shapes.map((shape, i) => {
      const found = numbers(sizeOf(shape), i);
      const data = dtype === "int32" ? Array.from(found, (x) => Math.round(20 * x)) : Array.from(found);
      return tensor(data, { dtype }).reshape([...shape]);
    });
    return evaluateGraph(stage((...xs: Value[]) => f(...xs))(...inputs), inputs).map((value) =>
      Float64Array.from(value.dataSync()),
    );
  });
}

/** A sum of so many products of numbers up to 1 has an error of at most so many roundings, each of the sum's size. */
function expectClose(found: Float64Array[], wanted: Float64Array[], dtype: Floating, terms: number): void {
  const roundoff = dtype === "float64" ? 2 ** -52 : 2 ** -23;
  const tolerance = roundoff * terms * Math.max(1, Math.sqrt(terms));
  expect(found.map(({ length }) => length)).toEqual(wanted.map(({ length }) => length));
  found.forEach((each, k) => {
    let worst = 0;
    each.forEach((x, i) => {
      const error = Math.abs(x - wanted[k][i]);
      worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
    });
    expect(worst).toBeLessThanOrEqual(tolerance);
  });
}

/** Small sizes, sizes about those of tiles and panels, and some larger ones. */
const side = tuple(nat(2), integer({ min: 0, max: 9 }), integer({ min: 10, max: 70 })).map(
  ([which, small, large]) => [small, large, small][which],
);

describe("relaxed SIMD", () => {
  afterEach(() => setRelaxedSimd(false));

  test(`products of any size are within rounding of the reference's (seed ${seed})`, () => {
    expect(setRelaxedSimd(true)).toBe(true);
    assert(
      property(tuple(side, side, side), floating, ([m, k, n], dtype) => {
        const f = (x: Value, y: Value): Value[] => [x.matmul(y), y.transpose().matmul(x.transpose())];
        const shapes = [
          [m, k],
          [k, n],
        ];
        expectClose(results(wasmBackend, dtype, shapes, f), results(jsBackend, dtype, shapes, f), dtype, k);
      }),
      { seed, numRuns: 80 },
    );
  });

  test("applies to what is compiled from then on, and is off to begin with", () => {
    // (1 + e)^2 - (1 + 2e): the rounded square loses e^2, a fused one does not.
    const e = 2 ** -30;
    const product = (size: number): number => {
      const rows = tensor(Array.from({ length: 2 * size }, (_, i) => (i % 2 === 0 ? 1 : 1 + e)));
      const columns = tensor(Array.from({ length: 2 * size }, (_, i) => (i < size ? -(1 + 2 * e) : 1 + e)));
      const multiplied = jit((x: Value, y: Value) => x.matmul(y));
      return withBackend(
        wasmBackend,
        () => multiplied(rows.reshape([size, 2]), columns.reshape([2, size])).dataSync()[0],
      );
    };
    expect(product(16)).toBe(0);
    setRelaxedSimd(true);
    // Which of the two an engine gives is the machine's.
    expect([0, e * e]).toContain(product(17));
  });
});

describe("products of matrices", () => {
  test(`of any size, with operands that lie in any order (seed ${seed})`, () => {
    assert(
      property(
        tuple(side, side, side, integer({ min: 0, max: 3 })),
        tuple(boolean(), boolean(), boolean()),
        nat(5),
        floating,
        ([m, k, n, batch], [flipsX, flipsY, slices], order, dtype) => {
          const orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
          ];
          // The axes batch, free, contracted of either operand, in some order.
          const [ofX, ofY] = [orders[order], orders[(5 * order + 1) % 6]];
          const [x, y] = [ofX.map((i) => [batch, m, k][i]), ofY.map((i) => [batch, n, k][i])];
          const wider = slices ? x.map((size) => size + 2) : x;
          const f = (a: Value, b: Value): Value[] => {
            const part = slices
              ? a.slice(
                  x.map(() => 1),
                  x.map((size) => size + 1),
                )
              : a;
            return [
              dotGeneral(flipsX ? part.flip(1) : part, flipsY ? b.flip(2) : b, {
                contractX: [ofX.indexOf(2)],
                contractY: [ofY.indexOf(2)],
                batchX: [ofX.indexOf(0)],
                batchY: [ofY.indexOf(0)],
              }),
            ];
          };
          const run = (backend: typeof wasmBackend | typeof jsBackend): Float64Array[] =>
            results(backend, dtype, [wider, y], f);
          expectClose(run(wasmBackend), run(jsBackend), dtype, k);
        },
      ),
      { seed, numRuns: 250 },
    );
  });

  test.each([
    [1, 1000, 1],
    [1, 300, 517],
    [513, 300, 1],
    [517, 30, 2],
    [2, 1100, 301],
    [70, 1700, 9],
    [130, 1030, 70],
    [97, 5, 333],
  ])("of %i x %i x %i, plain and transposed, to the last bit where all numbers are whole", (m, k, n) => {
    for (const [shapeX, shapeY, contractX, contractY] of [
      [[m, k], [k, n], 1, 0],
      [[m, k], [n, k], 1, 1],
      [[k, m], [k, n], 0, 0],
      [[k, m], [n, k], 0, 1],
    ] as const) {
      const f = (x: Value, y: Value): Value[] => [
        dotGeneral(x, y, { contractX: [contractX], contractY: [contractY], batchX: [], batchY: [] }),
      ];
      const wanted = results(jsBackend, "int32", [shapeX, shapeY], f);
      expect(results(wasmBackend, "int32", [shapeX, shapeY], f)).toEqual(wanted);
      // Sums of so many products of whole numbers up to 20 are exact in float32 too.
      for (const dtype of ["float32", "float64"] as const) {
        const whole = (x: Value, y: Value): Value[] => f(x.mul(20).round(), y.mul(20).round());
        expect(results(wasmBackend, dtype, [shapeX, shapeY], whole)).toEqual(
          results(jsBackend, dtype, [shapeX, shapeY], whole),
        );
      }
    }
  });

  test(`of batches that share an operand (seed ${seed})`, () => {
    assert(
      property(tuple(side, side, side), boolean(), floating, ([m, k, n], isFirst, dtype) => {
        const params = { contractX: [2], contractY: [1], batchX: [0], batchY: [0] };
        const all = (x: Value): Value => x.broadcastTo([3, ...x.shape]);
        const f = (x: Value, y: Value): Value[] => [
          isFirst ? dotGeneral(all(x), y, params) : dotGeneral(x, all(y), params),
        ];
        const shapes = isFirst
          ? [
              [m, k],
              [3, k, n],
            ]
          : [
              [3, m, k],
              [k, n],
            ];
        expectClose(results(wasmBackend, dtype, shapes, f), results(jsBackend, dtype, shapes, f), dtype, k);
      }),
      { seed, numRuns: 60 },
    );
  });

  test(`over several axes that lie apart (seed ${seed})`, () => {
    const small = integer({ min: 1, max: 5 });
    assert(
      property(tuple(small, small, small, small, small, small), floating, ([b, m1, m2, k1, k2, n], dtype) => {
        const f = (x: Value, y: Value): Value[] => [
          dotGeneral(x, y, { contractX: [1, 3], contractY: [3, 0], batchX: [2], batchY: [2] }),
        ];
        const shapes = [
          [m1, k1, b, k2, m2],
          [k2, n, b, k1],
        ];
        expectClose(
          results(wasmBackend, dtype, shapes, f),
          results(jsBackend, dtype, shapes, f),
          dtype,
          k1 * k2,
        );
      }),
      { seed, numRuns: 60 },
    );
  });
});

/** How windows go over images: sizes about those of tiles, strides and dilations that share divisors or not. */
const windows = tuple(
  tuple(integer({ min: 1, max: 3 }), integer({ min: 1, max: 12 }), integer({ min: 1, max: 12 })),
  tuple(integer({ min: 1, max: 4 }), integer({ min: 1, max: 4 })),
  tuple(constantFrom(1, 2, 3, 4, 5, 8, 9, 17), constantFrom(1, 2, 3, 4, 7, 8, 12, 20)),
  tuple(integer({ min: 1, max: 4 }), integer({ min: 1, max: 4 })),
  tuple(integer({ min: 1, max: 4 }), integer({ min: 1, max: 4 })),
  tuple(nat(3), nat(3), nat(3), nat(3)),
)
  .map(([[n, h, w], [kh, kw], [c, o], strides, dilation, [top, bottom, left, right]]) => {
    const params = {
      strides,
      dilation,
      padding: [
        [top, bottom],
        [left, right],
      ],
    } as const;
    const count = (size: number, k: number, axis: 0 | 1): number => {
      const padded = size + params.padding[axis][0] + params.padding[axis][1];
      return Math.floor((padded - (k - 1) * dilation[axis] - 1) / strides[axis]) + 1;
    };
    const [oh, ow] = [count(h, kh, 0), count(w, kw, 1)];
    return { image: [n, h, w, c], filter: [kh, kw, c, o], output: [n, oh, ow, o], params };
  })
  .filter(({ output }) => output[1] >= 1 && output[2] >= 1);

describe("convolutions and pooling", () => {
  test(`with any strides, padding and dilation, forwards and both ways back (seed ${seed})`, () => {
    assert(
      property(windows, floating, boolean(), ({ image, filter, output, params }, dtype, isTransposed) => {
        // Operands in order, or as views that read theirs with the first two axes in each other's places.
        const turned = (shape: readonly number[]): number[] =>
          isTransposed ? [shape[1], shape[0], shape[2], shape[3]] : [...shape];
        const view = (x: Value): Value => (isTransposed ? x.transpose([1, 0, 2, 3]) : x);
        const f = (x: Value, y: Value, ct: Value): Value[] => [
          convolve(view(x), view(y), params),
          convolveInputTranspose(view(ct), view(y), { ...params, size: image }),
          convolveFilterTranspose(view(x), view(ct), { ...params, size: filter }),
        ];
        const run = (backend: typeof wasmBackend | typeof jsBackend): Float64Array[] =>
          results(backend, dtype, [image, filter, output].map(turned), f);
        const terms = Math.max(
          sizeOf(filter.slice(0, 3)),
          filter[0] * filter[1] * filter[3],
          sizeOf(output.slice(0, 3)),
        );
        expectClose(run(wasmBackend), run(jsBackend), dtype, terms);
      }),
      { seed, numRuns: 250 },
    );
  });

  test.each(["float64", "float32"] as const)(
    "filters that reach far over the edges of an image, transposed, in %s",
    (dtype) => {
      const params = (dilation: readonly [number, number]) => ({
        strides: [1, 1] as const,
        dilation,
        padding: [
          [0, 0],
          [1, 0],
        ] as const,
      });
      for (const [filter, dilation] of [
        [
          [5, 5],
          [1, 1],
        ],
        [
          [3, 6],
          [2, 1],
        ],
        [
          [9, 1],
          [1, 1],
        ],
      ] as const) {
        const image = [3, 12, 13, 4];
        const size = [0, 1].map(
          (axis) => image[axis + 1] + (axis === 1 ? 1 : 0) - (filter[axis] - 1) * dilation[axis],
        );
        const f = (y: Value, ct: Value): Value[] => [
          convolveInputTranspose(ct, y, { ...params(dilation), size: image }),
        ];
        const run = (backend: typeof wasmBackend | typeof jsBackend): Float64Array[] =>
          results(
            backend,
            dtype,
            [
              [...filter, 4, 6],
              [3, ...size, 6],
            ],
            f,
          );
        expectClose(run(wasmBackend), run(jsBackend), dtype, 6 * filter[0] * filter[1]);
      }
    },
  );

  test(`pooling, and the patches and their sums that its derivatives are made of (seed ${seed})`, () => {
    assert(
      property(windows, floating, ({ image, filter, params: { strides, dilation, padding } }, dtype) => {
        // Padding must be less than the window.
        const window = [filter[0], filter[1]] as const;
        const params = {
          window,
          strides,
          dilation,
          padding: padding.map((sides, axis) => sides.map((n) => Math.min(n, window[axis] - 1))) as [
            [number, number],
            [number, number],
          ],
        };
        const fits = window.every(
          (k, axis) =>
            (k - 1) * dilation[axis] + 1 <=
            image[axis + 1] + params.padding[axis][0] + params.padding[axis][1],
        );
        // A window that lies in the padding alone has no mean.
        if (!fits || dilation.some((d) => d > 1)) return;
        const f = (x: Value): Value[] => {
          const apart = patches(x, params);
          return [
            maxPool2d(x, window, params),
            avgPool2d(x, window, params),
            apart,
            overlapAdd(apart, { ...params, size: image }),
            grad((v: Value) => maxPool2d(v, window, params).square().sum())(x),
            grad((v: Value) => avgPool2d(v, window, params).square().sum())(x),
          ];
        };
        const run = (backend: typeof wasmBackend | typeof jsBackend): Float64Array[] =>
          results(backend, dtype, [image], f);
        expectClose(run(wasmBackend), run(jsBackend), dtype, 4 * window[0] * window[1]);
      }),
      { seed, numRuns: 150 },
    );
  });
});

describe("what follows a product", () => {
  /** Functions of a product, a row, a column and a matrix beside it: several outputs, other dtypes in between. */
  const endings: readonly ((z: Value, row: Value, column: Value, other: Value) => Value[])[] = [
    (z, row) => [z.add(row).relu()],
    (z) => [z.tanh()],
    (z, row, column) => [z.add(row).mul(column).neg(), z.add(row)],
    (z, row, _, other) => [where(z.gt(other), z.sub(row), other.mul(2)), z.gt(other)],
    (z, _, column, other) => [other.mul(0.5).add(z.mul(column.slice([0, 0], [1, 1]).exp()))],
    (z, row) => [z.gt(row).astype("int32").mul(3)],
    (z, row) => [z.add(row), z],
    (z, row) => [z.add(row).sum({ axis: 0 }), z.max()],
  ];

  test(`is computed with it (seed ${seed})`, () => {
    assert(
      property(
        tuple(side, side, side, boolean()),
        nat(endings.length - 1),
        boolean(),
        floating,
        ([m, k, n, isDeep], which, isTransposed, dtype) => {
          const depth = isDeep ? 600 + k : k;
          if (m * n === 0) return;
          const shapes = [[m, depth], isTransposed ? [n, depth] : [depth, n], [n], [m, 1], [m, n]];
          // Eighths, of which products and sums are exact, so that comparisons go the same way everywhere.
          const f = (...given: Value[]): Value[] => {
            const [x, y, row, column, other] = given.map((value) => value.mul(8).round().div(8));
            return endings[which](x.matmul(isTransposed ? y.transpose() : y), row, column, other);
          };
          const run = (backend: typeof wasmBackend | typeof jsBackend): Float64Array[] =>
            results(backend, dtype, shapes, f);
          expectClose(run(wasmBackend), run(jsBackend), dtype, depth + m + 20);
        },
      ),
      { seed, numRuns: 250 },
    );
  });

  test(`of batches, convolutions and their gradients too (seed ${seed})`, () => {
    assert(
      property(windows, floating, ({ image, filter, output, params }, dtype) => {
        const bias = [filter[3]];
        const layer = (x: Value, w: Value, b: Value): Value => convolve(x, w, params).add(b).relu();
        const f = (x: Value, w: Value, b: Value, ct: Value): Value[] => [
          layer(x, w, b),
          ...grad(([v, u, c]: Value[]) => layer(v, u, c).mul(ct).sum())([x, w, b]),
          w.sub(convolveFilterTranspose(x, ct, { ...params, size: filter }).mul(0.1)),
          x
            .reshape([image[0], -1, image[3]])
            .matmul(x.reshape([image[0], image[3], -1]))
            .mul(2),
        ];
        const run = (backend: typeof wasmBackend | typeof jsBackend): Float64Array[] =>
          results(backend, dtype, [image, filter, bias, output], f);
        const terms = Math.max(
          sizeOf(filter.slice(0, 3)),
          filter[0] * filter[1] * filter[3],
          sizeOf(output.slice(0, 3)),
        );
        expectClose(run(wasmBackend), run(jsBackend), dtype, 2 * terms);
      }),
      { seed, numRuns: 100 },
    );
  });
});

test("products and convolutions are the same to the last bit for any number of threads", async () => {
  const params = {
    strides: [2, 1],
    padding: [
      [1, 2],
      [0, 1],
    ],
    dilation: [1, 2],
  } as const;
  for (const dtype of ["float64", "float32"] as const) {
    const [x, image, filter] = withBackend(wasmBackend, () =>
      [
        [900, 130],
        [6, 30, 28, 10],
        [3, 3, 10, 20],
      ].map((shape, i) => tensor(Array.from(numbers(sizeOf(shape), i)), { dtype }).reshape(shape)),
    );
    const run = jit((v: Value, y: Value, w: Value) => {
      const found = convolve(y, w, params);
      return [
        v.matmul(v.transpose()),
        v.transpose().matmul(v).tanh(),
        v.matmul(v.slice([0, 0], [130, 70])).add(1),
        v.matmul(v.at(3)),
        found.relu(),
        convolveInputTranspose(found, w, { ...params, size: image.shape }),
        convolveFilterTranspose(y, found, { ...params, size: filter.shape }),
      ];
    });
    const bits = (): string[] =>
      tidy(() =>
        run(x, image, filter).map((value) => Buffer.from(value.dataSync().buffer).toString("base64")),
      );
    const alone = bits();
    expect(setThreads(2)).toBe(2);
    // Some runs before the worker has started, the others with it.
    for (let k = 0; k < 10; k++) {
      expect(bits().map((each, i) => each === alone[i])).toEqual(alone.map(() => true));
      await new Promise((resolve) => setTimeout(resolve, k < 5 ? 40 : 0));
    }
    expect(setThreads(1)).toBe(1);
  }
});
