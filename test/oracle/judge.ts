/**
 * Whether numbers agree. Two right computations of one number differ by roundings, and by what roundings on the way make
 * of it where it is ill-conditioned; the latter is measured, not guessed.
 */
import { type Backend, type FloatDType, jsBackend } from "cotangent";
import { roundingSpreads, roundingsPerEvaluation, roundoff } from "@cotangent/verify";
import { type Case, type Peer, type Quantity, peers } from "./fixtures.ts";
import { type Found, type Setting, type Way, measure, waysTo } from "./measure.ts";

/** One number of Cotangent's and one of a peer's that should be the same. */
export interface Verdict {
  readonly case: Case;
  readonly peer: Peer;
  readonly way: Way;
  readonly quantity: Quantity;
  /** Of which output or input, and which element of it. */
  readonly part: number;
  readonly index: number;
  readonly ours: number;
  readonly theirs: number;
  readonly agrees: boolean;
  /** The peers with which Cotangent agrees on this number. */
  readonly witnesses: readonly Peer[];
  /** In units of the tolerance; Infinity where only one of the two is finite. */
  readonly error: number;
}

const smallestNormal = { float64: 2 ** -1022, float32: 2 ** -126 } as const;
const largestNumber = { float64: Number.MAX_VALUE, float32: (2 - 2 ** -23) * 2 ** 127 } as const;

/** Both sides evaluate a few primitives for one number. */
const evaluations = 2;
/** How much larger an error may be than the largest of the few that were tried. */
const beyondSpread = 8;
/** A number of which rounding leaves less than half of the digits says nothing; it must then agree by the bound alone. */
const hopeless = { float64: 2 ** -26, float32: 2 ** -12 } as const;

/** Every number of a case that a peer and Cotangent both have, by every way to it. */
export function judge(subject: Case, setting: Setting): readonly Verdict[] {
  return isReference(setting)
    ? referenceOf(subject).verdicts()
    : verdictsOn(subject, measure(subject, setting), setting.dtype);
}

function verdictsOn(subject: Case, found: Found, dtype: FloatDType): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const [way, arrays] of found) {
    const quantity = waysTo[way];
    for (const [part, numbers] of arrays.entries()) {
      for (const [index, ours] of numbers.entries()) {
        const witnesses: Peer[] = [];
        for (const peer of peers) {
          const theirs = numberOf(subject, peer, quantity, part, index, numbers.length);
          if (theirs === null) continue;
          const at = { case: subject, peer, way, quantity, part, index, ours, theirs, witnesses };
          const error = errorOf(at, dtype);
          if (error <= 1) witnesses.push(peer);
          verdicts.push({ ...at, error, agrees: error <= 1 });
        }
      }
    }
  }
  return verdicts;
}

/** What the fixture has there; null where it has nothing. */
function numberOf(
  { function: name, found }: Case,
  peer: Peer,
  quantity: Quantity,
  part: number,
  index: number,
  length: number,
): number | null {
  const parts = found[peer]?.[quantity];
  if (parts === undefined) return null;
  if (parts[part]?.length !== length)
    throw new Error(`${name}: the ${quantity} of ${peer} has another shape.`);
  return parts[part][index];
}

/** The difference in units of what is allowed. */
function errorOf(at: Omit<Verdict, "error" | "agrees">, dtype: FloatDType): number {
  const { ours, theirs } = at;
  // What the dtype has no number for is infinite in it, or a sum of infinities.
  if (Math.abs(theirs) > largestNumber[dtype] && Number.isFinite(theirs))
    return Number.isFinite(ours) ? Infinity : 0;
  if (Object.is(ours, theirs) || ours === theirs) return 0;
  if (!Number.isFinite(ours) || !Number.isFinite(theirs)) return Infinity;
  const error = Math.abs(ours - theirs);
  const bound =
    roundoff[dtype] * roundingsPerEvaluation * evaluations * Math.abs(theirs) + smallestNormal[dtype];
  if (error <= bound) return error / bound;
  const { spread, scale } = referenceOf(at.case).conditionOf(at, dtype);
  return error / (spread <= hopeless[dtype] * scale ? bound + beyondSpread * spread : bound);
}

/** A case on the reference backend. */
interface Reference {
  readonly verdicts: () => readonly Verdict[];
  /** What roundings of the inputs and of every kernel's results can do to a number, and how large its like are. */
  conditionOf(
    at: Pick<Verdict, "way" | "quantity" | "part" | "index">,
    dtype: FloatDType,
  ): { readonly spread: number; readonly scale: number };
}

const isReference = ({ backend, dtype, jitted }: Setting): boolean =>
  backend === jsBackend && dtype === "float64" && !jitted;

const references = new WeakMap<Case, Reference>();
function referenceOf(subject: Case): Reference {
  const known = references.get(subject) ?? reference(subject);
  references.set(subject, known);
  return known;
}

function reference(subject: Case): Reference {
  const on = (backend: Backend, moved?: (x: number) => number, names?: readonly Way[]): Found =>
    measure(subject, { backend, dtype: "float64", jitted: false }, moved, names);
  const found = on(jsBackend);
  const arraysOf = (way: Way, from: Found = found): readonly (readonly number[])[] => from.get(way) ?? [];
  const spreadsOf = (way: Way): Float64Array =>
    roundingSpreads(
      (backend) =>
        (backend === jsBackend
          ? arraysOf(way)
          : arraysOf(way, on(backend, roundedDifferently(), [way]))
        ).flat(),
      jsBackend,
      "float64",
    );

  /** The largest number of a quantity: at the same point, where elements are points. */
  const scaleOf = (quantity: Quantity, index: number): number => {
    let largest = 0;
    for (const [way, arrays] of found) {
      if (waysTo[way] !== quantity) continue;
      for (const numbers of arrays)
        for (const x of subject.pointwise ? [numbers[index]] : numbers)
          if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
    }
    return largest;
  };
  const spreads = new Map<Way, Float64Array>();
  let verdicts: readonly Verdict[] | undefined;
  return {
    verdicts: () => (verdicts ??= verdictsOn(subject, found, "float64")),
    conditionOf: ({ way, quantity, part, index }, dtype) => {
      const known = spreads.get(way) ?? spreadsOf(way);
      spreads.set(way, known);
      // Rounding moves a number in proportion.
      const units = roundoff[dtype] / roundoff.float64;
      const scale = scaleOf(quantity, index);
      // Terms of a second derivative are as large as first derivatives, also where they cancel.
      const terms = quantity === "second" ? Math.max(scale, scaleOf("vjp", index)) : scale;
      // A number is computed from terms that are as large as the largest of its like; unless elements are points, whose
      // second derivatives have nothing to do with each other's first ones.
      const rounding = roundoff[dtype] * (subject.pointwise ? scale : terms);
      const before = arraysOf(way).slice(0, part);
      const place = before.reduce((sum, { length }) => sum + length, index);
      return { spread: units * known[place] + rounding, scale: terms };
    },
  };
}

/** Moves a number by a unit roundoff or two, one way or the other. */
function roundedDifferently(): (x: number) => number {
  let calls = 0;
  return (x) => x * (1 + (calls++ % 3 === 0 ? -1 : 1) * 2 * roundoff.float64);
}
