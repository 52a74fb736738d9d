/** How far the machine's own state lets times be trusted. */
import { round3 } from "./format.ts";
import type { Result } from "./result.ts";

/** Whether other work took so much that times may be off. */
export function busy({ machine }: Result): boolean {
  return machine.load > machine.cores / 2;
}

export function busyWarning({ machine: { load, cores } }: Result): string {
  return (
    `Other work was running: the load was ${round3(load)} on ${cores} cores when this began, so times, and crossovers ` +
    `measured by them, may be off. Counts, bytes and errors are not affected.`
  );
}
