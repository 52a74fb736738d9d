/** What batching rules are made of. */
import type { Aval } from "../aval.ts";
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

/** A function of any number of images [N, ...], applied to a batch of such, which is one of more images. */
export function overImages(x: Value, f: (images: Value) => Value): Value {
  const [size, images, ...rest] = x.shape;
  const found = f(x.reshape([size * images, ...rest]));
  return found.reshape([size, images, ...found.shape.slice(1)]);
}

/** A function of any number of channels, along the last axis, applied to a batch of such, which has more channels. */
export function overChannels(x: Value, f: (channels: Value) => Value): Value {
  const [size] = x.shape;
  const channels = x.shape[x.rank - 1];
  const last = moveAxis(x, 0, x.rank - 2);
  const found = f(last.reshape([...last.shape.slice(0, -2), size * channels]));
  return moveAxis(found.reshape([...found.shape.slice(0, -1), size, channels]), found.rank - 1, 0);
}

/**
 * The rule that needs no thought: the primitive applied to each element, and the results stacked. For primitives whose
 * batch is no primitive either.
 */
export function batchByLoop<P>(primitive: () => Primitive): BatchRule<P> {
  return (inputs, batched, params) => {
    const own = primitive();
    const each = (elements: readonly Value[], p: P): Value[] => [bind(own, elements, p as object)];
    const shapes = (avals: readonly Aval[]): Aval[] => [
      own.infer(
        avals.map((aval) => ({ aval })),
        params as object,
      ),
    ];
    return batchEachByLoop(each, shapes, inputs, batched, params).outputs[0];
  };
}

/** `batchByLoop` for several outputs. */
export function batchEachByLoop<P>(
  each: (elements: readonly Value[], params: P) => Value[],
  shapes: (avals: readonly Aval[], params: P) => Aval[],
  inputs: readonly Value[],
  batched: readonly boolean[],
  params: P,
): { readonly outputs: Value[]; readonly batched: boolean[] } {
  const size = batchOf(inputs, batched);
  const avals = inputs.map(({ aval }, i) => (batched[i] ? aval.withShape(aval.shape.slice(1)) : aval));
  const rows = Array.from({ length: size }, (_, k) =>
    each(
      inputs.map((input, i) => (batched[i] ? input.at(k) : input)),
      params,
    ),
  );
  const outputs = shapes(avals, params).map((aval, o) => {
    if (size === 0) return inputs[0].constant(0, aval.withShape([0, ...aval.shape]));
    const [first, ...others] = rows.map((row) => row[o].expandDims(0));
    return first.concatenate(others, 0);
  });
  return { outputs, batched: outputs.map(() => true) };
}
