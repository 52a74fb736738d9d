import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const command = join(import.meta.dirname, "../campaign.ts");
const verify = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, [command, ...args], { encoding: "utf8" });

test("the campaign prints a matrix of laws, and says how much it judged", () => {
  const { status, stdout } = verify(
    "--seed",
    "3",
    "--primitive",
    "sin,programs",
    "--samples",
    "4",
    "--programs",
    "2",
  );
  expect(stdout).toMatch(/│ js float64 │ adjoint │/);
  expect(stdout).toMatch(/│ sin +│ +4 │ +4 │ +4 │ +4 │ +- │ +- │ +4 │ +- │/);
  expect(stdout).toMatch(/│ programs +│ +2 │ +2 │ +2 │ +2 │ +- │ +- │ +2 │ +- │/);
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
