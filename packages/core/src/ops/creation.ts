/** Making tensors. */
import { type Aval, type Shape, avalOf } from "../aval.ts";
import { type Backend, currentBackend, requireDType } from "../backend.ts";
import { bind } from "../bind.ts";
import type { DType } from "../dtype.ts";
import { ShapeError, fail } from "../errors.ts";
import { broadcastTo } from "../primitives/shape.ts";
import type { Tensor } from "../tensor.ts";
import { fromHost, hostArray, markUniform, scalarTensor } from "../tensor.ts";
import type { Value } from "../value.ts";

export interface CreationOptions {
  readonly dtype?: DType;
  readonly backend?: Backend;
}

/** A tensor with every element the same. One number is sent to the backend, whatever the shape. */
export function constant(value: number, aval: Aval, backend: Backend): Tensor {
  const scalar = scalarTensor(value, aval.dtype, backend);
  if (aval.shape.length === 0) return scalar;
  return bind(broadcastTo.primitive, [scalar], { shape: aval.shape }).concrete();
}

/** A tensor of that shape with every element `value`. */
export function full(shape: Shape, value: number, options: CreationOptions = {}): Tensor {
  const backend = options.backend ?? currentBackend();
  return constant(value, avalOf(shape, options.dtype ?? backend.defaultDType), backend);
}

export const zeros = (shape: Shape, options?: CreationOptions): Tensor => full(shape, 0, options);
export const ones = (shape: Shape, options?: CreationOptions): Tensor => full(shape, 1, options);

/**
 * A value of that aval with every element the same, where `like` is: on its backend, or in the graph that is being
 * recorded, as an operation rather than as a tensor that the graph keeps.
 */
export function constantLike(like: Value, value: number, aval: Aval): Value {
  if (aval.shape.length === 0) return constant(value, aval, like.backend);
  const recorder = like.recorder();
  return recorder === null
    ? markUniform(constant(value, aval, like.backend), value)
    : recorder.constant(value, aval);
}

/** Zeros in the shape, dtype and backend of x. */
export const zerosLike = (x: Value): Value => constantLike(x, 0, x.aval);
/** Ones in the shape, dtype and backend of x. */
export const onesLike = (x: Value): Value => constantLike(x, 1, x.aval);

/** Elements computed on the host, one by one. */
function generate(shape: Shape, options: CreationOptions, element: (i: number) => number): Tensor {
  const backend = options.backend ?? currentBackend();
  const aval = avalOf(shape, options.dtype ?? backend.defaultDType);
  requireDType(backend, aval.dtype);
  const host = hostArray(aval.dtype, aval.size);
  for (let i = 0; i < host.length; i++) host[i] = element(i);
  return fromHost(host, aval, backend);
}

/**
 * start, start + step ... below stop; `arange(n)` counts from 0.
 *
 * @example `arange(3)` is [0, 1, 2]; `arange(1, 2, 0.5)` is [1, 1.5].
 */
export function arange(start: number, stop?: number, step = 1, options: CreationOptions = {}): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0 || !Number.isFinite(step))
    fail(ShapeError, `arange: step ${step} given; it must be finite and not 0.`);
  const count = Math.max(0, Math.ceil((to - from) / step));
  return generate([count], options, (i) => from + i * step);
}

/** `count` evenly spaced numbers from start to stop, both included. */
export function linspace(start: number, stop: number, count: number, options: CreationOptions = {}): Tensor {
  const weight = (i: number): number => (count === 1 ? 0 : i / (count - 1));
  return generate([count], options, (i) => start * (1 - weight(i)) + stop * weight(i));
}

/** The n by n identity matrix. */
export function eye(n: number, options: CreationOptions = {}): Tensor {
  return generate([n, n], options, (i) => (i % (n + 1) === 0 ? 1 : 0));
}

/**
 * For each index a vector of `depth` elements, 1 at the index and 0 elsewhere, along a new last axis.
 *
 * @throws DTypeError for indices that are not int32.
 */
export function oneHot(indices: Value, depth: number, options: CreationOptions = {}): Value {
  const dtype = options.dtype ?? indices.backend.defaultDType;
  const positions = arange(0, depth, 1, { dtype: "int32", backend: indices.backend });
  return indices
    .reshape([...indices.shape, 1])
    .eq(positions)
    .astype(dtype);
}
