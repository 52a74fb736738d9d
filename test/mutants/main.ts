/**
 * `pnpm mutants`: plants faults in the record and the kernel of every primitive, in the sources of passes, drivers and the
 * compiler, and the known bugs of other frameworks, and says what catches each.
 */
import { defaultSeed, everyPrimitive } from "@cotangent/verify";
import { listOf, wholeNumber } from "@cotangent/verify/command";
import Table from "cli-table3";
import { Command } from "commander";
import { availableParallelism } from "node:os";
import { Tinypool } from "tinypool";
import type { Verdict } from "./judge.ts";
import type { Task } from "./of-primitive.ts";
import { judgeRewrites } from "./rewrites.ts";
import { judgeSource } from "./run.ts";
import { type SourceFault, knownBugs, sourceFaults } from "./sources.ts";

const names = everyPrimitive().map(({ name }) => name);
const kinds = ["records", "rewrites", "sources", "known bugs"] as const;
const options = new Command("mutants")
  .description("Plants faults everywhere, and says which laws catch them.")
  .option("--kind <kinds>", `only these of ${kinds.join(", ")}`, listOf(kinds), [...kinds])
  .option("--primitive <names>", "only of these, separated by commas", listOf(names), names)
  .option("--mutant <text>", "only those whose name has it", "")
  .option("--samples <n>", "samples per law", wholeNumber(1), 30)
  .option("--seed <n>", "of all samples", wholeNumber(0), defaultSeed())
  .option("--all", "ask the other laws too when one has caught a mutant", false)
  .parse()
  .opts<{
    kind: string[];
    primitive: string[];
    mutant: string;
    samples: number;
    seed: number;
    all: boolean;
  }>();

const started = Date.now();
const verdicts: Verdict[] = [];
const isCaught = ({ caughtBy }: Verdict): boolean => caughtBy.length > 0;
const survives = (verdict: Verdict): boolean => !isCaught(verdict) && verdict.excused === undefined;
const count = (of: (verdict: Verdict) => boolean, among: readonly Verdict[] = verdicts): number =>
  among.filter(of).length;

const processors = availableParallelism();

/** Those of a primitive in a thread of its own. */
async function judgeRecords(primitives: readonly string[]): Promise<void> {
  const pool = new Tinypool({
    filename: new URL("of-primitive.ts", import.meta.url).href,
    maxThreads: processors,
    isolateWorkers: true,
  });
  const { samples, seed, all, mutant } = options;
  const judged = primitives.map(async (primitive) => {
    const task: Task = { primitive, mutant, effort: { samples, seed, all } };
    const own = (await pool.run(task)) as Verdict[];
    const excused = count(({ excused: excuse }) => excuse !== undefined, own);
    process.stderr.write(
      `${primitive}: ${count(isCaught, own)} of ${own.length} caught, ${excused} excused\n`,
    );
    return own;
  });
  verdicts.push(...(await Promise.all(judged)).flat());
  await pool.destroy();
}

/** Each in processes of its own. */
async function judgeSources(faults: readonly SourceFault[]): Promise<void> {
  const left = faults.filter(({ file, name }) => `${file}: ${name}`.includes(options.mutant));
  const work = async (): Promise<void> => {
    for (let fault = left.shift(); fault !== undefined; fault = left.shift()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const verdict = await judgeSource(fault, options.seed);
      verdicts.push(verdict);
      process.stderr.write(`${verdict.mutant}: ${verdict.caughtBy.join() || "SURVIVES"}\n`);
    }
  };
  await Promise.all(Array.from({ length: processors }, work));
}
if (options.kind.includes("records")) await judgeRecords(options.primitive);
if (options.kind.includes("rewrites"))
  verdicts.push(...judgeRewrites((name) => name.includes(options.mutant)));
if (options.kind.includes("sources")) await judgeSources(sourceFaults);
if (options.kind.includes("known bugs")) await judgeSources(knownBugs);

const plain = { head: [], border: [] };
const perLaw = new Table({ head: ["law", "caught"], style: plain });
for (const law of new Set(verdicts.flatMap(({ caughtBy }) => caughtBy)))
  perLaw.push([law, `${count(({ caughtBy }) => caughtBy.includes(law))} of ${verdicts.length}`]);
const perFault = new Table({ head: ["fault", "planted", "caught", "excused", "survive"], style: plain });
for (const fault of new Set(verdicts.map((verdict) => verdict.fault))) {
  const own = verdicts.filter((verdict) => verdict.fault === fault);
  perFault.push([
    fault,
    own.length,
    count(isCaught, own),
    count(({ excused }) => excused !== undefined, own),
    count(survives, own),
  ]);
}
console.log(`${perLaw.toString()}\n${perFault.toString()}`);
if (!options.all)
  console.log("Each is counted for the first law that caught it, in the order of the laws' cost; see --all.");

const reasons = new Map<string, number>();
for (const { excused } of verdicts) {
  if (excused === undefined) continue;
  const reason = `${excused.as}: ${excused.because}`;
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
}
for (const [reason, times] of reasons) console.log(`excused ${times}, ${reason}`);
for (const verdict of verdicts.filter(survives)) console.log(`SURVIVES: ${verdict.mutant}`);
const seconds = ((Date.now() - started) / 1000).toFixed(0);
console.log(
  `${verdicts.length} planted, ${count(isCaught)} caught, ${count(({ excused }) => excused !== undefined)} excused, ` +
    `${count(survives)} survive, in ${seconds} s; seed ${options.seed}.`,
);
process.exitCode = verdicts.some(survives) ? 1 : 0;
