import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { findBrowser } from "./tools/browser.ts";
import { ClosingLine } from "./tools/closing-line.ts";

const node: TestProjectInlineConfiguration = {
  test: {
    name: "node",
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "test/browser/**"],
    testTimeout: 60_000,
    // Tests of memory ask for a collection.
    execArgv: ["--expose-gc"],
  },
};

/** The WebGL tests in a real browser; where there is none, one test that fails, or is skipped if so told. */
async function browser(): Promise<{ project: TestProjectInlineConfiguration; notice: string }> {
  try {
    const { launchOptions } = await findBrowser();
    return {
      notice: "",
      project: {
        server: { headers: crossOriginIsolation },
        test: {
          name: "browser",
          include: ["test/browser/**/*.browser.test.ts"],
          // Pages share one GPU process: one file at a time, so that no test waits for another file's large tensors.
          fileParallelism: false,
          testTimeout: 300_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const allowed = process.env["COTANGENT_NO_BROWSER"] === "1";
    return {
      notice: allowed
        ? `WARNING: THE WEBGL TESTS WERE SKIPPED, as COTANGENT_NO_BROWSER=1 allows.\n${reason}`
        : `ERROR: THE WEBGL TESTS DID NOT RUN. COTANGENT_NO_BROWSER=1 goes on without them.\n${reason}`,
      project: {
        test: {
          name: "browser",
          include: ["test/browser/without-browser.ts"],
          provide: { withoutBrowser: { reason, allowed } },
        },
      },
    };
  }
}

/** What a page needs before it may share memory between threads. */
const crossOriginIsolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig(async () => {
  const { project, notice } = await browser();
  return {
    test: {
      projects: [node, project],
      maxWorkers: 2,
      reporters: ["default", new ClosingLine(notice)],
    },
  };
});
