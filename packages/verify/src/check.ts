/** Running laws over random samples, and saying what came of it. */
import {
  type Backend,
  type DType,
  DTypeError,
  type Primitive,
  type Shape,
  isFloating,
  primitives,
  tidy,
} from "@cotangent/core";
import { check as checkProperty, gen, property, sample } from "fast-check";
import { coverSeed, pathsTo } from "./coverage.ts";
import { type HostInput, RecordedDraw, drawCall } from "./draw.ts";
import { kinkFailure } from "./kinks.ts";
import type { Law } from "./laws.ts";
import { type Finding, fails, inapplicable, saidBy, showError } from "./outcome.ts";
import { drawProgram } from "./programs.ts";
import { type Setting, type Subject, cutOf, dtypeOf, subjectOf, upload } from "./subject.ts";

export interface CheckOptions {
  /** Samples per law. */
  readonly samples?: number;
  /** The same seed draws the same samples; by default the environment's COTANGENT_SEED, else 20261. */
  readonly seed?: number;
  /** fast-check's path to one failing sample of that seed, which then shrinks as it did before. */
  readonly path?: string;
  /** Milliseconds after which a check draws no new sample: per law and subject, not for all of them together. */
  readonly timeLimit?: number;
  /** Whether to judge none of the samples is no failure: where these are a few of many. */
  readonly mayMiss?: boolean;
  /** Whether a failing sample is made as simple as can be; by default it is. Where only failing counts, it need not. */
  readonly shrink?: boolean;
  /**
   * Whether a primitive's law goes on, after its samples, to one of each class of shape that none of them had and the record
   * draws; by default it does.
   */
  readonly cover?: boolean;
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
  /** How many of those the law speaks of, but could not judge. */
  readonly missed: number;
  /** What the subject had that its law judged, and how often: shapes of its arguments, kinds of a program's steps. */
  readonly exercised: Readonly<Record<string, number>>;
  /** What else subjects had, of which none was judged, and why. */
  readonly unexercised: Readonly<Record<string, string>>;
  readonly seed: number;
  /** How long it took. */
  readonly milliseconds: number;
  readonly failure: Failure | undefined;
}

/** What was found wrong, at the simplest sample that it was found at. */
export interface Failure extends Omit<Finding, "at"> {
  /** All of it, as it is printed. */
  readonly text: string;
  /**
   * The call or program, as TypeScript to paste, after a comment that says for which backend and dtype; "" where the fault is not
   * one sample's.
   */
  readonly counterexample: string;
  /** What it is called with, those that have derivatives first. */
  readonly inputs: readonly FailureInput[];
  /** What `path` of the options leads to the sample again, with the report's seed. */
  readonly path: string | undefined;
}

export interface FailureInput {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: readonly number[];
}

/** A failure that no sample stands for. */
const general = (text: string): Failure => ({
  message: text,
  text,
  counterexample: "",
  inputs: [],
  path: undefined,
});

/** How a failing sample comes out of fast-check. */
class Broken extends Error {
  readonly finding: Finding;
  readonly counterexample: string;
  readonly subject: Subject;

  constructor(finding: Finding, subject: Subject, setting: Setting) {
    const counterexample = placed(finding.counterexample ?? subject.text, setting);
    super(
      [finding.message, showError(finding), "for", counterexample].filter((line) => line !== "").join("\n"),
    );
    this.finding = finding;
    this.counterexample = counterexample;
    this.subject = subject;
  }
}

/** Code with where it is to be run. */
const placed = (code: string, { backend, dtype }: Setting): string =>
  `// on backend "${backend.name}", in ${dtype}\n${code}`;

/**
 * The seed of this run: of the environment where it says one, else always the same, so that a test run is repeatable.
 *
 * @throws Error where the environment's COTANGENT_SEED is no whole number.
 * @example `fc.assert(property, { seed: defaultSeed() })`
 */
export function defaultSeed(): number {
  const environment: Record<string, string | undefined> =
    (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {};
  const text = environment["COTANGENT_SEED"] ?? "";
  const seed = text === "" ? 20261 : Number(text);
  if (!Number.isSafeInteger(seed) || text.trim() !== text)
    throw new Error(
      `verify: the environment variable COTANGENT_SEED is ${JSON.stringify(text)}, but a seed is a whole number, as 20261 is.`,
    );
  return seed;
}

const defaultSamples = 30;

/** What came of the samples so far. */
interface Tally {
  judged: number;
  readonly classed: Record<string, number>;
  /** Samples that the law speaks of, but could not judge. */
  missed: number;
  readonly exercised: Record<string, number>;
  readonly unexercised: Record<string, string>;
  readonly started: number;
}

const newTally = (): Tally => ({
  judged: 0,
  classed: {},
  missed: 0,
  exercised: {},
  unexercised: {},
  started: performance.now(),
});

const countIn = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

/** What of some reasons still stands where all this was judged. */
const without = (
  reasons: Readonly<Record<string, string>>,
  exercised: Readonly<Record<string, number>>,
): Record<string, string> =>
  Object.fromEntries(Object.entries(reasons).filter(([feature]) => exercised[feature] === undefined));

function reportOf(
  subject: string,
  law: string,
  setting: Setting,
  { judged, classed, missed, exercised, unexercised, started }: Tally,
  seed: number,
  failure: Failure | undefined,
): Report {
  return {
    subject,
    law,
    backend: setting.backend.name,
    dtype: dtypeOf(setting),
    judged,
    classed,
    missed,
    exercised,
    unexercised: without(unexercised, exercised),
    seed,
    milliseconds: performance.now() - started,
    failure,
  };
}

/** Judges one law for a subject that is drawn anew for each sample. */
export function check(
  name: string,
  law: Law,
  setting: Setting,
  subject: (draw: RecordedDraw) => Subject,
  options: CheckOptions,
): Report {
  const { samples = defaultSamples, seed = defaultSeed(), path, timeLimit } = options;
  const { mayMiss = false, shrink = true } = options;
  const tally = newTally();
  let hasFailed = false;
  const everySample = property(gen(), (generate) => {
    // What is tried to shrink a failure is none of the samples.
    const counts = hasFailed ? newTally() : tally;
    hasFailed = true;
    const draw = new RecordedDraw(generate);
    const drawn = subject(draw);
    const features = law.drawsNumbers === true ? [] : (drawn.features ?? []);
    const outcome = tidy(() => judged(law, drawn, setting, draw));
    if (!outcome.judged) {
      countIn(counts.classed, outcome.class);
      if (!outcome.inapplicable) counts.missed++;
      for (const feature of features) counts.unexercised[feature] ??= outcome.class;
    } else if (outcome.failure === undefined) {
      counts.judged++;
      for (const feature of features) countIn(counts.exercised, feature);
    } else throw new Broken(outcome.failure, drawn, setting);
    hasFailed = counts !== tally;
  });
  const details = checkProperty(everySample, {
    numRuns: Math.ceil(samples * (law.share ?? 1)),
    seed,
    endOnFailure: !shrink,
    ...(path !== undefined && { path }),
    ...(timeLimit !== undefined && { interruptAfterTimeLimit: timeLimit }),
  });
  const where = `${name} on ${setting.backend.name} in ${dtypeOf(setting)}`;
  const broken = `${where} breaks the law "${law.name}": ${law.statement}`;
  // Where it was interrupted before any sample had held, it is called failed too, and leads to none.
  if (details.failed && details.counterexamplePath !== null) {
    const thrown = details.errorInstance;
    const error = shrink && thrown instanceof Broken ? smallest(thrown, law, setting) : thrown;
    // The rest of the path leads through shrunk samples, which fast-check can only find by running them.
    const [first] = details.counterexamplePath.split(":");
    // The environment says nothing where options do.
    const orBySeed = options.seed === undefined ? `, or COTANGENT_SEED=${seed}` : "";
    const replay = `replay: { seed: ${seed}, path: "${first}" }${orBySeed}`;
    const said = error instanceof Broken ? error.message : saidBy(error);
    const { at: _, ...finding }: Finding = error instanceof Broken ? error.finding : { message: said };
    return reportOf(name, law.name, setting, tally, seed, {
      ...finding,
      text: [broken, said, replay].join("\n"),
      counterexample: error instanceof Broken ? error.counterexample : "",
      inputs: error instanceof Broken ? inputsOf(error, setting) : [],
      path: first,
    });
  }
  const vacuous =
    !mayMiss && tally.judged === 0 && tally.missed > 0
      ? `${where}: the law "${law.name}" could judge none of ${samples} samples: ${JSON.stringify(tally.classed)}`
      : undefined;
  return reportOf(name, law.name, setting, tally, seed, vacuous === undefined ? undefined : general(vacuous));
}

const inputsOf = ({ finding, subject }: Broken, setting: Setting): FailureInput[] =>
  failureInputs(finding.at ?? [...subject.point, ...subject.constants], setting);

/** Programs are drawn in float64, whatever they are run in. */
const failureInputs = (inputs: readonly HostInput[], { dtype: float }: Setting): FailureInput[] =>
  inputs.map(({ shape, dtype, data }) => ({
    shape,
    dtype: isFloating(dtype) ? float : dtype,
    data: Array.from(data),
  }));

/** How many smaller subjects are tried, and how often each: the law draws directions of its own. */
const mostTried = 400;
const triesOfEach = 2;

/** What is still broken when it is taken apart, after fast-check has shrunk the choices it was made by. */
function smallest(broken: Broken, law: Law, setting: Setting): Broken {
  const draws = sample(gen(), { seed: 1, numRuns: triesOfEach });
  let tried = 0;
  for (let best = broken; ;) {
    let found: Broken | undefined;
    for (const subject of best.subject.smaller?.() ?? []) {
      if (++tried > mostTried) return best;
      for (const generate of draws) {
        const outcome = tidy(() => judged(law, subject, setting, new RecordedDraw(generate)));
        if (outcome.judged && outcome.failure !== undefined)
          found ??= new Broken(outcome.failure, subject, setting);
      }
      if (found !== undefined) break;
    }
    if (found === undefined) return best;
    best = found;
  }
}

/** A law's outcome; an error on the way is a failure too, and is said with its stack. */
function judged(law: Law, subject: Subject, setting: Setting, draw: RecordedDraw): ReturnType<Law["judge"]> {
  if (subject.refusal !== undefined) return inapplicable(subject.refusal);
  try {
    return law.judge(subject, setting, draw);
  } catch (error) {
    return fails(saidBy(error));
  }
}

/** Judges one law for one primitive on samples that the primitive itself says are smooth. */
export function checkLaw(
  primitive: Primitive,
  law: Law,
  setting: Setting,
  options: CheckOptions = {},
): Report {
  const whole = setting.whole && { dtype: setting.whole, every: takesEveryInt32(setting.backend) };
  const judge = (own: CheckOptions): Report =>
    check(
      primitive.name,
      law,
      setting,
      (draw) => subjectOf(drawCall(draw, primitive, setting.dtype, whole)),
      own,
    );
  const { cover = true, path, timeLimit = Infinity } = options;
  let report = judge(options);
  // Where a law speaks of no sample, more of them say nothing.
  if (cover && path === undefined && law.drawsNumbers !== true && report.judged + report.missed > 0)
    for (const [feature, paths] of pathsTo(primitive))
      for (const one of paths) {
        const isDone = report.failure !== undefined || report.exercised[feature] !== undefined;
        if (isDone || report.milliseconds >= timeLimit) break;
        report = merged(report, judge({ ...options, seed: coverSeed, path: one, samples: 1, mayMiss: true }));
      }
  return setting.whole === undefined && isDifferentiable(primitive) ? orIdle(report) : report;
}

/** The report, or a failure where a law of derivatives found nothing to differentiate in what has some. */
export function orIdle(report: Report): Report {
  const { "no float input": noInput = 0, "no float output": noOutput = 0, ...others } = report.classed;
  const isIdle = noInput + noOutput > 0 && Object.keys(others).length === 0;
  if (report.judged > 0 || report.failure !== undefined || !isIdle) return report;
  const text =
    `${report.subject}: the law "${report.law}" found nothing to differentiate: ${JSON.stringify(report.classed)}. ` +
    `What has no derivatives is judged by laws of values: reference, staged, vmapped, avals, memory.`;
  return { ...report, failure: general(text) };
}

/** Whether a backend has int32 as they are: one that computes in float32 refuses what that does not hold. */
function takesEveryInt32(backend: Backend): boolean {
  try {
    upload({ shape: [1], dtype: "int32", data: Float64Array.of(2 ** 31 - 1) }, backend, "float32")
      .concrete()
      .dispose();
    return true;
  } catch (error) {
    if (error instanceof DTypeError) return false;
    throw error;
  }
}

/** Two reports of one law and subject as one; the failure is the first there was, with its seed. */
export function merged(first: Report, second: Report): Report {
  const sum = (
    a: Readonly<Record<string, number>>,
    b: Readonly<Record<string, number>>,
  ): Record<string, number> => {
    const all = { ...a };
    for (const [key, count] of Object.entries(b)) all[key] = (all[key] ?? 0) + count;
    return all;
  };
  const { seed, failure } = first.failure === undefined && second.failure !== undefined ? second : first;
  const exercised = sum(first.exercised, second.exercised);
  return {
    ...first,
    judged: first.judged + second.judged,
    classed: sum(first.classed, second.classed),
    missed: first.missed + second.missed,
    exercised,
    unexercised: without({ ...second.unexercised, ...first.unexercised }, exercised),
    milliseconds: first.milliseconds + second.milliseconds,
    seed,
    failure,
  };
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
    (draw) => drawProgram(draw, setting.reference, options.steps ?? 6, { dtype: setting.dtype }),
    options,
  );
}

/** The documented values at the declared kinks of a primitive, in both modes. */
export function checkKinks(primitive: Primitive, setting: Setting): Report {
  const tally = { ...newTally(), judged: primitive.kinks.length };
  let finding: Finding | undefined;
  try {
    finding = tidy(() => kinkFailure(primitive, setting));
  } catch (error) {
    finding = { message: `${primitive.name} at its kinks: ${saidBy(error)}` };
  }
  return reportOf(primitive.name, "kinks", setting, tally, 0, finding && failureAtKink(finding, setting));
}

function failureAtKink(finding: Finding, setting: Setting): Failure {
  const { at = [], counterexample: call, ...facts } = finding;
  const counterexample = call === undefined ? "" : placed(call, setting);
  return {
    ...general(call === undefined ? facts.message : [facts.message, "for", counterexample].join("\n")),
    ...facts,
    counterexample,
    inputs: failureInputs(at, setting),
  };
}

/** Whether a primitive has derivatives that the differential laws can judge. */
export function isDifferentiable(primitive: Primitive): boolean {
  return cutOf(primitive) === undefined;
}

/** The primitives now in the registry. */
export function everyPrimitive(): Primitive[] {
  return [...primitives().values()];
}
