import {
  type Jacobian,
  type JacobianOptions,
  type LiftableArguments,
  type Lifted,
  type Value,
  alongAll,
  basisVector,
  basisVectors,
  chunkSize,
  chunks,
  differentiableLeaf,
  fromColumns,
  leaves,
  mapTree,
  moveAxis,
  withLeaves,
} from "@cotangent/core";
import { pushforwardTree } from "./jvp.ts";

/**
 * The Jacobian by forward mode, one direction per element of the argument, many at a time (`chunk`) by `vmap`: the
 * choice for few inputs and many outputs.
 *
 * @returns a function that gives, for each leaf of f's result and each leaf of the argument, the derivative as
 * [...shape of the result, ...shape of the argument]. With one value in and one out that is a single value.
 * @throws DTypeError where the argument is not floating; StagingError where a rule reads a tangent (see `chunk`).
 * @example `jacfwd((x) => x.square())(tensor([1, 2])).toArray()` is [[2, 0], [0, 4]].
 */
export function jacfwd<A extends readonly unknown[] = Value[], R = Value, const N extends number = 0>(
  f: (...args: A) => R,
  { argnum, chunk }: JacobianOptions<N> = {},
): (...args: LiftableArguments<A, N>) => Jacobian<R, A[N]> {
  const position = argnum ?? 0;
  return (...args) => {
    const argument = mapTree(
      args[position],
      (leaf, path) => differentiableLeaf("jacfwd", leaf, path),
      `argument ${position}`,
    );
    const inputs = leaves(argument) as Value[];
    const others = (x: unknown): R =>
      f(...(args.map((arg, i) => (i === position ? x : arg)) as unknown as A));
    let output: unknown;
    const push = (tangents: unknown): Value[] => {
      const [value, pushed]: [Lifted<R>, Lifted<R>] = pushforwardTree(
        "jacfwd",
        others,
        [argument],
        [tangents],
      );
      output = value;
      return leaves(pushed) as Value[];
    };
    const along = (i: number, vector: Value): Value[] =>
      push(
        withLeaves(
          argument,
          inputs.map((_, j) => (j === i ? vector : null)),
        ),
      );
    // columns[i]: batches of directions of input leaf i; in each, the tangents of every output leaf.
    const columns = inputs.map((input, i) => {
      const size = chunkSize("jacfwd", chunk, input.size, input.size);
      return chunks(input.size, size).map(({ start, end }) =>
        end - start === 1
          ? along(i, basisVector(input, start)).map((tangent) => tangent.expandDims(tangent.rank))
          : alongAll("jacfwd", basisVectors(input, start, end), (vector) => along(i, vector)).map((all) =>
              moveAxis(all, 0, all.rank - 1),
            ),
      );
    });
    output ??= pushforwardTree("jacfwd", others, [argument], [null])[0];
    const jacobians = (leaves(output) as Value[]).map((leaf, o) =>
      withLeaves(
        argument,
        inputs.map((input, i) =>
          fromColumns(
            columns[i].map((batch) => batch[o]),
            leaf,
            input.shape,
          ),
        ),
      ),
    );
    return withLeaves(output, jacobians) as Jacobian<R, A[N]>;
  };
}
