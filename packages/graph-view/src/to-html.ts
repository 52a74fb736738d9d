/** A graph as one self-contained page. */
import { type Graph, type GraphViewOptions, fusionClusters } from "@cotangent/core";
import { type Box, type Placed, type Sizes, type Spacing, place } from "./layout.ts";
import type { Summary } from "./numbers.ts";
import type { PageData, PageStep, PageTerm } from "./page/data.ts";
import { runPage } from "./page/script.ts";
import { pageHtml } from "./page/shell.ts";
import { type Frame, type Item, type Scene, sceneOf } from "./scene.ts";
import { type Row, type Texts, drawScene, sizeOfItem, sizeOfLabel, sizeOfSign } from "./svg.ts";
import { type Path, type Traced, type TracedTerm, trace } from "./trace.ts";

/** The part of a window of 1280 by 800 that the picture has. */
const canvas = { width: 940, height: 640 };

/**
 * The graph as one HTML page that needs nothing else: no server, no network. It shows the nodes and edges with their
 * values, adjoints and local derivatives at the given inputs, and both sweeps, step by step.
 *
 * @throws DerivativeError, ShapeError or DTypeError for inputs or cotangents that are not what the graph takes.
 * @example
 * ```ts
 * const graph = stage((w: Value, x: Value, b: Value) => w.mul(x).add(b).sigmoid())(1, 1, 1);
 * await writeFile("neuron.html", toHtml(graph, { inputs: [0.5, 2, -1], names: ["w", "x", "b"] }));
 * ```
 */
export function toHtml(graph: Graph, options: GraphViewOptions = {}): string {
  const traced = options.inputs === undefined ? undefined : trace(graph, options.inputs, options.cotangents);
  const scene = sceneOf(graph, { ...options, clusters: options.clusters ?? loops(graph) });
  const numbered = traced === undefined ? undefined : numberSteps(scene, traced);
  const textsWith = textsOf(numbered);
  const sizesOf = (spacing: Spacing): Sizes => {
    const texts = { ...textsWith, spacing };
    return {
      item: (item) => sizeOfItem(item, texts),
      label: (edge) => sizeOfLabel(edge, texts),
      sign: sizeOfSign,
    };
  };
  const { placed, spacing } = place(scene.frame, sizesOf, canvas);
  const data = pageData(scene, placed, numbered, traced?.notice);
  return pageHtml({
    title: options.title ?? "Computational graph",
    facts: facts(scene, graph),
    picture: drawScene(scene, placed, { ...textsWith, spacing }),
    families: [...new Set(scene.items.map((item) => item.family))],
    hasClusters: data.clusters.length > 0,
    hasRecomputed: scene.items.some((item) => item.recomputed !== undefined),
    hasBackward: data.steps.some((step) => step.phase === "backward"),
    data,
    script: runPage,
  });
}

/** The clusters of several nodes that a compiler may run as one loop over elements. */
function loops(graph: Graph): (readonly number[])[] {
  return fusionClusters(graph)
    .filter(({ nodes, shape }) => nodes.length > 1 && shape.length > 0)
    .map(({ nodes }) => nodes);
}

function facts({ items }: Scene, graph: Graph): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  const nodes = items.filter((item) => item.n >= 0);
  const nested = nodes.filter((item) => item.path !== "").length;
  return [
    count(graph.inputs.length, "input"),
    count(nodes.length - nested, "node") + (nested > 0 ? ` and ${nested} nested` : ""),
    count(graph.outputs.length, "output"),
  ].join(" · ");
}

interface Numbered {
  readonly summaries: readonly Summary[];
  readonly start: readonly (readonly [number, number])[];
  readonly steps: readonly PageStep[];
}

/** The steps with the numbers of what is drawn in place of variables and nodes. */
function numberSteps(scene: Scene, traced: Traced): Numbered {
  const summaries: Summary[] = [];
  const numbers = new Map<string, number>();
  const number = (summary: Summary): number => {
    const key = JSON.stringify(summary);
    let found = numbers.get(key);
    if (found === undefined) {
      found = summaries.push(summary) - 1;
      numbers.set(key, found);
    }
    return found;
  };
  const valuesOf = (path: Path, values: Traced["start"]): [number, number][] =>
    values.flatMap(({ variable, value }): [number, number][] => {
      const id = scene.variableAt(path, variable);
      return id === undefined ? [] : [[id, number(value)]];
    });
  const terms = new Map<number, string[]>();
  const termOf = (path: Path, { variable, edge, output, term, total, local }: TracedTerm): PageTerm[] => {
    const id = scene.variableAt(path, variable);
    if (id === undefined) return [];
    const before = terms.get(id) ?? [];
    before.push(term.short);
    terms.set(id, before);
    return [
      {
        variable: id,
        edge: edge === null ? null : (scene.edgeAt(path, edge.node, edge.index)?.id ?? null),
        output,
        term: number(term),
        total: number(total),
        shown: adjointText(before, total.short),
        local: local === undefined ? null : number(local),
        along: alongEdge(term, local),
      },
    ];
  };
  const steps = traced.steps.map((step): PageStep => {
    const { path, phase, node, iteration } = step;
    const enters = node === null;
    if (enters && phase === "backward")
      for (const item of scene.items)
        if (item.path.startsWith(path)) for (const { id } of item.variables) terms.delete(id);
    return {
      phase,
      path,
      item: (enters ? ownerOf(scene, path) : scene.itemAt(path, node))?.id ?? null,
      enters,
      iteration: iteration === undefined ? null : [iteration.step, iteration.of],
      values: valuesOf(path, step.values),
      terms: step.terms.flatMap((term) => termOf(path, term)),
    };
  });
  return { summaries, start: valuesOf("", traced.start), steps };
}

/** An adjoint as it stands on the picture: the terms as long as there is room for them. */
function adjointText(terms: readonly string[], total: string): string {
  if (terms.length === 1) return `∂ ${total}`;
  const isShort = terms.length <= 3 && terms.every((term) => !term.startsWith("["));
  return isShort
    ? `∂ ${terms.join(" + ").replaceAll("+ -", "- ")} = ${total}`
    : `∂ ${total} (Σ${terms.length})`;
}

/** The item whose nested graph has this path. */
function ownerOf(scene: Scene, path: Path): Item | undefined {
  return scene.items.find((item) => item.inner.some((frame) => frame.path === path));
}

/** The longest texts that will stand on the picture. */
function textsOf(numbered: Numbered | undefined): Omit<Texts, "spacing"> {
  if (numbered === undefined) return { rows: () => [], local: () => "" };
  const { summaries, start, steps } = numbered;
  const longest = (map: Map<number, string>, key: number, text: string): void => {
    if (text.length > (map.get(key)?.length ?? 0)) map.set(key, text);
  };
  const values = new Map<number, string>();
  const adjoints = new Map<number, string>();
  const locals = new Map<number, string>();
  for (const [variable, summary] of [...start, ...steps.flatMap((step) => step.values)])
    longest(values, variable, summaries[summary].short);
  for (const term of steps.flatMap((step) => step.terms)) {
    longest(adjoints, term.variable, term.shown);
    if (term.edge !== null) longest(locals, term.edge, term.along);
  }
  return {
    rows: ({ variables }) =>
      variables.slice(0, 4).flatMap(({ id, name }): Row[] => {
        // The adjoint of several outputs stands under or next to a value that is named.
        const prefix = variables.length > 1 ? `${name} ` : "";
        const value = values.get(id);
        const adjoint = adjoints.get(id);
        return [
          ...(value === undefined ? [] : [{ kind: "value" as const, variable: id, longest: prefix + value }]),
          ...(adjoint === undefined
            ? []
            : [{ kind: "adjoint" as const, variable: id, longest: prefix + adjoint }]),
        ];
      }),
    local: ({ id }) => locals.get(id) ?? "",
  };
}

/** What a term says of its edge: the local derivative, or how large the contribution is. */
function alongEdge({ stats, short }: Summary, local: Summary | undefined): string {
  if (local !== undefined) return `× ${local.short}`;
  return stats === undefined ? `+ ${short}` : `‖${stats.norm}‖`;
}

function pageData(
  scene: Scene,
  placed: Placed,
  numbered: Numbered | undefined,
  notice: string | undefined,
): PageData {
  const clusters: number[][] = [];
  for (const { id, cluster } of scene.items) if (cluster !== undefined) (clusters[cluster] ??= []).push(id);
  const parents = new Map<string, { readonly item: number; readonly name: string }>();
  const enter = (frame: Frame): void => {
    for (const item of frame.items)
      for (const inner of item.inner) {
        parents.set(inner.path, { item: item.id, name: inner.name });
        enter(inner);
      }
  };
  enter(scene.frame);
  return {
    items: scene.items.map((item) => {
      const { x, y, width, height } = placed.items.get(item.id) as Box;
      const parent = parents.get(item.path);
      return {
        name: item.name,
        label: item.label,
        family: item.family,
        variables: item.variables.map(({ id }) => id),
        params: item.params,
        line: item.line ?? null,
        outputs: item.outputs,
        recomputed: item.recomputed ?? null,
        cluster: item.cluster ?? null,
        box: [x, y, width, height].map(Math.round) as [number, number, number, number],
        parent: parent?.item ?? null,
        frame: parent?.name ?? "",
        path: item.path,
      };
    }),
    edges: scene.edges.map(({ from, to, variable, argument, name, shape }) => ({
      from,
      to,
      variable,
      argument,
      name,
      shape,
    })),
    variables: scene.items
      .flatMap((item) => item.variables.map(({ id, name, type }) => ({ id, name, type, item: item.id })))
      .reduce<PageData["variables"][number][]>((all, { id, name, type, item }) => {
        all[id] = { name, type, item };
        return all;
      }, []),
    summaries: numbered?.summaries ?? [],
    start: numbered?.start ?? null,
    steps: numbered?.steps ?? [],
    notice: notice ?? null,
    clusters: clusters.map((members) => members ?? []),
    box: { width: Math.ceil(placed.width), height: Math.ceil(placed.height) },
  };
}
