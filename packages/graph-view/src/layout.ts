/** Where things are: each frame is laid out by dagre, inner frames first, whose sizes are those of their nodes. */
import { Graph as Drawing, layout as arrange } from "@dagrejs/dagre";
import type { Edge, Frame, Item } from "./scene.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A rectangle by its upper left corner. */
export interface Box extends Point, Size {}

export interface PlacedEdge {
  readonly points: readonly Point[];
  /** Where the label begins: right of the edge where edges run down, else above and under it. */
  readonly label: Point;
  readonly direction: Direction;
  /** Where a sign with the name of the source stands, for a line that would have come from far away. */
  readonly sign?: Box;
}

export interface Placed extends Size {
  readonly direction: Direction;
  readonly items: ReadonlyMap<number, Box>;
  readonly edges: ReadonlyMap<number, PlacedEdge>;
  /** The frames of nested graphs, by their paths. */
  readonly frames: ReadonlyMap<string, Box>;
}

/** Sizes of what is drawn, which follow from its texts and from how closely they are set. */
export interface Sizes {
  readonly item: (item: Item) => Size;
  readonly label: (edge: Edge) => Size;
  readonly sign: (edge: Edge) => Size;
}

export type Direction = "down" | "right";

const margin = 16;
const titleOfFrame = 24;
const gapOfFrames = 16;
const labelGap = 5;

/** The directions of the outermost graph and of those in it. */
type Directions = readonly [outer: Direction, inner: Direction];

/** Roomy, with a row for each text, or compact, with texts side by side. */
export type Spacing = "roomy" | "compact";

/** From this many edges on a picture is seen in parts: it is laid out once, compactly. */
const manyEdges = 150;

/**
 * The layout that shows the graph largest on a page of these proportions: roomy or compact, and each of the outermost
 * graph and those nested in it downwards or to the right.
 */
export function place(
  frame: Frame,
  sizesOf: (spacing: Spacing) => Sizes,
  page: Size,
): { readonly placed: Placed; readonly spacing: Spacing } {
  if (countEdges(frame) >= manyEdges)
    return { placed: placeFrame(frame, sizesOf("compact"), ["down", "down"]), spacing: "compact" };
  const isNested = frame.items.some((item) => item.inner.length > 0);
  let found: { placed: Placed; spacing: Spacing } | undefined;
  let largest = 0;
  for (const spacing of ["roomy", "compact"] as const)
    for (const outer of ["down", "right"] as const)
      for (const inner of isNested ? (["down", "right"] as const) : [outer]) {
        const placed = placeFrame(frame, sizesOf(spacing), [outer, inner]);
        const scale = Math.min(page.width / placed.width, page.height / placed.height, 1);
        // The first ones are preferred where the others are not much larger.
        if (scale > largest * 1.12) [found, largest] = [{ placed, spacing }, scale];
      }
  return found as { placed: Placed; spacing: Spacing };
}

const countEdges = (frame: Frame): number =>
  frame.items.reduce(
    (sum, item) => sum + item.inner.reduce((inside, nested) => inside + countEdges(nested), 0),
    frame.edges.length,
  );

/** What dagre made of the items and edges of one frame, with upper left corners and lines that end on borders. */
interface Arranged extends Size {
  readonly boxes: ReadonlyMap<number, Box>;
  readonly edges: ReadonlyMap<number, PlacedEdge>;
}

function placeFrame(frame: Frame, sizes: Sizes, [direction, within]: Directions): Placed {
  const inner = new Map(
    frame.items.map((item) => [
      item,
      item.inner.map((nested) => placeFrame(nested, sizes, [within, within])),
    ]),
  );
  const sizeOf = (item: Item): Size => outerSize(sizes.item(item), inner.get(item) ?? []);
  const own = { ...sizes, item: sizeOf };
  const { boxes, edges, width, height } =
    frame.items.length > manyItems
      ? inParts(frame, own, direction)
      : best(frame, direction, (variant) => arranged(frame, own, direction, variant));

  const items = new Map(boxes);
  const lines = new Map(edges);
  const frames = new Map<string, Box>();
  for (const item of frame.items) {
    const box = boxes.get(item.id) as Box;
    let left = box.x + gapOfFrames;
    const top = box.y + sizes.item(item).height;
    (inner.get(item) ?? []).forEach((placed, i) => {
      const at = { x: left, y: top + titleOfFrame };
      frames.set(item.inner[i].path, {
        x: left,
        y: top,
        width: placed.width,
        height: placed.height + titleOfFrame,
      });
      for (const [id, part] of placed.items) items.set(id, moved(part, at));
      for (const [path, part] of placed.frames) frames.set(path, moved(part, at));
      for (const [id, line] of placed.edges) lines.set(id, movedLine(line, at));
      left += placed.width + gapOfFrames;
    });
  }
  return { direction, width, height, items, edges: lines, frames };
}

/** From so many items on a frame is laid out in parts: dagre takes time and stack that grow faster than what it is given. */
const manyItems = 500;
const nodesOfPart = 250;

/** The frame in parts, one behind the other in the order of execution; what comes from another part comes from a sign. */
function inParts(frame: Frame, sizes: Sizes, direction: Direction): Arranged {
  const isDown = direction === "down";
  const once: Variant = { isMirrored: false, order: 0 };
  const parts = partsOf(frame).map((part) => arranged(part, sizes, direction, once));
  const breadth = Math.max(...parts.map(({ width, height }) => (isDown ? width : height)));
  const [boxes, edges] = [new Map<number, Box>(), new Map<number, PlacedEdge>()];
  let length = 0;
  for (const part of parts) {
    const aside = (breadth - (isDown ? part.width : part.height)) / 2;
    const by = isDown ? { x: aside, y: length } : { x: length, y: aside };
    for (const [id, box] of part.boxes) boxes.set(id, moved(box, by));
    for (const [id, line] of part.edges) edges.set(id, movedLine(line, by));
    length += isDown ? part.height : part.width;
  }
  return { boxes, edges, width: isDown ? breadth : length, height: isDown ? length : breadth };
}

/** Nodes in their order, inputs and constants with what uses them first, and the edges that lead to these. */
function partsOf(frame: Frame): Frame[] {
  const firstUse = new Map<number, number>();
  const position = new Map(frame.items.map(({ id, n }) => [id, n]));
  for (const { from, to } of frame.edges)
    firstUse.set(from, Math.min(firstUse.get(from) ?? Infinity, position.get(to) as number));
  const partOf = ({ id, n }: Item): number => Math.floor((n < 0 ? (firstUse.get(id) ?? 0) : n) / nodesOfPart);
  const found = new Map<number, { readonly items: Item[]; readonly edges: Edge[] }>();
  const part = (index: number): { readonly items: Item[]; readonly edges: Edge[] } => {
    const known = found.get(index) ?? { items: [], edges: [] };
    found.set(index, known);
    return known;
  };
  for (const item of frame.items) part(partOf(item)).items.push(item);
  for (const edge of frame.edges)
    part(Math.floor((position.get(edge.to) as number) / nodesOfPart)).edges.push(edge);
  return [...found.keys()].sort((a, b) => a - b).map((index) => ({ ...frame, ...part(index) }));
}

/** Ways to lay out the same frame. */
interface Variant {
  readonly isMirrored: boolean;
  /** Which of several orders dagre is given items and edges in: its heuristics lead elsewhere from each. */
  readonly order: number;
}

/**
 * The variant with the fewest crossings, then with the most operands in the order of the arguments. Small frames are laid
 * out in many ways, large ones, in which a crossing matters less, once.
 */
function best(frame: Frame, direction: Direction, make: (variant: Variant) => Arranged): Arranged {
  const orders = Math.min(16, Math.max(1, Math.floor(240 / Math.max(1, frame.edges.length))));
  if (orders === 1) return make({ isMirrored: false, order: 0 });
  let found: Arranged | undefined;
  let least = Infinity;
  for (let order = 0; order < orders && least >= 1; order++)
    for (const isMirrored of [false, true]) {
      const choice = make({ isMirrored, order });
      const score = crossings([...choice.edges.values()]) - 0.001 * operandsInOrder(frame, choice, direction);
      if (score < least) [found, least] = [choice, score];
    }
  return found as Arranged;
}

/** A list in another order: the same one for the same number, 0 for its own. */
function reordered<T>(list: readonly T[], order: number): readonly T[] {
  if (order === 0) return list;
  const keys = list.map((_, i) => Math.sin(order * 78.233 + i * 12.9898));
  return list
    .map((item, i) => ({ item, key: keys[i] }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** How often lines cross. */
function crossings(edges: readonly PlacedEdge[]): number {
  const side = (a: Point, b: Point, c: Point): number =>
    Math.sign((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x));
  const cross = (a: Point, b: Point, c: Point, d: Point): boolean =>
    side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
  let count = 0;
  for (const [i, { points }] of edges.entries())
    for (const { points: others } of edges.slice(0, i))
      for (let k = 1; k < points.length; k++)
        for (let m = 1; m < others.length; m++)
          if (cross(points[k - 1], points[k], others[m - 1], others[m])) count++;
  return count;
}

function arranged(
  frame: Frame,
  sizes: Sizes,
  direction: Direction,
  { isMirrored, order }: Variant,
): Arranged {
  const drawing = new Drawing({ multigraph: true });
  const isDown = direction === "down";
  drawing.setGraph({
    rankdir: isDown ? "TB" : "LR",
    nodesep: isDown ? 26 : 20,
    ranksep: isDown ? 28 : 30,
    edgesep: 16,
    marginx: margin,
    marginy: margin,
  });
  for (const item of reordered(frame.items, order)) drawing.setNode(String(item.id), { ...sizes.item(item) });
  const far = farEdges(frame);
  const sourceOf = (edge: Edge): string => (far.has(edge) ? `sign ${edge.id}` : String(edge.from));
  for (const edge of far) drawing.setNode(sourceOf(edge), { ...sizes.sign(edge) });
  for (const edge of reordered(frame.edges, order)) {
    // In the mirror image, what is left of a line is right of it.
    const labelpos = !isDown ? "c" : isMirrored ? "l" : "r";
    const label = { ...sizes.label(edge), labelpos, labeloffset: labelGap };
    drawing.setEdge(sourceOf(edge), String(edge.to), label, String(edge.id));
  }
  arrange(drawing);

  const { width = 0, height = 0 } = drawing.graph() as Partial<Size>;
  const mirror = <T extends Point>(point: T): T =>
    !isMirrored ? point : isDown ? { ...point, x: width - point.x } : { ...point, y: height - point.y };
  const boxes = new Map<number, Box>();
  const boxOf = (name: string): Box => {
    const { x, y, width, height } = mirror(drawing.node(name) as Box);
    return { x: x - width / 2, y: y - height / 2, width, height };
  };
  for (const item of frame.items) boxes.set(item.id, boxOf(String(item.id)));
  const signs = new Map([...far].map((edge) => [edge.id, boxOf(sourceOf(edge))]));
  const routes = new Map<number, { readonly edge: Edge; readonly inner: readonly Point[] }>();
  const labels = new Map<number, Point>();
  for (const edge of frame.edges) {
    const placed = drawing.edge(sourceOf(edge), String(edge.to), String(edge.id)) as Box & {
      points: Point[];
    };
    const { x, y } = mirror(placed);
    const label = isDown ? { x: x - placed.width / 2 + labelGap, y } : { x, y };
    labels.set(edge.id, label);
    const inner = placed.points.slice(1, -1).map(mirror);
    const size = sizes.label(edge);
    straightenAt(label, (isDown ? size.height : size.width) / 2, inner, isDown);
    routes.set(edge.id, { edge, inner });
  }
  return { width, height, boxes, edges: connected([...routes.values()], boxes, signs, labels, isDown) };
}

/** How many layers a line of a large frame crosses before a sign stands for it. */
const farLayers = 6;

/**
 * The edges that come from outside the frame, and of a large one those that cross many layers. Lines of such length can be
 * followed by nobody, and the time that dagre takes grows with the square of it.
 */
function farEdges({ items, edges: all }: Frame): Set<Edge> {
  const layer = new Map(items.map((item) => [item.id, 0]));
  const outside = all.filter(({ from }) => !layer.has(from));
  const edges = all.filter(({ from }) => layer.has(from));
  if (edges.length < manyEdges) return new Set(outside);
  const layerOf = (id: number): number => layer.get(id) as number;
  // The edges come in the order of their targets, which is topological.
  for (const { from, to } of edges) layer.set(to, Math.max(layerOf(to), layerOf(from) + 1));
  // An input stands just above what uses it first.
  for (const item of items)
    if (item.n < 0) {
      const users = edges.filter(({ from }) => from === item.id).map(({ to }) => layerOf(to) - 1);
      layer.set(item.id, Math.max(0, Math.min(...users)));
    }
  return new Set([...outside, ...edges.filter(({ from, to }) => layerOf(to) - layerOf(from) > farLayers)]);
}

/** Lets a line run straight along its label. */
function straightenAt(label: Point, reach: number, points: Point[], isDown: boolean): void {
  const at = points.findIndex((point) => Math.abs(isDown ? point.y - label.y : point.x - label.x) < 1);
  if (at < 0) return;
  const [{ x, y }] = points.splice(at, 1);
  const beyond = [-reach - 9, reach - 4, reach + 2];
  points.splice(at, 0, ...beyond.map((by) => (isDown ? { x, y: y + by } : { x: x + by, y })));
}

/**
 * Lines that leave an item on one side and come in on the opposite one, each at a place of its own, in the order in
 * which they do not cross.
 */
function connected(
  routes: readonly { readonly edge: Edge; readonly inner: readonly Point[] }[],
  boxes: ReadonlyMap<number, Box>,
  signs: ReadonlyMap<number, Box>,
  labels: ReadonlyMap<number, Point>,
  isDown: boolean,
): Map<number, PlacedEdge> {
  const along = (point: Point): number => (isDown ? point.x : point.y);
  const ports = (end: "from" | "to"): Map<number, Point> => {
    const groups = new Map<number, { readonly id: number; readonly at: number }[]>();
    for (const { edge, inner } of routes) {
      if (end === "from" && signs.has(edge.id)) continue;
      const group = groups.get(edge[end]) ?? [];
      group.push({ id: edge.id, at: along(inner.at(end === "from" ? 0 : -1) as Point) });
      groups.set(edge[end], group);
    }
    const found = new Map<number, Point>();
    for (const [item, group] of groups) {
      const { x, y, width, height } = boxes.get(item) as Box;
      group.sort((a, b) => a.at - b.at);
      const room = isDown ? width : height;
      const gap = Math.min(34, (room - 24) / group.length);
      group.forEach(({ id }, i) => {
        const offset = room / 2 + (i - (group.length - 1) / 2) * gap;
        const far = end === "from" ? (isDown ? height : width) : 0;
        found.set(id, isDown ? { x: x + offset, y: y + far } : { x: x + far, y: y + offset });
      });
    }
    return found;
  };
  const starts = ports("from");
  const ends = ports("to");
  const lead = (point: Point, by: number): Point =>
    isDown ? { x: point.x, y: point.y + by } : { x: point.x + by, y: point.y };
  const exit = ({ x, y, width, height }: Box): Point =>
    isDown ? { x: x + width / 2, y: y + height } : { x: x + width, y: y + height / 2 };
  return new Map(
    routes.map(({ edge: { id }, inner }) => {
      const sign = signs.get(id);
      const start = sign === undefined ? (starts.get(id) as Point) : exit(sign);
      const end = ends.get(id) as Point;
      return [
        id,
        {
          points: [start, lead(start, 8), ...inner, lead(end, -10), end],
          label: labels.get(id) as Point,
          direction: isDown ? "down" : "right",
          ...(sign && { sign }),
        },
      ];
    }),
  );
}

/** How many pairs of operands lie in the order of the arguments, less those that do not. */
function operandsInOrder(frame: Frame, { boxes }: Arranged, direction: Direction): number {
  const middle = (id: number): number => {
    const { x, y, width, height } = boxes.get(id) as Box;
    return direction === "down" ? x + width / 2 : y + height / 2;
  };
  let balance = 0;
  for (let i = 1; i < frame.edges.length; i++) {
    const [a, b] = [frame.edges[i - 1], frame.edges[i]];
    if (a.to === b.to && a.from !== b.from) balance += Math.sign(middle(b.from) - middle(a.from));
  }
  return balance;
}

/** The size of a node with the frames of its nested graphs side by side under it. */
function outerSize(own: Size, inner: readonly Size[]): Size {
  if (inner.length === 0) return own;
  const width = inner.reduce((sum, { width }) => sum + width + gapOfFrames, gapOfFrames);
  const height = Math.max(...inner.map(({ height }) => height)) + titleOfFrame + gapOfFrames;
  return { width: Math.max(own.width, width), height: own.height + height };
}

const moved = <T extends Point>(what: T, by: Point): T => ({ ...what, x: what.x + by.x, y: what.y + by.y });

const movedLine = (line: PlacedEdge, by: Point): PlacedEdge => ({
  ...line,
  points: line.points.map((point) => moved(point, by)),
  label: moved(line.label, by),
  ...(line.sign && { sign: moved(line.sign, by) }),
});
