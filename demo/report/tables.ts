/** The tables that the terminal shows. */
import Table from "cli-table3";
import { forecastOf, measurementOf, rivals, sizeOf, winners } from "../compare/cost-model.ts";
import type { Point } from "../compare/measure.ts";
import type { SweepResult } from "../compare/run.ts";
import { describeCrossover, sizeSymbol, timeRatio } from "./conclusions.ts";
import * as show from "./format.ts";
import { errorOf } from "./plots.ts";
import type { Result } from "./result.ts";

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const drawn = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (i === 0 ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) drawn.push([...row]);
  return drawn.toString();
}

/** Time of every way at every size; an approximate one was scaled up from some of its passes. */
function times(sweep: SweepResult): string {
  const [first, second] = rivals(sweep);
  const ways = sweep.points[0].measurements.map(({ way }) => way);
  const time = (point: Point, way: string): string => {
    const { milliseconds, passes, timedPasses } = measurementOf(point, way);
    return `${timedPasses < passes ? "≈ " : ""}${show.duration(milliseconds)}`;
  };
  const ratio = (source: "measured" | "predicted") => (point: Point) =>
    show.round3(timeRatio(sweep, point, source));
  const flops = (way: string) => (point: Point) => {
    const [predicted, counted] = [forecastOf(point, way).flops, measurementOf(point, way).flops];
    return `${show.count(predicted)} | ${predicted === counted ? "same" : show.count(counted)}`;
  };
  const faster = (point: Point): string => {
    const { predicted, measured } = winners(sweep, point);
    return predicted === measured ? `${predicted} | same` : `${predicted} | ${measured}`;
  };
  return table(
    ["time for n × m", ...sweep.points.map(({ n, m }) => `${n} × ${m}`)],
    [
      ...ways.map((way) => [way, ...sweep.points.map((point) => time(point, way))]),
      [`${first} / ${second}`, ...sweep.points.map(ratio("measured"))],
      ["the same, predicted", ...sweep.points.map(ratio("predicted"))],
      ["faster: predicted | found", ...sweep.points.map(faster)],
      ...[first, second].map((way) => [
        `FLOPs of ${way}: predicted | found`,
        ...sweep.points.map(flops(way)),
      ]),
    ],
  );
}

/** Every figure of every way at the largest size. */
function figures(sweep: SweepResult): string {
  const point = sweep.points[sweep.points.length - 1];
  return table(
    [
      `${point.n} × ${point.m}`,
      "passes",
      "time",
      "evaluations",
      "FLOPs",
      "peak live bytes",
      "max rel. error",
    ],
    point.measurements.map((found) => [
      found.way,
      show.count(found.passes),
      show.duration(found.milliseconds),
      show.count(found.evaluations),
      show.count(found.flops),
      show.bytes(found.peakLiveBytes),
      `${show.error(errorOf(sweep, point, found))}${found.way === "manual" && sweep.dtype === "float64" ? " *" : ""}`,
    ]),
  );
}

export function sweepTables(sweep: SweepResult): string {
  return [`${sweep.title}  [${sweep.backend}, ${sweep.dtype}]`, times(sweep), figures(sweep)].join("\n");
}

export function crossoverTable({ sweeps, webgl }: Result): string {
  const rows = sweeps.map((sweep) => [
    `${sweep.id} [${sweep.backend}] ${sizeSymbol(sweep)} = ${sizeOf(sweep.varies, sweep.points[0])} … ` +
      `${sizeOf(sweep.varies, sweep.points[sweep.points.length - 1])}`,
    describeCrossover(sweep, "milliseconds", "measured"),
    describeCrossover(sweep, "milliseconds", "predicted"),
    describeCrossover(sweep, "flops", "measured"),
    describeCrossover(sweep, "flops", "predicted"),
    describeCrossover(sweep, "evaluations", "predicted"),
  ]);
  if (!webgl.ran) rows.push(["ALL CASES ON WEBGL", "NOT RUN", "NOT RUN", "NOT RUN", "NOT RUN", "NOT RUN"]);
  return table(
    [
      "crossover",
      "time, measured",
      "time, predicted",
      "FLOPs, counted",
      "FLOPs, predicted",
      "evaluations, predicted",
    ],
    rows,
  );
}

export function trainingTable({ training }: Result): string {
  return table(
    [
      "epoch",
      "mean training loss",
      `accuracy on ${training.testDigits.toLocaleString("en")} held-out digits`,
    ],
    training.epochs.map(({ epoch, loss, testAccuracy }) => [
      String(epoch),
      loss.toFixed(4),
      show.percent(testAccuracy),
    ]),
  );
}
