/**
 * What the derivatives of a large problem will cost, told from two small ones before the large one is run: a forward
 * way costs n passes of f, a reverse way one run of f and m sweeps back, and what one pass costs grows linearly with
 * the problem. FLOPs come from each primitive's own cost, evaluations from counting.
 */
import type { Sweep } from "../cases/problem.ts";
import type { Cost, Measurement, Point } from "./measure.ts";

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

/** A figure of the largest problem: predicted from the two smallest, and as it was then counted. */
export interface Prediction {
  readonly way: string;
  readonly figure: "flops" | "evaluations";
  readonly predicted: number;
  readonly counted: number;
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

/** The figure of a way at any size, on the straight lines through two points. */
function extrapolate(
  varies: Sweep["varies"],
  [small, larger]: readonly [Point, Point],
  way: string,
  figure: "flops" | "evaluations",
): (size: number) => number {
  const [from, to] = [sizeOf(varies, small), sizeOf(varies, larger)];
  const measured = measurementOf(small, way);
  const [a, b] = [measured.costs[figure], measurementOf(larger, way).costs[figure]];
  const line = (part: keyof Cost, size: number): number =>
    a[part] + ((b[part] - a[part]) * (size - from)) / (to - from);
  const passesGrow =
    measured.gives !== "whole" && (varies === "n = m" || (measured.gives === "column") === (varies === "n"));
  return (size) => line("common", size) + line("perPass", size) * (passesGrow ? size : measured.passes);
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
  const measured = (figure: Figure): Crossover =>
    crossover(
      figure,
      "measured",
      points.map((point) => ({
        size: sizeOf(varies, point),
        log: Math.log(measurementOf(point, first)[figure] / measurementOf(point, second)[figure]),
      })),
    );
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

/** What the two smallest problems say of the largest, for both rivals; nothing where there is no third. */
export function predictions(sweep: Pick<Sweep, "case" | "varies">, points: readonly Point[]): Prediction[] {
  if (points.length < 3) return [];
  const large = points[points.length - 1];
  return (["flops", "evaluations"] as const).flatMap((figure) =>
    rivals(sweep).map((way) => ({
      way,
      figure,
      predicted: extrapolate(sweep.varies, [points[0], points[1]], way, figure)(sizeOf(sweep.varies, large)),
      counted: measurementOf(large, way)[figure],
    })),
  );
}
