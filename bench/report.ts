/** The tables that the terminal shows. */
import Table from "cli-table3";
import type { Figure, Machine, Part, Result, Row } from "./result.ts";

export function machineLine({ cpu, cores, platform, node }: Machine): string {
  return `${cpu}, ${cores} cores, ${platform}, Node ${node}`;
}

export function report({ parts, agreed, rounds, browserRounds, quick, seconds }: Result): string {
  const inBrowser = parts.some(({ browser }) => browser !== undefined)
    ? ` (in the browser ${browserRounds})`
    : "";
  const notes = [
    `Medians [and quartiles] of ${rounds} rounds${inBrowser}, in which all take turns; ${seconds.toFixed(0)} s in all.`,
    "Ratios are taken round by round.",
  ];
  if (quick) notes.push("With --quick the figures are rough.");
  if (!agreed) notes.push("Some participants DISAGREE: the work has no figures.");
  return [...parts.map(partTable), notes.join("\n")].join("\n\n");
}

function partTable({ title, rows, browser, skipped }: Part): string {
  if (skipped !== undefined) {
    const verdict = skipped.failed ? "FAILED" : "NOT MEASURED";
    return `${title}\n${verdict}: ${skipped.reason}`;
  }
  const withRatios = rows.some(({ ratio }) => ratio !== null);
  const withTargets = rows.some(({ target }) => target !== null);
  const columns = [
    { head: "participant", of: ({ participant, dtype }: Row) => `  ${participant}, ${dtype}` },
    { head: "median [quartiles]", of: figureOf },
    ...(withRatios ? [{ head: "ratio", of: ratioOf }] : []),
    ...(withTargets
      ? [
          { head: "target", of: ({ target }: Row) => target?.says ?? "none" },
          { head: "met", of: ({ target }: Row) => (target === null ? "" : target.met ? "yes" : "NO") },
        ]
      : []),
  ];
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map((_, i) => (i === 0 ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  let heading = "";
  for (const row of rows) {
    const next = `${row.title}: ${row.what}`;
    if (next !== heading) table.push([{ colSpan: columns.length, content: next }]);
    heading = next;
    table.push(columns.map(({ of }) => of(row)));
  }
  return `${title}${browser === undefined ? "" : `\nin ${browser}`}\n${table.toString()}`;
}

function ratioOf({ ratio }: Row): string {
  return ratio === null ? "" : withQuartiles({ ...ratio, unit: "×" });
}

function figureOf({ figure, agreement: { agrees, valueError, gradientError } }: Row): string {
  if (figure !== null) return withQuartiles(figure);
  if (agrees) return "not timed";
  return `DISAGREES by ${valueError.toExponential(0)} (value), ${gradientError.toExponential(0)} (gradient)`;
}

function withQuartiles({ median, quartiles: [low, high], unit }: Figure): string {
  const [scale, shown] = unit === "ms" && median < 1 ? [1000, "µs"] : [1, unit];
  const [middle, from, to] = [median, low, high].map((x) => round3(x * scale));
  return `${middle} ${shown} [${from} … ${to}]`;
}

/** Three significant digits, without an exponent. */
function round3(x: number): string {
  return Number(x.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 12 });
}
