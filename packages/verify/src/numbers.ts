/** Arithmetic on the host, in float64, for judging. */
import { type Value, observe } from "@cotangent/core";

export type Numbers = ArrayLike<number>;

export function dot(a: Numbers, b: Numbers): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export function norm(a: Numbers): number {
  return Math.sqrt(dot(a, a));
}

/** The largest |a[i] - b[i]|; NaN where only one of them is, and 0 where both are the same, infinities included. */
export function distance(a: Numbers, b: Numbers): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
    if (Number.isNaN(largest)) return NaN;
  }
  return largest;
}

export function largest(a: Numbers): number {
  let top = 0;
  for (let i = 0; i < a.length; i++) top = Math.max(top, Math.abs(a[i]));
  return top;
}

export function numbersOf(values: readonly Value[]): number[] {
  return values.flatMap((value) => Array.from(value.dataSync()));
}

/** What a run gives, and the largest number that any primitive made on the way to it, of those that count. */
export function onTheWay<T>(
  run: () => T,
  counts: (x: number) => boolean = () => true,
): { readonly result: T; readonly middle: number } {
  let middle = 0;
  const result = observe((_, __, values) => {
    for (const value of values) middle = Math.max(middle, largest(value.dataSync().filter(counts)));
  }, run);
  return { result, middle };
}

/** Whether all are the same, NaN where the others are; signs of zeros aside, which nothing promises. */
export const sameNumbers = (x: Numbers, y: Numbers): boolean => {
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i] && !(x[i] !== x[i] && y[i] !== y[i])) return false;
  return x.length === y.length;
};

/** The unit roundoff of a dtype. */
export const roundoff: Readonly<Record<"float64" | "float32", number>> = {
  float64: 2 ** -53,
  float32: 2 ** -24,
};

/** A number and how far it may be from the truth. */
export interface Estimate {
  readonly value: number;
  readonly error: number;
}

/**
 * The derivative of f at 0 by central differences, of the step and the order that fit f: steps shrink and, by Richardson's
 * extrapolation to step 0, orders grow for as long as that makes the estimate of the error smaller. That estimate, after
 * Ridders, is the disagreement between neighbours of the tableau, and the rounding of f.
 *
 * C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), Advances in Engineering Software 4 (1982).
 *
 * Next to a kink central differences agree with each other on the mean of two slopes. Of a smooth f the bend, f(h) - 2 f(0) + f(-h)
 * over h, shrinks as h does; while it does not, h is no step yet, and where it never does, the error is said to be as large.
 *
 * @param f defined on [-room, room].
 * @param magnitude the size of the terms that f sums, for its rounding error.
 */
export function derivativeByDifferences(
  f: (t: number) => number,
  room: number,
  magnitude: (f: number) => number,
): Estimate {
  const [fewest, mostSteps, shrink, highest, slack] = [3, 16, 1.6, 7, 1.2];
  const middle = f(0);
  let best: Estimate = { value: NaN, error: Infinity };
  let previous: number[] = [];
  let [previousBend, firstBend, before] = [Infinity, 0, NaN];
  let [rows, sinceBest] = [0, 0];
  for (let i = 0, h = room; i < mostSteps && sinceBest < 3; i++, sinceBest++, h /= shrink) {
    const [above, below] = [f(h), f(-h)];
    const row = [(above - below) / (2 * h)];
    const rounding = (32 * roundoff.float64 * Math.max(magnitude(above), magnitude(below))) / h;
    const bend = Math.abs(above - 2 * middle + below) / h;
    // In proportion to h; or to h³, where there is no second derivative.
    const [least, most] = [previousBend / (slack * shrink ** 3), (slack * previousBend) / shrink];
    if (i > 0 && !(bend >= least - 2 * rounding && bend <= most + 2 * rounding)) {
      [rows, sinceBest, firstBend] = [0, 0, Math.max(bend, previousBend)];
      // Of an odd f there is next to no bend, however far the difference is from the slope.
      best = { value: row[0], error: firstBend + Math.abs(row[0] - before) + rounding };
    }
    [previousBend, before] = [bend, row[0]];
    // No smaller step can do better than its rounding.
    if (rows >= fewest && rounding >= best.error) break;
    for (let j = 1, factor = shrink ** 2; j <= Math.min(rows, highest); j++, factor *= shrink ** 2) {
      row[j] = row[j - 1] + (row[j - 1] - previous[j - 1]) / (factor - 1);
      const error = Math.max(Math.abs(row[j] - row[j - 1]), Math.abs(row[j] - previous[j - 1])) + rounding;
      if (error < best.error) [best, sinceBest] = [{ value: row[j], error }, -1];
    }
    previous = row;
    rows++;
  }
  // Too few steps after the last one that was none.
  return rows >= fewest ? best : { value: best.value, error: best.error + firstBend };
}
