/** Rearranging elements. All of it is linear; the transposes close the family. */
import { type Aval, type Shape, sameShape, showShape, sizeOf, tryBroadcast } from "../aval.ts";
import { ShapeError, fail } from "../errors.ts";
import { type Op, linear, linearVariadic } from "../define/general.ts";
import { argument } from "../sampling.ts";
import { unbroadcast } from "../unbroadcast.ts";
import type { Value } from "../value.ts";
import { allBatched } from "../vmap/batch-rules.ts";
import { where } from "./selection.ts";

const free = (): number => 0;

/** The same elements in row-major order under another shape of the same size. */
export const reshape: Op<readonly ["x"], { readonly shape: Shape }> = linear("reshape", {
  args: ["x"],
  shape: ([x], { shape }: { readonly shape: Shape }) => {
    if (sizeOf(shape) !== x.size) {
      fail(
        ShapeError,
        `reshape: ${x} has ${x.size} elements, the shape ${showShape(shape)} asked for has ${sizeOf(shape)}. ` +
          `The sizes must multiply to the same number.`,
      );
    }
    return x.withShape(shape);
  },
  transpose: { x: (ct, { avals }) => reshape(ct, { shape: avals.x.shape }) },
  batch: ([x], _, { shape }) => reshape(x, { shape: [x.shape[0], ...shape] }),
  cost: free,
  sample: (draw) => {
    const shape = draw.shape();
    return {
      inputs: [argument(shape)],
      params: { shape: draw.bool() ? [sizeOf(shape)] : [...shape].reverse() },
    };
  },
});

/** Axis i of the output is axis `permutation[i]` of the input. */
export const transpose: Op<readonly ["x"], { readonly permutation: readonly number[] }> = linear(
  "transpose",
  {
    args: ["x"],
    shape: ([x], { permutation }: { readonly permutation: readonly number[] }) => {
      const sorted = [...permutation].sort((a, b) => a - b);
      if (permutation.length !== x.rank || sorted.some((axis, i) => axis !== i)) {
        fail(
          ShapeError,
          `transpose: ${showShape(permutation)} is no permutation of the ${x.rank} axes of ${x}. ` +
            `Name each of 0 to ${x.rank - 1} once.`,
        );
      }
      return x.withShape(permutation.map((axis) => x.shape[axis]));
    },
    transpose: { x: (ct, { params }) => transpose(ct, { permutation: inverse(params.permutation) }) },
    batch: ([x], _, { permutation }) => transpose(x, { permutation: [0, ...shifted(permutation)] }),
    cost: free,
    sample: (draw) => {
      const shape = draw.shape({ maxRank: 4 });
      const permutation = shape.map((_, i) => i);
      for (let i = permutation.length - 1; i > 0; i--) {
        const j = draw.int(0, i);
        [permutation[i], permutation[j]] = [permutation[j], permutation[i]];
      }
      return { inputs: [argument(shape)], params: { permutation } };
    },
  },
);

/** Axes of an element as axes of a batch. */
const shifted = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);

function inverse(permutation: readonly number[]): number[] {
  const out = new Array<number>(permutation.length);
  permutation.forEach((from, to) => (out[from] = to));
  return out;
}

/** The numpy broadcast of the input to a larger shape. */
export const broadcastTo: Op<readonly ["x"], { readonly shape: Shape }> = linear("broadcastTo", {
  args: ["x"],
  shape: ([x], { shape }: { readonly shape: Shape }) => {
    const found = tryBroadcast(x.shape, shape);
    if (found === undefined || !sameShape(found, shape)) {
      fail(
        ShapeError,
        `broadcastTo: ${x} does not broadcast to ${showShape(shape)}. ` +
          `Aligned from the right, each of its sizes must be 1 or equal.`,
      );
    }
    return x.withShape(shape);
  },
  transpose: { x: (ct, { avals }) => unbroadcast(ct, avals.x) },
  batch: ([x], _, { shape }) => {
    const [size, ...own] = x.shape;
    const lined = [size, ...new Array<number>(shape.length - own.length).fill(1), ...own];
    return broadcastTo(x.reshape(lined), { shape: [size, ...shape] });
  },
  cost: free,
  sample: (draw) => {
    const shape = draw.shape();
    const input = shape.slice(draw.int(0, shape.length)).map((n) => (draw.bool() ? n : 1));
    return { inputs: [argument(input)], params: { shape } };
  },
});

/** Values joined along an axis. */
export const concatenate: ((xs: readonly Value[], params: { readonly axis: number }) => Value) & {
  readonly primitive: Op<readonly ["x"], object>["primitive"];
} = linearVariadic("concatenate", {
  shape: (avals, { axis }: { readonly axis: number }) => {
    const first = avals[0];
    let length = 0;
    for (const aval of avals) {
      const fits =
        aval.dtype === first.dtype &&
        aval.rank === first.rank &&
        aval.shape.every((n, i) => i === axis || n === first.shape[i]);
      if (!fits || axis >= first.rank) {
        fail(
          ShapeError,
          `concatenate: ${avals.map(String).join(", ")} cannot be joined along axis ${axis}. ` +
            `They need the same dtype and rank, and the same sizes on every other axis.`,
        );
      }
      length += aval.shape[axis];
    }
    return first.withShape(first.shape.map((n, i) => (i === axis ? length : n)));
  },
  transpose: (ct, { avals, params: { axis }, index }) => {
    let start = 0;
    for (let i = 0; i < index; i++) start += avals[i].shape[axis];
    const begin = ct.shape.map((_, i) => (i === axis ? start : 0));
    const end = ct.shape.map((n, i) => (i === axis ? start + avals[index].shape[axis] : n));
    return slice(ct, { begin, end, strides: ct.shape.map(() => 1) });
  },
  batch: (inputs, batched, { axis }) => concatenate(allBatched(inputs, batched), { axis: axis + 1 }),
  cost: free,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1 });
    const axis = draw.int(0, shape.length - 1);
    const inputs = Array.from({ length: draw.int(1, 3) }, () =>
      argument(shape.map((n, i) => (i === axis ? draw.int(0, 3) : n))),
    );
    return { inputs, params: { axis } };
  },
});

export interface SliceParams {
  readonly begin: readonly number[];
  readonly end: readonly number[];
  readonly strides: readonly number[];
}

/** Elements begin, begin + stride ... below end, on each axis. */
export const slice: Op<readonly ["x"], SliceParams> = linear("slice", {
  args: ["x"],
  shape: ([x], { begin, end, strides }: SliceParams) => {
    const ok =
      [begin, end, strides].every((list) => list.length === x.rank) &&
      begin.every((b, i) => b >= 0 && b <= end[i] && end[i] <= x.shape[i] && strides[i] >= 1);
    if (!ok) {
      fail(
        ShapeError,
        `slice: begin ${showShape(begin)}, end ${showShape(end)}, strides ${showShape(strides)} do not fit ${x}. ` +
          `Each needs one entry per axis with 0 <= begin <= end <= size and stride >= 1.`,
      );
    }
    return x.withShape(begin.map((b, i) => Math.ceil((end[i] - b) / strides[i])));
  },
  transpose: {
    x: (ct, { avals, params: { begin, strides } }) =>
      pad(ct, {
        low: begin,
        high: avals.x.shape.map((n, i) => {
          const count = ct.shape[i];
          return n - begin[i] - (count === 0 ? 0 : (count - 1) * strides[i] + 1);
        }),
        interior: strides.map((s) => s - 1),
        value: 0,
      }),
  },
  batch: ([x], _, { begin, end, strides }) =>
    slice(x, { begin: [0, ...begin], end: [x.shape[0], ...end], strides: [1, ...strides] }),
  cost: free,
  sample: (draw) => {
    // Most of each axis, so that strides are seen to be right.
    const shape = draw.shape({ maxSize: 5 });
    const begin = shape.map((n) => draw.int(0, Math.min(n, 2)));
    const end = shape.map((n, i) => draw.int(Math.max(begin[i], n - 2), n));
    return { inputs: [argument(shape)], params: { begin, end, strides: shape.map(() => draw.int(1, 2)) } };
  },
});

export interface PadParams {
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** Elements put between each two neighbours. */
  readonly interior: readonly number[];
  readonly value: number;
}

const padConstant: Op<readonly ["x"], Omit<PadParams, "value">> = linear("pad", {
  args: ["x"],
  shape: ([x], { low, high, interior }: Omit<PadParams, "value">) => {
    const lists = [low, high, interior];
    if (!lists.every((list) => list.length === x.rank && list.every((n) => Number.isInteger(n) && n >= 0))) {
      fail(
        ShapeError,
        `pad: low ${showShape(low)}, high ${showShape(high)}, interior ${showShape(interior)} do not fit ${x}. ` +
          `Each needs one whole number >= 0 per axis; to remove elements, slice.`,
      );
    }
    return x.withShape(paddedShape(x, low, high, interior));
  },
  transpose: {
    x: (ct, { avals, params: { low, interior } }) =>
      slice(ct, {
        begin: low,
        end: avals.x.shape.map((n, i) => low[i] + (n === 0 ? 0 : (n - 1) * (interior[i] + 1) + 1)),
        strides: interior.map((n) => n + 1),
      }),
  },
  batch: ([x], _, { low, high, interior }) =>
    padConstant(x, { low: [0, ...low], high: [0, ...high], interior: [0, ...interior] }),
  cost: free,
  sample: (draw) => {
    const shape = draw.shape();
    const list = (): number[] => shape.map(() => draw.int(0, 2));
    return { inputs: [argument(shape)], params: { low: list(), high: list(), interior: list() } };
  },
});

function paddedShape(
  x: Aval,
  low: readonly number[],
  high: readonly number[],
  interior: readonly number[],
): number[] {
  return x.shape.map((n, i) => low[i] + high[i] + (n === 0 ? 0 : (n - 1) * (interior[i] + 1) + 1));
}

/** The value surrounded by (and, with `interior`, interspersed with) a constant. */
export function pad(x: Value, { value, ...params }: PadParams): Value {
  const zeros = padConstant(x, params);
  if (value === 0) return zeros;
  const isElement = padConstant(x.zerosLike().eq(0).astype("int32"), params).ne(0);
  return where(isElement, zeros, value);
}

/** The value with the order of elements reversed along the axes. */
export const flip: Op<readonly ["x"], { readonly axes: readonly number[] }> = linear("flip", {
  args: ["x"],
  shape: ([x], _: { readonly axes: readonly number[] }) => x,
  transpose: { x: (ct, { params }) => flip(ct, params) },
  batch: ([x], _, { axes }) => flip(x, { axes: shifted(axes) }),
  cost: free,
  sample: (draw) => {
    const shape = draw.shape();
    return { inputs: [argument(shape)], params: { axes: shape.map((_, i) => i).filter(() => draw.bool()) } };
  },
});
