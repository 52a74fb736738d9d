/** What batching rules are made of. */
import { bind } from "../bind.ts";
import type { BatchRule, Primitive } from "../primitive.ts";
import type { Value } from "../value.ts";

/** The size of the batch. */
export function batchOf(inputs: readonly Value[], batched: readonly boolean[]): number {
  return inputs[batched.indexOf(true)].shape[0];
}

/** Every input with a batch axis. */
export function allBatched(inputs: readonly Value[], batched: readonly boolean[]): Value[] {
  const size = batchOf(inputs, batched);
  return inputs.map((input, i) => (batched[i] ? input : input.broadcastTo([size, ...input.shape])));
}

/** An axis moved to another place, the others keeping their order. */
export function moveAxis(x: Value, from: number, to: number): Value {
  const order = x.shape.map((_, i) => i).filter((i) => i !== from);
  order.splice(to, 0, from);
  return x.transpose(order);
}

/** The batch folded into the first axis of each element, which many images make one. */
export function foldFirst(x: Value): Value {
  const [size, first, ...rest] = x.shape;
  return x.reshape([size * first, ...rest]);
}

/** The inverse of `foldFirst`. */
export function unfoldFirst(x: Value, size: number): Value {
  const [all, ...rest] = x.shape;
  return x.reshape([size, size === 0 ? 0 : all / size, ...rest]);
}

/** The batch folded into the last axis of each element. */
export function foldLast(x: Value): Value {
  const moved = moveAxis(x, 0, x.rank - 2);
  const shape = moved.shape.slice(0, -2);
  return moved.reshape([...shape, moved.shape[x.rank - 2] * moved.shape[x.rank - 1]]);
}

/** The inverse of `foldLast`. */
export function unfoldLast(x: Value, size: number): Value {
  const last = x.shape[x.rank - 1];
  const split = x.reshape([...x.shape.slice(0, -1), size, size === 0 ? 0 : last / size]);
  return moveAxis(split, x.rank - 1, 0);
}

/**
 * The rule that needs no thought: the primitive applied to each element, and the results stacked. For primitives whose
 * batch is no primitive either.
 */
export function batchByLoop<P>(primitive: () => Primitive): BatchRule<P> {
  return (inputs, batched, params) => {
    const size = batchOf(inputs, batched);
    const own = primitive();
    const element = (k: number): Value[] => inputs.map((input, i) => (batched[i] ? input.at(k) : input));
    if (size === 0) {
      const avals = inputs.map((input, i) => ({
        aval: batched[i] ? input.aval.withShape(input.shape.slice(1)) : input.aval,
      }));
      const aval = own.infer(avals, params as object);
      return inputs[0].constant(0, aval.withShape([0, ...aval.shape]));
    }
    const rows = Array.from({ length: size }, (_, k) =>
      bind(own, element(k), params as object).expandDims(0),
    );
    return rows[0].concatenate(rows.slice(1), 0);
  };
}
