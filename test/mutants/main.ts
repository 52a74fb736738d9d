/** `pnpm mutants`: plants faults everywhere, and says which laws catch them. */
import { defaultSeed, everyPrimitive } from "@cotangent/verify";
import { listOf, wholeNumber } from "@cotangent/verify/command";
import { Command } from "commander";
import { judge } from "./judge.ts";
const names = everyPrimitive().map(({ name }) => name);
const options = new Command("mutants")
  .option("--primitive <names>", "only of these, separated by commas", listOf(names), names)
  .option("--samples <n>", "samples per law", wholeNumber(1), 30)
  .option("--seed <n>", "of all samples", wholeNumber(0), defaultSeed())
  .option("--first", "do not ask the other laws when one has caught a mutant", false)
  .parse()
  .opts<{ primitive: string[]; samples: number; seed: number; first: boolean }>();
for (const primitive of everyPrimitive().filter(({ name }) => options.primitive.includes(name))) {
  const own = [...judge(primitive, { ...options, all: !options.first })];
  for (const v of own) if (v.caughtBy.length === 0 && !v.excused) console.log("SURVIVES:", v.mutant);
  for (const v of own) if (v.mutant.includes("listed")) console.log(v.mutant, v.caughtBy);
  process.stderr.write(
    `${primitive.name}: ${own.length} ${own.filter((v) => v.caughtBy.length).length} ${own.filter((v) => v.excused).length}\n`,
  );
}
