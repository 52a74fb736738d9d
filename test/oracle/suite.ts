/** Every case of the fixtures against one setting, as tests by function. */
import { describe, expect, test } from "vitest";
import { pointOf, rowsFor } from "./differences.ts";
import { type Case, cases } from "./fixtures.ts";
import { type Verdict, judge } from "./judge.ts";
import type { Setting } from "./measure.ts";

/** Functions of the host alone, which have a test of their own. */
export const hostFunctions: ReadonlySet<string> = new Set(["threefry2x32"]);

/** The cases of functions of tensors. */
export const tensorCases: readonly Case[] = cases.filter((subject) => !hostFunctions.has(subject.function));
const byFunction = Map.groupBy(tensorCases, (subject) => subject.function);

/** What is computed when it is first asked for. */
export function once<T>(compute: () => T): () => T {
  let found: { readonly value: T } | undefined;
  return () => (found ??= { value: compute() }).value;
}

function show(verdict: Verdict): string {
  const { case: subject, peer, way, part, index, ours, theirs, error } = verdict;
  const name = [subject.function, subject.name].filter((text) => text !== "").join(", ");
  const params = Object.keys(subject.params).length === 0 ? "" : ` with ${JSON.stringify(subject.params)}`;
  const point = subject.pointwise ? `at (${pointOf(verdict).join(", ")})` : `element ${index}`;
  return (
    `${name}${params}, ${way}, part ${part}, ${point}: found ${ours}, ${peer} has ${theirs}; ` +
    `the error is ${error.toPrecision(3)} times what is allowed`
  );
}

/** @param includes which cases and verdicts say something in this setting. */
export function describeOracle(
  name: string,
  setting: Setting,
  includes: {
    readonly case?: (subject: Case) => boolean;
    readonly verdict?: (verdict: Verdict) => boolean;
  } = {},
): void {
  const { case: includesCase = () => true, verdict: includesVerdict = () => true } = includes;
  const rows = [...byFunction].map(([f, all]) => [f, all.filter(includesCase)] as const);
  describe(name, () => {
    test.each(rows.filter(([, all]) => all.length > 0))("%s", (_, all) => {
      const verdicts = all.flatMap((subject) => judge(subject, setting)).filter(includesVerdict);
      expect(verdicts.length).toBeGreaterThan(0);
      const unlisted = verdicts.filter((verdict) => !verdict.agrees && rowsFor(verdict).length === 0);
      expect(unlisted.map(show).join("\n")).toBe("");
    });
  });
}
