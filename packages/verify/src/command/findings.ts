/** What a run has found so far, cell by cell: the matrix that is printed, and all that the files hold. */
import { type Cell, kinks, randomPrograms } from "../campaign.ts";
import { type Report, everyPrimitive, merged } from "../check.ts";
import { allShapeFeatures, pathsTo } from "../coverage.ts";
import { laws as everyLaw } from "../every-law.ts";
import type { Column } from "./column.ts";

/** A column of the matrix: a backend in a dtype. */
export interface Place {
  readonly backend: string;
  readonly dtype: string;
}

export type Verdict =
  /** Some samples were judged, and the law held in all. */
  | "holds"
  | "fails"
  /** The law has nothing to say of this subject. */
  | "silent"
  /** It has, but no sample could be judged. */
  | "unjudged"
  /** There was no time for it, or the backend could not be had. */
  | "left out";

const keyOf = (backend: string, { subject, law, dtype }: Cell): string =>
  JSON.stringify([backend, dtype, subject, law]);

export class Findings {
  readonly #reports = new Map<string, Report>();
  /** The cells of each backend. */
  readonly cells: ReadonlyMap<string, readonly Cell[]>;
  /** Why a backend could not be had. */
  readonly missing = new Map<string, string>();

  constructor(cells: ReadonlyMap<string, readonly Cell[]>) {
    this.cells = cells;
  }

  /** By the column's name, which may say more than the backend's own: "webgl". */
  add({ name }: Pick<Column, "name">, report: Report): void {
    const key = keyOf(name, report as Report & Cell);
    const own = { ...report, backend: name };
    const before = this.#reports.get(key);
    this.#reports.set(key, before === undefined ? own : merged(before, own));
  }

  reportOf(backend: string, cell: Cell): Report | undefined {
    return this.#reports.get(keyOf(backend, cell));
  }

  get reports(): Report[] {
    return [...this.#reports.values()];
  }

  get failures(): Report[] {
    return this.reports.filter(({ failure }) => failure !== undefined);
  }

  get places(): Place[] {
    return [...this.cells].flatMap(([backend, cells]) =>
      [...new Set(cells.map(({ dtype }) => dtype))].map((dtype) => ({ backend, dtype })),
    );
  }

  /** How many cells nothing is known of. */
  get leftOut(): number {
    let count = 0;
    for (const [backend, cells] of this.cells)
      for (const cell of cells) if (this.verdict(backend, cell) === "left out") count++;
    return count;
  }

  /** Undefined where there is no such cell. */
  verdict(backend: string, cell: Cell): Verdict | undefined {
    const exists = this.cells
      .get(backend)
      ?.some(
        ({ subject, law, dtype }) => subject === cell.subject && law === cell.law && dtype === cell.dtype,
      );
    if (exists !== true) return undefined;
    const report = this.reportOf(backend, cell);
    if (report === undefined) return "left out";
    if (report.failure !== undefined) return "fails";
    if (report.judged > 0) return "holds";
    return report.missed > 0 ? "unjudged" : "silent";
  }

  /**
   * Which cells of primitive, argument's class of shape, law, dtype and backend were judged, and why the others were not. The
   * law of kinks is judged at points, not at shapes. Of a run that was stopped, what is left over had no time.
   */
  coverage(isStopped: boolean): Coverage {
    let judged = 0;
    const reasons = new Map<string, number>();
    const unexplained: EmptyCell[] = [];
    for (const primitive of everyPrimitive())
      for (const [backend, cells] of this.cells)
        for (const cell of cells) {
          if (cell.subject !== primitive.name || cell.law === kinks) continue;
          const report = this.reportOf(backend, cell);
          for (const feature of allShapeFeatures(primitive)) {
            if (report?.exercised[feature] !== undefined) {
              judged++;
              continue;
            }
            const reason =
              whyEmpty(report, feature, pathsTo(primitive).has(feature)) ?? (isStopped ? noTime : undefined);
            if (reason === undefined) unexplained.push({ ...cell, backend, feature });
            else reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
          }
        }
    return { judged, reasons, unexplained };
  }

  /** Of a column: how much was judged, and how fast random programs were. */
  totals({ backend, dtype }: Place): Totals {
    const own = this.reports.filter((report) => report.backend === backend && report.dtype === dtype);
    const sum = (of: (report: Report) => number, reports = own): number =>
      reports.reduce((total, report) => total + of(report), 0);
    const programs = own.filter(({ subject }) => subject === randomPrograms);
    const seconds = sum(({ milliseconds }) => milliseconds, programs) / 1000;
    const judgedPrograms = sum(({ judged }) => judged, programs);
    return {
      judged: sum(({ judged }) => judged),
      missed: sum(({ missed }) => missed),
      failures: own.filter(({ failure }) => failure !== undefined).length,
      seconds: sum(({ milliseconds }) => milliseconds) / 1000,
      programs: judgedPrograms,
      programsPerSecond: seconds > 0 ? judgedPrograms / seconds : 0,
    };
  }
}

/** What was judged of all that there is to judge. */
export interface Coverage {
  /** So many cells. */
  readonly judged: number;
  /** Why others are empty, and how many for each reason. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Those that are empty for no reason. */
  readonly unexplained: readonly EmptyCell[];
}

export interface EmptyCell extends Cell {
  readonly backend: string;
  /** The argument and its class of shape. */
  readonly feature: string;
}

const noTime = "there was no time, or no backend";

function whyEmpty(report: Report | undefined, feature: string, isDrawn: boolean): string | undefined {
  if (report === undefined) return noTime;
  if (report.failure !== undefined) return "the law fails";
  if (report.judged === 0) return Object.keys(report.classed).sort().join("; ");
  if (everyLaw.find(({ name }) => name === report.law)?.drawsNumbers === true)
    return "the law draws numbers of its own, in no shape of these";
  return report.unexercised[feature] ?? (isDrawn ? undefined : "the record draws no such shape");
}

export interface Totals {
  readonly judged: number;
  readonly missed: number;
  readonly failures: number;
  readonly seconds: number;
  readonly programs: number;
  readonly programsPerSecond: number;
}
