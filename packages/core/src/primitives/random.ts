/** Random bits from keys. They are functions like any other: the same key gives the same bits, always and everywhere. */
import { type Aval, type Shape, avalOf, sameShape } from "../aval.ts";
import { type DType, isFloating } from "../dtype.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { type Op, discrete } from "../define/general.ts";
import type { NoParams } from "../primitive.ts";
import { keyWidth } from "../random/host.ts";
import { allBatched } from "../vmap/batch-rules.ts";
import { type ArgumentSample, type Domain, argument } from "../sampling.ts";

/** The axes in front of the last one, which holds the key. */
function keyAxes(who: string, key: Aval): Shape {
  if (key.dtype !== "int32" || key.shape.at(-1) !== keyWidth) {
    fail(
      key.dtype === "int32" ? ShapeError : DTypeError,
      `${who}: found ${key} where a key is needed, int32[..., ${keyWidth}]. Make one with randomKey(seed).`,
    );
  }
  return key.shape.slice(0, -1);
}

/** Integer operations of one block of Threefry. */
const flopsPerBlock = 100;

const keyHalf: Domain = { low: 0, high: 0xffff, integer: true };
const sampleKeys = (axes: Shape): ArgumentSample => argument([...axes, keyWidth], keyHalf, "int32");

export interface UniformParams {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** For each key numbers in [0, 1), in that shape and floating dtype. */
export const randomUniform: Op<readonly ["key"], UniformParams> = discrete("randomUniform", {
  args: ["key"],
  shape: ([key], { shape, dtype }: UniformParams) => {
    if (!isFloating(dtype))
      fail(DTypeError, `randomUniform: dtype ${dtype} asked for; it must be float64 or float32.`);
    return avalOf([...keyAxes("randomUniform", key), ...shape], dtype);
  },
  cost: (_, output) => flopsPerBlock * output.size,
  sample: (draw) => {
    const [keys, shape] = [sampleKeys(draw.shape({ maxRank: 1 })), draw.shape()];
    return { inputs: [keys], params: (float) => ({ shape, dtype: float }) };
  },
  // The primitive takes any number of keys.
  batch: ([keys], _, params) => randomUniform(keys, params),
});

/** For each key `count` others, along an axis before the last. */
export const splitKeys: Op<readonly ["key"], { readonly count: number }> = discrete("splitKey", {
  args: ["key"],
  shape: ([key], { count }: { readonly count: number }) => {
    if (!Number.isInteger(count) || count < 0)
      fail(ShapeError, `splitKey: ${count} keys asked for; the number must be whole and not negative.`);
    return avalOf([...keyAxes("splitKey", key), count, keyWidth], "int32");
  },
  cost: (_, output) => flopsPerBlock * output.size,
  sample: (draw) => ({
    inputs: [sampleKeys(draw.shape({ maxRank: 1 }))],
    params: { count: draw.int(0, 3) },
  }),
  batch: ([keys], _, params) => splitKeys(keys, params),
});

/** For each key and whole number another key. */
export const foldKeys: Op<readonly ["key", "data"], NoParams> = discrete("foldIn", {
  args: ["key", "data"],
  shape: ([key, data]) => {
    if (data.dtype !== "int32")
      fail(DTypeError, `foldIn: the data is ${data}, but must be int32. Convert it with astype.`);
    if (!sameShape(keyAxes("foldIn", key), data.shape))
      fail(ShapeError, `foldIn: found ${key} and ${data}; there must be one number for each key.`);
    return key;
  },
  cost: (_, output) => flopsPerBlock * output.size,
  sample: (draw) => {
    const axes = draw.shape({ maxRank: 1 });
    return {
      inputs: [sampleKeys(axes), argument(axes, { low: -1000, high: 1000, integer: true }, "int32")],
      params: {},
    };
  },
  batch: (inputs, batched) => {
    const [key, data] = allBatched(inputs, batched);
    return foldKeys(key, data);
  },
});
