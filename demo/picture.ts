/**
 * Takes the README's picture, docs/mode-comparison.png, from the report of the last run:
 * `npx --yes pnpm@12 demo && npx --yes pnpm@12 --filter ./demo picture`.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { launchBrowser } from "../tools/browser.ts";

const report = new URL("../out/report.html", import.meta.url);
const picture = fileURLToPath(new URL("../docs/mode-comparison.png", import.meta.url));

if (existsSync(report)) await take();
else {
  console.error(`There is no report at ${fileURLToPath(report)}. Make one first: npx --yes pnpm@12 demo`);
  process.exitCode = 1;
}

async function take(): Promise<void> {
  await mkdir(new URL("../docs/", import.meta.url), { recursive: true });
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
    await page.goto(report.href);
    await page.locator("#overview").screenshot({ path: picture });
  } finally {
    await browser.close();
  }
  console.log(picture);
}
