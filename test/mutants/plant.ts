/**
 * Plants one fault in the sources that are loaded from here on, so that the product needs no place for faults: the environment
 * says which. `node --import` it before anything else; vitest.config.ts does the same in its own way.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SourceFault } from "./sources.ts";

const packages = join(import.meta.dirname, "../../packages");

/** The variable of the environment that has the fault, as JSON of its file, what to find there and what to put in its place. */
export const variable = "COTANGENT_FAULT";
/** That of a file that comes to be when the fault is planted. */
export const markVariable = "COTANGENT_FAULT_PLANTED";

type Edit = Pick<SourceFault, "file" | "find" | "replace">;

/** The source with the fault in it. What is to be replaced must be there once: a fault that is nowhere would be caught by nothing. */
export function withFault(source: string, { file, find, replace }: Edit): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(
      `A fault is to be planted in ${file}, but what it replaces is there ${parts.length - 1} times:\n${find}`,
    );
  return parts.join(replace);
}

/** The source of a file with the fault of this process in it, which is then planted. */
export function planting(source: string, edit: Edit): string {
  const found = withFault(source, edit);
  const mark = process.env[markVariable];
  if (mark !== undefined) writeFileSync(mark, edit.file);
  return found;
}

/** Where the fault of this process is planted, if there is one. */
export function plantedHere(): { readonly path: string; readonly edit: Edit } | undefined {
  const given = process.env[variable];
  if (given === undefined) return undefined;
  const edit = JSON.parse(given) as Edit;
  return { path: join(packages, edit.file), edit };
}

/** Whether what a fault replaces is where it is looked for. */
export const check = (fault: Edit): string =>
  withFault(readFileSync(join(packages, fault.file), "utf8"), fault);

const planted = plantedHere();
if (planted !== undefined)
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (!url.startsWith("file:") || fileURLToPath(url) !== planted.path) return loaded;
      const source =
        loaded.source === undefined ? "" : Buffer.from(loaded.source as Uint8Array).toString("utf8");
      return { ...loaded, source: planting(source, planted.edit) };
    },
  });
