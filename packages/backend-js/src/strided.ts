import { type Shape, stridesOf } from "@cotangent/core";

/** Strides with which a value of shape `from` is read in the index space of `to`: 0 along broadcast axes. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = stridesOf(from);
  const lead = to.length - from.length;
  return to.map((_, i) => (i < lead || from[i - lead] === 1 ? 0 : own[i - lead]));
}

/** The offset of every element of `shape`, in row-major order, under the given strides. */
export function offsets(shape: Shape, strides: readonly number[], start = 0): Int32Array {
  let count = 1;
  for (const n of shape) count *= n;
  const out = new Int32Array(count);
  if (count === 0) return out;
  out[0] = start;
  let filled = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const block = filled;
    for (let k = 1; k < shape[axis]; k++) {
      const shift = k * strides[axis];
      for (let i = 0; i < block; i++) out[filled++] = out[i] + shift;
    }
  }
  return out;
}
