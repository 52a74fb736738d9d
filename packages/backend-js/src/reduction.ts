import {
  type Axes,
  type Axis,
  type CumulativeParams,
  type Kernel,
  type Tensor,
  type TypedArray,
  stridesOf,
} from "@cotangent/core";
import { elements, result, stored } from "./storage.ts";
import { offsets } from "./strided.ts";

/** The elements with the named axes moved last: one row of `length` elements per element of the output. */
export function rows(x: Tensor, axes: readonly number[]): { data: TypedArray; length: number } {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const order = [...kept, ...axes];
  const length = axes.reduce((product, i) => product * x.shape[i], 1);
  const source = elements(x);
  if (order.every((axis, i) => axis === i)) return { data: source, length };
  const strides = stridesOf(x.shape);
  const index = offsets(
    order.map((i) => x.shape[i]),
    order.map((i) => strides[i]),
  );
  const data = result(x.aval);
  for (let i = 0; i < data.length; i++) data[i] = source[index[i]];
  return { data, length };
}

type RowReducer = (data: TypedArray, start: number, length: number) => number;

/** `integer` serves int32, where it differs. */
function reduction(real: RowReducer, integer: RowReducer = real): Kernel {
  return ([x], output, params) => {
    const reduce = x.dtype === "int32" ? integer : real;
    const { data, length } = rows(x, (params as Axes).axes);
    const out = result(output);
    for (let i = 0; i < out.length; i++) out[i] = reduce(data, i * length, length);
    return stored(out, output);
  };
}

/** Pairwise summation: an error of O(log n) roundings instead of O(n). */
function pairwiseSum(data: TypedArray, start: number, length: number): number {
  if (length <= 32) {
    let sum = 0;
    for (let i = start; i < start + length; i++) sum += data[i];
    return sum;
  }
  const half = length >> 1;
  return pairwiseSum(data, start, half) + pairwiseSum(data, start + half, length - half);
}

const fold =
  (initial: number, f: (a: number, b: number) => number): RowReducer =>
  (data, start, length) => {
    let total = initial;
    for (let i = start; i < start + length; i++) total = f(total, data[i]);
    return total;
  };

const rowMax = fold(-Infinity, Math.max);

const logSumExp: RowReducer = (data, start, length) => {
  const top = rowMax(data, start, length);
  if (!Number.isFinite(top)) return top;
  const terms = new Float64Array(length);
  for (let i = 0; i < length; i++) terms[i] = Math.exp(data[start + i] - top);
  return top + Math.log(pairwiseSum(terms, 0, length));
};

function argExtremum(better: (a: number, b: number) => boolean): Kernel {
  return ([x], output, params) => {
    const { data, length } = rows(x, [(params as Axis).axis]);
    const out = result(output);
    for (let i = 0; i < out.length; i++) {
      let best = 0;
      for (let j = 1; j < length; j++) {
        const [found, candidate] = [data[i * length + best], data[i * length + j]];
        if (found === found && (better(candidate, found) || candidate !== candidate)) best = j; // a NaN wins, as in numpy
      }
      out[i] = best;
    }
    return stored(out, output);
  };
}

/** Running sums with Neumaier's compensation. */
const cumsum: Kernel = ([x], output, params) => {
  const { axis, reverse } = params as CumulativeParams;
  const source = elements(x);
  const out = result(output);
  const [stride, length] = [stridesOf(x.shape)[axis], x.shape[axis]];
  for (let first = 0; first < source.length; first++) {
    if (Math.floor(first / stride) % length !== 0) continue;
    let [sum, compensation] = [0, 0];
    for (let k = 0; k < length; k++) {
      const i = first + (reverse ? length - 1 - k : k) * stride;
      const next = sum + source[i];
      const lost = Math.abs(sum) >= Math.abs(source[i]) ? sum - next + source[i] : source[i] - next + sum;
      sum = next;
      if (lost === lost) compensation += lost; // NaN only where the sum is infinite already
      out[i] = sum + compensation;
    }
  }
  return out;
};

/** Kernels of the reductions. */
export const reductions: Record<string, Kernel> = {
  sum: reduction(pairwiseSum),
  prod: reduction(
    fold(1, (a, b) => a * b),
    fold(1, Math.imul),
  ),
  reduceMax: reduction(rowMax),
  reduceMin: reduction(fold(Infinity, Math.min)),
  logSumExp: reduction(logSumExp),
  argmax: argExtremum((a, b) => a > b),
  argmin: argExtremum((a, b) => a < b),
  cumsum,
};
