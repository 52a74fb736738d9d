import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: ["**/node_modules/**", "test/browser/**"],
          testTimeout: 60_000,
        },
      },
    ],
    maxWorkers: 2,
  },
});
