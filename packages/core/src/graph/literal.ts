/** Numbers, parameters and lines of a graph as people write them. */
import type { Aval } from "../aval.ts";
import type { DType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";
import { Graph } from "./graph.ts";

/** A number of a dtype, exactly and as short as that allows: 2.0, 2, true, 0.1 (of float32 too), -0.0, NaN. */
export function numberText(value: number, dtype: DType): string {
  if (dtype === "bool") return value === 0 ? "false" : "true";
  if (dtype === "int32") return String(value);
  if (Object.is(value, -0)) return "-0.0";
  const text = dtype === "float32" ? shortestFloat32(value) : String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** The fewest digits that round to the float32 `value`. */
function shortestFloat32(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number.isFinite(value) ? Number(value.toPrecision(9)) : value);
}

/** The elements of a tensor, nested to its rank; of many the first ones, and how many there are. */
export function elementsText(tensor: Tensor, limit: number): string {
  const { dtype, shape, size } = tensor;
  const data = tensor.dataSync();
  if (size > limit) {
    const first = Array.from(data.subarray(0, limit), (x) => numberText(x, dtype));
    return `[${[...first, "..."].join(", ")}]`;
  }
  let next = 0;
  const build = (axis: number): string =>
    axis === shape.length
      ? numberText(data[next++], dtype)
      : `[${Array.from({ length: shape[axis] }, () => build(axis + 1)).join(", ")}]`;
  return build(0);
}

/** A parameter as in source code. Graphs in it are named by `graphName`. */
export function paramText(value: unknown, graphName: (graph: Graph) => string): string {
  if (value instanceof Graph) return graphName(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return `function ${value.name || "(unnamed)"}`;
  if (Array.isArray(value)) return `[${value.map((item) => paramText(item, graphName)).join(", ")}]`;
  if (isPlain(value)) {
    const entries = Object.entries(value).map(([key, item]) => `${key}: ${paramText(item, graphName)}`);
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
  }
  return Object.is(value, -0) ? "-0" : String(value);
}

export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Each nested graph of some parameters, by where it is: `body`, `branches[0]`. */
export function namedGraphs(params: object): { readonly name: string; readonly graph: Graph }[] {
  return Object.entries(params as Record<string, unknown>).flatMap(([key, value]) => {
    if (value instanceof Graph) return [{ name: key, graph: value }];
    if (!Array.isArray(value)) return [];
    return value.flatMap((item, i) => (item instanceof Graph ? [{ name: `${key}[${i}]`, graph: item }] : []));
  });
}

/** The parameters that hold no graph: `axes: [0], keepDims: true`. */
export function plainParamsText(params: object): string[] {
  return Object.entries(params as Record<string, unknown>)
    .filter(([, value]) => !holdsGraph(value))
    .map(([key, value]) => `${key}: ${paramText(value, () => "graph")}`);
}

const holdsGraph = (value: unknown): boolean =>
  value instanceof Graph || (Array.isArray(value) && value.some((item) => item instanceof Graph));

/** The place without its folder: `file.ts:12:8`. */
export function shortLine(line: string): string {
  return line.replace(/^.*[/\\](?=[^/\\]+$)/, "");
}

/** The shape alone where the dtype is the default one: `[2,3]`, `int32[2]`. */
export function shapeText(aval: Aval): string {
  return aval.floating ? `[${aval.shape.join(",")}]` : aval.toString();
}
