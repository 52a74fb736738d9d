import { matMul, memory, ready, setBackend, tensor2d } from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgl";
import { expect, test } from "vitest";

test("the browser draws into float32 textures", () => {
  const gl = document.createElement("canvas").getContext("webgl2");
  expect(gl?.getExtension("EXT_color_buffer_float")).not.toBeNull();
});

test("the page is isolated, so that threads can share memory", () => {
  expect(crossOriginIsolated).toBe(true);
});

test("tfjs multiplies matrices on WebGL", async () => {
  expect(await setBackend("webgl")).toBe(true);
  await ready();
  const before = memory().numTensors;
  const a = tensor2d([1, 2, 3, 4], [2, 2]);
  const product = matMul(a, a);
  expect([...(await product.data())]).toEqual([7, 10, 15, 22]);
  a.dispose();
  product.dispose();
  expect(memory().numTensors).toBe(before);
});
