/** Values as people read them: a number, or what a tensor comes to. */
import { type Value, numberText } from "@cotangent/core";

/** A value on a page. */
export interface Summary {
  /** A few digits, for a place on the picture. */
  readonly short: string;
  /** All there is room for. */
  readonly text: string;
  readonly type: string;
  readonly stats?: {
    readonly min: string;
    readonly mean: string;
    readonly max: string;
    readonly norm: string;
  };
}

/** At most so many significant digits; powers of ten where a number is very large or small. */
function digits(x: number, count: number): string {
  if (!Number.isFinite(x) || Number.isInteger(x)) return Math.abs(x) < 1e6 ? String(x) : shortPower(x, count);
  const size = Math.abs(x);
  if (size >= 1e5 || size < 1e-4) return shortPower(x, count);
  return String(Number(x.toPrecision(count)));
}

const shortPower = (x: number, count: number): string =>
  Number.isFinite(x) ? x.toExponential(count - 1).replace(/\.?0*e\+?/, "e") : String(x);

/** What a value comes to; its elements are read. */
export function summarize(value: Value): Summary {
  const { aval } = value;
  const data = value.dataSync();
  const type = aval.toString();
  const show = (x: number, count: number): string =>
    aval.floating ? digits(x, count) : numberText(x, aval.dtype);
  if (aval.rank === 0) return { short: show(data[0], 4), text: show(data[0], 7), type };
  const list = (most: number, count: number): string => {
    const first = Array.from(data.subarray(0, most), (x) => show(x, count));
    return `[${first.join(", ")}${data.length > most ? ", …" : ""}]`;
  };
  const base = { short: list(2, 3), text: list(6, 5), type };
  if (!aval.floating || data.length === 0) return base;
  let [min, max, sum, squares] = [Infinity, -Infinity, 0, 0];
  for (const x of data) {
    min = Math.min(min, x);
    max = Math.max(max, x);
    sum += x;
    squares += x * x;
  }
  const stats = {
    min: digits(min, 5),
    mean: digits(sum / data.length, 5),
    max: digits(max, 5),
    norm: digits(Math.sqrt(squares), 4),
  };
  return { ...base, stats };
}
