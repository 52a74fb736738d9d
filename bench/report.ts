/** The tables that the terminal shows. */
import Table from "cli-table3";
import type { Judged, MemoryUse } from "./memory.ts";
import type { Figure, Machine, Part, Result, Roofline, Row } from "./result.ts";

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

function partTable({ title, rows, memory, roofline, browser, skipped }: Part): string {
  if (skipped !== undefined) {
    const verdict = skipped.failed ? "FAILED" : "NOT MEASURED";
    return `${title}\n${verdict}: ${skipped.reason}`;
  }
  const body = memory === undefined ? timeTable(rows) : memoryTable(memory);
  const notes = [
    ...(browser === undefined ? [] : [`in ${browser}`]),
    ...(roofline === undefined ? [] : [rooflineNotes(roofline)]),
  ];
  return [title, ...notes, body].join("\n");
}

/** What part of the machine's multiplications and additions, or of its copying, the works come to. */
function rooflineNotes({ gigaflops, gigabytesPerSecond, shares }: Roofline): string {
  const unit = { flops: "GFLOP/s", bytes: "GB/s" };
  return [
    `One thread's limits, by loops of C: ${round3(gigaflops)} GFLOP/s of multiplications and additions; copying ` +
      `${round3(gigabytesPerSecond)} GB/s, read and written. Of these:`,
    ...shares.map(
      ({ title, what, participant, of, giga, fraction }) =>
        `  ${title}, ${what}: ${participant}: ${round3(giga)} ${unit[of]}, ${round3(100 * fraction)} %`,
    ),
  ].join("\n");
}

function timeTable(rows: readonly Row[]): string {
  const withRatios = rows.some(({ ratio }) => ratio !== null);
  const withTargets = rows.some(({ target }) => target !== null);
  return table(
    [
      { head: "participant", of: ({ participant, dtype }) => `  ${participant}, ${dtype}` },
      { head: "median [quartiles]", of: figureOf },
      ...(withRatios ? [{ head: "ratio", of: ratioOf }] : []),
      ...(withTargets
        ? [
            { head: "target", of: ({ target }: Row) => target?.says ?? "none" },
            { head: "met", of: ({ target }: Row) => (target === null ? "" : yesOrNo(target.met)) },
          ]
        : []),
    ],
    rows,
    ({ title, what }) => `${title}: ${what}`,
  );
}

function memoryTable(uses: readonly MemoryUse[]): string {
  const plainOf = ({ work }: MemoryUse): MemoryUse => uses.find((use) => use.work === work) as MemoryUse;
  return table(
    [
      { head: "reverse mode", of: ({ way }) => `  ${way}` },
      { head: "peak live", of: ({ peakLiveBytes }) => megabytes(peakLiveBytes) },
      { head: "ratio", of: (use) => `${round3(plainOf(use).peakLiveBytes / use.peakLiveBytes)} ×` },
      { head: "foretold", of: ({ foretoldBytes }) => megabytes(foretoldBytes) },
      { head: "held", of: ({ heldBytes }) => megabytes(heldBytes) },
      { head: "kept (theory)", of: ({ kept }) => judged(kept) },
      { head: "run again (theory)", of: ({ again }) => judged(again) },
      {
        head: "met",
        of: ({ kept, again, agreement }) => {
          if (!agreement.agrees) return `DISAGREES by ${agreement.gradientError.toExponential(0)}`;
          const counts = [kept, again].filter((each) => each !== null);
          return counts.length === 0 ? "" : yesOrNo(counts.every(({ count, most }) => count <= most));
        },
      },
      { head: "median [quartiles]", of: ({ time }) => withQuartiles({ ...time, unit: "ms" }) },
    ],
    uses,
    ({ title }) => title,
  );
}

const megabytes = (bytes: number): string => `${round3(bytes / 1e6)} MB`;

const judged = (judged: Judged | null): string =>
  judged === null ? "" : `${judged.count.toLocaleString("en")} (≤ ${judged.most.toLocaleString("en")})`;

const yesOrNo = (met: boolean): string => (met ? "yes" : "NO");

interface Column<R> {
  readonly head: string;
  readonly of: (row: R) => string;
}

/** Rows under headings; those that follow one another and have the same share it. */
function table<R>(columns: readonly Column<R>[], rows: readonly R[], headingOf: (row: R) => string): string {
  const shown = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map((_, i) => (i === 0 ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  let heading = "";
  for (const row of rows) {
    const next = headingOf(row);
    if (next !== heading) shown.push([{ colSpan: columns.length, content: next }]);
    heading = next;
    shown.push(columns.map(({ of }) => of(row)));
  }
  return shown.toString();
}

function ratioOf({ ratio }: Row): string {
  return ratio === null ? "" : withQuartiles({ ...ratio, unit: "×" });
}

function figureOf({ figure, failed, agreement: { agrees, valueError, gradientError } }: Row): string {
  if (failed !== undefined) return `failed: ${failed}`;
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
