import { type Aval, sameShape } from "./aval.ts";
import type { Value } from "./value.ts";

/** Sums a cotangent over the axes along which an input of that aval was broadcast. */
export function unbroadcast(cotangent: Value, aval: Aval): Value {
  const { shape } = cotangent;
  if (sameShape(shape, aval.shape)) return cotangent;
  const lead = shape.length - aval.shape.length;
  const axes: number[] = [];
  for (let i = 0; i < shape.length; i++) {
    if (i < lead || (aval.shape[i - lead] === 1 && shape[i] !== 1)) axes.push(i);
  }
  const reduced = axes.length === 0 ? cotangent : cotangent.sum({ axis: axes });
  return sameShape(reduced.shape, aval.shape) ? reduced : reduced.reshape(aval.shape);
}
