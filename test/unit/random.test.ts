import {
  setBackend,
  jsBackend,
  type Value,
  CotangentError,
  DTypeError,
  ShapeError,
  bernoulli,
  categorical,
  derivative,
  foldIn,
  grad,
  gamma,
  gumbel,
  jit,
  normal,
  profile,
  randomKey,
  splitKey,
  tensor,
  threefry2x32,
  uniform,
  vmap,
} from "cotangent";
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import "@tensorflow/tfjs-backend-cpu";
import { describe, expect, test } from "vitest";

// The reference computes eager and jitted code by the same kernels: to the last bit.
setBackend(jsBackend);

const draws = 100_000;

/**
 * Five standard deviations of a mean of that many draws with that standard deviation. A right sampler is outside of it
 * with probability 6e-7; with the seeds fixed it is so never or always.
 */
const fiveSigma = (deviation: number): number => (5 * deviation) / Math.sqrt(draws);

/** The largest distance between the distribution function of numbers and the one that they should have. */
function kolmogorovSmirnov(numbers: ArrayLike<number>, cdf: (x: number) => number): number {
  const sorted = Float64Array.from(numbers).sort();
  return sorted.reduce((worst, x, i) => {
    const p = cdf(x);
    return Math.max(worst, Math.abs(p - i / sorted.length), Math.abs(p - (i + 1) / sorted.length));
  }, 0);
}

/** What a right sampler exceeds with probability 2 exp(-2 · 2.7²) = 9e-7 (Kolmogorov's limit distribution). */
const smirnovBound = 2.7 / Math.sqrt(draws);

describe("threefry2x32", () => {
  const block = (...words: [number, number, number, number]): number[] => {
    const out = new Uint32Array(2);
    threefry2x32(...words, out);
    return [...out];
  };

  test("gives the known answers of Random123 (kat_vectors, threefry2x32 with 20 rounds)", () => {
    expect(block(0, 0, 0, 0)).toEqual([0x6b200159, 0x99ba4efe]);
    const ones = 0xffffffff;
    expect(block(ones, ones, ones, ones)).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(block(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual([0xc4923a9c, 0x483df7a0]);
  });
});

describe("keys", () => {
  const words = (keys: Value): number[][] => {
    const halves = keys.dataSync();
    return Array.from({ length: halves.length / 4 }, (_, i) => [
      halves[4 * i] * 65536 + halves[4 * i + 1],
      halves[4 * i + 2] * 65536 + halves[4 * i + 3],
    ]);
  };

  test("are those of JAX 0.10.2 for the same seed, and so are their parts", () => {
    // jax.random.split(jax.random.PRNGKey(seed), 3) with jax_enable_x64 and jax_threefry_partitionable.
    const known: [number, number[], number[][]][] = [
      [
        0,
        [0, 0],
        [
          [1797259609, 2579123966],
          [928981903, 3453687069],
          [4146024105, 2718843009],
        ],
      ],
      [
        42,
        [0, 42],
        [
          [1832780943, 270669613],
          [64467757, 2916123636],
          [2465931498, 255383827],
        ],
      ],
      [
        -1,
        [4294967295, 4294967295],
        [
          [1094285764, 1314454335],
          [1355514454, 2365093262],
          [399813750, 1719144391],
        ],
      ],
      [
        2 ** 40 + 7,
        [256, 7],
        [
          [2775665504, 110793307],
          [1038896816, 4099356745],
          [980683688, 2277133135],
        ],
      ],
    ];
    for (const [seed, key, parts] of known) {
      expect(words(randomKey(seed))).toEqual([key]);
      expect(words(splitKey(randomKey(seed), 3))).toEqual(parts);
    }
  });

  test("split and folded keys are all distinct, and so are the parts of several keys", () => {
    const key = randomKey(3);
    const parts = splitKey(key, 1000);
    const folded = foldIn(
      splitKey(key, 1).broadcastTo([1000, 4]),
      tensor(
        Array.from({ length: 1000 }, (_, i) => i - 500),
        { dtype: "int32" },
      ),
    );
    const more = splitKey(parts, 3);
    expect([parts.shape, folded.shape, more.shape]).toEqual([
      [1000, 4],
      [1000, 4],
      [1000, 3, 4],
    ]);
    expect(new Set([parts, folded, more].flatMap(words).map(String)).size).toBe(5000);
    expect(words(more.at(7))).toEqual(words(splitKey(parts.at(7), 3)));
    expect(words(foldIn(parts, 5).at(7))).toEqual(words(foldIn(parts.at(7), 5)));
  });

  test("are refused where they are none", () => {
    expect(() => randomKey(0.5)).toThrow(CotangentError);
    expect(() => uniform(tensor([1, 2, 3, 4]))).toThrow(DTypeError);
    expect(() => uniform(tensor([1, 2], { dtype: "int32" }))).toThrow(
      /found int32\[2\] where a key is needed/,
    );
    expect(() => splitKey(tensor([0, 0, 0, -1], { dtype: "int32" }))).toThrow(/a key holds -1/);
    expect(() => foldIn(randomKey(1), tensor([1, 2], { dtype: "int32" }))).toThrow(ShapeError);
    expect(() => foldIn(randomKey(1), tensor(1))).toThrow(DTypeError);
    expect(() => splitKey(randomKey(1), 1.5)).toThrow(ShapeError);
  });
});

describe("bits", () => {
  const key = randomKey(20261);

  test("are those of the key, whatever the shape, and the same in a jitted function", () => {
    const long = uniform(key, [3, 5]);
    expect(uniform(key, [15]).toArray()).toEqual([...long.dataSync()]);
    expect(uniform(key, [2]).toArray()).toEqual(Array.from(long.dataSync().slice(0, 2)));
    const jitted = jit((k: Value) => normal(foldIn(k, 3), [4]));
    expect(jitted(key).toArray()).toEqual(normal(foldIn(key, 3), [4]).toArray());
  });

  test("of several keys are those of each", () => {
    const keys = splitKey(key, 3);
    const all = uniform(keys, [2, 2]);
    expect(all.shape).toEqual([3, 2, 2]);
    for (let i = 0; i < 3; i++) expect(all.at(i).toArray()).toEqual(uniform(keys.at(i), [2, 2]).toArray());
    expect(normal(keys, [2]).at(1).toArray()).toEqual(normal(keys.at(1), [2]).toArray());
  });

  test("in a batch are those of each key alone", () => {
    const keys = splitKey(key, 4);
    const draw: Record<string, (k: Value) => Value> = {
      uniform: (k) => uniform(k, [2, 3]),
      normal: (k) => normal(splitKey(k).at(1), [2]),
      gamma: (k) => gamma(foldIn(k, 3), tensor([0.5, 2])),
      bernoulli: (k) => bernoulli(k, 0.3, [5]),
      categorical: (k) => categorical(k, tensor([0, 1, 2]), { shape: [5] }),
    };
    for (const [name, f] of Object.entries(draw)) {
      for (const all of [vmap(f)(keys), jit(vmap(f))(keys), vmap(jit(f))(keys)])
        for (let i = 0; i < 4; i++) expect(all.at(i).toArray(), name).toEqual(f(keys.at(i)).toArray());
    }
    const numbers = tensor([3, 1, 2], { dtype: "int32" });
    expect(
      vmap((data: Value) => foldIn(key, data))(numbers)
        .at(1)
        .toArray(),
    ).toEqual(foldIn(key, 1).toArray());
  });

  test("float32 has the top 24 bits of float64", () => {
    const [fine, coarse] = (["float64", "float32"] as const).map((dtype) =>
      uniform(key, [1000], { dtype }).dataSync(),
    );
    expect([...coarse]).toEqual([...fine].map((x) => Math.floor(x * 2 ** 24) / 2 ** 24));
  });

  test("are the same on tfjs", async () => {
    const tfjs = await createTfjsBackend("cpu");
    const there = randomKey(20261, tfjs);
    expect([...splitKey(there, 5).dataSync()]).toEqual([...splitKey(key, 5).dataSync()]);
    expect([...foldIn(there, -7).dataSync()]).toEqual([...foldIn(key, -7).dataSync()]);
    expect([...uniform(there, [100]).dataSync()]).toEqual([
      ...uniform(key, [100], { dtype: "float32" }).dataSync(),
    ]);
    expect(uniform(there, [100]).dtype).toBe("float32");
    expect(() => uniform(there, [100], { dtype: "float64" })).toThrow(
      /float64 asked for on backend tfjs-cpu/,
    );
  });

  test("of two parts of a key, and of its draws and parts, are uncorrelated", () => {
    const [a, b] = [0, 1].map((i) => uniform(splitKey(key, 2).at(i), [draws]).sub(0.5));
    const itself = uniform(key, [draws]).sub(0.5);
    // Products of two independent uniform numbers have the standard deviation 1/12.
    for (const [x, y] of [
      [a, b],
      [a, itself],
      [itself.slice([1]), itself.slice([0], [-1])],
    ])
      expect(Math.abs(x.mul(y).mean().item())).toBeLessThan(fiveSigma(1 / 12));
  });
});

describe("distributions", () => {
  const key = randomKey(7);

  test.each(["float64", "float32"] as const)("uniform numbers are uniform in %s", (dtype) => {
    const numbers = uniform(key, [draws], { low: -1, high: 3, dtype });
    expect(numbers.dtype).toBe(dtype);
    expect(kolmogorovSmirnov(numbers.dataSync(), (x) => (x + 1) / 4)).toBeLessThan(smirnovBound);
    const lowBit = uniform(key, [draws], { dtype: "float64" })
      .mul(2 ** 53)
      .mod(2)
      .mean()
      .item();
    expect(Math.abs(lowBit - 0.5)).toBeLessThan(fiveSigma(0.5));
  });

  test.each(["float64", "float32"] as const)("normal numbers are normal in %s", (dtype) => {
    const numbers = normal(key, [draws], { dtype });
    const cdf = numbers.astype("float64").div(Math.SQRT2).erf().add(1).mul(0.5);
    expect(kolmogorovSmirnov(cdf.dataSync(), (p) => p)).toBeLessThan(smirnovBound);
    const moments = [1, 2, 3, 4].map((k) => numbers.astype("float64").pow(k).mean().item());
    // Moments of order k are 0, 1, 0, 3; the deviations of z^k are the square roots of (2k - 1)!! less their squares.
    [0, 1, 0, 3].forEach((wanted, i) =>
      expect(Math.abs(moments[i] - wanted)).toBeLessThan(
        fiveSigma(Math.sqrt([1, 3, 15, 105][i] - wanted ** 2)),
      ),
    );
  });

  test.each(["float64", "float32"] as const)("Gumbel numbers have Gumbel's distribution in %s", (dtype) => {
    const numbers = gumbel(key, [draws], { location: 2, scale: 3, dtype });
    expect(numbers.isFinite().astype("int32").sum().item()).toBe(draws);
    const cdf = (x: number): number => Math.exp(-Math.exp(-(x - 2) / 3));
    expect(kolmogorovSmirnov(numbers.dataSync(), cdf)).toBeLessThan(smirnovBound);
  });

  test("bernoulli draws are true as often as they should be", () => {
    const p = tensor([0, 0.3, 1]);
    const frequencies = bernoulli(key, p, [draws, 3]).astype("float64").mean({ axis: 0 }).dataSync();
    expect([frequencies[0], frequencies[2]]).toEqual([0, 1]);
    expect(Math.abs(frequencies[1] - 0.3)).toBeLessThan(fiveSigma(Math.sqrt(0.3 * 0.7)));
    expect(bernoulli(key, 0.5).dtype).toBe("bool");
  });

  test("categorical draws have the probabilities of the softmax, along any axis", () => {
    const logits = tensor([
      [0, 1, -Infinity],
      [2, 0, 1],
    ]);
    for (const [given, axis] of [
      [logits, -1],
      [logits.transpose(), 0],
    ] as const) {
      const classes = categorical(key, given, { axis, shape: [draws] });
      expect([classes.dtype, classes.shape]).toEqual(["int32", [draws, 2]]);
      const wanted = logits.softmax().toArray() as number[][];
      for (const [row, probabilities] of wanted.entries()) {
        probabilities.forEach((p, c) => {
          const frequency = classes
            .at(row, 1)
            .eq(tensor(c, { dtype: "int32" }))
            .astype("float64")
            .mean()
            .item();
          expect(Math.abs(frequency - p)).toBeLessThanOrEqual(fiveSigma(Math.sqrt(p * (1 - p))));
        });
      }
    }
  });

  test("parameters give the shape and dtype, and are not larger than the draw", () => {
    const scale = tensor([1, 2, 3], { dtype: "float32" });
    const drawn = normal(key, undefined, { scale });
    expect([drawn.shape, drawn.dtype]).toEqual([[3], "float32"]);
    expect(normal(key).shape).toEqual([]);
    expect(() => normal(key, [], { scale })).toThrow(/does not broadcast to the shape \[\] of the draw/);
    expect(() => uniform(key, [2], { low: scale })).toThrow(ShapeError);
    expect(() => uniform(key, [2], { dtype: "int32" as never })).toThrow(DTypeError);
  });

  test("derivatives pass through to the parameters, and to nothing discrete", () => {
    const z = normal(key, [draws]);
    expect(grad((scale) => normal(key, [draws], { scale, mean: 5 }).mean())(2).item()).toBeCloseTo(
      z.mean().item(),
      12,
    );
    expect(derivative((high) => uniform(key, [], { high, low: 1 }))(3).item()).toBe(uniform(key).item());
    // E[(m + s z)²] = m² + s²: the derivative in s is 2 s, of deviation sqrt(var(2 z (m + s z))) = 2 sqrt(m² + 2 s²).
    const second = grad((s) => normal(key, [draws], { mean: 1, scale: s }).square().mean())(2).item();
    expect(Math.abs(second - 4)).toBeLessThan(fiveSigma(2 * Math.sqrt(1 + 2 * 4)));
    expect(grad((p) => bernoulli(key, p, [10]).astype("float64").sum())(0.5).item()).toBe(0);
    expect(grad((l) => categorical(key, l).astype("float64").sum())(tensor([1, 2])).toArray()).toEqual([
      0, 0,
    ]);
  });

  test("cost is counted", () => {
    expect(profile(() => uniform(key, [10])).flops).toBe(1000);
  });
});
