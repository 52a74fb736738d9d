/** Rows of tensors, for loops that own what they make. */
import type { Aval } from "../aval.ts";
import type { Backend } from "../backend.ts";
import { concatenate } from "../primitives/shape.ts";
import { type Tensor, fromHost, hostArray } from "../tensor.ts";

/** Row i of an array, as a tensor that belongs to nobody. */
export function rowOf(array: Tensor, i: number): Tensor {
  const [, ...shape] = array.shape;
  const begin = array.shape.map((_, axis) => (axis === 0 ? i : 0));
  const cut = array.slice(begin, [i + 1, ...shape]).concrete();
  const row = cut.reshape(shape).concrete();
  if (cut !== array) cut.dispose();
  return row;
}

/** How many tensors one concatenation takes: backends bind each to a place of its own. */
export const atOnce = 256;

/** Rows, which are freed, as one array. */
export function stackRows(rows: readonly Tensor[], aval: Aval, backend: Backend): Tensor {
  if (rows.length === 0) return fromHost(hostArray(aval.dtype, aval.size), aval, backend);
  let parts = rows.map((row) => {
    const part = row.reshape([1, ...row.shape]).concrete();
    row.dispose();
    return part;
  });
  while (parts.length > 1) {
    const joined: Tensor[] = [];
    for (let i = 0; i < parts.length; i += atOnce) {
      const group = parts.slice(i, i + atOnce);
      joined.push(concatenate(group, { axis: 0 }).concrete());
      for (const part of group) part.dispose();
    }
    parts = joined;
  }
  return parts[0];
}
