/** The mode comparison: `npx --yes pnpm@12 demo`, with `--help` for its options. */
import { parseOptions } from "./options.ts";
import { run } from "./run.ts";

const options = parseOptions(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
if ("exitCode" in options) process.exitCode = options.exitCode;
else {
  const { webgl, disagreements } = await run(options);
  // A machine without a browser is no fault; a comparison that fails in one is, and so is a wrong derivative.
  const failed = !webgl.ran && webgl.failed;
  if (failed || disagreements.length > 0) process.exitCode = 1;
}
