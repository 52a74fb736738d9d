/** Keys give on WebGL the bits that they give on the host. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { categorical, foldIn, gamma, normal, randomKey, splitKey, tensor, uniform } from "cotangent";
import { expect, test } from "vitest";

const webgl = await createTfjsBackend();

test("keys and uniform numbers are the same to the last bit", () => {
  const [here, there] = [randomKey(2 ** 40 + 7), randomKey(2 ** 40 + 7, webgl)];
  expect([...splitKey(there, 5).dataSync()]).toEqual([...splitKey(here, 5).dataSync()]);
  expect([...foldIn(there, -7).dataSync()]).toEqual([...foldIn(here, -7).dataSync()]);
  expect([...uniform(there, [1000]).dataSync()]).toEqual([
    ...uniform(here, [1000], { dtype: "float32" }).dataSync(),
  ]);
});

test("draws made of them differ by the rounding of WebGL's functions alone", () => {
  const [here, there] = [randomKey(3), randomKey(3, webgl)];
  const z = normal(here, [1000], { dtype: "float32" }).dataSync();
  // Numbers of size 6 at most; the sine's argument is up to 2π, and rounded to 2^-22 there.
  normal(there, [1000])
    .dataSync()
    .forEach((x, i) => expect(Math.abs(x - z[i])).toBeLessThan(6 * 2 ** -20));
  const alpha = (backend: typeof webgl | undefined): ReturnType<typeof tensor> =>
    tensor([0.5, 2, 30], { dtype: "float32", ...(backend && { backend }) });
  // Computed on the host.
  expect([...gamma(there, alpha(webgl)).dataSync()]).toEqual([...gamma(here, alpha(undefined)).dataSync()]);
  const logits = [0, 1, 2];
  expect([...categorical(there, tensor(logits, { backend: webgl }), { shape: [50] }).dataSync()]).toEqual([
    ...categorical(here, tensor(logits, { dtype: "float32" }), { shape: [50] }).dataSync(),
  ]);
});
