/** Keys of random numbers: where each draw says what its bits are a function of. */
import { avalOf } from "../aval.ts";
import { type Backend, currentBackend } from "../backend.ts";
import { CotangentError, fail } from "../errors.ts";
import { foldKeys, splitKeys } from "../primitives/random.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { Value } from "../value.ts";

/**
 * A key from a whole number. A key is a value like any other, int32[4], with a quarter of 64 bits in each element, so
 * that every backend has it exactly; it may be an argument, an element of a batch or part of a tree.
 *
 * A key is used once: draw from it, or split it and use the parts. The same key gives the same numbers again.
 *
 * @throws CotangentError for a seed that is no safe whole number.
 * @example
 * ```ts
 * const keys = splitKey(randomKey(0), 2);
 * const x = normal(keys.at(0), [3]);
 * const noisy = x.add(uniform(keys.at(1), [3]));
 * ```
 */
export function randomKey(seed: number, backend: Backend = currentBackend()): Tensor {
  if (!Number.isSafeInteger(seed)) {
    fail(
      CotangentError,
      `randomKey: the seed ${seed} was given; it must be a whole number below 2^53 in size.`,
    );
  }
  const high = Math.floor(seed / 2 ** 32);
  const quarters = [high >>> 16, high & 0xffff, seed >>> 16, seed & 0xffff].map((part) => part & 0xffff);
  return tensor(quarters, { dtype: "int32", backend });
}

/**
 * `count` new keys [count, 4] from one, each as good as the first; of keys [..., 4], each is split: [..., count, 4].
 * `keys.at(i)` is one of them.
 *
 * @throws ShapeError or DTypeError for what is no key.
 */
export function splitKey(key: Value, count = 2): Value {
  return splitKeys(key, { count });
}

/**
 * A key for each whole number, from one key: for the steps of a loop, say. With keys [..., 4] there is one number for
 * all of them, or one for each.
 *
 * @throws ShapeError or DTypeError for what is no key, or numbers that are not int32.
 */
export function foldIn(key: Value, data: Value | number): Value {
  const aval = avalOf(key.shape.slice(0, -1), "int32");
  return foldKeys(key, data instanceof Value ? data.broadcastTo(aval.shape) : key.constant(data, aval));
}

/** The parts of a key split in two. */
export function twoKeys(key: Value): [Value, Value] {
  const keys = splitKey(key, 2);
  return [keys.at(0, -2), keys.at(1, -2)];
}

/** The axes of several keys in front of a key's own. */
export const axesOfKeys = (key: Value): readonly number[] => key.shape.slice(0, Math.max(0, key.rank - 1));
