/** The page around the picture. */
import type { Family } from "@cotangent/core";
import { escapeHtml, familyClass } from "../svg.ts";
import type { PageData } from "./data.ts";
import { styles } from "./styles.ts";

export interface Page {
  readonly title: string;
  readonly facts: string;
  readonly picture: string;
  readonly families: readonly Family[];
  readonly hasClusters: boolean;
  readonly hasRecomputed: boolean;
  readonly hasBackward: boolean;
  readonly data: PageData;
  /** Runs in the page, alone: it must use nothing from outside. */
  readonly script: (data: PageData) => void;
}

const familyTexts: Record<Family, string> = {
  input: "input",
  constant: "constant",
  arithmetic: "arithmetic",
  function: "function",
  product: "product",
  reduction: "reduction",
  shape: "shape and indexing",
  discrete: "no derivative",
  control: "nested graph",
};

const icon = (path: string): string =>
  `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;

export function pageHtml(page: Page): string {
  const { data, title } = page;
  const { width, height } = data.box;
  const json = JSON.stringify(data).replace(
    /[<\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Cotangent">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${styles}</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<span class="facts">${escapeHtml(page.facts)}</span>
<span class="space"></span>
<label class="search"><output id="found" aria-live="polite"></output><span class="visually-hidden">Search the graph</span>
<input id="search" type="search" placeholder="Search: sin, %7, file.ts:12" autocomplete="off" spellcheck="false"></label>
<button class="quiet" id="scheme" title="Light or dark" aria-label="Switch between light and dark">${icon("M8 1.5a6.5 6.5 0 1 0 0 13zM8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0z")}</button>
</header>
<main>
<svg id="canvas" viewBox="0 0 ${width} ${height}" role="group" aria-label="${escapeHtml(`${title}: ${page.facts}`)}">
<defs>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.5 L8 4 L0 7.5 Z"/></marker>
<marker id="tip-back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.5 L8 4 L0 7.5 Z"/></marker>
</defs>
${page.picture}
</svg>
<div class="zoom" role="group" aria-label="Zoom">
<button class="quiet" id="zoom-out" title="Zoom out (−)" aria-label="Zoom out">−</button>
<button class="quiet" id="zoom-in" title="Zoom in (+)" aria-label="Zoom in">+</button>
<button class="quiet" id="zoom-fit" title="Whole graph (0)" aria-label="Show the whole graph">${icon("M1 1h5v1.6H2.6V6H1zM10 1h5v5h-1.6V2.6H10zM1 10h1.6v3.4H6V15H1zM13.4 10H15v5h-5v-1.6h3.4z")}</button>
</div>
</main>
<aside aria-label="Details">
<div id="details" aria-live="polite"></div>
${legend(page)}
</aside>
${data.start === null ? "" : sweep(data)}
<script type="application/json" id="data">${json}</script>
<script>(${page.script.toString().replaceAll("</", "<\\/")})(JSON.parse(document.getElementById("data").textContent));</script>
</body>
</html>
`;
}

function sweep({ steps }: PageData): string {
  const forward = steps.filter((step) => step.phase === "forward").length;
  const backward = steps.length - forward;
  return `<footer aria-label="Sweeps">
<button class="quiet" id="first" title="To the start (Home)" aria-label="To the start">${icon("M2 2h2v12H2zM14 2v12L5 8z")}</button>
<button class="quiet" id="previous" title="One step back (p)" aria-label="One step back">${icon("M12 2v12L3 8z")}</button>
<button class="play" id="play" title="Play (space)" aria-label="Play"></button>
<button class="quiet" id="next" title="One step on (n)" aria-label="One step on">${icon("M4 2v12l9-6z")}</button>
<div class="track">
<div class="rail">
<div class="phases" aria-hidden="true"><span class="forward" style="flex:${forward}"></span><span class="backward" style="flex:${backward}"></span></div>
<input id="sweep" type="range" min="0" max="${steps.length}" value="${steps.length}" step="1" aria-label="Step of the sweep" aria-describedby="caption">
</div>
<div id="caption" aria-live="polite"></div>
</div>
</footer>`;
}

function legend({ families, hasClusters, hasRecomputed, hasBackward, data }: Page): string {
  const rows = families.map(
    (family) => `<li class="${familyClass(family)}"><i></i>${familyTexts[family]}</li>`,
  );
  if (data.start !== null) rows.push(`<li class="wide"><b style="color:var(--forward)">0.5</b>value</li>`);
  if (hasBackward)
    rows.push(
      `<li class="wide"><b style="color:var(--backward)">∂ 0.5</b>adjoint: derivative of the output</li>`,
      `<li class="wide"><b style="color:var(--backward)">× 0.5</b>local derivative along the edge</li>`,
      `<li class="wide"><b style="color:var(--backward)">‖0.5‖</b>norm of what comes back along it</li>`,
    );
  if (hasRecomputed) rows.push(`<li class="wide"><i class="dashed"></i>computed again on the way back</li>`);
  if (hasClusters) rows.push(`<li class="wide"><i class="halo"></i>fused: runs as one kernel</li>`);
  rows.push(
    `<li class="wide"><span><kbd>n</kbd> <kbd>p</kbd> step · <kbd>space</kbd> play · <kbd>/</kbd> search</span></li>`,
    `<li class="wide"><span><kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> <kbd>←↑↓→</kbd> view</span></li>`,
  );
  return `<details class="legend" open><summary>Legend</summary><ul>${rows.join("")}</ul></details>`;
}
