import type { SweepResult } from "../compare/run.ts";
import type { CaseName } from "../cases/problem.ts";
import type { Training } from "../train.ts";

/** Whether the comparison ran on WebGL, and where; or why it did not. */
export type WebGL =
  | { readonly ran: true; readonly browser: string; readonly from: string; readonly renderer: string }
  | {
      readonly ran: false;
      readonly reason: string;
      /** Whether a browser was there, and the comparison failed in it. */
      readonly failed: boolean;
    };

/** Everything that a run of the demo found; the JSON file holds just this. */
export interface Result {
  readonly created: string;
  readonly options: { readonly quick: boolean; readonly only: readonly CaseName[] };
  readonly machine: {
    readonly node: string;
    readonly platform: string;
    readonly cpu: string;
    readonly cores: number;
  };
  readonly digits: { readonly source: string; readonly count: number };
  readonly webgl: WebGL;
  readonly sweeps: readonly SweepResult[];
  readonly training: Training;
  readonly seconds: number;
}
