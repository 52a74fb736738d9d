/** Runs the comparison in a real browser's WebGL: bundles the page's module, opens it, and brings the results back. */
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { type FoundBrowser, findBrowser, launchBrowser } from "../../tools/browser.ts";
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
    const reason = `The comparison failed in Chromium ${version} on ${renderer}: ${firstLine(messageOf(error))}`;
    return { webgl: { ran: false, reason, failed: true }, sweeps: [] };
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** An error from the page without playwright's preface and the page's stack. */
const firstLine = (message: string): string => message.replace(/^page\.evaluate: /, "").split("\n")[0];

async function compareIn(
  found: FoundBrowser,
  request: Request,
  digits: Digits,
  progress: Progress,
): Promise<SweepResult[]> {
  await progress("Bundling the page");
  const script = await bundle();
  const browser = await launchBrowser(found);
  try {
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
    return JSON.parse(answer) as SweepResult[];
  } finally {
    await browser.close();
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
