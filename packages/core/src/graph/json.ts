/** Graphs as JSON: everything that running them depends on, exactly, and the lines they come from. */
import { Aval, avalOf, sizeOf } from "../aval.ts";
import { type Backend, currentBackend, requireDType } from "../backend.ts";
import { bytesPerElement, type DType } from "../dtype.ts";
import { fail } from "../errors.ts";
import { type Primitive, primitives } from "../primitive.ts";
import { type Tensor, fromHost, hostArray, retained, scalarTensor } from "../tensor.ts";
import { GraphError, checked } from "./check.ts";
import { Graph, type GraphNode } from "./graph.ts";
import { isPlain } from "./literal.ts";
import { Origin } from "./origin.ts";

/** The version of the format; it changes when an older reader would misread. */
export const graphJSONVersion = 1;

/** A number, as text where JSON has none: NaN, Infinity, -Infinity, -0. */
export type JSONNumber = number | "NaN" | "Infinity" | "-Infinity" | "-0";

export interface AvalJSON {
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface ConstantJSON extends AvalJSON {
  /** Elements in row-major order; of bool 0 and 1. */
  readonly data: readonly JSONNumber[];
}

export interface NodeJSON {
  readonly primitive: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** The types of the outputs. */
  readonly avals: readonly AvalJSON[];
  /** Left out where there are none. What JSON lacks is an object of one key: `$number`, `$graph`, `$aval` ... */
  readonly params?: unknown;
  readonly line?: string;
  /** Whether it is part of the way back through that line. */
  readonly backward?: boolean;
}

/** A graph in JSON. Variables are numbers: inputs first, then constants, then what the nodes define. */
export interface GraphJSON {
  readonly format: "cotangent-graph";
  readonly version: number;
  readonly inputs: readonly AvalJSON[];
  readonly constants: readonly ConstantJSON[];
  readonly nodes: readonly NodeJSON[];
  readonly outputs: readonly number[];
}

/** What `JSON.stringify(graph)` writes. */
export function graphToJSON(graph: Graph): GraphJSON {
  return {
    format: "cotangent-graph",
    version: graphJSONVersion,
    inputs: graph.inputs.map(avalJSON),
    constants: graph.constants.map((tensor) => ({
      ...avalJSON(tensor.aval),
      data: Array.from(tensor.dataSync(), numberJSON),
    })),
    nodes: graph.nodes.map((node) => nodeJSON(graph, node)),
    outputs: [...graph.outputs],
  };
}

function nodeJSON(graph: Graph, { primitive, inputs, outputs, params, origin }: GraphNode): NodeJSON {
  const line = origin?.line;
  const origins = line === undefined ? {} : { line, ...(origin?.backward === true && { backward: true }) };
  return {
    primitive: primitive.name,
    inputs: [...inputs],
    outputs: [...outputs],
    avals: outputs.map((variable) => avalJSON(graph.avals[variable])),
    ...(Object.keys(params).length > 0 ? { params: paramJSON(params, `${primitive.name}'s params`) } : {}),
    ...origins,
  };
}

const avalJSON = ({ dtype, shape }: Aval): AvalJSON => ({ dtype, shape: [...shape] });

function numberJSON(value: number): JSONNumber {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : (String(value) as JSONNumber);
}

/** Parameters as JSON: what it has none for is an object whose one key begins with a dollar. */
function paramJSON(value: unknown, path: string): unknown {
  if (value instanceof Graph) return { $graph: graphToJSON(value) };
  if (value instanceof Aval) return { $aval: avalJSON(value) };
  if (typeof value === "number") {
    const number = numberJSON(value);
    return typeof number === "number" ? number : { $number: number };
  }
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (value === undefined) return { $undefined: true };
  if (Array.isArray(value)) return value.map((item, i) => paramJSON(item, `${path}[${i}]`));
  if (isPlain(value)) {
    const entries = Object.entries(value).map(([key, item]) => [key, paramJSON(item, `${path}.${key}`)]);
    return entries.some(([key]) => (key as string).startsWith("$"))
      ? { $entries: entries }
      : Object.fromEntries(entries);
  }
  fail(
    GraphError,
    `toJSON: ${path} is a ${typeof value === "object" ? value.constructor.name : typeof value}, which JSON cannot hold. ` +
      `A graph can be written where the parameters of its primitives are plain data.`,
  );
}

export interface GraphFromJSONOptions {
  /** Where the constants are made; by default on the current backend. */
  readonly backend?: Backend;
}

/**
 * The graph that a `graph.toJSON()` was, from the object or its text. The primitives are those registered here under
 * the same names.
 *
 * @throws GraphError for what is no graph of this version, for a primitive that is not registered, and where types are not
 * what the primitives infer.
 * @example
 * ```ts
 * const text = JSON.stringify(stage((x: Value) => x.sin())(avalOf([3], "float64")));
 * graphFromJSON(text).toString();
 * ```
 */
export function graphFromJSON(json: unknown, options: GraphFromJSONOptions = {}): Graph {
  const object: unknown = typeof json === "string" ? parsed(json) : json;
  return readGraph(object, options.backend ?? currentBackend(), "the graph");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    fail(GraphError, `graphFromJSON: the text is not JSON: ${(error as Error).message}.`);
  }
}

function readGraph(json: unknown, backend: Backend, path: string): Graph {
  const { format, version, inputs, constants, nodes, outputs } = record(json, path);
  if (format !== "cotangent-graph")
    malformed(path, `has the format ${JSON.stringify(format)}, but "cotangent-graph" is needed`);
  if (version !== graphJSONVersion)
    malformed(path, `has version ${JSON.stringify(version)}, but this Cotangent reads ${graphJSONVersion}`);
  const inputAvals = list(inputs, `${path}.inputs`).map((item, i) => readAval(item, `${path}.inputs[${i}]`));
  const tensors = list(constants, `${path}.constants`).map((item, i) =>
    readConstant(item, backend, `${path}.constants[${i}]`),
  );
  const avals = [...inputAvals, ...tensors.map((tensor) => tensor.aval)];
  const read = list(nodes, `${path}.nodes`).map((item, i) => {
    const { node, types } = readNode(item, backend, `${path}.nodes[${i}]`);
    avals.push(...types);
    return node;
  });
  return checked(new Graph(inputAvals, tensors, read, variables(outputs, `${path}.outputs`), avals));
}

function readNode(json: unknown, backend: Backend, path: string): { node: GraphNode; types: Aval[] } {
  const { primitive: name, inputs, outputs, avals, params, line, backward } = record(json, path);
  const primitive = primitiveNamed(name, path);
  const node: GraphNode = {
    primitive,
    inputs: variables(inputs, `${path}.inputs`),
    outputs: variables(outputs, `${path}.outputs`),
    params:
      params === undefined ? {} : record(readParam(params, backend, `${path}.params`), `${path}.params`),
    origin: typeof line === "string" ? Origin.ofLine(line, backward === true) : null,
  };
  return {
    node,
    types: list(avals, `${path}.avals`).map((item, i) => readAval(item, `${path}.avals[${i}]`)),
  };
}

function primitiveNamed(name: unknown, path: string): Primitive {
  if (typeof name !== "string") malformed(`${path}.primitive`, "is no name");
  return (
    primitives().get(name) ??
    fail(
      GraphError,
      `graphFromJSON: ${path} applies a primitive "${name}", which is not registered here. ` +
        `Import the module that defines it first.`,
    )
  );
}

function readAval(json: unknown, path: string): Aval {
  const { dtype, shape } = record(json, path);
  if (typeof dtype !== "string" || !(dtype in bytesPerElement))
    malformed(path, `has the dtype ${JSON.stringify(dtype)}, which there is not`);
  return avalOf(variables(shape, `${path}.shape`), dtype as DType);
}

function readConstant(json: unknown, backend: Backend, path: string): Tensor {
  const aval = readAval(json, path);
  requireDType(backend, aval.dtype);
  const data = list(record(json, path)["data"], `${path}.data`).map((item, i) =>
    readNumber(item, `${path}.data[${i}]`),
  );
  if (data.length !== sizeOf(aval.shape))
    malformed(`${path}.data`, `has ${data.length} elements for ${aval}, which has ${aval.size}`);
  if (aval.rank === 0) return retained(scalarTensor(data[0], aval.dtype, backend));
  const host = hostArray(aval.dtype, aval.size);
  host.set(data);
  return retained(fromHost(host, aval, backend));
}

function readNumber(json: unknown, path: string): number {
  if (typeof json === "number") return json;
  if (json === "-0" || json === "NaN" || json === "Infinity" || json === "-Infinity") return Number(json);
  malformed(path, `is ${JSON.stringify(json)} and not a number`);
}

function readParam(json: unknown, backend: Backend, path: string): unknown {
  if (Array.isArray(json)) return json.map((item, i) => readParam(item, backend, `${path}[${i}]`));
  if (!isPlain(json)) return json;
  if ("$graph" in json) return readGraph(json["$graph"], backend, path);
  if ("$aval" in json) return readAval(json["$aval"], path);
  if ("$number" in json) return readNumber(json["$number"], path);
  if ("$undefined" in json) return undefined;
  const entries =
    "$entries" in json
      ? list(json["$entries"], path).map((entry) => list(entry, path) as [string, unknown])
      : Object.entries(json);
  return Object.fromEntries(entries.map(([key, item]) => [key, readParam(item, backend, `${path}.${key}`)]));
}

function record(json: unknown, path: string): Record<string, unknown> {
  if (!isPlain(json)) malformed(path, "is no object");
  return json;
}

function list(json: unknown, path: string): unknown[] {
  if (!Array.isArray(json)) malformed(path, "is no array");
  return json as unknown[];
}

function variables(json: unknown, path: string): number[] {
  return list(json, path).map((item) => {
    if (!Number.isInteger(item) || (item as number) < 0)
      malformed(path, `has ${JSON.stringify(item)} in it, which is no whole number from 0`);
    return item as number;
  });
}

function malformed(path: string, fault: string): never {
  fail(GraphError, `graphFromJSON: ${path} ${fault}. Give what graph.toJSON() gave.`);
}
