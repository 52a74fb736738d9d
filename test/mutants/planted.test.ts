/** A part of what `pnpm mutants` does: faults of every kind are caught, what is right is not, and nothing is caught by mistake. */
import { everyPrimitive } from "@cotangent/verify";
import { simplificationRules } from "cotangent";
import { expect, test } from "vitest";
import { type Verdict, judge } from "./judge.ts";
import { check } from "./plant.ts";
import { judgeRewrites } from "./rewrites.ts";
import { judgeNothing, judgeSource } from "./run.ts";
import { type SourceFault, knownBugs, sourceFaults } from "./sources.ts";

const survivors = (verdicts: readonly Verdict[]): string[] =>
  verdicts
    .filter(({ caughtBy, excused }) => caughtBy.length === 0 && excused === undefined)
    .map(({ mutant }) => mutant);

const effort = { samples: 10, seed: 1, all: false };

test.each(["xlogy", "reduceMax"])("no fault in the record and the kernel of %s survives", (name) => {
  const primitive = everyPrimitive().find((one) => one.name === name)!;
  const verdicts = [...judge(primitive, effort)];
  expect(survivors(verdicts)).toEqual([]);
  // By several laws: none does the others' work.
  expect(new Set(verdicts.flatMap(({ caughtBy }) => caughtBy)).size).toBeGreaterThanOrEqual(5);
});

test("no fault in a rule of simplification survives", () => {
  const some = simplificationRules.filter((_, i) => i % 10 === 0).map(({ name }) => name);
  const verdicts = [...judgeRewrites((name) => some.some((rule) => name.startsWith(`${rule}: `)))];
  expect(survivors(verdicts)).toEqual([]);
  expect(verdicts.filter(({ caughtBy }) => caughtBy.length > 0).length).toBeGreaterThan(some.length);
});

test("what faults of sources replace is there, once", () => {
  for (const fault of [...sourceFaults, ...knownBugs]) expect(check(fault)).toContain(fault.replace);
});

const inSine: SourceFault = {
  file: "core/src/primitives/unary.ts",
  name: "the derivative of the sine is minus the cosine",
  fault: "sign flipped",
  find: 'unary("sin", { partial: (x) => x.cos(),',
  replace: 'unary("sin", { partial: (x) => x.cos().neg(),',
  judges: ["laws"],
};

test("a fault in a source is caught by the laws, and where there is none they find nothing", async () => {
  expect((await judgeSource(inSine, 1)).caughtBy).toEqual(["differences"]);
  expect(await judgeNothing("test/unit/tails.test.ts", 1)).toBeUndefined();
});

test("what could not be planted or judged counts as what survives, and says why", async () => {
  const nowhere = await judgeSource({ ...inSine, find: "what is not there" }, 1);
  expect(survivors([nowhere])).toEqual([expect.stringMatching(/could not be judged.*not planted/s)]);
  const nobody = await judgeSource({ ...inSine, judges: ["test/unit/tails.test.ts#no such test"] }, 1);
  expect(survivors([nobody])).toEqual([expect.stringMatching(/could not be judged: No test is called/)]);
});
