/** For test files that judge a planted fault: the sources as they are, but for that. */
import { defineConfig } from "vitest/config";
import { planting, plantedHere } from "./plant.ts";

const planted = plantedHere();

export default defineConfig({
  root: `${import.meta.dirname}/../..`,
  plugins:
    planted === undefined
      ? []
      : [
          {
            name: "planted-fault",
            enforce: "pre",
            transform: (source: string, id: string) =>
              id === planted.path ? planting(source, planted.edit) : undefined,
          },
        ],
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "test/browser/**"],
    testTimeout: 60_000,
    maxWorkers: 1,
    // A faulty module is nobody else's.
    fsModuleCache: false,
    bail: 1,
    // Packages are loaded as they are, past the plugin.
    execArgv: ["--expose-gc", "--import", `${import.meta.dirname}/plant.ts`],
  },
});
