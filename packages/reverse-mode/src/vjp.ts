import {
  DerivativeError,
  type Liftable,
  type LiftableArguments,
  type Lifted,
  TreeError,
  Value,
  differentiableLeaf,
  fail,
  leafValue,
  leaves,
  mapTree,
  outputTree,
  promote,
  requireSameShape,
  requireSameStructure,
  scopeDepth,
  withLeaves,
} from "@cotangent/core";
import { Tape, TapeValue } from "./tape.ts";

/** A function's run on a tape: its result, and what is needed to sweep back. */
export interface Recording {
  readonly tape: Tape;
  /** The argument trees with a `TapeValue` at each leaf. */
  readonly inputs: readonly TapeValue[];
  /** What f returned, every leaf a value; those on the tape are still `TapeValue`s. */
  readonly output: unknown;
}

/** Runs f on a tape; `wanted` are the argument numbers to differentiate with respect to. */
export function record(
  who: string,
  f: (...args: never) => unknown,
  args: readonly unknown[],
  wanted: readonly number[],
  tape: Tape = new Tape(who),
): Recording {
  const inputs: TapeValue[] = [];
  const traced = args.map((arg, i) => {
    if (!wanted.includes(i)) return arg;
    return mapTree(
      arg,
      (leaf, path) => {
        const value = tape.leaf(differentiableLeaf(who, leaf, path));
        inputs.push(value);
        return value;
      },
      `argument ${i}`,
    );
  });
  try {
    return { tape, inputs, output: outputTree(who, f(...(traced as never))) };
  } finally {
    tape.open = false;
  }
}

/** A leaf of a result without its tape. */
export function primalOf(tape: Tape, leaf: unknown): unknown {
  return leaf instanceof TapeValue && leaf.level === tape.level ? leaf.primal : leaf;
}

/** Sweeps back from cotangents of the output's leaves; the gradients of the recorded inputs, zeros where they are zero. */
export function pullBack(
  { tape, inputs, output }: Recording,
  cotangents: readonly Value[],
  free: boolean,
): Value[] {
  const seeded = leaves(output);
  cotangents.forEach((cotangent, i) => {
    const leaf = seeded[i];
    if (leaf instanceof TapeValue && leaf.level === tape.level) leaf.node.accumulate(cotangent);
  });
  const adjoints = tape.sweep(
    inputs.map((input) => input.node),
    free,
  );
  return adjoints.map((adjoint, i) => adjoint ?? inputs[i].primal.zerosLike());
}

/**
 * The value of f and its pullback there: the function from a cotangent of the result to the cotangents of all
 * arguments (the vector-Jacobian product). f runs once, here; the pullback may be called any number of times.
 *
 * @param primals one tree per argument of f, all of floating dtypes.
 * @returns f's result, and the pullback, which takes a tree like the result and gives one tree per argument.
 * @throws DTypeError for int32 or bool arguments; ShapeError or DTypeError where a cotangent does not match.
 * @example
 * ```ts
 * const [y, pullback] = vjp((a: Value, b: Value) => a.mul(b), 2, 3);
 * const [da, db] = pullback(1); // 3 and 2
 * ```
 */
export function vjp<A extends readonly unknown[] = Value[], R = Value>(
  f: (...args: A) => R,
  ...primals: LiftableArguments<A>
): [Lifted<R>, (cotangent: Liftable<Lifted<R>>) => A] {
  const every = primals.map((_, i) => i);
  const recording = record("vjp", f, primals, every);
  const value = mapTree(recording.output, (leaf) => primalOf(recording.tape, leaf));
  const pullback = (cotangent: unknown): A => {
    requireSameStructure("vjp", "the cotangent", cotangent, value);
    const results = leaves(value) as Value[];
    const cotangents = leaves(cotangent).map((leaf, i) => matching(leaf, results[i]));
    return withLeaves(primals, pullBack(recording, cotangents, false)) as unknown as A;
  };
  return [value as Lifted<R>, pullback];
}

function matching(leaf: unknown, result: Value): Value {
  if (typeof leaf === "number" && result.rank === 0) return result.constant(leaf, result.aval);
  const cotangent = leafValue("vjp", leaf, "the cotangent");
  requireSameShape("vjp", "the cotangent", cotangent, result.aval);
  return cotangent;
}

/** Which arguments to differentiate with respect to: a number, or several. */
export type Argnums = number | readonly number[];

export interface GradOptions<N extends Argnums = Argnums> {
  /** By default 0: the first argument. With several, the gradient is an array. */
  readonly argnums?: N;
  /** Whether f returns [value, aux]; aux comes back as it is, untraced. */
  readonly hasAux?: false;
}

export interface AuxOptions<N extends Argnums = Argnums> extends Omit<GradOptions<N>, "hasAux"> {
  readonly hasAux: true;
}

/** The gradient's type: the selected argument's own tree, or an array of those. */
export type Gradient<A extends readonly unknown[], N extends Argnums> = N extends number
  ? Lifted<A[N]>
  : { -readonly [K in keyof N]: N[K] extends number ? Lifted<A[N[K]]> : never };

/** The arguments of a gradient function: plain numbers may stand in those it differentiates with respect to. */
export type GradArguments<A extends readonly unknown[], N extends Argnums> = LiftableArguments<
  A,
  N extends readonly (infer M extends number)[] ? M : N & number
>;
type Scalar = Value | number;

/**
 * The function that gives f's value and its gradient, from one run of f and one sweep back.
 *
 * @param f a function with a scalar (rank-0) floating result.
 * @returns a function of the same arguments that gives [value, gradient]; with `hasAux`, [[value, aux], gradient].
 * @throws DerivativeError where f's result is no floating scalar; DTypeError for int32 or bool arguments.
 * @example
 * ```ts
 * const [loss, gradient] = valueAndGrad((p: { w: Value; b: Value }) => p.w.mul(3).add(p.b).square())({ w: 2, b: 1 });
 * gradient.w.item(); // 42
 * ```
 */
export function valueAndGrad<A extends readonly unknown[] = Value[], const N extends Argnums = 0>(
  f: (...args: A) => Scalar,
  options?: GradOptions<N>,
): (...args: GradArguments<A, N>) => [Value, Gradient<A, N>];
export function valueAndGrad<Aux, A extends readonly unknown[] = Value[], const N extends Argnums = 0>(
  f: (...args: A) => readonly [Scalar, Aux],
  options: AuxOptions<N>,
): (...args: GradArguments<A, N>) => [[Value, Aux], Gradient<A, N>];
export function valueAndGrad(
  f: (...args: never) => unknown,
  options: GradOptions | AuxOptions = {},
): (...args: unknown[]) => unknown {
  return differentiated("valueAndGrad", f, options, (value, gradient) => [value, gradient]);
}

/**
 * The gradient of a function with a scalar result, by reverse mode: one run and one sweep back, whatever the number
 * of inputs.
 *
 * @param f a function with a scalar (rank-0) floating result.
 * @returns a function of the same arguments that gives the gradient, a tree like the argument; with `hasAux`,
 * [gradient, aux].
 * @throws DerivativeError where f's result is no floating scalar; DTypeError for int32 or bool arguments.
 * @example `grad((x) => x.mul(x).sum())(tensor([1, 2])).toArray()` is [2, 4].
 */
export function grad<A extends readonly unknown[] = Value[], const N extends Argnums = 0>(
  f: (...args: A) => Scalar,
  options?: GradOptions<N>,
): (...args: GradArguments<A, N>) => Gradient<A, N>;
export function grad<Aux, A extends readonly unknown[] = Value[], const N extends Argnums = 0>(
  f: (...args: A) => readonly [Scalar, Aux],
  options: AuxOptions<N>,
): (...args: GradArguments<A, N>) => [Gradient<A, N>, Aux];
export function grad(
  f: (...args: never) => unknown,
  options: GradOptions | AuxOptions = {},
): (...args: unknown[]) => unknown {
  return differentiated("grad", f, options, (value, gradient) =>
    options.hasAux === true ? [gradient, (value as [Value, unknown])[1]] : gradient,
  );
}

function differentiated(
  who: string,
  f: (...args: never) => unknown,
  { argnums = 0, hasAux = false }: GradOptions | AuxOptions,
  combine: (value: unknown, gradient: unknown) => unknown,
): (...args: unknown[]) => unknown {
  return (...args) => {
    const wanted = typeof argnums === "number" ? [argnums] : argnums;
    const beyond = wanted.find((i) => !Number.isInteger(i) || i < 0 || i >= args.length);
    if (beyond !== undefined) {
      fail(
        TreeError,
        `${who}: argnums names argument ${beyond}, but ${args.length} were given. Arguments count from 0.`,
      );
    }
    let aux: unknown;
    const scalarPart = (...traced: never[]): unknown => {
      const result = f(...(traced as never));
      if (!hasAux) return result;
      if (!Array.isArray(result) || result.length !== 2) {
        fail(
          TreeError,
          `${who}: with hasAux the function must return [value, aux], but it returned ${String(result)}.`,
        );
      }
      aux = result[1];
      return result[0];
    };
    const recording = record(who, scalarPart, args, wanted);
    const { tape, output } = recording;
    const scalar = requireScalar(who, output);
    const value = primalOf(tape, scalar) as Value;
    const untraced = mapTree(aux, (leaf) => primalOf(tape, leaf));
    for (const kept of [value, ...leaves(untraced)]) if (kept instanceof Value) promote(kept, scopeDepth());
    const gradients = pullBack(recording, [value.onesLike()], true);
    let next = 0;
    const trees = args.map((arg, i) =>
      wanted.includes(i) ? mapTree(arg, () => gradients[next++]) : undefined,
    );
    const perArgument = wanted.map((i) => trees[i]);
    const gradient = typeof argnums === "number" ? perArgument[0] : perArgument;
    return combine(hasAux ? [value, untraced] : value, gradient);
  };
}

function requireScalar(who: string, output: unknown): Value {
  if (!(output instanceof Value)) {
    fail(
      DerivativeError,
      `${who}: the function returned a tree, but ${who} needs one scalar. Return the loss alone, or [loss, aux] with hasAux.`,
    );
  }
  if (output.rank !== 0 || !output.aval.floating) {
    fail(
      DerivativeError,
      `${who}: the function returned ${output.aval}, but ${who} needs a scalar (rank 0) of a floating dtype. ` +
        (output.aval.floating
          ? `Reduce it (sum, mean), or use jacrev or vjp.`
          : `Integers and bools have no gradient.`),
    );
  }
  return output;
}
