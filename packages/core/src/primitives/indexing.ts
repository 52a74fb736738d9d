/** Reading and adding at indices. Indices are int32, have no derivative, and must lie in [0, size of the axis). */
import { type Aval, type Shape, avalOf, showShape } from "../aval.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { requireAccepted } from "../define/elementwise.ts";
import { type Op, linear } from "../define/general.ts";
import { type Draw, argument, indices as indexArgument } from "../sampling.ts";
import type { Axis } from "./reduction.ts";
import { where } from "./selection.ts";
import { arange } from "../ops/creation.ts";
import type { Value } from "../value.ts";
import { batchOf, moveAxis } from "../vmap/batch-rules.ts";

/** The axis replaced by the axes of the indices. */
function gathered(who: string, x: Aval, indices: Aval, axis: number): number[] {
  if (indices.dtype !== "int32") {
    fail(
      DTypeError,
      `${who}: the indices are ${indices}, but must be int32. Convert them: indices.astype("int32").`,
    );
  }
  if (axis < 0 || axis >= x.rank) {
    fail(
      ShapeError,
      `${who}: axis ${axis} asked for, but the value is ${x}. Give an axis from 0 to ${x.rank - 1}.`,
    );
  }
  return [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
}

function sampleCall(draw: Draw): { shape: number[]; axis: number; index: ReturnType<typeof indexArgument> } {
  const shape = draw.shape({ minRank: 1 });
  const axis = draw.int(0, shape.length - 1);
  // There is no index into nothing.
  const index = shape[axis] === 0 ? [0] : draw.shape();
  return { shape, axis, index: indexArgument(index, shape[axis]) };
}

/** A batch of values as the rows of all of them along that axis, one after the other. */
function asRows(x: Value, axis: number): Value {
  const moved = moveAxis(x, axis + 1, 1);
  const [size, length, ...rest] = moved.shape;
  return moved.reshape([size * length, ...rest]);
}

/** Indices into the values of a batch as indices into those rows. What is no index of its own value is none there either. */
function rowIndices(indices: Value, length: number): Value {
  const [size] = indices.shape;
  const starts = arange(0, size, 1, { dtype: "int32", backend: indices.backend }).mul(length);
  const rows = indices.add(starts.reshape([size, ...new Array<number>(indices.rank - 1).fill(1)]));
  return where(indices.ge(0).and(indices.lt(length)), rows, -1);
}

/** Slices of x along an axis, in the order of the indices. */
export const gather: Op<readonly ["x", "indices"], Axis> = linear("gather", {
  args: ["x", "indices"],
  constants: ["indices"],
  shape: ([x, indices], { axis }: Axis) => avalOf(gathered("gather", x, indices, axis), x.dtype),
  transpose: {
    x: (ct, { indices, avals, params }) => scatterAdd(ct.constant(0, avals.x), indices, ct, params),
  },
  batch: ([x, indices], [isXBatched, isIndexed], { axis }) => {
    if (!isIndexed) return gather(x, indices, { axis: axis + 1 });
    if (!isXBatched) return moveAxis(gather(x, indices, { axis }), axis, 0);
    const found = gather(asRows(x, axis), rowIndices(indices, x.shape[axis + 1]), { axis: 0 });
    // [size, ...index, ...before, ...after] becomes [size, ...before, ...index, ...after].
    const indexRank = indices.rank - 1;
    const order = found.shape.map((_, i) => i).slice(1);
    const [index, before, after] = [
      order.slice(0, indexRank),
      order.slice(indexRank, indexRank + axis),
      order.slice(indexRank + axis),
    ];
    return found.transpose([0, ...before, ...index, ...after]);
  },
  cost: () => 0,
  sample: (draw) => {
    const { shape, axis, index } = sampleCall(draw);
    return { inputs: [argument(shape), index], params: { axis } };
  },
});

/** x with `updates` added at the indices of an axis; several updates of one place add up. */
export const scatterAdd: Op<readonly ["x", "indices", "updates"], Axis> = linear("scatterAdd", {
  args: ["x", "indices", "updates"],
  constants: ["indices"],
  shape: ([x, indices, updates], { axis }: Axis) => {
    requireAccepted("scatterAdd", "numeric", x);
    const wanted: Shape = gathered("scatterAdd", x, indices, axis);
    if (showShape(wanted) !== showShape(updates.shape) || x.dtype !== updates.dtype) {
      fail(
        x.dtype === updates.dtype ? ShapeError : DTypeError,
        `scatterAdd: updates ${updates} do not fit ${x} at indices ${indices} along axis ${axis}; ` +
          `needed is ${avalOf(wanted, x.dtype)}.`,
      );
    }
    return x;
  },
  transpose: {
    x: (ct) => ct,
    updates: (ct, { indices, params }) => gather(ct, indices, params),
  },
  batch: ([x, indices, updates], batched, { axis }) => {
    const size = batchOf([x, indices, updates], batched);
    const spread = (value: Value, isBatched: boolean): Value =>
      isBatched ? value : value.broadcastTo([size, ...value.shape]);
    const [xs, every] = [spread(x, batched[0]), spread(updates, batched[2])];
    if (!batched[1]) return scatterAdd(xs, indices, every, { axis: axis + 1 });
    const indexRank = indices.rank - 1;
    const order = every.shape.map((_, i) => i).slice(1);
    const [before, index, after] = [
      order.slice(0, axis),
      order.slice(axis, axis + indexRank),
      order.slice(axis + indexRank),
    ];
    const length = xs.shape[axis + 1];
    const found = scatterAdd(
      asRows(xs, axis),
      rowIndices(indices, length),
      every.transpose([0, ...index, ...before, ...after]),
      { axis: 0 },
    );
    const rest = xs.shape.filter((_, i) => i !== 0 && i !== axis + 1);
    return moveAxis(found.reshape([size, length, ...rest]), 1, axis + 1);
  },
  cost: ([, , updates]) => updates.size,
  sample: (draw) => {
    const { shape, axis, index } = sampleCall(draw);
    const updates = [...shape.slice(0, axis), ...index.shape, ...shape.slice(axis + 1)];
    return { inputs: [argument(shape), index, argument(updates)], params: { axis } };
  },
});
