/**
 * Mutants that nothing can catch, each with its reason. One called equivalent must be so: it must give the same numbers as the
 * right record on all samples, or it counts as a survivor. One that is caught after all is reported too.
 */
import type { Verdict } from "./judge.ts";

interface Excuse {
  readonly as: "equivalent" | "no law";
  /** Primitives; all where there is no such list. */
  readonly of?: string;
  readonly where?: RegExp;
  readonly fault: string | RegExp;
  readonly because: string;
}

const comparisons = "eq ne lt le gt ge isFinite and or not";
const wholeNumbers = `${comparisons} sign floor ceil round argmax argmin splitKey foldIn`;
const nested = "call scan whileLoop loopPullback customCall switchCase";

const excuses: readonly Excuse[] = [
  // Rules.
  {
    as: "equivalent",
    of: "add sub neg clamp polygamma gammaRatio convert where straightThrough",
    where: /^(?!JVP of z$)/,
    fault: "un-broadcast missing",
    because: "what is elementwise is un-broadcast once, for all, after its rule",
  },
  {
    as: "equivalent",
    of: "reshape transpose slice flip scatterAdd cumsum reduceMax reduceMin logSumExp conv2dFilterTranspose",
    where: /^(transpose|VJP) of x$/,
    fault: "un-broadcast missing",
    because: "the cotangent given has never more elements than the one wanted",
  },
  {
    as: "equivalent",
    of: "add straightThrough",
    fault: "factor missing",
    because: "there is no factor: the rule passes on what it is given",
  },
  {
    as: "equivalent",
    of: "sub mod",
    where: /^(JVP|VJP|JVP alone,|VJP alone,|partial) of x$/,
    fault: "factor missing",
    because: "there is no factor: the rule passes on what it is given",
  },
  {
    as: "equivalent",
    of: "scatterAdd",
    where: /^(transpose|JVP alone,|VJP alone,) of x$/,
    fault: "factor missing",
    because: "there is no factor: the rule passes on what it is given",
  },
  { as: "equivalent", of: "add", fault: "wrong operand", because: "the rules of x and y are the same one" },
  {
    as: "equivalent",
    of: "mod",
    where: /^partial of x$/,
    fault: /off by one|transposed|operands exchanged/,
    because: "the partial derivative is 1 everywhere",
  },
  {
    as: "equivalent",
    of: "max min mod abs relu",
    fault: "cut from its inputs",
    because: "the partial derivative is constant in pieces, so that its own derivative is zero in any case",
  },
  {
    as: "equivalent",
    of: "scatterAdd",
    where: /of x, (axis|indices)$/,
    fault: /wrong parameter|residual not saved/,
    because: "the rule passes on what it is given, and reads neither",
  },
  {
    as: "equivalent",
    of: "slice pad reshape broadcastTo conv2dInputTranspose conv2dFilterTranspose overlapAdd",
    where: /^(transpose of .|kernel), (end|high|shape|size)$/,
    fault: "wrong parameter",
    because: "rules and kernels take it from the shapes that they are given",
  },
  // Kernels.
  {
    as: "equivalent",
    of: wholeNumbers,
    where: /^kernel$/,
    fault: "rounded to float32",
    because: "the results are whole numbers, which float32 has",
  },
  {
    as: "equivalent",
    of: `${comparisons} argmax argmin splitKey foldIn`,
    where: /^kernel$/,
    fault: "off by a millionth",
    because: "the results are no floats, to which alone the fault is done",
  },
  {
    as: "equivalent",
    of: "splitKey foldIn",
    where: /^kernel$/,
    fault: /tail of a vector of [24]$/,
    because: "a key is four numbers: there is no tail",
  },
  {
    as: "equivalent",
    of: "add mul strongMul max min hypot eq ne and or",
    where: /^kernel$/,
    fault: "operands exchanged",
    because: "it commutes",
  },
  {
    as: "equivalent",
    of: "gather foldIn conv2d conv2dInputTranspose",
    where: /^kernel$/,
    fault: "operands exchanged",
    because: "its operands are never of one shape and dtype, or are one number each",
  },
  // Costs.
  {
    as: "equivalent",
    of: "stopGradient straightThrough reshape transpose broadcastTo concatenate slice pad flip gather patches",
    fault: /^cost (squared|that of one element)$/,
    because: "it costs nothing",
  },
  {
    as: "no law",
    of: nested,
    fault: /^cost (squared|that of one element)$/,
    because:
      "what runs others says an estimate of what these cost, for views; graphCost counts it node by node",
  },
];

/** What excuses a mutant, if anything does. */
export function reasonFor(mutant: {
  readonly of: string;
  readonly where: string;
  readonly fault: string;
}): Verdict["excused"] {
  const found = excuses.find(
    ({ of, where, fault }) =>
      (of === undefined || of.split(" ").includes(mutant.of)) &&
      (where === undefined || where.test(mutant.where)) &&
      (typeof fault === "string" ? fault === mutant.fault : fault.test(mutant.fault)),
  );
  return found && { as: found.as, because: found.because };
}

/** Mutants of rules of simplification that make another graph, of the same values. */
const otherGraphs: readonly {
  readonly rules: readonly string[];
  readonly fault: string;
  readonly because: string;
}[] = [
  {
    rules: ["x / 2ⁿ", "x - -y", "constants of sums and products together", "sum of a broadcast number"],
    fault: "operands exchanged",
    because: "what it makes is a sum or a product, whose operands commute",
  },
  {
    rules: ["x - x", "x * 0", "0 / x"],
    fault: "the result negated",
    because: "what it makes is zero, of which rules that may be fast do not promise the sign",
  },
  {
    rules: ["0 / x"],
    fault: "the first operand in place of the result",
    because: "the first operand is the zero that it makes",
  },
];

/** What excuses a mutant of a rule of simplification, if anything does. */
export function rewriteReason(rule: string, fault: string, isTheSame: boolean): Verdict["excused"] {
  const because = isTheSame
    ? "the rule does not look at, or make, what the fault is in: it makes the same graph of all near misses"
    : otherGraphs.find((other) => other.rules.includes(rule) && other.fault === fault)?.because;
  return because === undefined ? undefined : { as: "equivalent", because };
}
