/**
 * Draws from distributions, each a function of a key. Those of continuous distributions are written as a function of
 * their parameters at fixed random bits (reparameterised), so that derivatives with respect to parameters pass through.
 */
import { type Shape, broadcastShapes, normalizeAxis, sameShape, showShape, tryBroadcast } from "../aval.ts";
import { requireDType } from "../backend.ts";
import { type DType, type FloatDType, isFloating } from "../dtype.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { type Operand, lift } from "../operand.ts";
import { argmax } from "../ops/reduction.ts";
import { gammaQuantile } from "../primitives/gamma.ts";
import { randomUniform } from "../primitives/random.ts";
import { Value } from "../value.ts";
import { axesOfKeys, twoKeys } from "./keys.ts";

/** What a draw is made from. */
interface Plan {
  readonly shape: Shape;
  readonly dtype: FloatDType;
}

/**
 * The shape and dtype of a draw: those asked for, else those of the parameters. Parameters may not be larger than the
 * draw: several of its elements would then have one random number.
 */
function planOf(
  who: string,
  key: Value,
  parameters: readonly Operand[],
  asked: Shape | undefined,
  askedDType?: DType,
): Plan {
  const values = parameters.filter((parameter) => parameter instanceof Value);
  const dtype = askedDType ?? values[0]?.dtype ?? key.backend.defaultDType;
  if (!isFloating(dtype))
    fail(DTypeError, `${who}: a draw in ${dtype} was asked for, but it is float64 or float32.`);
  requireDType(key.backend, dtype);
  const shape = asked ?? broadcastShapes(who, [[], ...values.map((value) => value.shape)]);
  for (const value of values) {
    const whole = [...axesOfKeys(key), ...shape];
    const found = tryBroadcast(value.shape, whole);
    if (found === undefined || !sameShape(found, whole)) {
      fail(
        ShapeError,
        `${who}: a parameter is ${value.aval}, which does not broadcast to the shape ${showShape(whole)} of the draw. ` +
          `Ask for a shape that has room for it, or leave the shape out.`,
      );
    }
  }
  return { shape, dtype };
}

export interface UniformOptions {
  /** By default 0. */
  readonly low?: Operand;
  /** By default 1; not drawn itself. */
  readonly high?: Operand;
  /** By default that of the parameters, else the backend's own. */
  readonly dtype?: FloatDType;
}

/**
 * Numbers spread evenly over [low, high), by default [0, 1): 53 random bits each in float64, and the top 24 of the same
 * ones in float32. Differentiable in `low` and `high`.
 *
 * @param shape by default that of the parameters. For several keys [..., 4], each has a draw of that shape.
 * @throws ShapeError for parameters that do not broadcast to the shape; ShapeError or DTypeError for what is no key.
 * @example `uniform(randomKey(1), [2, 3], { low: -1 })`
 */
export function uniform(key: Value, shape?: Shape, options: UniformOptions = {}): Value {
  const { low, high } = options;
  const given = [low, high].filter((bound) => bound !== undefined);
  const unit = randomUniform(key, planOf("uniform", key, given, shape, options.dtype));
  if (low === undefined) return high === undefined ? unit : unit.mul(high);
  const [from, to] = lift("uniform", [low, high ?? 1, unit]);
  return unit.mul(to.sub(from)).add(from);
}

export interface NormalOptions {
  /** By default 0. */
  readonly mean?: Operand;
  /** The standard deviation, by default 1. */
  readonly scale?: Operand;
  /** By default that of the parameters, else the backend's own. */
  readonly dtype?: FloatDType;
}

/**
 * Normally distributed numbers: mean + scale z, differentiable in both. z is by the method of Box and Muller (1958).
 *
 * @param shape by default that of the parameters. For several keys [..., 4], each has a draw of that shape.
 * @throws as `uniform` does.
 * @example `grad((scale) => normal(key, [100], { scale }).square().mean())(2)` is near 4.
 */
export function normal(key: Value, shape?: Shape, options: NormalOptions = {}): Value {
  const { mean, scale } = options;
  const given = [mean, scale].filter((parameter) => parameter !== undefined);
  const plan = planOf("normal", key, given, shape, options.dtype);
  const [first, second] = twoKeys(key);
  const radius = randomUniform(first, plan).neg().log1p().mul(-2).sqrt();
  const angle = randomUniform(second, plan).mul(2 * Math.PI);
  const scaled = scale === undefined ? radius.mul(angle.cos()) : radius.mul(angle.cos()).mul(scale);
  return mean === undefined ? scaled : scaled.add(mean);
}

export interface GumbelOptions {
  /** The mode, by default 0. */
  readonly location?: Operand;
  /** By default 1. */
  readonly scale?: Operand;
  /** By default that of the parameters, else the backend's own. */
  readonly dtype?: FloatDType;
}

/** Half of the smallest step of uniform numbers: it stands for 0, from which some distributions have no draw. */
const halfStep: Readonly<Record<FloatDType, number>> = { float64: 2 ** -54, float32: 2 ** -25 };

const positiveUniform = (key: Value, plan: Plan): Value =>
  randomUniform(key, plan).maximum(halfStep[plan.dtype]);

/**
 * Numbers of the standard Gumbel distribution, location - scale log(-log u), differentiable in both: the largest of
 * many of what has an exponential tail.
 *
 * @param shape by default that of the parameters. For several keys [..., 4], each has a draw of that shape.
 * @throws as `uniform` does.
 */
export function gumbel(key: Value, shape?: Shape, options: GumbelOptions = {}): Value {
  const { location, scale } = options;
  const given = [location, scale].filter((parameter) => parameter !== undefined);
  const plan = planOf("gumbel", key, given, shape, options.dtype);
  const standard = positiveUniform(key, plan).neg().log1p().neg().log().neg();
  const scaled = scale === undefined ? standard : standard.mul(scale);
  return location === undefined ? scaled : scaled.add(location);
}

/**
 * Numbers of the gamma distribution with density z^(α - 1) e^-z / Γ(α), differentiable in α, at fixed random bits and to
 * any order; times a scale, or divided by a rate, they have every gamma distribution. α lies in (0, 1e10]; draws whose
 * size is below the dtype's smallest number, as most are where α is below 0.001, are 0.
 *
 * @param shape by default that of α. For several keys [..., 4], each has a draw of that shape.
 * @throws as `uniform` does.
 * @example `grad((alpha) => gamma(key, alpha, [1000]).log().mean())(2)` is near ψ'(2).
 */
export function gamma(key: Value, alpha: Operand, shape?: Shape): Value {
  return gammaQuantile(positiveUniform(key, planOf("gamma", key, [alpha], shape)), alpha);
}

/**
 * Bools that are true with the probability p. They are discrete: every derivative is zero, and the derivative of an
 * expectation does not come of differentiating draws (`straightThrough` is a surrogate).
 *
 * @param shape by default that of p. For several keys [..., 4], each has a draw of that shape.
 * @throws as `uniform` does.
 */
export function bernoulli(key: Value, p: Operand, shape?: Shape): Value {
  return randomUniform(key, planOf("bernoulli", key, [p], shape)).lt(p);
}

export interface CategoricalOptions {
  /** The axis of the classes, by default the last one. */
  readonly axis?: number;
  /** Axes put in front: so many draws of each distribution. */
  readonly shape?: Shape;
}

/**
 * Classes drawn with probabilities softmax(logits), as int32: the class with the largest sum of its logit and a Gumbel
 * number. They are discrete: every derivative is zero, and the derivative of an expectation does not come of
 * differentiating draws (`straightThrough` is a surrogate).
 *
 * @throws as `uniform` does.
 * @example `categorical(key, logits, { shape: [10] })` draws ten classes for each row of the logits.
 */
export function categorical(key: Value, logits: Value, options: CategoricalOptions = {}): Value {
  const along = normalizeAxis("categorical", options.axis ?? -1, logits.rank) - logits.rank;
  const shape = [...(options.shape ?? []), ...logits.shape];
  const { dtype } = planOf("categorical", key, [logits], shape);
  return argmax(gumbel(key, shape, { dtype }).add(logits), along);
}
