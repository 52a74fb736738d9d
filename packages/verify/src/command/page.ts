/** The report as a page: self-contained, for a person to look at. */
import { type Cell, kinks, kinksStatement } from "../campaign.ts";
import { shapeClasses } from "../coverage.ts";
import { laws as everyLaw } from "../every-law.ts";
import type { Coverage, Findings, Place, Verdict } from "./findings.ts";
import { type Replay, byCount, nameOf, replayOf } from "./matrix.ts";

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => `&${{ "&": "amp", "<": "lt", ">": "gt", '"': "quot" }[c]};`);

/** What each color stands for, in the words of the legend. */
const legend: Readonly<Record<Verdict, string>> = {
  holds: "held",
  fails: "failed",
  silent: "says nothing of such",
  unjudged: "could judge no sample",
  "left out": "left out",
};

const classOf = (verdict: Verdict): string => `c ${verdict.replace(" ", "-")}`;

const style = `
:root { color-scheme: light dark; --ok: light-dark(#1d8a4e, #3fbf78); --bad: light-dark(#c62836, #ff6b78);
  --doubt: light-dark(#d48806, #f0b429); --quiet: light-dark(#e4e5e8, #33353b); --line: light-dark(#dcdde1, #3a3c42);
  --soft: light-dark(#f6f7f8, #1d1f24); --page: light-dark(#fff, #131418); --muted: light-dark(#5d626b, #a2a7b0); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; background: var(--page); }
main { max-width: 92rem; margin: 0 auto; padding: 1.5rem 1.25rem 6rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem; }
p { margin: .4rem 0; max-width: 60rem; } .muted { color: var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; padding: 0; list-style: none; }
.facts li { background: var(--soft); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .9rem; }
.facts b { display: block; font-size: 1.3rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.ok { color: var(--ok); } .bad { color: var(--bad); }
.scroll { width: fit-content; max-width: 100%; overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
.scroll.tall { max-height: 80vh; overflow-y: auto; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: .22rem .6rem; text-align: left; white-space: nowrap; }
th { font-weight: 550; } tbody tr:hover > * { background: var(--soft); } tbody tr + tr > * { border-top: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } td.text { white-space: normal; min-width: 18rem; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--soft); border-bottom: 1px solid var(--line); vertical-align: bottom; }
#matrix thead th span { writing-mode: vertical-rl; transform: rotate(180deg); padding: .3rem 0; }
#matrix tbody th { position: sticky; left: 0; background: var(--page); }
.c { display: inline-block; width: .72rem; height: .72rem; margin-right: 2px; border-radius: 3px; vertical-align: -1px; cursor: default; }
.holds { background: var(--ok); } .fails { background: var(--bad); } .unjudged { background: var(--doubt); } .silent { background: var(--quiet); }
.left-out { box-shadow: inset 0 0 0 1px var(--line); }
#matrix td { padding: .22rem .4rem; } .legend i { margin-right: .4rem; } .legend span { margin-right: 1.2rem; white-space: nowrap; }
pre { overflow-x: auto; padding: .8rem; margin: .4rem 0 1.2rem; background: var(--soft); border-left: 4px solid var(--bad); border-radius: 4px; font-size: 13px; }
.controls { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; margin: .6rem 0; }
input[type=search] { font: inherit; padding: .25rem .6rem; border: 1px solid var(--line); border-radius: 6px; background: var(--page); }
#detail { position: fixed; inset: auto 0 0 0; padding: .6rem 1.25rem; background: var(--soft); border-top: 1px solid var(--line); font-size: 13px; white-space: pre-line; }
#detail:empty { display: none; }
`;

/** Hides rows of the matrix, and says in full what the square under the pointer stands for. */
const script = `
const [filter, only, detail] = ["filter", "only", "detail"].map((id) => document.getElementById(id));
const show = () => {
  for (const row of document.querySelectorAll("#matrix tbody tr"))
    row.hidden = !row.dataset.name.includes(filter.value) || (only.checked && !row.querySelector(".fails, .unjudged, .left-out"));
};
filter.addEventListener("input", show);
only.addEventListener("input", show);
document.getElementById("matrix").addEventListener("pointerover", ({ target }) => {
  detail.textContent = target.dataset?.said ?? "";
});
document.getElementById("matrix").addEventListener("pointerleave", () => (detail.textContent = ""));
`;

export interface PageFacts extends Replay {
  readonly subjects: readonly string[];
  readonly laws: readonly string[];
  readonly seed: number;
  readonly seconds: number;
  /** "" or why it ended early. */
  readonly stopped: string;
  readonly coverage: Coverage;
}

/** Head and rows of cells that are HTML already; those of numbers stand to the right. */
function table(head: readonly string[], rows: readonly string[], numbers: ReadonlySet<number>): string {
  const heads = head.map((name, i) => `<th${numbers.has(i) ? ' class="n"' : ""}>${escape(name)}</th>`);
  return `<div class="scroll"><table><thead><tr>${heads.join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`;
}

const number = (value: number | string): string => `<td class="n">${value}</td>`;
const total = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((sum, item) => sum + of(item), 0);

export function page(findings: Findings, facts: PageFacts): string {
  const { subjects, laws, seed, seconds, stopped, coverage } = facts;
  const { places, failures, reports, leftOut } = findings;
  const tiles: readonly (readonly [what: string, value: string | number, tone?: string])[] = [
    ["failures", failures.length, failures.length > 0 ? "bad" : "ok"],
    ["samples judged", total(reports, ({ judged }) => judged).toLocaleString("en")],
    ["that could not be", total(reports, ({ missed }) => missed)],
    ["checks left out", leftOut],
    ["cells covered", coverage.judged.toLocaleString("en")],
    ["empty for no reason", coverage.unexplained.length, coverage.unexplained.length > 0 ? "bad" : "ok"],
    ["seconds", seconds.toFixed(0)],
    ["seed", seed],
  ];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Verification: ${failures.length} failures</title><style>${style}</style>
<main><h1>Verification</h1>
<p>${escape(stopped)}</p>
<ul class="facts">${tiles
    .map(([what, value, tone = ""]) => `<li><b class="${tone}">${value}</b>${what}</li>`)
    .join("")}</ul>
${failures.length > 0 ? `<h2>Failures</h2>${showFailures(findings, facts)}` : ""}
<h2>Backends</h2>
${backends(findings)}
<h2>Primitives and laws</h2>
<p class="muted">In each cell one square per backend: ${places.map(nameOf).join(", ")}.</p>
<p class="legend muted">${Object.entries(legend)
    .map(([verdict, words]) => `<span><i class="${classOf(verdict as Verdict)}"></i>${words}</span>`)
    .join("")}</p>
<p class="controls"><input id="filter" type="search" placeholder="filter by name" aria-label="filter by name">
<label><input id="only" type="checkbox"> only what did not hold everywhere</label></p>
${matrixTable(findings, subjects, laws)}
<h2>Laws</h2>
${lawTable(findings, laws)}
<h2>What was tried</h2>
<p class="muted">Samples judged, over all laws and backends, by the shape of each argument. A dash: the primitive's record draws no
such shape.</p>
${coverageTable(findings, subjects)}
<h2>What was not</h2>
<p class="muted">Why cells of primitive, argument's shape, law, dtype and backend are empty.</p>
${table(
  ["cells", "because"],
  byCount(coverage.reasons).map(
    ([reason, cells]) => `<tr>${number(cells.toLocaleString("en"))}<td>${escape(reason)}</td></tr>`,
  ),
  new Set([0]),
)}
</main><output id="detail"></output>
<script>${script}</script></html>
`;
}

const showFailures = ({ failures }: Findings, replay: Replay): string =>
  failures
    .map(
      (report) =>
        `<p><b>${escape(report.subject)}</b> breaks <b>${escape(report.law)}</b> on ${escape(report.backend)} in ` +
        `${report.dtype}</p><pre>${escape(report.failure?.text ?? "")}\n\n${escape(replayOf(report, replay))}</pre>`,
    )
    .join("\n");

function backends(findings: Findings): string {
  const rows = findings.places.map((place) => {
    const found = findings.totals(place);
    const name = `<th>${escape(nameOf(place))}</th>`;
    const missing = findings.missing.get(place.backend);
    if (missing !== undefined)
      return `<tr>${name}<td colspan="5" class="bad">not judged: ${escape(missing)}</td></tr>`;
    const numbers = [
      found.judged.toLocaleString("en"),
      found.missed,
      found.failures,
      found.seconds.toFixed(1),
      found.programs === 0 ? "–" : found.programsPerSecond.toFixed(1),
    ];
    return `<tr>${name}${numbers.map(number).join("")}</tr>`;
  });
  const head = ["", "samples judged", "could not be", "failures", "seconds", "programs per second"];
  return table(head, rows, new Set([1, 2, 3, 4, 5]));
}

function matrixTable(findings: Findings, subjects: readonly string[], laws: readonly string[]): string {
  const square = (place: Place, subject: string, law: string): string => {
    const cell = { subject, law, dtype: place.dtype as Cell["dtype"] };
    const verdict = findings.verdict(place.backend, cell);
    if (verdict === undefined) return "";
    const { judged, classed, exercised } = findings.reportOf(place.backend, cell) ?? {
      judged: 0,
      classed: {},
      exercised: {},
    };
    const list = (counts: Readonly<Record<string, number>>): string =>
      Object.entries(counts)
        .map(([what, count]) => `${count} × ${what}`)
        .join(", ");
    const said = [
      [`${subject}, ${law}, ${nameOf(place)}: ${verdict}`, `${judged} judged`, list(classed)]
        .filter((part) => part !== "")
        .join(", "),
      list(exercised),
    ];
    return `<i class="${classOf(verdict)}" data-said="${escape(said.join("\n").trimEnd())}"></i>`;
  };
  const rows = subjects.map((subject) => {
    const cells = laws.map((law) => `<td>${places(findings, (place) => square(place, subject, law))}</td>`);
    return `<tr data-name="${escape(subject)}"><th>${escape(subject)}</th>${cells.join("")}</tr>`;
  });
  const head = laws.map((law) => `<th><span>${escape(law)}</span></th>`).join("");
  return `<div class="scroll tall"><table id="matrix"><thead><tr><th></th>${head}</tr></thead><tbody>
${rows.join("\n")}
</tbody></table></div>`;
}

const places = (findings: Findings, show: (place: Place) => string): string =>
  findings.places.map(show).join("");

/** What each law says, and how often it was judged. */
function lawTable({ reports }: Findings, names: readonly string[]): string {
  const statementOf = (name: string): string =>
    name === kinks ? kinksStatement : (everyLaw.find((law) => law.name === name)?.statement ?? "");
  const rows = names.map((name) => {
    const own = reports.filter(({ law }) => law === name);
    const [judged, missed] = [total(own, (report) => report.judged), total(own, (report) => report.missed)];
    return (
      `<tr><th>${escape(name)}</th><td class="text">${escape(statementOf(name))}</td>` +
      `${number(judged.toLocaleString("en"))}${number(missed)}</tr>`
    );
  });
  return table(["law", "what must hold", "samples judged", "could not be"], rows, new Set([2, 3]));
}

/** For each argument of each primitive, how many samples had each class of shape. */
function coverageTable({ reports }: Findings, subjects: readonly string[]): string {
  const counts = new Map<string, Map<string, number>>();
  for (const { subject, exercised } of reports) {
    const own = counts.get(subject) ?? new Map<string, number>();
    for (const [feature, count] of Object.entries(exercised))
      own.set(feature, (own.get(feature) ?? 0) + count);
    counts.set(subject, own);
  }
  const rows = subjects.flatMap((subject) => {
    const own = counts.get(subject) ?? new Map<string, number>();
    const args = [...new Set([...own.keys()].flatMap((feature) => feature.match(/^(\w+): /)?.[1] ?? []))];
    return args
      .filter((arg) => shapeClasses.some((shapeClass) => own.has(`${arg}: ${shapeClass}`)))
      .map((arg) => {
        const cells = shapeClasses.map((shapeClass) => own.get(`${arg}: ${shapeClass}`) ?? "–");
        return `<tr><th>${escape(subject)}</th><td>${escape(arg)}</td>${cells.map(number).join("")}</tr>`;
      });
  });
  const numbers = new Set(shapeClasses.map((_, i) => i + 2));
  return table(["primitive", "argument", ...shapeClasses], rows, numbers);
}
