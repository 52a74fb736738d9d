import type { WebGL } from "../report/result.ts";
import type { Progress, Request, SweepResult } from "../compare/run.ts";
import type { Digits } from "../data/digits.ts";

export interface BrowserFindings {
  readonly webgl: WebGL;
  readonly sweeps: readonly SweepResult[];
}

export async function compareInBrowser(
  _request: Request,
  _digits: Digits,
  progress: Progress,
): Promise<BrowserFindings> {
  await progress("");
  return { webgl: { ran: false, reason: "The comparison does not run there yet." }, sweeps: [] };
}
