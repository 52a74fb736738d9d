/** The demo's command line. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type CaseName, caseNames } from "./cases/problem.ts";

export interface Options {
  readonly quick: boolean;
  readonly out: string;
  readonly only: readonly CaseName[];
  readonly browser: boolean;
}

/** What the command line gives: a flag that is not there is not false. */
type Given = Omit<Options, "quick"> & Partial<Options>;

/** Where the command ended already: help was shown, or an option was wrong (and said so). */
export interface Ended {
  readonly exitCode: number;
}

export interface Writer {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

function parseCases(list: string): CaseName[] {
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !caseNames.some((known) => known === name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `"${unknown}" is no case. Give one or more of ${caseNames.join(", ")}, separated by commas.`,
    );
  }
  return caseNames.filter((name) => names.includes(name));
}

function parseFolder(folder: string): string {
  if (folder.trim() === "") throw new InvalidArgumentError("Give the path of a folder.");
  return folder;
}

/** The options, or how the command ended where there is nothing left to do. */
export function parseOptions(args: readonly string[], write: Writer): Options | Ended {
  const command = new Command("demo")
    .usage("[options]")
    .description(
      "Compares forward mode, reverse mode, numerical differences and derivatives by hand on real functions, then " +
        "trains a classifier of handwritten digits.",
    )
    .option("--quick", "fewer and smaller problems, fewer repeats")
    .option("--out <folder>", "where report.html and result.json go", parseFolder, "out")
    .addOption(
      new Option("--only <case,...>", `some of the cases: ${caseNames.join(", ")}`)
        .argParser(parseCases)
        .default([...caseNames], "all"),
    )
    .option("--no-browser", "leave WebGL out")
    .allowExcessArguments(false)
    .showHelpAfterError()
    .exitOverride()
    .configureOutput({ writeOut: write.out, writeErr: write.err });
  // npm needs a -- before a script's options; whoever is used to it types one for pnpm too, which passes it on.
  const given = args[0] === "--" ? args.slice(1) : args;
  try {
    const { quick = false, ...others } = command.parse(given, { from: "user" }).opts<Given>();
    return { quick, ...others };
  } catch (error) {
    if (error instanceof CommanderError) return { exitCode: error.exitCode };
    throw error;
  }
}
