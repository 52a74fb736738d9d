/** Stands in for the browser project on a machine where no browser runs, so that its absence is counted. */
import { inject, test } from "vitest";

const { reason, allowed } = inject("withoutBrowser");

test.skipIf(allowed)("a browser runs the WebGL tests", () => {
  throw new Error(reason);
});

declare module "vitest" {
  interface ProvidedContext {
    readonly withoutBrowser: { readonly reason: string; readonly allowed: boolean };
  }
}
