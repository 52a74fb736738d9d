/** Random numbers from a seed, the same on every run and in every environment. */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/**
 * Uniform numbers in [-scale, scale], rounded to float32: every backend can hold them exactly, so all of them
 * differentiate at the same point.
 */
export function uniform(count: number, scale: number, seed: number): Float64Array {
  const generator = xoroshiro128plus(seed);
  return Float64Array.from({ length: count }, () => Math.fround(scale * (2 * uniformFloat64(generator) - 1)));
}

/** 0 ... count - 1 in random order. */
export function shuffled(count: number, seed: number): Int32Array {
  const generator = xoroshiro128plus(seed);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = uniformInt(generator, 0, i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
