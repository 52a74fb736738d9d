/** Graphs as diagrams in the languages of Graphviz and Mermaid. */
import type { Aval } from "../aval.ts";
import { type Family, familyOf } from "./family.ts";
import type { Graph, Variable } from "./graph.ts";
import { elementsText, namedGraphs, plainParamsText, shapeText, shortLine } from "./literal.ts";

/** A node of a diagram; `members` are the graphs nested in it. */
interface Drawn {
  readonly id: string;
  readonly family: Family | "output";
  readonly label: readonly string[];
  readonly members: readonly { readonly name: string; readonly picture: Picture }[];
}

interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}

interface Picture {
  readonly nodes: readonly Drawn[];
  readonly arrows: readonly Arrow[];
}

/** What both languages draw: inputs, constants in use, nodes, outputs, and an arrow per use of a variable. */
function pictureOf(graph: Graph, prefix: string): Picture {
  const nodes: Drawn[] = [];
  const arrows: Arrow[] = [];
  const source: string[] = [];
  const add = (id: string, family: Drawn["family"], label: string[], members: Drawn["members"] = []): void =>
    void nodes.push({ id, family, label, members });
  const arrow = (variable: Variable, to: string, aval: Aval, note = ""): void =>
    void arrows.push({ from: source[variable], to, label: `${shapeText(aval)}${note}` });

  graph.inputs.forEach((aval, i) => {
    source[i] = `${prefix}i${i}`;
    add(source[i], "input", [`%${i}`, aval.toString()]);
  });
  const used = new Set([...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs]);
  graph.constants.forEach((tensor, i) => {
    const variable = graph.firstConstant + i;
    source[variable] = `${prefix}c${i}`;
    if (used.has(variable))
      add(source[variable], "constant", [
        elementsText(tensor, 4),
        ...(tensor.rank > 0 ? [`%${variable}: ${tensor.aval}`] : []),
      ]);
  });
  graph.nodes.forEach(({ primitive, inputs, outputs, params, origin }, n) => {
    const id = `${prefix}n${n}`;
    for (const variable of outputs) source[variable] = id;
    const members = namedGraphs(params).map(({ name, graph: inner }, k) => ({
      name,
      picture: pictureOf(inner, `${id}g${k}`),
    }));
    const line = origin?.line;
    add(
      id,
      familyOf(primitive, params),
      [
        `${outputs.map((variable) => `%${variable}`).join(", ")} = ${primitive.name}`,
        ...plainParamsText(params),
        ...(line === undefined ? [] : [shortLine(line)]),
      ],
      members,
    );
    inputs.forEach((variable, i) => {
      // Which output of several it is, and which input, where the order of arrows may be lost.
      const name = primitive.variadic || inputs.length === 1 ? "" : ` ${primitive.args[i]}`;
      arrow(variable, id, graph.avals[variable], name);
    });
  });
  graph.outputs.forEach((variable, i) => {
    const id = `${prefix}o${i}`;
    add(id, "output", [graph.outputs.length === 1 ? "output" : `output ${i}`]);
    arrow(variable, id, graph.avals[variable]);
  });
  return { nodes, arrows };
}

const fill: Record<Drawn["family"], string> = {
  input: "#dbe9f9",
  constant: "#ececec",
  arithmetic: "#e3f1dd",
  function: "#fdecc8",
  product: "#f9dcd6",
  reduction: "#e7dff5",
  shape: "#d9f0ee",
  discrete: "#e4e4e4",
  control: "#fbe0ee",
  output: "#ffffff",
};

/** The graph in Graphviz's DOT language; each graph nested in a node is a cluster, next to the node in one more. */
export function graphToDot(graph: Graph): string {
  const quote = (text: string): string =>
    `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
  const draw = ({ nodes, arrows }: Picture, indent: string): string[] => [
    ...nodes.flatMap((node) => {
      const shape = node.family === "input" ? "ellipse" : node.family === "constant" ? "plaintext" : "box";
      const own = `${node.id} [label=${quote(node.label.join("\n"))}, shape=${shape}, fillcolor=${quote(fill[node.family])}];`;
      if (node.members.length === 0) return [`${indent}${own}`];
      const deeper = `${indent}  `;
      return [
        `${indent}subgraph cluster_${node.id} {`,
        `${deeper}style=rounded; color=${quote("#999999")};`,
        `${deeper}${own}`,
        ...node.members.flatMap(({ name, picture }, k) => [
          `${deeper}subgraph cluster_${node.id}g${k} {`,
          `${deeper}  label=${quote(name)}; style="rounded,dashed"; color=${quote("#999999")};`,
          ...draw(picture, `${deeper}  `),
          `${deeper}}`,
        ]),
        ...entries(node).map((to) => `${deeper}${node.id} -> ${to} [style=dotted];`),
        `${indent}}`,
      ];
    }),
    ...arrows.map(({ from, to, label }) => `${indent}${from} -> ${to} [label=${quote(label)}];`),
  ];
  return [
    "digraph {",
    '  node [style="filled,rounded", fontname="Helvetica", fontsize=11, color="#666666"];',
    '  edge [fontname="Helvetica", fontsize=9, color="#666666", fontcolor="#555555"];',
    ...draw(pictureOf(graph, ""), "  "),
    "}",
  ].join("\n");
}

/** Where the operands of a node with nested graphs come into them. */
function entries({ members }: Drawn): string[] {
  return members.flatMap(({ picture }) =>
    picture.nodes.filter((node) => node.family === "input").map((node) => node.id),
  );
}

/** The graph as a Mermaid flowchart; each graph nested in a node is a subgraph, next to the node in one more. */
export function graphToMermaid(graph: Graph): string {
  // Everything but the plainest characters as an entity: Mermaid reads Markdown, links and HTML in labels.
  const escape = (text: string): string =>
    text.replace(/[^\w .,:=%()[\]+-]/gu, (character) => `#${character.codePointAt(0)};`);
  const quote = (lines: readonly string[]): string => `"${lines.map(escape).join("<br/>")}"`;
  const draw = ({ nodes, arrows }: Picture, indent: string): string[] => [
    ...nodes.flatMap((node) => {
      const [open, close] =
        node.family === "input" ? ["([", "])"] : node.family === "constant" ? ["[/", "/]"] : ["[", "]"];
      const own = `${node.id}${open}${quote(node.label)}${close}:::${node.family}_`;
      if (node.members.length === 0) return [`${indent}${own}`];
      const deeper = `${indent}  `;
      return [
        `${indent}subgraph s${node.id}[" "]`,
        `${deeper}${own}`,
        ...node.members.flatMap(({ name, picture }, k) => [
          `${deeper}subgraph s${node.id}g${k}[${quote([name])}]`,
          ...draw(picture, `${deeper}  `),
          `${deeper}end`,
        ]),
        ...entries(node).map((to) => `${deeper}${node.id} -.-> ${to}`),
        `${indent}end`,
      ];
    }),
    ...arrows.map(({ from, to, label }) => `${indent}${from} -->|${quote([label])}| ${to}`),
  ];
  return [
    "flowchart TB",
    ...draw(pictureOf(graph, ""), "  "),
    ...Object.entries(fill).map(
      ([family, color]) => `  classDef ${family}_ fill:${color},stroke:#666,color:#222`,
    ),
  ].join("\n");
}
