/** Takes the README's picture, docs/graph-view.png: `npx --yes pnpm@12 --filter ./explore picture`. */
import { fileURLToPath } from "node:url";
import { launchBrowser } from "../tools/browser.ts";
import { examples } from "./examples.ts";

const { title, graph, options } = examples["branching"]();
const browser = await launchBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  await page.setContent(graph().toHtml({ title, ...options }));
  await page.getByRole("button", { name: /^x,/ }).hover();
  await page.screenshot({ path: fileURLToPath(new URL("../docs/graph-view.png", import.meta.url)) });
} finally {
  await browser.close();
}
