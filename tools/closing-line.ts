/** Prints `N passed, N failed[, N skipped]` as the last line of a test run, for whoever reads only that. */
import { writeSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

export class ClosingLine implements Reporter {
  /** Said right before the closing line, where nobody can overlook it. */
  readonly notice: string;

  constructor(notice = "") {
    this.notice = notice;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      // A file that cannot even be loaded has errors of its own and perhaps no test at all.
      count.failed += module.errors().length;
      for (const test of module.children.allTests()) count[test.result().state]++;
    }
    // A test that never ended did not pass.
    const failed = count.failed + count.pending;
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
    const notice = this.notice === "" ? "" : `${this.notice}\n\n`;
    process.once("exit", () =>
      writeSync(1, `\n${notice}${count.passed} passed, ${failed} failed${skipped}\n`),
    );
  }
}
