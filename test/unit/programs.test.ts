/** Random programs: what they are made of, and that what is printed is what was run. */
import { RecordedDraw, type Subject, drawProgram } from "@cotangent/verify";
import { type Value, jsBackend, setBackend, tensor } from "cotangent";
import { gen, sample } from "fast-check";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

setBackend(jsBackend);
const programs: readonly Subject[] = sample(gen(), { seed: 3, numRuns: 150 }).map((generate) =>
  drawProgram(new RecordedDraw(generate), jsBackend, 6),
);
const resultsOf = (program: Subject): Value[] =>
  program.apply(
    program.point.map(({ shape, data }) => tensor(data, { shape })),
    [],
  );

describe("random programs", () => {
  test("contain every kind of step, with bodies in bodies", () => {
    const count = (pattern: RegExp): number => programs.filter(({ text }) => pattern.test(text)).length;
    for (const callee of ["bind", "cond", "scan", "whileLoop", "checkpoint", "jit"])
      expect(count(new RegExp(`\\b${callee}\\(`)), callee).toBeGreaterThan(3);
    for (const policy of ["nothing", "products", "smallest", "everything"])
      expect(count(new RegExp(`policy: "${policy}"`)), policy).toBeGreaterThan(0);
    for (const checkpoint of [`"all"`, `"sqrt"`, `"log"`, `{"slots":2}`])
      expect(count(new RegExp(`"checkpoint":${checkpoint}`)), checkpoint).toBeGreaterThan(0);
    // Two deep: a loop or a branch within another, closing over variables of both.
    expect(count(/^ {4}const .* = (cond|scan|whileLoop|checkpoint)\(/m)).toBeGreaterThan(10);
  });

  test("have results, and finite ones", () => {
    for (const program of programs) {
      const numbers = resultsOf(program).flatMap((value) => [...value.dataSync()]);
      expect(numbers.length).toBeGreaterThan(0);
      for (const number of numbers) expect(Math.abs(number)).toBeLessThan(1e6);
    }
  });

  test("without control flow, where that is asked for", () => {
    const plain = sample(gen(), { seed: 3, numRuns: 30 }).map(
      (generate) => drawProgram(new RecordedDraw(generate), jsBackend, 6, { control: false }).text,
    );
    for (const text of plain) expect(text).not.toMatch(/cond|scan|whileLoop|checkpoint|jit/);
  });

  test("printed, are modules that give the same values", () => {
    const folder = mkdtempSync(join(import.meta.dirname, "programs-"));
    try {
      const names = programs.slice(0, 60).map(({ text }, i) => {
        writeFileSync(join(folder, `p${i}.ts`), text.replaceAll(/^const (f|point) =/gm, "export const $1 ="));
        return `p${i}`;
      });
      // The values to compare with are those of the JavaScript backend.
      writeFileSync(
        join(folder, "backend.ts"),
        `import { jsBackend, setBackend } from "cotangent"; setBackend(jsBackend);`,
      );
      const main = [
        `import "./backend.ts";`,
        ...names.map((name) => `import * as ${name} from "./${name}.ts";`),
        `const all = [${names.join(", ")}];`,
        `console.log(JSON.stringify(all.map(({ f, point }) => f(...point).map((value) => value.toArray()))));`,
      ];
      writeFileSync(join(folder, "main.ts"), main.join("\n"));
      const printed = execFileSync(process.execPath, [join(folder, "main.ts")], { encoding: "utf8" });
      const wanted = programs
        .slice(0, 60)
        .map((program) => resultsOf(program).map((value) => value.toArray()));
      // JSON has no -0.
      expect(JSON.parse(printed)).toEqual(JSON.parse(JSON.stringify(wanted)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
