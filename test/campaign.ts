/** The long verification campaign: `pnpm verify`. Every law on every primitive and on random programs, as long as asked. */
import { setImmediate } from "node:timers/promises";
import {
  type CheckOptions,
  type Report,
  type Setting,
  checkKinks,
  checkLaw,
  checkPrograms,
  cut,
  everyPrimitive,
  laws,
} from "@cotangent/verify";
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { type Backend, type FloatDType, type Primitive, jsBackend, wasmBackend } from "cotangent";

function whole(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`Give a whole number from ${least} on.`);
    return value;
  };
}

/** The entries of a comma-separated list, each one of those allowed. */
function listOf<T extends string>(allowed: readonly T[]) {
  return (text: string): T[] => {
    const names = text.split(",");
    const unknown = names.filter((name) => !(allowed as readonly string[]).includes(name));
    if (unknown.length > 0)
      throw new InvalidArgumentError(`"${unknown.join('", "')}" is none of: ${allowed.join(", ")}.`);
    return names as T[];
  };
}

interface Options {
  readonly seed: number;
  readonly path?: string;
  readonly samples: number;
  readonly programs: number;
  readonly steps: number;
  readonly time: number;
  readonly primitive: readonly string[];
  readonly law: readonly string[];
  readonly dtype: readonly FloatDType[];
  readonly backend: readonly string[];
}

const dtypes: readonly FloatDType[] = ["float64", "float32"];
const backends: Readonly<Record<string, Backend>> = { js: jsBackend, wasm: wasmBackend };
const programs = "programs";
const subjects = [...everyPrimitive().map(({ name }) => name), programs];
const lawNames = [...laws.map(({ name }) => name), "kinks"];
const options = new Command("verify")
  .description("Judges every law on every primitive and on random programs, on backends that run in Node.")
  .option(
    "--seed <n>",
    "the seed of all samples; a run with the same seed is the same run",
    whole(0),
    Date.now() % 2 ** 31,
  )
  .option("--path <path>", "replay one sample of that seed, as a failure says it; with --primitive and --law")
  .option("--samples <n>", "samples per primitive, law and dtype", whole(1), 300)
  .option("--programs <n>", "random programs per law and dtype", whole(0), 2000)
  .option("--steps <n>", "the most steps of a random program", whole(1), 10)
  .option("--time <seconds>", "stop after this long, and say what was covered", whole(1), 3600)
  .option(
    "--primitive <names>",
    `only these primitives, separated by commas; "${programs}" for random programs`,
    listOf(subjects),
    subjects,
  )
  .option("--law <names>", "only these laws, separated by commas", listOf(lawNames), lawNames)
  .option("--dtype <names>", "only these dtypes, separated by commas", listOf(dtypes), dtypes)
  .option(
    "--backend <names>",
    `these backends, separated by commas: ${Object.keys(backends).join(", ")}`,
    listOf(Object.keys(backends)),
    ["js"],
  )
  .configureHelp({ showGlobalOptions: false })
  .parse()
  .opts<Options>();

const started = Date.now();
const timeLeft = (): number => started + options.time * 1000 - Date.now();
let isStopped = false;
process.once("SIGINT", () => (isStopped = true));

const failures: string[] = [];
let [judged, unjudged, leftOut] = [0, 0, 0];

/** One law on one subject; undefined where the law is not one of random programs. */
function verdict(subject: string, law: string, setting: Setting, common: CheckOptions): Report | undefined {
  const found = laws.find(({ name }) => name === law);
  if (subject === programs) {
    const { programs: samples, steps } = options;
    if (found === undefined || found === cut || samples === 0) return undefined;
    return checkPrograms(found, setting, { ...common, samples, steps });
  }
  const primitive = everyPrimitive().find(({ name }) => name === subject) as Primitive;
  return found === undefined
    ? checkKinks(primitive, setting)
    : checkLaw(primitive, found, setting, { ...common, samples: options.samples });
}

async function cell(subject: string, law: string, setting: Setting): Promise<string> {
  await setImmediate(); // lets an interrupt through
  if (isStopped || timeLeft() <= 0) {
    leftOut++;
    return "no time";
  }
  const { seed, path } = options;
  const report = verdict(subject, law, setting, {
    seed,
    timeLimit: timeLeft(),
    ...(path !== undefined && { path }),
  });
  if (report === undefined) return "-";
  judged += report.judged;
  unjudged += report.missed;
  for (const [reason, count] of Object.entries(report.classed)) {
    if (report.missed > 0) console.log(`${subject}, ${law}: ${count} samples ${reason}`);
  }
  if (report.failure === undefined) return report.judged === 0 ? "-" : String(report.judged);
  const sample = report.failure.path;
  const again = ` --primitive ${subject} --law "${law}" --dtype ${setting.dtype} --backend ${setting.backend.name} --seed ${seed}`;
  failures.push(`${report.failure}\npnpm verify${again}${sample === undefined ? "" : ` --path ${sample}`}`);
  return "FAILS";
}

console.log(`seed ${options.seed}; the figures are samples judged, - where a law says nothing`);
const settings = options.backend.flatMap((name) =>
  options.dtype.map((dtype): Setting => ({ backend: backends[name], dtype, reference: jsBackend })),
);
for (const setting of settings) {
  const table = new Table({
    head: [`${setting.backend.name} ${setting.dtype}`, ...options.law],
    style: { head: [], border: [], compact: true },
    colAligns: ["left", ...options.law.map(() => "right" as const)],
  });
  for (const subject of options.primitive) {
    process.stderr.write(`${subject} `);
    const row: string[] = [];
    for (const law of options.law) row.push(await cell(subject, law, setting));
    table.push([subject, ...row]);
  }
  process.stderr.write("\n");
  console.log(table.toString());
}
for (const failure of failures) console.log(`\n${failure}`);
const seconds = ((Date.now() - started) / 1000).toFixed(1);
console.log(
  `\n${judged} samples judged, ${unjudged} that could not be, ${failures.length} failures, ` +
    `${leftOut} checks left out for want of time, in ${seconds} s; seed ${options.seed}`,
);
process.exitCode = failures.length > 0 ? 1 : 0;
