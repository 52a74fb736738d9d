/** The parts that run on WebGL, in a real browser. */
import { fileURLToPath } from "node:url";
import { type FoundBrowser, findBrowser } from "../../tools/browser.ts";
import { callInPage, gistOf, messageOf } from "../../tools/page.ts";
import type { Measured } from "../measure.ts";
import type { Skipped } from "../result.ts";

export const webglParts = ["d", "g"] as const;
export type WebGLPart = (typeof webglParts)[number];

export interface Request {
  readonly quick: boolean;
  readonly parts: readonly WebGLPart[];
}

export type MeasuredParts = Readonly<Partial<Record<WebGLPart, readonly Measured[]>>>;

/** What page.ts puts into the page. */
export interface PageGlobals {
  benchOnWebGL(request: string): Promise<string>;
  tellHost(message: string): Promise<void>;
}

export type BrowserFindings =
  | { readonly measured: MeasuredParts; readonly browser: string }
  | { readonly skipped: Skipped };

/** Where no browser runs WebGL, or measuring fails in it, says so instead. */
export async function measureInBrowser(
  request: Request,
  progress: (message: string) => void,
): Promise<BrowserFindings> {
  let found: FoundBrowser;
  try {
    found = await findBrowser();
  } catch (error) {
    return { skipped: { reason: messageOf(error), failed: false } };
  }
  const browser = `Chromium ${found.version} on ${found.renderer}`;
  try {
    const answer = await callInPage(found, {
      module: fileURLToPath(new URL("page.ts", import.meta.url)),
      call: "benchOnWebGL" satisfies keyof PageGlobals,
      args: [JSON.stringify(request)],
      tellHost: (message) => Promise.resolve(progress(message)),
    });
    return { measured: JSON.parse(answer) as MeasuredParts, browser };
  } catch (error) {
    return { skipped: { reason: `It failed in ${browser}: ${gistOf(error)}`, failed: true } };
  }
}
