/** Runs the judges of faults in sources, each in a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Verdict } from "./judge.ts";
import { markVariable, variable } from "./plant.ts";
import type { Judge, SourceFault } from "./sources.ts";

const here = import.meta.dirname;
const root = join(here, "../..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");
/** Some faults are loops that do not end. */
const longest = 240_000;

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], edit: string | undefined, folder: string): Promise<Ran> {
  const { [variable]: _, ...env } = process.env;
  const mark = join(folder, "planted");
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: edit === undefined ? env : { ...env, [variable]: edit, [markVariable]: mark },
    timeout: longest,
    killSignal: "SIGKILL",
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += String(text)));
  child.stderr.on("data", (text) => (stderr += String(text)));
  const [code] = (await once(child, "close")) as [number | null];
  if (edit !== undefined && !existsSync(mark))
    throw new Error(`A fault was not planted by ${args.join(" ")}: ${edit}\n${stdout}${stderr}`);
  return { code, stdout, stderr };
}

/** What catches a fault: a law, a test, that it does not run or does not end; undefined where nothing does. */
async function caughtByOne(
  judge: Judge,
  edit: string | undefined,
  seed: number,
): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "mutant-"));
  try {
    if (!judge.startsWith("test/")) {
      const args = ["--import", join(here, "plant.ts"), join(here, "battery.ts"), judge, String(seed)];
      const { code, stdout } = await run(args, edit, folder);
      if (code === null) return "it does not end";
      if (code !== 0) return "it does not run";
      const found = JSON.parse(stdout) as { law: string } | null;
      return found === null ? undefined : found.law;
    }
    const [file, name] = judge.split("#");
    const output = join(folder, "results.json");
    const args = [vitest, "run", "--config", join(here, "vitest.config.ts"), "--reporter=json"];
    const only = name === undefined ? [] : ["-t", name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")];
    const { code } = await run([...args, `--outputFile=${output}`, ...only, file], edit, folder);
    if (code === null) return "it does not end";
    const { numTotalTests, numPendingTests, numFailedTests, success } = JSON.parse(
      readFileSync(output, "utf8"),
    ) as Readonly<Record<"numTotalTests" | "numPendingTests" | "numFailedTests", number>> & {
      success: boolean;
    };
    if (success && numTotalTests === numPendingTests) throw new Error(`No test is called "${judge}".`);
    if (success) return undefined;
    return numFailedTests > 0 ? judge : `${file} does not load`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Asks the judges of a fault in turn until one catches it. One that cannot be planted any more is caught by none. */
export async function judgeSource(fault: SourceFault, seed: number): Promise<Verdict> {
  const { file, find, replace, name, judges } = fault;
  const edit = JSON.stringify({ file, find, replace });
  const verdict = { mutant: `${file}: ${name}`, of: file, fault: fault.fault };
  for (const judge of judges) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the next one is asked only where this one finds nothing
      const found = await caughtByOne(judge, edit, seed);
      if (found !== undefined) return { ...verdict, caughtBy: [found] };
    } catch (error) {
      // It counts as one that survives: nothing says that it would be caught.
      const why = error instanceof Error ? error.message : String(error);
      return { ...verdict, mutant: `${verdict.mutant}, which could not be judged: ${why}`, caughtBy: [] };
    }
  }
  return { ...verdict, caughtBy: [] };
}

/** What a judge finds where there is no fault: nothing, or it judges nothing. */
export const judgeNothing = (judge: Judge, seed: number): Promise<string | undefined> =>
  caughtByOne(judge, undefined, seed);
