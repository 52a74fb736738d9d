/** When two graphs are the same program. */
import type { Tensor } from "../tensor.ts";
import { Graph } from "./graph.ts";
import { areLinesExact } from "./origin.ts";

const numbers = new WeakMap<object, number>();
let last = 0;

function identityOf(object: object): number {
  let found = numbers.get(object);
  if (found === undefined) numbers.set(object, (found = ++last));
  return found;
}

/** Bytes up to which constants are compared by their elements. */
const mostBytes = 1 << 20;

const digests = new WeakMap<object, string>();

/**
 * A scalar by its value, an array by its elements. Very large ones go by their storage: they are not read back for this,
 * and a program closes over them rather than make them anew.
 */
function showConstant(tensor: Tensor): string {
  if (tensor.rank === 0) {
    const value = tensor.item();
    return `${tensor.dtype} ${Object.is(value, -0) ? "-0" : value}`;
  }
  const storage = tensor.lease ?? tensor;
  if (tensor.aval.bytes > mostBytes) return `${tensor.aval} in storage ${identityOf(storage)}`;
  let found = digests.get(storage);
  if (found === undefined) {
    const { buffer, byteOffset, byteLength } = tensor.dataSync();
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    digests.set(storage, (found = hashOf(bytes.length, (i) => bytes[i])));
  }
  return `${tensor.aval} of elements ${found}`;
}

/** 64 bits, the same for the same codes in the same order (cyrb53, by bryc, public domain, uncut). */
function hashOf(length: number, code: (i: number) => number): string {
  let h1 = 0xdeadbeef;
  let h2 = 0x41c6ce57;
  for (let i = 0; i < length; i++) {
    h1 = Math.imul(h1 ^ code(i), 2654435761);
    h2 = Math.imul(h2 ^ code(i), 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return [h2, h1].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Parameters as text, the same for equal ones. */
function showParam(value: unknown): string {
  if (value instanceof Graph) return `(${structureOf(value)})`;
  if (Array.isArray(value)) return `[${value.map(showParam).join(",")}]`;
  if (typeof value === "function") return `function ${identityOf(value)}`;
  if (typeof value === "object" && value !== null) {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return `object ${identityOf(value)}`;
    const { identity } = value as { readonly identity?: unknown };
    if (typeof identity === "object" && identity !== null) return `object ${identityOf(identity)}`;
    return `{${Object.keys(value)
      .sort()
      .map((key) => `${key}:${showParam((value as Record<string, unknown>)[key])}`)
      .join(",")}}`;
  }
  return Object.is(value, -0) ? "-0" : typeof value === "string" ? JSON.stringify(value) : String(value);
}

const paramsKeys = new WeakMap<object, string>();

/** Parameters of a primitive as text, the same for equal ones alone: functions and objects of a class go by identity. */
export function paramsKey(params: object): string {
  let found = paramsKeys.get(params);
  if (found === undefined) paramsKeys.set(params, (found = showParam(params)));
  return found;
}

const structures = new WeakMap<Graph, string>();

/** All of a graph that running it depends on, as text: not the lines it comes from. */
function structureOf(graph: Graph): string {
  let found = structures.get(graph);
  if (found === undefined) {
    found = [
      graph.inputs.join(" "),
      graph.constants.map(showConstant).join(" "),
      ...graph.nodes.map(
        ({ primitive, inputs, params }) => `${primitive.name} ${inputs.join(" ")} ${showParam(params)}`,
      ),
      graph.outputs.join(" "),
    ].join("\n");
    structures.set(graph, found);
  }
  return found;
}

/**
 * Whether two graphs are the same program: the same nodes in the same order, on the same constants. Two stagings of a
 * function are. Constants are compared by their elements, those of more than 1 MiB by their storage.
 */
export function sameStructure(a: Graph, b: Graph): boolean {
  return a === b || structureOf(a) === structureOf(b);
}

/** A number of 64 bits in hexadecimal digits, the same for graphs of the same structure. */
export function structuralHash(graph: Graph): string {
  const text = structureOf(graph);
  return hashOf(text.length, (i) => text.charCodeAt(i));
}

/** Whether a structure names arrays or objects, of which there are ever new ones. */
const namesObjects = (structure: string): boolean =>
  /\b(?:elements [0-9a-f]|(?:storage|function|object) \d)/.test(structure);

/** The graphs that came up before, while they are in use. */
const interned = new Map<string, WeakRef<Graph>>();
const forgotten = new FinalizationRegistry<string>((hash) => {
  if (interned.get(hash)?.deref() === undefined) interned.delete(hash);
});

/** The hashes that came up of late, oldest first. */
const seen = new Set<string>();
const mostSeen = 1000;

/**
 * The graph of the same structure that came up before and is still in use: what was prepared for it need not be prepared again. Its
 * lines may be others.
 *
 * A weak reference holds on to its target until the current job is over, so a graph of tensors or functions gets one when it
 * comes up a second time. In a loop that makes graphs of ever new ones, none does.
 */
export function intern(graph: Graph): Graph {
  if (areLinesExact()) return graph;
  const hash = structuralHash(graph);
  if (!seen.has(hash) && namesObjects(structureOf(graph))) {
    seen.add(hash);
    const [oldest] = seen;
    if (seen.size > mostSeen) seen.delete(oldest);
    return graph;
  }
  const found = interned.get(hash)?.deref();
  if (found !== undefined && sameStructure(found, graph)) return found;
  interned.set(hash, new WeakRef(graph));
  forgotten.register(graph, hash);
  return graph;
}
