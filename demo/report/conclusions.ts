/** What the figures say, in sentences. Every number comes from the run. */
import {
  type Crossover,
  type Figure,
  forecastOf,
  measurementOf,
  rivals,
  sizeOf,
  winners,
} from "../compare/cost-model.ts";
import type { Measurement, Point } from "../compare/measure.ts";
import type { SweepResult } from "../compare/run.ts";
import * as show from "./format.ts";

/** The symbol that stands on the size axis. */
export const sizeSymbol = ({ varies }: Pick<SweepResult, "varies">): string => (varies === "m" ? "m" : "n");

export function crossoverOf(
  sweep: SweepResult,
  figure: Figure,
  source: Crossover["source"],
): Crossover | undefined {
  return sweep.crossovers.find((found) => found.figure === figure && found.source === source);
}

/** A crossover in a few words, for a table. */
export function describeCrossover(sweep: SweepResult, figure: Figure, source: Crossover["source"]): string {
  const found = crossoverOf(sweep, figure, source);
  if (found === undefined) return "";
  if (found.at === null) return `none: ${found.cheaperBeyond} throughout`;
  return `${sizeSymbol(sweep)} ≈ ${show.round3(found.at)}, then ${found.cheaperBeyond}`;
}

/** A few sentences on what to conclude from one sweep. */
export function conclusions(sweep: SweepResult): string[] {
  return [speed(sweep), crossover(sweep), prediction(sweep), memory(sweep), accuracy(sweep)];
}

/**
 * Ways that found another derivative, in sentences: errors that rounding cannot explain. The modes and the derivative by
 * hand must agree to far more than half of the digits; differences, which lose about that many, are not judged.
 */
export function disagreements(sweeps: readonly SweepResult[]): string[] {
  return sweeps.flatMap((sweep) => {
    const tolerance = Math.sqrt(sweep.dtype === "float64" ? 2 ** -52 : 2 ** -23);
    return sweep.points.flatMap((point) =>
      point.measurements
        .filter(({ way }) => way !== "numerical" && way !== "differences of gradients")
        .filter(({ error }) => !(error < tolerance))
        .map(
          ({ way, error }) =>
            `${sweep.title}, ${at(point)}: on backend ${sweep.backend}, ${way} is off by ${show.error(error)} of the ` +
            `largest element.`,
        ),
    );
  });
}

/** The one sentence that matters most. */
export function headline(sweep: SweepResult): string {
  return speed(sweep);
}

const last = (sweep: SweepResult) => sweep.points[sweep.points.length - 1];
const at = ({ n, m }: { n: number; m: number }): string =>
  `n = ${n.toLocaleString("en")}, m = ${m.toLocaleString("en")}`;

function speed(sweep: SweepResult): string {
  const point = last(sweep);
  const pair = rivals(sweep).map((way) => measurementOf(point, way));
  const [fast, slow] = pair.toSorted((a, b) => a.milliseconds - b.milliseconds);
  const manual = measurementOf(point, "manual");
  const against = (m: Measurement): string => `${m.way} takes ${show.duration(m.milliseconds)}`;
  return (
    `At ${at(point)}, ${against(fast)} and ${against(slow)}, ${show.timesAsLong(slow.milliseconds / fast.milliseconds)}` +
    `; the derivative by hand takes ${show.duration(manual.milliseconds)}.`
  );
}

function crossover(sweep: SweepResult): string {
  const [first, second] = rivals(sweep);
  const symbol = sizeSymbol(sweep);
  const measured = crossoverOf(sweep, "milliseconds", "measured");
  const flops = crossoverOf(sweep, "flops", "predicted");
  const evaluations = crossoverOf(sweep, "evaluations", "predicted");
  const said = (found: Crossover | undefined): string =>
    found === undefined || found.at === null ? "none" : `${symbol} ≈ ${show.round3(found.at)}`;
  const time = crossoverOf(sweep, "milliseconds", "predicted");
  const model = `the cost model predicted ${said(time)} by time, ${said(flops)} by FLOPs and ${said(evaluations)} by evaluations`;
  if (measured === undefined || measured.at === null) {
    const cheaper = measured?.cheaperBeyond ?? first;
    const range = `${symbol} = ${sizeOf(sweep.varies, sweep.points[0])} to ${sizeOf(sweep.varies, last(sweep))}`;
    return `Measured over ${range}, ${first} and ${second} do not cross: ${cheaper} is the faster throughout; ${model}.`;
  }
  return `Measured, ${measured.cheaperBeyond} becomes the faster of the two from ${said(measured)} on; ${model}.`;
}

function prediction(sweep: SweepResult): string {
  const parts = sweep.predictions
    .filter(({ figure }) => figure === "flops")
    .map(({ way, predicted, measured }) => {
      const off = predicted / measured - 1;
      const judged =
        Math.abs(off) < 5e-4
          ? "exactly as"
          : `${show.percent(Math.abs(off))} ${off < 0 ? "below" : "above"} what was`;
      return `${show.count(predicted)}FLOPs for ${way} (${judged} counted)`.replace(/(\d)FLOPs/, "$1 FLOPs");
    });
  const right = sweep.points.filter((point) => {
    const { predicted, measured } = winners(sweep, point);
    return predicted === measured;
  });
  return (
    `From graphs alone, the cost model foretold the largest problem's ${parts.join(" and ")}; its time ratio as ` +
    `${show.round3(timeRatio(sweep, last(sweep), "predicted"))}, where ${show.round3(timeRatio(sweep, last(sweep), "measured"))} ` +
    `was measured; and the faster of the two rightly at ${right.length} of ${sweep.points.length} sizes.`
  );
}

/** How many times as long the first of the two rivals takes as the second. */
export function timeRatio(sweep: SweepResult, point: Point, source: Crossover["source"]): number {
  const of = source === "measured" ? measurementOf : forecastOf;
  const [first, second] = rivals(sweep).map((way) => of(point, way).milliseconds);
  return first / second;
}

function memory(sweep: SweepResult): string {
  const point = last(sweep);
  const list = point.measurements.map(({ way, peakLiveBytes }) => `${way} ${show.bytes(peakLiveBytes)}`);
  return `Peak live bytes there: ${list.join(", ")}.`;
}

function accuracy(sweep: SweepResult): string {
  const worst = new Map<string, number>();
  for (const { measurements } of sweep.points) {
    for (const { way, error } of measurements) worst.set(way, Math.max(worst.get(way) ?? 0, error));
  }
  const list = [...worst]
    .filter(([way]) => way !== "manual" || sweep.dtype !== "float64")
    .map(([way, error]) => `${way} ${show.error(error)}`);
  const check = Math.max(...sweep.points.map((point) => point.check.error));
  const estimate = Math.max(...sweep.points.map((point) => point.check.errorEstimate));
  return (
    `Largest relative error at any size, against the derivative by hand in float64: ${list.join(", ")}. The derivative ` +
    `by hand itself agrees with extrapolated differences along a random direction to ${show.error(check)}, where these ` +
    `estimate their own error at ${show.error(estimate)}.`
  );
}
