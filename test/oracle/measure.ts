/** What Cotangent finds where the peers were asked. */
import {
  type Backend,
  type FloatDType,
  type Value,
  avalOf,
  fromHost,
  grad,
  hostArray,
  jit,
  jvp,
  tidy,
  vjp,
  withBackend,
} from "cotangent";
import type { Case, Quantity } from "./fixtures.ts";
import { type Subject, functions, reverseOnly } from "./functions.ts";

/** How a quantity is computed. All that are of one kind are compared with the same numbers of the fixture. */
export const waysTo = {
  value: "value",
  "forward mode": "jvp",
  "reverse mode": "vjp",
  "forward over reverse": "second",
  "reverse over reverse": "second",
} as const;
export type Way = keyof typeof waysTo;

/** By way, an array for each output or input. */
export type Found = ReadonlyMap<Way, readonly (readonly number[])[]>;

export interface Setting {
  readonly backend: Backend;
  readonly dtype: FloatDType;
  readonly jitted: boolean;
}

export function subjectOf({ function: name }: Case): Subject {
  const found = functions[name];
  if (found === undefined) throw new Error(`The fixtures have a function ${name}, which functions.ts lacks.`);
  return found;
}

const isFloating = (x: Value): boolean => x.aval.floating;

/** The case's inputs, after a change of the float ones. */
function inputsOf(
  { inputs }: Case,
  { backend, dtype }: Setting,
  moved: (x: number) => number = (x) => x,
): Value[] {
  return inputs.map((input) => {
    const own = input.dtype === "float64" ? dtype : input.dtype;
    return upload(input.dtype === "float64" ? input.data.map(moved) : input.data, input.shape, own, backend);
  });
}

function upload(
  data: readonly number[],
  shape: readonly number[],
  dtype: Value["dtype"],
  backend: Backend,
): Value {
  const host = hostArray(dtype, data.length);
  host.set(data);
  return fromHost(host, avalOf(shape, dtype), backend);
}

const inner = (xs: readonly Value[], ys: readonly Value[]): Value =>
  xs.map((x, i) => x.mul(ys[i]).sum()).reduce((a, b) => a.add(b));

/**
 * Everything about a case that the fixture says, by each way to it. Jitted, all of it is one program, with the first of
 * the ways to second derivatives.
 */
export function measure(
  subject: Case,
  setting: Setting,
  moved?: (x: number) => number,
  names: readonly Way[] = namesOf(subject, setting.jitted),
): Found {
  return withBackend(setting.backend, () =>
    tidy(() => {
      const all = inputsOf(subject, setting, moved);
      const compute = (...inputs: Value[]): Value[][] => {
        const by = waysOf(subject, inputs, setting.backend);
        return names.map((way) => by[way]());
      };
      const found = setting.jitted && all.length > 0 ? jit(compute)(...all) : compute(...all);
      return new Map(
        names.map((way, i) => [way, found[i].map((value) => Array.from(value.dataSync()))] as const),
      );
    }),
  );
}

/** The ways to what the fixture has. */
function namesOf({ function: name, found }: Case, jitted: boolean): Way[] {
  const has = (quantity: Quantity): boolean => Object.values(found).some((peer) => quantity in peer);
  const all = (Object.keys(waysTo) as Way[]).filter((way) => has(waysTo[way]));
  if (reverseOnly.has(name)) return all.filter((way) => !way.includes("forward"));
  return jitted ? all.filter((way) => !way.startsWith("reverse over")) : all;
}

function waysOf(
  subject: Case,
  all: readonly Value[],
  backend: Backend,
): Readonly<Record<Way, () => Value[]>> {
  const f = (...inputs: Value[]): readonly Value[] => {
    let next = 0;
    const joined = all.map((x) => (isFloating(x) ? inputs[next++] : x));
    return subjectOf(subject)(joined, subject.params);
  };
  const smooth = (...inputs: Value[]): Value[] => f(...inputs).filter(isFloating);
  const xs = all.filter(isFloating);
  const like = (values: readonly Value[], data: readonly (readonly number[])[]): Value[] =>
    values.map((x, i) => upload(data[i], x.shape, x.dtype, backend));
  const tangents = (): Value[] => like(xs, subject.tangents);
  const push = (...inputs: Value[]): Value[] => jvp(smooth, inputs, tangents())[1];
  const pull = (...inputs: Value[]): Value[] => {
    const [outputs, back] = vjp(smooth, ...inputs);
    return back(like(outputs, subject.cotangents));
  };
  const gradients = (g: (...inputs: Value[]) => Value): Value[] =>
    grad(g, { argnums: xs.map((_, i) => i) })(...xs);
  return {
    value: () => [...f(...xs)],
    "forward mode": () => push(...xs),
    "reverse mode": () => pull(...xs),
    "forward over reverse": () => jvp(pull, xs, tangents())[1],
    "reverse over reverse": () => gradients((...inputs) => inner(pull(...inputs), tangents())),
  };
}
