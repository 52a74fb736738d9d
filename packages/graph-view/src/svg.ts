/** The picture: items, edges and frames as SVG, with every text that the page's script fills in. */
import type { Placed, PlacedEdge, Point, Spacing } from "./layout.ts";
import type { Edge, Frame, Item, Scene } from "./scene.ts";

/** Widths of characters, as the page's fonts have them on average. */
const widths = { label: 8.5, id: 6.7, value: 7.3, shape: 6.4 };

/** What stands on an item under its label. */
export interface Row {
  readonly kind: "value" | "adjoint";
  readonly variable: number;
  /** The longest text that will stand there. */
  readonly longest: string;
}

const headHeight = 27;
const rowHeight = 16;

export interface Texts {
  readonly spacing: Spacing;
  readonly rows: (item: Item) => readonly Row[];
  /** The longest local derivative on an edge. */
  readonly local: (edge: Edge) => string;
}

/** The rows of an item: a text each, or, set compactly, all texts of a variable side by side. */
function rowsOf(item: Item, { rows, spacing }: Texts): Row[][] {
  if (spacing === "roomy") return rows(item).map((row) => [row]);
  const byVariable = new Map<number, Row[]>();
  for (const row of rows(item)) byVariable.set(row.variable, [...(byVariable.get(row.variable) ?? []), row]);
  return [...byVariable.values()];
}

const rowWidth = (row: Row): number => row.longest.length * widths.value;
const gapInRow = 14;

export function sizeOfItem(item: Item, texts: Texts): { width: number; height: number } {
  const rows = rowsOf(item, texts);
  const id = item.variables.length === 1 ? item.variables[0].name : "";
  const head = item.label.length * widths.label + id.length * widths.id + (item.recomputed ? 16 : 0) + 38;
  const longest = rows.map((row) => row.reduce((sum, text) => sum + rowWidth(text) + gapInRow, -gapInRow));
  return {
    width: Math.round(Math.max(90, head, Math.max(0, ...longest) + 28)),
    height: headHeight + rows.length * rowHeight + (rows.length > 0 ? 6 : 3),
  };
}

export function sizeOfLabel(edge: Edge, { local, spacing }: Texts): { width: number; height: number } {
  const [shape, along] = [shapeLabel(edge), local(edge)];
  if (along === "") return { width: Math.round(shape.length * widths.shape + 4), height: 14 };
  const characters =
    spacing === "roomy" ? Math.max(shape.length, along.length) : shape.length + along.length + 1;
  return { width: Math.round(characters * widths.shape + 4), height: spacing === "roomy" ? 27 : 14 };
}

export function sizeOfSign({ source }: Edge): { width: number; height: number } {
  return { width: Math.round(source.length * widths.id + 16), height: 18 };
}

const shapeLabel = ({ argument, shape }: Edge): string => (argument === "" ? shape : `${argument} ${shape}`);

/** The class that a family's colours go by; `shape` is that of a text. */
export const familyClass = (family: string): string => (family === "shape" ? "shape-family" : family);

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}

export function drawScene(scene: Scene, placed: Placed, texts: Texts): string {
  return [
    `<g class="clusters">${drawClusters(scene, placed)}</g>`,
    drawFrame(scene.frame, placed, texts),
  ].join("\n");
}

function drawFrame(frame: Frame, placed: Placed, texts: Texts): string {
  // Edges lie under the items, and a nested graph lies on the item that it belongs to.
  return [
    ...frame.edges.map((edge) => drawEdge(edge, placed.edges.get(edge.id) as PlacedEdge)),
    ...frame.items.map((item) => drawItem(item, placed, texts)),
    ...frame.edges.map((edge) => drawTag(edge, placed.edges.get(edge.id) as PlacedEdge, texts)),
  ].join("\n");
}

function drawItem(item: Item, placed: Placed, texts: Texts): string {
  const { x, y, width, height } = box(placed, item.id);
  const { family, label, outputs, recomputed, inner } = item;
  const classes = [
    "item",
    familyClass(family),
    inner.length > 0 && "nesting",
    recomputed && "recomputed",
  ].filter(Boolean);
  const id = item.variables.length === 1 ? item.variables[0].name : "";
  const rows = rowsOf(item, texts).flatMap((row, i) => {
    const y = headHeight + 10 + i * rowHeight;
    let left = 16;
    return row.map((text, k) => {
      const { kind, variable } = text;
      const named = item.variables.length > 1 && k === 0;
      const name = named ? item.variables.find(({ id }) => id === variable)?.name : undefined;
      const before = name === undefined ? "" : `<tspan class="id">${escapeHtml(name)} </tspan>`;
      const x = round(left);
      left += rowWidth(text) + gapInRow;
      return `<text class="${kind}" x="${x}" y="${y}">${before}<tspan data-${kind}="${variable}"></tspan></text>`;
    });
  });
  const flag = outputs.join(", ");
  const flagWidth = flag.length * 6 + 14;
  return [
    `<g class="${classes.join(" ")}" data-item="${item.id}" tabindex="0" role="button" aria-label="${escapeHtml(label)}">`,
    `<g transform="translate(${round(x)} ${round(y)})">`,
    `<rect class="card" width="${round(width)}" height="${round(height)}" rx="9"/>`,
    `<path class="stripe" d="M9 0.5 H6 V${round(height - 0.5)} H9 A8.5 8.5 0 0 1 0.5 ${round(height - 9)} V9 A8.5 8.5 0 0 1 9 0.5 Z"/>`,
    `<text class="label" x="16" y="19">${escapeHtml(label)}</text>`,
    `<text class="id" x="${round(width - 11)}" y="19" text-anchor="end">${recomputed ? "↻ " : ""}${escapeHtml(id)}</text>`,
    ...rows,
    flag === ""
      ? ""
      : `<g class="flag" transform="translate(${round(width - flagWidth - 8)} ${round(height - 5)})"><rect width="${round(flagWidth)}" height="16" rx="8"/>` +
        `<text x="${round(flagWidth / 2)}" y="11.5" text-anchor="middle">${escapeHtml(flag)}</text></g>`,
    "</g>",
    ...inner.map((frame) => drawInner(frame, placed, texts)),
    "</g>",
  ].join("");
}

function drawInner(frame: Frame, placed: Placed, texts: Texts): string {
  const at = placed.frames.get(frame.path);
  if (at === undefined) return "";
  return (
    `<g class="frame" data-frame="${escapeHtml(frame.path)}">` +
    `<rect x="${round(at.x)}" y="${round(at.y)}" width="${round(at.width)}" height="${round(at.height)}" rx="8"/>` +
    `<text x="${round(at.x + 14)}" y="${round(at.y + 18)}">${escapeHtml(frame.name)} <tspan class="turn"></tspan></text>` +
    `${drawFrame(frame, placed, texts)}</g>`
  );
}

function drawEdge({ id, from, source }: Edge, { points, sign }: PlacedEdge): string {
  const path = smooth(points);
  const board =
    sign === undefined
      ? ""
      : `<g class="sign" data-sign="${from}" transform="translate(${round(sign.x)} ${round(sign.y)})">` +
        `<rect width="${sign.width}" height="${sign.height}" rx="9"/>` +
        `<text x="${sign.width / 2}" y="13" text-anchor="middle">${escapeHtml(source)}</text></g>`;
  return (
    `<g class="edge" data-edge="${id}"><path class="line" d="${path}" marker-end="url(#tip)"/>` +
    `<path class="hit" d="${path}"/>${board}</g>`
  );
}

function drawTag(edge: Edge, { label, direction }: PlacedEdge, texts: Texts): string {
  const isDown = direction === "down";
  const along = texts.local(edge) === "" ? undefined : `class="local" data-local="${edge.id}"`;
  const shape = escapeHtml(shapeLabel(edge));
  const open = `<g class="tag" data-tag="${edge.id}" transform="translate(${round(label.x)} ${round(label.y)})"`;
  const middle = isDown ? "" : ' text-anchor="middle"';
  if (along === undefined)
    return `${open}${middle}><text class="shape" y="${isDown ? 3 : -5}">${shape}</text></g>`;
  if (isDown && texts.spacing === "compact")
    return `${open}><text y="3"><tspan class="shape">${shape} </tspan><tspan ${along}></tspan></text></g>`;
  const [first, second] = isDown ? [-5, 8] : [-5, 13];
  return `${open}${middle}><text class="shape" y="${first}">${shape}</text><text ${along} y="${second}"></text></g>`;
}

/** Around the members of each cluster and the edges between them: one outline, of strokes that run together. */
function drawClusters({ frame }: Scene, placed: Placed): string {
  const clusters = new Map<number, Item[]>();
  for (const item of frame.items)
    if (item.cluster !== undefined) clusters.set(item.cluster, [...(clusters.get(item.cluster) ?? []), item]);
  return [...clusters]
    .map(([number, members]) => {
      const ids = new Set(members.map((item) => item.id));
      const boxes = (grow: number): string =>
        members
          .map(({ id }) => {
            const { x, y, width, height } = box(placed, id);
            return (
              `<rect x="${round(x - grow)}" y="${round(y - grow)}" width="${round(width + 2 * grow)}" ` +
              `height="${round(height + 2 * grow)}" rx="${9 + grow}"/>`
            );
          })
          .join("");
      const lines = frame.edges
        .filter(({ from, to }) => ids.has(from) && ids.has(to))
        .map(({ id }) => `<path d="${smooth((placed.edges.get(id) as PlacedEdge).points)}"/>`)
        .join("");
      return (
        `<g class="cluster" data-cluster="${number}"><g class="rim">${boxes(9)}${lines}</g>` +
        `<g class="body">${boxes(7.5)}${lines}</g></g>`
      );
    })
    .join("");
}

function box(placed: Placed, id: number): { x: number; y: number; width: number; height: number } {
  return placed.items.get(id) as { x: number; y: number; width: number; height: number };
}

/** A cubic B-spline with these control points, from the first to the last. */
export function smooth(points: readonly Point[]): string {
  const at = ({ x, y }: Point): string => `${round(x)} ${round(y)}`;
  if (points.length < 3) return `M${points.map(at).join("L")}`;
  const mix = (a: Point, b: Point, t: number): Point => ({
    x: a.x + (b.x - a.x) * t,
    y: a.y + (b.y - a.y) * t,
  });
  const [first] = points;
  const last = points[points.length - 1];
  const padded = [first, first, ...points.slice(1, -1), last, last];
  let path = `M${at(first)}`;
  for (let i = 1; i < padded.length - 1; i++) {
    const [before, here, after] = [padded[i - 1], padded[i], padded[i + 1]];
    if (i === 1) {
      path += `L${at(mix(here, after, 1 / 6))}`;
      continue;
    }
    const end = mix(mix(before, here, 2 / 3), mix(here, after, 1 / 3), 0.5);
    path += `C${at(mix(before, here, 1 / 3))} ${at(mix(before, here, 2 / 3))} ${at(end)}`;
  }
  return `${path}L${at(last)}`;
}

const round = (x: number): number => Math.round(x * 10) / 10;
