/** Arbitraries of fast-check for properties of your own: shapes, numbers, tensors, trees and programs. */
import {
  type Backend,
  type DType,
  type Domain,
  type FloatDType,
  type Primitive,
  type Shape,
  type Tensor,
  type Value,
  avalOf,
  backendNamed,
  currentBackend,
  fromHost,
  hostArray,
  interval,
  isFloating,
  real,
  sizeOf,
} from "@cotangent/core";
import {
  Arbitrary,
  type GeneratorValue,
  type Random,
  type Stream,
  Value as FastCheckValue,
  array,
  bigInt,
  constant,
  constantFrom,
  dictionary,
  gen,
  integer,
  oneof,
  shuffledSubarray,
  stream,
  toStringMethod,
} from "fast-check";
import {
  type Call,
  RecordedDraw,
  type ShapeOptions,
  clearOfKinks,
  defaultMargin,
  drawCall,
  isArbitrary,
  shapeBounds,
  showCall,
} from "./draw.ts";
import { type ProgramOptions, drawProgram } from "./programs.ts";
import { type Subject, upload } from "./subject.ts";

const drawn = <T>(draw: (from: RecordedDraw) => T): Arbitrary<T> =>
  gen().map((generate: GeneratorValue) => draw(new RecordedDraw(generate)));

export type { ShapeOptions };

/**
 * Shapes of rank 0 to 3 and sizes 0 to 3, unless bounds are given; a bound beyond these takes the other one along.
 *
 * @throws RangeError where nothing is between the bounds, or one is no whole number from 0 on.
 * @example `fc.property(shapes({ minRank: 1 }), (shape) => zeros(shape).sum().item() === 0)`
 */
export function shapes(options: ShapeOptions = {}): Arbitrary<Shape> {
  const bounds = shapeBounds(options);
  return drawn((draw) => draw.shape(bounds));
}

/** So many shapes that broadcast together: axes of size 1, and missing ones, among them. */
export const broadcastableShapes = (count: number): Arbitrary<readonly Shape[]> =>
  drawn((draw) => draw.broadcastable(count));

/** The dtypes that a backend has. */
export const dtypes = (backend: Backend = currentBackend()): Arbitrary<DType> =>
  constantFrom(...backend.dtypes);

/** The dtypes of a backend that have derivatives. */
export const floatDTypes = (backend: Backend = currentBackend()): Arbitrary<FloatDType> =>
  constantFrom(...backend.dtypes.filter((dtype): dtype is FloatDType => isFloating(dtype)));

export interface NumberOptions {
  /**
   * Whether NaN, infinities, the largest and the smallest numbers that there are come too, which no domain need have. Not among
   * whole numbers (`integer`), nor in tensors whose elements all differ (`distinct`).
   */
  readonly special?: boolean;
}

/** Beyond any domain. */
const special = [NaN, Infinity, -Infinity, Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, 2 ** -1022, -0];

/**
 * Numbers of a domain, clear of its kinks by its margin. A third of them is where things happen: at the ends of the domain,
 * next to them, as near to a kink as may be, at whole numbers, and next to 0.
 *
 * @example `fc.property(numbers(positive()), (x) => Math.exp(Math.log(x)) - x < 1e-15 * x)`
 */
export function numbers(domain: Domain = real(), options: NumberOptions = {}): Arbitrary<number> {
  const { low, high, kinks = [], margin = defaultMargin } = domain;
  if (domain.integer === true) return integer({ min: Math.ceil(low), max: Math.floor(high) });
  const width = high - low;
  const grid = 2n ** 52n;
  const inside = (x: number): boolean =>
    x >= low && x <= high && kinks.every((kink) => Math.abs(x - kink) >= margin);
  const anywhere = bigInt({ min: -grid / 2n, max: grid / 2n }).map((key) =>
    clearOfKinks(Math.min(high, low + width / 2 + width * (Number(key) / Number(grid))), domain),
  );
  const small = integer({ min: 1, max: 60 }).map((k) => 2 ** -k);
  const atEnds = [low, high].map((end) => constant(end));
  const nextToEnds = [low, high].map((end, i) => small.map((step) => end + (i === 0 ? step : -step) * width));
  const nextToKinks = kinks.flatMap((kink) => [constant(kink - margin), constant(kink + margin)]);
  const whole = integer({ min: Math.ceil(low), max: Math.max(Math.ceil(low), Math.floor(high)) });
  const nextTo0 = [1, -1].map((sign) => small.map((step) => sign * step));
  const edges = oneof(...atEnds, ...nextToEnds, ...nextToKinks, whole, ...nextTo0, constant(0), constant(-0));
  return oneof(
    { weight: 8, arbitrary: anywhere },
    {
      weight: 4,
      arbitrary: oneof(edges, anywhere).map((x) =>
        inside(x) ? x : clearOfKinks(clamped(x, low, high), domain),
      ),
    },
    ...(options.special === true ? [{ weight: 2, arbitrary: constantFrom(...special) }] : []),
  );
}

const clamped = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x));

/** So many numbers of a domain: all different where it says so. */
function elements(domain: Domain, count: number, options: NumberOptions): Arbitrary<number[]> {
  if (domain.distinct !== true)
    return array(numbers(domain, options), { minLength: count, maxLength: count });
  const ranks = Array.from({ length: count }, (_, i) => i);
  return shuffledSubarray(ranks, { minLength: count, maxLength: count }).map((order) =>
    order.map((rank) => domain.low + ((domain.high - domain.low) * (rank + 0.5)) / count),
  );
}

export interface TensorOptions extends NumberOptions {
  /** By default any of `shapes()`. */
  readonly shape?: Shape | Arbitrary<Shape>;
  /** By default the backend's own. */
  readonly dtype?: DType | Arbitrary<DType>;
  /** Of the elements; by default small whole numbers for int32, and `real()` for floats. */
  readonly domain?: Domain;
  /** By default the current one. */
  readonly backend?: Backend;
}

/**
 * Tensors, whose elements are those of `numbers`.
 *
 * @example
 * ```ts
 * const some = tensors({ shape: shapes({ minSize: 1 }), domain: positive() });
 * fc.assert(fc.property(some, (x) => x.log().exp().sub(x).abs().max().item() < 1e-14));
 * ```
 */
export function tensors(options: TensorOptions = {}): Arbitrary<Tensor> {
  const { backend = currentBackend(), shape = shapes(), dtype = backend.defaultDType } = options;
  const either = <T>(given: T | Arbitrary<T>): Arbitrary<T> => (isArbitrary(given) ? given : constant(given));
  return either<Shape>(shape).chain((size) =>
    either<DType>(dtype).chain((own) => {
      const domain =
        own === "bool"
          ? interval(0, 1, { integer: true })
          : (options.domain ?? (own === "int32" ? interval(-3, 3, { integer: true }) : real()));
      return elements(domain, sizeOf(size), options).map((data) => {
        const host = hostArray(own, data.length);
        host.set(data);
        return fromHost(host, avalOf(size, own), backend);
      });
    }),
  );
}

/** Arrays and plain objects, nested, with something at each leaf. */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };

/**
 * Trees of up to so many levels with at least one leaf: what functions take and give.
 *
 * @example `fc.property(trees(tensors()), (params) => leaves(params).length > 0)`
 */
export function trees<T>(leaf: Arbitrary<T>, depth = 2): Arbitrary<Tree<T>> {
  if (depth === 0) return leaf;
  const child = trees(leaf, depth - 1);
  return oneof(
    leaf,
    array(child, { minLength: 1, maxLength: 3 }),
    dictionary(constantFrom("w", "b", "scale", "layers"), child, {
      minKeys: 1,
      maxKeys: 3,
      noNullPrototype: true,
    }),
  );
}

/** A random program: a function of several values with several results, and a point at which it is smooth. */
export class Program {
  /** All of it as TypeScript that can be pasted and runs: `point`, and `f` that takes it. */
  readonly text: string;
  /** What its steps are: primitives, control flow, transformations, and which of these within which. */
  readonly features: readonly string[];
  readonly #subject: Subject;

  constructor(subject: Subject) {
    this.text = subject.text;
    this.features = subject.features ?? [];
    this.#subject = subject;
  }

  /** The point as tensors. */
  point(backend: Backend = currentBackend(), dtype: FloatDType = "float64"): Value[] {
    return this.#subject.point.map((input) => upload(input, backend, dtype));
  }

  /** The program itself, by the functions that users call: of tensors, or within any transformation. */
  readonly run = (...inputs: Value[]): Value[] => this.#subject.apply(inputs, []);

  /** Programs each smaller by one thing: for shrinking. */
  *smaller(): Generator<Program> {
    for (const subject of this.#subject.smaller?.() ?? []) yield new Program(subject);
  }

  toString(): string {
    return this.text;
  }

  [toStringMethod](): string {
    return this.text;
  }
}

export interface ProgramsOptions extends ProgramOptions {
  /** The most steps; by default 6. */
  readonly steps?: number;
  /** Where values are computed that say what may come next; by default the registered backend "js". */
  readonly reference?: Backend;
}

/**
 * Well-typed programs of registered primitives: with shared subexpressions, control flow, and transformations of parts of
 * themselves, nested in each other. They are finite and smooth at their point, and shrink to the smallest that still fails.
 *
 * @example
 * ```ts
 * fc.assert(fc.property(programs(), (program) => {
 *   const point = program.point();
 *   const [, back] = vjp(program.run, ...point);
 *   back(program.run(...point));
 * }));
 * ```
 */
export function programs({ steps = 6, reference, ...options }: ProgramsOptions = {}): Arbitrary<Program> {
  const made = drawn(
    (draw) => new Program(drawProgram(draw, reference ?? backendNamed("js"), steps, options)),
  );
  return new ShrinkingPrograms(made);
}

/** Programs that shrink by the choices they were made by, and then are taken apart. */
class ShrinkingPrograms extends Arbitrary<Program> {
  readonly #made: Arbitrary<Program>;

  constructor(made: Arbitrary<Program>) {
    super();
    this.#made = made;
  }

  generate(random: Random, bias: number | undefined): FastCheckValue<Program> {
    return this.#made.generate(random, bias);
  }

  canShrinkWithoutContext(value: unknown): value is Program {
    return value instanceof Program;
  }

  shrink(program: Program, context: unknown): Stream<FastCheckValue<Program>> {
    const parts = stream(
      (function* (): Generator<FastCheckValue<Program>> {
        for (const smaller of program.smaller()) yield new FastCheckValue(smaller, undefined);
      })(),
    );
    return context === undefined ? parts : this.#made.shrink(program, context).join(parts);
  }
}

/** A call of a primitive where its own record says that it is smooth, with its text. */
export interface PrimitiveCall extends Call {
  readonly text: string;
}

/** Calls of a primitive, as the laws draw them. */
export const calls = (primitive: Primitive, dtype: FloatDType = "float64"): Arbitrary<PrimitiveCall> =>
  drawn((draw) => {
    const call = drawCall(draw, primitive, dtype);
    return { ...call, text: showCall(call) };
  });
