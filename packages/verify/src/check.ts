/** Running laws over random samples, and saying what came of it. */
import { type Primitive, primitives, tidy } from "@cotangent/core";
import { check as checkProperty, gen, property } from "fast-check";
import { RecordedDraw, drawCall } from "./draw.ts";
import { kinkFailure } from "./kinks.ts";
import { type Law, differences, laws } from "./laws.ts";
import { drawProgram } from "./programs.ts";
import { type Setting, type Subject, subjectOf } from "./subject.ts";

export interface CheckOptions {
  /** Samples per law. */
  readonly samples?: number;
  /** The same seed draws the same samples; by default the environment's COTANGENT_SEED, else 20261. */
  readonly seed?: number;
  /** fast-check's path to one shrunk sample of that seed. */
  readonly path?: string;
}

export interface Report {
  readonly subject: string;
  readonly law: string;
  readonly backend: string;
  readonly dtype: string;
  /** How many samples the law really judged. */
  readonly judged: number;
  /** Why the others were not, and how many. */
  readonly classed: Readonly<Record<string, number>>;
  readonly seed: number;
  /** What was found wrong, shrunk, with how to replay it. */
  readonly failure: string | undefined;
}

/** The seed of this run: of the environment where it says one, else always the same, so that a test run is repeatable. */
export function defaultSeed(): number {
  const environment: Record<string, string | undefined> =
    (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {};
  return Number(environment["COTANGENT_SEED"] ?? 20261);
}

const defaultSamples = 30;

function emptyReport(
  subject: string,
  law: string,
  { backend, dtype }: Setting,
  classed: Report["classed"],
): Report {
  return { subject, law, backend: backend.name, dtype, judged: 0, classed, seed: 0, failure: undefined };
}

function check(
  name: string,
  law: Law,
  setting: Setting,
  subject: (draw: RecordedDraw) => Subject,
  { samples = defaultSamples, seed = defaultSeed(), path }: CheckOptions,
): Report {
  let judged = 0;
  const classed: Record<string, number> = {};
  const holds = property(gen(), (generate) => {
    const draw = new RecordedDraw(generate);
    const drawn = subject(draw);
    const outcome = tidy(() => law.judge(drawn, setting, draw));
    if (!outcome.judged) classed[outcome.class] = (classed[outcome.class] ?? 0) + 1;
    else if (outcome.failure === undefined) judged++;
    else throw new Error(`${outcome.failure}\nfor\n${drawn.text}`);
  });
  const details = checkProperty(holds, { numRuns: samples, seed, ...(path !== undefined && { path }) });
  const error = details.errorInstance;
  const failure = details.failed
    ? [
        `${name} on ${setting.backend.name} in ${setting.dtype} breaks the law "${law.name}": ${law.statement}`,
        error instanceof Error ? error.message : String(error),
        error instanceof Error && !error.message.includes("\nfor\n") ? (error.stack ?? "") : "",
        `replay: { seed: ${seed}, path: "${details.counterexamplePath ?? ""}" }, or COTANGENT_SEED=${seed}`,
      ]
        .filter((line) => line !== "")
        .join("\n")
    : undefined;
  return {
    subject: name,
    law: law.name,
    backend: setting.backend.name,
    dtype: setting.dtype,
    judged,
    classed,
    seed,
    failure,
  };
}

/** Primitives whose derivative is not that of their values, on purpose, and which laws that concerns. */
const deliberate: Readonly<Record<string, readonly string[]>> = { stopGradient: [differences.name] };

/** Judges one law for one primitive on samples that the primitive itself says are smooth. */
export function checkPrimitive(
  primitive: Primitive,
  law: Law,
  setting: Setting,
  options: CheckOptions = {},
): Report {
  if (deliberate[primitive.name]?.includes(law.name) === true) {
    return emptyReport(primitive.name, law.name, setting, {
      "cut on purpose": options.samples ?? defaultSamples,
    });
  }
  return check(
    primitive.name,
    law,
    setting,
    (draw) => subjectOf(drawCall(draw, primitive, setting.dtype)),
    options,
  );
}

/** Judges one law for random programs of registered primitives. */
export function checkPrograms(
  law: Law,
  setting: Setting,
  options: CheckOptions & { readonly steps?: number } = {},
): Report {
  return check(
    "random programs",
    law,
    setting,
    (draw) => drawProgram(draw, setting.reference, options.steps ?? 6),
    options,
  );
}

/** The documented values at the declared kinks of a primitive, in both modes. */
export function checkKinks(primitive: Primitive, setting: Setting): Report {
  const failure = tidy(() => kinkFailure(primitive, setting));
  return { ...emptyReport(primitive.name, "kinks", setting, {}), judged: primitive.kinks.length, failure };
}

/** Whether a primitive has derivatives that the differential laws can judge. */
export function isDifferentiable({ rules }: Primitive): boolean {
  return rules.form !== "zero" && rules.form !== "nonDifferentiable";
}

/** All laws and the kinks of one primitive. */
export function checkAllLaws(primitive: Primitive, setting: Setting, options: CheckOptions = {}): Report[] {
  return [
    ...laws.map((law) => checkPrimitive(primitive, law, setting, options)),
    checkKinks(primitive, setting),
  ];
}

/** The primitives now in the registry. */
export function everyPrimitive(): Primitive[] {
  return [...primitives().values()];
}

/**
 * Throws with the first failure of the reports, or where a law judged nothing at all that it should have.
 *
 * @example `assertReports(checkAllLaws(sin.primitive, { backend, dtype: "float64", reference: jsBackend }))`
 */
export function assertReports(reports: readonly Report[]): void {
  const failures = reports.flatMap((report) => report.failure ?? []);
  if (failures.length > 0) throw new Error(failures.join("\n\n"));
}
