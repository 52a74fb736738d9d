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

test("a chain too long to be laid out at once is laid out in parts, one below the other", async () => {
  await import("@cotangent/graph-view");
  const steps = 255;
  const long = stage((x: Value) => {
    let y = x;
    for (let i = 0; i < steps; i++) y = y.sin().mul(x);
    return y;
  })(avalOf([], "float64"));
  const page = long.toHtml();
  const tops = [...page.matchAll(/data-item="\d+"[^>]*><g transform="translate\(\S+ ([\d.]+)\)/g)].map(
    (match) => Number(match[1]),
  );
  expect(tops).toHaveLength(2 * steps + 1);
  // After the input: each node below the one that it needs.
  for (let i = 2; i < tops.length; i++) expect(tops[i]).toBeGreaterThan(tops[i - 1]);
  expect(page.match(/data-edge="/g)).toHaveLength(
    long.nodes.reduce((sum, node) => sum + node.inputs.length, 0),
  );
  // What comes from another part, as x from far away, comes from a sign with its name.
  expect(page).toMatch(/<g class="sign"[^>]*><rect[^>]*><text[^>]*>%\d+</);
});
