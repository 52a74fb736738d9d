/** Numbers and parameters as TypeScript that gives the very same ones. */
import { Graph } from "@cotangent/core";

/** As a literal: -0 too. */
export const showNumber = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

export const showList = (numbers: ArrayLike<number>): string =>
  `[${Array.from(numbers, showNumber).join(", ")}]`;

/** Plain data and graphs as an expression; undefined for what has none, as functions have not. */
export function showData(value: unknown): string | undefined {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "number") return showNumber(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Graph) return showGraph(value);
  if (Array.isArray(value)) {
    const items = value.map(showData);
    return items.includes(undefined) ? undefined : `[${items.join(",")}]`;
  }
  if (typeof value !== "object") return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return undefined;
  const entries = Object.entries(value).map(([key, item]) => {
    const text = showData(item);
    // As a plain key it would be the object's prototype.
    const name = key === "__proto__" ? `["${key}"]` : JSON.stringify(key);
    return text === undefined ? undefined : `${name}:${text}`;
  });
  return entries.includes(undefined) ? undefined : `{${entries.join(",")}}`;
}

/** JSON cannot hold a graph that has functions among its parameters. */
function showGraph(graph: Graph): string | undefined {
  try {
    return `graphFromJSON(${JSON.stringify(graph)})`;
  } catch {
    return undefined;
  }
}

/** Each line as a comment. */
export const commented = (text: string): string => text.replaceAll(/^/gm, "// ");
