/** Surrogate derivatives of what has none. */
import { straight } from "../primitives/cast.ts";
import type { Value } from "../value.ts";

/**
 * A surrogate: a function with exactly the values of `hard`, which is discrete, and the derivatives of `soft`, in both
 * modes and of every order. They are not the derivatives of its values, which are zero; they are those of something
 * smooth in its place, by which a model with rounding or sampling in it can be trained (Y. Bengio, N. Léonard,
 * A. Courville, Estimating or propagating gradients through stochastic neurons, arXiv 1308.3432, 2013).
 *
 * @throws ShapeError or DTypeError where the two give different shapes or dtypes.
 * @example
 * ```ts
 * const step = straightThrough((x) => x.gt(0).astype(x.dtype), (x) => x.sigmoid());
 * step(tensor(0.3)).item(); // 1
 * grad(step)(0.3).item(); // sigmoid'(0.3)
 * ```
 */
export function straightThrough(hard: (x: Value) => Value, soft: (x: Value) => Value): (x: Value) => Value {
  return (x) => straight(hard(x).stopGradient(), soft(x));
}
