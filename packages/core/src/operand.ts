import { type Backend, currentBackend } from "./backend.ts";
import { TreeError, fail } from "./errors.ts";
import { type Tensor, scalarTensor } from "./tensor.ts";
import { Value } from "./value.ts";

/**
 * What an op takes: a value, or a JavaScript number wherever a scalar may stand. Numbers are weakly typed: they take
 * the dtype and backend of the other operand and never widen it.
 */
export type Operand = Value | number;

function constant(number: number, like: Value): Tensor {
  return scalarTensor(number, like.aval.dtype, like.backend);
}

function refuse(who: string, found: unknown): never {
  const what = found === null ? "null" : Array.isArray(found) ? "an array" : typeof found;
  fail(
    TreeError,
    `${who}: found ${what} where a value or a number is needed. Make a tensor of it: tensor(...).`,
  );
}

/** Makes values of all operands; numbers follow the first value, or else take the default dtype of a backend. */
export function lift(
  who: string,
  operands: readonly Operand[],
  backend: Backend = currentBackend(),
): Value[] {
  let like: Value | undefined;
  for (const operand of operands) {
    if (operand instanceof Value) like ??= operand;
    else if (typeof operand !== "number") refuse(who, operand);
  }
  return operands.map((operand) => {
    if (typeof operand !== "number") return operand;
    if (like !== undefined) return constant(operand, like);
    return scalarTensor(operand, backend.defaultDType, backend);
  });
}

/** `lift` for two operands, without the loops: the way of every binary op. */
export function liftPair(who: string, x: Operand, y: Operand): [Value, Value] {
  if (x instanceof Value) {
    if (y instanceof Value) return [x, y];
    if (typeof y === "number") return [x, constant(y, x)];
    refuse(who, y);
  }
  if (y instanceof Value && typeof x === "number") return [constant(x, y), y];
  return lift(who, [x, y]) as [Value, Value];
}
