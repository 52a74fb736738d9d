/** The pictures, drawn to SVG without a browser. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { rivals, sizeOf } from "../compare/cost-model.ts";
import type { Measurement } from "../compare/measure.ts";
import type { SweepResult } from "../compare/run.ts";
import type { Training } from "../train.ts";
import { crossoverOf } from "./conclusions.ts";

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

export interface PlotSize {
  readonly width: number;
  readonly height: number;
}

interface Mark {
  readonly size: number;
  readonly value: number;
  readonly way: string;
  readonly scaled: boolean;
}

/** One figure of all ways over the size of the problem, both axes logarithmic. */
export function figurePlot(
  sweep: SweepResult,
  title: string,
  yLabel: string,
  value: (measurement: Measurement, point: SweepResult["points"][number]) => number,
  { size, timing = false }: { readonly size: PlotSize; readonly timing?: boolean },
): string {
  const marks: Mark[] = sweep.points.flatMap((point) =>
    point.measurements.map((measurement) => ({
      size: sizeOf(sweep.varies, point),
      value: value(measurement, point),
      way: measurement.way,
      scaled: timing && measurement.timedPasses < measurement.passes,
    })),
  );
  const ways = [...new Set(marks.map(({ way }) => way))];
  const sizes = [...new Set(marks.map((mark) => mark.size))];
  return svg(
    Plot.plot({
      ...size,
      document,
      marginLeft: 64,
      marginBottom: 42,
      marginTop: 34,
      marginRight: 20,
      style: { fontSize: "12px", background: "white" },
      x: {
        type: "log",
        label: `${xLabel(sweep)} →`,
        ticks: thinned(sizes),
        tickFormat: "d",
        labelAnchor: "center",
      },
      y: {
        type: "log",
        label: `↑ ${yLabel}`,
        grid: true,
        tickFormat: "~s",
        ...(title === "Accuracy" && { tickFormat: "~e" }),
      },
      color: { domain: ways, range: ways.map((way) => colours[way]) },
      marks: [
        ...(timing ? crossoverRules(sweep, sizes) : []),
        Plot.lineY(marks, { x: "size", y: "value", stroke: "way", strokeWidth: 2 }),
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
    `${title}: ${sweep.title}`,
  );
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
export function trainingPlots(training: Training, size: PlotSize): { loss: string; accuracy: string } {
  const perEpoch = training.batchLosses.length / training.epochs.length;
  const batches = training.batchLosses.map((loss, i) => ({ epoch: (i + 1) / perEpoch, loss }));
  const common = {
    ...size,
    document,
    marginLeft: 56,
    marginBottom: 42,
    marginTop: 34,
    style: { fontSize: "12px", background: "white" },
  };
  return {
    loss: svg(
      Plot.plot({
        ...common,
        x: { label: "epochs →", labelAnchor: "center" },
        y: { type: "log", label: "↑ cross-entropy per digit (nats)", grid: true, ticks: 5, tickFormat: "~g" },
        marks: [
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
        ...common,
        x: {
          label: "epochs →",
          labelAnchor: "center",
          ticks: training.epochs.map(({ epoch }) => epoch),
          tickFormat: "d",
        },
        y: { label: "↑ held-out digits named rightly (%)", grid: true, nice: true },
        marks: [
          Plot.lineY(training.epochs, {
            x: "epoch",
            y: (e: { testAccuracy: number }) => 100 * e.testAccuracy,
            stroke: colours["reverse"],
            strokeWidth: 2,
          }),
          Plot.dot(training.epochs, {
            x: "epoch",
            y: (e: { testAccuracy: number }) => 100 * e.testAccuracy,
            fill: colours["reverse"],
            r: 4,
          }),
        ],
      }),
      "Accuracy on held-out digits after each epoch",
    ),
  };
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
