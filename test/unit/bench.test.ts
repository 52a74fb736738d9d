/** The benchmark as a command; it says nothing about times, which are the machine's. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { measureFirstCalls } from "../../bench/first-calls/first-calls.ts";
import { measureMemory } from "../../bench/memory.ts";
import { measure, quickPatience } from "../../bench/measure.ts";
import { parseOptions } from "../../bench/options.ts";
import { wasmBackend } from "cotangent";
import { compiledC, plainJavaScript } from "../../bench/participants/by-hand.ts";
import { cotangent } from "../../bench/participants/cotangent.ts";
import type { Participant } from "../../bench/participants/participant.ts";
import { report } from "../../bench/report.ts";
import { type Result, firstCallPart, gradientPart, memoryPart, scalarPart } from "../../bench/result.ts";
import { works } from "../../bench/works.ts";

function parse(...args: string[]) {
  let said = "";
  const say = (text: string): void => void (said += text);
  return { found: parseOptions(args, { out: say, err: say }), said };
}

test("options are read, and a -- before them does no harm", () => {
  expect(parse().found).toEqual({ quick: false, only: ["a", "b", "c", "d", "e", "f", "g", "h"] });
  const args = ["--quick", "--only", "c, a", "--json", "figures.json"];
  const expected = { quick: true, only: ["a", "c"], json: "figures.json" };
  expect(parse(...args).found).toEqual(expected);
  expect(parse("--", ...args).found).toEqual(expected);
});

test("help names every option and ends well", () => {
  const { found, said } = parse("--help");
  expect(found).toEqual({ exitCode: 0 });
  for (const option of ["--only", "--quick", "--json"]) expect(said).toContain(option);
});

test.each([
  [["--fast"], "--fast"],
  [["--only", "z"], '"z" is no part. Give one or more of a, b, c'],
  [["--only", "a,,b"], '"" is no part'],
  [["--only"], "argument missing"],
  [["--json", ""], "Give the path of a file"],
  [["stray"], "too many arguments"],
])("%j is refused, and the message says what is wrong", (args, words) => {
  const { found, said } = parse(...args);
  expect(found).toEqual({ exitCode: 1 });
  expect(said).toContain(words);
});

const root = fileURLToPath(new URL("../..", import.meta.url));

type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

const bench = (...args: string[]): Promise<Ran> => benchWith({}, ...args);

function benchWith(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, "bench/main.ts"), ...args],
      { cwd: root, env: { ...process.env, NO_COLOR: "1", ...env } },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

test("a file that cannot be written is refused at once", async () => {
  const { code, stdout, stderr } = await bench("--json", root);
  expect(code).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toContain("error: --json: ");
});

test(
  "on a chain of scalar operations all participants agree, and are timed",
  { timeout: 30_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "cotangent-bench-"));
    try {
      const json = join(folder, "figures.json");
      const { code, stdout, stderr } = await bench("--only", "a", "--quick", "--json", json);
      expect(stderr).toBe("");
      expect(code).toBe(0);
      expect(stdout).toContain("chain of 1,000 scalar operations");
      expect(stdout).not.toContain("DISAGREE");

      const result = JSON.parse(await readFile(json, "utf8")) as Result;
      expect(result).toMatchObject({ quick: true, agreed: true, machine: { node: process.versions.node } });
      expect(result.parts.map(({ id }) => id)).toEqual(["a"]);
      const { rows } = result.parts[0];
      const gradients = rows.filter(
        ({ work, what }) => work === "chain-1000" && what === "value and gradient",
      );
      expect(gradients.map(({ participant, dtype }) => `${participant} ${dtype}`)).toEqual([
        "Cotangent float32",
        "Cotangent float64",
        "jax-js, wasm float32",
        "TensorFlow.js, wasm float32",
        "TensorFlow.js, cpu float32",
      ]);
      // Each has a target: Cotangent's own time, or how much longer a peer takes.
      for (const { target } of gradients) expect(typeof target?.met).toBe("boolean");
      expect(rows.some(({ what }) => what === "derivative, forward mode")).toBe(true);
      for (const { participant, agreement, figure, ratio } of rows) {
        expect(agreement.agrees).toBe(true);
        expect(figure).not.toBeNull();
        const { median, quartiles, unit } = figure!;
        expect(unit).toBe("µs/op");
        expect(quartiles[0]).toBeGreaterThan(0);
        expect(median).toBeGreaterThanOrEqual(quartiles[0]);
        expect(median).toBeLessThanOrEqual(quartiles[1]);
        expect(ratio === null).toBe(participant === "Cotangent");
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test("without a browser what needs one is skipped, and its reason given", { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "cotangent-bench-"));
  try {
    const json = join(folder, "figures.json");
    const nowhere = { COTANGENT_CHROMIUM: join(folder, "no-browser") };
    const { code, stdout, stderr } = await benchWith(nowhere, "--only", "d,g", "--quick", "--json", json);
    expect([stderr, code]).toEqual(["", 0]);
    expect(stdout).toMatch(/on WebGL.*\nNOT MEASURED: No browser here can run WebGL2/);

    const { parts } = JSON.parse(await readFile(json, "utf8")) as Result;
    expect(parts.map(({ id, rows }) => `${id} ${rows.length > 0}`)).toEqual(["d true", "d false", "g false"]);
    for (const { rows, skipped } of parts) {
      if (rows.length === 0)
        expect(skipped).toMatchObject({ reason: expect.stringContaining("no-browser"), failed: false });
      // Of each pair in one dtype, the ratio is the one's time over that of the jitted one.
      for (const { participant, figure, ratio } of rows) {
        expect(figure?.median).toBeGreaterThan(0);
        expect(ratio === null).toBe(participant === "Cotangent, jitted");
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("checkpoints hold less, give the same gradients, and run again what theory says", () => {
  const uses = measureMemory({ steps: 100, layers: 4, rounds: 1 }, () => {});
  expect(uses.map(({ way }) => way)).toEqual([
    "plain",
    'checkpoint: "all"',
    'checkpoint: "sqrt"',
    'checkpoint: "log"',
    "plain",
    "checkpoint(block), 2 layers each",
    "checkpoint(block), 1 layer each",
  ]);
  for (const { work, way, agreement, peakLiveBytes, foretoldBytes, heldBytes, kept, again } of uses) {
    const plain = uses.find((use) => use.work === work)!;
    expect(agreement.agrees).toBe(true);
    expect(foretoldBytes).toBe(peakLiveBytes);
    // But for a temporary or two: each is a small part of what plain reverse mode needs.
    expect(Math.abs(heldBytes - peakLiveBytes)).toBeLessThan(0.2 * plain.peakLiveBytes);
    expect(again === null).toBe(way === "plain");
    if (again === null) continue;
    expect(peakLiveBytes).toBeLessThan(plain.peakLiveBytes);
    expect(again.count).toBeGreaterThan(0);
    expect(again.count).toBeLessThanOrEqual(again.most);
    if (kept !== null) expect(kept.count).toBeLessThanOrEqual(kept.most);
  }
  const machine = { cpu: "", cores: 1, platform: "", node: "" };
  const parts = [memoryPart(uses)];
  const text = report({ machine, quick: true, rounds: 1, browserRounds: 1, seconds: 1, agreed: true, parts });
  expect(text).toContain("run again (theory)");
  expect(text).not.toContain("NO");
});

test("first calls are timed in fresh and in warm processes, and agree", { timeout: 60_000 }, async () => {
  const found = await measureFirstCalls(
    { operations: 20, rounds: 1, browserRounds: 1, warmUps: 1 },
    () => {},
  );
  expect(found).toHaveLength(12);
  for (const { agreement, milliseconds } of found) {
    expect(agreement.agrees).toBe(true);
    expect(milliseconds).toHaveLength(1);
    for (const time of milliseconds) expect(time).toBeGreaterThan(0);
  }
  const { rows } = firstCallPart(found, 20);
  for (const { participant, ratio } of rows) expect(ratio === null).toBe(participant === "Cotangent");
  expect(rows.filter(({ target }) => target !== null)).toHaveLength(5);
});

test("on WebGL tfjs's gradients are the peer, where a browser runs it", { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "cotangent-bench-"));
  try {
    const json = join(folder, "figures.json");
    const { code, stderr } = await bench("--only", "g", "--quick", "--json", json);
    expect([stderr, code]).toEqual(["", 0]);
    const [{ rows, skipped }] = (JSON.parse(await readFile(json, "utf8")) as Result).parts;
    if (skipped !== undefined) expect(skipped.failed).toBe(false);
    else {
      expect(new Set(rows.map(({ participant }) => participant))).toEqual(
        new Set(["Cotangent, jitted", "TensorFlow.js, webgl"]),
      );
      const judged = rows.filter(({ target }) => target !== null);
      expect(judged.map(({ work }) => work)).toEqual(["elementwise-10000", "layers"]);
      for (const { figure } of rows) expect(figure?.median).toBeGreaterThan(0);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  ["a wrong gradient", 1, [[2]]],
  ["not a number", NaN, [[NaN]]],
  ["too few gradients", 1, []],
])("a participant that disagrees leaves the work without figures: %s", async (_, value, gradient) => {
  const wrong: Participant = {
    ...cotangent("float32"),
    name: "Wrong",
    chain: () => ({ value: () => value, valueAndGrad: () => ({ value, gradient }) }),
  };
  const measured = await measure(
    works(true).chain,
    [cotangent("float32"), cotangent("float64"), wrong],
    quickPatience,
  );
  expect(measured.agreed).toBe(false);
  const parts = [scalarPart([measured]), gradientPart([measured])];
  for (const { figure, ratio, target } of parts.flatMap(({ rows }) => rows))
    expect([figure, ratio, target]).toEqual([null, null, null]);
  const machine = { cpu: "", cores: 1, platform: "", node: "" };
  const text = report({
    machine,
    quick: true,
    rounds: 1,
    browserRounds: 1,
    seconds: 1,
    agreed: measured.agreed,
    parts,
  });
  expect(text).toContain("DISAGREES");
  expect(text).not.toContain("µs/op");
});

test("a peer that fails is shown without figures, and the others have theirs", async () => {
  const fails = (): never => {
    throw new RangeError("too deep");
  };
  const failing = {
    ...cotangent("float32"),
    name: "Deep",
    chain: () => ({ value: fails, valueAndGrad: fails }),
  };
  const own = [cotangent("float32"), cotangent("float64")];
  const measured = await measure(works(true).chain, [...own, { ...failing, isPeer: true }], quickPatience);
  const { rows } = scalarPart([measured]);
  const text = rows.filter(({ failed }) => failed !== undefined).map(({ participant }) => participant);
  expect([measured.agreed, ...text]).toEqual([true, "Deep", "Deep"]);
  expect(rows.filter(({ figure }) => figure !== null)).toHaveLength(4);
  await expect(measure(works(true).chain, [...own, failing], quickPatience)).rejects.toThrow("too deep");
});

test("compiled programs, loops of JavaScript and of C agree on the works of part (h)", async () => {
  const compiled = { backend: wasmBackend, jitted: true };
  const participants = [
    cotangent("float64", compiled),
    cotangent("float32", compiled),
    plainJavaScript(),
    await compiledC(),
  ];
  const once = { rounds: 1, warmUpMilliseconds: 0, timingMilliseconds: 0 };
  for (const work of works(true).compiled) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time
    const { agreed, measurements } = await measure(work, participants, once);
    expect([work.id, agreed]).toEqual([work.id, true]);
    expect(measurements.length).toBeGreaterThanOrEqual(2);
  }
});
