/** What needs both modes. */
import {
  type Jacobian,
  type JacobianOptions,
  type Liftable,
  type LiftableArguments,
  type Value,
  leaves,
  mapTree,
  outputTree,
} from "@cotangent/core";
import { jacfwd, jvp } from "@cotangent/forward-mode";
import { grad, jacrev } from "@cotangent/reverse-mode";

type Scalar = Value | number;

/**
 * The Hessian of a function with a scalar result, forward over reverse: one gradient per element of the argument.
 *
 * @returns a function that gives second derivatives as [...shape, ...shape] of the argument (for a tree of arguments, a
 * tree of trees).
 * @example `hessian((x) => x.square().sum())(tensor([1, 2])).toArray()` is [[2, 0], [0, 2]].
 */
export function hessian<T = Value>(f: (x: T) => Scalar): (x: Liftable<T>) => Jacobian<T, T> {
  const gradient = grad<[T]>(f) as (x: T) => T;
  return (x) => jacfwd<[T], T>(gradient)(x);
}

/** Which mode is applied to which. */
export type HvpComposition =
  | "forward-over-reverse"
  | "reverse-over-forward"
  | "reverse-over-reverse"
  | "forward-over-forward";

/**
 * The product of the Hessian of f at x with v, without the Hessian.
 *
 * @param composition by default forward over reverse, which costs a small multiple of f. Forward over forward costs a
 * pass per element of x; it is here because all four must agree.
 * @example `hvp((x) => x.square().sum(), tensor([1, 2]), tensor([1, 0])).toArray()` is [2, 0].
 */
export function hvp<T = Value>(
  f: (x: T) => Scalar,
  x: Liftable<T>,
  v: Liftable<T>,
  composition: HvpComposition = "forward-over-reverse",
): T {
  const gradient = grad<[T]>(f) as (x: T) => T;
  const along = (y: T): Value => jvp<[T]>(f as (x: T) => Value, [y] as never, [v] as never)[1];
  switch (composition) {
    case "forward-over-reverse":
      return jvp<[T], T>(gradient, [x] as never, [v] as never)[1] as T;
    case "reverse-over-forward":
      return (grad<[T]>(along) as (y: unknown) => T)(x);
    case "reverse-over-reverse":
      return (grad<[T]>((y: T) => inner(gradient(y), v)) as (y: unknown) => T)(x);
    case "forward-over-forward":
      return jacfwd<[T]>(along)(x);
  }
}

/** The inner product of two trees of the same structure. */
function inner(a: unknown, b: unknown): Value {
  const other = leaves(b) as Value[];
  return (leaves(a) as Value[]).map((leaf, i) => leaf.mul(other[i]).sum()).reduce((x, y) => x.add(y));
}

/** The number of elements in a tree. */
function count(tree: unknown): number {
  let total = 0;
  mapTree(tree, (leaf) => (total += typeof leaf === "number" ? 1 : (leaf as Value).size));
  return total;
}

/**
 * The Jacobian by whichever mode needs fewer passes: forward where the argument has no more elements than the result,
 * else reverse. The result's size is found by running f once.
 */
export function jacobian<A extends readonly unknown[] = Value[], R = Value, const N extends number = 0>(
  f: (...args: A) => R,
  options: JacobianOptions<N> = {},
): (...args: LiftableArguments<A, N>) => Jacobian<R, A[N]> {
  const forward = jacfwd<A, R, N>(f, options);
  const reverse = jacrev<A, R, N>(f, options);
  return (...args) => {
    const inputs = count(args[options.argnum ?? 0]);
    const outputs = count(outputTree("jacobian", f(...(args as unknown as A))));
    return (inputs <= outputs ? forward : reverse)(...args);
  };
}
