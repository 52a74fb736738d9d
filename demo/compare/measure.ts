/** Measures every way to differentiate one problem. Runs under Node and in a browser. */
import {
  type Backend,
  type TimeModel,
  defaultTimeModel,
  predictedTime,
  profile,
  withBackend,
} from "@cotangent/core";
import { jsBackend } from "@cotangent/backend-js";
import type { Elements, Foretold, Problem, Way, Work } from "../cases/problem.ts";
import { extrapolatedDerivative, largest, largestDifference } from "./differences.ts";

export interface Effort {
  /** The median. */
  readonly milliseconds: number;
  readonly repeats: number;
  /** The quartiles of the repeated timings. */
  readonly quartiles: readonly [number, number];
}

/** A figure of a way, as a function of its passes: the same for each pass, plus what they have in common. */
interface Cost {
  readonly common: number;
  readonly perPass: number;
}

export interface Measurement extends Effort {
  readonly way: string;
  readonly gives: Way["gives"];
  readonly passes: number;
  /** How many of the passes a timed run had. Where fewer than all, the time is scaled up by the evaluations. */
  readonly timedPasses: number;
  readonly evaluations: number;
  readonly flops: number;
  readonly bytesMoved: number;
  readonly peakLiveBytes: number;
  /** The largest error relative to the largest element of the derivative, over the passes that were run. */
  readonly error: number;
}

/** What a way was foretold to cost before it was run. */
export interface Forecast extends Foretold {
  readonly evaluations: number;
  readonly flops: number;
  readonly milliseconds: number;
}

/** How well the reference itself agrees with extrapolated differences, relative to the largest element. */
export interface ReferenceCheck {
  readonly error: number;
  /** What those differences can tell at best. */
  readonly errorEstimate: number;
}

export interface Point {
  readonly size: number;
  readonly n: number;
  readonly m: number;
  readonly check: ReferenceCheck;
  /** For the two ways whose crossover is looked for. */
  readonly forecasts: readonly Forecast[];
  readonly measurements: readonly Measurement[];
}

/** How long to measure. */
export interface Patience {
  /** The longest that one timed run of a way may take, about; a way that takes longer is timed on some of its passes. */
  readonly millisecondsPerRun: number;
  readonly rounds: number;
  /** How long each way is made ready before it is timed, at least, so that it has been compiled. */
  readonly warmUpMilliseconds: number;
}

export const fullPatience: Patience = { millisecondsPerRun: 80, rounds: 7, warmUpMilliseconds: 120 };
export const quickPatience: Patience = { millisecondsPerRun: 15, rounds: 3, warmUpMilliseconds: 30 };
/** In a browser the time goes into draw calls; counting the evaluations has compiled the shaders already. */
export const browserPatience: Patience = { millisecondsPerRun: 60, rounds: 3, warmUpMilliseconds: 0 };
export const quickBrowserPatience: Patience = { millisecondsPerRun: 15, rounds: 3, warmUpMilliseconds: 0 };

/**
 * Measures all ways of the problem that `build` makes on a backend, against the derivative by hand in float64.
 * Awaits `pause` between runs. What the ways will cost is foretold first, from graphs and the time model.
 */
export async function measure(
  build: () => Problem,
  size: number,
  backend: Backend,
  patience: Patience,
  pause: () => Promise<void>,
  model: TimeModel = defaultTimeModel,
): Promise<Point> {
  const exact = withBackend(jsBackend, build);
  const reference = withBackend(jsBackend, () => wayNamed(exact, "manual").run([0])[0]);
  const check = withBackend(jsBackend, () => checkReference(exact, reference));
  await pause();

  const problem = withBackend(backend, build);
  const forecasts = withBackend(backend, () =>
    problem.foretell().map((foretold) => forecast(foretold, model)),
  );
  const subjects = problem.ways.map((way) =>
    withBackend(backend, () => prepare(way, problem, reference, patience)),
  );
  // Rounds in turn, so that whatever else the machine does falls on all ways alike.
  for (let round = 0; round < patience.rounds; round++) {
    for (const subject of subjects) {
      withBackend(backend, () => timeOnce(subject));
      // oxlint-disable-next-line no-await-in-loop -- one timing at a time
      await pause();
    }
  }
  return { size, n: problem.n, m: problem.m, check, forecasts, measurements: subjects.map(summary) };
}

function forecast(foretold: Foretold, model: TimeModel): Forecast {
  const { passes, common, perPass } = foretold;
  const total = (figure: keyof Work): number => common[figure] + passes * perPass[figure];
  const work = {
    evaluations: total("evaluations"),
    flops: total("flops"),
    bytesMoved: total("bytesMoved"),
  };
  return {
    ...foretold,
    evaluations: work.evaluations,
    flops: work.flops,
    milliseconds: predictedTime(work, model),
  };
}

export function wayNamed({ ways }: Problem, name: string): Way {
  const way = ways.find((candidate) => candidate.name === name);
  if (way === undefined) throw new Error(`No way is named ${name}.`);
  return way;
}

/** The derivative by hand along a direction, against extrapolated differences. */
function checkReference({ along, direction, times }: Problem, reference: Elements): ReferenceCheck {
  const { derivative, errorEstimate } = extrapolatedDerivative((t) => along(direction, t));
  const scale = largest(derivative);
  return {
    error: largestDifference(times(reference), derivative) / scale,
    errorEstimate: errorEstimate / scale,
  };
}

interface Subject {
  readonly way: Way;
  /** The passes of a timed run. */
  readonly passes: readonly number[];
  readonly figures: Omit<Measurement, keyof Effort | "way" | "gives" | "passes" | "timedPasses">;
  /** How much longer the whole takes than a timed run, by the evaluations in both. */
  readonly scale: number;
  readonly milliseconds: number[];
}

/** Counts, judges and warms up one way, and decides how much of it to time. */
function prepare(way: Way, problem: Problem, reference: Elements, patience: Patience): Subject {
  const start = performance.now();
  const { passes } = way;
  const one = profile(() => way.run([0]));
  const two = passes > 1 ? profile(() => way.run([0, passes - 1])) : one;
  const cost = (figure: "evaluations" | "flops" | "bytesMoved"): Cost => ({
    common: 2 * one[figure] - two[figure],
    perPass: two[figure] - one[figure],
  });
  const total = ({ common, perPass }: Cost, of = passes): number =>
    passes > 1 ? common + of * perPass : common;
  const [evaluations, flops, bytesMoved] = [cost("evaluations"), cost("flops"), cost("bytesMoved")];

  const affordable = Math.floor(patience.millisecondsPerRun / milliseconds(() => way.run([0])));
  const timed = spread(Math.min(passes, Math.max(3, affordable)), passes);
  const found = way.run(timed);
  while (performance.now() - start < patience.warmUpMilliseconds) way.run(timed);
  return {
    way,
    passes: timed,
    figures: {
      evaluations: total(evaluations),
      flops: total(flops),
      bytesMoved: total(bytesMoved),
      peakLiveBytes: Math.max(one.peakLiveBytes, two.peakLiveBytes),
      error: relativeError(way, timed, found, reference, problem),
    },
    scale: total(evaluations) / total(evaluations, timed.length),
    milliseconds: [],
  };
}

/** `count` of the numbers 0 ... passes - 1, evenly spread from the first to the last. */
function spread(count: number, passes: number): number[] {
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, i) => Math.round((i * (passes - 1)) / (count - 1)));
}

function relativeError(
  way: Way,
  passes: readonly number[],
  found: readonly Elements[],
  reference: Elements,
  { n }: Problem,
): number {
  let error = 0;
  passes.forEach((pass, p) => {
    const elements = found[p];
    const start = way.gives === "row" ? pass * n : way.gives === "column" ? pass : 0;
    const stride = way.gives === "column" ? n : 1;
    for (let i = 0; i < elements.length; i++) {
      error = Math.max(error, Math.abs(elements[i] - reference[start + i * stride]));
    }
  });
  const relative = error / largest(reference);
  // JSON has neither NaN nor Infinity.
  return Number.isFinite(relative) ? relative : Number.MAX_VALUE;
}

/** How long one call of `body` takes, from as many of them as fill `atLeast`: a browser's clock ticks in tenths. */
function milliseconds(body: () => void, atLeast = 3): number {
  const start = performance.now();
  let calls = 0;
  let elapsed: number;
  do {
    body();
    calls++;
    elapsed = performance.now() - start;
  } while (elapsed < atLeast);
  return elapsed / calls;
}

function timeOnce({ way, passes, scale, milliseconds: times }: Subject): void {
  times.push(scale * milliseconds(() => way.run(passes)));
}

function summary({ way, passes, figures, milliseconds: times }: Subject): Measurement {
  return {
    way: way.name,
    gives: way.gives,
    passes: way.passes,
    timedPasses: passes.length,
    milliseconds: quantile(times, 0.5),
    quartiles: [quantile(times, 0.25), quantile(times, 0.75)],
    repeats: times.length,
    ...figures,
  };
}

/** By linear interpolation between the sorted values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}
