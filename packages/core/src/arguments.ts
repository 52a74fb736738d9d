/** What every transformation does with the arguments and results of a user's function. */
import { type Aval, sameShape } from "./aval.ts";
import { currentBackend } from "./backend.ts";
import { DTypeError, ShapeError, TreeError, fail } from "./errors.ts";
import { scalarTensor } from "./tensor.ts";
import { mapTree } from "./tree.ts";
import { Value } from "./value.ts";

/** A leaf of a tree as a value; a plain number becomes a rank-0 tensor of the current backend's default dtype. */
export function leafValue(who: string, leaf: unknown, path: string): Value {
  if (leaf instanceof Value) return leaf;
  if (typeof leaf === "number") return scalarTensor(leaf, currentBackend().defaultDType, currentBackend());
  fail(
    TreeError,
    `${who}: found ${describe(leaf)} at ${path}, where a value or a number is needed. Make a tensor of it: tensor(...).`,
  );
}

/** A leaf to differentiate with respect to: it must have a floating dtype. */
export function differentiableLeaf(who: string, leaf: unknown, path: string): Value {
  const value = leafValue(who, leaf, path);
  if (!value.aval.floating) {
    fail(
      DTypeError,
      `${who}: ${path} is ${value.aval}, and a derivative with respect to ${value.dtype} has no meaning. ` +
        `Convert it (astype("float64")), or differentiate with respect to other arguments.`,
    );
  }
  return value;
}

/** The result of a user's function with every leaf a value. */
export function outputTree(who: string, output: unknown): unknown {
  if (output instanceof Promise) {
    fail(
      TreeError,
      `${who}: the function returned a promise, but it must be synchronous; await before or after.`,
    );
  }
  if (output === undefined || output === null) {
    fail(TreeError, `${who}: the function returned ${String(output)}. Return a value, or a tree of values.`);
  }
  return mapTree(output, (leaf, path) => leafValue(who, leaf, path), "the result");
}

/** Refuses a tangent or cotangent whose shape or dtype is not that of the value it belongs to. */
export function requireSameShape(who: string, what: string, found: Value, wanted: Aval): void {
  if (!sameShape(found.shape, wanted.shape)) {
    fail(
      ShapeError,
      `${who}: ${what} is ${found.aval}, but must have the shape of the value it belongs to, ${wanted}.`,
    );
  }
  if (found.dtype !== wanted.dtype) {
    fail(
      DTypeError,
      `${who}: ${what} is ${found.aval}, but must have the dtype of the value it belongs to, ${wanted}.`,
    );
  }
}

export function describe(found: unknown): string {
  if (found === null || found === undefined) return String(found);
  if (typeof found === "object") return `an object of class ${found.constructor?.name ?? "unknown"}`;
  return `a ${typeof found}`;
}

/** A function's result type with its plain numbers as values. */
export type Lifted<R> = R extends number
  ? Value
  : R extends Value
    ? R
    : R extends object
      ? { [K in keyof R]: Lifted<R[K]> }
      : R;
