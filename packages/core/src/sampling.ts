import type { Shape } from "./aval.ts";
import type { FloatDType } from "./dtype.ts";
import type { Params } from "./primitive.ts";

/**
 * Where a primitive is smooth, said by the primitive itself, so that a verification suite can sample it without
 * knowing it. Core draws nothing: whoever samples supplies a `Draw`, which may shrink.
 */
export interface Domain {
  readonly low: number;
  readonly high: number;
  /** Points that are kept clear of, by `margin`. */
  readonly kinks?: readonly number[];
  readonly margin?: number;
  /** All elements differ, by at least `margin` (maxima without ties). */
  readonly distinct?: boolean;
  /** What some of the elements are, in place of a number from low to high: infinities, NaN. */
  readonly special?: readonly number[];
  /** Whole numbers only. */
  readonly integer?: boolean;
}

/** All reals, as far as tests sample them. */
export function real(options: Partial<Domain> = {}): Domain {
  return { low: -3, high: 3, ...options };
}

/** Numbers well above zero. */
export function positive(options: Partial<Domain> = {}): Domain {
  return { low: 0.2, high: 4, ...options };
}

export function interval(low: number, high: number, options: Partial<Domain> = {}): Domain {
  return { low, high, ...options };
}

/** A source of choices. */
export interface Draw {
  /** A whole number from low to high, both included. */
  int(low: number, high: number): number;
  bool(): boolean;
  choose<T>(options: readonly T[]): T;
  /** The size of an axis up to that, 0 now and then. */
  size(high: number): number;
  /** A shape whose rank lies in [minRank, maxRank], sizes 0 and 1 among them unless `minSize` forbids. */
  shape(options?: { minRank?: number; maxRank?: number; minSize?: number; maxSize?: number }): number[];
  /** Shapes that broadcast together. */
  broadcastable(count: number): number[][];
}

export interface ArgumentSample {
  readonly shape: Shape;
  /** "float" stands for whichever floating dtype is under test. */
  readonly dtype: "float" | "int32" | "bool";
  readonly domain: Domain;
}

/** One valid call of a primitive, up to the elements. */
export interface Sample {
  readonly inputs: readonly ArgumentSample[];
  /** The parameters; as a function of the floating dtype under test where they depend on it, as nested graphs do. */
  readonly params: Params | ((float: FloatDType) => Params);
}

/** The parameters of a sample for a floating dtype. */
export function paramsOf({ params }: Pick<Sample, "params">, float: FloatDType): Params {
  return typeof params === "function" ? (params as (float: FloatDType) => Params)(float) : params;
}

export function argument(
  shape: Shape,
  domain: Domain = real(),
  dtype: ArgumentSample["dtype"] = "float",
): ArgumentSample {
  return { shape, dtype, domain };
}

/** Whole numbers in [0, count), for indices. */
export function indices(shape: Shape, count: number): ArgumentSample {
  return { shape, dtype: "int32", domain: { low: 0, high: count - 1, integer: true } };
}

export function bools(shape: Shape): ArgumentSample {
  return { shape, dtype: "bool", domain: { low: 0, high: 1, integer: true } };
}
