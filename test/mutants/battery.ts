/** Judges the sources as they are loaded, with whatever fault is planted in them, by laws; prints the first one that fails. */
import {
  type CheckOptions,
  type Law,
  type Report,
  type Setting,
  checkKinks,
  checkLaw,
  checkPrograms,
  cut,
  everyPrimitive,
  laws,
  lawsOfValues,
  settingIn,
} from "@cotangent/verify";
import { jsBackend, wasmBackend } from "cotangent";
import { plantedHere } from "./plant.ts";

const [judge, seed] = [process.argv[2], Number(process.argv[3])];
const onWasm = judge === "laws on wasm";
const [backend, dtypes] = onWasm
  ? [wasmBackend, ["float64", "float32", "int32", "bool"] as const]
  : [jsBackend, ["float64", "int32", "bool"] as const];
const settings: readonly Setting[] = dtypes.map((dtype) => settingIn(backend, jsBackend, dtype));
/** What a backend can have wrong; derivatives are made of values. */
const chosen = laws.filter(
  ({ name }) => !onWasm || ["staged", "reference", "vmapped", "memory"].includes(name),
);

function* reports(): Generator<Report> {
  const options: CheckOptions = { seed, mayMiss: true, shrink: false };
  const primitives = everyPrimitive();
  const ofPrimitives = function* (setting: Setting, law: Law, samples: number): Generator<Report> {
    for (const primitive of primitives) yield checkLaw(primitive, law, setting, { ...options, samples });
  };
  // A little of everything, then more of it.
  for (const [samples, programs] of [
    [3, 6],
    [20, 40],
  ])
    for (const setting of settings)
      for (const law of chosen) {
        const isWhole = setting.whole !== undefined;
        if (isWhole && !lawsOfValues.includes(law)) continue;
        yield* ofPrimitives(setting, law, samples);
        if (law.subjects !== "primitives" && law !== cut && !isWhole)
          yield checkPrograms(law, setting, { ...options, samples: programs, steps: 6 });
      }
  for (const setting of settings)
    if (setting.whole === undefined) for (const primitive of primitives) yield checkKinks(primitive, setting);
}

let caught: Pick<Report, "law" | "subject"> | undefined;
for (const { failure, law, subject } of reports()) {
  if (failure === undefined) continue;
  caught = { law, subject };
  if (plantedHere() === undefined) process.stderr.write(`${failure.text}\n`);
  break;
}
process.stdout.write(`${JSON.stringify(caught ?? null)}\n`);
