/**
 * The Threefry-2x32 block function with 20 rounds: from a key and a counter of two 32-bit words each to two words that
 * no statistical test tells from random ones. It has no state, so draws are a function of key and position alone.
 *
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC11 (2011), and
 * their library Random123.
 */
const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
/** The parity constant of Skein, from which Threefry was made. */
const parity = 0x1bd11bda;

/** Writes the block of a key and a counter to `out[at]` and `out[at + 1]`. */
export function threefry2x32(
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
  out: Uint32Array,
  at = 0,
): void {
  const schedule = [key0, key1, key0 ^ key1 ^ parity];
  let x = (counter0 + key0) | 0;
  let y = (counter1 + key1) | 0;
  for (let group = 0; group < 5; group++) {
    for (let round = 0; round < 4; round++) {
      const rotation = rotations[(group % 2) * 4 + round];
      x = (x + y) | 0;
      y = ((y << rotation) | (y >>> (32 - rotation))) ^ x;
    }
    x = (x + schedule[(group + 1) % 3]) | 0;
    y = (y + schedule[(group + 2) % 3] + group + 1) | 0;
  }
  out[at] = x;
  out[at + 1] = y;
}
