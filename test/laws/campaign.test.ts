import { laws } from "@cotangent/verify";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const command = join(import.meta.dirname, "../campaign.ts");
const verify = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, [command, ...args], { encoding: "utf8" });

/** The cells of the first row of a printed table that begins so. */
const row = (stdout: string, begin: string): string[] =>
  stdout
    .split("\n")
    .map((line) => line.split("│").map((cell) => cell.trim()))
    .find((cells) => cells[1] === begin)
    ?.slice(1, -1) ?? [];

test("the campaign prints a matrix of laws, and says how much it judged", () => {
  const options = "--seed 3 --primitive sin,programs --samples 4 --programs 2";
  const { status, stdout } = verify(...options.split(" "));
  const columns = [...laws.map(({ name }) => name), "kinks"];
  expect(row(stdout, "js float64")).toEqual(["js float64", ...columns]);
  // sin has derivatives, so `cut` says nothing of it, and the reference backend is not compared with itself.
  const silent = ["cut", "reference", "kinks"];
  for (const [subject, judged] of [
    ["sin", "4"],
    ["programs", "2"],
  ]) {
    const cells = columns.map((law) => (silent.includes(law) ? "-" : judged));
    expect(row(stdout, subject)).toEqual([subject, ...cells]);
  }
  expect(stdout).toMatch(
    /\d+ samples judged, 0 that could not be, 0 failures, 0 checks left out .* seed 3\n$/,
  );
  expect(status).toBe(0);
});

test("the campaign refuses what it does not know, and says what there is", () => {
  for (const [option, value] of [
    ["--law", "murphy"],
    ["--primitive", "sine"],
    ["--dtype", "float16"],
  ]) {
    const { status, stderr } = verify(option, value);
    expect(stderr).toMatch(new RegExp(`${option} .*"${value}" is none of: `));
    expect(status).toBe(1);
  }
  expect(verify("--time", "0").stderr).toMatch(/--time .*Give a whole number from 1 on/);
});
