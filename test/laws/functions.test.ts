/** Functions as users have them: what they close over, the modes that they have, and what is wrong with them. */
import { type Report, checkFunction, laws } from "@cotangent/verify";
import {
  type Value,
  argument,
  customJvp,
  customVjp,
  jsBackend,
  positive,
  real,
  tensor,
  wasmBackend,
} from "cotangent";
import { describe, expect, test } from "vitest";

const broken = (reports: readonly Report[]): string[] =>
  reports.flatMap(({ law, failure }) => (failure === undefined ? [] : [law]));
const three = [argument([3], real())];
const samples = 10;

describe("tensors that a function has of its own", () => {
  const scale = (weights: Value) => (x: Value) => x.mul(weights).sin().sum();

  test("are no failure, made in it or closed over, on the default backend", () => {
    const outside = tensor([1, 2, 3]);
    expect(broken(checkFunction(scale(outside), three, { samples }))).toEqual([]);
    const makes = (x: Value): Value => scale(tensor([1, 2, 3]))(x);
    expect(broken(checkFunction(makes, three, { samples }))).toEqual([]);
  });

  test.each([jsBackend, wasmBackend])("are none in float32 on $name", (backend) => {
    const weights = tensor([1, 0.1, 3], { dtype: "float32", backend });
    const options = { backend, dtype: "float32", samples } as const;
    expect(broken(checkFunction(scale(weights), three, options))).toEqual([]);
  });

  test("do not hide what is wrong, which is found by numbers", () => {
    const weights = tensor([1, 2, 3], { backend: jsBackend });
    const wrong = customVjp((x: Value) => x.mul(weights), {
      forward: (x) => [x.mul(weights), []],
      backward: (_, ct) => [ct.mul(weights).mul(1 + 1e-9)],
    });
    const reports = checkFunction(wrong, three, { backend: jsBackend, modes: ["reverse"], samples });
    expect(broken(reports)).toEqual(["reverse differences"]);
    const failure = reports.find(({ law }) => law === "reverse differences")?.failure;
    expect(failure?.text).toMatch(/<Jᵀ ȳ, v> = .*, by differences/);
    expect(failure?.error).toBeGreaterThan(failure?.tolerance ?? Infinity);
  });
});

test("a function with a VJP alone is judged by the laws of one mode", () => {
  const mean = (x: Value): Value => x.log().mean().exp();
  const geometricMean = customVjp(mean, {
    forward: (x) => [mean(x), { x, y: mean(x) }],
    backward: ({ x, y }, ct) => [ct.mul(y).div(x).div(x.size)],
  });
  const reports = checkFunction(geometricMean, [argument([4], positive())], { modes: ["reverse"], samples });
  expect(broken(reports)).toEqual([]);
  const judged = reports.filter((report) => report.judged > 0).map(({ law }) => law);
  expect(judged).toEqual([
    "linearity",
    "staged",
    "vmapped",
    "reference",
    "memory",
    "avals",
    "reverse differences",
  ]);
});

test("a function without derivatives has nothing to differentiate, which is said", () => {
  const reports = checkFunction((x: Value) => x.argmax(), three, { samples });
  const found = reports.find(({ law }) => law === "adjoint")?.failure?.text;
  expect(found).toMatch(/the law "adjoint" found nothing to differentiate: \{"no float output":10\}/);
  const ofValues = laws.filter(({ name }) => ["reference", "staged", "vmapped"].includes(name));
  expect(broken(checkFunction((x: Value) => x.argmax(), three, { samples, laws: ofValues }))).toEqual([]);
});

test("a second derivative that is NaN where differences have a number is a failure", () => {
  const twice = customJvp(
    (x: Value) => x.mul(2),
    ([x], [dx]) => [x.mul(2), dx.mul(NaN)],
  );
  const square = customJvp(
    (x: Value) => x.square(),
    ([x], [dx]) => [x.square(), dx.mul(twice(x))],
  );
  expect(broken(checkFunction(square, three, { samples }))).toContain("second differences");
});
