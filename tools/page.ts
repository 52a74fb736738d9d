/** Runs a module in a browser's page: bundles it, opens it, and calls a function that it has put into the page. */
import { build } from "vite";
import { type FoundBrowser, launchBrowser } from "./browser.ts";

export interface PageCall {
  /** The path of the module. */
  readonly module: string;
  /** The name of the function, which takes texts and promises one. */
  readonly call: string;
  readonly args: readonly string[];
  /** What the page can call as `tellHost(message)`, and what it is answered. */
  readonly tellHost: (message: string) => Promise<unknown>;
}

/** What the function gave; texts are JSON, which travels faster than playwright's own encoding. */
export async function callInPage(
  found: FoundBrowser,
  { module, call, args, tellHost }: PageCall,
): Promise<string> {
  const script = await bundle(module);
  const browser = await launchBrowser(found);
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.exposeFunction("tellHost", tellHost);
    await page.addScriptTag({ type: "module", content: script });
    await page
      .waitForFunction((name) => name in globalThis, call, { timeout: 20_000 })
      .catch((error: unknown) => {
        throw complaints.length > 0 ? new Error(complaints.join("\n")) : error;
      });
    return await page.evaluate(
      ([name, ...texts]) =>
        (globalThis as unknown as Record<string, (...texts: string[]) => Promise<string>>)[name](...texts),
      [call, ...args],
    );
  } finally {
    await browser.close();
  }
}

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The first line of it, of an error in the page without playwright's preface and the page's stack. */
export function gistOf(error: unknown): string {
  return messageOf(error)
    .replace(/^page\.evaluate: /, "")
    .split("\n")[0];
}

/** One module with everything that the page needs. */
async function bundle(input: string): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: false,
      target: "esnext",
      rolldownOptions: { input, output: { codeSplitting: false } },
    },
  });
  if (!("output" in output)) throw new Error("vite gave more than one bundle.");
  return output.output[0].code;
}
