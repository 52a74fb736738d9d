/** The benchmark's command line. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";

export const partNames = ["a", "b", "c", "d", "e", "f", "g", "h"] as const;
export type PartName = (typeof partNames)[number];

export interface Options {
  readonly only: readonly PartName[];
  readonly quick: boolean;
  /** Where the figures go as JSON too. */
  readonly json?: string;
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

function parseParts(list: string): PartName[] {
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !partNames.some((known) => known === name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `"${unknown}" is no part. Give one or more of ${partNames.join(", ")}, separated by commas.`,
    );
  }
  return partNames.filter((name) => names.includes(name));
}

function parseFile(file: string): string {
  if (file.trim() === "") throw new InvalidArgumentError("Give the path of a file.");
  return file;
}

/** The options, or how the command ended where there is nothing left to do. */
export function parseOptions(args: readonly string[], write: Writer): Options | Ended {
  const command = new Command("bench")
    .usage("[options]")
    .description(
      "Times eager Cotangent next to jax-js and TensorFlow.js on one thread: (a) a chain of scalar operations, " +
        "(b) tensors of 10 to 1,000,000 elements and a small network, (c) what a gradient costs next to its function; " +
        "(d) jitted next to eager code, (e) tracing and compiling, (f) memory with checkpoints, (g) WebGL next to tfjs; " +
        "(h) programs compiled to WebAssembly, on one thread and two, next to jax-js, TensorFlow.js, JavaScript and C.",
    )
    .addOption(
      new Option("--only <part,...>", `some of the parts: ${partNames.join(", ")}`)
        .argParser(parseParts)
        .default([...partNames], "all"),
    )
    .option("--quick", "fewer rounds and smaller tensors: a look at whether it works, no figures to rely on")
    .option("--json <file>", "write the figures to a file too", parseFile)
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
