/** The mode comparison: `npx --yes pnpm@12 demo`, with `--help` for its options. */
import { parseOptions } from "./options.ts";
import { run } from "./run.ts";

const options = parseOptions(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
if ("exitCode" in options) process.exitCode = options.exitCode;
else {
  const { webgl } = await run(options);
  // A machine without a browser is no fault; a comparison that fails in one is.
  if (!webgl.ran && webgl.failed) process.exitCode = 1;
}
