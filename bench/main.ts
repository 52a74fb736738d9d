/** Cotangent's speed next to its peers': `npx --yes pnpm@12 bench`, with `--help` for its options. */
import { parseOptions } from "./options.ts";
import { run } from "./run.ts";

const options = parseOptions(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
if ("exitCode" in options) process.exitCode = options.exitCode;
else {
  const result = await run(options);
  const failed = result?.parts.some(({ skipped }) => skipped?.failed === true);
  if (result?.agreed !== true || failed) process.exitCode = 1;
}
