/** Reading and adding at indices. Indices are int32, have no derivative, and must lie in [0, size of the axis). */
import { type Aval, type Shape, avalOf, showShape } from "../aval.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { type Op, linear } from "../define/general.ts";
import { type Draw, argument, indices as indexArgument } from "../sampling.ts";
import type { Axis } from "./reduction.ts";

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
  const shape = draw.shape({ minRank: 1, minSize: 1 });
  const axis = draw.int(0, shape.length - 1);
  return { shape, axis, index: indexArgument(draw.shape({ maxRank: 2 }), shape[axis]) };
}

/** Slices of x along an axis, in the order of the indices. */
export const gather: Op<readonly ["x", "indices"], Axis> = linear("gather", {
  args: ["x", "indices"],
  constants: ["indices"],
  shape: ([x, indices], { axis }: Axis) => avalOf(gathered("gather", x, indices, axis), x.dtype),
  transpose: {
    x: (ct, { indices, avals, params }) => scatterAdd(ct.constant(0, avals.x), indices, ct, params),
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
  cost: ([, , updates]) => updates.size,
  sample: (draw) => {
    const { shape, axis, index } = sampleCall(draw);
    const updates = [...shape.slice(0, axis), ...index.shape, ...shape.slice(axis + 1)];
    return { inputs: [argument(shape), index, argument(updates)], params: { axis } };
  },
});
