import { type FailureInput, assertCustomRule, checkFunction, checkPrimitive } from "@cotangent/verify";
import { type Value, argument, customVjp, positive } from "cotangent";
import assert from "node:assert/strict";
import { test } from "node:test";
import { cbrt } from "./add-a-primitive.ts";

/** A primitive: on samples that its own record draws, by every law. */
test("cbrt obeys the laws", () => {
  const reports = checkPrimitive(cbrt.primitive, { samples: 100 });
  assert.deepEqual(
    reports.filter(({ failure }) => failure !== undefined),
    [],
  );
  // What was not judged is not what held: each report counts.
  assert.ok(reports.find(({ law }) => law === "adjoint")!.judged >= 100);
});

const mean = (x: Value): Value => x.log().mean().exp();
const geometricMean = customVjp(mean, {
  forward: (x) => [mean(x), { x, y: mean(x) }],
  backward: ({ x, y }, ct) => [ct.mul(y).div(x).div(x.size)],
});

/** Rules that somebody wrote: against each other, and against differences. */
test("the geometric mean has the VJP that its values have", () => {
  assertCustomRule(geometricMean, [argument([5], positive())], { modes: ["reverse"], samples: 50 });
});

/** A function that is wrong: the report says where, as numbers and as text. */
test("a straight line with a derivative that is none", () => {
  const wrong = (x: Value): Value => x.mul(2).add(x.sub(x.stopGradient()));
  const found = checkFunction(wrong, [argument([2])]).find(({ law }) => law === "differences")!;
  const { error = 0, tolerance = Infinity, inputs, text } = found.failure!;
  assert.ok(error > tolerance);
  assert.deepEqual(
    inputs.map(({ shape }: FailureInput) => shape),
    [[2]],
  );
  assert.match(text, /breaks the law "differences"/);
});
