/** `pnpm accuracy`: how many units in the last place the elementary functions of backend-wasm are off. */
import { jsBackend, wasmBackend } from "cotangent";
import Table from "cli-table3";
import { Command } from "commander";
import { elementaryFunctions } from "./functions.ts";
import { type Accuracy, everySingle, sampled } from "./measure.ts";

const names = [...elementaryFunctions.keys()];
const options = new Command("accuracy")
  .description("Measures the errors of elementary functions, in units in the last place of the true value.")
  .option("--function <names>", "only these, separated by commas", (text) => text.split(","), names)
  .option("--samples <n>", "random arguments in float64, and of functions of two arguments", Number, 20_000)
  .option("--stride <n>", "of all float32 numbers one in so many; 1 for all", Number, 1)
  .option("--seed <n>", "of the random arguments", Number, 1)
  .parse()
  .opts<{ function: string[]; samples: number; stride: number; seed: number }>();

const table = new Table({
  head: ["function", "on", "dtype", "arguments", "largest error, ulp", "at", "special values"],
  style: { head: [], border: [] },
});
let isWrong = false;
function add({ name, dtype, samples, error, at, wrong }: Accuracy, by = "backend-wasm"): void {
  const bound = dtype === "float32" ? 2 : 4;
  isWrong ||= wrong.length > 0 || error > bound;
  table.push([name, by, dtype, samples, error.toFixed(3), at.join(", "), wrong.join("\n") || "right"]);
  const seconds = (performance.now() / 1000).toFixed(0);
  process.stderr.write(`${name} in ${dtype} on ${by}: ${error.toFixed(3)} ulp (${seconds} s)\n`);
}
for (const name of options.function) {
  const isUnary = elementaryFunctions.get(name)?.args.length === 1;
  add(
    isUnary
      ? everySingle(wasmBackend, name, options.stride)
      : sampled(wasmBackend, name, "float32", options.samples, options.seed),
  );
  add(sampled(wasmBackend, name, "float64", options.samples, options.seed));
  // What float32 was held against is held against arbitrary precision itself.
  if (isUnary) add(sampled(jsBackend, name, "float64", options.samples, options.seed), "backend-js");
}
console.log(table.toString());
process.exitCode = isWrong ? 1 : 0;
