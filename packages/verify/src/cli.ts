#!/usr/bin/env node
/**
 * `cotangent-verify`: the verification campaign on whatever is registered. Where the package `cotangent` is installed its
 * primitives and backends are; `--module ./mine.ts` adds others, as often as there are modules.
 */
import { backendNamed, backends } from "@cotangent/core";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { localColumn, verifyCommand } from "./command/index.ts";

const { tokens } = parseArgs({
  options: { module: { type: "string", multiple: true } },
  strict: false,
  tokens: true,
});
const isModule = (token: (typeof tokens)[number]): boolean =>
  token.kind === "option" && token.name === "module";
const modules = tokens.flatMap((token) => (isModule(token) && "value" in token ? [String(token.value)] : []));
/** The others, as they were given. */
const rest = process.argv
  .slice(2)
  .filter((arg, i, all) => !/^--module(=|$)/.test(arg) && all[i - 1] !== "--module");

try {
  await import(pathToFileURL(createRequire(join(process.cwd(), "package.json")).resolve("cotangent")).href);
} catch (error) {
  if (modules.length === 0) {
    console.error(
      `cotangent-verify: the package "cotangent" is not installed here (${String(error)}), and no --module was given that registers backends.`,
    );
    process.exit(2);
  }
}
for (const path of modules) await import(pathToFileURL(resolve(path)).href);

/** As a shell takes it for one word. */
const quoted = (path: string): string =>
  /^[\w./:@-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
process.exitCode = await verifyCommand(
  backends().map((backend) => localColumn(backend.name, backend.dtypes, () => backend, backendNamed("js"))),
  rest,
  { invocation: ["cotangent-verify", ...modules.map((path) => `--module ${quoted(path)}`)].join(" ") },
);
