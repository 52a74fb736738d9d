/** What is checked: a primitive, a function, rules that somebody wrote, a whole backend. */
import {
  type ArgumentSample,
  type Backend,
  type DType,
  type Draw,
  type FloatDType,
  type Primitive,
  type Value,
  backendNamed,
  currentBackend,
  isFloating,
  leaves,
  sizeOf,
} from "@cotangent/core";
import type { Arbitrary } from "fast-check";
import {
  type CheckOptions,
  type Report,
  check,
  checkKinks,
  checkLaw,
  checkPrograms,
  everyPrimitive,
  orIdle,
} from "./check.ts";
import { shapeClassesOf } from "./coverage.ts";
import { type HostInput, type RecordedDraw, isArbitrary, roomOf, showTensor } from "./draw.ts";
import { laws, lawsOfValues } from "./every-law.ts";
import { type Law, reverseDifferences } from "./laws.ts";
import { ruleLaws } from "./rule-laws.ts";
import { type Mode, type Setting, type Subject, inOrderOf, orderOf, settingIn } from "./subject.ts";

/** Where and how something is checked. */
export interface SuiteOptions extends CheckOptions {
  /** By default the current one. */
  readonly backend?: Backend;
  /** By default the backend's own floats. A primitive is judged in int32 or bool too, where its record takes them. */
  readonly dtype?: DType;
  /** What others are compared with, in float64; by default the registered backend "js". */
  readonly reference?: Backend;
  /** By default all that apply. */
  readonly laws?: readonly Law[];
}

function settingOf({ backend = currentBackend(), dtype, reference }: SuiteOptions): Setting {
  return settingIn(backend, reference ?? backendNamed("js"), dtype);
}

/**
 * Checks a primitive by all laws, on samples that its own record draws, and its documented kinks.
 *
 * @returns one report per law, with how many samples it judged; `assertPrimitive` throws where one failed.
 * @throws BackendError where there is no backend to check on, or none to compare with.
 * @example
 * ```ts
 * const reports = checkPrimitive(cbrt.primitive, { dtype: "float64", samples: 200 });
 * reports.filter(({ failure }) => failure !== undefined); // []
 * ```
 */
export function checkPrimitive(primitive: Primitive, options: SuiteOptions = {}): Report[] {
  const setting = settingOf(options);
  const applying = setting.whole === undefined ? laws : lawsOfValues;
  const found = (options.laws ?? applying).map((law) => checkLaw(primitive, law, setting, options));
  const isAll = options.laws === undefined && setting.whole === undefined;
  return isAll ? [...found, checkKinks(primitive, setting)] : found;
}

/**
 * The inputs of a function: where it is smooth, one sample per argument, or drawn anew each time; or an arbitrary of
 * fast-check that gives them, as `tuple(tensors(), tensors())` does.
 */
export type Inputs =
  | readonly ArgumentSample[]
  | ((draw: Draw) => readonly ArgumentSample[])
  | Arbitrary<readonly Value[]>;

/** How far a point may be moved of which nothing more is known. */
const usualRoom = 0.025;

function drawInputs(
  inputs: Inputs,
  draw: RecordedDraw,
  float: FloatDType,
): { readonly inputs: readonly HostInput[]; readonly room: number } {
  if (isArbitrary(inputs)) {
    return {
      inputs: draw.from(inputs).map((value) => ({
        shape: value.shape,
        dtype: value.aval.floating ? float : value.dtype,
        data: Float64Array.from(value.dataSync()),
      })),
      room: usualRoom,
    };
  }
  const samples = typeof inputs === "function" ? inputs(draw) : inputs;
  return {
    inputs: samples.map(({ shape, dtype, domain }) => ({
      shape,
      dtype: dtype === "float" ? float : dtype,
      data: draw.elements(domain, sizeOf(shape)),
    })),
    room: Math.min(usualRoom, ...samples.map(roomOf)),
  };
}

export interface FunctionOptions extends SuiteOptions {
  /** By default the backend's own: that of the inputs that are floats. */
  readonly dtype?: FloatDType;
  /** How messages call it; by default its own name. */
  readonly name?: string;
  /**
   * The modes in which it has derivatives: ["reverse"] for a function that has a VJP alone. By default both. Laws that need
   * another mode are inapplicable then.
   */
  readonly modes?: readonly Mode[];
}

/**
 * Checks a function by all laws: both modes against each other and against differences, to second order, staged, batched, on
 * the backend against the reference. It may make tensors and close over some. One in which JavaScript looks at elements
 * (`x.item() > 0`) cannot be traced: give it laws without `staged`, `vmapped` and `avals`.
 *
 * @param f takes one value per input, and gives a tree of values.
 * @param inputs see `Inputs`; `argument(shape, domain)` makes one.
 * @returns one report per law; `assertFunction` throws where one failed, with the inputs shrunk.
 * @throws BackendError where there is no backend to check on, or none to compare with.
 * @example
 * ```ts
 * assertFunction((x: Value, y: Value) => x.mul(y).sin().sum(), [argument([3]), argument([3])]);
 * ```
 */
export function checkFunction(
  f: (...inputs: Value[]) => unknown,
  inputs: Inputs,
  options: FunctionOptions = {},
): Report[] {
  const setting = settingOf(options);
  const { name = f.name === "" ? "f" : f.name, modes } = options;
  const subject = (draw: RecordedDraw): Subject => {
    const { inputs: drawn, room } = drawInputs(inputs, draw, setting.dtype);
    const isInput = drawn.map(({ dtype }) => isFloating(dtype));
    const arranged = inOrderOf(isInput);
    return {
      text: `${name}(${drawn.map((input) => showTensor(input, setting.dtype)).join(", ")})`,
      shown: {
        before: "",
        f: `(...xs: Value[]) => leaves(${name}(${orderOf(isInput)
          .map((i) => `xs[${i}]`)
          .join(", ")})) as Value[]`,
      },
      room,
      point: drawn.filter((_, i) => isInput[i]),
      constants: drawn.filter((_, i) => !isInput[i]),
      features: drawn.flatMap(({ shape }, i) =>
        shapeClassesOf(shape).map((shapeClass) => `argument ${i}: ${shapeClass}`),
      ),
      apply: (values, constants) => leaves(f(...arranged(values, constants))) as Value[],
      closes: true,
      ...(modes !== undefined && { modes }),
    };
  };
  const ofFunctions = laws.filter(({ subjects }) => subjects !== "primitives");
  // The law of differences is judged by forward mode, where there is one.
  const hasForward = modes?.includes("forward") ?? true;
  const applying = options.laws ?? (hasForward ? ofFunctions : [...ofFunctions, reverseDifferences]);
  return applying.map((law) => orIdle(check(name, law, setting, subject, options)));
}

/**
 * Checks a function with rules of its own (`custom`, `customJvp`, `customVjp`): its JVP against its VJP, both against
 * differences, both for linearity, and the values that they compute along the way against the function itself.
 *
 * Of rules that are to be differentiated again, traced or batched, give `laws` with `secondOrder`, `staged` or `vmapped` too; of a
 * surrogate, whose derivative is not that of its values, leave both `differences` out.
 *
 * @returns one report per law; `assertCustomRule` throws where one failed, with the inputs shrunk.
 * @throws BackendError where there is no backend to check on, or none to compare with.
 * @example
 * ```ts
 * assertCustomRule(log1pExp, [argument([3], real())]);
 * ```
 */
export const checkCustomRule: typeof checkFunction = (f, inputs, options) =>
  checkFunction(f, inputs, { ...options, laws: options?.laws ?? ruleLaws });

export interface BackendOptions extends Omit<SuiteOptions, "backend" | "dtype"> {
  /** By default all that the backend has. */
  readonly dtypes?: readonly DType[];
  /** By default all that are registered: of a backend that has few kernels, those that it is for. */
  readonly primitives?: readonly Primitive[];
  /** Random programs per law and dtype; none where 0. */
  readonly programs?: number;
  /** Called with each report as it is made, so that a long check can be watched. */
  readonly onReport?: (report: Report) => void;
}

/**
 * Checks a backend: every registered primitive, and random programs of them, by all laws, in each of its dtypes; in those of
 * whole numbers the primitives that take them, by the laws of values.
 *
 * @returns one report per primitive, law and dtype; `assertBackend` throws where one failed.
 * @throws BackendError where there is none to compare with.
 * @example
 * ```ts
 * assertBackend(myBackend, { samples: 10, programs: 50 });
 * ```
 */
export function checkBackend(backend: Backend, options: BackendOptions = {}): Report[] {
  const { programs = 100, onReport, dtypes = backend.dtypes, primitives = everyPrimitive() } = options;
  const reports: Report[] = [];
  const add = (report: Report): void => {
    reports.push(report);
    onReport?.(report);
  };
  for (const dtype of dtypes) {
    const own = { ...options, backend, dtype };
    for (const primitive of primitives) checkPrimitive(primitive, own).forEach(add);
    if (programs === 0 || !isFloating(dtype)) continue;
    for (const law of options.laws ?? laws)
      if (law.subjects !== "primitives")
        add(checkPrograms(law, settingOf(own), { ...options, samples: programs }));
  }
  return reports;
}

/**
 * Throws with all failures of the reports, those of laws that judged nothing though they should have among them.
 *
 * @example `assertReports(checkPrimitive(sin.primitive))`
 */
export function assertReports(reports: readonly Report[]): void {
  const failures = reports.flatMap(({ failure }) => failure?.text ?? []);
  if (failures.length > 0) throw new Error(failures.join("\n\n"));
}

/** `checkPrimitive`, throwing what was found. */
export const assertPrimitive = (...args: Parameters<typeof checkPrimitive>): void =>
  assertReports(checkPrimitive(...args));
/** `checkFunction`, throwing what was found. */
export const assertFunction = (...args: Parameters<typeof checkFunction>): void =>
  assertReports(checkFunction(...args));
/** `checkCustomRule`, throwing what was found. */
export const assertCustomRule = (...args: Parameters<typeof checkCustomRule>): void =>
  assertReports(checkCustomRule(...args));
/** `checkBackend`, throwing what was found. */
export const assertBackend = (...args: Parameters<typeof checkBackend>): void =>
  assertReports(checkBackend(...args));
