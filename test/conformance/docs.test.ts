import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import {
  type Report,
  assertReports,
  checkBackend,
  checkPrimitive,
  laws,
  sameAsReference,
} from "@cotangent/verify";
import { grad, jsBackend, primitives, tensor, withBackend } from "cotangent";
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

  test("the backend is judged by the suite, which finds what it does not do", () => {
    const judge = (name: string): Report[] =>
      checkBackend(tiny, {
        primitives: [primitives().get(name)!],
        laws: [sameAsReference],
        programs: 0,
        samples: 20,
      });
    expect(judge("sin").map(({ judged, failure }) => [judged >= 20, failure])).toEqual([[true, undefined]]);
    expect(judge("add")[0].failure?.text).toMatch(/add on tiny in float32 breaks the law "reference"/);
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

describe("the README of @cotangent/verify", () => {
  test("its examples are files of their own, which say what runs them", async () => {
    const blocks = [
      ...(await page("packages/verify/README.md")).matchAll(
        /<!-- (test\/examples\/\S+) -->\n\n```ts\n(.*?)```/gs,
      ),
    ];
    // The second one is run by Vitest, along with this file.
    expect(blocks.map((block) => block[1])).toEqual([
      "test/examples/check-your-own.ts",
      "test/examples/properties.test.ts",
    ]);
    for (const [, file, code] of blocks) expect(code).toBe(await page(file));
  });

  test("node:test runs the first, and a wrong rule in it fails; a plain script does too", () => {
    const file = new URL("../examples/check-your-own.ts", import.meta.url);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const node = (...args: string[]): ReturnType<typeof spawnSync> =>
      spawnSync(process.execPath, args, { encoding: "utf8", env });
    const run = (script: string): ReturnType<typeof node> => node("--test", "--test-reporter=tap", script);
    const right = run(fileURLToPath(file));
    expect(right.stdout).toMatch(/# tests 3\n[^]*# pass 3\n/);
    expect(right.status).toBe(0);
    const folder = mkdtempSync(join(import.meta.dirname, "../examples-"));
    try {
      const wrong = join(folder, "wrong.ts");
      const code = readFileSync(file, "utf8").replaceAll('"./', '"../examples/');
      writeFileSync(wrong, code.replace("ct.mul(y).div(x)", "ct.mul(y).mul(x)"));
      const found = run(wrong);
      expect(found.status).toBe(1);
      expect(found.stdout).toMatch(/# fail 1\n/);
      expect(found.stdout).toMatch(/breaks the law "reverse differences"/);
      // And so does a script that nothing but Node runs.
      const script = join(folder, "script.ts");
      writeFileSync(
        script,
        `import { assertFunction } from "@cotangent/verify";
        import { argument } from "cotangent";
        assertFunction((x) => x.sin(), [argument([2])]);
        console.log("the sine holds");
        assertFunction((x) => x.mul(x.stopGradient()), [argument([2])]);`,
      );
      const plain = node(script);
      expect(plain.stdout).toBe("the sine holds\n");
      expect(plain.stderr).toMatch(/breaks the law "differences"/);
      expect(plain.status).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("it names every law", async () => {
    const text = await page("packages/verify/README.md");
    const rows = [...text.matchAll(/^\| ([a-z ]+?) +\| /gm)].map(([, name]) => name);
    expect(rows).toEqual(expect.arrayContaining([...laws.map(({ name }) => name), "kinks"]));
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
