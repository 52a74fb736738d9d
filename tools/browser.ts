/**
 * Finds a Chromium that can really compute with WebGL, for the tests and for scripts.
 *
 * In this order: the one that `COTANGENT_CHROMIUM` (or `CHROME_PATH`) names, an installed Chrome or Chromium,
 * the one inside the npm package `@sparticuz/chromium`. Each is started once before it is trusted.
 *
 * Without a GPU the pages run on SwiftShader, a software WebGL. `COTANGENT_GPU=1` leaves the choice to Chromium.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Launcher } from "chrome-launcher";
import { type Browser, chromium } from "playwright";

/** What playwright needs to start the browser, and where it came from. */
export interface FoundBrowser {
  readonly from: string;
  readonly version: string;
  readonly renderer: string;
  readonly launchOptions: LaunchOptions;
}

export interface LaunchOptions {
  readonly executablePath: string;
  readonly args: string[];
  readonly env: Record<string, string>;
}

interface Candidate {
  readonly from: string;
  readonly executablePath: string;
  readonly env?: Record<string, string>;
}

const softwareWebGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];

const args = [
  "--headless=new",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--ignore-gpu-blocklist",
  // Tests of memory ask for a collection.
  "--js-flags=--expose-gc",
  ...(process.env["COTANGENT_GPU"] === "1" ? [] : softwareWebGL),
];

/** The first browser that passes the WebGL probe. Throws an error that says what was tried and what to do. */
export async function findBrowser(): Promise<FoundBrowser> {
  const failures: string[] = [];
  for await (const candidate of candidates(failures)) {
    try {
      return await probe(candidate);
    } catch (error) {
      failures.push(`${candidate.from} (${candidate.executablePath}): ${gist(error)}`);
    }
    // Somebody who names a browser wants that one and no other.
    if (named() !== undefined) break;
  }
  throw new Error(
    [
      "No browser here can run WebGL2 with float32 textures. Tried:",
      ...failures.map((failure) => `  - ${failure}`),
      "Install Chrome or Chromium, or set COTANGENT_CHROMIUM to the path of one.",
    ].join("\n"),
  );
}

/** Starts the found browser: `const browser = await launchBrowser(); const page = await browser.newPage()`. */
export async function launchBrowser(found?: FoundBrowser): Promise<Browser> {
  const { launchOptions } = found ?? (await findBrowser());
  return chromium.launch(launchOptions);
}

function named(): string | undefined {
  return process.env["COTANGENT_CHROMIUM"] || process.env["CHROME_PATH"] || undefined;
}

async function* candidates(failures: string[]): AsyncGenerator<Candidate> {
  const path = named();
  if (path !== undefined) {
    yield { from: "named by the environment", executablePath: path };
    return;
  }
  for (const executablePath of installed()) yield { from: "installed", executablePath };
  try {
    yield await fromRegistry();
  } catch (error) {
    failures.push(`@sparticuz/chromium: ${gist(error)}`);
  }
}

function installed(): string[] {
  const playwrights = chromium.executablePath();
  const found = existsSync(playwrights) ? [playwrights] : [];
  try {
    found.unshift(...Launcher.getInstallations());
  } catch {
    // chrome-launcher throws where it finds none.
  }
  return [...new Set(found)];
}

/** Unpacks the browser that the npm package carries, with its libraries and fonts, once per checkout. */
async function fromRegistry(): Promise<Candidate> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(`it is for Linux on x64; this is ${process.platform} on ${process.arch}`);
  }
  const { version } = createRequire(import.meta.url)("../node_modules/@sparticuz/chromium/package.json") as {
    version: string;
  };
  const cache = fileURLToPath(new URL("../node_modules/.cache/cotangent/", import.meta.url));
  const home = join(cache, `chromium-${version}`);
  if (!existsSync(home)) {
    await mkdir(cache, { recursive: true });
    const staging = await mkdtemp(join(cache, "unpacking-"));
    try {
      await unpack(staging);
      await writeFile(join(staging, "fonts.conf"), fontsConf(join(home, "fonts")));
      // Of several that unpack at the same time the first one in gives the folder its name.
      await rename(staging, home).catch((error: unknown) => {
        if (!existsSync(home)) throw error;
      });
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }
  const libraries = [join(home, "al2023/lib"), process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(":");
  return {
    from: "the npm package @sparticuz/chromium",
    executablePath: join(home, "chromium"),
    env: { LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: join(home, "fonts.conf") },
  };
}

/**
 * The package unpacks into the temporary folder, and its libraries (NSS, expat) only where it believes to be on
 * AWS Lambda. A process of its own keeps both settings out of this one.
 */
async function unpack(folder: string): Promise<void> {
  const code = `import chromium from "@sparticuz/chromium"; await chromium.executablePath();`;
  await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", code], {
    cwd: dirname(fileURLToPath(import.meta.url)),
    env: { ...process.env, TMPDIR: folder, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x" },
  });
}

function fontsConf(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${folder}</dir>
  <cachedir>${folder}/cache</cachedir>
</fontconfig>
`;
}

async function probe({ from, executablePath, env }: Candidate): Promise<FoundBrowser> {
  const launchOptions = { executablePath, args, env: { ...definedEnvironment(), ...env } };
  const browser = await chromium.launch({ ...launchOptions, timeout: 30_000 });
  try {
    const page = await browser.newPage();
    const renderer = await page.evaluate(webGLRenderer);
    return { from, version: browser.version(), renderer, launchOptions };
  } finally {
    await browser.close();
  }
}

function definedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Runs in the page: clears a float32 texture to a value that only float32 holds, and reads it back. */
function webGLRenderer(): string {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (gl === null) throw new Error("it gives no WebGL2 context");
  if (gl.getExtension("EXT_color_buffer_float") === null)
    throw new Error("it cannot draw into float32 textures");
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, 1, 1);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const value = Math.fround(1 + 2 ** -23);
  gl.clearBufferfv(gl.COLOR, 0, [value, 0, 0, 1]);
  const pixel = new Float32Array(4);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.FLOAT, pixel);
  if (pixel[0] !== value) throw new Error(`a float32 texture gave back ${pixel[0]} for ${value}`);
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  return String(gl.getParameter(info === null ? gl.RENDERER : info.UNMASKED_RENDERER_WEBGL));
}

/** The first line, and what the browser itself complained of; not playwright's page of flags. */
function gist(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const lines = message.split("\n").filter((line, i) => i === 0 || line.includes("[err]"));
  return lines.slice(0, 3).join("\n      ");
}
