/**
 * The elementary functions of backend-wasm, on a few of the arguments that `pnpm accuracy` tries. The bounds are those that
 * the package promises: 2 units in the last place in float32, 4 in float64.
 */
import { jit, primitives, wasmBackend, withBackend, bind, tensor, type Tensor, type Value } from "cotangent";
import { describe, expect, test } from "vitest";
import { elementaryFunctions } from "../accuracy/functions.ts";
import { everySingle, sampled } from "../accuracy/measure.ts";

const seed = Number(process.env["COTANGENT_SEED"] ?? 20261);

describe.each([...elementaryFunctions.keys()])(`%s (seed ${seed})`, (name) => {
  const isUnary = elementaryFunctions.get(name)?.args.length === 1;
  test("float32 within 2 units in the last place", () => {
    // A prime, so that all bits vary.
    const found = isUnary
      ? everySingle(wasmBackend, name, 1_000_003, seed % 1_000_003)
      : sampled(wasmBackend, name, "float32", 1500, seed);
    expect(found.samples).toBeGreaterThan(1000);
    expect(found.wrong).toEqual([]);
    expect(found.error).toBeLessThan(2);
  });
  test("float64 within 4 units in the last place", () => {
    const found = sampled(wasmBackend, name, "float64", 100, seed);
    expect(found.wrong).toEqual([]);
    expect(found.error).toBeLessThan(4);
  });
  test("one number is computed as many are", () => {
    const primitive = primitives().get(name);
    if (primitive === undefined) throw new Error(`no primitive ${name}`);
    const columns =
      elementaryFunctions.get(name)?.args.length === 1
        ? [[0.3, 0.7, 1.6]]
        : [
            [0.3, 0.7, 1.6],
            [2.5, 0.1, 1],
          ];
    const f = jit((...args: Value[]) => bind(primitive, args, {}));
    withBackend(wasmBackend, () => {
      const many = f(...columns.map((column) => tensor(column))) as Tensor;
      const each = columns[0].map((_, i) =>
        (f(...columns.map((column) => tensor(column[i]))) as Tensor).item(),
      );
      expect(each).toEqual(Array.from(many.dataSync()));
    });
  });
});
