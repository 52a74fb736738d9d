/** The command line. */
import type { DType } from "@cotangent/core";
import { Command, InvalidArgumentError } from "commander";
import { kinks, randomPrograms } from "../campaign.ts";
import { everyPrimitive } from "../check.ts";
import { laws } from "../every-law.ts";

export interface Options {
  readonly seed: number;
  readonly path?: string;
  readonly samples: number;
  readonly programs: number;
  readonly steps: number;
  readonly time: number;
  readonly primitive: readonly string[];
  readonly law: readonly string[];
  readonly dtype: readonly DType[];
  readonly backend: readonly string[];
  readonly json?: string;
  readonly html?: string;
}

export function wholeNumber(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`Give a whole number from ${least} on.`);
    return value;
  };
}

/** The entries of a comma-separated list, each one of those allowed. */
export function listOf<T extends string>(allowed: readonly T[]) {
  return (text: string): T[] => {
    const names = text.split(",");
    const unknown = names.filter((name) => !(allowed as readonly string[]).includes(name));
    if (unknown.length > 0)
      throw new InvalidArgumentError(`"${unknown.join('", "')}" is none of: ${allowed.join(", ")}.`);
    return names as T[];
  };
}

const dtypes: readonly DType[] = ["float64", "float32", "int32", "bool"];

/** Exits with what is wrong where the arguments are. */
export function parseOptions(args: readonly string[], backends: readonly string[]): Options {
  const subjects = [...everyPrimitive().map(({ name }) => name), randomPrograms];
  const lawNames = [...laws.map(({ name }) => name), kinks];
  return new Command("cotangent-verify")
    .description("Judges every law on every primitive and on random programs, on each backend.")
    .option(
      "--primitive <names>",
      `only these, separated by commas; "${randomPrograms}" for random programs`,
      listOf(subjects),
      subjects,
    )
    .option("--backend <names>", `of ${backends.join(", ")}; by default all`, listOf(backends), [...backends])
    .option("--law <names>", "only these laws, separated by commas", listOf(lawNames), lawNames)
    .option("--dtype <names>", "only these dtypes, separated by commas", listOf(dtypes), [...dtypes])
    .option("--samples <n>", "samples per primitive, law, dtype and backend", wholeNumber(1), 300)
    .option("--programs <n>", "random programs per law, dtype and backend", wholeNumber(0), 2000)
    .option("--steps <n>", "the most steps of a random program", wholeNumber(1), 10)
    .option(
      "--seed <n>",
      "of all samples: the same seed is the same run",
      wholeNumber(0),
      Date.now() % 2 ** 31,
    )
    .option(
      "--path <path>",
      "replay one sample, as a failure says it; with --primitive, --law, --dtype and --backend",
    )
    .option("--time <seconds>", "stop after this long, and say what was covered", wholeNumber(1), 3600)
    .option("--json <file>", "write all reports there")
    .option("--html <file>", "write a page to look at there")
    .parse(args, { from: "user" })
    .opts<Options>();
}
