/** From options to the tables and the JSON file. */
import { mkdir, writeFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, platform } from "node:os";
import { dirname } from "node:path";
import { fullPatience, measure, quickPatience, type Measured } from "./measure.ts";
import type { Options, PartName } from "./options.ts";
import { cotangent } from "./participants/cotangent.ts";
import { jaxJs } from "./participants/jax-js.ts";
import { tfjs } from "./participants/tfjs.ts";
import { machineLine, report } from "./report.ts";
import { type Part, type Result, gradientPart, scalarPart, tensorPart } from "./result.ts";
import { type Work, works } from "./works.ts";

/** Null where the file for the figures cannot be written: said at once, rather than after minutes of measuring. */
export async function run({ only, quick, json }: Options): Promise<Result | null> {
  if (json !== undefined) {
    try {
      await mkdir(dirname(json), { recursive: true });
      await writeFile(json, "");
    } catch (error) {
      console.error(`error: --json: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  }
  const start = performance.now();
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown CPU",
    cores: availableParallelism(),
    platform: `${platform()} ${arch()}`,
    node: process.versions.node,
  };
  console.log(machineLine(machine));

  const patience = quick ? quickPatience : fullPatience;
  const own = [cotangent("float32"), cotangent("float64")];
  const all = [...own, await jaxJs(), await tfjs("wasm"), await tfjs("cpu")];
  const { chain, longChain, tensors } = works(quick);
  const byPart: Record<PartName, readonly Work[]> = {
    a: [chain, longChain],
    b: tensors,
    c: [chain, ...tensors],
  };

  // A work of two parts is measured once.
  const measured = new Map<Work, Measured>();
  for (const work of new Set(only.flatMap((part) => byPart[part]))) {
    if (process.stderr.isTTY) process.stderr.write(`${work.title} ...\n`);
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    measured.set(work, await measure(work, work.peers ? all : own, patience));
  }
  const ofPart = (part: PartName): Measured[] => byPart[part].flatMap((work) => measured.get(work) ?? []);

  const build: Record<PartName, (measured: readonly Measured[]) => Part> = {
    a: scalarPart,
    b: tensorPart,
    c: gradientPart,
  };
  const result: Result = {
    machine,
    quick,
    rounds: patience.rounds,
    seconds: (performance.now() - start) / 1000,
    agreed: [...measured.values()].every(({ agreed }) => agreed),
    parts: only.map((part) => build[part](ofPart(part))),
  };
  console.log(`\n${report(result)}`);
  if (json !== undefined) {
    await writeFile(json, `${JSON.stringify(result, null, 2)}\n`);
  }
  return result;
}
