/** Compiled programs in a browser: the same laws as in Node, on fewer samples. */
import {
  type Value,
  arange,
  currentBackend,
  jit,
  jsBackend,
  setThreads,
  wasmBackend,
  withBackend,
} from "cotangent";
import { expect, test } from "vitest";
import { counted, until } from "../threads/counted.ts";
import { describeLaws } from "../laws/suite.ts";

test("it is the default", () => {
  expect(currentBackend()).toBe(wasmBackend);
});

describeLaws(
  { backend: wasmBackend, dtype: "float64", reference: jsBackend },
  { samples: 2, programs: 8, cover: false },
);
describeLaws(
  { backend: wasmBackend, dtype: "float32", reference: jsBackend },
  { samples: 2, programs: 8, cover: false },
);

test("workers take part where the page is cross-origin isolated", async () => {
  expect(globalThis.crossOriginIsolated).toBe(true);
  const { pool, run } = counted();
  let total = 0;
  await until(() => {
    const { all, own } = run();
    expect(all).toBe((total += 1000));
    return own < total;
  });
  pool.setThreads(1);
});

test("two threads find what one does, to the last bit", async () => {
  const x = withBackend(wasmBackend, () =>
    arange(0, 200_000, 1, { dtype: "float32" }).mul(1e-4).reshape([400, 500]),
  );
  const f = jit((v: Value) => [v.sin(), v.sum(), v.matmul(v.transpose())]);
  const bits = (): Uint8Array[] =>
    f(x).map((value) => {
      const { buffer, byteOffset, byteLength } = value.dataSync();
      return new Uint8Array(buffer, byteOffset, byteLength).slice();
    });
  const alone = bits();
  expect(setThreads(2)).toBe(2);
  for (let k = 0; k < 5; k++) {
    expect(bits()).toEqual(alone);
    // oxlint-disable-next-line no-await-in-loop -- the worker starts meanwhile
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  expect(setThreads(1)).toBe(1);
});
