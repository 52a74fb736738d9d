/** Writes pages of computational graphs and opens one of them: `npx --yes pnpm@12 explore`. */
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import open from "open";
import { examples } from "./examples.ts";

interface Options {
  readonly example?: string;
  readonly out: string;
  readonly open: boolean;
}

const command = new Command("explore")
  .description("Writes computational graphs as pages, and opens one in the browser.")
  .addOption(new Option("--example <name>", "the one to write and open").choices(Object.keys(examples)))
  .option("--out <dir>", "where the pages go", fileURLToPath(new URL("../out/", import.meta.url)))
  .option("--no-open", "write the pages only")
  .parse();
const options = command.opts<Options>();

const folder = resolve(options.out);
await mkdir(folder, { recursive: true });
const pages: string[] = [];
for (const [name, make] of Object.entries(examples)) {
  if (options.example !== undefined && options.example !== name) continue;
  const { title, graph, options: view } = make();
  const page = join(folder, `graph-${name}.html`);
  await writeFile(page, graph().toHtml({ title, ...view }));
  console.log(page);
  pages.push(page);
}
if (options.open && hasDisplay()) await open(pages[0]);

/** Whether there is a screen that a browser could open a window on. */
function hasDisplay(): boolean {
  if (process.platform !== "linux") return true;
  return Boolean(process.env["DISPLAY"] ?? process.env["WAYLAND_DISPLAY"]);
}
