/**
 * Checks the packages as a user gets them: packs each one, judges the tarballs, installs them into a project
 * outside the workspace, and runs the README's first example there: under plain Node, from the oldest supported
 * release on, and bundled for the browser.
 *
 * The example is the README's first ```ts block. What it should print stands in it: `// -> text` after a
 * `console.log(...)` or on the lines below it, one for each printed line. It should log strings, since Node and
 * browsers show objects differently.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build, preview } from "vite";
import { launchBrowser } from "./browser.ts";

interface PackageManifest {
  readonly name: string;
  readonly version: string;
}

interface Packed {
  readonly manifest: PackageManifest;
  readonly tarball: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));

/** The oldest Node that the packages say they support, from the package that carries its binary. */
const oldestNode = { name: `node-${nodePlatform()}-${process.arch}`, version: "22" };

const { code, expected } = example(await readFile(join(root, "README.md"), "utf8"));
const project = await mkdtemp(join(tmpdir(), "cotangent-consumer-"));
try {
  const packages = await packAll();
  for (const packed of packages) await judge(packed);
  step(`${packages.length} tarballs pass publint and attw, without \`any\` in their declarations`);

  await install(packages);
  step("they install with npm outside the workspace");

  await run(join(root, "node_modules/.bin/tsc"), ["-p", "."]);
  step("the README's first example type-checks against the declarations");

  for (const node of [process.execPath, join("node_modules", oldestNode.name, "bin/node")]) {
    const version = (await run(node, ["--version"])).trim();
    for (const { manifest } of packages) {
      await run(node, ["--input-type=module", "--eval", `await import(${JSON.stringify(manifest.name)})`]);
    }
    compare(`Node ${version}`, (await run(node, ["example.js"])).trimEnd().split("\n"));
    step(`every package loads and the example prints what the README says under plain Node ${version}`);
  }

  const judged = await run(join("node_modules", ".bin", "cotangent-verify"), [
    "--primitive",
    "sin",
    "--backend",
    "js,wasm",
    "--samples",
    "5",
    "--seed",
    "1",
  ]);
  if (!/\b0 failures, 0 checks left out\b/.test(judged)) throw new Error(`cotangent-verify said:\n${judged}`);
  step("cotangent-verify judges a primitive on the installed backends");

  compare("the browser", await runInBrowser());
  step("the example prints the same in the browser, bundled by vite");
} finally {
  await rm(project, { recursive: true, force: true });
}

function step(message: string): void {
  console.log(`✓ ${message}`);
}

function example(readme: string): { code: string; expected: string[] } {
  const code = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1];
  if (code === undefined) throw new Error("README.md has no ```ts block");
  const expected = [...code.matchAll(/\/\/ -> (.*)$/gm)].map((match) => match[1].trimEnd());
  if (expected.length === 0)
    throw new Error("The README's first example says nowhere what it prints (`// -> text`)");
  return { code, expected };
}

async function packAll(): Promise<Packed[]> {
  const folders = await readdir(join(root, "packages"), { withFileTypes: true });
  return Promise.all(
    folders
      .filter((entry) => entry.isDirectory())
      .map(async (entry): Promise<Packed> => {
        const folder = join(root, "packages", entry.name);
        const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as PackageManifest;
        const tarball = join(project, `${entry.name}.tgz`);
        await run("pnpm", ["pack", "--out", tarball], folder);
        return { manifest, tarball };
      }),
  );
}

async function judge({ manifest, tarball }: Packed): Promise<void> {
  const bytes = await readFile(tarball);
  const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(bytes).buffer }, strict: true });
  const faults = messages.map((message) => formatMessage(message, pkg, { color: false }));
  const listing = await run("tar", ["-tzf", tarball]);
  for (const file of ["LICENSE", "README.md", "dist/index.js", "dist/index.d.ts"]) {
    if (!listing.includes(`package/${file}\n`)) faults.push(`${file} is missing`);
  }
  const declarations = await run("tar", ["-xzOf", tarball, "package/dist/index.d.ts"]);
  faults.push(...mentionsOfAny(declarations));
  if (faults.length > 0) throw new Error(`${manifest.name}:\n  ${faults.join("\n  ")}`);
  await run(join(root, "node_modules/.bin/attw"), [tarball, "--profile", "esm-only"]);
}

/** Lint forbids the word; this finds the `any` that inference let into a signature. */
function mentionsOfAny(declarations: string): string[] {
  const withoutComments = declarations.replace(/\/\*.*?\*\/|\/\/.*$/gms, "");
  const lines = withoutComments.split("\n").filter((line) => /[:<|&,(=[] *any\b(?! *[:(?])/.test(line));
  return lines.map((line) => `a declaration says \`any\`: ${line.trim()}`);
}

async function install(packages: readonly Packed[]): Promise<void> {
  const manifest = {
    private: true,
    type: "module",
    dependencies: Object.fromEntries(
      packages.map((packed) => [packed.manifest.name, `file:${packed.tarball}`]),
    ),
    devDependencies: { [oldestNode.name]: oldestNode.version },
  };
  const tsconfig = {
    compilerOptions: {
      target: "es2024",
      lib: ["es2024", "esnext.disposable", "dom"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      types: [],
    },
    files: ["example.ts"],
  };
  await writeFile(join(project, "package.json"), JSON.stringify(manifest));
  await writeFile(join(project, "tsconfig.json"), JSON.stringify(tsconfig));
  await writeFile(join(project, "example.ts"), code);
  await writeFile(join(project, "example.js"), stripTypeScriptTypes(code));
  await writeFile(
    join(project, "index.html"),
    `<!doctype html><script type="module" src="./example.ts"></script>`,
  );
  await run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"]);
}

async function runInBrowser(): Promise<string[]> {
  await build({ root: project, logLevel: "warn" });
  const server = await preview({ root: project, logLevel: "warn", preview: { port: 0, host: "127.0.0.1" } });
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    const printed: string[] = [];
    page.on("console", (message) => {
      // Browsers ask for a favicon and log that there is none.
      if (!message.location().url.endsWith("/favicon.ico")) printed.push(...message.text().split("\n"));
    });
    page.on("pageerror", (error) => printed.push(`Uncaught ${error.message}`));
    const url = server.resolvedUrls?.local[0];
    if (url === undefined) throw new Error("vite's preview server has no address");
    await page.goto(url);
    // A module may await after the page has loaded.
    for (let i = 0; i < 100 && printed.length < expected.length; i++) await page.waitForTimeout(100);
    return printed;
  } finally {
    await browser.close();
    await server.close();
  }
}

function compare(where: string, printed: readonly string[]): void {
  const same = printed.length === expected.length && printed.every((line, i) => line === expected[i]);
  if (same) return;
  throw new Error(
    `In ${where} the README's first example printed\n  ${printed.join("\n  ")}\nand not\n  ${expected.join("\n  ")}`,
  );
}

/** What the command printed; where it fails, an error with everything that it said. */
async function run(command: string, args: readonly string[], cwd: string = project): Promise<string> {
  // The workspace's own packages must not come to the consumer's help.
  const env = {
    ...process.env,
    NODE_PATH: "",
    PATH: [join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter),
  };
  try {
    return (await promisify(execFile)(command, args, { cwd, env, maxBuffer: 2 ** 26 })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout ?? ""}${stderr ?? ""}`, { cause: error });
  }
}

function nodePlatform(): string {
  return process.platform === "win32" ? "win" : process.platform;
}
