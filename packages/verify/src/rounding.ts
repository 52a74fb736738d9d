/**
 * How far rounding errors can move a result, measured instead of bounded: the computation is run again in float64 with
 * random errors, as large as those of the dtype under test, put on everything that a kernel computes. This sees what
 * a bound from the sizes of inputs and outputs cannot: cancellation on the way, and singular neighbourhoods.
 *
 * D. S. Parker, Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic, UCLA CSD-970002 (1997).
 */
import {
  type Aval,
  type Backend,
  type Buffer,
  type FloatDType,
  type Kernel,
  type Params,
  type Tensor,
  type TypedArray,
  fromHost,
  primitives,
} from "@cotangent/core";
import { type Numbers, distance, roundoff } from "./numbers.ts";

/**
 * The error of one kernel, in units of roundoff relative to the sum of the sizes of its terms: float64 kernels are
 * right to about an ulp, float32 ones on a GPU to a few.
 */
export const roundingsPerEvaluation = 8;

/** The smallest normal number of each dtype: below it GPUs flush to zero, and CPUs lose digits. */
export const smallestNormal: Readonly<Record<FloatDType, number>> = {
  float64: 2 ** -1022,
  float32: 2 ** -126,
};

/** Uniform numbers in [0, 1), the same for the same seed (mulberry32, T. Ettinger 2017, public domain). */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The reference backend with the errors of a dtype on all that its kernels compute. */
function noisy(reference: Backend, dtype: FloatDType, random: () => number): Backend {
  /** A random error of either sign, never a negligible one. */
  const error = (): number => (random() < 0.5 ? -1 : 1) * (0.5 + random() / 2);

  const perturbed = (
    { exact, terms }: { exact: TypedArray; terms: TypedArray },
    own: FloatDType,
    moved: Set<number>,
  ): boolean => {
    const relative = roundingsPerEvaluation * Math.max(roundoff[dtype], roundoff[own]);
    let changed = false;
    for (let i = 0; i < exact.length; i++) {
      const x = exact[i];
      // What was only moved from an input, and whole numbers (masks, counts, signs), carry no rounding error.
      if (!Number.isFinite(x) || (Number.isInteger(x) && terms[i] === Math.abs(x)) || moved.has(Math.abs(x)))
        continue;
      exact[i] = x + error() * relative * Math.abs(terms[i]) + error() * smallestNormal[dtype];
      changed = true;
    }
    return changed;
  };

  const withErrors = (
    buffer: Buffer,
    aval: Aval,
    inputs: readonly Tensor[],
    termsOf: (exact: TypedArray) => TypedArray,
  ): Buffer => {
    if (aval.dtype !== "float64" && aval.dtype !== "float32") return buffer;
    const exact = reference.toHostSync(buffer, aval);
    const moved = new Set(inputs.flatMap((input) => Array.from(input.dataSync(), Math.abs)));
    if (!perturbed({ exact, terms: termsOf(exact) }, aval.dtype, moved)) return buffer;
    if (!inputs.some((input) => input.buffer === buffer)) reference.free(reference.adopt(buffer, aval));
    return reference.fromHost(exact, aval);
  };

  const kernels = new Map<string, Kernel>();
  for (const [name, kernel] of reference.kernels) {
    const form = primitives().get(name)?.rules.form;
    const sums = form === "linear" || form === "bilinear";
    kernels.set(name, (inputs, aval, params) =>
      withErrors(kernel(inputs, aval, params), aval, inputs, (exact) =>
        sums ? sumOfTerms(reference, kernel, inputs, aval, params) : exact.map(Math.abs),
      ),
    );
  }
  const multipleKernels = new Map(
    [...reference.multipleKernels].map(([name, kernel]) => [
      name,
      (inputs: readonly Tensor[], avals: readonly Aval[], params: Params): Buffer[] =>
        kernel(inputs, avals, params).map((buffer, i) =>
          withErrors(buffer, avals[i], inputs, (exact) => exact.map(Math.abs)),
        ),
    ]),
  );
  return {
    name: `${reference.name} with rounding errors of ${dtype}`,
    dtypes: reference.dtypes,
    defaultDType: reference.defaultDType,
    kernels,
    multipleKernels,
    fromHost: (data, aval) => reference.fromHost(data, aval),
    scalar: (value, own) => reference.scalar(value, own),
    toHostSync: (buffer, aval) => reference.toHostSync(buffer, aval),
    toHost: (buffer, aval) => reference.toHost(buffer, aval),
    adopt: (buffer, aval) => reference.adopt(buffer, aval),
    free: (token) => reference.free(token),
    memory: () => reference.memory(),
  };
}

/** Of a linear or bilinear primitive, the same sum of the terms' absolute values: those without signs of its inputs. */
function sumOfTerms(
  reference: Backend,
  kernel: Kernel,
  inputs: readonly Tensor[],
  aval: Aval,
  params: Params,
): TypedArray {
  const sizes = inputs.map((input) =>
    input.aval.floating ? fromHost(input.dataSync().map(Math.abs), input.aval, reference) : input,
  );
  return reference.toHostSync(kernel(sizes, aval, params), aval).map(Math.abs);
}

/**
 * The largest change of each number that `compute` gives, over a few runs with rounding errors of the dtype. Not finite
 * where an error makes a result so.
 */
export function roundingSpreads(
  compute: (backend: Backend) => Numbers,
  reference: Backend,
  dtype: FloatDType,
): Float64Array {
  const exact = compute(reference);
  const spreads = new Float64Array(exact.length);
  for (let run = 1; run <= 6; run++) {
    const moved = compute(noisy(reference, dtype, uniform(run)));
    spreads.forEach((spread, i) => (spreads[i] = Math.max(spread, distance([moved[i]], [exact[i]]))));
  }
  return spreads;
}

/** The largest of them. */
export function roundingSpread(
  compute: (backend: Backend) => Numbers,
  reference: Backend,
  dtype: FloatDType,
): number {
  return roundingSpreads(compute, reference, dtype).reduce((a, b) => Math.max(a, b), 0);
}
