/** The report as a page: self-contained, for a person to look at. */
import type { Cell } from "../campaign.ts";
import { shapeClasses } from "../coverage.ts";
import type { Coverage, Findings, Place, Verdict } from "./findings.ts";
import { byCount, nameOf, replayOf } from "./matrix.ts";

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => `&${{ "&": "amp", "<": "lt", ">": "gt", '"': "quot" }[c]};`);

const colors: Readonly<Record<Verdict, string>> = {
  holds: "var(--holds)",
  fails: "var(--fails)",
  silent: "var(--silent)",
  unjudged: "var(--unjudged)",
  "left out": "transparent",
};

const style = `
:root { color-scheme: light dark; --holds: #2a9d5c; --fails: #d62839; --silent: #8883; --unjudged: #e9a21b; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: .18rem .55rem; text-align: left; border-bottom: 1px solid var(--line); }
thead th { position: sticky; top: 0; background: Canvas; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
i.c { display: inline-block; width: .72rem; height: .72rem; margin-right: 2px; border-radius: 2px; outline: 1px solid var(--line); vertical-align: -1px; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); border-left: 4px solid var(--fails); border-radius: 4px; }
.verdict { font-weight: 650; } .ok { color: var(--holds); } .bad { color: var(--fails); } .muted { opacity: .7; }
input { font: inherit; padding: .2rem .5rem; }
`;

/** Hides the rows of the matrix whose name does not have the text. */
const script = `
document.querySelector("#filter").addEventListener("input", ({ target }) => {
  for (const row of document.querySelectorAll("#matrix tbody tr")) row.hidden = !row.dataset.name.includes(target.value);
});
`;

export interface PageFacts {
  readonly subjects: readonly string[];
  readonly laws: readonly string[];
  readonly seed: number;
  readonly seconds: number;
  /** "" or why it ended early. */
  readonly stopped: string;
  readonly coverage: Coverage;
}

export function page(
  findings: Findings,
  { subjects, laws, seed, seconds, stopped, coverage }: PageFacts,
): string {
  const { places, failures } = findings;
  const square = (place: Place, subject: string, law: string): string => {
    const cell = { subject, law, dtype: place.dtype as Cell["dtype"] };
    const verdict = findings.verdict(place.backend, cell);
    if (verdict === undefined) return "";
    const report = findings.reportOf(place.backend, cell);
    const classed = Object.entries(report?.classed ?? {}).map(([why, count]) => `${count} ${why}`);
    const said = [`${nameOf(place)}: ${verdict}`, `${report?.judged ?? 0} judged`, ...classed].join(", ");
    return `<i class="c" style="background:${colors[verdict]}" title="${escape(said)}"></i>`;
  };
  const rows = subjects.map((subject) => {
    const cells = laws.map(
      (law) => `<td>${places.map((place) => square(place, subject, law)).join("")}</td>`,
    );
    return `<tr data-name="${escape(subject)}"><th>${escape(subject)}</th>${cells.join("")}</tr>`;
  });
  const columns = places.map((place) => {
    const {
      judged,
      missed,
      failures: failed,
      seconds: spent,
      programs,
      programsPerSecond,
    } = findings.totals(place);
    const missing = findings.missing.get(place.backend);
    if (missing !== undefined)
      return `<tr><th>${nameOf(place)}</th><td colspan="5" class="bad">not judged: ${escape(missing)}</td></tr>`;
    const numbers = [
      judged,
      missed,
      failed,
      spent.toFixed(1),
      programs === 0 ? "–" : programsPerSecond.toFixed(1),
    ];
    return `<tr><th>${nameOf(place)}</th>${numbers.map((n) => `<td class="n">${n}</td>`).join("")}</tr>`;
  });
  const failed = failures.map(
    (report) =>
      `<p><b>${escape(report.subject)}</b> breaks <b>${escape(report.law)}</b> on ${escape(report.backend)} in ${report.dtype}` +
      `</p><pre>${escape(report.failure?.text ?? "")}\n\n${escape(replayOf(report))}</pre>`,
  );
  const verdict =
    failures.length > 0
      ? `<span class="bad">${failures.length} failures</span>`
      : `<span class="ok">No failure</span>`;
  const judged = findings.reports.reduce((total, report) => total + report.judged, 0);
  const head = (names: readonly string[], from = 1): string =>
    `<thead><tr>${names.map((name, i) => `<th${i >= from ? "" : ""}>${escape(name)}</th>`).join("")}</tr></thead>`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Verification: ${failures.length} failures</title><style>${style}</style>
<h1>Verification</h1>
<p><span class="verdict">${verdict}</span> in ${judged} samples judged, ${findings.leftOut} checks left out, ${seconds.toFixed(0)} s, seed ${seed}.
${escape(stopped)}</p>
<table>${head(["backend", "judged", "could not be", "failures", "seconds", "programs per second"])}<tbody>${columns.join("\n")}</tbody></table>
${failed.length > 0 ? `<h2>Failures</h2>${failed.join("\n")}` : ""}
<h2>Laws</h2>
<p class="muted">One square per backend: ${places.map(nameOf).join(", ")}. Point at one for its figures.
<i class="c" style="background:var(--holds)"></i>held <i class="c" style="background:var(--fails)"></i>failed
<i class="c" style="background:var(--silent)"></i>says nothing of such <i class="c" style="background:var(--unjudged)"></i>could judge no sample
<i class="c"></i>left out</p>
<p><input id="filter" placeholder="filter by name" aria-label="filter by name"></p>
<table id="matrix">${head(["", ...laws])}<tbody>
${rows.join("\n")}
</tbody></table>
<h2>What was tried</h2>
<p class="muted">Samples judged, over all laws and backends, by the shape of each argument. A dash: the primitive draws no such shape.</p>
${coverageTable(findings, subjects)}
<h2>What was not</h2>
<p class="muted">Of all cells of primitive, argument's shape, law, dtype and backend ${coverage.judged} were judged,
and ${coverage.unexplained.length} are empty for no reason.</p>
<table><thead><tr><th class="n">empty</th><th>because</th></tr></thead><tbody>
${byCount(coverage.reasons)
  .map(([reason, cells]) => `<tr><td class="n">${cells}</td><td>${escape(reason)}</td></tr>`)
  .join("\n")}
</tbody></table>
<script>${script}</script></html>
`;
}

/** For each argument of each primitive, how many samples had each class of shape. */
function coverageTable(findings: Findings, subjects: readonly string[]): string {
  const counts = new Map<string, Map<string, number>>();
  for (const { subject, exercised } of findings.reports) {
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
        return `<tr><th>${escape(subject)}</th><td>${escape(arg)}</td>${cells.map((n) => `<td class="n">${n}</td>`).join("")}</tr>`;
      });
  });
  return `<table><thead><tr><th>primitive</th><th>argument</th>${shapeClasses
    .map((shapeClass) => `<th class="n">${shapeClass}</th>`)
    .join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}
