/** What every graph must be. */
import { type Aval, sameAval } from "../aval.ts";
import { CotangentError, fail } from "../errors.ts";
import { type Graph, type GraphNode, nestedGraphs } from "./graph.ts";

/** A graph that is not what it must be: a bug of a pass or a transformation, not of the user's. */
export class GraphError extends CotangentError {}

/**
 * Checks that every variable is defined once and before its use, that every aval is what the primitive infers, and that
 * constants are alive; nested graphs too. Returns the graph. With it a graph is pure: primitives are functions of their
 * inputs and parameters, and there is nothing else in it that could change.
 *
 * @throws GraphError that names the node and what is wrong with it.
 */
export function checked(graph: Graph): Graph {
  const { inputs, constants, nodes, outputs, avals } = graph;
  [...inputs, ...constants.map(({ aval }) => aval)].forEach((aval, variable) => {
    const found: Aval | undefined = avals[variable];
    if (found === undefined || !sameAval(aval, found))
      fail(GraphError, `Variable %${variable} is ${found}, but was given as ${aval}.`);
  });
  const dead = constants.findIndex(({ disposed }) => disposed);
  if (dead >= 0) fail(GraphError, `The constant %${graph.firstConstant + dead} has been disposed of.`);
  let defined = graph.firstDefined;
  nodes.forEach((node, i) => {
    const where = `node ${i} (${node.primitive.name})`;
    for (const input of node.inputs) {
      if (!Number.isInteger(input) || input < 0 || input >= defined)
        fail(GraphError, `${where} uses %${input}, which is not defined before it.`);
    }
    const inferred = inferNode(graph, node);
    if (inferred.length !== node.outputs.length)
      fail(GraphError, `${where} defines ${node.outputs.length} variables, but gives ${inferred.length}.`);
    node.outputs.forEach((output, k) => {
      if (output !== defined) fail(GraphError, `${where} defines %${output}; the next one is %${defined}.`);
      const found: Aval | undefined = avals[output];
      if (found === undefined || !sameAval(found, inferred[k]))
        fail(GraphError, `${where} gives ${inferred[k]}, but %${output} is ${found}.`);
      defined++;
    });
    nestedGraphs(node.params).forEach(checked);
  });
  if (avals.length !== defined)
    fail(GraphError, `The graph has ${avals.length} avals for ${defined} variables.`);
  for (const output of outputs) {
    if (!Number.isInteger(output) || output < 0 || output >= defined)
      fail(GraphError, `The output %${output} is not defined.`);
  }
  return graph;
}

/** Refuses inputs that are not those of the graph. */
export function requireInputs(who: string, { inputs }: Graph, given: readonly Aval[]): void {
  if (given.length !== inputs.length)
    fail(GraphError, `${who}: a graph of ${inputs.length} inputs was given ${given.length}.`);
  given.forEach((aval, i) => {
    if (!sameAval(aval, inputs[i]))
      fail(GraphError, `${who}: input ${i} of the graph is ${inputs[i]}, but ${aval} was given.`);
  });
}

/** What the primitive of a node says of its outputs. */
function inferNode({ avals }: Graph, { primitive, inputs, params }: GraphNode): readonly Aval[] {
  const { rules } = primitive;
  if (rules.form === "multiple")
    return rules.shapes(
      inputs.map((input) => avals[input]),
      params,
    );
  return [
    primitive.infer(
      inputs.map((input) => ({ aval: avals[input] })),
      params,
    ),
  ];
}
