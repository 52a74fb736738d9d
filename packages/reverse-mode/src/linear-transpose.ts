import {
  type Aval,
  type Graph,
  type Liftable,
  type Lifted,
  type Stageable,
  TreeError,
  Value,
  abstractLeaf,
  currentBackend,
  describe,
  fail,
  leafValue,
  leaves,
  mapTree,
  recordGraph,
  requireLinear,
  requireSameShape,
  requireSameStructure,
  transposeGraph,
  withLeaves,
} from "@cotangent/core";

/** A tree of values, where an argument may also be numbers, or null for zeros. */
export type Transposed<T> = T extends null
  ? never
  : T extends number
    ? Value
    : T extends Value
      ? T
      : T extends object
        ? { [K in keyof T]: Transposed<T[K]> }
        : T;

/**
 * The transpose of a linear function: <y, A x> = <Aᵀ y, x> for all x and y. f is traced to its graph, every node of which
 * must be linear; the transpose uses the rules of linear primitives alone.
 *
 * @param example arguments by which to trace: values or abstract values, since only shapes and dtypes matter.
 * @returns a function from a cotangent of f's result to one tree per argument.
 * @throws DerivativeError where f is not linear in its arguments, with the line that is not.
 * @example
 * ```ts
 * const spread = linearTranspose((x: Value) => x.sum(), avalOf([3], "float64"));
 * spread(2)[0].toArray(); // [2, 2, 2]
 * ```
 */
export function linearTranspose<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...example: Stageable<A>
): (cotangent: Liftable<Lifted<R>>) => { [K in keyof A]: Transposed<A[K]> } {
  const avals: Aval[] = [];
  const shape = example.map((argument, i) =>
    mapTree(
      argument,
      (leaf, path) => {
        const aval = abstractLeaf("linearTranspose", leaf, path);
        if (aval === undefined)
          fail(
            TreeError,
            `linearTranspose: ${path} is ${describe(leaf)}, where a value or an abstract value (avalOf) is needed.`,
          );
        avals.push(aval);
        return aval;
      },
      `argument ${i}`,
    ),
  );
  const values = leaves(example).filter((leaf) => leaf instanceof Value);
  const backend = values[0]?.backend ?? currentBackend();
  const call = (...inputs: Value[]): R => f(...(withLeaves(shape, inputs) as unknown as A));
  const { graph, captured, tree } = recordGraph("linearTranspose", call, avals, backend);
  const linear = graph.inputs.map((_, i) => i < avals.length);
  requireLinear(graph, linear, [...avals.map(() => undefined), ...captured]);
  return (cotangent) => {
    requireSameStructure("linearTranspose", "the cotangent", cotangent, tree);
    const given = leaves(cotangent).map((leaf, i) => cotangentLeaf(leaf, graph, i));
    const like = given[0];
    const zeros = avals.map((aval) => like.constant(0, aval));
    const found = transposeGraph(graph, linear, [...zeros, ...captured])(given);
    return withLeaves(
      shape,
      avals.map((_, i) => found[i] ?? zeros[i]),
    ) as unknown as { [K in keyof A]: Transposed<A[K]> };
  };
}

function cotangentLeaf(leaf: unknown, graph: Graph, index: number): Value {
  const wanted = graph.outputAvals[index];
  const value = leafValue("linearTranspose", leaf, "the cotangent");
  if (typeof leaf === "number" && wanted.rank === 0) return value.constant(leaf, wanted);
  requireSameShape("linearTranspose", "the cotangent", value, wanted);
  return value;
}
