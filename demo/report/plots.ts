/** The pictures, drawn to SVG without a browser. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { rivals, sizeOf } from "../compare/cost-model.ts";
import type { Measurement, Point } from "../compare/measure.ts";
import type { SweepResult } from "../compare/run.ts";
import type { Training } from "../train.ts";
import { crossoverOf } from "./conclusions.ts";
import { count } from "./format.ts";

const { document } = parseHTML("<!doctype html><html><body></body></html>");

/** Okabe and Ito's colours, which colour-blind people can tell apart. */
export const colours: Readonly<Record<string, string>> = {
  forward: "#0072b2",
  reverse: "#d55e00",
  numerical: "#009e73",
  manual: "#222222",
  "forward-over-reverse": "#d55e00",
  "reverse-over-forward": "#cc79a7",
  "reverse-over-reverse": "#b08800",
  "forward-over-forward": "#0072b2",
  "differences of gradients": "#009e73",
};

const frame = {
  document,
  marginLeft: 60,
  marginBottom: 42,
  marginTop: 30,
  marginRight: 22,
  style: { fontSize: "12px", background: "white" },
};

export interface PlotSize {
  readonly width: number;
  readonly height: number;
}

/** What stands on the vertical axis. */
export interface FigureAxis {
  readonly title: string;
  readonly unit: string;
  readonly value: (measurement: Measurement, point: Point, sweep: SweepResult) => number;
  readonly tick: (value: number) => string;
}

/** Below this an error is drawn at this: a logarithm has no zero. */
const errorFloor = 1e-17;

const plain = (value: number): string => value.toLocaleString("en", { maximumSignificantDigits: 3 });
const short = (value: number): string => count(value).replace(" ", "");

export const timeAxis: FigureAxis = {
  title: "Time",
  unit: "time (ms)",
  value: ({ milliseconds }) => milliseconds,
  tick: plain,
};

export const otherAxes: readonly FigureAxis[] = [
  {
    title: "Primitive evaluations",
    unit: "evaluations",
    value: ({ evaluations }) => evaluations,
    tick: short,
  },
  { title: "Floating-point operations", unit: "FLOPs", value: ({ flops }) => flops, tick: short },
  {
    title: "Peak live bytes",
    unit: "bytes",
    value: ({ peakLiveBytes }) => Math.max(1, peakLiveBytes),
    tick: short,
  },
  { title: "Bytes moved", unit: "bytes", value: ({ bytesMoved }) => bytesMoved, tick: short },
  {
    title: "Accuracy",
    unit: "largest error / largest element",
    value: (measurement, point, sweep) => Math.max(errorFloor, errorOf(sweep, point, measurement)),
    tick: (value) => value.toExponential(),
  },
];

/** In float64 the derivative by hand is the reference, so extrapolated differences judge it instead. */
export function errorOf({ dtype }: SweepResult, { check }: Point, { way, error }: Measurement): number {
  return way === "manual" && dtype === "float64" ? check.error : error;
}

interface Mark {
  readonly size: number;
  readonly value: number;
  readonly way: string;
  readonly scaled: boolean;
}

/** Lines that often coincide with others are dashed, so that both can be seen. */
const dashed: ReadonlySet<string> = new Set([
  "numerical",
  "differences of gradients",
  "reverse-over-reverse",
]);

/** One figure of all ways over the size of the problem, both axes logarithmic. */
export function figurePlot(sweep: SweepResult, axis: FigureAxis, size: PlotSize): string {
  const timing = axis === timeAxis;
  const marks: Mark[] = sweep.points.flatMap((point) =>
    point.measurements.map((measurement) => ({
      size: sizeOf(sweep.varies, point),
      value: axis.value(measurement, point, sweep),
      way: measurement.way,
      scaled: timing && measurement.timedPasses < measurement.passes,
    })),
  );
  const ways = [...new Set(marks.map(({ way }) => way))];
  const sizes = [...new Set(marks.map((mark) => mark.size))];
  const values = marks.map(({ value }) => value);
  const range = [Math.min(...values) / 1.4, Math.max(...values) * 1.4] as const;
  const line = (data: readonly Mark[], strokeDasharray: string): Plot.Markish =>
    Plot.lineY(data, { x: "size", y: "value", stroke: "way", strokeWidth: 2, strokeDasharray });
  return svg(
    Plot.plot({
      ...size,
      ...frame,
      x: { type: "log" },
      y: { type: "log", domain: range },
      color: { domain: ways, range: ways.map((way) => colours[way]) },
      marks: [
        ...axes(thinned(sizes), plain, `${xLabel(sweep)} →`, roundValues(range), axis.tick, `↑ ${axis.unit}`),
        ...(timing ? crossoverRules(sweep, sizes) : []),
        line(
          marks.filter(({ way }) => !dashed.has(way)),
          "none",
        ),
        line(
          marks.filter(({ way }) => dashed.has(way)),
          "7 5",
        ),
        Plot.dot(marks, {
          x: "size",
          y: "value",
          stroke: "way",
          r: 3.5,
          strokeWidth: 1.8,
          fill: (mark: Mark) => (mark.scaled ? "white" : colours[mark.way]),
        }),
      ],
    }),
    `${axis.title}: ${sweep.title}`,
  );
}

/** Axes with the given ticks; a logarithmic axis of Plot's own leaves labels out. */
function axes(
  x: readonly number[],
  xText: (value: number) => string,
  xLabel: string,
  y: readonly number[],
  yText: (value: number) => string,
  yLabel: string,
): Plot.Markish[] {
  return [
    Plot.gridY(y),
    Plot.axisY(y, { text: yText, label: yLabel }),
    Plot.axisX(x, { text: xText, label: xLabel, labelAnchor: "center" }),
  ];
}

/** Powers of ten in a range, thinned where there are many; with their doubles and fives where there are few. */
function roundValues([low, high]: readonly [number, number]): number[] {
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  const step = Math.max(1, Math.ceil((to - from) / 7));
  const steps = to - from > 3 ? [1] : [1, 2, 5];
  const found: number[] = [];
  for (let power = from; power <= to; power += step) {
    // Parsed from decimals: 10 ** -17 is not quite 1e-17.
    for (const digit of steps) found.push(Number(`${digit}e${power}`));
  }
  return found.filter((value) => value >= low && value <= high);
}

/** Tick labels need room; sizes that are close to the next are left out. */
function thinned(sizes: readonly number[]): number[] {
  const kept: number[] = [];
  for (const size of sizes) if (kept.length === 0 || size / kept[kept.length - 1] >= 1.9) kept.push(size);
  return kept;
}

const xLabel = ({ varies }: SweepResult): string =>
  ({ n: "n, inputs", m: "m, outputs", "n = m": "n = m, inputs and outputs" })[varies];

/** Where the two rivals cross: measured by the clock, and as FLOPs predict. */
function crossoverRules(sweep: SweepResult, sizes: readonly number[]): Plot.Markish[] {
  const inside = (at: number | null | undefined): at is number =>
    at !== null && at !== undefined && at >= sizes[0] && at <= sizes[sizes.length - 1];
  const measured = crossoverOf(sweep, "milliseconds", "measured")?.at;
  const predicted = crossoverOf(sweep, "flops", "predicted")?.at;
  return [
    ...(inside(measured) ? [Plot.ruleX([measured], { stroke: "#555", strokeWidth: 1.5 })] : []),
    ...(inside(predicted)
      ? [Plot.ruleX([predicted], { stroke: "#555", strokeWidth: 1.5, strokeDasharray: "5 4" })]
      : []),
  ];
}

/** The loss of each batch, its running mean, and the accuracy after each epoch. */
export function trainingPlots(
  { batchLosses, epochs }: Training,
  size: PlotSize,
): { loss: string; accuracy: string } {
  const perEpoch = batchLosses.length / epochs.length;
  const batches = batchLosses.map((loss, i) => ({ epoch: (i + 1) / perEpoch, loss }));
  const epochTicks = epochs.map(({ epoch }) => epoch);
  const range = [Math.min(...batchLosses), Math.max(...batchLosses)] as const;
  const percents = epochs.map(({ epoch, testAccuracy }) => ({ epoch, percent: 100 * testAccuracy }));
  return {
    loss: svg(
      Plot.plot({
        ...size,
        ...frame,
        x: { domain: [0, epochs.length] },
        y: { type: "log", domain: range },
        marks: [
          ...axes(
            epochTicks,
            plain,
            "epochs →",
            roundValues(range),
            plain,
            "↑ cross-entropy per digit (nats)",
          ),
          Plot.lineY(batches, { x: "epoch", y: "loss", stroke: "#9ecae1", strokeWidth: 1 }),
          Plot.lineY(
            batches,
            Plot.windowY({
              k: Math.min(25, batches.length),
              x: "epoch",
              y: "loss",
              stroke: colours["forward"],
              strokeWidth: 2,
            }),
          ),
        ],
      }),
      "Training loss of each batch, and its running mean",
    ),
    accuracy: svg(
      Plot.plot({
        ...size,
        ...frame,
        x: { domain: [0, epochs.length] },
        y: { domain: around(percents.map(({ percent }) => percent)) },
        marks: [
          Plot.gridY(),
          Plot.axisY({ label: "↑ held-out digits named rightly (%)", ticks: 6, tickFormat: plain }),
          Plot.axisX(epochTicks, { text: plain, label: "epochs →", labelAnchor: "center" }),
          Plot.lineY(percents, { x: "epoch", y: "percent", stroke: colours["reverse"], strokeWidth: 2 }),
          Plot.dot(percents, { x: "epoch", y: "percent", fill: colours["reverse"], r: 4 }),
        ],
      }),
      "Accuracy on held-out digits after each epoch",
    ),
  };
}

/** Whole per cents with room on both sides. */
function around(percents: readonly number[]): [number, number] {
  return [Math.floor(Math.min(...percents)) - 1, Math.min(100, Math.ceil(Math.max(...percents)) + 1)];
}

/** The SVG element alone, with a name for those who do not see it. */
function svg(figure: Element, label: string): string {
  figure.setAttribute("role", "img");
  figure.setAttribute("aria-label", label);
  return figure.outerHTML;
}

/** The ways of a sweep, and which of them its crossover is between. */
export function waysOf(sweep: SweepResult): { ways: string[]; pair: readonly [string, string] } {
  return { ways: sweep.points[0].measurements.map(({ way }) => way), pair: rivals(sweep) };
}
