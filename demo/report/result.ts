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
    /** Processes that were running or waiting to, on average over the minute before. */
    readonly load: number;
  };
  readonly digits: { readonly source: string; readonly count: number };
  readonly webgl: WebGL;
  readonly sweeps: readonly SweepResult[];
  /** What is wrong: ways whose derivatives differ by more than rounding explains. */
  readonly disagreements: readonly string[];
  readonly training: Training;
  readonly seconds: number;
}
