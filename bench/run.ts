/** From options to the tables and the JSON file. */
import { mkdir, writeFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, platform } from "node:os";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { firstCallsInBrowser } from "./browser/first-calls.ts";
import { measureInBrowser, webglParts as partsOnWebGL } from "./browser/host.ts";
import { fullFirstCalls, measureFirstCalls, quickFirstCalls } from "./first-calls/first-calls.ts";
import {
  browserPatience,
  fullPatience,
  measure,
  quickBrowserPatience,
  quickPatience,
  type Measured,
} from "./measure.ts";
import { fullMemory, measureMemory, quickMemory } from "./memory.ts";
import type { FromCompiled } from "./compiled.ts";
import type { Options, PartName } from "./options.ts";
import { cotangent } from "./participants/cotangent.ts";
import { jaxJs } from "./participants/jax-js.ts";
import { tfjs } from "./participants/tfjs.ts";
import "@tensorflow/tfjs-backend-wasm";
import { machineLine, report } from "./report.ts";
import {
  type Part,
  type Result,
  agreed,
  firstCallPart,
  gradientPart,
  jittedOnWebGLPart,
  jittedPart,
  memoryPart,
  scalarPart,
  tensorPart,
  webglPart,
} from "./result.ts";
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

  const tell = (message: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`${message}\n`);
  };
  const parts = [
    ...(await eagerParts(only, quick, tell)),
    ...(await jittedParts(only, quick, tell)),
    ...(await firstCallParts(only, quick, tell)),
    ...(only.includes("f") ? [memoryPart(measureMemory(quick ? quickMemory : fullMemory, tell))] : []),
    ...(await webglParts(only, quick, tell)),
    ...(await compiledParts(only, quick, tell)),
  ].toSorted((x, y) => x.id.localeCompare(y.id));
  const result: Result = {
    machine,
    quick,
    rounds: (quick ? quickPatience : fullPatience).rounds,
    browserRounds: (quick ? quickBrowserPatience : browserPatience).rounds,
    seconds: (performance.now() - start) / 1000,
    agreed: agreed(parts),
    parts,
  };
  console.log(`\n${report(result)}`);
  if (json !== undefined) {
    await writeFile(json, `${JSON.stringify(result, null, 2)}\n`);
  }
  return result;
}

type Tell = (message: string) => void;

/** (a), (b) and (c): every work is measured once, whatever parts it is in. */
async function eagerParts(only: readonly PartName[], quick: boolean, tell: Tell): Promise<Part[]> {
  const { chain, longChain, tensors } = works(quick);
  const parts = [
    { id: "a", works: [chain, longChain], build: scalarPart },
    { id: "b", works: tensors, build: tensorPart },
    { id: "c", works: [chain, ...tensors], build: gradientPart },
  ].filter(({ id }) => only.some((wanted) => wanted === id));
  if (parts.length === 0) return [];

  const own = [cotangent("float32"), cotangent("float64")];
  const all = [...own, await jaxJs(), await tfjs("wasm"), await tfjs("cpu")];
  const measured = new Map<Work, Measured>();
  for (const work of new Set(parts.flatMap((part) => part.works))) {
    tell(`${work.title} ...`);
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    measured.set(work, await measure(work, work.peers ? all : own, quick ? quickPatience : fullPatience));
  }
  return parts.map((part) => part.build(part.works.flatMap((work) => measured.get(work) ?? [])));
}

/** (d) on the JavaScript backend. */
async function jittedParts(only: readonly PartName[], quick: boolean, tell: Tell): Promise<Part[]> {
  if (!only.includes("d")) return [];
  const participants = [
    cotangent("float32", { jitted: true }),
    cotangent("float32"),
    cotangent("float64", { jitted: true }),
    cotangent("float64"),
  ];
  const { chain, large, layers } = works(quick);
  const measured = [];
  for (const work of [chain, large, layers]) {
    tell(`${work.title} ...`);
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    measured.push(await measure(work, participants, quick ? quickPatience : fullPatience));
  }
  return [jittedPart(measured)];
}

/**
 * (h), in a thread with a large stack: jax-js simplifies expressions by recursion as deep as a chain is long, and overflows
 * Node's usual stack at some hundreds of operations. Everyone gets the same.
 */
async function compiledParts(only: readonly PartName[], quick: boolean, tell: Tell): Promise<Part[]> {
  if (!only.includes("h")) return [];
  const worker = new Worker(new URL("compiled.ts", import.meta.url), {
    workerData: { quick },
    resourceLimits: { stackSizeMb: 256 },
  });
  return new Promise((resolve, reject) => {
    worker.on("message", (message: FromCompiled) => {
      if (typeof message === "string") tell(message);
      else resolve([message]);
    });
    worker.on("error", reject);
  });
}

/** (e) */
async function firstCallParts(only: readonly PartName[], quick: boolean, tell: Tell): Promise<Part[]> {
  if (!only.includes("e")) return [];
  const patience = quick ? quickFirstCalls : fullFirstCalls;
  const calls = await measureFirstCalls(patience, tell);
  const inBrowser = await firstCallsInBrowser(patience.browserRounds, tell);
  if ("reason" in inBrowser) {
    console.log(`First calls in a browser were not measured: ${inBrowser.reason}`);
    return [firstCallPart(calls, patience.operations)];
  }
  return [firstCallPart([...calls, inBrowser], patience.operations)];
}

/** (d) and (g) on WebGL. */
async function webglParts(only: readonly PartName[], quick: boolean, tell: Tell): Promise<Part[]> {
  const wanted = partsOnWebGL.filter((part) => only.includes(part));
  if (wanted.length === 0) return [];
  const found = await measureInBrowser({ quick, parts: wanted }, tell);
  return wanted.map((id) => {
    const build = { d: jittedOnWebGLPart, g: webglPart }[id];
    if ("skipped" in found) return { ...build([]), skipped: found.skipped };
    return { ...build(found.measured[id] ?? []), browser: found.browser };
  });
}
