/** Reading at indices. */
import { normalizeAxis } from "../aval.ts";
import { DTypeError, fail } from "../errors.ts";
import * as primitives from "../primitives/indexing.ts";
import { tensor } from "../tensor.ts";
import { Value } from "../value.ts";

/** Indices from a value of dtype int32, or from plain whole numbers. */
function indexValue(who: string, indices: Value | readonly number[], like: Value): Value {
  if (!(indices instanceof Value)) return tensor(indices, { dtype: "int32", backend: like.backend });
  if (indices.dtype !== "int32") {
    fail(
      DTypeError,
      `${who}: the indices are ${indices.aval}, but must be int32. Convert them: indices.astype("int32").`,
    );
  }
  return indices;
}

/**
 * Slices of x along an axis in the order of the indices, whose own axes take the place of that axis (numpy's take).
 * Indices must lie in [0, size).
 */
export function take(x: Value, indices: Value | readonly number[], axis = 0): Value {
  return primitives.gather(x, indexValue("take", indices, x), { axis: normalizeAxis("take", axis, x.rank) });
}

/** x with the updates added at the indices of an axis; several updates of one place add up. */
export function scatterAdd(x: Value, indices: Value | readonly number[], updates: Value, axis = 0): Value {
  const index = indexValue("scatterAdd", indices, x);
  return primitives.scatterAdd(x, index, updates, { axis: normalizeAxis("scatterAdd", axis, x.rank) });
}
