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
