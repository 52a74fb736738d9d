/** Rearranging, as the user writes it: negative axes, defaults and inferred sizes. */
import { type Shape, normalizeAxes, normalizeAxis, showShape, sizeOf } from "../aval.ts";
import { ShapeError, fail } from "../errors.ts";
import { type Operand, lift } from "../operand.ts";
import * as primitives from "../primitives/shape.ts";
import { sameShape } from "../aval.ts";
import type { Value } from "../value.ts";

/** The elements in row-major order under another shape; one size may be -1 and follows from the others. */
export function reshape(x: Operand, shape: Shape): Value {
  const [value] = lift("reshape", [x]);
  let wanted = shape;
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const rest = sizeOf(shape.filter((_, i) => i !== open));
    if (rest === 0 || value.size % rest !== 0) {
      fail(
        ShapeError,
        `reshape: no size for -1 in ${showShape(shape)} makes ${value.size} elements (${value.aval}).`,
      );
    }
    wanted = shape.map((n, i) => (i === open ? value.size / rest : n));
  }
  return sameShape(wanted, value.shape) ? value : primitives.reshape(value, { shape: wanted });
}

/** Axis i of the result is axis `permutation[i]` of x; without a permutation all axes are reversed. */
export function transpose(x: Operand, permutation?: readonly number[]): Value {
  const [value] = lift("transpose", [x]);
  const axes = permutation?.map((axis) => normalizeAxis("transpose", axis, value.rank));
  const wanted = axes ?? value.shape.map((_, i) => value.rank - 1 - i);
  if (wanted.length === value.rank && wanted.every((axis, i) => axis === i)) return value;
  return primitives.transpose(value, { permutation: wanted });
}

/** The numpy broadcast of x to a larger shape. */
export function broadcastTo(x: Operand, shape: Shape): Value {
  const [value] = lift("broadcastTo", [x]);
  return sameShape(value.shape, shape) ? value : primitives.broadcastTo(value, { shape });
}

/** Values joined along an axis that they all have. */
export function concatenate(xs: readonly Operand[], axis = 0): Value {
  if (xs.length === 0)
    fail(ShapeError, "concatenate: an empty list was given; at least one value is needed.");
  const values = lift("concatenate", xs);
  return primitives.concatenate(values, { axis: normalizeAxis("concatenate", axis, values[0].rank) });
}

/** Values of one shape joined along a new axis. */
export function stack(xs: readonly Operand[], axis = 0): Value {
  if (xs.length === 0) fail(ShapeError, "stack: an empty list was given; at least one value is needed.");
  const values = lift("stack", xs);
  return concatenate(
    values.map((x) => expandDims(x, axis)),
    normalizeAxis("stack", axis, values[0].rank + 1),
  );
}

/** The value cut along an axis into `parts` equal parts, or into parts of the given sizes. */
export function split(x: Value, parts: number | readonly number[], axis = 0): Value[] {
  const along = normalizeAxis("split", axis, x.rank);
  const length = x.shape[along];
  const sizes = typeof parts === "number" ? new Array<number>(parts).fill(length / parts) : parts;
  if (sizes.some((n) => !Number.isInteger(n) || n < 0) || sizes.reduce((a, b) => a + b, 0) !== length) {
    fail(
      ShapeError,
      `split: ${typeof parts === "number" ? `${parts} equal parts` : `sizes ${showShape(sizes)}`} asked for along axis ` +
        `${axis} of ${x.aval}, whose size is ${length}. The sizes must be whole and add up to it.`,
    );
  }
  let start = 0;
  return sizes.map((n) => {
    const begin = x.shape.map((_, i) => (i === along ? start : 0));
    start += n;
    return slice(
      x,
      begin,
      x.shape.map((size, i) => (i === along ? start : size)),
    );
  });
}

/** Elements from begin up to, not including, end, on each axis; negative ends count from the back. */
export function slice(
  x: Operand,
  begin: readonly number[],
  end?: readonly number[],
  strides?: readonly number[],
): Value {
  const [value] = lift("slice", [x]);
  const from = value.shape.map((n, i) => fromBack(begin[i] ?? 0, n));
  const to = value.shape.map((n, i) => fromBack(end?.[i] ?? n, n));
  const steps = value.shape.map((_, i) => strides?.[i] ?? 1);
  if (begin.length > value.rank) {
    fail(ShapeError, `slice: begin ${showShape(begin)} has more entries than ${value.aval} has axes.`);
  }
  if (from.every((b) => b === 0) && sameShape(to, value.shape) && steps.every((s) => s === 1)) return value;
  return primitives.slice(value, { begin: from, end: to, strides: steps });
}

const fromBack = (index: number, size: number): number => (index < 0 ? index + size : index);

/** One position along an axis, which the result lacks; negative positions count from the back. */
export function at(x: Value, index: number, axis = 0): Value {
  const along = normalizeAxis("at", axis, x.rank);
  const position = fromBack(index, x.shape[along]);
  if (!Number.isInteger(index) || position < 0 || position >= x.shape[along]) {
    fail(
      ShapeError,
      `at: index ${index} asked for along axis ${axis} of ${x.aval}, which has ${x.shape[along]} positions.`,
    );
  }
  const begin = x.shape.map((_, i) => (i === along ? position : 0));
  const end = x.shape.map((n, i) => (i === along ? position + 1 : n));
  return reshape(
    slice(x, begin, end),
    x.shape.filter((_, i) => i !== along),
  );
}

/** `widths` gives [before, after] for each axis; the new elements are `value`. */
export function pad(x: Operand, widths: readonly (readonly [number, number])[], value = 0): Value {
  const [lifted] = lift("pad", [x]);
  return primitives.pad(lifted, {
    low: widths.map(([low]) => low),
    high: widths.map(([, high]) => high),
    interior: widths.map(() => 0),
    value,
  });
}

/** The order of elements reversed along the axes (by default all). */
export function flip(x: Operand, axis?: number | readonly number[]): Value {
  const [value] = lift("flip", [x]);
  return primitives.flip(value, { axes: normalizeAxes("flip", axis, value.rank) });
}

/** A new axis of size 1 at that place of the result. */
export function expandDims(x: Operand, axis: number): Value {
  const [value] = lift("expandDims", [x]);
  const at = normalizeAxis("expandDims", axis, value.rank + 1);
  return reshape(value, [...value.shape.slice(0, at), 1, ...value.shape.slice(at)]);
}

/** Axes of size 1 removed: those named, or all. */
export function squeeze(x: Operand, axis?: number | readonly number[]): Value {
  const [value] = lift("squeeze", [x]);
  const named = axis === undefined ? undefined : normalizeAxes("squeeze", axis, value.rank);
  const wrong = named?.find((i) => value.shape[i] !== 1);
  if (wrong !== undefined)
    fail(ShapeError, `squeeze: axis ${wrong} of ${value.aval} has size ${value.shape[wrong]}, not 1.`);
  return reshape(
    value,
    value.shape.filter((n, i) => (named === undefined ? n !== 1 : !named.includes(i))),
  );
}
