import { readFile } from "node:fs/promises";
import { compileFunction } from "node:vm";
import { assertReports, checkPrimitive } from "@cotangent/verify";
import { grad, jsBackend, tensor, withBackend } from "cotangent";
import { describe, expect, test } from "vitest";
import { cbrt } from "../examples/add-a-primitive.ts";
import { tiny } from "../examples/add-a-backend.ts";

const page = (name: string): Promise<string> => readFile(new URL(`../../${name}`, import.meta.url), "utf8");

describe("CONTRIBUTING.md", () => {
  test("its worked examples are the files that are tested here", async () => {
    const blocks = [
      ...(await page("CONTRIBUTING.md")).matchAll(/<!-- (test\/examples\/\S+) -->\n\n```ts\n(.*?)```/gs),
    ];
    expect(blocks.map((block) => block[1])).toEqual([
      "test/examples/add-a-primitive.ts",
      "test/examples/add-a-backend.ts",
    ]);
    for (const [, file, code] of blocks) expect(code).toBe(await page(file));
  });

  test("the primitive works in both modes and nests", () => {
    expect(cbrt(27).item()).toBe(3);
    expect(grad(cbrt)(8).item()).toBeCloseTo(1 / 12, 15);
    expect(grad((x) => grad(cbrt)(x))(8).item()).toBeCloseTo(-2 / (9 * 8 ** (5 / 3)), 15);
    expect(grad(cbrt)(0).item()).toBe(Infinity);
  });

  test("the primitive obeys the laws", () => {
    for (const dtype of ["float64", "float32"] as const) {
      assertReports(checkPrimitive(cbrt.primitive, { backend: jsBackend, dtype }));
    }
  });

  test("the backend runs a gradient, and refuses what it lacks", () => {
    withBackend(tiny, () => {
      const gradient = grad((x) => x.sin().sum())(tensor([0, 1]));
      expect(gradient.backend).toBe(tiny);
      expect(gradient.toArray()).toEqual([1, Math.fround(Math.cos(1))]);
      expect(() => tensor([1]).exp()).toThrow(
        /Primitive exp on float32\[1\] has neither a kernel on backend tiny/,
      );
    });
  });
});

describe("README.md", () => {
  test("its first example prints what it says", async () => {
    const code = /```ts\n(.*?)```/s.exec(await page("README.md"))?.[1] ?? "";
    const expected = [...code.matchAll(/\/\/ -> (.*)/g)].map((match) => match[1]);
    const cotangent: Record<string, unknown> = await import("cotangent");
    const { stripTypeScriptTypes } = await import("node:module");
    const body = stripTypeScriptTypes(code).replace(
      /import \{(.*?)\} from "cotangent";/s,
      "const {$1} = cotangent;",
    );
    const printed: string[] = [];
    const run = compileFunction(body.replaceAll(/\btype /g, ""), ["cotangent", "console"]);
    run(cotangent, { log: (line: string) => printed.push(line) });
    expect(expected).toHaveLength(4);
    expect(printed).toEqual(expected);
  });
});
