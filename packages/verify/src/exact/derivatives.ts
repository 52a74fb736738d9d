/** Derivatives of functions in arbitrary precision, by differences with digits to spare. */
import { type Decimal, type ExactFunction, decimal, digits } from "./functions.ts";

/** Results are taken where half as many digits more give the same ones, to this part of them: beyond float64 by far. */
const agreement = 1e-19;
const fewest = 40;
const most = 300;

/** Which derivative: the arguments, one after the other, that it is a derivative in; none for the value. */
export type Order = readonly number[];

type Derivative<R> = (f: ExactFunction, point: readonly number[], order: Order, params: object) => R;

/** Backends are tried at the same points, so that what was found last is worth keeping. */
function remembered<R>(derivative: Derivative<R>): Derivative<R> {
  const mostKept = 2000;
  const kept = new WeakMap<ExactFunction, Map<string, R>>();
  return (f, point, order, params) => {
    const own = kept.get(f) ?? new Map<string, R>();
    kept.set(f, own);
    const key = JSON.stringify([point, order, params]);
    if (!own.has(key)) {
      if (own.size === mostKept) own.clear();
      own.set(key, derivative(f, point, order, params));
    }
    return own.get(key) as R;
  };
}

/**
 * A derivative of order 0, 1 or 2 at a point, as exact as float64 can say; undefined where even 300 digits are not enough. By
 * central differences: their steps are so small, and their digits so many, that neither truncation nor cancellation is left.
 */
export const exactDerivative: Derivative<Decimal | undefined> = remembered((f, point, order, params) => {
  if (order.length === 2 && order[0] === order[1] && f.args[order[0]].linear === true) return decimal(0);
  let before = atPrecision(f, point, order, params, fewest);
  for (let precision = 1.5 * fewest; precision <= most; precision *= 1.5) {
    const now = atPrecision(f, point, order, params, precision);
    // Zero is what is left where one argument is lost beside another: more digits tell that from a true one.
    if (now.isZero() && order.length > 0 && precision * 1.5 <= most) continue;
    if (now.minus(before).abs().lte(now.abs().times(agreement))) return now;
    before = now;
  }
  return undefined;
});

/** The same of any order, right to a few digits only. */
export const roughDerivative: Derivative<number> = remembered((f, point, order, params) =>
  atPrecision(f, point, order, params, fewest).toNumber(),
);

function atPrecision(
  f: ExactFunction,
  point: readonly number[],
  order: Order,
  params: object,
  precision: number,
): Decimal {
  const kind = digits(Math.round(precision));
  const args = point.map((x) => decimal(x, kind));
  const digitsOfStep = Math.floor(precision / (order.length + 2));
  const steps = args.map((x, i) => scaleOf(f, x, i).times(new kind(10).pow(-digitsOfStep)));
  const along = ([i, ...rest]: Order, at: readonly Decimal[]): Decimal => {
    if (i === undefined) return f.of(at, params);
    const moved = (sign: 1 | -1): Decimal[] => at.map((x, j) => (i === j ? x.plus(steps[j].times(sign)) : x));
    return along(rest, moved(1))
      .minus(along(rest, moved(-1)))
      .div(steps[i].times(2));
  };
  return along(order, args);
}

/** The size on which the function changes: less than the distance to where it ends. */
function scaleOf({ args }: ExactFunction, x: Decimal, i: number): Decimal {
  const { within, scale } = args[i];
  const kind = x.constructor as typeof Decimal;
  let size = scale === "unit" || x.isZero() ? new kind(1) : x.abs();
  for (const edge of within) {
    if (!Number.isFinite(edge)) continue;
    const distance = x.minus(edge).abs();
    if (distance.lt(size)) size = distance;
  }
  return size;
}
