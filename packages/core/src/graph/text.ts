/** A graph as a program to read. */
import type { Graph, GraphNode, Variable } from "./graph.ts";
import { elementsText, namedGraphs, numberText, plainParamsText, shortLine } from "./literal.ts";

export interface GraphTextOptions {
  /** Whether each node says which line of the user's program it comes from; by default it does. */
  readonly lines?: boolean;
  /** How many elements of a constant are shown at most; by default 12. */
  readonly elements?: number;
}

/**
 * The graph as a program in static single assignment form: inputs, constants (scalars stand where they are used), one
 * line per node with its type and its source line, nested graphs indented under their node.
 */
export function graphText(graph: Graph, options: GraphTextOptions = {}): string {
  return [`graph${signature(graph)} {`, ...body(graph, options), "}"].join("\n");
}

function signature({ inputs }: Graph): string {
  return `(${inputs.map((aval, i) => `%${i}: ${aval}`).join(", ")})`;
}

function body(graph: Graph, options: GraphTextOptions): string[] {
  const lines: string[] = [];
  graph.constants.forEach((tensor, i) => {
    if (tensor.rank > 0)
      lines.push(
        `  const %${graph.firstConstant + i}: ${tensor.aval} = ${elementsText(tensor, options.elements ?? 12)}`,
      );
  });
  for (const node of graph.nodes) lines.push(...nodeLines(graph, node, options));
  lines.push(`  return ${graph.outputs.map((variable) => variableText(graph, variable)).join(", ")}`);
  return lines;
}

/** `%3`, or the number itself for a scalar constant. */
export function variableText(graph: Graph, variable: Variable): string {
  const tensor = graph.constantOf(variable);
  return tensor?.rank === 0 ? numberText(tensor.item(), tensor.dtype) : `%${variable}`;
}

function nodeLines(graph: Graph, node: GraphNode, options: GraphTextOptions): string[] {
  const outputs = node.outputs.map((variable) => `%${variable}: ${graph.avals[variable]}`).join(", ");
  const operands = node.inputs.map((variable) => variableText(graph, variable));
  const call = `${node.primitive.name}(${[...operands, ...plainParamsText(node.params)].join(", ")})`;
  const line = options.lines === false ? undefined : node.origin?.line;
  const comment = line === undefined ? "" : `  # ${shortLine(line)}`;
  const nested = namedGraphs(node.params).flatMap(({ name, graph: inner }) => [
    `    ${name}${signature(inner)} {`,
    ...body(inner, options).map((text) => `    ${text}`),
    "    }",
  ]);
  return [`  ${outputs} = ${call}${nested.length > 0 ? " with" : ""}${comment}`, ...nested];
}
