/**
 * What derivatives will cost, told from the graphs of their functions before anything is run: a forward way costs n
 * passes of f, a reverse way one run of f and m sweeps back. At sizes that nobody measures, what one pass costs is taken to
 * grow linearly from the two smallest problems on. Times follow from the counts by a model with three constants.
 */
import type { Sweep } from "../cases/problem.ts";
import type { Forecast, Measurement, Point } from "./measure.ts";

export type Figure = "milliseconds" | "flops" | "evaluations";

/** Where one way overtakes another as the problem grows. */
export interface Crossover {
  readonly figure: Figure;
  readonly source: "measured" | "predicted";
  /** The size at which both ways cost the same, or null where there is none in `range`. */
  readonly at: number | null;
  /** The way that is cheaper at the large end of the range. */
  readonly cheaperBeyond: string;
  /** The sizes that were looked at. */
  readonly range: readonly [number, number];
}

/** A figure of the largest problem: predicted from its graph, and as it was then counted or timed. */
export interface Prediction {
  readonly way: string;
  readonly figure: Figure;
  readonly predicted: number;
  readonly measured: number;
}

/** The two ways of a sweep whose crossover is looked for. */
export function rivals(sweep: Pick<Sweep, "case">): readonly [string, string] {
  return sweep.case === "hvp" ? ["forward-over-forward", "forward-over-reverse"] : ["forward", "reverse"];
}

/** The size by which a sweep grows. */
export const sizeOf = (varies: Sweep["varies"], { n, m }: Pick<Point, "n" | "m">): number =>
  varies === "m" ? m : n;

export function measurementOf(point: Point, way: string): Measurement {
  const found = point.measurements.find((measurement) => measurement.way === way);
  if (found === undefined) throw new Error(`${way} was not measured.`);
  return found;
}

export function forecastOf(point: Point, way: string): Forecast {
  const found = point.forecasts.find((forecast) => forecast.way === way);
  if (found === undefined) throw new Error(`${way} was not foretold.`);
  return found;
}

/** Which of two rivals is the better by a figure, as foretold and as found. */
export function winners(
  sweep: Pick<Sweep, "case">,
  point: Point,
  figure: Figure = "milliseconds",
): { readonly predicted: string; readonly measured: string } {
  const [first, second] = rivals(sweep);
  const better = (of: (way: string) => Record<Figure, number>): string =>
    of(first)[figure] <= of(second)[figure] ? first : second;
  return {
    predicted: better((way) => forecastOf(point, way)),
    measured: better((way) => measurementOf(point, way)),
  };
}

/** The figure of a way at any size, on the straight lines through two points. */
function extrapolate(
  varies: Sweep["varies"],
  [small, larger]: readonly [Point, Point],
  way: string,
  figure: "flops" | "evaluations",
): (size: number) => number {
  const [from, to] = [sizeOf(varies, small), sizeOf(varies, larger)];
  const { gives } = measurementOf(small, way);
  const [a, b] = [forecastOf(small, way), forecastOf(larger, way)];
  const line = (part: "common" | "perPass", size: number): number =>
    a[part][figure] + ((b[part][figure] - a[part][figure]) * (size - from)) / (to - from);
  const passesGrow = gives !== "whole" && (varies === "n = m" || (gives === "column") === (varies === "n"));
  return (size) => line("common", size) + line("perPass", size) * (passesGrow ? size : a.passes);
}

/** Every crossover of a sweep that was measured or can be predicted. */
export function crossovers(sweep: Pick<Sweep, "case" | "varies">, points: readonly Point[]): Crossover[] {
  const { varies } = sweep;
  const [first, second] = rivals(sweep);
  const range = [sizeOf(varies, points[0]), sizeOf(varies, points[points.length - 1])] as const;
  const crossover = (
    figure: Figure,
    source: Crossover["source"],
    curve: readonly Advantage[],
  ): Crossover => ({
    figure,
    source,
    at: crossing(curve),
    cheaperBeyond: curve[curve.length - 1].log > 0 ? second : first,
    range: [curve[0].size, curve[curve.length - 1].size],
  });
  const between = (
    figure: Figure,
    source: Crossover["source"],
    of: (point: Point, way: string) => Record<Figure, number>,
  ): Crossover =>
    crossover(
      figure,
      source,
      points.map((point) => ({
        size: sizeOf(varies, point),
        log: Math.log(of(point, first)[figure] / of(point, second)[figure]),
      })),
    );
  const measured = (figure: Figure): Crossover => between(figure, "measured", measurementOf);
  const predicted = (figure: "flops" | "evaluations"): Crossover => {
    const small = [points[0], points[1]] as const;
    const costOfFirst = extrapolate(varies, small, first, figure);
    const costOfSecond = extrapolate(varies, small, second, figure);
    // From a single input or output on, and as far beyond the largest size.
    const sizes = logarithmic(1, range[1] * 10, 400);
    return crossover(
      figure,
      "predicted",
      sizes.map((size) => ({ size, log: Math.log(costOfFirst(size) / costOfSecond(size)) })),
    );
  };
  return [
    measured("milliseconds"),
    between("milliseconds", "predicted", forecastOf),
    measured("flops"),
    predicted("flops"),
    measured("evaluations"),
    predicted("evaluations"),
  ];
}

/** How much more the first rival costs than the second at a size, as a logarithm. */
interface Advantage {
  readonly size: number;
  readonly log: number;
}

/** The last size at which the advantage changes sides, between two neighbours on a line in log size. */
function crossing(curve: readonly Advantage[]): number | null {
  for (let i = curve.length - 1; i > 0; i--) {
    const [a, b] = [curve[i - 1], curve[i]];
    // Equal costs at one end of the curve are no change of sides.
    if (Math.abs(a.log) < 1e-9 || Math.sign(a.log) === Math.sign(b.log)) continue;
    const weight = a.log / (a.log - b.log);
    return Math.exp(Math.log(a.size) + weight * (Math.log(b.size) - Math.log(a.size)));
  }
  return null;
}

function logarithmic(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from * (to / from) ** (i / (count - 1)));
}

/** What its graph says of the largest problem, for both rivals. */
export function predictions(sweep: Pick<Sweep, "case">, points: readonly Point[]): Prediction[] {
  const large = points[points.length - 1];
  return (["flops", "evaluations", "milliseconds"] as const).flatMap((figure) =>
    rivals(sweep).map((way) => ({
      way,
      figure,
      predicted: forecastOf(large, way)[figure],
      measured: measurementOf(large, way)[figure],
    })),
  );
}
