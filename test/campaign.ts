/** The long verification campaign: `pnpm verify`. Every law on every primitive and on random programs, as long as asked. */
import {
  type Law,
  type Report,
  type Setting,
  checkKinks,
  checkPrimitive,
  checkPrograms,
  everyPrimitive,
  laws,
} from "@cotangent/verify";
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { type FloatDType, jsBackend } from "cotangent";

function whole(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`Give a whole number from ${least} on.`);
    return value;
  };
}

/** The entries of a comma-separated list, each one of those allowed. */
function listOf(allowed: readonly string[]) {
  return (text: string): string[] => {
    const names = text.split(",");
    const unknown = names.filter((name) => !allowed.includes(name));
    if (unknown.length > 0)
      throw new InvalidArgumentError(`"${unknown.join('", "')}" is none of: ${allowed.join(", ")}.`);
    return names;
  };
}

interface Options {
  readonly seed: number;
  readonly samples: number;
  readonly programs: number;
  readonly time: number;
  readonly primitive?: string[];
  readonly law?: string[];
  readonly dtype: string[];
}

const dtypes: readonly FloatDType[] = ["float64", "float32"];
const options = new Command("verify")
  .description("Judges every law on every primitive and on random programs, on the reference backend.")
  .option(
    "--seed <n>",
    "the seed of all samples; a run with the same seed is the same run",
    whole(0),
    Date.now() % 2 ** 31,
  )
  .option("--samples <n>", "samples per primitive, law and dtype", whole(1), 300)
  .option("--programs <n>", "random programs per law and dtype", whole(0), 2000)
  .option("--time <seconds>", "stop starting new checks after this long", whole(1), 3600)
  .option(
    "--primitive <names>",
    "only these primitives, separated by commas",
    listOf(everyPrimitive().map(({ name }) => name)),
  )
  .option("--law <names>", "only these laws, separated by commas", listOf(laws.map(({ name }) => name)))
  .option("--dtype <names>", "only these dtypes, separated by commas", listOf(dtypes), [...dtypes])
  .parse()
  .opts<Options>();

const chosenLaws = laws.filter(({ name }) => options.law?.includes(name) ?? true);
const chosenPrimitives = everyPrimitive().filter(({ name }) => options.primitive?.includes(name) ?? true);
const deadline = Date.now() + options.time * 1000;
const failures: string[] = [];
let [judged, unjudged, leftOut] = [0, 0, 0];

function cell(report: Report): string {
  judged += report.judged;
  unjudged += Object.values(report.classed).reduce((a, b) => a + b, 0);
  if (report.failure === undefined) return report.judged === 0 ? "-" : String(report.judged);
  failures.push(report.failure);
  return "FAILS";
}

function row(name: string, run: (law: Law) => Report, kinks: (() => Report) | undefined): string[] {
  if (Date.now() > deadline) {
    leftOut++;
    return [name, ...chosenLaws.map(() => "no time"), "no time"];
  }
  console.error(name);
  return [name, ...chosenLaws.map((law) => cell(run(law))), kinks === undefined ? "-" : cell(kinks())];
}

console.log(`seed ${options.seed}; the figures are samples judged`);
const started = Date.now();
for (const dtype of dtypes.filter((name) => options.dtype.includes(name))) {
  const setting: Setting = { backend: jsBackend, dtype, reference: jsBackend };
  const table = new Table({
    head: [`${jsBackend.name} ${dtype}`, ...chosenLaws.map(({ name }) => name), "kinks"],
    style: { head: [] },
  });
  const { seed, samples } = options;
  for (const primitive of chosenPrimitives) {
    const run = (law: Law): Report => checkPrimitive(primitive, law, setting, { seed, samples });
    table.push(row(primitive.name, run, () => checkKinks(primitive, setting)));
  }
  if (options.primitive === undefined && options.programs > 0) {
    const run = (law: Law): Report =>
      checkPrograms(law, setting, { seed, samples: options.programs, steps: 10 });
    table.push(row("random programs", run, undefined));
  }
  console.log(table.toString());
}
for (const failure of failures) console.log(`\n${failure}`);
const seconds = ((Date.now() - started) / 1000).toFixed(1);
console.log(
  `\n${judged} samples judged, ${unjudged} classed as not to be judged, ${failures.length} failures, ` +
    `${leftOut} rows left out for want of time, in ${seconds} s; seed ${options.seed}`,
);
process.exitCode = failures.length > 0 ? 1 : 0;
