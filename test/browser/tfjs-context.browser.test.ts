/** A file of its own, since the page's WebGL is gone after it. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import type { MathBackendWebGL } from "@tensorflow/tfjs-backend-webgl";
import { engine } from "@tensorflow/tfjs-core";
import { setBackend, tensor } from "cotangent";
import { expect, test } from "vitest";

test("values of a lost WebGL context are refused, not read as zeros", async () => {
  setBackend(await createTfjsBackend());
  const result = tensor([1, 2]).add(1);
  const { gl } = (engine().findBackend("webgl") as unknown as MathBackendWebGL).gpgpu;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  expect(() => result.dataSync()).toThrow(/The browser has taken away the WebGL context/);
  await expect(result.mul(2).data()).rejects.toThrow(/The browser has taken away the WebGL context/);
});
