/** What the terminal shows at the end. */
import Table from "cli-table3";
import { type Cell, randomPrograms } from "../campaign.ts";
import type { Report } from "../check.ts";
import type { Coverage, Findings, Place, Verdict } from "./findings.ts";

export const marks: Readonly<Record<Verdict, string>> = {
  holds: "✓",
  fails: "✗",
  silent: "·",
  unjudged: "?",
  "left out": "–",
};

const meanings =
  "✓ held   ✗ FAILED   · says nothing of such   ? could judge no sample   – left out (no time, or no backend)";

/** The style that keeps escape codes out of files and pipes. */
const plain = { head: [], border: [], compact: true };

export const nameOf = ({ backend, dtype }: Place): string => `${backend} ${dtype}`;

/** What a run was started with that its failures depend on. */
export interface Replay {
  /** What a shell calls the command, its own options not among it: "pnpm verify". */
  readonly invocation: string;
  /** The most steps of a program. */
  readonly steps: number;
}

/** The command that shows a failure again. */
export const replayOf = (
  { subject, law, dtype, backend, seed, failure }: Report,
  { invocation, steps }: Replay,
): string =>
  `${invocation} --primitive ${subject} --law "${law}" --dtype ${dtype} --backend ${backend}` +
  (subject === randomPrograms ? ` --steps ${steps}` : "") +
  ` --seed ${seed}` +
  (failure?.path === undefined ? "" : ` --path ${failure.path}`);

/** Primitives by laws; in each cell a mark per backend and dtype. */
export function matrix(findings: Findings, subjects: readonly string[], laws: readonly string[]): string {
  const { places } = findings;
  const markOf = (place: Place, subject: string, law: string): string => {
    const verdict = findings.verdict(place.backend, { subject, law, dtype: place.dtype as Cell["dtype"] });
    return verdict === undefined ? " " : marks[verdict];
  };
  const table = new Table({ head: ["", ...laws], style: plain });
  for (const subject of subjects)
    table.push([subject, ...laws.map((law) => places.map((place) => markOf(place, subject, law)).join(""))]);
  const columns = places.map((place, i) => `${i + 1}. ${nameOf(place)}`).join("   ");
  return `${table.toString()}\nIn each cell, one after the other: ${columns}\n${meanings}`;
}

/** Per backend and dtype: how much was judged, how fast. */
export function totals(findings: Findings): string {
  const table = new Table({
    head: ["", "judged", "could not be", "failures", "seconds", "programs per second"],
    colAligns: ["left", "right", "right", "right", "right", "right"],
    style: plain,
  });
  for (const place of findings.places) {
    const { judged, missed, failures, seconds, programs, programsPerSecond } = findings.totals(place);
    table.push([
      nameOf(place),
      judged,
      missed,
      failures,
      seconds.toFixed(1),
      programs === 0 ? "-" : programsPerSecond.toFixed(1),
    ]);
  }
  const missing = [...findings.missing].map(
    ([backend, reason]) => `${backend} COULD NOT BE JUDGED: ${reason}`,
  );
  return [table.toString(), ...missing].join("\n");
}

/** How many shapes each law was tried on, and why not on others. */
export function showCoverage({ judged, reasons, unexplained }: Coverage): string {
  const table = new Table({ head: ["empty", "because"], colAligns: ["right", "left"], style: plain });
  for (const [reason, cells] of byCount(reasons)) table.push([cells, reason]);
  const some = unexplained
    .slice(0, 5)
    .map(
      ({ subject, law, backend, dtype, feature }) => `  ${subject}, ${law}, ${backend} ${dtype}: ${feature}`,
    );
  return [
    `Coverage: ${judged} cells of primitive, argument's shape, law, dtype and backend were judged; ` +
      `${unexplained.length} are empty for no reason${unexplained.length > 0 ? ":" : "."}`,
    ...some,
    ...(unexplained.length > some.length
      ? [`  and ${unexplained.length - some.length} more, in the JSON file`]
      : []),
    ...(reasons.size > 0 ? [table.toString()] : []),
  ].join("\n");
}

/** The reasons for most cells first. */
export const byCount = (reasons: Coverage["reasons"]): [reason: string, cells: number][] =>
  [...reasons].sort(([, a], [, b]) => b - a);
