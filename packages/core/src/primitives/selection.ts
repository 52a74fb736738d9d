/** Choosing between values. */
import { avalOf, broadcastShapes } from "../aval.ts";
import { bind } from "../bind.ts";
import { DTypeError, fail } from "../errors.ts";
import { type Operand, lift } from "../operand.ts";
import { requireAccepted } from "../define/elementwise.ts";
import { linear, primitive } from "../define/general.ts";
import { argument, bools, real } from "../sampling.ts";
import type { Value } from "../value.ts";

const select = linear("where", {
  args: ["condition", "x", "y"],
  constants: ["condition"],
  elementwise: true,
  shape: ([condition, x, y]) => {
    if (condition.dtype !== "bool") {
      fail(DTypeError, `where: the condition is ${condition}, but must be bool. Compare first: x.gt(0).`);
    }
    if (x.dtype !== y.dtype) {
      fail(
        DTypeError,
        `where: branches ${x} and ${y} have different dtypes, and a dtype never changes by itself. Convert one with astype.`,
      );
    }
    return avalOf(broadcastShapes("where", [condition.shape, x.shape, y.shape]), x.dtype);
  },
  transpose: {
    x: (ct, { condition }) => where(condition, ct, 0),
    y: (ct, { condition }) => where(condition, 0, ct),
  },
  cost: (_, output) => output.size,
  sample: (draw) => {
    const [condition, x, y] = draw.broadcastable(3);
    return { inputs: [bools(condition), argument(x), argument(y)], params: {} };
  },
});

/**
 * Elementwise x where the condition holds, else y; all three broadcast. The derivative of the branch not taken is a
 * strong zero: it stays zero even where that branch's own derivative is infinite or NaN.
 *
 * @throws DTypeError for a condition that is not bool, or branches of different dtypes.
 * @example
 * ```ts
 * where(x.gt(0), x.sqrt(), 0); // the gradient at 0 is 0, not NaN
 * ```
 */
export function where(condition: Value | boolean, x: Operand, y: Operand): Value {
  const [a, b] = lift("where", [x, y], typeof condition === "boolean" ? undefined : condition.backend);
  if (typeof condition === "boolean") return select(a.zerosLike().eq(condition ? 0 : 1), a, b);
  return bind(select.primitive, [condition, a, b], {});
}

const clampBetween = primitive("clamp", {
  args: ["x"],
  residuals: { x: ["x"] },
  elementwise: true,
  shape: ([x], _: Bounds) => {
    requireAccepted("clamp", "numeric", x);
    return x;
  },
  jvp: { x: (dx, { x, params }) => where(inside(x, params), dx, 0) },
  vjp: { x: (ct, { x, params }) => where(inside(x, params), ct, 0) },
  cost: (_, output) => 2 * output.size,
  sample: (draw) => ({
    inputs: [argument(draw.shape(), real({ kinks: [-1, 1] }))],
    params: { low: -1, high: 1 },
  }),
  kinks: [-1, 1].map((bound) => ({
    at: [bound],
    params: { low: -1, high: 1 },
    partials: [0],
    because: "the sub- or supergradient of minimum norm",
  })),
});

interface Bounds {
  readonly low: number;
  readonly high: number;
}

const inside = (x: Value, { low, high }: Bounds): Value => x.gt(low).and(x.lt(high));

/**
 * x limited to [low, high]. With numbers as bounds the derivative at a bound is 0, the subgradient of minimum norm;
 * with values as bounds it is min(max(x, low), high), whose ties are shared.
 */
export function clamp(x: Operand, low: Operand, high: Operand): Value {
  if (typeof low === "number" && typeof high === "number") {
    return bind(clampBetween.primitive, lift("clamp", [x]), { low, high });
  }
  return lift("clamp", [x, low, high])[0].maximum(low).minimum(high);
}
