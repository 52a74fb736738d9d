import {
  type Liftable,
  type Lifted,
  DerivativeError,
  ShapeError,
  Value,
  differentiableLeaf,
  fail,
  leafValue,
  leaves,
  mapTree,
  outputTree,
  requireSameShape,
  requireSameStructure,
} from "@cotangent/core";
import { Dual, ForwardTrace } from "./dual.ts";

/** What `jvp` pushes forward: a tangent for each leaf; null where it is zero (and where a leaf is int32 or bool). */
export type Tangents<T> = T extends Value
  ? Value | number | null
  : T extends object
    ? { [K in keyof T]: Tangents<T[K]> } | null
    : T;

/**
 * The value of f at the primals and its derivative there in the direction of the tangents (the Jacobian-vector
 * product), in one pass and without storing the computation.
 *
 * @param primals one tree per argument of f.
 * @param tangents trees like the primals, leaf by leaf of the same shape and dtype. A null stands for a zero.
 * @returns f's result and its tangent, two trees of the same structure, shapes and dtypes.
 * @throws TreeError, ShapeError or DTypeError where a tangent does not match its primal.
 * @example
 * ```ts
 * const [y, dy] = jvp((x: Value) => x.sin(), [2], [1]);
 * dy.item(); // cos(2)
 * ```
 */
export function jvp<A extends readonly unknown[] = Value[], R = Value>(
  f: (...args: A) => R,
  primals: Liftable<A>,
  tangents: Tangents<A>,
): [Lifted<R>, Lifted<R>] {
  return pushforwardTree("jvp", f as (...args: never) => R, primals, tangents);
}

/** `jvp`, under another name in messages. */
export function pushforwardTree<R>(
  who: string,
  f: (...args: never) => R,
  primals: readonly unknown[],
  tangents: unknown,
): [Lifted<R>, Lifted<R>] {
  if (!Array.isArray(primals) || !Array.isArray(tangents) || primals.length !== tangents.length) {
    fail(
      ShapeError,
      `${who}: primals and tangents must be two arrays with one entry per argument of the function. ` +
        `A single argument is given as [x], [v].`,
    );
  }
  const trace = new ForwardTrace(who);
  const seeded = primals.map((primal, i) =>
    seed(who, trace, primal, (tangents as unknown[])[i], `argument ${i}`),
  );
  try {
    const output = outputTree(who, f(...(seeded as never)));
    const own = (leaf: unknown): Dual | undefined =>
      leaf instanceof Dual && leaf.level === trace.level ? leaf : undefined;
    return [
      mapTree(output, (leaf) => own(leaf)?.primal ?? leaf) as Lifted<R>,
      mapTree(output, (leaf) => own(leaf)?.tangent ?? (leaf as Value).zerosLike()) as Lifted<R>,
    ];
  } finally {
    trace.open = false;
  }
}

/** The primal tree with a dual number at each leaf that has a tangent. */
function seed(who: string, trace: ForwardTrace, primal: unknown, tangent: unknown, path: string): unknown {
  if (tangent === null || tangent === undefined)
    return mapTree(primal, (leaf, at) => (isOther(leaf) ? leaf : leafValue(who, leaf, at)), path);
  const queue = leavesWithNull(tangent, primal, who, path);
  let next = 0;
  return mapTree(
    primal,
    (leaf, at) => {
      const given = queue[next++];
      if (given === null) return isOther(leaf) ? leaf : leafValue(who, leaf, at);
      const value = differentiableLeaf(who, leaf, at);
      return new Dual(trace, value, matching(who, value, given, at));
    },
    path,
  );
}

/** Leaves that are no values (strings, functions ...) pass through untouched. */
export const isOther = (leaf: unknown): boolean => !(leaf instanceof Value) && typeof leaf !== "number";

/** The tangents in the order of the primal's leaves, null where a leaf has none. */
export function leavesWithNull(tangent: unknown, primal: unknown, who: string, path: string): unknown[] {
  const marked = withNulls(tangent, primal);
  requireSameStructure(who, `the tangent of ${path}`, marked, primal);
  return leaves(marked).map((leaf) => (leaf === missing ? null : leaf));
}

const missing: unique symbol = Symbol("no tangent");

function withNulls(tangent: unknown, primal: unknown): unknown {
  if (tangent === null) return mapTree(primal, () => missing);
  if (Array.isArray(tangent) && Array.isArray(primal)) return tangent.map((t, i) => withNulls(t, primal[i]));
  if (
    typeof tangent === "object" &&
    tangent !== null &&
    !(tangent instanceof Value) &&
    typeof primal === "object" &&
    primal !== null
  ) {
    return Object.fromEntries(
      Object.entries(tangent).map(([key, t]) => [
        key,
        withNulls(t, (primal as Record<string, unknown>)[key]),
      ]),
    );
  }
  return tangent;
}

/** What was given as the tangent of a leaf, as a value of the leaf's own shape and dtype. */
export function matching(who: string, primal: Value, tangent: unknown, path: string): Value {
  if (typeof tangent === "number" && primal.rank === 0) return primal.constant(tangent, primal.aval);
  const value = leafValue(who, tangent, `the tangent of ${path}`);
  requireSameShape(who, `the tangent of ${path}`, value, primal.aval);
  return value;
}

/**
 * The derivative of a function of one scalar; it nests, so `derivative(derivative(f))` is the second one.
 *
 * @returns a function from the scalar to df/dx, in the shape of f's result.
 * @throws DerivativeError where the argument is not a scalar.
 * @example `derivative((x) => x.mul(x))(3).item()` is 6.
 */
export function derivative<R = Value>(f: (x: Value) => R): (x: Value | number) => Lifted<R> {
  return (x) => {
    const primal = differentiableLeaf("derivative", x, "the argument");
    if (primal.rank !== 0) {
      fail(
        DerivativeError,
        `derivative: the argument is ${primal.aval}, but derivative takes a scalar (rank 0). ` +
          `Use jacfwd for all directions, or jvp for one.`,
      );
    }
    return pushforwardTree("derivative", f as (...args: never) => R, [primal], [primal.onesLike()])[1];
  };
}

/** The derivative of f at x in the direction v: the tangent part of `jvp`. */
export function directionalDerivative<T = Value, R = Value>(
  f: (x: T) => R,
  x: Liftable<T>,
  v: Tangents<T>,
): Lifted<R> {
  return pushforwardTree("directionalDerivative", f as (...args: never) => R, [x], [v])[1];
}
