/** Reports as JSON: a number as text where JSON has none, as in the JSON of graphs. */
import { showNumber } from "./print.ts";

const unusual = new Map([NaN, Infinity, -Infinity, -0].map((x) => [showNumber(x), x]));
const isUnusual = (x: number): boolean => !Number.isFinite(x) || Object.is(x, -0);

/** For `JSON.stringify`. */
export const packed = (_: string, value: unknown): unknown =>
  typeof value === "number" && isUnusual(value) ? showNumber(value) : value;

/** For `JSON.parse` of what was packed. */
export const unpacked = (_: string, value: unknown): unknown =>
  typeof value === "string" ? (unusual.get(value) ?? value) : value;
