/** What the page's script is given. Values are numbers of summaries, so that none is written twice. */
import type { Summary } from "../numbers.ts";

export interface PageData {
  readonly items: readonly PageItem[];
  readonly edges: readonly PageEdge[];
  readonly variables: readonly PageVariable[];
  readonly summaries: readonly Summary[];
  /** Pairs of variable and summary that are there from the start; null where there are no values at all. */
  readonly start: readonly (readonly [number, number])[] | null;
  readonly steps: readonly PageStep[];
  readonly notice: string | null;
  readonly clusters: readonly (readonly number[])[];
  readonly box: { readonly width: number; readonly height: number };
}

export interface PageItem {
  readonly name: string;
  readonly label: string;
  readonly family: string;
  readonly variables: readonly number[];
  readonly params: readonly string[];
  readonly line: string | null;
  readonly outputs: readonly string[];
  readonly recomputed: string | null;
  readonly cluster: number | null;
  readonly box: readonly [x: number, y: number, width: number, height: number];
  /** The item whose nested graph it is in. */
  readonly parent: number | null;
  /** The nested graph it is in, `body`, or "". */
  readonly frame: string;
  readonly path: string;
}

export interface PageVariable {
  readonly name: string;
  readonly type: string;
  readonly item: number;
}

export interface PageEdge {
  readonly from: number;
  readonly to: number;
  readonly variable: number;
  readonly argument: string;
  /** The name of the argument in any case, for two edges between the same nodes. */
  readonly name: string;
  readonly shape: string;
}

export interface PageStep {
  readonly phase: "forward" | "backward";
  readonly path: string;
  /** The item that is computed or pulled back, or the one whose nested graph is entered; null for the whole graph. */
  readonly item: number | null;
  /** Whether a nested graph is entered, or the sweep back begins. */
  readonly enters: boolean;
  readonly iteration: readonly [step: number, of: number] | null;
  readonly values: readonly (readonly [variable: number, summary: number])[];
  readonly terms: readonly PageTerm[];
}

export interface PageTerm {
  readonly variable: number;
  /** Null for a cotangent of an output. */
  readonly edge: number | null;
  /** For a cotangent, of which output it is. */
  readonly output: number | null;
  readonly term: number;
  readonly total: number;
  /** The adjoint so far as it stands on the picture: `∂ 0.3 + 1.2 = 1.5`. */
  readonly shown: string;
  readonly local: number | null;
  /** What stands on the edge: `× 0.5`, or how large the contribution is. */
  readonly along: string;
}
