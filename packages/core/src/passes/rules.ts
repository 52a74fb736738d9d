/**
 * The rules of algebraic simplification, to be read as a table. What a rule claims of kernels is what IEEE 754 says of sums,
 * products and quotients, whose results are rounded once; no rule rests on how a kernel approximates a function.
 */
import { sameAval, sameShape } from "../aval.ts";
import { bind } from "../bind.ts";
import type { Draft } from "../graph/graph.ts";
import { type Primitive, primitives } from "../primitive.ts";
import { add, div, mul, sub } from "../primitives/binary.ts";
import { and, or } from "../primitives/comparison.ts";
import type { DotParams } from "../primitives/contraction.ts";
import { type Axes, reduceMax, reduceMin, reduceProd, reduceSum } from "../primitives/reduction.ts";
import { clamp, where } from "../primitives/selection.ts";
import {
  type PadParams,
  type SliceParams,
  broadcastTo,
  concatenate,
  flip,
  reshape,
  slice,
  transpose,
} from "../primitives/shape.ts";
import { exp, log, neg, sqrt, square } from "../primitives/unary.ts";
import type { Value } from "../value.ts";
import type { Definition } from "./rewriter.ts";
import type { Rule, RuleScope, Site } from "./simplification.ts";

/** x where the other operand is that number in every element, in the shape of the result. */
function whereOther({ inputs: [x, y], aval }: Site, scope: RuleScope, number: number): Draft | undefined {
  if (isNumber(scope, y, number)) return scope.shaped(x, aval);
  return isNumber(scope, x, number) ? scope.shaped(y, aval) : undefined;
}

/** As `whereOther`, where x has the shape of the result already. */
function wholeOther({ inputs: [x, y], aval }: Site, scope: RuleScope, number: number): Draft | undefined {
  if (isNumber(scope, y, number) && sameShape(scope.aval(x).shape, aval.shape)) return x;
  return isNumber(scope, x, number) && sameShape(scope.aval(y).shape, aval.shape) ? y : undefined;
}

/** Whether all elements are that number; the sign of a zero counts, but for whole numbers, which have one zero. */
function isNumber(scope: RuleScope, draft: Draft, number: number): boolean {
  const found = scope.uniform(draft);
  if (found === undefined) return false;
  return Object.is(found, number) || (found === number && !scope.aval(draft).floating);
}

const shapeOf = (site: Site): { shape: readonly number[] } => ({ shape: site.aval.shape });

/** Whether the first input is the result of the same primitive. */
const twice = ({ primitive, inputs: [x] }: Site, scope: RuleScope) => scope.is(x, primitive.name);

const isInOrder = (list: readonly number[]): boolean => list.every((n, i) => i === 0 || list[i - 1] < n);

/** Whether a number times or over that one is exact: a power of two that float32 has, with its reciprocal. */
const isPowerOfTwo = (x: number): boolean => {
  const exponent = Math.log2(Math.abs(x));
  return Number.isInteger(exponent) && Math.abs(exponent) <= 126;
};

/** Conversions that lose nothing. */
const widenings: Readonly<Record<string, readonly string[]>> = {
  bool: ["int32", "float32", "float64"],
  int32: ["float64"],
  float32: ["float64"],
};

/** A contraction whose operand is transposed, by the axes before that; undefined where the free axes would change places. */
function throughTranspose(
  rank: number,
  permutation: readonly number[],
  contract: readonly number[],
  batch: readonly number[],
): { contract: number[]; batch: number[] } | undefined {
  const free = Array.from({ length: rank }, (_, i) => i).filter(
    (i) => !contract.includes(i) && !batch.includes(i),
  );
  if (!isInOrder(free.map((i) => permutation[i]))) return undefined;
  return { contract: contract.map((i) => permutation[i]), batch: batch.map((i) => permutation[i]) };
}

/** Elementwise primitives that broadcast their inputs. */
const broadcasting: readonly string[] =
  "add sub mul strongMul div pow max min hypot atan2 mod xlogy eq ne lt le gt ge and or where".split(" ");

const primitiveNamed = (name: string): Primitive => primitives().get(name) as Primitive;
const ones = (x: Value): Value => x.constant(1, x.aval);

/** Exact rules first: each gives every element as it was, to the last bit. */
export const rules: readonly Rule[] = [
  // Arithmetic with constants.
  {
    name: "x * 1",
    because: "A product with 1 is exact, of NaN, infinities and zeros too.",
    of: ["mul", "strongMul"],
    apply: (site, scope) => whereOther(site, scope, 1),
    example: (x) => [x.mul(1), ones(x).mul(x), x.strongMul(1)],
  },
  {
    name: "x / 1",
    because: "A quotient by 1 is exact.",
    of: ["div"],
    apply: ({ inputs: [x, y], aval }, scope) => (isNumber(scope, y, 1) ? scope.shaped(x, aval) : undefined),
    example: (x) => x.div(1),
  },
  {
    name: "x * -1",
    because: "A product with -1 changes the sign alone.",
    of: ["mul", "strongMul"],
    apply: (site, scope) => {
      const x = wholeOther(site, scope, -1);
      return x === undefined ? undefined : scope.make(neg.primitive, [x]);
    },
    example: (x) => [x.mul(-1), x.strongMul(-1)],
  },
  {
    name: "x / 2ⁿ",
    because:
      "A power of two has an exact reciprocal: quotient and product are the same number, rounded once.",
    of: ["div"],
    apply: ({ inputs: [x, y], aval }, scope) => {
      const divisor = scope.uniform(y);
      if (divisor === undefined || !isPowerOfTwo(divisor) || !sameAval(scope.aval(x), aval)) return undefined;
      return scope.make(mul.primitive, [x, scope.scalar(1 / divisor, aval.dtype)]);
    },
    example: (x) => [x.div(8), x.div(-0.25)],
  },
  {
    name: "x - 0",
    because: "0 is neutral on the right, whatever the sign of a zero x.",
    of: ["sub"],
    apply: ({ inputs: [x, y], aval }, scope) => (isNumber(scope, y, 0) ? scope.shaped(x, aval) : undefined),
    example: (x) => x.sub(0),
  },
  {
    name: "x + -0",
    because: "-0 is the neutral element of sums: 0 + -0 is 0, and -0 + -0 is -0.",
    of: ["add"],
    apply: (site, scope) => whereOther(site, scope, -0),
    example: (x) => [x.add(-0), x.constant(-0, x.aval).add(x)],
  },
  {
    name: "-0 - x",
    because: "The same as the sign changed, of zeros too.",
    of: ["sub"],
    apply: ({ inputs: [x, y], aval }, scope) =>
      isNumber(scope, x, -0) && sameShape(scope.aval(y).shape, aval.shape)
        ? scope.make(neg.primitive, [y])
        : undefined,
    example: (x) => x.constant(-0, x.aval).sub(x),
  },
  {
    name: "x to the power 1",
    because: "IEEE 754 and ECMAScript have it so.",
    of: ["pow"],
    apply: ({ inputs: [x, y], aval }, scope) => (isNumber(scope, y, 1) ? scope.shaped(x, aval) : undefined),
    example: (x) => x.pow(1),
  },
  {
    name: "x to the power 0",
    because: "1, of NaN too: IEEE 754 and ECMAScript have it so.",
    of: ["pow"],
    apply: ({ inputs: [, y], aval }, scope) => {
      const exponent = scope.uniform(y);
      return exponent === 0 ? scope.filled(1, aval) : undefined;
    },
    example: (x) => [x.pow(0), x.pow(-0)],
  },
  {
    name: "and, or with a constant",
    because: "true is neutral for and, false for or; false and true decide them.",
    of: ["and", "or"],
    apply: (site, scope) => {
      const neutral = site.primitive.name === "and" ? 1 : 0;
      return (
        whereOther(site, scope, neutral) ??
        (site.inputs.some((draft) => isNumber(scope, draft, 1 - neutral))
          ? scope.filled(1 - neutral, site.aval)
          : undefined)
      );
    },
    example: (x) =>
      [0, 1].flatMap((n) => {
        const known = x.gt(0).constant(n, x.aval.withDType("bool"));
        return [and(x.gt(0), known), or(known, x.gt(0))];
      }),
  },

  // Signs.
  {
    name: "the same twice undone",
    because: "Two changes of sign, or of truth, are none.",
    of: ["neg", "not"],
    apply: (site, scope) => twice(site, scope)?.inputs[0],
    example: (x) => [x.neg().neg(), x.gt(0).not().not()],
  },
  {
    name: "x + -y",
    because: "IEEE 754 defines x - y as x + (-y).",
    of: ["add"],
    apply: ({ inputs: [x, y] }, scope) => {
      const right = scope.is(y, "neg");
      if (right !== undefined) return scope.make(sub.primitive, [x, right.inputs[0]]);
      const left = scope.is(x, "neg");
      return left && scope.make(sub.primitive, [y, left.inputs[0]]);
    },
    example: (x, y) => [x.add(y.neg()), x.neg().add(y)],
  },
  {
    name: "x - -y",
    because: "IEEE 754 defines x - y as x + (-y).",
    of: ["sub"],
    apply: ({ inputs: [x, y] }, scope) => {
      const right = scope.is(y, "neg");
      return right && scope.make(add.primitive, [x, right.inputs[0]]);
    },
    example: (x, y) => x.sub(y.neg()),
  },
  {
    name: "-x * -y",
    because: "The signs of a product or quotient multiply exactly.",
    of: ["mul", "strongMul", "div"],
    apply: ({ primitive, inputs: [x, y] }, scope) => {
      const [left, right] = [scope.is(x, "neg"), scope.is(y, "neg")];
      if (left === undefined || right === undefined) return undefined;
      return scope.make(primitive, [left.inputs[0], right.inputs[0]]);
    },
    example: (x, y) => [x.neg().mul(y.neg()), x.neg().div(y.neg()), x.neg().strongMul(y.neg())],
  },
  {
    name: "even of -x or |x|",
    because: "The size and the square do not depend on the sign.",
    of: ["abs", "square"],
    apply: ({ primitive, inputs: [x] }, scope) => {
      const inner = scope.is(x, "neg") ?? scope.is(x, "abs");
      return inner && scope.make(primitive, inner.inputs);
    },
    example: (x) => [x.neg().abs(), x.neg().square(), x.abs().square(), x.abs().abs()],
  },

  // The same again, and the same on both sides.
  {
    name: "the same again",
    because: "A second application finds what it would make: idempotent.",
    of: ["relu", "floor", "ceil", "round", "sign"],
    apply: (site, scope) => (twice(site, scope) === undefined ? undefined : site.inputs[0]),
    example: (x) => [x.relu().relu(), x.floor().floor(), x.round().round(), x.ceil().ceil(), x.sign().sign()],
  },
  {
    name: "clamped again",
    because: "What lies between the bounds stays.",
    of: ["clamp"],
    apply: (site, scope) => {
      const inner = twice(site, scope)?.params as { low: number; high: number } | undefined;
      const { low, high } = site.params as { low: number; high: number };
      return inner && Object.is(inner.low, low) && Object.is(inner.high, high) ? site.inputs[0] : undefined;
    },
    example: (x) => clamp(clamp(x, -1, 1), -1, 1),
  },
  {
    name: "both sides the same",
    because: "The larger or smaller of a value and itself is the value, NaN or not; so are and, or.",
    of: ["max", "min", "and", "or"],
    apply: ({ inputs: [x, y] }) => (x === y ? x : undefined),
    example: (x) => [x.maximum(x), x.minimum(x), and(x.gt(0), x.gt(0))],
  },
  {
    name: "where(c, x, x)",
    because: "Either way it is x.",
    of: ["where"],
    apply: ({ inputs: [, x, y], aval }, scope) => (x === y ? scope.shaped(x, aval) : undefined),
    example: (x, y) => where(y.gt(0), x, x),
  },
  {
    name: "where of a known condition",
    because: "One branch is taken everywhere.",
    of: ["where"],
    apply: ({ inputs: [condition, x, y], aval }, scope) => {
      const known = scope.uniform(condition);
      return known === undefined ? undefined : scope.shaped(known === 0 ? y : x, aval);
    },
    example: (x, y) => [0, 1].map((n) => where(x.gt(0).constant(n, x.aval.withDType("bool")), x, y)),
  },
  {
    name: "where(not c, x, y)",
    because: "The branches change places.",
    of: ["where"],
    apply: ({ primitive, inputs: [condition, x, y] }, scope) => {
      const inner = scope.is(condition, "not");
      return inner && scope.make(primitive, [inner.inputs[0], y, x]);
    },
    example: (x, y) => where(x.gt(0).not(), x, y),
  },

  // Dtypes.
  {
    name: "convert to its own dtype",
    because: "Nothing is to be done.",
    of: ["convert"],
    apply: ({ inputs: [x], aval }, scope) => (scope.aval(x).dtype === aval.dtype ? x : undefined),
    example: (x) => bind(primitiveNamed("convert"), [x], { dtype: x.dtype }),
  },
  {
    name: "convert through a wider dtype",
    because: "The first conversion loses nothing, so the second may begin where it began.",
    of: ["convert"],
    apply: (site, scope) => {
      const inner = twice(site, scope);
      if (inner === undefined) return undefined;
      const [x] = inner.inputs;
      const isWider = widenings[scope.aval(x).dtype]?.includes(scope.aval(site.inputs[0]).dtype);
      return isWider ? scope.make(site.primitive, [x], site.params) : undefined;
    },
    example: (x) => [
      x.astype("float32").astype("float64").astype("float32"),
      x.gt(0).astype("int32").astype("float32"),
      x.gt(0).astype("float32").astype("bool"),
    ],
  },

  // Rearranging.
  {
    name: "rearranged into itself",
    because: "No element moves.",
    of: ["reshape", "broadcastTo", "transpose", "slice", "pad", "flip", "concatenate"],
    apply: (site, scope) => {
      const [x] = site.inputs;
      if (site.inputs.length !== 1 || !sameShape(scope.aval(x).shape, site.aval.shape)) return undefined;
      if (site.primitive.name === "transpose")
        return isInOrder((site.params as { permutation: readonly number[] }).permutation) ? x : undefined;
      if (site.primitive.name === "flip")
        return (site.params as Axes).axes.every((axis) => site.aval.shape[axis] === 1) ? x : undefined;
      // A slice or a pad of the same shape is of everything, or by nothing, where there is anything at all.
      return x;
    },
    example: (x) => [
      reshape(x, { shape: x.shape }),
      broadcastTo(x, { shape: x.shape }),
      transpose(x, { permutation: [0, 1] }),
      slice(x, { begin: [0, 0], end: x.shape, strides: [1, 1] }),
      x.pad([
        [0, 0],
        [0, 0],
      ]),
      flip(x, { axes: [] }),
      concatenate([x], { axis: 0 }),
    ],
  },
  {
    name: "reshape of a reshape",
    because: "The order of elements stays: the last shape counts.",
    of: ["reshape"],
    apply: (site, scope) => {
      const inner = twice(site, scope);
      return inner && scope.make(site.primitive, inner.inputs, site.params);
    },
    example: (x) => x.reshape([3, 2]).reshape([6]),
  },
  {
    name: "broadcastTo of a broadcastTo",
    because: "Axes are aligned from the right both times.",
    of: ["broadcastTo"],
    apply: (site, scope) => {
      const inner = twice(site, scope);
      return inner && scope.make(site.primitive, inner.inputs, site.params);
    },
    example: (x) => x.broadcastTo([2, 2, 3]).broadcastTo([4, 2, 2, 3]),
  },
  {
    name: "broadcastTo of a reshape that puts axes of size 1 in front",
    because: "So does broadcasting.",
    of: ["broadcastTo"],
    apply: (site, scope) => {
      const inner = scope.is(site.inputs[0], "reshape");
      if (inner === undefined) return undefined;
      const [from, to] = [scope.aval(inner.inputs[0]).shape, scope.aval(site.inputs[0]).shape];
      const lead = to.length - from.length;
      const isLead = lead > 0 && to.slice(0, lead).every((n) => n === 1) && sameShape(to.slice(lead), from);
      return isLead ? scope.make(site.primitive, inner.inputs, site.params) : undefined;
    },
    example: (x) => x.reshape([1, 2, 3]).broadcastTo([2, 2, 3]),
  },
  {
    name: "broadcastTo that only adds axes of size 1",
    because: "That is a reshape, which moves nothing.",
    of: ["broadcastTo"],
    apply: (site, scope) => {
      const [x] = site.inputs;
      return scope.aval(x).size === site.aval.size &&
        site.aval.size > 0 &&
        scope.aval(x).rank !== site.aval.rank
        ? scope.make(reshape.primitive, [x], shapeOf(site))
        : undefined;
    },
    example: (x) => x.broadcastTo([1, 1, 2, 3]),
  },
  {
    name: "transpose of a transpose",
    because: "Permutations compose.",
    of: ["transpose"],
    apply: (site, scope) => {
      const inner = twice(site, scope);
      if (inner === undefined) return undefined;
      const first = (inner.params as { permutation: readonly number[] }).permutation;
      const second = (site.params as { permutation: readonly number[] }).permutation;
      return scope.make(site.primitive, inner.inputs, { permutation: second.map((axis) => first[axis]) });
    },
    example: (x) => [
      x.transpose().transpose(),
      x.reshape([2, 3, 1]).transpose([2, 0, 1]).transpose([0, 2, 1]),
    ],
  },
  {
    name: "transpose that only moves axes of size 1",
    because: "That is a reshape, which moves nothing.",
    of: ["transpose"],
    apply: (site, scope) => {
      const { shape } = scope.aval(site.inputs[0]);
      const { permutation } = site.params as { permutation: readonly number[] };
      const isStill = isInOrder(permutation.filter((axis) => shape[axis] !== 1));
      return isStill ? scope.make(reshape.primitive, site.inputs, shapeOf(site)) : undefined;
    },
    example: (x) => reshape(x, { shape: [2, 1, 3] }).transpose([1, 0, 2]),
  },
  {
    name: "flip of a flip",
    because: "Axes that are flipped twice are not.",
    of: ["flip"],
    apply: (site, scope) => {
      const inner = twice(site, scope);
      if (inner === undefined) return undefined;
      const [first, second] = [(inner.params as Axes).axes, (site.params as Axes).axes];
      const axes = site.aval.shape.map((_, i) => i).filter((i) => first.includes(i) !== second.includes(i));
      return scope.make(site.primitive, inner.inputs, { axes });
    },
    example: (x) => [x.flip(0).flip(0), x.flip(0).flip(1)],
  },
  {
    name: "slice of a slice",
    because: "Beginnings add up in strides, and strides multiply.",
    of: ["slice"],
    apply: (site, scope) => {
      const inner = twice(site, scope);
      if (inner === undefined || site.aval.size === 0) return undefined;
      const [first, second] = [inner.params as SliceParams, site.params as SliceParams];
      const at = (i: number, k: number): number => first.begin[i] + k * first.strides[i];
      return scope.make(site.primitive, inner.inputs, {
        begin: second.begin.map((b, i) => at(i, b)),
        end: second.end.map((e, i) => at(i, e - 1) + 1),
        strides: second.strides.map((s, i) => s * first.strides[i]),
      });
    },
    example: (x) => [
      x.slice([0, 1]).slice([1, 0], [2, 1]),
      x.slice([0, 0], [2, 3], [1, 2]).slice([0, 1], [2, 2]),
    ],
  },
  {
    name: "concatenate with nothing",
    because: "Parts without elements add none.",
    of: ["concatenate"],
    apply: ({ primitive, inputs, params, aval }, scope) => {
      const filled = inputs.filter((draft) => scope.aval(draft).size > 0);
      if (aval.size === 0 || filled.length === inputs.length) return undefined;
      return scope.make(primitive, filled, params);
    },
    example: (x, y) =>
      concatenate([x, slice(y, { begin: [0, 0], end: [0, 3], strides: [1, 1] }), y], { axis: 0 }),
  },
  {
    name: "a rearranged number",
    because: "All elements are the same, wherever they go.",
    of: ["reshape", "transpose", "slice", "flip"],
    apply: ({ inputs: [x], aval }, scope) => {
      const source = scope.is(x, "broadcastTo")?.inputs[0];
      return source !== undefined && scope.aval(source).rank === 0 ? scope.shaped(source, aval) : undefined;
    },
    example: (x) => {
      const wide = x.sum().broadcastTo([2, 3]);
      return [wide.reshape([3, 2]), wide.transpose(), wide.flip(1), wide.slice([0, 1])];
    },
  },
  {
    name: "zeros around zeros",
    because: "A pad surrounds with 0.",
    of: ["pad"],
    apply: ({ inputs: [x], aval, params }, scope) => {
      const { value = 0 } = params as Partial<PadParams>;
      return value === 0 && isNumber(scope, x, 0) ? scope.filled(0, aval) : undefined;
    },
    example: (x) =>
      x.constant(0, x.aval).pad([
        [1, 0],
        [0, 2],
      ]),
  },
  {
    name: "a number broadcast where the operation broadcasts",
    because: "Elementwise operations of several inputs broadcast them on their own.",
    of: broadcasting,
    apply: ({ primitive, inputs, params, aval }, scope) => {
      const i = inputs.findIndex((draft) => {
        const source = scope.is(draft, "broadcastTo")?.inputs[0];
        return (
          source !== undefined &&
          scope.aval(source).size === 1 &&
          scope.aval(source).rank <= aval.rank &&
          inputs.some((other) => other !== draft && sameShape(scope.aval(other).shape, aval.shape))
        );
      });
      if (i < 0) return undefined;
      const [source] = (scope.definition(inputs[i]) as Definition).inputs;
      const own = inputs.map((draft) => (draft === inputs[i] ? source : draft));
      return scope.make(primitive, own, params);
    },
    example: (x, y) => [
      x.mul(y.sum().broadcastTo([2, 3])),
      y.sum().broadcastTo([2, 3]).sub(x),
      where(x.gt(0), x, y.sum().broadcastTo([2, 3])),
    ],
  },

  // Reductions and contractions.
  {
    name: "reduced over one element",
    because:
      "The product, largest and smallest of one element is that element. (A sum begins with 0, which a -0 does not outlast.)",
    of: ["prod", "reduceMax", "reduceMin"],
    apply: (site, scope) =>
      scope.aval(site.inputs[0]).size === site.aval.size &&
      (site.params as Axes).axes.every((axis) => scope.aval(site.inputs[0]).shape[axis] === 1)
        ? scope.make(reshape.primitive, site.inputs, shapeOf(site))
        : undefined,
    example: (x) => [
      reduceProd(x, { axes: [] }),
      reduceMax(x.reshape([2, 1, 3]), { axes: [1] }),
      reduceMin(x, { axes: [] }),
    ],
  },
  {
    name: "contraction of a transpose",
    because: "A contraction names the axes of its operands, in whatever order they have them.",
    of: ["dotGeneral"],
    apply: ({ primitive, inputs: [x, y], params }, scope) => {
      const own = params as DotParams;
      const permutationOf = (draft: Draft) =>
        scope.is(draft, "transpose")?.params as { permutation: readonly number[] } | undefined;
      const [left, right] = [permutationOf(x), permutationOf(y)];
      const inner = (draft: Draft): Draft => scope.is(draft, "transpose")?.inputs[0] as Draft;
      if (left !== undefined) {
        const found = throughTranspose(scope.aval(x).rank, left.permutation, own.contractX, own.batchX);
        if (found !== undefined)
          return scope.make(primitive, [inner(x), y], {
            ...own,
            contractX: found.contract,
            batchX: found.batch,
          });
      }
      if (right === undefined) return undefined;
      const found = throughTranspose(scope.aval(y).rank, right.permutation, own.contractY, own.batchY);
      return (
        found &&
        scope.make(primitive, [x, inner(y)], { ...own, contractY: found.contract, batchY: found.batch })
      );
    },
    example: (x, y) => [x.matmul(y.transpose()), x.transpose().matmul(y)],
  },
  {
    name: "transpose of a contraction",
    because: "Products commute: the operands change places, and the sums stay in order.",
    of: ["transpose"],
    apply: ({ inputs: [product], params }, scope) => {
      const inner = scope.is(product, "dotGeneral");
      if (inner === undefined) return undefined;
      const { contractX, contractY, batchX, batchY } = inner.params as DotParams;
      const [x, y] = inner.inputs;
      const batch = batchX.length;
      const freeX = scope.aval(x).rank - contractX.length - batch;
      const freeY = scope.aval(y).rank - contractY.length - batch;
      const { permutation } = params as { permutation: readonly number[] };
      const isSwap = permutation.every((axis, i) =>
        i < batch ? axis === i : i < batch + freeY ? axis === i + freeX : axis === i - freeY,
      );
      if (!isSwap) return undefined;
      return scope.make(inner.primitive, [y, x], {
        contractX: contractY,
        contractY: contractX,
        batchX: batchY,
        batchY: batchX,
      });
    },
    example: (x, y) => x.matmul(y.transpose()).transpose(),
  },

  // From here on only by consent: special values, signs of zeros or last bits may differ.
  {
    name: "x + 0",
    because: "But for -0 + 0, which is 0.",
    isFast: true,
    of: ["add"],
    apply: (site, scope) => whereOther(site, scope, 0),
    example: (x) => x.add(0),
  },
  {
    name: "x - x",
    because: "But for NaN and infinities.",
    isFast: true,
    of: ["sub"],
    apply: ({ inputs: [x, y], aval }, scope) => (x === y ? scope.filled(0, aval) : undefined),
    example: (x) => x.sub(x),
  },
  {
    name: "x * 0",
    because: "But for NaN, infinities, and the sign of the zero; for strongMul but for the sign.",
    isFast: true,
    of: ["mul", "strongMul"],
    apply: ({ inputs, aval }, scope) =>
      inputs.some((draft) => scope.uniform(draft) === 0) ? scope.filled(0, aval) : undefined,
    example: (x) => [x.mul(0), x.strongMul(0)],
  },
  {
    name: "0 / x",
    because: "But for NaN, zero, and the sign of the zero.",
    isFast: true,
    of: ["div"],
    apply: ({ inputs: [x], aval }, scope) => (scope.uniform(x) === 0 ? scope.filled(0, aval) : undefined),
    example: (x) => x.constant(0, x.aval).div(x),
  },
  {
    name: "0 - x",
    because: "But for the sign of a zero.",
    isFast: true,
    of: ["sub"],
    apply: ({ inputs: [x, y], aval }, scope) =>
      isNumber(scope, x, 0) && sameShape(scope.aval(y).shape, aval.shape)
        ? scope.make(neg.primitive, [y])
        : undefined,
    example: (x) => x.constant(0, x.aval).sub(x),
  },
  {
    name: "-(x - y)",
    because: "But for the sign of a zero.",
    isFast: true,
    of: ["neg"],
    apply: ({ inputs: [x] }, scope) => {
      const inner = scope.is(x, "sub");
      return inner && scope.make(sub.primitive, [inner.inputs[1], inner.inputs[0]]);
    },
    example: (x, y) => x.sub(y).neg(),
  },
  {
    name: "constants of sums and products together",
    because: "But for rounding.",
    isFast: true,
    of: ["add", "mul"],
    apply: ({ primitive, inputs, aval }, scope) => {
      const split = ([a, b]: readonly Draft[]): { x: Draft; constant: number } | undefined => {
        const [left, right] = [scope.uniform(a), scope.uniform(b)];
        if (right !== undefined && left === undefined) return { x: a, constant: right };
        return left !== undefined && right === undefined ? { x: b, constant: left } : undefined;
      };
      const outer = split(inputs);
      const inner = outer && scope.is(outer.x, primitive.name);
      const within = inner && split(inner.inputs);
      if (!aval.floating || outer === undefined || within === undefined) return undefined;
      const { constant } = within;
      const both = primitive.name === "add" ? constant + outer.constant : constant * outer.constant;
      const isWhole = sameShape(scope.aval(within.x).shape, aval.shape);
      return isWhole ? scope.make(primitive, [within.x, scope.scalar(both, aval.dtype)]) : undefined;
    },
    example: (x) => [x.mul(3).mul(5), x.add(1.5).add(2)],
  },
  {
    name: "x times a reciprocal",
    because: "But for rounding.",
    isFast: true,
    of: ["mul"],
    apply: ({ inputs: [x, y] }, scope) => {
      const right = scope.is(y, "reciprocal");
      return right && scope.make(div.primitive, [x, right.inputs[0]]);
    },
    example: (x, y) => x.mul(y.reciprocal()),
  },
  {
    name: "powers 2 and 1/2",
    because: "But for rounding, and -Infinity to the power 1/2.",
    isFast: true,
    of: ["pow"],
    apply: ({ inputs: [x, y], aval }, scope) => {
      const exponent = scope.uniform(y);
      if ((exponent !== 2 && exponent !== 0.5) || !sameShape(scope.aval(x).shape, aval.shape))
        return undefined;
      return scope.make((exponent === 2 ? square : sqrt).primitive, [x]);
    },
    example: (x) => [x.pow(2), x.square().pow(0.5)],
  },
  {
    name: "sum over one element",
    because: "But for -0, of which the sum is 0.",
    isFast: true,
    of: ["sum"],
    apply: (site, scope) =>
      (site.params as Axes).axes.every((axis) => scope.aval(site.inputs[0]).shape[axis] === 1)
        ? scope.make(reshape.primitive, site.inputs, shapeOf(site))
        : undefined,
    example: (x) => [reduceSum(x, { axes: [] }), x.reshape([2, 1, 3]).sum({ axis: 1 })],
  },
  {
    name: "sum of a broadcast number",
    because: "But for rounding.",
    isFast: true,
    of: ["sum"],
    apply: ({ inputs: [x], aval }, scope) => {
      const source = scope.is(x, "broadcastTo")?.inputs[0];
      if (source === undefined || scope.aval(source).rank > 0 || !aval.floating || aval.rank > 0)
        return undefined;
      return scope.make(mul.primitive, [source, scope.scalar(scope.aval(x).size, aval.dtype)]);
    },
    example: (x) => x.prod().broadcastTo([3]).sum(),
  },
  {
    name: "exp and log undone",
    because: "But for rounding, overflow, and logarithms of negative numbers.",
    isFast: true,
    of: ["exp", "log"],
    apply: ({ primitive, inputs: [x] }, scope) =>
      scope.is(x, primitive === exp.primitive ? "log" : "exp")?.inputs[0],
    example: (x) => [exp(log(x)), log(exp(x))],
  },
];
