import { defineConfig } from "tsdown";

// Merged with the workspace's. The command runs under Node, the laws anywhere.
export default defineConfig({
  entry: ["src/index.ts", "src/command/index.ts", "src/cli.ts"],
  platform: "node",
  tsconfig: "../../tsconfig.json",
});
