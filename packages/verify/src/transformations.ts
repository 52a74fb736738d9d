/** Transformations as steps of programs: each as it is run, and as it is printed. */
import { type Value, custom, vmap } from "@cotangent/core";
import { jacfwd, jet, jvp, linearize } from "@cotangent/forward-mode";
import { grad, jacrev, vjp } from "@cotangent/reverse-mode";

/** A function of values with several results. */
export type Run = (...inputs: Value[]) => Value[];

export interface Transformation {
  /** The order of the derivative that it takes. */
  readonly order: 0 | 1 | 2;
  /** What its function gives: any number of values, one, or one scalar. */
  readonly results: "many" | "one" | "scalar";
  /** Whether its function takes one operand alone. */
  readonly isUnary?: true;
  /** Whether its function closes over nothing. */
  readonly isClosed?: true;
  /** Of a closed function, by its name, what is made of it once and for all. */
  readonly made?: (f: string) => string;
  /** What it takes besides the operands: tangents of each, so many, or cotangents of each result. */
  readonly tangents?: 1 | 2;
  readonly cotangents?: true;
  /** How many values it gives, for so many operands and results of its function. */
  readonly arity: (operands: number, results: number) => number;
  readonly run: (f: Run, operands: readonly Value[], directions: readonly Value[], axes: Axes) => Value[];
  /** An expression that gives an array of values; of a function with one result, one that gives it alone. */
  readonly show: (
    f: string,
    operands: readonly string[],
    directions: readonly string[],
    axes: Axes,
  ) => string;
  /** The functions of Cotangent that it is written with. */
  readonly uses: readonly string[];
}

/** Along which axis of each operand a batch lies; null where there is none. Empty but for `vmap`. */
export type Axes = readonly (number | null)[];

const list = (items: readonly (string | number | null)[]): string => `[${items.join(", ")}]`;
const indicesOf = (operands: readonly unknown[]): number[] => operands.map((_, i) => i);
const pairs = <T>(items: readonly T[]): [T, T][] =>
  Array.from({ length: items.length / 2 }, (_, i) => [items[2 * i], items[2 * i + 1]]);
const one =
  (f: Run) =>
  (...inputs: Value[]): Value =>
    f(...inputs)[0];

/** Functions with rules of their own are made once, as those of a module are. */
const withRules = new WeakMap<Run, Run>();

const named = {
  jvp: {
    order: 1,
    results: "many",
    tangents: 1,
    arity: (_, results) => results,
    run: (f, operands, directions) => jvp(f, [...operands], [...directions])[1],
    show: (f, operands, directions) => `jvp(${f}, ${list(operands)}, ${list(directions)})[1]`,
    uses: ["jvp"],
  },
  grad: {
    order: 1,
    results: "scalar",
    arity: (operands) => operands,
    run: (f, operands) => grad(one(f), { argnums: indicesOf(operands) })(...operands),
    show: (f, operands) => `grad(${f}, { argnums: ${list(indicesOf(operands))} })(${operands.join(", ")})`,
    uses: ["grad"],
  },
  vmap: {
    order: 0,
    results: "many",
    arity: (_, results) => results,
    run: (f, operands, _, inAxes) => vmap(f, { inAxes })(...operands),
    show: (f, operands, _, inAxes) =>
      `vmap(${f}, { inAxes: ${JSON.stringify(inAxes)} })(${operands.join(", ")})`,
    uses: ["vmap"],
  },
  vjp: {
    order: 1,
    results: "many",
    cotangents: true,
    arity: (operands) => operands,
    run: (f, operands, directions) => vjp(f, ...operands)[1]([...directions]),
    show: (f, operands, directions) => `vjp(${[f, ...operands].join(", ")})[1](${list(directions)})`,
    uses: ["vjp"],
  },
  linearize: {
    order: 1,
    results: "many",
    tangents: 1,
    arity: (_, results) => results,
    run: (f, operands, directions) => linearize(f, ...operands)[1](...directions),
    show: (f, operands, directions) =>
      `linearize(${[f, ...operands].join(", ")})[1](${directions.join(", ")})`,
    uses: ["linearize"],
  },
  jet: {
    order: 2,
    results: "many",
    tangents: 2,
    arity: (_, results) => 2 * results,
    run: (f, operands, directions) => jet<Value[], Value[]>(f, [...operands], pairs(directions))[1].flat(),
    show: (f, operands, directions) =>
      `jet(${f}, ${list(operands)}, ${list(pairs(directions).map(list))})[1].flat()`,
    uses: ["jet"],
  },
  jacfwd: {
    order: 1,
    results: "one",
    isUnary: true,
    arity: () => 1,
    run: (f, operands) => [jacfwd(one(f))(...operands)],
    show: (f, operands) => `[jacfwd(${f})(${operands.join(", ")})]`,
    uses: ["jacfwd"],
  },
  jacrev: {
    order: 1,
    results: "one",
    isUnary: true,
    arity: () => 1,
    run: (f, operands) => [jacrev(one(f))(...operands)],
    show: (f, operands) => `[jacrev(${f})(${operands.join(", ")})]`,
    uses: ["jacrev"],
  },
  // With the rules that it would have without any: those of its own are what runs.
  custom: {
    order: 0,
    results: "many",
    isClosed: true,
    arity: (_, results) => results,
    run: (f, operands) => {
      let made = withRules.get(f);
      if (made === undefined) {
        made = custom<Value[], Value[], Value[]>(f, {
          jvp: (xs, dxs) => jvp(f, xs, dxs),
          forward: (...xs) => [f(...xs), xs],
          backward: (xs, cts) => vjp(f, ...xs)[1](cts),
        });
        withRules.set(f, made);
      }
      return made(...operands);
    },
    made: (f) =>
      `custom<Value[], Value[], Value[]>(${f}, { jvp: (xs, dxs) => jvp(${f}, xs, dxs), ` +
      `forward: (...xs) => [${f}(...xs), xs], backward: (xs, cts) => vjp(${f}, ...xs)[1](cts) })`,
    show: (f, operands) => `${f}(${operands.join(", ")})`,
    uses: ["custom", "jvp", "vjp"],
  },
} as const satisfies Readonly<Record<string, Transformation>>;

export type TransformationName = keyof typeof named;
export const transformations: Readonly<Record<TransformationName, Transformation>> = named;
/** In the order in which they shrink. */
export const transformationNames = Object.keys(named) as readonly TransformationName[];
