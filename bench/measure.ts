/** Checks that all participants of a work agree, then times them in turn. */
import type { Found, Participant, Task } from "./participants/participant.ts";
import type { Work } from "./works.ts";

export const modes = ["value", "valueAndGrad", "derivative"] as const;
export type Mode = (typeof modes)[number];

export interface Spread {
  readonly median: number;
  readonly quartiles: readonly [number, number];
}

/** How well a participant agrees with the first float64 one, relative to the largest number. */
export interface Agreement {
  readonly valueError: number;
  readonly gradientError: number;
  readonly agrees: boolean;
}

export interface Measurement {
  readonly name: string;
  readonly dtype: Participant["dtype"];
  readonly agreement: Agreement;
  /** One time for each round, in milliseconds; none where the participants do not agree. */
  readonly milliseconds: Readonly<Partial<Record<Mode, readonly number[]>>>;
  /** Why a peer, which alone may, did not get through it. */
  readonly failed?: string;
}

/** What is told of a work. */
export type WorkInfo = Pick<Work, "id" | "title" | "operations" | "demands">;

export interface Measured {
  readonly work: WorkInfo;
  /** Whether everyone agreed; otherwise nothing was timed. */
  readonly agreed: boolean;
  readonly measurements: readonly Measurement[];
}

/** How long to measure. */
export interface Patience {
  readonly rounds: number;
  /** How long each runs before it is timed, at least, so that it has been compiled. */
  readonly warmUpMilliseconds: number;
  /** How long one timing takes, at least: what is faster is repeated within it. */
  readonly timingMilliseconds: number;
}

export const fullPatience: Patience = { rounds: 9, warmUpMilliseconds: 200, timingMilliseconds: 20 };
export const quickPatience: Patience = { rounds: 3, warmUpMilliseconds: 10, timingMilliseconds: 2 };

/** In a browser with a software WebGL one run of a chain takes a large part of a second. */
export const browserPatience: Patience = { rounds: 5, warmUpMilliseconds: 50, timingMilliseconds: 10 };
export const quickBrowserPatience: Patience = { rounds: 2, warmUpMilliseconds: 0, timingMilliseconds: 0 };

/** For float32. A work says for itself how well its value can be known. */
const gradientTolerance = 2e-5;

/** Of who did not get so far as to disagree. */
const noneKnown: Agreement = { valueError: 0, gradientError: 0, agrees: true };

interface Subject {
  readonly participant: Participant;
  readonly agreement: Agreement;
  readonly runs: readonly Run[];
}

interface Run {
  readonly mode: Mode;
  readonly body: () => unknown;
  /** How often it is repeated within one timing. */
  readonly repeats: number;
  readonly milliseconds: number[];
}

/**
 * @param judge in float64, by whom the others are judged; by default the first of the participants that computes in it.
 */
export async function measure(
  work: Work,
  participants: readonly Participant[],
  patience: Patience,
  judge: Participant | undefined = participants.find(({ dtype }) => dtype === "float64"),
): Promise<Measured> {
  if (judge?.dtype !== "float64") throw new Error(`${work.id}: nobody computes in float64.`);
  await judge.enter();
  const reference = work.build(judge)?.valueAndGrad();
  if (reference === undefined) throw new Error(`${work.id}: ${judge.name} has no such task.`);

  const judged = [];
  /* oxlint-disable no-await-in-loop -- one at a time */
  const failed: Measurement[] = [];
  for (const participant of participants) {
    await participant.enter();
    const task = work.build(participant);
    if (task === undefined) continue;
    try {
      judged.push({ participant, task, agreement: agreementOf(work, participant, task, reference) });
    } catch (error) {
      if (!participant.isPeer) throw error;
      const { name, dtype } = participant;
      failed.push({ name, dtype, agreement: noneKnown, milliseconds: {}, failed: String(error) });
    }
  }
  const agreed = judged.every(({ agreement }) => agreement.agrees);

  const subjects: Subject[] = [];
  for (const { participant, task, agreement } of judged) {
    await participant.enter();
    subjects.push({
      participant,
      agreement,
      runs: agreed ? prepare(task, work.modes ?? modes, patience) : [],
    });
  }
  // Rounds in turn, so that whatever else the machine does falls on all alike.
  for (let round = 0; round < patience.rounds; round++) {
    for (const { participant, runs } of subjects) {
      await participant.enter();
      for (const run of runs) run.milliseconds.push(time(run));
    }
  }
  /* oxlint-enable no-await-in-loop */
  const { id, title, operations, demands } = work;
  return {
    work: {
      id,
      title,
      ...(operations !== undefined && { operations }),
      ...(demands !== undefined && { demands }),
    },
    agreed,
    measurements: [
      ...subjects.map(({ participant: { name, dtype }, agreement, runs }) => ({
        name,
        dtype,
        agreement,
        milliseconds: Object.fromEntries(runs.map(({ mode, milliseconds }) => [mode, milliseconds])),
      })),
      ...failed,
    ],
  };
}

function agreementOf(
  { valueTolerance, gradientTolerance: workTolerance = 0 }: Work,
  { tolerance: own = gradientTolerance }: Participant,
  task: Task,
  reference: Found,
): Agreement {
  const found = task.valueAndGrad();
  const valueError = Math.max(
    relativeError([[found.value]], [[reference.value]]),
    relativeError([[task.value()]], [[reference.value]]),
  );
  const gradientError = Math.max(
    relativeError(found.gradient, reference.gradient),
    task.derivative === undefined ? 0 : relativeError([[task.derivative()]], reference.gradient),
  );
  const tolerance = Math.max(own, workTolerance);
  // Written so that NaN agrees with nothing.
  const agrees = valueError <= Math.max(valueTolerance, tolerance) && gradientError <= tolerance;
  return { valueError, gradientError, agrees };
}

/** The largest error, relative to the largest element; infinite where the sizes differ. */
export function relativeError(found: Found["gradient"], expected: Found["gradient"]): number {
  if (found.length !== expected.length || found.some((x, k) => x.length !== expected[k].length))
    return Infinity;
  let error = 0;
  let scale = 0;
  expected.forEach((elements, k) => {
    for (let i = 0; i < elements.length; i++) {
      error = Math.max(error, Math.abs(found[k][i] - elements[i]));
      scale = Math.max(scale, Math.abs(elements[i]));
    }
  });
  return error / scale;
}

function prepare(
  task: Task,
  wanted: readonly Mode[],
  { warmUpMilliseconds, timingMilliseconds }: Patience,
): Run[] {
  const bodies: Record<Mode, (() => unknown) | undefined> = {
    value: () => task.value(),
    valueAndGrad: () => task.valueAndGrad(),
    derivative: task.derivative === undefined ? undefined : () => task.derivative?.(),
  };
  return wanted.flatMap((mode) => {
    const body = bodies[mode];
    if (body === undefined) return [];
    let fastest = Infinity;
    for (let spent = 0; spent < warmUpMilliseconds;) {
      const once = time({ body, repeats: 1 });
      fastest = Math.min(fastest, once);
      spent += once;
    }
    const repeats = Math.max(1, Math.min(10_000, Math.ceil(timingMilliseconds / fastest)));
    return [{ mode, body, repeats, milliseconds: [] }];
  });
}

/** What a run returned goes here, so that no compiler can leave the run out. */
// oxlint-disable-next-line import/no-mutable-exports -- written only
export let sink: unknown;

function time({ body, repeats }: Pick<Run, "body" | "repeats">): number {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) sink = body();
  return (performance.now() - start) / repeats;
}

export function spread(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), quartiles: [quantile(values, 0.25), quantile(values, 0.75)] };
}

/** The ratios of two series, round by round: what slows a round down falls on both. */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  return above.map((x, round) => x / below[round]);
}

/** By linear interpolation between the sorted values. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}
