/** The demo's functions: the derivatives by hand, by both modes and by differences must be the same. */
import { jsBackend } from "@cotangent/backend-js";
import { defaultTimeModel, profile, tensor } from "cotangent";
import { describe, expect, test } from "vitest";
import { sweeps } from "../../demo/cases/index.ts";
import { losses } from "../../demo/cases/classifier.ts";
import type { Way } from "../../demo/cases/problem.ts";
import { pendulum } from "../../demo/cases/trajectory.ts";
import { crossovers, forecastOf, measurementOf, rivals, winners } from "../../demo/compare/cost-model.ts";
import { extrapolatedDerivative } from "../../demo/compare/differences.ts";
import { type Point, measure, quantile } from "../../demo/compare/measure.ts";
import type { SweepResult } from "../../demo/compare/run.ts";
import { downsample, first } from "../../demo/data/digits.ts";
import { loadMnist } from "../../demo/data/mnist.ts";
import { disagreements } from "../../demo/report/conclusions.ts";

const eps = 2 ** -52;
const all = loadMnist();
const digits = first(all, 512);
const patience = { millisecondsPerRun: 5, rounds: 1, warmUpMilliseconds: 0 };

const pause = (): Promise<void> => Promise.resolve();

describe.each(sweeps.map((sweep) => [sweep.id, sweep] as const))("%s", (_, sweep) => {
  const sizes = sweep.sizes.quick.slice(0, 2);

  test.each(sizes)("at size %i all ways agree", async (size) => {
    const build = () => sweep.build(size, digits, "quick");
    const { check, measurements } = await measure(build, size, jsBackend, patience, pause);
    for (const { way, passes, evaluations, error } of measurements) {
      const differences = way === "numerical" || way === "differences of gradients";
      // For differences, rounding and truncation balance at eps^(2/3); their constants are derivatives of f and stay
      // below this. Else each evaluation of a pass adds a few roundings, and none of these functions amplifies them;
      // the longest sum in a matrix product, over 64 images, adds its own.
      const tolerance = differences ? 100 * eps ** (2 / 3) : eps * (evaluations / passes + 64);
      expect(error).toBeLessThan(tolerance);
    }
    // Differences are taken along one direction, in which the derivative may be small by cancellation.
    expect(check.error).toBeLessThan(Math.max(1e-9, 20 * check.errorEstimate));
  });

  test.each(sizes)("at size %i the graph tells what both rivals will cost", async (size) => {
    const build = () => sweep.build(size, digits, "quick");
    const point = await measure(build, size, jsBackend, patience, pause);
    for (const way of rivals(sweep)) {
      const [foretold, found] = [forecastOf(point, way), measurementOf(point, way)];
      // What a function computes of constants alone is computed as it is traced, and is not part of its graph: some FLOPs
      // of the first steps of a trajectory, and transposes and broadcasts of data, which are evaluations without FLOPs.
      expect(foretold.flops).toBeLessThanOrEqual(found.flops);
      expect(foretold.flops).toBeGreaterThan(0.98 * found.flops);
      expect(foretold.evaluations).toBeLessThanOrEqual(found.evaluations);
      expect(foretold.evaluations).toBeGreaterThan(0.75 * found.evaluations);
      if (sweep.case === "square") expect(foretold.flops).toBe(found.flops);
      expect(foretold.milliseconds).toBeGreaterThan(0);
    }
    const { predicted, measured } = winners(sweep, point, "flops");
    expect(predicted).toBe(measured);
  });

  test("what a way costs is the same for each pass", async () => {
    const build = () => sweep.build(sizes[0], digits, "quick");
    const { measurements } = await measure(build, sizes[0], jsBackend, patience, pause);
    for (const way of build().ways) {
      const counted = profile(() => way.run(Array.from({ length: way.passes }, (_, k) => k)));
      const { evaluations, flops, peakLiveBytes } = counted;
      const found = measurements.find((measurement) => measurement.way === way.name);
      expect(found).toMatchObject({ evaluations, flops, peakLiveBytes });
    }
  });
});

test("a sampled run has the figures of the whole one", async () => {
  const sweep = sweeps[0];
  const build = () => sweep.build(2, digits, "quick");
  const whole = await measure(build, 2, jsBackend, { ...patience, millisecondsPerRun: 60_000 }, pause);
  const sampled = await measure(build, 2, jsBackend, { ...patience, millisecondsPerRun: 0 }, pause);
  const forward = ({ measurements }: Point) => measurements[0];
  expect(forward(whole).timedPasses).toBe(50);
  expect(forward(sampled).timedPasses).toBe(3);
  const { evaluations, flops, bytesMoved, peakLiveBytes } = forward(whole);
  expect(forward(sampled)).toMatchObject({ evaluations, flops, bytesMoved, peakLiveBytes });
});

test("the digits are 10,000 real ones, about as many of each", () => {
  expect(all.labels).toHaveLength(10_000);
  for (let digit = 0; digit < 10; digit++) {
    const count = all.labels.filter((label) => label === digit).length;
    expect(count).toBeGreaterThan(800);
    expect(count).toBeLessThan(1200);
  }
  expect(Math.min(...all.pixels.subarray(0, 78_400))).toBe(0);
  expect(Math.max(...all.pixels.subarray(0, 78_400))).toBe(1);
});

test("smaller images keep the mean of the pixels", () => {
  const mean = ({ pixels }: { pixels: Float32Array }): number =>
    pixels.reduce((sum, pixel) => sum + pixel, 0) / pixels.length;
  // Pixels are float32.
  expect(mean(downsample(digits, 7))).toBeCloseTo(mean(digits), 5);
  expect(() => downsample(digits, 5)).toThrow("28 pixels do not shrink to 5");
});

test("the classifier's loss is the cross-entropy", () => {
  const weights = tensor([
    [1, 2],
    [0, -1],
  ]);
  const [found] = losses(weights, tensor([[1, 1]]), tensor([[0, 1]])).dataSync();
  // The logits are 1 and 1.
  expect(found).toBeCloseTo(Math.log(2), 15);
});

test("the pendulum keeps its energy without damping", () => {
  const trajectory = pendulum(tensor([0]), { steps: 200, every: 1 }).dataSync();
  const energy = (angle: number, velocity: number): number => velocity ** 2 / 2 - Math.cos(angle);
  const last = energy(trajectory[trajectory.length - 2], trajectory[trajectory.length - 1]);
  // The method is of fourth order, its steps are 0.05: 0.05⁴ is 6e-6, and the drift over ten seconds less than that.
  expect(Math.abs(last - energy(2, 0))).toBeLessThan(6e-6);
});

test("extrapolated differences know their own error", () => {
  const { derivative, errorEstimate } = extrapolatedDerivative((t) => [Math.sin(1 + t), Math.exp(t), t * t]);
  expect(errorEstimate).toBeLessThan(1e-11);
  expect(Math.abs(derivative[0] - Math.cos(1))).toBeLessThan(10 * errorEstimate);
  expect(Math.abs(derivative[1] - 1)).toBeLessThan(10 * errorEstimate);
  expect(derivative[2]).toBe(0);
});

test("a wrong derivative is found; differences are not judged", async () => {
  const build = () => sweeps[0].build(2, digits, "quick");
  const point = await measure(build, 2, jsBackend, patience, pause);
  const result = (error: (way: string) => number): SweepResult => ({
    ...sweeps[0],
    backend: "js",
    dtype: "float64",
    model: defaultTimeModel,
    points: [{ ...point, measurements: point.measurements.map((m) => ({ ...m, error: error(m.way) })) }],
    crossovers: [],
    predictions: [],
  });
  expect(disagreements([result((way) => (way === "numerical" ? 1e-3 : 1e-15))])).toEqual([]);
  expect(disagreements([result((way) => (way === "reverse" ? 1e-6 : 0))])).toEqual([
    expect.stringContaining("n = 50, m = 1: on backend js, reverse is off by 1.0e-6"),
  ]);
  expect(disagreements([result(() => Number.MAX_VALUE)])).toHaveLength(3);
});

test("a derivative that is not a number is as wrong as can be", async () => {
  const problem = sweeps[0].build(2, digits, "quick");
  const broken = problem.ways.map((way) =>
    way.name === "reverse" ? { ...way, run: () => [new Float64Array(50).fill(NaN)] } : way,
  );
  const { measurements } = await measure(() => ({ ...problem, ways: broken }), 2, jsBackend, patience, pause);
  expect(measurements.map(({ error }) => error === Number.MAX_VALUE)).toEqual([false, true, false, false]);
});

test("quantiles interpolate", () => {
  expect(quantile([3, 1, 2], 0.5)).toBe(2);
  expect(quantile([4, 1, 2, 3], 0.5)).toBe(2.5);
  expect(quantile([5], 0.75)).toBe(5);
});

test("the cost model finds where n passes and m sweeps cost the same", () => {
  // Forward costs 10 per pass and column; reverse costs 20 once and 16 per sweep; m grows from 2 to 64, n is 8.
  const point = (m: number): Point => {
    const work = (evaluations: number) => ({ evaluations, flops: m * evaluations, bytesMoved: 0 });
    const foretold = (way: string, passes: number, common: number, perPass: number) => ({
      way,
      passes,
      common: work(common),
      perPass: work(perPass),
      ...work(common + passes * perPass),
      milliseconds: common + passes * perPass,
    });
    const of = (way: string, gives: Way["gives"], passes: number, common: number, perPass: number) => ({
      way,
      gives,
      passes,
      timedPasses: passes,
      milliseconds: common + passes * perPass,
      quartiles: [0, 0] as const,
      repeats: 1,
      evaluations: common + passes * perPass,
      flops: m * (common + passes * perPass),
      bytesMoved: 0,
      peakLiveBytes: 0,
      error: 0,
    });
    return {
      size: m,
      n: 8,
      m,
      check: { error: 0, errorEstimate: 0 },
      forecasts: [foretold("forward", 8, 0, 10), foretold("reverse", m, 20, 16)],
      measurements: [of("forward", "column", 8, 0, 10), of("reverse", "row", m, 20, 16)],
    };
  };
  const points = [2, 3, 16, 64].map(point);
  const found = crossovers({ case: "classifier", varies: "m" }, points);
  for (const { figure, source, at, cheaperBeyond } of found) {
    expect(cheaperBeyond).toBe("forward");
    // 8 * 10 = 20 + 16 m at m = 3.75. Measured points lie far from one another, with a curve between them.
    expect(Math.abs(Math.log((at ?? 0) / 3.75))).toBeLessThan(
      source === "predicted" && figure !== "milliseconds" ? 0.01 : 0.2,
    );
  }
  const [never] = crossovers({ case: "classifier", varies: "m" }, points.slice(2));
  expect(never).toMatchObject({ at: null, cheaperBeyond: "forward" });
  expect(points.map((p) => winners({ case: "classifier" }, p))).toEqual(
    ["reverse", "reverse", "forward", "forward"].map((way) => ({ predicted: way, measured: way })),
  );
});
