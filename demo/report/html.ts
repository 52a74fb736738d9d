/** The report: one HTML file that needs nothing else. */
import type { Point } from "../compare/measure.ts";
import type { SweepResult } from "../compare/run.ts";
import { conclusions, describeCrossover, headline } from "./conclusions.ts";
import * as show from "./format.ts";
import { busy, busyWarning } from "./machine.ts";
import {
  type FigureAxis,
  type PlotSize,
  colours,
  errorOf,
  figurePlot,
  otherAxes,
  timeAxis,
  trainingPlots,
  waysOf,
} from "./plots.ts";
import type { Result } from "./result.ts";

const panel: PlotSize = { width: 396, height: 260 };
const wide: PlotSize = { width: 600, height: 300 };

export function html(result: Result): string {
  const onJs = result.sweeps.filter(({ backend }) => backend === "js");
  const onWebGL = result.sweeps.filter(({ backend }) => backend !== "js");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>Cotangent: the mode comparison</title>
<style>${css}</style>
</head>
<body>
<main>
<h1>Ways to differentiate, compared</h1>
${introduction(result)}
${warnings(result)}
${overview(onJs)}
<h2>What it says</h2>
<ul>${onJs.map((sweep) => `<li><b>${text(sweep.title)}.</b> ${text(headline(sweep))}</li>`).join("\n")}</ul>
${crossovers(result)}
<h2>On the CPU: backend js, float64</h2>
<p>Six pictures for each function, all over its size. <b>Time</b> and <b>evaluations</b> rise together while tensors are small,
time and <b>FLOPs</b> once they are large. <b>Peak live bytes</b> show what reverse mode pays for its speed: it keeps what forward mode
forgets. <b>Bytes moved</b> are all inputs read and outputs written. <b>Accuracy</b> sets the two modes, exact but for rounding, apart from
differences, which lose about half of the digits; the derivative by hand is the reference, so its own dots show how closely extrapolated
differences confirm it.</p>
${onJs.map(section).join("\n")}
<h2>On WebGL</h2>
${webgl(result)}
${onWebGL.map(section).join("\n")}
${training(result)}
${method}
</main>
</body>
</html>
`;
}

function text(raw: string): string {
  return raw.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function introduction({ created, machine, digits, options, seconds }: Result): string {
  return `<p class="lead">The derivative of a function of n inputs and m outputs costs forward mode n passes and reverse mode one
run and m sweeps back; numerical differences need 2n runs and lose half of the digits; a derivative by hand needs a person.
This page measures all of them, side by side, on ${text(digits.source)} (${digits.count.toLocaleString("en")} images), a
pendulum and a reaction-diffusion equation, and compares where one way overtakes another with what a cost model foretold.</p>
<p class="facts">${text(created.slice(0, 16).replace("T", " "))} UTC · Node ${text(machine.node)} · ${text(machine.platform)} · ${text(machine.cpu)},
${machine.cores} cores · ${options.quick ? "quick run (few and small sizes, few repeats)" : "full run"} ·
${show.round3(seconds)} s</p>`;
}

function warnings(result: Result): string {
  const wrong = result.disagreements.map(
    (sentence) => `<p class="missing"><strong>Wrong derivative.</strong> ${text(sentence)}</p>`,
  );
  const unsure = busy(result) ? [`<p class="facts">${text(busyWarning(result))}</p>`] : [];
  return [...wrong, ...unsure].join("\n");
}

function legend(ways: readonly string[], timing: boolean): string {
  const swatches = ways.map((way) => `<span><i style="background:${colours[way]}"></i>${text(way)}</span>`);
  if (timing) {
    swatches.push(
      `<span><i class="hollow"></i>scaled up from some of the passes</span>`,
      `<span><i class="rule"></i>crossover, measured</span>`,
      `<span><i class="rule dashed"></i>crossover, predicted by FLOPs</span>`,
    );
  }
  return `<div class="legend">${swatches.join("")}</div>`;
}

/** The picture for those who look at one only. */
function overview(sweeps: readonly SweepResult[]): string {
  const jacobians = sweeps.filter((sweep) => sweep.case !== "hvp");
  const products = sweeps.filter((sweep) => sweep.case === "hvp");
  const show = (sweep: SweepResult): string =>
    `<figure><figcaption>${text(sweep.title)}</figcaption>${figurePlot(sweep, timeAxis, panel)}${
      sweep.case === "hvp" ? legend(waysOf(sweep).ways, false) : ""
    }</figure>`;
  const shared = jacobians.length > 0 ? legend(waysOf(jacobians[0]).ways, true) : "";
  return `<section id="overview">
<h2>Time for a whole derivative, as the problem grows</h2>
${shared}
<div class="panels three">${[...jacobians, ...products].map(show).join("\n")}</div>
</section>
<p>Each panel shows one function, of ever more inputs (n) or outputs (m); both axes are logarithmic, so a way that costs
one pass per input or output rises as a straight line. Where lines cross, the better choice changes: left of the solid rule one of
forward and reverse is faster, right of it the other; the dashed rule is where the FLOPs of the functions' graphs, counted before
anything ran, said this would be.</p>`;
}

function crossovers({ sweeps, webgl }: Result): string {
  const rows = sweeps.map((sweep) => {
    const { pair } = waysOf(sweep);
    return [
      `${sweep.title} <small>(${sweep.backend})</small>`,
      pair.join(" / "),
      describeCrossover(sweep, "milliseconds", "measured"),
      describeCrossover(sweep, "milliseconds", "predicted"),
      describeCrossover(sweep, "flops", "measured"),
      describeCrossover(sweep, "flops", "predicted"),
      describeCrossover(sweep, "evaluations", "measured"),
      describeCrossover(sweep, "evaluations", "predicted"),
    ];
  });
  if (!webgl.ran)
    rows.push([
      "<strong>All cases on WebGL</strong>",
      "",
      ...new Array<string>(6).fill("<strong>NOT RUN</strong>"),
    ]);
  return `<h2>Where one way overtakes the other</h2>
${table(["function", "between", "time, measured", "time, predicted", "FLOPs, counted", "FLOPs, predicted", "evaluations, counted", "evaluations, predicted"], rows, "words")}
<p>"Predicted" knows the functions' graphs and no run of them: FLOPs and evaluations between the sizes and beyond them lie on lines
through the two smallest problems of each row, and times come of three constants of this machine. Time follows the number of evaluations while tensors are
small (each evaluation has a price of its own, whatever its size) and FLOPs once they are large, so the measured crossover should lie
near one of the two predictions, or between them.</p>`;
}

function section(sweep: SweepResult): string {
  const { ways } = waysOf(sweep);
  const figure = (axis: FigureAxis): string =>
    `<figure><figcaption>${axis.title}</figcaption>${figurePlot(sweep, axis, panel)}</figure>`;
  return `<section class="sweep" id="${sweep.id}-${sweep.backend}">
<h3>${text(sweep.title)} <small>${text(sweep.backend)}, ${sweep.dtype}</small></h3>
<p>${text(sweep.about)}</p>
${legend(ways, true)}
<div class="panels three">
${[timeAxis, ...otherAxes].map(figure).join("\n")}
</div>
<ul>${conclusions(sweep)
    .map((sentence) => `<li>${text(sentence)}</li>`)
    .join("\n")}</ul>
<details><summary>All figures</summary>${figures(sweep)}</details>
</section>`;
}

function figures(sweep: SweepResult): string {
  return table(
    [
      "way",
      "n",
      "m",
      "passes",
      "passes timed",
      "time, median",
      "quartiles",
      "evaluations",
      "FLOPs",
      "bytes moved",
      "peak live bytes",
      "max rel. error",
      "FLOPs, predicted",
      "evaluations, predicted",
      "time, predicted",
    ],
    sweep.points.flatMap((point) =>
      point.measurements.map((found) => [
        text(found.way),
        point.n.toLocaleString("en"),
        point.m.toLocaleString("en"),
        found.passes.toLocaleString("en"),
        found.timedPasses.toLocaleString("en"),
        show.duration(found.milliseconds),
        found.quartiles.map(show.duration).join(" – "),
        found.evaluations.toLocaleString("en"),
        found.flops.toLocaleString("en"),
        found.bytesMoved.toLocaleString("en"),
        found.peakLiveBytes.toLocaleString("en"),
        show.error(errorOf(sweep, point, found)),
        ...foretold(point, found.way),
      ]),
    ),
  );
}

/** Predictions of a way, where there are any. */
function foretold({ forecasts }: Point, way: string): string[] {
  const found = forecasts.find((forecast) => forecast.way === way);
  if (found === undefined) return ["", "", ""];
  const { flops, evaluations, milliseconds } = found;
  return [flops.toLocaleString("en"), evaluations.toLocaleString("en"), show.duration(milliseconds)];
}

function table(head: readonly string[], rows: readonly (readonly string[])[], kind = "numbers"): string {
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
  return `<div class="scroll"><table class="${kind}"><thead>${cells("th", head)}</thead>
<tbody>${rows.map((row) => cells("td", row)).join("\n")}</tbody></table></div>`;
}

function webgl({ webgl: found }: Result): string {
  if (!found.ran) {
    return `<p class="missing"><strong>WebGL was not measured.</strong> ${text(found.reason)}</p>`;
  }
  return `<p>The same functions and the same code in ${text(found.browser)} (${text(found.from)}), on the renderer
<b>${text(found.renderer)}</b>${
    /swiftshader/i.test(found.renderer)
      ? ", which computes on the CPU what a GPU would: these times show how eager WebGL behaves (a price per evaluation), not how fast a GPU is"
      : ""
  }. Numbers are float32, so every way is less accurate; sizes are smaller, since each evaluation is a draw call.</p>`;
}

function training({ training: found, digits }: Result): string {
  const { loss, accuracy } = trainingPlots(found, wide);
  const final = found.epochs[found.epochs.length - 1];
  const { batch, learningRate, momentum } = found.options;
  return `<section id="training"><h2>A classifier, trained</h2>
<p>A network of ${found.layers.join("-")} units (${found.parameters.toLocaleString("en")} parameters) learns from
${found.trainingDigits.toLocaleString("en")} of ${text(digits.source)}: stochastic gradient descent with batches of ${batch}, learning
rate from ${learningRate} down to 0 and momentum ${momentum}, each step one <code>valueAndGrad</code> inside <code>tidy</code>. After
${show.counted(found.epochs.length, "epoch")}, ${show.round3(found.seconds)} s, it names <b>${show.percent(final.testAccuracy)}</b> of
${found.testDigits.toLocaleString("en")} held-out digits rightly.</p>
<div class="panels two">
<figure><figcaption>Training loss: each batch (pale), running mean (dark)</figcaption>${loss}</figure>
<figure><figcaption>Accuracy on held-out digits</figcaption>${accuracy}</figure>
</div></section>`;
}

const method = `<section id="method"><h2>How it was measured</h2>
<ul>
<li><b>Time</b> is the median over rounds in which all ways take turns, after a warm-up; quartiles are in the tables. Where all passes
would take too long, a run has some of them, spread evenly, and the time of the whole is scaled up by the number of evaluations:
hollow dots, and "≈" in the terminal. Each pass ends with its result on the host.</li>
<li><b>Evaluations</b> are primitives that the backend evaluated. <b>FLOPs</b> are the sum of what each primitive says that it costs.
Both are exact counts, the same on every run.</li>
<li><b>Peak live bytes</b> are those of all computed tensors that must be held at once, each from its evaluation to its last use. Inputs
and constants are not counted, since every way needs them. It is what reverse mode pays with: it holds the intermediate values
until the sweep comes back to them. A way that goes in passes hands each row or column over as it is found; the derivative by hand
holds all of it at once.</li>
<li><b>Error</b> is the largest difference from the derivative by hand in float64, over the largest element of that. The derivative by
hand (black) is itself judged by extrapolated central differences (Ridders' method) along a random direction. An error of exactly 0 is
drawn at 1e-17.</li>
<li><b>Numerical</b> means central differences, with the step at which rounding and truncation balance.</li>
<li>The <b>cost model</b> reads the graphs of the function, of its JVP and of its VJP, before anything runs: what a pass costs, and what
all passes share, times n passes or m sweeps. What a function computes of constants alone is computed as it is traced, and is not in
its graph. Where it predicts a crossover between the sizes, it takes the costs of a pass to grow on a straight line through the two
smallest problems. Its <b>time</b> is a price for each evaluation, for each FLOP and for each byte moved, which were measured on other,
smaller things before the comparison.</li>
</ul></section>`;

const css = `
:root { color-scheme: light; }
body { margin: 0; background: white; color: #1a1a1a; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Open Sans", sans-serif; }
main { max-width: 1250px; margin: 0 auto; padding: 24px; }
h1 { font-size: 34px; margin: 12px 0; }
h2 { font-size: 25px; margin: 44px 0 10px; border-bottom: 1px solid #ddd; padding-bottom: 4px; }
h3 { font-size: 20px; margin: 36px 0 6px; }
small { color: #666; font-weight: normal; font-size: 0.8em; }
p, ul { max-width: 95ch; }
.lead { font-size: 18px; }
.facts { color: #555; font-size: 14px; }
.missing { border-left: 6px solid #c00; background: #fdecec; padding: 12px 16px; white-space: pre-wrap; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 14px; margin: 6px 0; }
.legend i { display: inline-block; width: 14px; height: 14px; margin-right: 6px; border-radius: 50%; vertical-align: -2px; }
.legend i.hollow { width: 9px; height: 9px; border: 2px solid #555; vertical-align: -1px; }
.legend i.rule { width: 22px; height: 0; border-radius: 0; border-top: 2px solid #555; vertical-align: 4px; }
.legend i.dashed { border-top-style: dashed; }
.panels { display: grid; gap: 14px 24px; }
.panels.two { grid-template-columns: repeat(auto-fit, minmax(540px, 1fr)); }
.panels.three { grid-template-columns: repeat(auto-fit, minmax(370px, 1fr)); }
#overview { margin: 0 -16px; padding: 1px 16px 16px; background: white; }
#overview h2 { margin-top: 20px; }
#overview figcaption { min-height: 2.9em; display: flex; align-items: end; }
#overview figure .legend { font-size: 12px; gap: 0 10px; }
#overview figure .legend i { width: 10px; height: 10px; margin-right: 4px; vertical-align: 0; }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: 15px; }
svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; margin: 8px 0; }
th, td { border-bottom: 1px solid #ddd; padding: 4px 10px; text-align: right; }
th { background: #f5f5f5; vertical-align: bottom; }
table.numbers td, table.numbers th { white-space: nowrap; font-variant-numeric: tabular-nums; }
table.words td, table.words th, td:first-child, th:first-child { text-align: left; }
details { margin: 8px 0; }
summary { cursor: pointer; color: #0057a8; }
`;
