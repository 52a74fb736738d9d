/** Handwritten digits: a set of images with their labels, and what the cases do with them. */

/** Images of `width` by `width` pixels in [0, 1], one after the other, and the digit that each of them shows. */
export interface Digits {
  readonly width: number;
  readonly pixels: Float32Array;
  readonly labels: Int32Array;
}

export const classes = 10;

/** The images at those positions. */
export function pick({ width, pixels, labels }: Digits, positions: ArrayLike<number>): Digits {
  const size = width * width;
  const picked = new Float32Array(positions.length * size);
  const pickedLabels = new Int32Array(positions.length);
  for (let i = 0; i < positions.length; i++) {
    picked.set(pixels.subarray(positions[i] * size, (positions[i] + 1) * size), i * size);
    pickedLabels[i] = labels[positions[i]];
  }
  return { width, pixels: picked, labels: pickedLabels };
}

/** The first `count` images. */
export function first(digits: Digits, count: number): Digits {
  return pick(
    digits,
    Array.from({ length: count }, (_, i) => i),
  );
}

/** Smaller images, each pixel the mean of a square of the original; `width` must divide the original's. */
export function downsample(digits: Digits, width: number): Digits {
  const factor = digits.width / width;
  if (!Number.isInteger(factor)) throw new RangeError(`${digits.width} pixels do not shrink to ${width}.`);
  const count = digits.labels.length;
  const pixels = new Float32Array(count * width * width);
  for (let image = 0; image < count; image++) {
    for (let row = 0; row < digits.width; row++) {
      for (let column = 0; column < digits.width; column++) {
        const to = (image * width + Math.floor(row / factor)) * width + Math.floor(column / factor);
        pixels[to] += digits.pixels[(image * digits.width + row) * digits.width + column] / factor ** 2;
      }
    }
  }
  return { width, pixels, labels: digits.labels };
}

/** One vector per image with a 1 at its label, as flat rows. */
export function oneHotRows({ labels }: Digits): Float32Array {
  const rows = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => (rows[i * classes + label] = 1));
  return rows;
}

/** One row of pixels per image with a 1 behind them, so that the last weight of a class is its bias. */
export function rowsWithOne({ width, pixels, labels }: Digits): Float32Array {
  const size = width * width;
  const rows = new Float32Array(labels.length * (size + 1)).fill(1);
  labels.forEach((_, i) => rows.set(pixels.subarray(i * size, (i + 1) * size), i * (size + 1)));
  return rows;
}
