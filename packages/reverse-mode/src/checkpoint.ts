import { type LiftableArguments, type Lifted, type SavePolicy, checkpointed } from "@cotangent/core";

export interface CheckpointOptions {
  /**
   * What reverse mode keeps of f's run: "nothing" but its arguments (the default), the results of "products" (matrix
   * products and convolutions, which cost the most), "everything" that the way back needs, or the "smallest" set of
   * values from which elementwise functions and moves alone give the rest: never more bytes than "everything".
   */
  readonly policy?: SavePolicy;
}

/**
 * The same function, of which reverse mode keeps less: what the way back needs it computes again. f is traced to a graph
 * at each call; its values and derivatives are what they were.
 *
 * For a chain of n calls, each checkpointed, reverse mode holds n arguments and the inside of one call at a time.
 *
 * @throws StagingError where f reads elements of its arguments.
 * @example
 * ```ts
 * const block = checkpoint((x: Value, w: Value) => x.matmul(w).tanh());
 * const loss = (x: Value, ws: Value[]) => ws.reduce((y, w) => block(y, w), x).sum();
 * ```
 */
export function checkpoint<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  { policy = "nothing" }: CheckpointOptions = {},
): (...args: LiftableArguments<A>) => Lifted<R> {
  return checkpointed(f, policy);
}
