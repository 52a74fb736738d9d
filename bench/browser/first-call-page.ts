/** Runs in a fresh browser: the first call of a small function. */
import { wasmBackend } from "cotangent";
import type { Ask, Reply } from "../first-calls/first-calls.ts";
import { cotangentBeginner } from "../participants/cotangent.ts";

/** What this module puts into the page. */
export interface FirstCallGlobals {
  firstCall(ask: string): Promise<string>;
}

(globalThis as unknown as FirstCallGlobals).firstCall = (text) => {
  const { x, operations, factor } = JSON.parse(text) as Ask;
  const start = performance.now();
  const found = cotangentBeginner("float32", wasmBackend).small(x, operations, factor);
  const reply: Reply = { found, milliseconds: performance.now() - start };
  return Promise.resolve(JSON.stringify(reply));
};
