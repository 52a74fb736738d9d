/** How far a backend's elementary functions are from the truth, in units in the last place. */
import {
  type Backend,
  type FloatDType,
  type Tensor,
  type Value,
  avalOf,
  bind,
  fromHost,
  jit,
  jsBackend,
  primitives,
  tidy,
  withBackend,
} from "cotangent";
import { type ExactFunction, decimal } from "@cotangent/verify";
import { elementaryFunctions } from "./functions.ts";

export interface Accuracy {
  readonly name: string;
  readonly dtype: FloatDType;
  /** How many arguments were tried. */
  readonly samples: number;
  /** The largest error, in units in the last place of the true value, and where it is. */
  readonly error: number;
  readonly at: readonly number[];
  /** Of zeros, infinities and NaN those that should be others; the first of them. */
  readonly wrong: readonly string[];
}

type Column = Float32Array | Float64Array;

/** A primitive on columns of arguments, as a jitted program; what it gives is there until the enclosing `tidy` ends. */
function program(backend: Backend, name: string): (columns: readonly Column[]) => Column {
  const primitive = primitives().get(name);
  if (primitive === undefined) throw new Error(`There is no primitive ${name}.`);
  const f = jit((...args: Value[]) => bind(primitive, args, {}));
  return (columns) =>
    withBackend(backend, () => {
      const args = columns.map((column) =>
        fromHost(column, avalOf([column.length], dtypeOfArray(column)), backend),
      );
      return (f(...args) as Tensor).buffer as Column;
    });
}

const dtypeOfArray = (column: Column): FloatDType => (column instanceof Float32Array ? "float32" : "float64");

const view = new DataView(new ArrayBuffer(8));

/** The distance of a number's neighbours, of those that the dtype has. */
export function unitInTheLastPlace(x: number, dtype: FloatDType): number {
  view.setFloat64(0, x);
  const exponent = ((view.getUint16(0) >> 4) & 0x7ff) - 1023;
  return dtype === "float64" ? 2 ** Math.max(exponent - 52, -1074) : 2 ** Math.max(exponent - 23, -149);
}

/** Zeros with their sign. */
const shown = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

/** Collects the worst of many. */
class Worst {
  private samples = 0;
  private error = 0;
  private at: readonly number[] = [];
  private readonly wrong: string[] = [];
  private readonly name: string;
  private readonly dtype: FloatDType;

  constructor(name: string, dtype: FloatDType) {
    this.name = name;
    this.dtype = dtype;
  }

  /** `wanted` rounded is a zero, an infinity or NaN, or what was found is. */
  special(found: number, wanted: number, args: readonly number[]): void {
    this.samples++;
    if (!Object.is(found, wanted) && this.wrong.length < 5)
      this.wrong.push(`${this.name}(${args.map(shown).join(", ")}) is ${shown(found)}, not ${shown(wanted)}`);
  }

  /** The nearest number that there is: no more than half a unit off, which is all that counts of it. */
  right(): void {
    this.samples++;
    this.error = Math.max(this.error, 0.5);
  }

  number(error: number, args: readonly number[]): void {
    this.samples++;
    if (Number.isNaN(error)) throw new Error(`${this.name}(${args.join(", ")}): the truth is not known.`);
    if (error <= this.error) return;
    this.error = error;
    this.at = args;
  }

  report(): Accuracy {
    const { name, dtype, samples, error, at, wrong } = this;
    return { name, dtype, samples, error, at, wrong };
  }
}

/**
 * Every `stride`th of all float32 numbers, against the reference backend in float64, whose own error is no more than 2^-28 of
 * a unit in the last place of float32.
 */
export function everySingle(backend: Backend, name: string, stride: number, offset = 0): Accuracy {
  const worst = new Worst(name, "float32");
  const [onBackend, onReference] = [program(backend, name), program(jsBackend, name)];
  // As many as stay in a core's cache.
  const chunk = 2 ** 15;
  const [bits, rounded] = [new Int32Array(chunk), new Float32Array(chunk)];
  const [args, roundedBits] = [new Float32Array(bits.buffer), new Int32Array(rounded.buffer)];
  const found = new Float32Array(chunk);
  const foundBits = new Int32Array(found.buffer);
  const [wide, wanted] = [new Float64Array(chunk), new Float64Array(chunk)];
  for (let start = offset; start < 2 ** 32; start += stride * chunk) {
    for (let i = 0; i < chunk; i++) bits[i] = start + i * stride;
    wide.set(args);
    tidy(() => {
      found.set(onBackend([args]));
      wanted.set(onReference([wide]));
    });
    rounded.set(wanted);
    const count = Math.min(chunk, Math.ceil((2 ** 32 - start) / stride));
    for (let i = 0; i < count; i++) {
      if (foundBits[i] === roundedBits[i] || (Number.isNaN(found[i]) && Number.isNaN(rounded[i])))
        worst.right();
      else if (!Number.isFinite(found[i]) || !Number.isFinite(rounded[i]) || found[i] === rounded[i])
        worst.special(found[i], rounded[i], [args[i]]);
      else worst.number(Math.abs(found[i] - wanted[i]) / unitInTheLastPlace(wanted[i], "float32"), [args[i]]);
    }
  }
  return worst.report();
}

/** Arguments at which something may happen. */
const special = [
  0,
  5e-324,
  1e-310,
  2 ** -1022,
  2 ** -149,
  2 ** -126,
  1e-30,
  2 ** -27,
  0.25,
  0.5,
  0.55,
  1,
  1.5,
  2,
  3,
  20,
  40,
  86,
  87.3,
  88.7,
  104,
  707,
  709.7,
  709.8,
  710.3,
  710.48,
  744,
  746,
  2 ** 20,
  2 ** 31,
  2 ** 53,
  1e22,
  1e38,
  3.4e38,
  1e300,
  Number.MAX_VALUE,
  Infinity,
  NaN,
].flatMap((x) => [x, -x]);

/** Of a seed always the same numbers in [0, 1). After G. Marsaglia, Xorshift RNGs, 2003. */
function random(seed: number): () => number {
  let state = BigInt(seed) * 0x9e3779b97f4a7c15n + 1n;
  return () => {
    state ^= (state << 13n) & 0xffffffffffffffffn;
    state ^= state >> 7n;
    state ^= (state << 17n) & 0xffffffffffffffffn;
    return Number((state >> 11n) & 0x1fffffffffffffn) / 2 ** 53;
  };
}

/** One argument: of any size, of moderate size, near a whole multiple of π/2, or near 1. */
function argument(next: () => number): number {
  const kind = next();
  if (kind < 0.25) {
    view.setUint32(0, next() * 2 ** 32);
    view.setUint32(4, next() * 2 ** 32);
    return view.getFloat64(0);
  }
  const sign = next() < 0.5 ? -1 : 1;
  if (kind < 0.75) return sign * 10 ** (next() * 7 - 4);
  if (kind < 0.85) return sign * (Math.round(next() * 10 ** (next() * 6)) * (Math.PI / 2) + 1e-9 * next());
  return sign * (1 + (next() - 0.5) * 10 ** -(next() * 12));
}

function columnsFor(count: number, samples: number, seed: number, dtype: FloatDType): Column[] {
  const next = random(seed);
  const make = (length: number, of: (i: number) => number): Column =>
    dtype === "float64"
      ? Float64Array.from({ length }, (_, i) => of(i))
      : Float32Array.from({ length }, (_, i) => of(i));
  if (count === 1) return [make(samples + special.length, (i) => special[i] ?? argument(next))];
  // Some special, some not, in all combinations.
  const either = (one: boolean): number =>
    one ? special[Math.floor(next() * special.length)] : argument(next);
  return [make(samples, (i) => either(i % 2 === 0)), make(samples, (i) => either(i % 3 === 0))];
}

/**
 * Special values and random ones, against arbitrary precision; where the reference backend gives a zero, an infinity or NaN,
 * against that.
 */
export function sampled(
  backend: Backend,
  name: string,
  dtype: FloatDType,
  samples: number,
  seed: number,
): Accuracy {
  const exact = elementaryFunctions.get(name) as ExactFunction;
  const columns = columnsFor(exact.args.length, samples, seed, dtype);
  const worst = new Worst(name, dtype);
  const [found, reference] = tidy(() => [
    program(backend, name)(columns).slice(),
    program(jsBackend, name)(columns.map((column) => Float64Array.from(column))).slice(),
  ]);
  for (let i = 0; i < found.length; i++) {
    const args = columns.map((column) => column[i]);
    const wanted = dtype === "float32" ? Math.fround(reference[i]) : reference[i];
    if (wanted === 0 || !Number.isFinite(wanted) || !args.every((x) => x !== 0 && Number.isFinite(x)))
      worst.special(found[i], wanted, args);
    else if (!Number.isFinite(found[i])) worst.special(found[i], wanted, args);
    else {
      const truth = exact.of(
        args.map((x) => decimal(x)),
        {},
      );
      const unit = unitInTheLastPlace(truth.toNumber(), dtype);
      worst.number(truth.minus(decimal(found[i])).abs().div(unit).toNumber(), args);
    }
  }
  return worst.report();
}
