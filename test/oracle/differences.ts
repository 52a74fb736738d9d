/**
 * Where Cotangent and a peer differ on purpose, and why. A difference that is not listed fails the tests, and so does a
 * row that is none any more. `docs/peers.md` is made of this table.
 */
import type { Peer } from "./fixtures.ts";
import type { Verdict } from "./judge.ts";

/** Which derivative: of the first order in both modes, of the second by two compositions of them. */
export type Order = "value" | "first" | "second";

/**
 * What a side says: a kind of number; or, of Cotangent, that it agrees with one of the peers at that very place.
 * "infinite" is of either sign, as a direction has either.
 */
export type Said = "0" | "NaN" | "infinite" | "finite" | Peer;

/** Points of elementwise functions, or elements of a case. */
interface Region {
  readonly text: string;
  holds(point: readonly number[]): boolean;
}

export interface Difference {
  /** Names of functions; of functions of whole arrays "function: case". */
  readonly functions: readonly string[];
  readonly peers: readonly Peer[];
  readonly of: readonly Order[];
  readonly where: Region;
  readonly ours: readonly Said[];
  readonly theirs: readonly Said[];
  readonly because: string;
}

const region = (text: string, holds: Region["holds"]): Region => ({ text, holds });
const at = (...points: readonly (readonly number[])[]): Region =>
  region(
    points.map((point) => point.map((x) => (Object.is(x, -0) ? "-0" : String(x))).join(", ")).join(" and "),
    (point) => points.some((each) => each.every((x, i) => Object.is(x, point[i]))),
  );
const everywhere = region("everywhere", () => true);
const isZero = (x: number): boolean => x === 0;
const isInfinite = (x: number): boolean => Math.abs(x) === Infinity;
const zero = region("0", ([x]) => isZero(x));
const bothZero = region("(0, 0)", (point) => point.every(isZero));
const notANumber = region("NaN", (point) => point.some(Number.isNaN));
const infinity = region("±∞", (point) => point.some(isInfinite));
const negative = region("x < 0", ([x]) => x < 0);
const tiny = region("|x| <= 1e-8", ([x]) => Math.abs(x) <= 1e-8);
const extreme = region("sizes whose squares over- or underflow", (point) =>
  point.some((x) => Math.abs(x) >= 1e150 || (x !== 0 && Math.abs(x) <= 1e-150)),
);

const both = ["jax", "torch"] as const;
const first = ["first"] as const;
const second = ["second"] as const;
const derivatives = ["first", "second"] as const;

export const differences: readonly Difference[] = [
  // Kinks: the convention.
  {
    functions: ["abs"],
    peers: ["jax"],
    of: first,
    where: zero,
    ours: ["0"],
    theirs: ["finite"],
    because: "Convex: the subgradient of minimum norm. JAX takes the side from above.",
  },
  {
    functions: ["clamp"],
    peers: ["jax"],
    of: first,
    where: at([-1], [1]),
    ours: ["0"],
    theirs: ["finite"],
    because:
      "At a bound the subgradient of minimum norm. jnp.clip is a maximum and a minimum, which share ties.",
  },
  {
    functions: ["maxPool2d: ties"],
    peers: both,
    of: first,
    where: everywhere,
    ours: ["finite"],
    theirs: ["0", "finite"],
    because: "Elements that tie share the derivative, as in max. The peers give it to the first.",
  },
  {
    functions: ["hypot"],
    peers: ["jax"],
    of: first,
    where: bothZero,
    ours: ["0"],
    theirs: ["finite"],
    because: "Convex: the subgradient of minimum norm. JAX's is that of |x|, its ties shared.",
  },
  {
    functions: ["hypot"],
    peers: ["torch"],
    of: derivatives,
    where: bothZero,
    ours: ["0"],
    theirs: ["NaN"],
    because: "Convex: the subgradient of minimum norm. PyTorch divides 0 by 0.",
  },
  {
    functions: ["norm: zeros", "norm: nothing"],
    peers: ["jax"],
    of: first,
    where: everywhere,
    ours: ["0"],
    theirs: ["NaN"],
    because:
      "Convex: the subgradient of minimum norm at the zero vector, where the root's rule multiplies ∞ by 0.",
  },
  {
    functions: ["norm: zeros"],
    peers: both,
    of: second,
    where: everywhere,
    ours: ["infinite"],
    theirs: ["0", "NaN"],
    because: "At the zero vector the curvature is infinite: that of |x|.",
  },
  {
    functions: ["pow"],
    peers: ["jax"],
    of: first,
    where: bothZero,
    ours: ["0"],
    theirs: ["NaN"],
    because: "x⁰ is constant, whatever x; JAX multiplies 0 by 0^-1.",
  },
  {
    functions: ["pow"],
    peers: ["jax"],
    of: first,
    where: region("x = 0, y < 0", ([x, y]) => x === 0 && y < 0),
    ours: ["infinite"],
    theirs: ["NaN"],
    because: "In y the limit from above, -∞, which is a term of the JVP too.",
  },
  {
    functions: ["atan2"],
    peers: ["torch"],
    of: first,
    where: bothZero,
    ours: ["NaN"],
    theirs: ["0"],
    because: "Neither continuous nor one-sided there. PyTorch's VJP is 0, its JVP NaN.",
  },
  {
    functions: ["atan2"],
    peers: both,
    of: second,
    where: bothZero,
    ours: ["infinite"],
    theirs: ["0", "NaN"],
    because:
      "There is no derivative to differentiate again: the rules find the size of it, which is infinite.",
  },
  {
    functions: ["xlogy"],
    peers: both,
    of: derivatives,
    where: bothZero,
    ours: ["0", "infinite"],
    theirs: ["0", "NaN"],
    because: "In x the one-sided limit, which is -∞; constant in y. PyTorch's VJP in x is 0.",
  },

  // NaN in.
  {
    functions: ["abs"],
    peers: both,
    of: first,
    where: notANumber,
    ours: ["NaN"],
    theirs: ["0", "finite"],
    because: "What is no number has no sign. JAX's derivative is ±1, PyTorch's 0.",
  },
  {
    functions: ["sign"],
    peers: ["torch"],
    of: ["value"],
    where: notANumber,
    ours: ["jax"],
    theirs: ["0"],
    because: "What is no number has no sign.",
  },
  {
    functions: ["relu", "maximum", "minimum"],
    peers: ["torch"],
    of: first,
    where: notANumber,
    ours: ["jax"],
    theirs: ["finite"],
    because: "No comparison with NaN holds, so nobody is the larger one; the value is NaN all the same.",
  },
  {
    functions: ["maxPool2d: not finite"],
    peers: both,
    of: first,
    where: everywhere,
    ours: ["NaN"],
    theirs: ["0", "finite"],
    because:
      "A window with a NaN has no derivatives, in either mode, as in max. The peers choose an element.",
  },
  {
    functions: ["pow"],
    peers: ["jax"],
    of: first,
    where: region("(NaN, 0)", ([x, y]) => Number.isNaN(x) && y === 0),
    ours: ["0"],
    theirs: ["NaN"],
    because: "NaN⁰ is 1, as every x⁰; so it is constant in x.",
  },

  // Tails, and what is small: the derivative where it exists, to the last digit.
  {
    functions: ["expm1"],
    peers: both,
    of: derivatives,
    where: region("x <= -17", ([x]) => x <= -17),
    ours: ["exact"],
    theirs: ["0", "finite"],
    because: "The derivative is e^x, not y + 1, whose digits cancel.",
  },
  {
    functions: ["tanh"],
    peers: both,
    of: derivatives,
    where: region("|x| >= 17", ([x]) => Math.abs(x) >= 17),
    ours: ["exact"],
    theirs: ["0", "finite"],
    because: "The derivative is sech² x, not 1 - y², which is 0 from |x| = 19 on.",
  },
  {
    functions: ["sigmoid"],
    peers: both,
    of: derivatives,
    where: region("x >= 19", ([x]) => x >= 19),
    ours: ["exact"],
    theirs: ["0", "finite"],
    because: "The derivative is sech²(x/2) / 4, not y (1 - y), which is 0 from x = 37 on.",
  },
  {
    functions: ["softplus"],
    peers: ["jax"],
    of: second,
    where: region("x >= 19", ([x]) => x >= 19),
    ours: ["exact"],
    theirs: ["0", "finite"],
    because: "The second derivative is that of the sigmoid.",
  },
  {
    functions: ["softplus"],
    peers: ["torch"],
    of: second,
    where: region("x <= -709", ([x]) => x <= -709),
    ours: ["jax"],
    theirs: ["NaN", "infinite"],
    because: "PyTorch's logaddexp divides by e^x.",
  },
  {
    functions: ["tanh", "sigmoid", "atanh"],
    peers: ["jax"],
    of: second,
    where: tiny,
    ours: ["exact"],
    theirs: ["0", "finite"],
    because: "Odd at 0, which 1 - y² and y (1 - y) lose, differentiated again.",
  },
  {
    functions: ["sigmoid"],
    peers: ["torch"],
    of: second,
    where: tiny,
    ours: ["exact"],
    theirs: ["0"],
    because: "Odd at 0, which 1 - 2 y loses.",
  },
  {
    functions: ["sinc"],
    peers: both,
    of: derivatives,
    where: region("0 < |x| <= 1e-4", ([x]) => x !== 0 && Math.abs(x) <= 1e-4),
    ours: ["exact"],
    theirs: ["0", "finite", "infinite", "NaN"],
    because: "Near 0 sinc is its series; the rules of sin(πx) / (πx) cancel, or divide by 0.",
  },
  {
    functions: ["sinc"],
    peers: ["torch"],
    of: second,
    where: zero,
    ours: ["jax"],
    theirs: ["0"],
    because: "The curvature at 0 is -π²/3. PyTorch gives a constant there.",
  },
  {
    functions: ["sinc"],
    peers: both,
    of: ["value", "first", "second"],
    where: region(
      "whole numbers and far ones",
      ([x]) => (Number.isInteger(x) && x !== 0) || Math.abs(x) > 1e4,
    ),
    ours: ["0", "exact"],
    theirs: ["finite"],
    because: "The sine is that of π times the distance to the nearest whole number; πx itself loses digits.",
  },
  {
    functions: ["sech"],
    peers: both,
    of: derivatives,
    where: region("|x| >= 300", ([x]) => Math.abs(x) >= 300),
    ours: ["0", "exact"],
    theirs: ["0", "finite", "NaN"],
    because: "The peers have no sech; the rule of 1 / cosh x divides ∞ by ∞ long before sech is 0.",
  },
  {
    functions: ["asinh", "acosh"],
    peers: both,
    of: first,
    where: extreme,
    ours: ["exact"],
    theirs: ["0"],
    because: "No square of x, which would overflow.",
  },
  {
    functions: ["atan2"],
    peers: both,
    of: first,
    where: extreme,
    ours: ["exact"],
    theirs: ["0", "infinite"],
    because: "No square of the distance, which would overflow or underflow.",
  },
  {
    functions: ["atan2"],
    peers: ["jax"],
    of: second,
    where: extreme,
    ours: ["exact", "infinite"],
    theirs: ["NaN"],
    because: "No square of the distance; of the smallest arguments second derivatives themselves overflow.",
  },
  {
    functions: ["atan2"],
    peers: ["torch"],
    of: second,
    where: extreme,
    ours: ["jax", "infinite"],
    theirs: ["0"],
    because: "Of the smallest arguments second derivatives overflow, and their sum is NaN. PyTorch gives 0.",
  },
  {
    functions: ["atan2"],
    peers: ["exact"],
    of: second,
    where: extreme,
    ours: ["jax"],
    theirs: ["infinite"],
    because:
      "Of the smallest arguments second derivatives overflow, in terms of either sign, whose sum is NaN.",
  },
  {
    functions: ["div"],
    peers: ["jax"],
    of: first,
    where: extreme,
    ours: ["torch"],
    theirs: ["0", "finite", "infinite"],
    because: "The derivative in y is -(x / y) / y: no y², which would overflow or underflow.",
  },
  {
    functions: ["xlogy"],
    peers: ["jax"],
    of: second,
    where: extreme,
    ours: ["torch"],
    theirs: ["finite", "infinite"],
    because: "As in a division.",
  },
  {
    functions: ["hypot"],
    peers: ["jax"],
    of: derivatives,
    where: extreme,
    ours: ["torch"],
    theirs: ["finite", "infinite", "NaN"],
    because: "hypot is a primitive with rules of its own; JAX differentiates a scaled formula.",
  },
  {
    functions: ["hypot"],
    peers: ["jax"],
    of: second,
    where: region("|x| = |y|", ([x, y]) => Math.abs(x) === Math.abs(y)),
    ours: ["torch"],
    theirs: ["finite"],
    because:
      "JAX differentiates a formula of the larger and the smaller of the two, which is wrong where they tie.",
  },

  // Infinite arguments: limits, where the peers multiply 0 by infinity.
  {
    functions: ["atan", "asinh", "acosh", "erf", "atan2", "hypot"],
    peers: both,
    of: second,
    where: infinity,
    ours: ["0"],
    theirs: ["NaN"],
    because: "A factor that is 0 makes a strong zero; it is also the limit.",
  },
  {
    functions: ["atanh"],
    peers: ["torch"],
    of: second,
    where: infinity,
    ours: ["0"],
    theirs: ["NaN"],
    because: "A factor that is 0 makes a strong zero; it is also the limit of the formula.",
  },
  {
    functions: ["atanh"],
    peers: ["jax"],
    of: second,
    where: at([1], [-1]),
    ours: ["torch"],
    theirs: ["NaN"],
    because: "The one-sided limit.",
  },
  {
    functions: ["hypot"],
    peers: ["jax"],
    of: first,
    where: infinity,
    ours: ["torch"],
    theirs: ["0", "NaN"],
    because: "x / r, of which ∞ / ∞ is not defined; JAX has it the other way round in either mode.",
  },
  {
    functions: ["pow"],
    peers: both,
    of: derivatives,
    where: region("±∞ or NaN among them", (point) => point.some((x) => !Number.isFinite(x))),
    ours: ["0", "finite", "infinite", "jax"],
    theirs: ["0", "NaN"],
    because:
      "Factors that are 0 (x^(y-1), y or log 1) make strong zeros; the peers' products with ∞ or NaN are NaN.",
  },
  {
    functions: ["logSumExp: infinities", "softmax: infinities"],
    peers: both,
    of: ["value", "first", "second"],
    where: everywhere,
    ours: ["0"],
    theirs: ["NaN"],
    because:
      "Beside an infinite element the others have no share: 0, the limit. Only that of ∞ itself is not defined.",
  },
  {
    functions: ["logSoftmax: infinities"],
    peers: both,
    of: ["value", "first", "second"],
    where: everywhere,
    ours: ["0", "finite", "infinite"],
    theirs: ["NaN"],
    because: "Beside an infinite element the others have no share, whose logarithm is -∞.",
  },
  {
    functions: ["norm: infinities", "norm: nothing there"],
    peers: both,
    of: derivatives,
    where: everywhere,
    ours: ["0"],
    theirs: ["NaN"],
    because:
      "The derivative of the root at ∞ is a strong zero, and of an infinite element, whose limit would be 1, too.",
  },
  {
    functions: ["prod: infinities"],
    peers: ["jax"],
    of: first,
    where: everywhere,
    ours: ["torch"],
    theirs: ["NaN"],
    because: "Products of the others, without a division or a logarithm; JAX's JVP has 0 · ∞.",
  },
  {
    functions: ["prod: infinities", "prod: nothing there", "prod: NaN"],
    peers: ["torch"],
    of: first,
    where: everywhere,
    ours: ["jax"],
    theirs: ["NaN"],
    because: "Products of the others; PyTorch divides the product by the element.",
  },
  {
    functions: ["prod: infinities", "prod: nothing there"],
    peers: both,
    of: second,
    where: everywhere,
    ours: ["infinite"],
    theirs: ["NaN"],
    because: "Products of the others, to any order, in which what is not moved is not multiplied by 0.",
  },
  {
    functions: ["matmul: infinities"],
    peers: ["torch"],
    of: second,
    where: everywhere,
    ours: ["jax"],
    theirs: ["NaN"],
    because: "The second derivative is a product of tangents and cotangents alone; PyTorch has 0 · ∞ in it.",
  },
  {
    functions: ["variance: infinities"],
    peers: ["torch"],
    of: first,
    where: everywhere,
    ours: ["jax"],
    theirs: ["infinite"],
    because: "The variance is NaN, and so are its derivatives.",
  },

  // Where the function itself is another one, or not defined.
  {
    functions: ["acosh"],
    peers: both,
    of: derivatives,
    where: negative,
    ours: ["NaN"],
    theirs: ["0", "finite"],
    because: "Not defined there, so neither is its derivative; x² - 1 is the same on both sides.",
  },
  {
    functions: ["entropyTerms"],
    peers: both,
    of: ["value", "first", "second"],
    where: negative,
    ours: ["NaN", "finite"],
    theirs: ["0", "infinite"],
    because: "-x log x is not defined below 0; the peers' functions are -∞ there, so that they are concave.",
  },
  {
    functions: ["entropyTerms"],
    peers: both,
    of: derivatives,
    where: at([Infinity]),
    ours: ["NaN"],
    theirs: ["0", "infinite"],
    because: "xlogy(x, x), whose derivative in its second argument is x / x.",
  },
  {
    functions: ["lgamma", "digamma", "polygamma"],
    peers: both,
    of: ["value", "first", "second"],
    where: negative,
    ours: ["NaN"],
    theirs: ["finite", "infinite"],
    because: "For positive x alone, as distributions need them; NaN below 0.",
  },
  {
    functions: ["digamma", "polygamma"],
    peers: ["exact"],
    of: ["value", "first", "second"],
    where: negative,
    ours: ["NaN"],
    theirs: ["finite"],
    because: "For positive x alone, as distributions need them; NaN below 0.",
  },
  {
    functions: ["lgamma", "digamma", "polygamma"],
    peers: ["jax"],
    of: ["value", "first", "second"],
    where: zero,
    ours: ["infinite"],
    theirs: ["NaN"],
    because: "The limit from above.",
  },
  {
    functions: ["lgamma", "digamma"],
    peers: ["torch"],
    of: ["value", "first"],
    where: at([-0]),
    ours: ["infinite"],
    theirs: ["infinite"],
    because: "The limit from above, for either zero; PyTorch takes that from below for -0.",
  },
  {
    functions: ["lgamma", "digamma", "polygamma"],
    peers: ["jax"],
    of: ["value", "first", "second"],
    where: region("x >= 1e300, ∞", ([x]) => x >= 1e300),
    ours: ["0", "exact"],
    theirs: ["0", "NaN"],
    because: "1 / x and its powers, which are 0 in the limit.",
  },
  {
    functions: ["digamma", "polygamma"],
    peers: ["torch"],
    of: derivatives,
    where: at([Infinity]),
    ours: ["0"],
    theirs: ["NaN"],
    because: "The limit.",
  },
  {
    functions: ["polygamma"],
    peers: ["torch"],
    of: ["value"],
    where: at([Infinity]),
    ours: ["0"],
    theirs: ["NaN"],
    because: "The limit.",
  },
  {
    functions: ["lgamma", "digamma", "polygamma"],
    peers: ["torch"],
    of: ["value", "first", "second"],
    where: region("0 < x < 10", ([x]) => x > 0 && x < 10),
    ours: ["exact"],
    theirs: ["finite"],
    because: "PyTorch's trigamma has some eleven digits.",
  },
  {
    functions: ["gammaQuantile", "gammaRatio"],
    peers: ["torch"],
    of: ["value", "first"],
    where: everywhere,
    ours: ["jax"],
    theirs: ["finite"],
    because: "PyTorch's derivative of gamma draws in α is an approximation of four digits.",
  },
  {
    functions: ["div"],
    peers: ["torch"],
    of: derivatives,
    where: region("y = ±0", ([, y]) => y === 0),
    ours: ["jax"],
    theirs: ["infinite"],
    because: "The terms of x and of y are infinities of either sign, so their sum is NaN.",
  },
  {
    functions: ["xlogy"],
    peers: ["torch"],
    of: second,
    where: region("x != 0, y = ±0", ([x, y]) => x !== 0 && y === 0),
    ours: ["jax"],
    theirs: ["infinite"],
    because: "As in a division.",
  },
  {
    functions: ["xlogy"],
    peers: ["torch"],
    of: derivatives,
    where: region("x = 0, y < 0", ([x, y]) => x === 0 && y < 0),
    ours: ["jax"],
    theirs: ["0"],
    because: "The value at x = 0 is 0 whatever y; but for no other x near it there is one.",
  },
  {
    functions: ["mod"],
    peers: both,
    of: first,
    where: region("y = 0", ([, y]) => y === 0),
    ours: ["NaN"],
    theirs: ["infinite"],
    because: "There is no remainder, so there is no derivative of it.",
  },
  {
    functions: ["mod"],
    peers: ["jax"],
    of: first,
    where: region("x = ±∞", ([x]) => isInfinite(x)),
    ours: ["NaN"],
    theirs: ["infinite"],
    because: "There is no remainder, so there is no derivative of it.",
  },
  {
    functions: ["rsqrt"],
    peers: ["torch"],
    of: first,
    where: at([-0]),
    ours: ["jax"],
    theirs: ["infinite"],
    because: "-y / 2x, in which -0 cancels its own sign; PyTorch has y³.",
  },
  {
    functions: ["pow"],
    peers: both,
    of: second,
    where: region("x = 0, y <= 1", ([x, y]) => x === 0 && y <= 1),
    ours: ["0", "finite", "infinite", "jax", "torch"],
    theirs: ["0", "finite", "infinite", "NaN"],
    because:
      "At the edge of what is defined second derivatives are infinite or, as limits, depend on the way; no two agree, and ours are not symmetric.",
  },
  {
    functions: ["pow"],
    peers: both,
    of: second,
    where: region("x < 0, y = 0", ([x, y]) => x < 0 && y === 0),
    ours: ["finite"],
    theirs: ["0", "NaN"],
    because:
      "The derivative in x is y x^(y-1), whose own derivative in y has the term x^(y-1); that of x^y in y is NaN.",
  },
  {
    functions: ["pow"],
    peers: ["torch"],
    of: second,
    where: region("x > 0, y = 0", ([x, y]) => x > 0 && y === 0),
    ours: ["jax"],
    theirs: ["0"],
    because: "d²/dx dy x^y = 1 / x at y = 0. PyTorch gives a constant there.",
  },
];

const orderOf = ({ quantity }: Verdict): Order =>
  quantity === "value" ? "value" : quantity === "second" ? "second" : "first";

/** The inputs at the element that a verdict is about; where elements are no points, nothing. */
export function pointOf({ case: { pointwise, inputs }, index }: Verdict): number[] {
  return pointwise ? inputs.map(({ data }) => data[index]) : [];
}

function says(x: number): Said {
  if (Number.isNaN(x)) return "NaN";
  return x === 0 ? "0" : Number.isFinite(x) ? "finite" : "infinite";
}

/** The rows that list a disagreement: for its function, peer, order and place, with these kinds of numbers. */
export function rowsFor(verdict: Verdict): Difference[] {
  const { function: name, name: label, pointwise } = verdict.case;
  const subject = pointwise ? name : `${name}: ${label}`;
  return differences.filter(
    ({ functions, peers, of, where, ours, theirs }) =>
      functions.includes(subject) &&
      peers.includes(verdict.peer) &&
      of.includes(orderOf(verdict)) &&
      where.holds(pointOf(verdict)) &&
      (ours.includes(says(verdict.ours)) || verdict.witnesses.some((peer) => ours.includes(peer))) &&
      theirs.includes(says(verdict.theirs)),
  );
}
