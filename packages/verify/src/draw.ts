/** Random calls of primitives: core's `Draw` on top of fast-check, so that failing calls shrink and replay. */
import {
  type ArgumentSample,
  CotangentError,
  type DType,
  DTypeError,
  type Domain,
  type Draw,
  type FloatDType,
  type Sample,
  type Params,
  type Primitive,
  type Shape,
  avalOf,
  bools,
  isFloating,
  paramsOf,
  sizeOf,
} from "@cotangent/core";
import { type Arbitrary, type GeneratorValue, array, boolean, integer } from "fast-check";
import { commented, showData, showList } from "./print.ts";

/** How far a smooth point may be moved without meeting a kink or the edge of the domain. */
export const defaultMargin = 0.1;

/** Elements are drawn on a grid of so many points, and shrink to the middle of their domain. */
const grid = 2 ** 20;
/** One in four has digits beyond those of float32, by less than the grid. */
const tail = 2 ** -20;
const gridPoint = integer({ min: -grid / 2, max: grid / 2 });

/** Whichever copy of fast-check it is of. */
export const isArbitrary = (value: unknown): value is Arbitrary<unknown> =>
  typeof value === "object" && value !== null && "generate" in value && "shrink" in value;

/**
 * A function of nothing for each arbitrary: fast-check keeps what it has made by comparing arguments in depth with those of
 * all earlier calls, which took half of the time of all laws.
 */
function builderOf<Key, T>(
  known: { get(key: Key): (() => T) | undefined; set(key: Key, builder: () => T): unknown },
  key: Key,
  make: () => T,
): () => T {
  const before = known.get(key);
  if (before !== undefined) return before;
  known.set(key, make);
  return make;
}
const integers = new Map<string, () => Arbitrary<number>>();
const gridPoints = new Map<number, () => Arbitrary<number[]>>();
const given = new WeakMap<Arbitrary<unknown>, () => Arbitrary<unknown>>();

export interface ShapeOptions {
  readonly minRank?: number;
  readonly maxRank?: number;
  readonly minSize?: number;
  readonly maxSize?: number;
}

/** The bounds of a shape: where one end alone is given beyond the usual other one, that follows. */
export function shapeBounds(
  { minRank = 0, maxRank = Math.max(3, minRank), minSize = 0, maxSize }: ShapeOptions,
  usualSize = 3,
): Required<ShapeOptions> {
  const bounds = { minRank, maxRank, minSize, maxSize: maxSize ?? Math.max(usualSize, minSize) };
  for (const [name, bound] of Object.entries(bounds))
    if (!Number.isInteger(bound) || bound < 0)
      throw new RangeError(`shapes: ${name} is ${bound}, but must be a whole number from 0 on.`);
  if (minRank > maxRank)
    throw new RangeError(
      `shapes: minRank is ${minRank} and maxRank is ${maxRank}; no rank is in between. Give a maxRank of ${minRank} or more.`,
    );
  if (minSize > bounds.maxSize)
    throw new RangeError(
      `shapes: minSize is ${minSize} and maxSize is ${maxSize}; no size is in between. Give a maxSize of ${minSize} or more.`,
    );
  return bounds;
}

/** A source of choices that fast-check records. */
export class RecordedDraw implements Draw {
  readonly #generate: GeneratorValue;
  readonly #maxSize: number;

  constructor(generate: GeneratorValue, maxSize = 3) {
    this.#generate = generate;
    this.#maxSize = maxSize;
  }

  int(low: number, high: number): number {
    return this.#generate(builderOf(integers, `${low} ${high}`, () => integer({ min: low, max: high })));
  }

  bool(): boolean {
    return this.#generate(boolean);
  }

  /** What an arbitrary gives. */
  from<T>(arbitrary: Arbitrary<T>): T {
    return this.#generate(builderOf(given, arbitrary, () => arbitrary)) as T;
  }

  choose<T>(options: readonly T[]): T {
    return options[this.int(0, options.length - 1)];
  }

  shape(options: ShapeOptions = {}): number[] {
    const { minRank, maxRank, minSize, maxSize } = shapeBounds(options, this.#maxSize);
    return Array.from({ length: this.int(minRank, maxRank) }, () => this.size(maxSize, minSize));
  }

  // Size 0 is worth trying, but not in every second shape.
  size(high: number, low = 0): number {
    return Math.max(low, this.int(0, 9) === 0 ? 0 : this.int(Math.min(high, Math.max(low, 1)), high));
  }

  broadcastable(count: number): number[][] {
    const whole = this.shape();
    return Array.from({ length: count }, () => {
      if (this.bool()) return whole;
      return whole.slice(this.int(0, whole.length)).map((n) => (this.bool() ? n : 1));
    });
  }

  /** Elements in a domain, in row-major order. */
  elements(domain: Domain, count: number): Float64Array {
    const width = domain.high - domain.low;
    const { special = [] } = domain;
    if (domain.integer === true)
      return Float64Array.from({ length: count }, () => {
        const at = this.int(domain.low, domain.high + special.length);
        return at <= domain.high ? at : special[at - domain.high - 1];
      });
    const keys = this.#generate(
      builderOf(gridPoints, count, () => array(gridPoint, { minLength: count, maxLength: count })),
    );
    if (domain.distinct === true) {
      const order = keys.map((_, i) => i).sort((a, b) => keys[a] - keys[b] || a - b);
      const out = new Float64Array(count);
      order.forEach((i, rank) => (out[i] = domain.low + (width * (rank + 0.5)) / count));
      return out;
    }
    const middle = domain.low + width / 2;
    return Float64Array.from(keys, (key) =>
      clearOfKinks(middle + (width * (key + (key % 4 === 3 ? tail : 0))) / grid, domain),
    );
  }

  /** A direction: numbers of moderate size, none of them negligible. */
  direction(count: number): Float64Array {
    return Float64Array.from({ length: count }, () => (this.bool() ? 1 : -1) * (0.25 + this.int(0, 48) / 64));
  }
}

export function clearOfKinks(x: number, { kinks = [], margin = defaultMargin, low, high }: Domain): number {
  const near = kinks.find((kink) => Math.abs(x - kink) < margin);
  if (near === undefined) return x;
  const [above, below] = [near + margin, near - margin];
  if (below < low) return above;
  return above > high || x < near ? below : above;
}

/** How far each element may move: the clearance that the samples keep, with room to spare for moves of two inputs. */
export function roomOf({ domain, shape }: ArgumentSample): number {
  if (domain.integer === true) return Infinity;
  const spacing =
    domain.distinct === true ? (domain.high - domain.low) / Math.max(1, sizeOf(shape)) : Infinity;
  return Math.min(domain.margin ?? defaultMargin, spacing) / 4;
}

/** An input of a call on the host, before any backend has it. */
export interface HostInput {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: Float64Array;
}

/** One call of a primitive at a smooth point. */
export interface Call {
  readonly primitive: Primitive;
  /** For a floating dtype, where they depend on it. */
  readonly params: Sample["params"];
  /** The floating dtype that it was drawn for. */
  readonly dtype: FloatDType;
  readonly inputs: readonly HostInput[];
  /** Those that it is not to be differentiated with respect to, though it could be; unless that leaves none. */
  readonly fixed: readonly boolean[];
  /** Other inputs of the same shapes. */
  another(draw: RecordedDraw): HostInput[];
  /** How far every float input may be moved in a direction of size 1. */
  readonly room: number;
  /** With whole numbers in place of floats: the same numbers as floats, or why there is no such call. */
  readonly whole?: { readonly asFloats: readonly HostInput[]; readonly refusal: string | undefined };
}

/** What may take the place of floats, for kernels that have code of their own for it. */
export type WholeDType = "int32" | "bool";

/** All of int32, whose arithmetic wraps around. */
const everyInt32: Domain = { low: -(2 ** 31), high: 2 ** 31 - 1, integer: true };
/** Where a domain has no whole numbers. Products of many stay within what float32 counts exactly. */
const fewInt32: Domain = { low: -3, high: 3, integer: true };

/** Whole numbers of the domain: what floats keep clear of there is a matter of derivatives. */
function wholeArgument(
  { shape, domain }: ArgumentSample,
  dtype: WholeDType,
  kind: "own" | "negative" | "every",
): ArgumentSample {
  if (dtype === "bool") return bools(shape);
  if (kind === "every") return { shape, dtype, domain: everyInt32 };
  const own = { low: Math.ceil(domain.low), high: Math.floor(domain.high), integer: true };
  const within = own.low <= own.high ? own : fewInt32;
  // Such that the largest of them is not what a maximum of nothing would be.
  const isNegative = kind === "negative" && within.low < 0;
  return { shape, dtype, domain: isNegative ? { ...within, high: -1 } : within };
}

/** Why a record takes no such arguments, as its own inference says; undefined where it does. */
function refusalOf(
  { infer, rules }: Primitive,
  inputs: readonly HostInput[],
  params: Params,
  dtype: WholeDType,
): string | undefined {
  const avals = inputs.map((input) => avalOf(input.shape, input.dtype));
  try {
    if (rules.form === "multiple") rules.shapes(avals, params);
    else
      infer(
        avals.map((aval) => ({ aval })),
        params,
      );
    return undefined;
  } catch (error) {
    if (error instanceof DTypeError) return `takes no ${dtype}`;
    // Control flow, whose samples have bodies of their own.
    if (rules.form === "multiple" && error instanceof CotangentError)
      return "its sample runs a function of floats";
    throw error;
  }
}

/** Whole numbers in place of floats. */
export interface Whole {
  readonly dtype: WholeDType;
  /** Whether all of int32 may come up, not only numbers that float32 holds. */
  readonly every: boolean;
}

/** Draws a call that the primitive itself says is valid and smooth; with `whole`, if it is valid with such numbers for floats. */
export function drawCall(draw: RecordedDraw, primitive: Primitive, dtype: FloatDType, whole?: Whole): Call {
  const sample = primitive.sample(draw);
  const { params } = sample;
  const isFloat = sample.inputs.map((input) => input.dtype === "float");
  const kind =
    whole?.dtype === "int32"
      ? draw.choose(["own", "own", "own", "negative", ...(whole.every ? (["every"] as const) : [])] as const)
      : "own";
  const inputs = sample.inputs.map((input, i) =>
    whole !== undefined && isFloat[i] ? wholeArgument(input, whole.dtype, kind) : input,
  );
  const another = (from: RecordedDraw): HostInput[] =>
    inputs.map((input) => ({
      shape: input.shape,
      dtype: input.dtype === "float" ? dtype : input.dtype,
      data: from.elements(input.domain, sizeOf(input.shape)),
    }));
  const drawn = another(draw);
  return {
    primitive,
    params,
    dtype,
    room: Math.min(0.025, ...inputs.map(roomOf)),
    inputs: drawn,
    another,
    fixed: inputs.map(() => draw.int(0, 5) === 5),
    ...(whole !== undefined && {
      whole: {
        asFloats: drawn.map((input, i) => (isFloat[i] ? { ...input, dtype } : input)),
        refusal: isFloat.includes(true)
          ? refusalOf(primitive, drawn, paramsOf({ params }, dtype), whole.dtype)
          : "no argument of the dtype under test",
      },
    }),
  };
}

/** A tensor as TypeScript; a float one without its dtype takes the default of the backend that it is pasted for. */
export function showTensor({ shape, dtype, data }: HostInput, float?: FloatDType): string {
  const options = [`shape: ${showList(shape)}`];
  const own = isFloating(dtype) ? float : dtype;
  if (own !== undefined) options.push(`dtype: "${own}"`);
  return `tensor(${showList(data)}, { ${options.join(", ")} })`;
}

type ShownCall = Pick<Call, "primitive" | "params" | "dtype" | "inputs">;

/** A call on operands that are expressions; undefined where its parameters have no text. */
export function showBind(
  { primitive, params, dtype }: Omit<ShownCall, "inputs">,
  operands: string,
): string | undefined {
  const given = showData(paramsOf({ params }, dtype));
  return given === undefined ? undefined : `${beginOf(primitive)}, ${operands}, ${given})`;
}

const beginOf = ({ rules, name }: Primitive): string =>
  `${rules.form === "multiple" ? "bindMultiple" : "bind"}(primitives().get("${name}")!`;

/** What cannot be pasted, as a comment. */
export const withoutText = (text: string): string =>
  commented(
    `${text}\nSome parameters are more than data, such as functions: only its seed and path (\`replay\`) lead to it again.`,
  );

/** The call as TypeScript that a person can paste; as a comment where its parameters have no text. */
export function showCall(call: ShownCall): string {
  const operands = `[\n${call.inputs.map((input) => `  ${showTensor(input, call.dtype)},\n`).join("")}]`;
  return showBind(call, operands) ?? withoutText(`${beginOf(call.primitive)}, ${operands}, ...)`);
}
