/** The verification campaign as a command. */
import { writeFile } from "node:fs/promises";
import { SingleBar } from "cli-progress";
import { type Effort, cellsOf, randomPrograms, samplesOf } from "../campaign.ts";
import { packed } from "../json.ts";
import type { Column } from "./column.ts";
import { Findings } from "./findings.ts";
import { type Replay, matrix, replayOf, showCoverage, totals } from "./matrix.ts";
import { parseOptions } from "./options.ts";
import { page } from "./page.ts";

export { type Column, localColumn } from "./column.ts";
export { listOf, wholeNumber } from "./options.ts";

const signals = ["SIGINT", "SIGTERM"] as const;

export interface CommandOptions {
  /** What a shell calls the command by, as it is printed for replaying a failure; by default "cotangent-verify". */
  readonly invocation?: string;
}

/**
 * Judges what the arguments ask for on these columns, prints failures and a matrix, and writes the files asked for. An
 * interrupt (Ctrl-C) or a request to end (SIGTERM) ends it early, with all that was covered so far; a second one at once.
 *
 * @returns the exit code: 1 where a law failed, could judge no sample, left a shape out for no reason, or a backend could not
 * be had.
 * @example `process.exitCode = await verifyCommand([localColumn("mine", ["float32"], () => mine, jsBackend)], process.argv.slice(2))`
 */
export async function verifyCommand(
  columns: readonly Column[],
  args: readonly string[],
  { invocation = "cotangent-verify" }: CommandOptions = {},
): Promise<number> {
  const options = parseOptions(
    args,
    columns.map(({ name }) => name),
  );
  const { samples, programs, steps, seed, path, law: laws } = options;
  const subjects = options.primitive.filter((name) => name !== randomPrograms || programs > 0);
  const replay: Replay = { invocation, steps };
  const effort: Effort = { samples, programs, steps, seed, ...(path !== undefined && { path }) };
  const chosen = columns.filter(({ name }) => options.backend.includes(name));
  const findings = new Findings(
    new Map(
      chosen.map(({ name, dtypes }) => [
        name,
        cellsOf(
          subjects,
          laws,
          dtypes.filter((dtype) => options.dtype.includes(dtype)),
        ),
      ]),
    ),
  );

  const started = Date.now();
  const stop = new AbortController();
  const interrupted = (): void => stop.abort("interrupted");
  for (const signal of signals) process.once(signal, interrupted);
  const timer = setTimeout(() => stop.abort("out of time"), options.time * 1000);

  let total = 0;
  for (const cells of findings.cells.values()) for (const cell of cells) total += samplesOf(cell, effort);
  const bar = new SingleBar({
    format: "{bar} {value}/{total} samples, {failures} failures, {eta_formatted} left | {now}",
    hideCursor: true,
  });
  bar.start(total, 0, { failures: 0, now: "" });
  await Promise.all(
    chosen.map((column) =>
      column
        .judge(findings.cells.get(column.name) ?? [], effort, {
          onReport: (report) => {
            findings.add(column, report);
            const { judged, classed, subject, law, failure } = report;
            const seen = Object.values(classed).reduce((sum, count) => sum + count, judged);
            if (failure !== undefined)
              process.stdout.write(
                `${bar.isActive && process.stderr.isTTY ? "\n" : ""}${failure.text}\n${replayOf({ ...report, backend: column.name }, replay)}\n\n`,
              );
            bar.increment(seen, {
              failures: findings.failures.length,
              now: `${column.name}: ${subject}, ${law}`,
            });
          },
          isStopped: () => stop.signal.aborted,
        })
        .catch((error: unknown) => {
          findings.missing.set(column.name, error instanceof Error ? error.message : String(error));
        }),
    ),
  );
  bar.stop();
  clearTimeout(timer);
  for (const signal of signals) process.off(signal, interrupted);

  const seconds = (Date.now() - started) / 1000;
  const stopped = stop.signal.aborted
    ? `It was ${String(stop.signal.reason)}: this is what was covered.`
    : "";
  const { failures, reports, leftOut, missing } = findings;
  const blind = reports.filter(
    ({ judged, missed, failure }) => judged === 0 && missed > 0 && failure === undefined,
  );
  const judged = reports.reduce((sum, report) => sum + report.judged, 0);
  const missed = reports.reduce((sum, report) => sum + report.missed, 0);
  const coverage = findings.coverage(stop.signal.aborted);
  process.stdout.write(
    [
      matrix(findings, subjects, laws),
      totals(findings),
      showCoverage(coverage),
      `${judged} samples judged, ${missed} that could not be, ${failures.length} failures, ` +
        `${leftOut} checks left out, in ${seconds.toFixed(1)} s; seed ${seed}. ${stopped}`.trimEnd(),
      "",
    ]
      .join("\n\n")
      .trimEnd() + "\n",
  );
  if (options.json !== undefined) {
    const facts = {
      seed,
      seconds,
      stopped,
      missing: Object.fromEntries(missing),
      totals: findings.places.map((place) => ({ ...place, ...findings.totals(place) })),
      coverage: { ...coverage, reasons: Object.fromEntries(coverage.reasons) },
      reports,
    };
    await writeFile(options.json, `${JSON.stringify(facts, packed, 1)}\n`);
  }
  if (options.html !== undefined)
    await writeFile(
      options.html,
      page(findings, { ...replay, subjects, laws, seed, seconds, stopped, coverage }),
    );
  const isEmpty = coverage.unexplained.length > 0;
  return failures.length > 0 || blind.length > 0 || missing.size > 0 || isEmpty ? 1 : 0;
}
