/** Many checks in rounds of a few samples each, so that every one has its turn early, and what was covered is always known. */
import { type Backend, type DType, isFloating } from "@cotangent/core";
import {
  type CheckOptions,
  type Report,
  checkKinks,
  checkLaw,
  checkPrograms,
  everyPrimitive,
} from "./check.ts";
import { laws, lawsOfValues } from "./every-law.ts";
import { type Setting, settingIn } from "./subject.ts";

declare const setTimeout: (body: () => void, milliseconds: number) => unknown;

/** The subject that stands for random programs. */
export const randomPrograms = "programs";
/** The law of documented derivatives at kinks, which has no samples. */
export const kinks = "kinks";
export const kinksStatement = "at each declared kink both modes give the documented derivative";

/** One law for one subject, a primitive or random programs, in a dtype. */
export interface Cell {
  readonly subject: string;
  readonly law: string;
  readonly dtype: DType;
}

export interface Effort {
  /** Per primitive, law and dtype. */
  readonly samples: number;
  /** Per law and dtype. */
  readonly programs: number;
  /** The most steps of a program. */
  readonly steps: number;
  /** Of the first round; each has the next. */
  readonly seed: number;
  /** Replays one sample of that seed. */
  readonly path?: string;
}

/** Called as the campaign goes on. */
export interface Watch {
  /** What came of some more samples of a cell. */
  readonly onReport: (report: Report) => void;
  /** Asked between checks. */
  readonly isStopped: () => boolean;
}

/** Samples of a cell per round: enough that starting one costs little, few enough that rounds are short. */
const perRound = 25;

/** Laws that say nothing of programs. */
const ofPrimitives: ReadonlySet<string> = new Set([
  kinks,
  ...laws.flatMap(({ name, subjects }) => (subjects === "primitives" ? [name] : [])),
]);

const ofValues: ReadonlySet<string> = new Set(lawsOfValues.map(({ name }) => name));

/** Whether there is such a cell: programs have dtypes of their own, and whole numbers no derivatives. */
const exists = ({ subject, law, dtype }: Cell): boolean =>
  isFloating(dtype)
    ? subject !== randomPrograms || !ofPrimitives.has(law)
    : subject !== randomPrograms && ofValues.has(law);

/** The cells of primitives and programs by these laws in these dtypes that there are. */
export function cellsOf(
  subjects: readonly string[],
  lawNames: readonly string[],
  dtypes: readonly DType[],
): Cell[] {
  return dtypes.flatMap((dtype) =>
    subjects.flatMap((subject) => lawNames.map((law) => ({ subject, law, dtype })).filter(exists)),
  );
}

/** How many samples a cell is to have in all. */
export function samplesOf({ subject, law }: Cell, { samples, programs }: Effort): number {
  return law === kinks ? 1 : subject === randomPrograms ? programs : samples;
}

function judge(cell: Cell, setting: Setting, options: CheckOptions & { readonly steps: number }): Report {
  const { subject } = cell;
  const law = laws.find(({ name }) => name === cell.law);
  if (law !== undefined && subject === randomPrograms) return checkPrograms(law, setting, options);
  const primitive = everyPrimitive().find(({ name }) => name === subject);
  if (primitive === undefined) throw new Error(`verify: no primitive is called "${subject}".`);
  return law === undefined ? checkKinks(primitive, setting) : checkLaw(primitive, law, setting, options);
}

/**
 * Judges cells on a backend, round by round, until each has had its samples or failed. Between checks it lets the event
 * loop have its turn: interrupts come through, and what was collected is finalized.
 *
 * @example
 * ```ts
 * const cells = cellsOf(["sin", "programs"], ["adjoint"], ["float64"]);
 * await runCampaign(jsBackend, jsBackend, cells, { samples: 100, programs: 500, steps: 10, seed: 1 }, {
 *   onReport: ({ subject, judged }) => console.log(subject, judged),
 *   isStopped: () => false,
 * });
 * ```
 */
export async function runCampaign(
  backend: Backend,
  reference: Backend,
  cells: readonly Cell[],
  effort: Effort,
  { onReport, isStopped }: Watch,
): Promise<void> {
  const { seed, path, steps } = effort;
  let left = cells.map((cell) => ({ cell, samples: samplesOf(cell, effort) }));
  for (let round = 0; left.length > 0; round++) {
    const unfinished: typeof left = [];
    for (const { cell, samples } of left) {
      if (samples === 0) continue;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await new Promise<void>((go) => setTimeout(go, 0));
      if (isStopped()) return;
      const now = path === undefined ? Math.min(samples, perRound) : samples;
      const setting = settingIn(backend, reference, cell.dtype);
      const report = judge(cell, setting, {
        samples: now,
        mayMiss: true,
        // Once, when all else is done.
        cover: now === samples,
        steps,
        seed: seed + round,
        ...(path !== undefined && { path }),
      });
      onReport({ ...report, subject: cell.subject });
      if (report.failure === undefined && now < samples) unfinished.push({ cell, samples: samples - now });
    }
    left = unfinished;
  }
}
