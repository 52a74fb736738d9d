/** The gamma function's logarithm and its derivatives, and the quantiles of the gamma distribution. */
import { type Aval, avalOf, broadcastShapes } from "../aval.ts";
import { DTypeError, fail } from "../errors.ts";
import { type BinaryOp, type UnaryOp, binary, unary } from "../define/elementwise.ts";
import { type Op, primitive } from "../define/general.ts";
import { argument, interval, positive } from "../sampling.ts";
import type { Value } from "../value.ts";
import { strongMul, xlogy } from "./binary.ts";

function requireFloats(who: string, avals: readonly Aval[]): Aval {
  const [{ dtype }] = avals;
  if (avals.some((aval) => !aval.floating || aval.dtype !== dtype))
    fail(
      DTypeError,
      `${who}: found ${avals.join(" and ")}; needed is one floating dtype. Convert with astype.`,
    );
  const shapes = avals.map((aval) => aval.shape);
  return avalOf(broadcastShapes(who, shapes), dtype);
}

export interface OrderParams {
  readonly order: number;
}

/** log Γ(x) for positive x; NaN below 0. */
export const lgamma: UnaryOp = unary("lgamma", {
  partial: (x) => polygammaOf(x, { order: 0 }),
  domain: positive(),
  flops: 60,
});

/** The derivative of order `order` + 1 of log Γ(x), for positive x; NaN below 0. */
export const polygammaOf: Op<readonly ["x"], OrderParams> = primitive("polygamma", {
  args: ["x"],
  residuals: { x: ["x"] },
  elementwise: true,
  shape: ([x], _: OrderParams) => requireFloats("polygamma", [x]),
  jvp: { x: (dx, { x, params }) => strongMul(dx, polygammaOf(x, { order: params.order + 1 })) },
  vjp: { x: (ct, { x, params }) => strongMul(ct, polygammaOf(x, { order: params.order + 1 })) },
  cost: (_, output) => 100 * output.size,
  sample: (draw) => ({
    inputs: [argument(draw.shape(), positive({ low: 0.5 }))],
    params: { order: draw.int(0, 2) },
  }),
});

/** log z - ψ(α): the derivative in α of the logarithm of the gamma density. */
const score = (alpha: Value, z: Value): Value => z.log().sub(polygammaOf(alpha, { order: 0 }));

/**
 * The derivative of order n in α of the gamma density at z, divided by that density: the complete Bell polynomial of
 * the derivatives of its logarithm.
 */
function densityRatio(n: number, alpha: Value, z: Value): Value {
  const found: Value[] = [z.onesLike().mul(alpha.onesLike())];
  for (let k = 1; k <= n; k++) {
    let choose = 1; // k - 1 over i
    let sum = score(alpha, z).mul(found[k - 1]);
    for (let i = 1; i < k; i++) {
      choose = (choose * (k - i)) / i;
      sum = sum.sub(
        polygammaOf(alpha, { order: i })
          .mul(found[k - 1 - i])
          .mul(choose),
      );
    }
    found.push(sum);
  }
  return found[n];
}

/** With the quotient of the derivative of order n of P(α, z) in α and the density, its partial derivatives. */
interface RatioContext {
  readonly alpha: Value;
  readonly z: Value;
  readonly output: Value;
  readonly params: OrderParams;
}
const ratioInAlpha = ({ alpha, z, output, params: { order } }: RatioContext): Value =>
  gammaRatioOf(alpha, z, { order: order + 1 }).sub(strongMul(output, score(alpha, z)));
const ratioInZ = ({ alpha, z, output, params: { order } }: RatioContext): Value =>
  densityRatio(order, alpha, z).sub(strongMul(output, alpha.sub(1).div(z).sub(1)));

/**
 * The derivative of order `order` >= 1 in α of the regularised incomplete gamma function P(α, z), divided by its
 * derivative in z, the gamma density.
 */
export const gammaRatioOf: Op<readonly ["alpha", "z"], OrderParams> = primitive("gammaRatio", {
  args: ["alpha", "z"],
  residuals: { alpha: ["alpha", "z", "output"], z: ["alpha", "z", "output"] },
  elementwise: true,
  shape: (avals, _: OrderParams) => requireFloats("gammaRatio", avals),
  jvp: {
    alpha: (tangent, context) => strongMul(tangent, ratioInAlpha(context)),
    z: (tangent, context) => strongMul(tangent, ratioInZ(context)),
  },
  vjp: {
    alpha: (cotangent, context) => strongMul(cotangent, ratioInAlpha(context)),
    z: (cotangent, context) => strongMul(cotangent, ratioInZ(context)),
  },
  cost: (_, output) => 500 * output.size,
  sample: (draw) => {
    const [alpha, z] = draw.broadcastable(2);
    return {
      inputs: [argument(alpha, positive()), argument(z, positive())],
      params: { order: draw.int(1, 2) },
    };
  },
});

/**
 * The number x below which the gamma distribution with parameter α = y has probability p = x: of a p that is uniform it
 * makes a draw of that distribution. At fixed p a change of α moves the draw z by -(∂P/∂α) / (∂P/∂z): implicit
 * reparameterisation (M. Figurnov, S. Mohamed, A. Mnih, Implicit reparameterization gradients, NeurIPS 2018).
 */
export const gammaQuantile: BinaryOp = binary("gammaQuantile", {
  partials: {
    x: (_, alpha, z) =>
      z
        .add(lgamma(alpha))
        .sub(xlogy(alpha.sub(1), z))
        .exp(), // 1 / density
    y: (_, alpha, z) => gammaRatioOf(alpha, z, { order: 1 }).neg(),
  },
  saves: { x: ["y", "output"], y: ["y", "output"] },
  domain: { x: interval(0.05, 0.95), y: positive() },
  flops: 2000,
});
