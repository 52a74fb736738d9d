/** Runs the comparison in a real browser's WebGL: bundles the page's module, opens it, and brings the results back. */
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright";
import { build } from "vite";
import { findBrowser, launchBrowser } from "../../tools/browser.ts";
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

/** Where no browser runs WebGL, or the page fails, says why instead. */
export async function compareInBrowser(
  request: Request,
  digits: Digits,
  progress: Progress,
): Promise<BrowserFindings> {
  let browser: Browser | undefined;
  try {
    await progress("Looking for a browser that runs WebGL");
    const found = await findBrowser();
    await progress("Bundling the page");
    const script = await bundle();
    browser = await launchBrowser(found);
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.exposeFunction("tellHost", progress);
    await page.addScriptTag({ type: "module", content: script });
    await page
      .waitForFunction(() => "compareOnWebGL" in globalThis, undefined, { timeout: 20_000 })
      .catch((error: unknown) => {
        throw complaints.length > 0 ? new Error(complaints.join("\n")) : error;
      });
    const plain: PlainDigits = {
      width: digits.width,
      pixels: [...digits.pixels],
      labels: [...digits.labels],
    };
    const answer = await page.evaluate(
      ([request, digits]) => (globalThis as unknown as PageGlobals).compareOnWebGL(request, digits),
      [JSON.stringify(request), JSON.stringify(plain)] as const,
    );
    return {
      webgl: {
        ran: true,
        browser: `Chromium ${found.version}`,
        from: found.from,
        renderer: found.renderer,
      },
      sweeps: JSON.parse(answer) as SweepResult[],
    };
  } catch (error) {
    return {
      webgl: { ran: false, reason: error instanceof Error ? error.message : String(error) },
      sweeps: [],
    };
  } finally {
    await browser?.close();
  }
}

/** One module with everything that the page needs. */
async function bundle(): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: false,
      target: "esnext",
      rolldownOptions: {
        input: fileURLToPath(new URL("page.ts", import.meta.url)),
        output: { codeSplitting: false },
      },
    },
  });
  if (!("output" in output)) throw new Error("vite gave more than one bundle.");
  return output.output[0].code;
}
