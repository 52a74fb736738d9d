/** Nothing is without an outside oracle but what says why. */
import { readdirSync } from "node:fs";
import { type Graph, type Value, avalOf, jsBackend, primitives, stage, withBackend } from "cotangent";
import { describe, expect, test } from "vitest";
import { type Case, cases } from "./fixtures.ts";
import { functions } from "./functions.ts";
import { subjectOf } from "./measure.ts";
import { once, tensorCases } from "./suite.ts";
import { functionsWithoutPeers, primitivesWithoutPeers } from "./without-peers.ts";

const core = new URL("../../packages/core/src/", import.meta.url);
const files = [
  ...readdirSync(new URL("ops/", core)).map((file) => `ops/${file}`),
  "random/keys.ts",
  "random/distributions.ts",
];
const modules = await Promise.all(
  files.map((file): Promise<Record<string, unknown>> => import(new URL(file, core).href)),
);
/** The functions that are no primitives themselves. */
const opFunctions = modules.flatMap((exports) =>
  Object.keys(exports).filter((name) => typeof exports[name] === "function"),
);

function graphOf(subject: Case): Graph {
  const f = (...inputs: Value[]): readonly Value[] => subjectOf(subject)(inputs, subject.params);
  return withBackend(jsBackend, () =>
    stage(f)(...subject.inputs.map(({ shape, dtype }) => avalOf(shape, dtype))),
  );
}

/** Primitives of which a fixture says something by themselves: alone in a function, or what the function is named after. */
const covered = once(
  () =>
    new Set(
      tensorCases.flatMap((subject) => {
        const names = new Set(graphOf(subject).nodes.map(({ primitive }) => primitive.name));
        return [...names].filter((name) => names.size === 1 || name === subject.function);
      }),
    ),
);

export function describeCoverage(): void {
  describe("every primitive has a fixture, or neither peer has it", () => {
    test.each([...primitives().keys()])("%s", (name) => {
      const because = primitivesWithoutPeers[name];
      expect(covered().has(name), because ?? `${name} has neither a fixture nor a reason to have none`).toBe(
        because === undefined,
      );
    });

    test("the reasons are of primitives", () => {
      expect(Object.keys(primitivesWithoutPeers).filter((name) => !primitives().has(name))).toEqual([]);
    });
  });

  describe("every function of values has a fixture, or neither peer has it", () => {
    const withFixture = new Set(tensorCases.map((subject) => subject.function));
    test.each(opFunctions)("%s", (name) => {
      const because = functionsWithoutPeers[name];
      expect(
        withFixture.has(name),
        because ?? `${name} has neither a fixture nor a reason to have none`,
      ).toBe(because === undefined);
    });

    test("the reasons are of functions", () => {
      expect(Object.keys(functionsWithoutPeers).filter((name) => !opFunctions.includes(name))).toEqual([]);
    });

    test("what functions.ts names has a case", () => {
      const withCase = new Set(cases.map((subject) => subject.function));
      expect(Object.keys(functions).filter((name) => !withCase.has(name))).toEqual([]);
    });
  });
}
