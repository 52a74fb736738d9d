/** The page's style sheet, in both colour schemes. */
export const styles = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#fbfaf7, #17191d);
  --panel: light-dark(#ffffff, #1e2126);
  --ink: light-dark(#24282f, #e6e4df);
  --soft: light-dark(#666c76, #a2a7b0);
  --faint: light-dark(#9aa0a8, #737a85);
  --rule: light-dark(#e6e2da, #31353c);
  --wire: light-dark(#b3b7be, #5a616c);
  --forward: light-dark(#1d5fa8, #82b8f5);
  --backward: light-dark(#b3471a, #f2a477);
  --hit: light-dark(#f7c948, #e0b23c);
  --input: light-dark(#3b7dc4, #6ea8e8);
  --constant: light-dark(#8b9097, #8b9097);
  --arithmetic: light-dark(#5b9a4b, #86c076);
  --function: light-dark(#cf9a1c, #e3b955);
  --product: light-dark(#c8605a, #e58a85);
  --reduction: light-dark(#8465bd, #ab92dd);
  --shape: light-dark(#2f968f, #5fbdb6);
  --discrete: light-dark(#6f7680, #98a0ab);
  --control: light-dark(#bd5590, #e089b8);
  --sans: "Inter", ui-sans-serif, system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "Liberation Mono", monospace;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, Charter, Georgia, ui-serif, serif;
}
:root[data-scheme="light"] { color-scheme: light; }
:root[data-scheme="dark"] { color-scheme: dark; }
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
  display: grid; grid-template: auto 1fr auto / 1fr 340px; grid-template-areas: "head head" "canvas side" "sweep side";
  background: var(--paper); color: var(--ink); font: 14px/1.5 var(--sans); overflow: hidden;
}
button, input { font: inherit; color: inherit; }
:focus-visible { outline: 2px solid var(--forward); outline-offset: 2px; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

header {
  grid-area: head; display: flex; align-items: center; gap: 16px; min-height: 60px; padding: 8px 20px;
  border-bottom: 1px solid var(--rule); background: var(--panel);
}
h1 { margin: 0; font: 600 20px/1.2 var(--serif); letter-spacing: 0.002em; }
header .facts { color: var(--soft); font-size: 13px; white-space: nowrap; }
header .space { flex: 1; }
.search { position: relative; display: flex; align-items: center; gap: 8px; }
.search output { color: var(--soft); font-size: 12px; min-width: 62px; text-align: right; }
.search input {
  width: 240px; padding: 6px 12px; border: 1px solid var(--rule); border-radius: 8px; background: var(--paper);
}
.search input::placeholder { color: var(--faint); }
.quiet {
  display: inline-grid; place-items: center; min-width: 32px; height: 32px; padding: 0 8px; border: 1px solid var(--rule);
  border-radius: 8px; background: var(--panel); color: var(--soft); cursor: pointer; line-height: 1;
}
.quiet:hover { color: var(--ink); border-color: var(--wire); }
.quiet svg, .play svg { width: 15px; height: 15px; fill: currentColor; }

main { grid-area: canvas; position: relative; min-width: 0; min-height: 0; }
#canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; touch-action: none; cursor: grab; user-select: none; }
#canvas.dragging { cursor: grabbing; }
.zoom { position: absolute; right: 16px; bottom: 16px; display: flex; gap: 6px; }
.zoom .quiet { font-size: 16px; }

.card { fill: color-mix(in oklab, var(--family) 9%, var(--panel)); stroke: color-mix(in oklab, var(--family) 55%, var(--panel)); }
.stripe { fill: var(--family); }
.item text { pointer-events: none; }
#canvas .label { font: 600 13px var(--sans); fill: var(--ink); }
.id { font: 11px var(--mono); fill: var(--faint); }
.value { font: 12px var(--mono); fill: var(--forward); }
.adjoint { font: 12px var(--mono); fill: var(--backward); }
.flag rect { fill: var(--ink); }
.flag text { font: 600 10px var(--sans); fill: var(--panel); }
.frame > rect { fill: var(--paper); stroke: var(--rule); }
.frame > text { font: italic 12.5px var(--serif); fill: var(--soft); }
.frame .turn { font: 11px var(--sans); fill: var(--faint); }
.item { cursor: pointer; outline: none; transition: opacity 0.15s; }
.item.recomputed > g > .card { stroke-dasharray: 5 4; stroke-width: 1.8; stroke: var(--ink); }
.item:focus-visible > g > .card, .item.pinned > g > .card { stroke: var(--ink); stroke-width: 2.2; }
.item:hover > g > .card { stroke: var(--family); stroke-width: 2; }
.item.pending > g:first-child { opacity: 0.38; }
.item.now-forward > g > .card { stroke: var(--forward); stroke-width: 2.5; fill: color-mix(in oklab, var(--forward) 16%, var(--panel)); }
.item.now-backward > g > .card { stroke: var(--backward); stroke-width: 2.5; fill: color-mix(in oklab, var(--backward) 16%, var(--panel)); }
.item.found > g > .card { stroke: var(--hit); stroke-width: 4; }
.searching .item:not(.found) > g:first-child { opacity: 0.25; }

.edge .line { fill: none; stroke: var(--wire); stroke-width: 1.4; transition: stroke 0.15s; }
.edge .hit { fill: none; stroke: transparent; stroke-width: 14; }
.edge.back .line { stroke: color-mix(in oklab, var(--backward) 60%, var(--wire)); marker-end: url(#tip-back); }
.edge.now-forward .line { stroke: var(--forward); stroke-width: 2.4; }
.edge.now-backward .line { stroke: var(--backward); stroke-width: 2.4; stroke-dasharray: 6 5; animation: back 0.6s linear infinite; }
.edge:hover .line, .edge.near .line { stroke-width: 2.6; }
@keyframes back { to { stroke-dashoffset: 11; } }
@media (prefers-reduced-motion: reduce) { .edge.now-backward .line { animation: none; } * { transition: none !important; } }
.searching .edge, .searching .tag { opacity: 0.3; }
#tip path { fill: var(--wire); }
#tip-back path { fill: color-mix(in oklab, var(--backward) 60%, var(--wire)); }
.sign { cursor: pointer; }
.sign rect { fill: var(--paper); stroke: var(--wire); }
.sign text { font: 10.5px var(--mono); fill: var(--soft); }
.sign:hover rect { stroke: var(--ink); }
.tag { pointer-events: none; }
.tag text { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; font: 10.5px var(--mono); }
.tag .shape { fill: var(--faint); }
.tag .local { fill: var(--backward); }
.cluster .rim rect { fill: var(--function); } .cluster .rim path { fill: none; stroke: var(--function); stroke-width: 11; }
.cluster .body rect { fill: color-mix(in oklab, var(--function) 12%, var(--paper)); }
.cluster .body path { fill: none; stroke: color-mix(in oklab, var(--function) 12%, var(--paper)); stroke-width: 8; }

aside {
  grid-area: side; display: flex; flex-direction: column; min-height: 0; border-left: 1px solid var(--rule); background: var(--panel);
}
#details { flex: 1; min-height: 0; overflow: auto; padding: 18px 20px; overflow-wrap: anywhere; }
#details h2 { display: flex; align-items: baseline; gap: 8px; margin: 0; font: 600 18px/1.3 var(--serif); }
#details h2 .id { font: 12px var(--mono); color: var(--faint); }
#details .kind { margin: 2px 0 14px; color: var(--soft); font-size: 12.5px; }
#details .kind i { display: inline-block; width: 9px; height: 9px; margin-right: 6px; border-radius: 3px; background: var(--family); }
#details h3 { margin: 16px 0 4px; color: var(--soft); font: 600 11px var(--sans); letter-spacing: 0.05em; text-transform: uppercase; }
#details > h3:first-child { margin-top: 0; }
#details .number { font: 14px/1.5 var(--mono); }
#details .forward { color: var(--forward); }
#details .backward { color: var(--backward); }
#details .sum { font: 14px/1.6 var(--mono); color: var(--backward); }
#details dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 12px; margin: 4px 0 0; font-size: 12.5px; color: var(--soft); }
#details dt { margin: 0; } #details dd { margin: 0; font-family: var(--mono); color: var(--ink); }
#details ul { margin: 0; padding: 0; list-style: none; font-size: 12.5px; }
#details li { display: flex; align-items: baseline; gap: 8px; padding: 3px 0; border-top: 1px solid var(--rule); }
#details li:first-child { border-top: 0; }
#details li .end { margin-left: auto; font-family: var(--mono); text-align: right; }
#details .link { border: 0; padding: 0; background: none; color: inherit; cursor: pointer; text-align: left; text-decoration: underline; text-decoration-color: var(--rule); text-underline-offset: 3px; }
#details .link:hover { text-decoration-color: currentColor; }
#details code { font: 12.5px var(--mono); }
#details p { margin: 6px 0; color: var(--soft); font-size: 13px; }
.legend { border-top: 1px solid var(--rule); padding: 10px 20px 14px; font-size: 12px; color: var(--soft); }
.legend summary { cursor: pointer; font-weight: 600; font-size: 11px; letter-spacing: 0.05em; text-transform: uppercase; }
.legend ul { display: grid; grid-template-columns: 1fr 1fr; gap: 3px 10px; margin: 8px 0 0; padding: 0; list-style: none; }
.legend li { display: flex; align-items: center; gap: 8px; }
.legend .wide { grid-column: 1 / -1; }
.legend i { flex: none; width: 12px; height: 12px; border-radius: 4px; background: var(--family); }
.legend i.dashed { background: none; border: 1.5px dashed var(--ink); }
.legend i.halo { background: color-mix(in oklab, var(--function) 12%, var(--paper)); border: 1.5px solid var(--function); border-radius: 6px; }
.legend b { font: 12px var(--mono); }
.legend kbd, #details kbd { font: 11px var(--mono); padding: 0 5px; border: 1px solid var(--rule); border-radius: 4px; background: var(--paper); }

footer {
  grid-area: sweep; display: flex; align-items: center; gap: 12px; min-height: 68px; padding: 10px 20px;
  border-top: 1px solid var(--rule); background: var(--panel);
}
.play {
  display: inline-grid; place-items: center; width: 40px; height: 40px; border: 0; border-radius: 50%; background: var(--ink);
  color: var(--panel); cursor: pointer;
}
.track { flex: 1; min-width: 0; }
.rail { position: relative; height: 22px; }
.phases { position: absolute; inset: 9px 8px; display: flex; gap: 2px; }
.phases span { border-radius: 2px; }
.phases .forward { background: color-mix(in oklab, var(--forward) 45%, var(--panel)); }
.phases .backward { background: color-mix(in oklab, var(--backward) 45%, var(--panel)); }
.rail input { position: absolute; inset: 0; width: 100%; height: 22px; margin: 0; background: none; appearance: none; cursor: pointer; }
.rail input::-webkit-slider-runnable-track { height: 22px; background: none; }
.rail input::-webkit-slider-thumb { appearance: none; width: 16px; height: 16px; margin-top: 3px; border: 3px solid var(--panel); border-radius: 50%; background: var(--ink); box-shadow: 0 0 0 1px var(--wire); }
.rail input::-moz-range-track { background: none; }
.rail input::-moz-range-thumb { width: 11px; height: 11px; border: 3px solid var(--panel); border-radius: 50%; background: var(--ink); box-shadow: 0 0 0 1px var(--wire); }
#caption { min-height: 20px; padding: 0 8px; font-size: 13px; color: var(--soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
#caption b { font-weight: 600; } #caption .forward { color: var(--forward); } #caption .backward { color: var(--backward); }
.input { --family: var(--input); } .constant { --family: var(--constant); } .arithmetic { --family: var(--arithmetic); }
.function { --family: var(--function); } .product { --family: var(--product); } .reduction { --family: var(--reduction); }
.shape-family { --family: var(--shape); } .discrete { --family: var(--discrete); } .control { --family: var(--control); }
@media (max-width: 800px) {
  body { grid-template: auto 1fr auto 40% / 1fr; grid-template-areas: "head" "canvas" "sweep" "side"; }
  aside { border-left: 0; border-top: 1px solid var(--rule); } header .facts { display: none; } .search input { width: 140px; }
}
@media print { aside .legend, .zoom, footer, .search { display: none; } }
`;
