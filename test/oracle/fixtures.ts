/** The fixtures as they lie in `fixtures/`, made by `python/make_fixtures.py`. */
import { readFileSync, readdirSync } from "node:fs";

/** JSON has no numbers for what is not finite. */
type JSONNumber = number | "NaN" | "Infinity" | "-Infinity" | null;

/** Who gave the numbers: JAX, PyTorch, or mpmath in arbitrary precision. */
export const peers = ["jax", "torch", "exact"] as const;
export type Peer = (typeof peers)[number];

/** What is compared; `second` is the derivative of the VJP along the tangents. */
export const quantities = ["value", "jvp", "vjp", "second"] as const;
export type Quantity = (typeof quantities)[number];

/** For each output or, of `vjp` and `second`, for each float input; null where a peer says nothing. */
export type Arrays = readonly (readonly (number | null)[])[];

export interface FixtureInput {
  readonly dtype: "float64" | "int32" | "bool";
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export interface Case {
  readonly function: string;
  /** What is particular about the case; "" where nothing is. */
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Whether it acts on each element by itself, and all inputs have one shape: elements are points. */
  readonly pointwise: boolean;
  readonly inputs: readonly FixtureInput[];
  /** One for each float input. */
  readonly tangents: readonly (readonly number[])[];
  /** One for each float output. */
  readonly cotangents: readonly (readonly number[])[];
  readonly found: Readonly<Partial<Record<Peer, Readonly<Partial<Record<Quantity, Arrays>>>>>>;
}

type CaseJSON = {
  readonly function: string;
  readonly name?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly inputs: readonly {
    readonly dtype?: "int32" | "bool";
    readonly shape: readonly number[];
    readonly data: readonly JSONNumber[];
  }[];
  readonly tangents: readonly (readonly number[])[];
  readonly cotangents: readonly (readonly number[])[];
} & Partial<Record<Peer, Partial<Record<Quantity, readonly (readonly JSONNumber[])[]>>>>;

interface FixturesJSON {
  readonly versions: Readonly<Record<string, string>>;
  readonly cases: readonly CaseJSON[];
}

const numbers = (data: readonly JSONNumber[]): (number | null)[] =>
  data.map((x) => (x === null ? null : Number(x)));

function parse(json: CaseJSON, file: string): Case {
  const arraysOf = (peer: Peer): Partial<Record<Quantity, Arrays>> =>
    Object.fromEntries(
      Object.entries(json[peer] ?? {}).map(([quantity, arrays]) => [quantity, arrays.map(numbers)]),
    );
  const isSmall = json.inputs.every(
    ({ shape }) => shape.length === 1 && shape[0] === json.inputs[0].shape[0],
  );
  return {
    pointwise: file === "elementwise.json" && isSmall,
    function: json.function,
    name: json.name ?? "",
    params: json.params ?? {},
    inputs: json.inputs.map(({ dtype = "float64" as const, shape, data }) => ({
      dtype,
      shape,
      data: data.map(Number),
    })),
    tangents: json.tangents,
    cotangents: json.cotangents,
    found: Object.fromEntries(peers.filter((peer) => json[peer]).map((peer) => [peer, arraysOf(peer)])),
  };
}

const folder = new URL("fixtures/", import.meta.url);
const files = readdirSync(folder).map((name) => {
  const { versions, cases } = JSON.parse(readFileSync(new URL(name, folder), "utf8")) as FixturesJSON;
  return { name, versions, cases: cases.map((json) => parse(json, name)) };
});

/** By file, the versions of the libraries that made it. */
export const versions: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(
  files.map((file) => [file.name, file.versions]),
);
export const cases: readonly Case[] = files.flatMap((file) => file.cases);
