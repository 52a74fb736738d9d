/** The tables that the terminal shows. */
import Table from "cli-table3";
import type { Figure, Machine, Part, Result, Row } from "./result.ts";

export function machineLine({ cpu, cores, platform, node }: Machine): string {
  return `${cpu}, ${cores} cores, ${platform}, Node ${node}`;
}

export function report({ parts, agreed, rounds, quick, seconds }: Result): string {
  const notes = [
    `Medians [and quartiles] of ${rounds} rounds, in which all take turns; ${seconds.toFixed(0)} s in all.`,
    "A ratio is a participant's time over that of Cotangent in float32, round by round.",
  ];
  if (quick) notes.push("With --quick the figures are rough.");
  if (!agreed) notes.push("Some participants DISAGREE: the work has no figures.");
  return [...parts.map(partTable), notes.join("\n")].join("\n\n");
}

function partTable({ id, title, rows }: Part): string {
  const table = new Table({
    head: ["", "participant", id === "c" ? "gradient / value" : "time", "ratio", "target", "met"],
    colAligns: ["left", "left", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  let heading = "";
  for (const row of rows) {
    const next = `${row.title}: ${row.what}`;
    if (next !== heading) table.push([{ colSpan: 6, content: (heading = next) }]);
    const { participant, dtype, ratio, target } = row;
    table.push([
      "",
      `${participant}, ${dtype}`,
      figureOf(row),
      ratio === null ? "" : withQuartiles({ ...ratio, unit: "×" }),
      target?.says ?? "",
      target === null ? "" : target.met ? "yes" : "NO",
    ]);
  }
  return `${title}\n${table.toString()}`;
}

function figureOf({ figure, agreement: { agrees, valueError, gradientError } }: Row): string {
  if (figure !== null) return withQuartiles(figure);
  if (agrees) return "not timed";
  return `DISAGREES by ${valueError.toExponential(0)} (value), ${gradientError.toExponential(0)} (gradient)`;
}

function withQuartiles({ median, quartiles: [low, high], unit }: Figure): string {
  return `${round3(median)} ${unit} [${round3(low)} … ${round3(high)}]`;
}

/** Three significant digits, without an exponent. */
function round3(x: number): string {
  return Number(x.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 12 });
}
