/** The demo as a command. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parseOptions } from "../../demo/options.ts";
import type { Result } from "../../demo/report/result.ts";

/** What the command line would say, and how it would end or go on. */
function parse(...args: string[]) {
  let said = "";
  const say = (text: string): void => void (said += text);
  return { found: parseOptions(args, { out: say, err: say }), said };
}

const cases = ["classifier", "trajectory", "square", "hvp"];

test("without options everything runs", () => {
  expect(parse().found).toEqual({ quick: false, out: "out", only: cases, browser: true });
});

test("options are read, and a -- before them does no harm", () => {
  const expected = { quick: true, out: "elsewhere", only: ["trajectory", "hvp"], browser: false };
  const args = ["--quick", "--out", "elsewhere", "--only", "hvp, trajectory", "--no-browser"];
  expect(parse(...args).found).toEqual(expected);
  expect(parse("--", ...args).found).toEqual(expected);
});

test("help names every option and ends well", () => {
  const { found, said } = parse("--help");
  expect(found).toEqual({ exitCode: 0 });
  for (const option of ["--quick", "--out", "--only", "--no-browser", ...cases])
    expect(said).toContain(option);
});

test.each([
  [["--fast"], ["--fast", "--quick"]],
  [
    ["--only", "nonsense"],
    ['"nonsense" is no case', cases.join(", ")],
  ],
  [
    ["--only", "hvp,,square"],
    ['"" is no case', cases.join(", ")],
  ],
  [["--only"], ["--only <case,...>", "argument missing"]],
  [["--out", ""], ["Give the path of a folder"]],
  [["stray"], ["too many arguments"]],
])("%j is refused: what was given and what is allowed", (args, words) => {
  const { found, said } = parse(...args);
  expect(found).toEqual({ exitCode: 1 });
  for (const word of words) expect(said).toContain(word);
});

const root = fileURLToPath(new URL("../..", import.meta.url));

function demo(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, "demo/main.ts"), ...args],
      { cwd: root, env: { ...process.env, CI: "1", NO_COLOR: "1" } },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

test("a bad option ends the command with 1", async () => {
  const { code, stderr } = await demo("--only", "nonsense");
  expect(code).toBe(1);
  expect(stderr).toContain('"nonsense" is no case');
});

test("a run writes a self-contained report and its figures, and says what it found", async () => {
  const out = await mkdtemp(join(tmpdir(), "cotangent-demo-"));
  try {
    const { code, stdout, stderr } = await demo(
      "--quick",
      "--only",
      "square,hvp",
      "--no-browser",
      "--out",
      out,
    );
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect((await readdir(out)).toSorted()).toEqual(["report.html", "result.json"]);

    const result = JSON.parse(await readFile(join(out, "result.json"), "utf8")) as Result;
    expect(result.sweeps.map(({ id, backend, dtype }) => [id, backend, dtype])).toEqual([
      ["square-n", "js", "float64"],
      ["hvp-n", "js", "float64"],
    ]);
    const reason: unknown = expect.stringContaining("--no-browser");
    expect(result.webgl).toEqual({ ran: false, reason, failed: false });
    expect(result.disagreements).toEqual([]);
    for (const { points, crossovers, predictions } of result.sweeps) {
      expect(points.length).toBeGreaterThanOrEqual(3);
      expect(crossovers).toHaveLength(6);
      expect(predictions).toHaveLength(6);
      for (const { figure, predicted, measured } of predictions) {
        // Times are foretold in order of magnitude, and the machine may be busy.
        const factor = { flops: 1.05, evaluations: 1.35, milliseconds: 100 }[figure];
        expect(Math.abs(Math.log(predicted / measured))).toBeLessThan(Math.log(factor));
      }
      for (const { n, m, measurements } of points) {
        expect(n).toBeGreaterThan(0);
        expect(m).toBeGreaterThan(0);
        expect(measurements.length).toBeGreaterThanOrEqual(4);
        for (const found of measurements) {
          expect(found.milliseconds).toBeGreaterThan(0);
          expect(found.evaluations).toBeGreaterThan(0);
          expect(found.flops).toBeGreaterThan(0);
          expect(found.peakLiveBytes).toBeGreaterThan(0);
          expect(found.error).toBeLessThan(1e-6);
        }
      }
    }
    const { epochs, batchLosses } = result.training;
    // Far above the 10 % of guessing, though the run is short.
    expect(epochs[epochs.length - 1].testAccuracy).toBeGreaterThan(0.8);
    expect(batchLosses[batchLosses.length - 1]).toBeLessThan(batchLosses[0]);

    const html = await readFile(join(out, "report.html"), "utf8");
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain("WebGL was not measured");
    // One overview and six figures for each of two functions, and two of the training.
    expect(html.match(/<svg /g)).toHaveLength(2 + 12 + 2);
    expect(html).not.toMatch(/(src|href)="(?!data:)/);
    expect(html).not.toMatch(/NaN|undefined/);

    expect(stdout).toContain("WEBGL WAS NOT MEASURED");
    expect(stdout).toMatch(/Test accuracy: \d\d\.\d %/);
    expect(stdout).toContain("report.html");
    expect(stdout).toContain("the same, predicted");
    expect(stdout).toContain("time, predicted");
    expect(stdout).toContain("From graphs alone, the cost model foretold");
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});
