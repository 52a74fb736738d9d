/** Functions with derivative rules of their own: a JVP, a VJP, or both. */
import { type Lifted, leafValue, outputTree } from "../arguments.ts";
import { TreeError, fail } from "../errors.ts";
import { flatten, unflatten } from "../control/nested.ts";
import type { LiftableArguments } from "../tree.ts";
import { leaves, treeStructure } from "../tree.ts";
import { Value } from "../value.ts";
import { type CustomFunction, customCall } from "./custom-call.ts";

/** The JVP: from the arguments and their tangents to [result, tangent of the result]. */
export type CustomJvp<A, R> = (primals: A, tangents: A) => readonly [R, R];

/** The VJP, in two parts. */
export interface CustomVjp<A extends readonly unknown[], R, S> {
  /** The result, and what the way back needs: a tree of values. */
  readonly forward: (...args: A) => readonly [R, S];
  /** From that and the result's cotangent to one cotangent tree per argument; null stands for zeros. */
  readonly backward: (residuals: S, cotangent: R) => { readonly [K in keyof A]: A[K] | null };
}

export interface CustomRules<A extends readonly unknown[], R, S> extends Partial<CustomVjp<A, R, S>> {
  readonly jvp?: CustomJvp<A, R>;
}

/**
 * The function with rules of its own in place of those that follow from its operations. With both a JVP and a VJP,
 * forward mode uses the one and reverse mode the other; with a JVP alone, reverse mode uses its transpose; with a VJP
 * alone, forward mode is refused.
 *
 * All arguments are trees of values; int32 and bool leaves have no tangents (null stands in their place). What f and its
 * rules close over is a constant to them, so a traced value must be an argument.
 *
 * @throws ShapeError or DTypeError where a rule gives what does not fit; StagingError where f closes over a traced value;
 * DerivativeError where a mode has no rule, or a JVP is not linear in the tangents.
 * @example
 * ```ts
 * const log1pExp = custom((x: Value) => x.exp().log1p(), {
 *   jvp: ([x], [dx]) => [x.exp().log1p(), dx.mul(x.sigmoid())],
 *   forward: (x) => [x.exp().log1p(), x],
 *   backward: (x, ct) => [ct.mul(x.sigmoid())],
 * });
 * grad(log1pExp)(100).item(); // 1, not NaN
 * ```
 */
export function custom<A extends readonly unknown[], R, S = unknown>(
  f: (...args: A) => R,
  rules: CustomRules<A, R, S>,
): (...args: LiftableArguments<A>) => Lifted<R> {
  const who = f.name === "" ? "custom" : f.name;
  const { jvp, forward, backward } = rules;
  if ((forward === undefined) !== (backward === undefined))
    fail(TreeError, `${who}: a VJP needs both forward and backward, but only one of them was given.`);
  if (jvp === undefined && forward === undefined)
    fail(TreeError, `${who}: no rules were given; give a JVP, a VJP (forward and backward), or both.`);
  /** One for each structure of arguments, so that a loop around a call is one graph however often it is run. */
  const identities = new Map<string, object>();
  return (...args) => {
    const { tree, values } = flatten(who, args, "arguments");
    if (values.length === 0) return f(...(args as unknown as A)) as Lifted<R>;
    const isFloating = values.map((value) => value.aval.floating);
    // The structures of the result and the residuals, known once any part has run.
    const known: { result?: unknown; residuals?: unknown } = {};
    const argumentsOf = (inputs: readonly Value[]): A => unflatten(tree, inputs) as A;
    const results = (result: unknown): Value[] => {
      known.result = outputTree(who, result);
      return leaves(known.result) as Value[];
    };
    const structure = treeStructure(args);
    const identity = identities.get(structure) ?? {};
    identities.set(structure, identity);
    const written: CustomFunction = {
      identity,
      call: (inputs) => results(f(...argumentsOf(inputs))),
      jvp:
        jvp === undefined
          ? null
          : (inputs, tangents) => {
              const moved = unflatten(tree, spreadFloats(tangents, isFloating));
              const [result, tangent] = jvp(argumentsOf(inputs), moved as A);
              const outputs = results(result);
              const given = alignedLeaves(who, "the tangent", tangent, known.result);
              return {
                outputs,
                tangents: outputs.flatMap((output, i) =>
                  output.aval.floating ? [given[i] ?? output.zerosLike()] : [],
                ),
              };
            },
      forward:
        forward === undefined
          ? null
          : (inputs) => {
              const [result, residuals] = forward(...argumentsOf(inputs));
              const kept = flatten(who, residuals, "the residuals");
              known.residuals = kept.tree;
              return { outputs: results(result), residuals: kept.values };
            },
      backward:
        backward === undefined
          ? null
          : (residuals, cotangents) => {
              const outputs = leaves(known.result) as Value[];
              const marks = outputs.map((output) => output.aval.floating);
              const cotangent = unflatten(known.result, spreadFloats(cotangents, marks));
              const found = backward(unflatten(known.residuals, residuals) as S, cotangent as R);
              return alignedLeaves(who, "the cotangents of the arguments", found, tree).filter(
                (_, i) => isFloating[i],
              );
            },
    };
    const outputs = customCall(values, { name: who, written, call: null });
    return unflatten(known.result, outputs) as Lifted<R>;
  };
}

/**
 * The function with a JVP of its own; reverse mode uses the transpose of that.
 *
 * @example `customJvp((x: Value) => x.exp().log1p(), ([x], [dx]) => [x.exp().log1p(), dx.mul(x.sigmoid())])`
 */
export function customJvp<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  jvp: CustomJvp<A, R>,
): (...args: LiftableArguments<A>) => Lifted<R> {
  return custom<A, R>(f, { jvp });
}

/**
 * The function with a VJP of its own; forward mode is refused.
 *
 * @example `customVjp((x: Value) => x.mul(1), { forward: (x) => [x, []], backward: (_, ct) => [ct.clamp(-1, 1)] })`
 * clips the gradient.
 */
export function customVjp<A extends readonly unknown[], R, S>(
  f: (...args: A) => R,
  rules: CustomVjp<A, R, S>,
): (...args: LiftableArguments<A>) => Lifted<R> {
  return custom<A, R, S>(f, rules);
}

/** Values where the marks are, null elsewhere. */
function spreadFloats(values: readonly Value[], marks: readonly boolean[]): (Value | null)[] {
  let next = 0;
  return marks.map((mark) => (mark ? values[next++] : null));
}

/** The leaves of a tree that may have null in place of any part, in the order of another that has all. */
function alignedLeaves(who: string, what: string, given: unknown, like: unknown): (Value | null)[] {
  if (given === null || given === undefined) return leaves(like).map(() => null);
  if (like instanceof Value) {
    if (typeof given === "number" && like.rank === 0) return [like.constant(given, like.aval)];
    return [leafValue(who, given, what)];
  }
  const [found, wanted] = [given, like] as [Record<string, unknown>, Record<string, unknown>];
  const isBranch = typeof given === "object" && !(given instanceof Value);
  const keys = Object.keys(wanted);
  if (!isBranch || keys.some((key) => !(key in found)) || Object.keys(found).length !== keys.length) {
    fail(
      TreeError,
      `${who}: ${what} has the structure ${treeStructure(given)}, but ${treeStructure(like)} is needed ` +
        `(null may stand in place of any part).`,
    );
  }
  return keys.flatMap((key) => alignedLeaves(who, what, found[key], wanted[key]));
}
