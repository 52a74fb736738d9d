import { laws, lawsOfValues } from "@cotangent/verify";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const command = join(import.meta.dirname, "../campaign/main.ts");
const binary = join(import.meta.dirname, "../../packages/verify/src/cli.ts");
// Where modules of users are written, which import the packages.
const folder = mkdtempSync(join(import.meta.dirname, "../campaign-"));
const outside = mkdtempSync(join(tmpdir(), "campaign-"));
afterAll(() => [folder, outside].forEach((path) => rmSync(path, { recursive: true })));

const run = (
  script: string,
  args: readonly string[],
  cwd = folder,
): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, [script, ...args], {
    encoding: "utf8",
    cwd,
    timeout: 60_000,
    // Where modules are looked for besides the folder: it is the script runner's.
    env: { ...process.env, NODE_PATH: "" },
  });
const verify = (...args: string[]): ReturnType<typeof run> => run(command, args);

/** What a shell makes of a line. */
const wordsOf = (line: string): string[] =>
  Array.from(line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g), ([, ...words]) => words.find(Boolean) ?? "");

/** The cells of the first row of a printed table that begins so. */
const row = (stdout: string, begin: string): string[] =>
  stdout
    .split("\n")
    .map((line) => line.split("│").map((cell) => cell.trim()))
    .find((cells) => cells[1] === begin)
    ?.slice(1, -1) ?? [];

const columns = [...laws.map(({ name }) => name), "kinks"];

test("the campaign prints a matrix of subjects, laws and backends, and says how much it judged", () => {
  const json = join(outside, "reports.json");
  const html = join(outside, "report.html");
  const options =
    "--seed 3 --primitive sin,programs --backend js,wasm --dtype float64,float32 --samples 30 --programs 2";
  const { status, stdout } = verify(...options.split(" "), "--json", json, "--html", html);
  expect(row(stdout, "")).toEqual(["", ...columns]);
  // sin has derivatives, so `cut` says nothing of it, and the reference backend in float64 is not compared with itself.
  const some: Readonly<Record<string, string>> = {
    cut: "····",
    kinks: "····",
    reference: "·✓✓✓",
    "second differences": "✓·✓·",
  };
  const marks = (law: string): string => some[law] ?? "✓✓✓✓";
  expect(row(stdout, "sin")).toEqual(["sin", ...columns.map(marks)]);
  const ofPrimitives = laws.flatMap(({ name, subjects }) => (subjects === "primitives" ? [name] : []));
  const ofPrograms = columns.map((law) => (ofPrimitives.includes(law) || law === "kinks" ? "" : marks(law)));
  expect(row(stdout, "programs")).toEqual(["programs", ...ofPrograms]);
  expect(stdout).toMatch(
    /\d+ samples judged, 0 that could not be, 0 failures, 0 checks left out, .* seed 3\.\n$/,
  );
  expect(status).toBe(0);

  const found = JSON.parse(readFileSync(json, "utf8")) as {
    reports: { subject: string; law: string; backend: string; judged: number; exercised: object }[];
    totals: { backend: string; judged: number }[];
    coverage: { judged: number; reasons: Record<string, number>; unexplained: object[] };
  };
  const adjoint = found.reports.find(({ law, subject }) => law === "adjoint" && subject === "sin");
  expect(adjoint).toMatchObject({ backend: "js" });
  // And some more, until each class of shape has had its turn.
  expect(adjoint?.judged).toBeGreaterThanOrEqual(30);
  const classes = ["scalar", "vector", "matrix", "rank 3 or more", "one element", "empty"];
  expect(Object.keys(adjoint?.exercised ?? {}).sort()).toEqual(classes.map((name) => `x: ${name}`).sort());
  expect(found.coverage.unexplained).toEqual([]);
  expect(found.coverage.reasons["the record draws no such shape"]).toBeGreaterThan(0);
  expect(new Set(found.totals.map(({ backend }) => backend))).toEqual(new Set(["js", "wasm"]));
  const page = readFileSync(html, "utf8");
  expect(page).toContain("<title>Verification: 0 failures</title>");
  expect(page.match(/js float64: holds, 3\d judged/g)?.length).toBe(
    // Of a law with a share of the samples there are fewer.
    columns.filter(
      (column) =>
        marks(column).startsWith("✓") && laws.find(({ name }) => name === column)?.share === undefined,
    ).length,
  );
});

test("whole numbers have columns of their own, of the laws that say something of them", () => {
  const json = join(outside, "whole.json");
  const options = "--seed 3 --primitive add,sin,gather,programs --backend js --dtype int32,bool --samples 30";
  const { status, stdout } = verify(...options.split(" "), "--json", json);
  const ofValues = lawsOfValues.map(({ name }) => name);
  const marks = (mark: string): string[] => columns.map((law) => (ofValues.includes(law) ? mark : ""));
  expect(row(stdout, "add")).toEqual(["add", ...marks("✓·")]);
  expect(row(stdout, "sin")).toEqual(["sin", ...marks("··")]);
  expect(row(stdout, "gather")).toEqual(["gather", ...marks("✓✓")]);
  expect(row(stdout, "programs")).toEqual(["programs", ...marks("")]);
  const found = JSON.parse(readFileSync(json, "utf8")) as {
    reports: { subject: string; dtype: string; classed: Record<string, number> }[];
    coverage: { unexplained: object[] };
  };
  expect(found.coverage.unexplained).toEqual([]);
  const refused = found.reports.find(({ subject, dtype }) => subject === "sin" && dtype === "int32");
  expect(Object.keys(refused?.classed ?? {})).toEqual(["takes no int32"]);
  expect(status).toBe(0);
});

test("the campaign refuses what it does not know, and says what there is", () => {
  for (const [option, value] of [
    ["--law", "murphy"],
    ["--primitive", "sine"],
    ["--dtype", "float16"],
    ["--backend", "cuda"],
  ]) {
    const { status, stderr } = verify(option, value);
    expect(stderr).toMatch(new RegExp(`${option} .*"${value}" is none of: `));
    expect(status).toBe(1);
  }
  expect(verify("--time", "0").stderr).toMatch(/--time .*Give a whole number from 1 on/);
});

test.each([
  ["an interrupt", []],
  ["a request to end", []],
  ["its time", ["--time", "3"]],
])("%s ends the campaign with what was covered so far", async (what, options) => {
  const only = ["--primitive", "add,mul", "--backend", "js", "--dtype", "float64"];
  const args = [command, ...only, "--samples", "100000", ...options];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (text) => (stdout += String(text)));
  if (what !== "its time") setTimeout(() => child.kill(what === "an interrupt" ? "SIGINT" : "SIGTERM"), 4000);
  const [code] = (await once(child, "close")) as [number | null];
  expect(code, stdout).toBe(0);
  expect(row(stdout, "add")).toContain("✓");
  expect(stdout).toMatch(
    /[1-9]\d* samples judged, .* It was (interrupted|out of time): this is what was covered\.\n$/,
  );
});

describe("the command of the package", () => {
  const wrong = `
    import { jsBackend, primitive, argument, unaryKernel } from "cotangent";
    jsBackend.kernels.set("wrongSine", unaryKernel(Math.sin));
    primitive("wrongSine", {
      args: ["x"], elementwise: true, shape: ([x]) => x, cost: (_, output) => output.size, residuals: { x: ["x"] },
      sample: (draw) => ({ inputs: [argument(draw.shape())], params: {} }),
      jvp: { x: (dx, { x }) => dx.mul(x.cos()) },
      vjp: { x: (ct, { x }) => ct.mul(x.sin()) },
    });`;

  test("judges a primitive of a user's module, prints a failure that replays, and exits with 1", () => {
    const path = join(folder, "wrong.ts");
    writeFileSync(path, wrong);
    const args = ["--module", path, "--primitive", "wrongSine", "--backend", "js", "--dtype", "float64"];
    const json = join(outside, "wrong.json");
    const { status, stdout } = run(binary, [...args, "--seed", "5", "--json", json]);
    expect(status).toBe(1);
    expect(row(stdout, "wrongSine")[1]).toBe("✗");
    const found = JSON.parse(readFileSync(json, "utf8")) as {
      reports: { law: string; failure?: { counterexample: string; error: number; tolerance: number } }[];
    };
    const failure = found.reports.find(({ law }) => law === "adjoint")?.failure;
    expect(failure?.counterexample).toMatch(
      /^\/\/ on backend "js", in float64\nbind\(primitives\(\)\.get\("wrongSine"\)!/,
    );
    expect(failure?.error).toBeGreaterThan(failure?.tolerance ?? Infinity);

    // The line as it is printed, module and all.
    const again = run(binary, wordsOf(/^cotangent-verify (.* --law "adjoint" .*)$/m.exec(stdout)?.[1] ?? ""));
    expect(again.status).toBe(1);
    expect(again.stdout).toContain(failure?.counterexample);
  });

  test("prints how to replay a program: of as many steps, with a module whose path is no single word", () => {
    const path = join(folder, "wrong in programs.ts");
    writeFileSync(path, wrong);
    const only = ["--primitive", "programs", "--law", "adjoint", "--backend", "js", "--dtype", "float64"];
    const args = ["--module", path, ...only, "--programs", "300", "--steps", "3", "--seed", "7"];
    const { status, stdout } = run(binary, args);
    expect(status).toBe(1);
    const line = /^cotangent-verify (.*--primitive programs .*)$/m.exec(stdout)?.[1] ?? "";
    expect(line).toContain(" --steps 3 ");
    const again = run(binary, wordsOf(line));
    expect(again.status).toBe(1);
    const printed = (text: string): string => text.slice(0, text.indexOf("\ncotangent-verify "));
    expect(printed(again.stdout)).toBe(printed(stdout));
  });

  test("says what to install where there is nothing to judge", () => {
    const { status, stderr } = run(binary, [], outside);
    expect(status).toBe(2);
    expect(stderr).toMatch(/the package "cotangent" is not installed here/);
  });
});
