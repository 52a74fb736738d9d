/**
 * Extrapolated central differences, with an estimate of their own error: an oracle that shares nothing with any
 * derivative rule (C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), 1982).
 */
import type { Elements } from "../cases/problem.ts";

export interface Extrapolated {
  readonly derivative: Float64Array;
  /** The largest error to be expected in any element. */
  readonly errorEstimate: number;
}

const shrink = 1.6;
const rows = 10;

/** d f(t) / dt at 0, where f gives an array. */
export function extrapolatedDerivative(f: (t: number) => Elements, firstStep = 0.1): Extrapolated {
  const central = (h: number): Float64Array => {
    const above = f(h);
    const below = f(-h);
    return Float64Array.from({ length: above.length }, (_, i) => (above[i] - below[i]) / (2 * h));
  };
  let previous = [central(firstStep)];
  let best: Extrapolated = { derivative: previous[0], errorEstimate: Infinity };
  for (let row = 1; row < rows; row++) {
    const current = [central(firstStep / shrink ** row)];
    for (let order = 1; order <= row; order++) {
      const factor = shrink ** (2 * order);
      const finer = current[order - 1];
      const coarser = previous[order - 1];
      current.push(finer.map((value, i) => (factor * value - coarser[i]) / (factor - 1)));
      const errorEstimate = Math.max(
        largestDifference(current[order], finer),
        largestDifference(current[order], coarser),
      );
      if (errorEstimate <= best.errorEstimate) best = { derivative: current[order], errorEstimate };
    }
    // Higher orders have begun to amplify rounding errors.
    if (largestDifference(current[row], previous[row - 1]) >= 2 * best.errorEstimate) break;
    previous = current;
  }
  return best;
}

export function largestDifference(a: Elements, b: Elements): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

export function largest(a: Elements): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]));
  return most;
}
