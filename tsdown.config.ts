import { defineConfig } from "tsdown";

export default defineConfig({
  workspace: "packages/*",
  entry: "src/index.ts",
  platform: "neutral",
  // Node 22 and the browsers of today: `using` and what else is newer is rewritten.
  target: "es2024",
  dts: true,
  sourcemap: true,
  outExtensions: () => ({ js: ".js", dts: ".d.ts" }),
});
