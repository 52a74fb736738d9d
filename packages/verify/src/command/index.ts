/** The verification campaign as a command. */
import { writeFile } from "node:fs/promises";
import { SingleBar } from "cli-progress";
import { type Effort, cellsOf, samplesOf } from "../campaign.ts";
import type { Column } from "./column.ts";
import { Findings } from "./findings.ts";
import { coverage, matrix, replayOf, totals } from "./matrix.ts";
import { parseOptions } from "./options.ts";
import { page } from "./page.ts";

export { type Column, localColumn } from "./column.ts";
export { listOf, wholeNumber } from "./options.ts";

/** Numbers that JSON lacks, as texts. */
const withNumbers = (_: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isFinite(value) ? String(value) : value;

/**
 * Judges what the arguments ask for on these columns, prints failures and a matrix, and writes the files asked for. An
 * interrupt (Ctrl-C) ends it early, with all that was covered so far; a second one ends it at once.
 *
 * @returns the exit code: 1 where a law failed, could judge no sample, or a backend could not be had.
 * @example `process.exitCode = await verifyCommand([localColumn("mine", ["float32"], () => mine, jsBackend)], process.argv.slice(2))`
 */
export async function verifyCommand(columns: readonly Column[], args: readonly string[]): Promise<number> {
  const options = parseOptions(
    args,
    columns.map(({ name }) => name),
  );
  const { samples, programs, steps, seed, path, primitive: subjects, law: laws } = options;
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
  process.once("SIGINT", interrupted);
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
        .judge(
          findings.cells.get(column.name) ?? [],
          effort,
          {
            onReport: (report) => {
              findings.add(column, report);
              const { judged, classed, subject, law, failure } = report;
              const seen = Object.values(classed).reduce((sum, count) => sum + count, judged);
              if (failure !== undefined)
                process.stdout.write(
                  `${bar.isActive && process.stderr.isTTY ? "\n" : ""}${failure.text}\npnpm verify ${replayOf({ ...report, backend: column.name })}\n\n`,
                );
              bar.increment(seen, {
                failures: findings.failures.length,
                now: `${column.name}: ${subject}, ${law}`,
              });
            },
            isStopped: () => stop.signal.aborted,
          },
          stop.signal,
        )
        .catch((error: unknown) => {
          findings.missing.set(column.name, error instanceof Error ? error.message : String(error));
        }),
    ),
  );
  bar.stop();
  clearTimeout(timer);
  process.off("SIGINT", interrupted);

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
  process.stdout.write(
    [
      matrix(findings, subjects, laws),
      totals(findings),
      coverage(findings),
      `${judged} samples judged, ${missed} that could not be, ${failures.length} failures, ` +
        `${leftOut} checks left out, in ${seconds.toFixed(1)} s; seed ${seed}. ${stopped}`.trimEnd(),
      "",
    ]
      .join("\n\n")
      .trimEnd() + "\n",
  );
  if (options.json !== undefined) {
    const { exercised, gaps } = findings.gaps;
    const facts = {
      seed,
      seconds,
      stopped,
      missing: Object.fromEntries(missing),
      totals: findings.places.map((place) => ({ ...place, ...findings.totals(place) })),
      coverage: {
        exercised,
        gaps: gaps.map(({ report: { subject, law, dtype, backend }, feature, reason }) => ({
          subject,
          law,
          dtype,
          backend,
          feature,
          reason,
        })),
      },
      reports,
    };
    await writeFile(options.json, `${JSON.stringify(facts, withNumbers, 1)}\n`);
  }
  if (options.html !== undefined)
    await writeFile(options.html, page(findings, { subjects, laws, seed, seconds, stopped }));
  return failures.length > 0 || blind.length > 0 || missing.size > 0 ? 1 : 0;
}
