/** What the page and its host tell each other. */
import type { Cell, Effort } from "@cotangent/verify";

export interface Request {
  readonly cells: readonly Cell[];
  readonly effort: Effort;
}

/** What page.ts puts into the page. */
export interface PageGlobals {
  verifyOnWebGL(request: string): Promise<string>;
  /** Takes a report, and says whether to stop. */
  tellHost(report: string): Promise<string>;
}

/** JSON has neither NaN nor infinities, which are found where something is wrong. */
const unusual = new Map([NaN, Infinity, -Infinity].map((number) => [`number ${number}`, number]));
export const packed = (_: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isFinite(value) ? `number ${value}` : value;
export const unpacked = (_: string, value: unknown): unknown =>
  typeof value === "string" ? (unusual.get(value) ?? value) : value;
