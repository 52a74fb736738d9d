/** The law of arbitrary precision: values and derivatives of scalar primitives, also where they are hard to get right. */
import { type FloatDType, type Value, bind, paramsOf } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import { type HostInput, type RecordedDraw, showCall } from "../draw.ts";
import type { Law } from "../laws.ts";
import { roundoff } from "../numbers.ts";
import { holds, inapplicable, unjudged, weigh } from "../outcome.ts";
import { smallestNormal } from "../rounding.ts";
import { Instance } from "../subject.ts";
import { type Order, exactDerivative, roughDerivative } from "./derivatives.ts";
import { type ExactArgument, type ExactFunction, decimal, exactFunctions } from "./functions.ts";

const largest: Readonly<Record<FloatDType, number>> = {
  float64: Number.MAX_VALUE,
  float32: (2 - 2 ** -23) * 2 ** 127,
};

/** How near to a point, or to zero, how far from it, as a power of 2. */
const nearest: Readonly<Record<FloatDType, number>> = { float64: 48, float32: 20 };
const farthest: Readonly<Record<FloatDType, number>> = { float64: 100, float32: 30 };

/** A number where the function is differentiable: of moderate size, next to an edge or to ±1, or out in the tails. */
function drawNumber(
  draw: RecordedDraw,
  { within, tried = within }: ExactArgument,
  dtype: FloatDType,
): number {
  const [low, high] = [Math.max(within[0], tried[0]), Math.min(within[1], tried[1])];
  const fraction = 1 + draw.int(0, 2 ** 20) / 2 ** 20;
  const sign = draw.bool() ? 1 : -1;
  const kind = draw.int(0, 7);
  const power = draw.int(1, nearest[dtype]);
  const small = sign * fraction * 2 ** -power;
  const found = [
    sign * fraction,
    small,
    1 + small,
    sign + small,
    (sign < 0 ? low : high) - sign * Math.abs(small),
    Math.round(power) * (Math.PI / 2) * sign,
    sign * fraction * 2 ** draw.int(1, 6),
    sign * fraction * 2 ** draw.int(1, farthest[dtype]),
  ][kind];
  const rounded = (x: number): number => (dtype === "float32" ? Math.fround(x) : x);
  const fits = (x: number): boolean =>
    Number.isFinite(x) && x > within[0] && x < within[1] && x >= tried[0] && x <= tried[1];
  const center = Number.isFinite(low) ? (Number.isFinite(high) ? (low + high) / 2 : low + 1) : 0;
  const candidates = [found, -found, center + (found % 1) / 4].map(rounded);
  return candidates.find(fits) ?? rounded(center);
}

function ordersOf({ args, highest }: ExactFunction): Order[] {
  const first = args.map((_, i) => [i]);
  return highest === 1
    ? first
    : [...first, ...first.flatMap(([i]) => args.slice(i).map((_, j) => [i, i + j]))];
}

/** Values and derivatives as the framework has them, by each way there is to them. */
function waysTo(order: Order): Readonly<Record<string, (at: Instance) => Value>> {
  const one = (outputs: readonly Value[]): Value => outputs[0];
  const [i, j] = order;
  if (i === undefined) return { value: (at) => one(at.apply(...at.inputs)) };
  const seeds = (inputs: readonly Value[], which: number): (Value | null)[] =>
    inputs.map((x, k) => (k === which ? x.onesLike() : null));
  const pushed =
    (f: (...xs: Value[]) => Value, which: number) =>
    (...xs: Value[]): Value =>
      jvp(f, xs, seeds(xs, which))[1];
  const pulled =
    (f: (...xs: Value[]) => Value, which: number) =>
    (...xs: Value[]): Value => {
      const [y, pull] = vjp(f, ...xs);
      return pull(y.onesLike())[which];
    };
  const f =
    (at: Instance) =>
    (...xs: Value[]): Value =>
      one(at.apply(...xs));
  if (j === undefined)
    return {
      JVP: (at) => pushed(f(at), i)(...at.inputs),
      VJP: (at) => pulled(f(at), i)(...at.inputs),
    };
  return {
    "JVP of the JVP": (at) => pushed(pushed(f(at), i), j)(...at.inputs),
    "JVP of the VJP": (at) => pushed(pulled(f(at), i), j)(...at.inputs),
    "VJP of the JVP": (at) => pulled(pushed(f(at), i), j)(...at.inputs),
  };
}

/** Points of which none is a kink, one column per argument. */
function drawPoints(draw: RecordedDraw, exact: ExactFunction, dtype: FloatDType): number[][] {
  const points = Array.from({ length: draw.int(1, 3) }, () =>
    exact.args.map((argument) => drawNumber(draw, argument, dtype)),
  );
  return points.filter((point) => exact.kink?.(...point) !== true);
}

/** How far a result moves when every argument does by one part in 1 / roundoff. */
function moves(exact: ExactFunction, point: readonly number[], order: Order, params: object): number {
  return point.reduce(
    (sum, x, i) => sum + Math.abs(x * roughDerivative(exact, point, [...order, i], params)),
    0,
  );
}

export const highPrecision: Law = {
  name: "high precision",
  statement:
    "values, first and second derivatives are those of arbitrary precision, in the tails and next to where they end too",
  subjects: "primitives",
  share: 1 / 4,
  drawsNumbers: true,
  judge: (subject, setting, draw) => {
    if (setting.whole !== undefined) return inapplicable("no float input");
    const call = subject.call?.drawn;
    const exact = exactFunctions.get(call?.primitive.name ?? "");
    if (call === undefined || exact === undefined)
      return inapplicable("no scalar function that is known in arbitrary precision");
    const { backend, dtype } = setting;
    const points = drawPoints(draw, exact, dtype);
    const order = draw.choose(ordersOf(exact));
    if (points.length === 0) return unjudged("at a kink");
    const params = paramsOf(call, dtype);
    const columns = exact.args.map((_, i): HostInput => ({
      shape: [points.length],
      dtype,
      data: Float64Array.from(points, (p) => p[i]),
    }));
    const text = showCall({ ...call, inputs: columns });
    const instance = new Instance(
      {
        text,
        point: columns,
        constants: [],
        room: 0,
        apply: (inputs) => [bind(call.primitive, inputs, params)],
      },
      backend,
      dtype,
    );
    let [isJudged, why] = [false, ""];
    for (const which of [[], order]) {
      const wanted = points.map((point) => exactDerivative(exact, point, which, params));
      for (const [name, derive] of Object.entries(waysTo(which))) {
        const before = instance.evaluations;
        const found = instance.counted(() => derive(instance)).dataSync();
        const evaluations = instance.evaluations - before;
        for (const [k, truth] of wanted.entries()) {
          const expected = truth?.toNumber();
          if (truth === undefined || expected === undefined) why ||= "more digits than are tried";
          else if (Math.abs(expected) > largest[dtype] / 2) why ||= "overflow";
          else {
            const error = truth
              .minus(Number.isFinite(found[k]) ? decimal(found[k]) : found[k])
              .abs()
              .toNumber();
            // What takes long is asked for where it matters.
            const isClose = error <= roundoff[dtype] * Math.abs(expected);
            const moved = exact.cancels === true && !isClose ? moves(exact, points[k], which, params) : 0;
            const outcome = weigh(
              {
                error,
                found: [found[k]],
                expected: [expected],
                scale: Math.abs(expected) + moved,
                uncertainty: smallestNormal[dtype] + 2 * roundoff.float64 * Math.abs(expected),
                evaluations,
                terms: 1,
                again: (other) => [derive(instance.inFloat64(other)).dataSync()[k]],
                say: (tolerance) =>
                  `${name}${which.length === 0 ? "" : ` in ${which.map((i) => call.primitive.args[i]).join(", ")}`} at ` +
                  `(${points[k].join(", ")}) = ${found[k]}, by arbitrary precision ${truth.toPrecision(20)}; they may ` +
                  `differ by ${tolerance}`,
              },
              setting,
            );
            if (outcome.judged && outcome.failure !== undefined)
              return { judged: true, failure: { ...outcome.failure, counterexample: text } };
            if (outcome.judged) isJudged = true;
            else why ||= outcome.class;
          }
        }
      }
      // Where the value is not one of the dtype, nor are its derivatives.
      if (why === "overflow") break;
    }
    return isJudged ? holds : unjudged(why);
  },
};
