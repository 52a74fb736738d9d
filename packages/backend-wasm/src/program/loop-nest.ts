/** The loops over the elements of a cluster: which axes there are, in which order, and along which one vectors lie. */
import type { Shape } from "@cotangent/core";

/** One loop. */
export interface LoopAxis {
  readonly size: number;
  /** Whether the cluster's reductions reduce along it. */
  readonly reduced: boolean;
  /** How many elements each operand moves on per step. */
  readonly strides: readonly number[];
}

/** Kept axes outside, then the axis along which vectors lie, and reduced axes either inside of it or just outside. */
export interface LoopNest {
  readonly kept: readonly LoopAxis[];
  readonly vector: LoopAxis;
  readonly reduced: readonly LoopAxis[];
}

/**
 * The loops over a shape, for operands that go through its axes by strides. Neighbouring axes that all operands go through
 * as through one are one, and those of size 1 are none; vectors lie along the last axis, where most operands are contiguous.
 */
export function loopNest(
  shape: Shape,
  reduced: readonly number[],
  strides: readonly (readonly number[])[],
): LoopNest {
  const axes: LoopAxis[] = [];
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const next = { size, reduced: reduced.includes(axis), strides: strides.map((all) => all[axis]) };
    const last = axes.at(-1);
    // An axis that is reduced and one that is kept are never one: a result of the reduction moves on along the latter alone.
    const isOne = last !== undefined && last.strides.every((stride, i) => stride === next.strides[i] * size);
    if (isOne) axes[axes.length - 1] = { ...next, size: last.size * size };
    else axes.push(next);
  });
  const vector = axes.pop() ?? { size: 1, reduced: false, strides: strides.map(() => 0) };
  return {
    kept: axes.filter((axis) => !axis.reduced),
    vector,
    reduced: axes.filter((axis) => axis.reduced),
  };
}
