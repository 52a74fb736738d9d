/** The arbitraries of the verification suite, which users combine in properties of their own. */
import {
  type Domain,
  type Primitive,
  type Value,
  Tensor,
  broadcastShapes,
  grad,
  interval,
  jsBackend,
  jvp,
  leaves,
  mapTree,
  positive,
  primitives,
  real,
  setBackend,
  vjp,
} from "cotangent";
import {
  type Failure,
  type Program,
  type ShapeOptions,
  assertFunction,
  broadcastableShapes,
  calls,
  checkFunction,
  differences,
  dtypes,
  floatDTypes,
  numbers,
  programs,
  shapes,
  tensors,
  trees,
} from "@cotangent/verify";
import { type Arbitrary, assert, check, nat, property, record, sample, tuple } from "fast-check";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import { describe, expect, test } from "vitest";

setBackend(jsBackend);
const seed = 20261;
const seen = <T>(arbitrary: Arbitrary<T>, numRuns = 300): T[] => sample(arbitrary, { seed, numRuns });
const numbersOf = (values: readonly Value[]): number[][] => values.map((value) => [...value.dataSync()]);

test("shapes have the ranks and sizes that were asked for, and all of them come", () => {
  const found = seen(shapes({ minRank: 1, maxRank: 3, maxSize: 2 }));
  expect(new Set(found.map((shape) => shape.length))).toEqual(new Set([1, 2, 3]));
  expect(new Set(found.flat())).toEqual(new Set([0, 1, 2]));
});

test("bounds of shapes take the other one along, or are refused where nothing is between them", () => {
  const rankOf = (options: ShapeOptions): Set<number> => new Set(seen(shapes(options)).map((s) => s.length));
  const sizes = (options: ShapeOptions): Set<number> => new Set(seen(shapes(options)).flat());
  expect(rankOf({ minRank: 4 })).toEqual(new Set([4]));
  expect(rankOf({ maxRank: 1 })).toEqual(new Set([0, 1]));
  expect(sizes({ minSize: 5 })).toEqual(new Set([5]));
  expect(sizes({ maxSize: 0 })).toEqual(new Set([0]));
  expect(sizes({ minSize: 0, maxSize: 1 })).toEqual(new Set([0, 1]));
  const bound = nat({ max: 6 });
  assert(
    property(
      record({ minRank: bound, maxRank: bound, minSize: bound, maxSize: bound }, { requiredKeys: [] }),
      (given) => {
        const { minRank = 0, maxRank = Infinity, minSize = 0, maxSize = Infinity } = given;
        if (minRank > maxRank || minSize > maxSize) {
          expect(() => shapes(given)).toThrow(
            /^shapes: min(Rank|Size) is \d and max\1 is \d; no (rank|size) is in between/,
          );
          return;
        }
        for (const shape of sample(shapes(given), { seed, numRuns: 10 })) {
          expect(shape.length >= minRank && shape.length <= maxRank).toBe(true);
          expect(shape.every((size) => size >= minSize && size <= maxSize)).toBe(true);
        }
      },
    ),
    { seed },
  );
  expect(() => shapes({ minRank: 3, maxRank: 2 })).toThrow(
    "shapes: minRank is 3 and maxRank is 2; no rank is in between. Give a maxRank of 3 or more.",
  );
  expect(() => shapes({ maxSize: -1 })).toThrow(
    "shapes: maxSize is -1, but must be a whole number from 0 on.",
  );
});

test("the examples of their documentation hold", async () => {
  const source = readFileSync(join(import.meta.dirname, "../../packages/verify/src/arbitraries.ts"), "utf8");
  const inline = [...source.matchAll(/@example `(.*)`/g)].map(([, code]) => `fc.assert(${code});`);
  const blocks = [...source.matchAll(/@example\n \* ```ts\n(.*?) \* ```/gs)].map(([, code]) =>
    code.replaceAll(/^ \* /gm, ""),
  );
  expect([inline.length, blocks.length]).toEqual([3, 2]);
  const known: Record<string, unknown> = {
    ...(await import("cotangent")),
    ...(await import("@cotangent/verify")),
    fc: await import("fast-check"),
  };
  for (const code of [...inline, ...blocks])
    compileFunction(code, Object.keys(known))(...Object.values(known));
});

test("shapes that broadcast do, shorter and stretched ones among them", () => {
  const found = seen(broadcastableShapes(3));
  for (const each of found) broadcastShapes("test", each);
  expect(found.some(([whole, ...others]) => others.some((shape) => shape.length < whole.length))).toBe(true);
  const isStretched = ([whole, other]: readonly (readonly number[])[]): boolean =>
    other.some((n, i) => n === 1 && (whole.at(i - other.length) ?? 1) > 1);
  expect(found.some(isStretched)).toBe(true);
});

describe("numbers", () => {
  test.each<[string, Domain]>([
    ["all reals", real()],
    ["positive ones", positive()],
    ["those clear of kinks", interval(-2, 2, { kinks: [-1, 0, 1], margin: 0.25 })],
    ["whole ones", interval(-2, 5, { integer: true })],
  ])("%s lie in their domain, and reach its ends", (_, domain) => {
    const found = seen(numbers(domain), 2000);
    const { low, high, kinks = [], margin = 0 } = domain;
    expect(found.every((x) => x >= low && x <= high)).toBe(true);
    expect(found.every((x) => kinks.every((kink) => Math.abs(x - kink) >= margin))).toBe(true);
    expect(found).toEqual(expect.arrayContaining([low, high]));
    if (domain.integer === true) return;
    // As near to a kink as may be, and next to an end but not on it.
    for (const kink of kinks) expect(found).toContain(kink - margin);
    expect(found.some((x) => x !== low && x - low < 1e-6)).toBe(true);
  });

  test("beyond any domain come where they are asked for", () => {
    const found = seen(numbers(positive(), { special: true }));
    expect(found).toEqual(expect.arrayContaining([NaN, Infinity, -Infinity, 5e-324]));
  });

  test("beyond any domain are neither whole, nor among those that all differ", () => {
    const whole = seen(numbers(interval(-2, 2, { integer: true }), { special: true }));
    expect(new Set(whole)).toEqual(new Set([-2, -1, 0, 1, 2]));
    for (const x of seen(tensors({ shape: [4], domain: real({ distinct: true }), special: true }), 50))
      expect(new Set([...x.dataSync()].filter(Number.isFinite)).size).toBe(4);
    const some = seen(tensors({ shape: [4], special: true })).flatMap((x) => [...x.dataSync()]);
    expect(some.some(Number.isNaN)).toBe(true);
  });
});

test("tensors have the shape, dtype, backend and elements that were asked for", () => {
  for (const dtype of jsBackend.dtypes) {
    for (const x of seen(tensors({ shape: [2, 2], dtype, backend: jsBackend }), 20)) {
      expect([x.shape, x.dtype, x.backend]).toEqual([[2, 2], dtype, jsBackend]);
      expect(x.dataSync().every((element) => Math.abs(element) <= 3)).toBe(true);
    }
  }
  const distinct = tensors({ shape: [6], domain: real({ distinct: true }) });
  for (const x of seen(distinct, 20)) expect(new Set(x.dataSync()).size).toBe(6);
  const ofAnyDType = seen(tensors({ dtype: dtypes(jsBackend) }));
  expect(new Set(ofAnyDType.map((x) => x.dtype))).toEqual(new Set(jsBackend.dtypes));
  expect(new Set(seen(floatDTypes(jsBackend)))).toEqual(new Set(["float64", "float32"]));
});

test("trees are what functions take: a gradient has the structure of its argument", () => {
  const total = (params: unknown): Value =>
    (leaves(params) as Value[]).map((leaf) => leaf.square().sum()).reduce((a, b) => a.add(b));
  const arbitrary = trees(tensors({ shape: [2], dtype: "float64" }));
  assert(
    property(arbitrary, (params) => {
      const gradient = grad((p: unknown) => total(p))(params);
      const plain = (tree: unknown): unknown => mapTree(tree, (leaf) => [...(leaf as Value).dataSync()]);
      expect(plain(gradient)).toEqual(plain(mapTree<unknown>(params, (leaf) => (leaf as Value).mul(2))));
    }),
    { seed, numRuns: 50 },
  );
  const isNested = (tree: unknown): boolean =>
    !(tree instanceof Tensor) && Object.values(tree as object).some((child) => !(child instanceof Tensor));
  expect(seen(arbitrary).some(isNested)).toBe(true);
});

test("calls are those that a primitive says are valid", () => {
  for (const { inputs, text } of seen(calls(primitives().get("div") as Primitive), 20)) {
    expect(inputs).toHaveLength(2);
    expect([...inputs[1].data].every((y) => y > 0)).toBe(true);
    expect(text).toMatch(/^bind\(primitives\(\)\.get\("div"\)!/);
  }
});

describe("programs", () => {
  const some = seen(programs({ steps: 8 }), 120);

  test("are finite at their point, and so are their derivatives", () => {
    for (const program of some.slice(0, 40)) {
      const point = program.point();
      const ones = (values: readonly Value[]): Value[] => values.map((value) => value.onesLike());
      const outputs = program.run(...point);
      const found = [
        ...outputs,
        ...jvp(program.run, point, ones(point))[1],
        ...vjp(program.run, ...point)[1](ones(outputs)),
      ];
      for (const value of found) expect(value.dataSync().every(Number.isFinite), program.text).toBe(true);
    }
  });

  test("have control flow and all transformations among their steps, nested in each other", () => {
    const features = [...new Set(some.flatMap((program) => program.features))];
    const control = ["cond", "scan", "whileLoop", "jit", "checkpoint: nothing"];
    const transformations = ["jvp", "linearize", "jet", "vjp", "grad", "jacfwd", "jacrev", "vmap", "custom"];
    expect(features).toEqual(expect.arrayContaining([...control, ...transformations]));
    const nested = (levels: number): number =>
      features.filter((feature) => feature.split(" of ").length === levels).length;
    expect(nested(2)).toBeGreaterThan(10);
    expect(nested(3)).toBeGreaterThan(0);
  });

  test("are printed as TypeScript that has types, runs, and gives the same", () => {
    const folder = mkdtempSync(join(import.meta.dirname, "../programs-"));
    const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
    try {
      const own = some.slice(0, 30);
      own.forEach(({ text }, i) => write(`p${i}.ts`, `${text}\nexport { f, point };\n`));
      write(
        "all.ts",
        [
          `import { jsBackend, setBackend, vjp } from "cotangent";`,
          `setBackend(jsBackend);`,
          `const numbersOf = (values) => values.map((value) => [...value.dataSync()]);`,
          `const found = [];`,
          `for (let i = 0; i < ${own.length}; i++) {`,
          `  const { f, point } = await import(\`./p\${i}.ts\`);`,
          `  const [outputs, back] = vjp(f, ...point);`,
          `  found.push([numbersOf(outputs), numbersOf(back(outputs))]);`,
          `}`,
          `console.log(JSON.stringify(found));`,
        ].join("\n"),
      );
      const run = (...args: string[]): string =>
        execFileSync(process.execPath, args, { encoding: "utf8", stdio: "pipe", maxBuffer: 2 ** 26 });
      const wanted = own.map((program) => {
        const [outputs, back] = vjp(program.run, ...program.point());
        return [numbersOf(outputs), numbersOf(back(outputs))];
      });
      // JSON has no -0.
      expect(JSON.parse(run(join(folder, "all.ts")))).toEqual(JSON.parse(JSON.stringify(wanted)));

      const root = join(import.meta.dirname, "../..");
      const compilerOptions = { types: ["node"] };
      write(
        "tsconfig.json",
        JSON.stringify({ extends: join(root, "tsconfig.base.json"), compilerOptions, include: ["p*.ts"] }),
      );
      run(join(root, "node_modules/typescript/bin/tsc"), "-p", folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("are taken apart to the smallest: what is nested comes out", () => {
    const smallest = (program: Program, isWanted: (smaller: Program) => boolean): Program => {
      for (const smaller of program.smaller()) if (isWanted(smaller)) return smallest(smaller, isWanted);
      return program;
    };
    const isPrimitive = (kind: string): boolean =>
      primitives().has(kind) && kind !== "scan" && kind !== "whileLoop";
    const nested = some.filter((program) => program.features.some((kind) => kind.includes(" of ")));
    for (const program of nested.slice(0, 4)) {
      for (const kind of program.features.filter(isPrimitive).slice(0, 2)) {
        const { text, features } = smallest(program, (smaller) => smaller.features.includes(kind));
        expect(features, text).toEqual([kind]);
        expect(text.match(/^ {2}const /gm), text).toHaveLength(1);
      }
    }
  });

  test("shrink by the choices they were made by", () => {
    const found = check(
      property(programs({ steps: 3 }), (program) => !program.features.includes("tanh")),
      { seed: 2, numRuns: 300 },
    );
    expect(found.counterexample?.[0].text).toMatch(
      /point = \[tensor\(\[0\], \{ shape: \[\] \}\)\];\n.*\n {2}const v0 = bind\(primitives\(\)\.get\("tanh"\)!, \[x0\], \{\}\);\n {2}return \[v0\];/,
    );
  });
});

describe("checkFunction with an arbitrary for inputs", () => {
  const options = { backend: jsBackend, dtype: "float64" } as const;
  const vectors = tensors({
    shape: shapes({ minRank: 1, maxRank: 1, minSize: 1 }),
    domain: positive(),
  });

  test("judges the function on what that gives", () => {
    assertFunction((x: Value, y: Value) => x.mul(y.sum()).log(), tuple(vectors, vectors), {
      ...options,
      samples: 5,
    });
  });

  test("reports as data what it found, and throws with it printed", () => {
    // x², of whose derivative 2x half is cut off.
    const halved = (x: Value): Value => x.mul(x.stopGradient());
    const own = { ...options, name: "halved", samples: 20, seed: 5, laws: [differences] };
    const [report] = checkFunction(halved, tuple(vectors), own);
    expect(report).toMatchObject({
      subject: "halved",
      law: "differences",
      backend: "js",
      dtype: "float64",
      seed: 5,
    });
    const failure = report.failure as Failure & { found: number[]; expected: number[] };
    expect(failure.counterexample).toMatch(
      /^\/\/ on backend "js", in float64\nhalved\(tensor\(\[[^\]]+\], \{ shape: \[1\]/,
    );
    expect(failure.inputs).toEqual([{ shape: [1], dtype: "float64", data: [expect.any(Number)] }]);
    expect(failure.path).toMatch(/^\d+$/);
    expect(failure.expected[0] / failure.found[0]).toBeCloseTo(2, 9);
    const { error = NaN, tolerance = NaN } = failure;
    expect(failure.tolerances).toBe(error / tolerance);
    expect(failure.ulps).toBeGreaterThan(1e12);
    expect(() => assertFunction(halved, tuple(vectors), own)).toThrow(
      /^halved on js in float64 breaks the law "differences"[^]*the error is \S+: \S+ ulp, \S+ times the tolerance of \S+\nfor\n\/\/ on .*\nhalved\([^]*replay: \{ seed: 5, path: "/,
    );
  });

  test("classes and counts samples next to a kink, and drops none", () => {
    const [report] = checkFunction((x: Value) => x.abs(), tuple(tensors({ shape: [] })), {
      ...options,
      samples: 300,
      laws: [differences],
    });
    expect(report.failure).toBeUndefined();
    const classed = Object.values(report.classed).reduce((a, b) => a + b, 0);
    expect(report.judged + classed).toBe(300);
    expect(report.classed["the oracle is uncertain: near a kink, or too steep"]).toBeGreaterThan(0);
    expect(report.judged).toBeGreaterThan(200);
  });
});
