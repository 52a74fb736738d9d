/** What must hold of every pass: the values stay, to the last bit; the cost does not rise; a second time changes nothing. */
import {
  type Graph,
  type Value,
  checked,
  evaluateGraph,
  graphFlops,
  nestedGraphs,
  sameStructure,
  tidy,
} from "cotangent";
import { expect, test } from "vitest";
import { type GraphCase, type GraphCaseOptions, everyGraph, testSeed } from "./graphs.ts";

export type GraphPass = (graph: Graph) => Graph;

/** Nodes, those of nested graphs as often as they stand there. */
export function nodesOf(graph: Graph): number {
  return graph.nodes.reduce(
    (sum, { params }) => sum + 1 + nestedGraphs(params).reduce((inner, nested) => inner + nodesOf(nested), 0),
    0,
  );
}

/** The same elements, signs of zeros included; one NaN is like another. */
export function expectSame(found: readonly Value[], wanted: readonly Value[], what: string): void {
  const show = (values: readonly Value[]): unknown[] =>
    values.map((value) => [value.aval.toString(), Array.from(value.dataSync())]);
  const isSame =
    found.length === wanted.length &&
    found.every((value, i) => {
      const [x, y] = [value.dataSync(), wanted[i].dataSync()];
      return (
        value.aval.toString() === wanted[i].aval.toString() && x.every((number, k) => Object.is(number, y[k]))
      );
    });
  if (!isSame) expect(show(found), what).toEqual(show(wanted));
}

/** Judges a pass on one graph. */
export function judge(pass: GraphPass, { name, graph, inputs }: Omit<GraphCase, "kind">): void {
  const after = checked(pass(graph));
  const show = `${name}: ${graph.toString({ lines: false })}\nbecame\n${after.toString({ lines: false })}`;
  expect(after.inputs, show).toEqual(graph.inputs);
  expectSame(evaluateGraph(after, inputs), evaluateGraph(graph, inputs), show);
  expect(graphFlops(after), show).toBeLessThanOrEqual(graphFlops(graph));
  expect(nodesOf(after), show).toBeLessThanOrEqual(nodesOf(graph));
  const again = pass(after);
  if (!sameStructure(again, after))
    expect(again.toString({ lines: false }), show).toBe(after.toString({ lines: false }));
}

/** The laws of a pass, for every primitive and random programs, and their derivatives. */
export function passLaws(pass: GraphPass, options: GraphCaseOptions = {}): void {
  test(`values stay, cost does not rise, and a second time changes nothing (seed ${testSeed})`, () => {
    for (const one of everyGraph(testSeed, options)) tidy(() => judge(pass, one));
  });
}
