/** Values and derivatives against those of JAX, PyTorch and arbitrary precision, number by number. */
import { readFileSync } from "node:fs";
import { jsBackend, threefry2x32, wasmBackend } from "cotangent";
import { describe, expect, test } from "vitest";
import { describeCoverage } from "./coverage.ts";
import { differences, rowsFor } from "./differences.ts";
import { type Case, cases, versions } from "./fixtures.ts";
import { type Verdict, judge } from "./judge.ts";
import { page, pageURL } from "./page.ts";
import { describeOracle, once, tensorCases } from "./suite.ts";

const reference = { backend: jsBackend, dtype: "float64", jitted: false } as const;

describeOracle("eager on backend-js in float64", reference);
describeOracle("jitted on backend-wasm in float64", { backend: wasmBackend, dtype: "float64", jitted: true });

/** Whether the point is one of float32 numbers. */
const isSingle = ({ inputs }: Case, index: number): boolean =>
  inputs.every(({ dtype, data }) => dtype !== "float64" || Object.is(Math.fround(data[index]), data[index]));
const disagreements = once(() =>
  tensorCases.flatMap((subject) => judge(subject, reference)).filter(({ agrees }) => !agrees),
);
const keyOf = ({ case: { function: name, params }, quantity, peer, part, index }: Verdict): string =>
  JSON.stringify([name, params, quantity, peer, part, index]);
const listed = once(() => new Set(disagreements().map(keyOf)));
// The table is one of float64, so what it lists says nothing here.
describeOracle(
  "jitted on backend-wasm in float32",
  { backend: wasmBackend, dtype: "float32", jitted: true },
  {
    case: (subject) =>
      subject.pointwise && subject.inputs[0].data.some((_, index) => isSingle(subject, index)),
    verdict: (verdict) => isSingle(verdict.case, verdict.index) && !listed().has(keyOf(verdict)),
  },
);

describeCoverage();

describe("the table of differences", () => {
  const found = once(() => disagreements().map((verdict) => ({ verdict, rows: rowsFor(verdict) })));
  test.each(
    differences.map(
      (row) => [`${row.functions.join(", ")} at ${row.where.text}: ${row.because}`, row] as const,
    ),
  )("%s", (_, row) => {
    for (const name of row.functions) {
      for (const peer of row.peers) {
        const of = found().filter(({ verdict, rows }) => {
          const { function: f, name: label } = verdict.case;
          return verdict.peer === peer && rows.includes(row) && (name === f || name === `${f}: ${label}`);
        });
        expect(of.length, `${name} differs from ${peer} no more`).toBeGreaterThan(0);
      }
    }
  });
});

test("docs/peers.md is what the table says: node test/oracle/page.ts writes it", () => {
  expect(readFileSync(pageURL, "utf8")).toBe(page());
});

describe("the fixtures", () => {
  const pins = new Map(
    readFileSync(new URL("python/requirements.txt", import.meta.url), "utf8")
      .split("\n")
      .flatMap((line) =>
        [...line.matchAll(/^([a-z]+)(?:\[.*\])?==(.*)$/g)].map(([, name, version]) => [name, version]),
      ),
  );
  test.each([...versions])("%s was made by the libraries that are pinned", (_, made) => {
    expect(made).toEqual(Object.fromEntries(pins));
  });
});

test("threefry2x32 gives JAX's bits", () => {
  const all = cases.filter((subject) => subject.function === "threefry2x32");
  expect(all).toHaveLength(1);
  const [{ inputs, found }] = all;
  const words = inputs[0].data;
  const bits = found.jax?.value?.[0] ?? [];
  const out = new Uint32Array(2);
  const ours = Array.from({ length: words.length / 4 }, (_, i) => {
    threefry2x32(words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3], out);
    return Array.from(out, (word) => word | 0);
  }).flat();
  expect(ours).toEqual(bits);
});
