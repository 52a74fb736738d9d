/** Times what comes before a jitted function runs: tracing and compiling, in a fresh process and in a warm one. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { derivative, tensor, type Value } from "cotangent";
import type { Agreement } from "../measure.ts";
import type { Beginner } from "../participants/participant.ts";

export const libraries = ["cotangent", "jaxJs"] as const;
export type Library = (typeof libraries)[number];

export const begun = ["gradient", "trace", "small"] as const satisfies readonly (keyof Beginner)[];
export type Begun = (typeof begun)[number];

export interface Ask {
  readonly what: Begun;
  readonly x: number;
  readonly operations: number;
  readonly factor: number;
}

export interface Reply {
  /** A derivative, or the number of nodes. */
  readonly found: number;
  readonly milliseconds: number;
}

/** In a fresh process, one that has made such calls before, or a fresh browser. */
export type Start = "cold" | "warm" | "browser";

export interface FirstCalls {
  readonly library: Library;
  readonly what: Begun;
  readonly start: Start;
  readonly agreement: Agreement;
  /** One time for each round. */
  readonly milliseconds: readonly number[];
}

export interface FirstCallPatience {
  readonly operations: number;
  readonly rounds: number;
  readonly browserRounds: number;
  /** First calls of other functions that a process has made before it counts as warm. */
  readonly warmUps: number;
}

export const fullFirstCalls: FirstCallPatience = {
  operations: 1000,
  rounds: 9,
  browserRounds: 5,
  warmUps: 5,
};
export const quickFirstCalls: FirstCallPatience = {
  operations: 100,
  rounds: 3,
  browserRounds: 1,
  warmUps: 1,
};

const x = 1.25;
/** Of each function one of its own, so that none is known from before. */
const factorOf = (round: number): number => 2 + round / 16;
/** The small function of a round. */
export const smallAsk = (round: number): Ask => ({
  what: "small",
  x,
  operations: 1000,
  factor: factorOf(round),
});
/** As for other derivatives in float32. */
const tolerance = 2e-5;

/** Cold and warm, gradients and traces; the libraries take turns. */
export async function measureFirstCalls(
  { operations, rounds, warmUps }: FirstCallPatience,
  tell: (message: string) => void,
): Promise<FirstCalls[]> {
  const found: FirstCalls[] = [];
  const slope = exactDerivative(operations);
  /* oxlint-disable no-await-in-loop -- one at a time */
  for (const what of begun) {
    for (const start of ["cold", "warm"] as const) {
      tell(`first calls: ${what}, ${start} ...`);
      const series = libraries.map((library) => ({ library, replies: [] as (Reply & Ask)[] }));
      const warm = start === "warm" ? await Promise.all(libraries.map(launch)) : [];
      try {
        for (let round = start === "warm" ? -warmUps : 0; round < rounds; round++) {
          for (const [i, { library, replies }] of series.entries()) {
            const child = warm[i] ?? (await launch(library));
            const ask = what === "small" ? smallAsk(round) : { what, x, operations, factor: factorOf(round) };
            const reply = await answer(child, ask);
            if (start === "cold") child.kill();
            if (round >= 0) replies.push({ ...ask, ...reply });
          }
        }
      } finally {
        for (const child of warm) child.kill();
      }
      for (const { library, replies } of series) {
        found.push({
          library,
          what,
          start,
          agreement: agreementOf(what, replies, slope),
          milliseconds: replies.map(({ milliseconds }) => milliseconds),
        });
      }
    }
  }
  /* oxlint-enable no-await-in-loop */
  return found;
}

/** The chain's derivative in float64, by eager forward mode. */
function exactDerivative(operations: number): number {
  const chain = (start: Value): Value => {
    let y = start;
    for (let i = 0; i < operations; i += 2) y = y.sin().mul(start);
    return y;
  };
  return derivative(chain)(tensor(x, { dtype: "float64" })).item();
}

/** Of one term of sum(sin(x) · exp(-x²) + tanh(x)). */
const smallDerivative = (Math.cos(x) - 2 * x * Math.sin(x)) * Math.exp(-x * x) + 1 / Math.cosh(x) ** 2;

/** A gradient is judged by its number; a trace must have a node for each operation and the factor, and a few at most beside. */
export function agreementOf(
  what: Begun,
  replies: readonly (Reply & Ask)[],
  chainDerivative = NaN,
): Agreement {
  const errors = replies.map(({ found, operations, factor }) => {
    if (what === "trace") return Math.max(0, operations + 1 - found, found - operations - 4);
    const slope = factor * (what === "small" ? smallDerivative : chainDerivative);
    return Math.abs(found - slope) / Math.abs(slope);
  });
  const gradientError = Math.max(...errors);
  return { valueError: 0, gradientError, agrees: gradientError <= tolerance };
}

async function launch(library: Library): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL("child.ts", import.meta.url)), [library]);
  await once(child, "spawn");
  return child;
}

async function answer(child: ChildProcess, ask: Ask): Promise<Reply> {
  const done = new AbortController();
  const ended = once(child, "exit", { signal: done.signal }).then(([code]) => {
    throw new Error(`A process that makes first calls ended with ${code}.`);
  });
  const replied = once(child, "message", { signal: done.signal }).then(([reply]) => reply as Reply);
  child.send(ask);
  try {
    return await Promise.race([replied, ended]);
  } finally {
    // The other of the two is not waited for any longer.
    void Promise.allSettled([replied, ended]);
    done.abort();
  }
}
