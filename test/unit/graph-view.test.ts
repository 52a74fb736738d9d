/** What a graph's page needs, and what it says without it. How pages behave is tested in a browser. */
import { jsBackend } from "@cotangent/backend-js";
import {
  CotangentError,
  DerivativeError,
  ShapeError,
  type Value,
  avalOf,
  registerBackend,
  stage,
  tensor,
} from "@cotangent/core";
import { expect, test } from "vitest";

registerBackend(jsBackend);

const graph = stage((x: Value, y: Value) => x.mul(y).sum())(avalOf([2], "float64"), avalOf([2], "float64"));

test("core alone draws nothing, and says what would; then everything is in one page", async () => {
  expect(() => graph.toHtml()).toThrow(CotangentError);
  expect(() => graph.toHtml()).toThrow(/Import "cotangent" or "@cotangent\/graph-view"/);
  const { toHtml } = await import("@cotangent/graph-view");
  const page = graph.toHtml({ inputs: [tensor([1, 2]), tensor([3, 4])], title: "A product" });
  expect(page).toBe(toHtml(graph, { inputs: [tensor([1, 2]), tensor([3, 4])], title: "A product" }));
  expect(page).toContain("<title>A product</title>");
  // No address but that of the (empty) icon: nothing is fetched.
  expect([...page.matchAll(/\b(?:src|href)="([^"]*)"/g)].map((match) => match[1])).toEqual(["data:,"]);
  expect(page).not.toMatch(/https?:|@import|url\((?!#)/);
});

test("inputs and cotangents that do not fit are refused", async () => {
  await import("@cotangent/graph-view");
  const one = tensor([1, 2]);
  expect(() => graph.toHtml({ inputs: [one] })).toThrow(DerivativeError);
  expect(() => graph.toHtml({ inputs: [one] })).toThrow(/1 inputs given for a graph of 2/);
  expect(() => graph.toHtml({ inputs: [one, tensor([1])] })).toThrow(ShapeError);
  expect(() => graph.toHtml({ inputs: [one, one], cotangents: [1, 1] })).toThrow(
    /2 cotangents given for a graph of 1/,
  );
  expect(() => graph.toHtml({ inputs: [one, one], cotangents: [one] })).toThrow(ShapeError);
});
