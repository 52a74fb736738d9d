import {
  type Jacobian,
  type JacobianOptions,
  type LiftableArguments,
  type Value,
  alongAll,
  basisVector,
  basisVectors,
  chunkSize,
  chunks,
  fromRows,
  leaves,
  mapTree,
  withLeaves,
} from "@cotangent/core";
import { primalOf, pullBack, record } from "./vjp.ts";

/**
 * The Jacobian by reverse mode: one run, then a sweep per element of the result, many at a time (`chunk`) by `vmap`. The
 * choice for many inputs and few outputs.
 *
 * @returns a function that gives, for each leaf of f's result and each leaf of the argument, the derivative as
 * [...shape of the result, ...shape of the argument]. With one value in and one out that is a single value.
 * @throws DTypeError where the argument is not floating; StagingError where a rule reads a cotangent (see `chunk`).
 * @example `jacrev((x) => x.square())(tensor([1, 2])).toArray()` is [[2, 0], [0, 4]].
 */
export function jacrev<A extends readonly unknown[] = Value[], R = Value, const N extends number = 0>(
  f: (...args: A) => R,
  { argnum, chunk }: JacobianOptions<N> = {},
): (...args: LiftableArguments<A, N>) => Jacobian<R, A[N]> {
  const position = argnum ?? 0;
  return (...args) => {
    const recording = record("jacrev", f, args, [position]);
    const { tape, inputs, output } = recording;
    // What one direction takes: the cotangents of the inputs, and of the largest value on the way there.
    const elements =
      inputs.reduce((total, input) => total + input.size, 0) +
      tape.nodes.reduce((most, { aval }) => Math.max(most, aval.size), 0);
    const results = (leaves(output) as Value[]).map((leaf) => primalOf(tape, leaf) as Value);
    const jacobians = results.map((result, o) => {
      const back = (cotangent: Value): Value[] =>
        pullBack(
          recording,
          results.map((other, j) => (j === o ? cotangent : other.zerosLike())),
          false,
        );
      const size = chunkSize("jacrev", chunk, result.size, result.size + elements);
      const rows = chunks(result.size, size).map(({ start, end }) =>
        end - start === 1
          ? back(basisVector(result, start)).map((row) => row.expandDims(0))
          : alongAll("jacrev", basisVectors(result, start, end), back),
      );
      const perLeaf = inputs.map((input, i) =>
        fromRows(
          rows.map((batch) => batch[i]),
          result.shape,
          input.primal,
        ),
      );
      return withLeaves(args[position], perLeaf);
    });
    let next = 0;
    return mapTree(output, () => jacobians[next++]) as Jacobian<R, A[N]>;
  };
}
