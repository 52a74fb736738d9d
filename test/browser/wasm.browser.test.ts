/** Compiled programs in a browser: the same laws as in Node, on fewer samples. */
import { currentBackend, jsBackend, wasmBackend } from "cotangent";
import { expect, test } from "vitest";
import { describeLaws } from "../laws/suite.ts";

test("it is the default", () => {
  expect(currentBackend()).toBe(wasmBackend);
});

describeLaws({ backend: wasmBackend, dtype: "float64", reference: jsBackend }, { samples: 2, programs: 8 });
describeLaws({ backend: wasmBackend, dtype: "float32", reference: jsBackend }, { samples: 2, programs: 8 });
