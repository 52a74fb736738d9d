/** `pnpm mutants`: plants every fault in every primitive, and says which laws catch it. */
import { defaultSeed, everyPrimitive } from "@cotangent/verify";
import { listOf, wholeNumber } from "@cotangent/verify/command";
import Table from "cli-table3";
import { Command } from "commander";
import { judge, type Verdict } from "./judge.ts";

const subjects = everyPrimitive();
const names = subjects.map(({ name }) => name);
const options = new Command("mutants")
  .description("Plants every fault in every primitive, and says which laws catch it.")
  .option("--primitive <names>", "only of these, separated by commas", listOf(names), names)
  .option("--samples <n>", "samples per law", wholeNumber(1), 30)
  .option("--seed <n>", "of all samples", wholeNumber(0), defaultSeed())
  .option("--first", "do not ask the other laws when one has caught a mutant", false)
  .parse()
  .opts<{ primitive: string[]; samples: number; seed: number; first: boolean }>();

const started = Date.now();
const verdicts: Verdict[] = [];
for (const primitive of subjects.filter(({ name }) => options.primitive.includes(name))) {
  const own = [...judge(primitive, { ...options, all: !options.first })];
  verdicts.push(...own);
  const alive = own.filter(({ caughtBy }) => caughtBy.length === 0);
  process.stderr.write(`${primitive.name}: ${own.length - alive.length} of ${own.length} caught\n`);
}

const count = (of: (verdict: Verdict) => boolean): number => verdicts.filter(of).length;
const perLaw = new Table({ head: ["law", "caught", "alone"], style: { head: [], border: [] } });
for (const law of new Set(verdicts.flatMap(({ caughtBy }) => caughtBy)))
  perLaw.push([
    law,
    `${count(({ caughtBy }) => caughtBy.includes(law))} of ${verdicts.length}`,
    count(({ caughtBy }) => caughtBy.length === 1 && caughtBy[0] === law),
  ]);
const perFault = new Table({ head: ["fault", "caught", "of"], style: { head: [], border: [] } });
for (const fault of new Set(verdicts.map((verdict) => verdict.fault)))
  perFault.push([
    fault,
    count((verdict) => verdict.fault === fault && verdict.caughtBy.length > 0),
    count((verdict) => verdict.fault === fault),
  ]);
console.log(perLaw.toString());
console.log(perFault.toString());
const survivors = verdicts.filter(({ caughtBy }) => caughtBy.length === 0);
for (const { mutant } of survivors) console.log(`SURVIVES: ${mutant}`);
const caught = verdicts.length - survivors.length;
console.log(
  `${caught} of ${verdicts.length} mutants caught, in ${((Date.now() - started) / 1000).toFixed(0)} s; seed ${options.seed}`,
);
