/** What the passes do to a graph. */
import { graphFlops } from "../graph/cost.ts";
import type { Graph } from "../graph/graph.ts";
import { type Pass, runPasses } from "./optimize.ts";
import { simplify } from "./simplification.ts";

/** A graph in numbers. */
export interface GraphFigures {
  readonly nodes: number;
  readonly flops: number;
  /** Bytes of all values that nodes define. */
  readonly bytes: number;
}

export interface PassReport {
  readonly pass: string;
  readonly before: GraphFigures;
  readonly after: GraphFigures;
  /** For the simplification, how often each rule was applied. */
  readonly rules: Readonly<Record<string, number>>;
}

export interface Explanation {
  readonly passes: readonly PassReport[];
  readonly before: GraphFigures;
  readonly after: GraphFigures;
  /** The graph that is run. */
  readonly optimised: Graph;
  /** The same as a table to read. */
  toString(): string;
}

function figures(graph: Graph): GraphFigures {
  const bytes = graph.avals.slice(graph.firstDefined).reduce((total, aval) => total + aval.bytes, 0);
  return { nodes: graph.nodes.length, flops: graphFlops(graph), bytes };
}

/**
 * What each pass makes of a graph on its way to being run, in the order in which they run: nodes, FLOPs and bytes before and
 * after, and the rules of simplification that were applied.
 *
 * @example `console.log(String(explain(stage(grad(f))(avalOf([3], "float64")))))`
 */
export function explain(graph: Graph): Explanation {
  const passes: PassReport[] = [];
  const optimised = runPasses(graph, (pass: Pass, before: Graph, after: Graph) => {
    const rules = pass.name === "simplify" ? Object.fromEntries(simplify(before).applied) : {};
    passes.push({ pass: pass.name, before: figures(before), after: figures(after), rules });
  });
  const [before, after] = [figures(graph), figures(optimised)];
  return { passes, before, after, optimised, toString: () => table(passes, before, after) };
}

function table(passes: readonly PassReport[], before: GraphFigures, after: GraphFigures): string {
  const change = (from: number, to: number): string => (from === to ? `${to}` : `${from} -> ${to}`);
  const lines = passes.map(({ pass, before: a, after: b, rules }) => {
    const applied = Object.entries(rules).map(([rule, count]) => `${rule}: ${count}`);
    return [
      pass,
      change(a.nodes, b.nodes),
      change(a.flops, b.flops),
      change(a.bytes, b.bytes),
      applied.join(", "),
    ];
  });
  const all = [
    ["pass", "nodes", "FLOPs", "bytes", "rules"],
    ...lines,
    [
      "all",
      change(before.nodes, after.nodes),
      change(before.flops, after.flops),
      change(before.bytes, after.bytes),
      "",
    ],
  ];
  const widths = all[0].map((_, column) => Math.max(...all.map((line) => line[column].length)));
  return all
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
