/** What a law says of one sample, and how a difference is weighed against rounding. */
import type { Backend } from "@cotangent/core";
import type { HostInput } from "./draw.ts";
import { type Numbers, largest, roundoff } from "./numbers.ts";
import { showList } from "./print.ts";
import { roundingSpread, roundingsPerEvaluation } from "./rounding.ts";
import type { Setting } from "./subject.ts";

/** What a law found wrong with one sample. */
export interface Finding {
  readonly message: string;
  /** The call, and what it is called with, where these are not those of the sample. */
  readonly counterexample?: string;
  readonly at?: readonly HostInput[];
  /** What was compared, where both are numbers. */
  readonly found?: readonly number[];
  readonly expected?: readonly number[];
  /** By how much they differ, and what was allowed. */
  readonly error?: number;
  readonly tolerance?: number;
  /**
   * The error in units in the last place of the largest of what was found and expected, and in units of the tolerance; neither
   * where that is 0, or where the error is not finite.
   */
  readonly ulps?: number;
  readonly tolerances?: number;
}

/**
 * A sample is judged, or it is classed, and counted as such: `inapplicable` where the law says nothing of such
 * subjects at all, else because this sample could not be judged.
 */
export type Outcome =
  | { readonly judged: true; readonly failure?: Finding }
  | { readonly judged: false; readonly class: string; readonly inapplicable: boolean };

export const holds: Outcome = { judged: true };
export const fails = (message: string, facts: Omit<Finding, "message"> = {}): Outcome => ({
  judged: true,
  failure: { message, ...facts },
});
export const unjudged = (reason: string): Outcome => ({ judged: false, class: reason, inapplicable: false });
export const inapplicable = (reason: string): Outcome => ({
  judged: false,
  class: reason,
  inapplicable: true,
});

/** An error that a law met, with its stack. */
export const saidBy = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** The size of an error, where it is known. */
export function showError({ error, tolerance, ulps, tolerances }: Finding): string {
  if (error === undefined || tolerance === undefined) return "";
  const short = (x: number): string => x.toPrecision(3);
  const inUlps = ulps === undefined ? "" : `: ${short(ulps)} ulp`;
  const allowed =
    tolerances === undefined
      ? `the tolerance ${short(tolerance)}`
      : `${short(tolerances)} times the tolerance of ${short(tolerance)}`;
  return `the error is ${short(error)}${inUlps}, ${allowed}`;
}

export const showNumbers = (label: string, numbers: ArrayLike<number>): string =>
  `${label} = ${showList(numbers)}`;

/** A difference that is zero in exact arithmetic. */
export interface Discrepancy {
  /** Its size as found. */
  readonly error: number;
  /** The size of the terms that were compared. */
  readonly scale: number;
  /** How many primitives were evaluated for it, and over how many terms was summed. */
  readonly evaluations: number;
  readonly terms: number;
  /** What is uncertain besides rounding: the error of an oracle. */
  readonly uncertainty?: number;
  /** The numbers that were compared, computed again in float64 on another backend. */
  readonly again: (backend: Backend) => Numbers;
  /** The numbers themselves, for the report. */
  readonly found?: Numbers;
  readonly expected?: Numbers;
  readonly say: (tolerance: number) => string;
}

const finite = (name: "ulps" | "tolerances", x: number): Pick<Finding, typeof name> =>
  Number.isFinite(x) ? { [name]: x } : {};

/** How much larger an error may be than the largest of the few that were tried. */
const beyondSpread = 8;
/** A tolerance above this part of what is compared would let anything pass. */
export const hopeless = 0.01;

/**
 * Fails where the discrepancy is more than rounding explains. That is a bound at first: roundoff times the number of
 * evaluations times the size of the terms. Only where it is exceeded the effect of rounding is measured, since the
 * terms on the way may be larger than those at the end.
 */
export function weigh(discrepancy: Discrepancy, { dtype, reference }: Setting): Outcome {
  const { error, scale, evaluations, terms, uncertainty = 0, again, found, expected, say } = discrepancy;
  const failure = (tolerance: number): Outcome => {
    // Of what came out: the terms may be larger, and cancel.
    const numbers = [found ?? [], expected ?? []].flatMap((some) => Array.from(some));
    const size = largest(numbers.filter(Number.isFinite));
    return fails(say(tolerance), {
      ...(found !== undefined && { found: Array.from(found) }),
      ...(expected !== undefined && { expected: Array.from(expected) }),
      error,
      tolerance,
      ...finite("ulps", error / (2 * roundoff[dtype] * size)),
      ...finite("tolerances", error / tolerance),
    });
  };
  const relative = roundoff[dtype] * (roundingsPerEvaluation * Math.max(1, evaluations) + terms);
  const bound = uncertainty + relative * scale;
  // What an uncertain oracle agrees with says nothing. Directions have size 1, and so have derivatives that are worth it.
  if (error <= bound)
    return uncertainty <= hopeless * Math.max(1, scale)
      ? holds
      : unjudged("the oracle is uncertain: near a kink, or too steep");
  // f is finite here, so a derivative that is not is wrong.
  if (!Number.isFinite(error)) return failure(bound);
  const tolerance = bound + beyondSpread * roundingSpread(again, reference, dtype);
  if (!(tolerance <= hopeless * scale + bound)) return unjudged("ill-conditioned");
  return error <= tolerance ? holds : failure(tolerance);
}
