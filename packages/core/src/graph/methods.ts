/** The views of a graph as its methods; graph.ts itself knows none of them. */
import { type Explanation, explain } from "../passes/explain.ts";
import { graphToDot, graphToMermaid } from "./diagrams.ts";
import { Graph } from "./graph.ts";
import { type GraphJSON, graphToJSON } from "./json.ts";
import { type GraphTextOptions, graphText } from "./text.ts";
import { type GraphViewOptions, graphToHtml } from "./view.ts";

/** The methods that every graph has. */
export interface GraphMethods {
  /**
   * The graph as a program to read: one line per node, with its type and source line, nested graphs indented.
   *
   * @example `stage((x: Value) => x.sin().mul(2))(avalOf([3], "float64")).toString({ lines: false })` is
   * ```
   * graph(%0: float64[3]) {
   *   %2: float64[3] = sin(%0)
   *   %3: float64[3] = mul(%2, 2.0)
   *   return %3
   * }
   * ```
   */
  toString(options?: GraphTextOptions): string;
  /** The graph as an object of JSON, which `graphFromJSON` reads: `JSON.stringify(graph)` writes it. */
  toJSON(): GraphJSON;
  /** The graph in the language of Graphviz: `dot -Tsvg`. */
  toDot(): string;
  /** The graph as a Mermaid flowchart, for Markdown. */
  toMermaid(): string;
  /**
   * The graph as one self-contained page, to be opened in a browser: values, adjoints and local derivatives at given
   * inputs, and both sweeps step by step.
   *
   * @throws CotangentError where no package that draws graphs has been imported (`cotangent` imports one).
   * @example `await writeFile("graph.html", graph.toHtml({ inputs: [tensor([1, 2, 3])] }))`
   */
  toHtml(options?: GraphViewOptions): string;
  /** What each pass makes of the graph before it is run: an object, and as text a table. */
  explain(): Explanation;
}

const methods: { readonly [K in keyof GraphMethods]: (graph: Graph, options?: never) => unknown } = {
  toString: graphText,
  toJSON: graphToJSON,
  toDot: graphToDot,
  toMermaid: graphToMermaid,
  toHtml: graphToHtml,
  explain,
};

for (const [name, view] of Object.entries(methods)) {
  Object.defineProperty(Graph.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Graph, options?: never): unknown {
      return view(this, options);
    },
  });
}
// How Node's console shows a graph.
Object.defineProperty(Graph.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  configurable: true,
  writable: true,
  value(this: Graph): string {
    return graphText(this);
  },
});
