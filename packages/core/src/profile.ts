/** What a computation costs, counted evaluation by evaluation: exact, and the same on every run. */
import { observe } from "./bind.ts";
import type { Lease } from "./memory.ts";
import type { Tensor } from "./tensor.ts";
import { leaves } from "./tree.ts";
import { Value } from "./value.ts";

export interface Profile<T> {
  readonly result: T;
  /** Primitives that a backend evaluated. */
  readonly evaluations: number;
  /** The sum of the primitives' own costs. */
  readonly flops: number;
  /** Bytes of all inputs read and all outputs written; an output that shares its input's buffer moves none. */
  readonly bytesMoved: number;
  /**
   * The most bytes of computed tensors that must be held at once, if each is let go of as early as it can be: a
   * tensor lives from its evaluation until its last use, or to the end if it is part of the result. Tensors that share
   * a buffer count once. What the caller brought along (arguments, constants) is the caller's, and does not count.
   */
  readonly peakLiveBytes: number;
}

interface Lifetime {
  readonly bytes: number;
  readonly born: number;
  lastUse: number;
}

/** What tensors that share a buffer have in common. A tensor that is a plain number shares with nobody. */
const storageOf = (tensor: Tensor): Lease | Tensor => tensor.lease ?? tensor;

/**
 * Runs `body` and counts what it evaluates.
 *
 * @example `profile(() => grad(loss)(weights)).peakLiveBytes` is what a reverse sweep has to keep.
 */
export function profile<T>(body: () => T): Profile<T> {
  // A lease does not hold its buffer, so watching keeps nothing alive.
  const lifetimes = new Map<Lease | Tensor, Lifetime>();
  let evaluations = 0;
  let flops = 0;
  let bytesMoved = 0;
  const result = observe((primitive, inputs, outputs, params) => {
    const now = evaluations++;
    const read = inputs.map(storageOf);
    const written = outputs.filter((output) => !read.includes(storageOf(output)));
    flops += primitive.cost(
      inputs.map((input) => input.aval),
      outputs[0].aval,
      params,
    );
    for (const storage of read) {
      const lifetime = lifetimes.get(storage);
      if (lifetime !== undefined) lifetime.lastUse = now;
    }
    for (const output of written) {
      lifetimes.set(storageOf(output), { bytes: output.aval.bytes, born: now, lastUse: now });
    }
    if (written.length > 0) for (const { aval } of [...inputs, ...written]) bytesMoved += aval.bytes;
  }, body);
  for (const leaf of leaves(result)) {
    const lifetime = leaf instanceof Value ? lifetimes.get(storageOf(leaf.concrete())) : undefined;
    if (lifetime !== undefined) lifetime.lastUse = evaluations;
  }
  return {
    result,
    evaluations,
    flops,
    bytesMoved,
    peakLiveBytes: peak([...lifetimes.values()], evaluations),
  };
}

/** The largest sum of bytes over lifetimes that overlap; both ends of a lifetime belong to it. */
function peak(lifetimes: readonly Lifetime[], evaluations: number): number {
  const change = new Float64Array(evaluations + 2);
  for (const { bytes, born, lastUse } of lifetimes) {
    change[born] += bytes;
    change[lastUse + 1] -= bytes;
  }
  let live = 0;
  let most = 0;
  for (const bytes of change) {
    live += bytes;
    if (live > most) most = live;
  }
  return most;
}
