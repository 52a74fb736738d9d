/** Runs the comparison in a real browser's WebGL: bundles the page's module, opens it, and brings the results back. */
import { fileURLToPath } from "node:url";
import { type FoundBrowser, findBrowser } from "../../tools/browser.ts";
import { callInPage, gistOf, messageOf } from "../../tools/page.ts";
import type { Progress, Request, SweepResult } from "../compare/run.ts";
import type { Digits } from "../data/digits.ts";
import type { WebGL } from "../report/result.ts";

export interface BrowserFindings {
  readonly webgl: WebGL;
  readonly sweeps: readonly SweepResult[];
}

/** What page.ts puts into the page; texts are JSON, which travels faster than playwright's own encoding. */
export interface PageGlobals {
  compareOnWebGL(request: string, digits: string): Promise<string>;
  tellHost(message: string): Promise<void>;
}

/** The digits, as JSON can carry them. */
export interface PlainDigits {
  readonly width: number;
  readonly pixels: readonly number[];
  readonly labels: readonly number[];
}

/** Where no browser runs WebGL, or the comparison fails in it, says so instead. */
export async function compareInBrowser(
  request: Request,
  digits: Digits,
  progress: Progress,
): Promise<BrowserFindings> {
  await progress("Looking for a browser that runs WebGL");
  let found: FoundBrowser;
  try {
    found = await findBrowser();
  } catch (error) {
    return { webgl: { ran: false, reason: messageOf(error), failed: false }, sweeps: [] };
  }
  const { version, from, renderer } = found;
  try {
    const sweeps = await compareIn(found, request, digits, progress);
    return { webgl: { ran: true, browser: `Chromium ${version}`, from, renderer }, sweeps };
  } catch (error) {
    const reason = `The comparison failed in Chromium ${version} on ${renderer}: ${gistOf(error)}`;
    return { webgl: { ran: false, reason, failed: true }, sweeps: [] };
  }
}

async function compareIn(
  found: FoundBrowser,
  request: Request,
  digits: Digits,
  progress: Progress,
): Promise<SweepResult[]> {
  await progress("Bundling the page");
  const plain: PlainDigits = {
    width: digits.width,
    pixels: [...digits.pixels],
    labels: [...digits.labels],
  };
  const answer = await callInPage(found, {
    module: fileURLToPath(new URL("page.ts", import.meta.url)),
    call: "compareOnWebGL" satisfies keyof PageGlobals,
    args: [JSON.stringify(request), JSON.stringify(plain)],
    tellHost: progress,
  });
  return JSON.parse(answer) as SweepResult[];
}
