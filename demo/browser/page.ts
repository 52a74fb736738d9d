/** Runs in the browser: the same comparison as under Node, on WebGL. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { type Request, compare } from "../compare/run.ts";
import type { PageGlobals, PlainDigits } from "./host.ts";

const page = globalThis as unknown as PageGlobals;

page.compareOnWebGL = async (requestText, digitsText) => {
  const request = JSON.parse(requestText) as Request;
  const { width, pixels, labels } = JSON.parse(digitsText) as PlainDigits;
  const digits = { width, pixels: Float32Array.from(pixels), labels: Int32Array.from(labels) };
  let latest = "";
  const results = await compare(request, digits, await createTfjsBackend("webgl"), async (message) => {
    if (message !== latest) await page.tellHost(message);
    latest = message;
    await new Promise((resolve) => setTimeout(resolve));
  });
  return JSON.stringify(results);
};
