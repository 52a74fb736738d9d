/** Reductions over axes, which the output lacks, and running sums. */
import { type Aval, avalOf, showShape } from "../aval.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { requireAccepted } from "../define/elementwise.ts";
import { type Op, discrete, linear, primitive } from "../define/general.ts";
import { type Draw, type Domain, type Sample, argument, interval, real } from "../sampling.ts";
import type { Value } from "../value.ts";
import { strongMul } from "./binary.ts";
import { where } from "./selection.ts";
import { concatenate } from "./shape.ts";

/** Distinct, sorted axes, none negative: the op functions normalise what the user gives. */
export interface Axes {
  readonly axes: readonly number[];
}

const reduced = ([x]: readonly Aval[], { axes }: Axes): Aval =>
  avalOf(
    x.shape.filter((_, i) => !axes.includes(i)),
    x.dtype,
  );

/** Of sums and products: a bool has no room for them. */
const total =
  (name: string) =>
  ([x]: readonly Aval[], params: Axes): Aval => {
    requireAccepted(name, "numeric", x);
    return reduced([x], params);
  };

function nonEmpty(name: string, x: Aval, axes: readonly number[]): void {
  const empty = axes.find((axis) => x.shape[axis] === 0);
  if (empty !== undefined) {
    fail(
      ShapeError,
      `${name}: ${x} has no elements along axis ${empty}, and ${name} of nothing is not defined.`,
    );
  }
}

/** Axes of an element as axes of a batch. */
const shifted = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);

const perElement = (inputs: readonly Aval[]): number => inputs[0].size;

/** A shape and axes of it. */
function shapeAndAxes(draw: Draw): { shape: number[] } & Axes {
  const shape = draw.shape();
  return { shape, axes: shape.map((_, i) => i).filter(() => draw.bool()) };
}

function reduction(draw: Draw, domain: Domain = real()): Sample {
  const { shape, axes } = shapeAndAxes(draw);
  return { inputs: [argument(shape, domain)], params: { axes } };
}

/** The shape without size 0 along these axes, of which there would be no largest element. */
const filledAlong = (shape: readonly number[], axes: readonly number[]): number[] =>
  shape.map((size, i) => (axes.includes(i) ? Math.max(1, size) : size));

/** Of nothing there is no reduction. */
function reductionOfSome(draw: Draw, domain: Domain): Sample {
  const { shape, axes } = shapeAndAxes(draw);
  return { inputs: [argument(filledAlong(shape, axes), domain)], params: { axes } };
}

/** A reduced value, its reduced axes put back with size 1 and broadcast to the shape before the reduction. */
function spread(value: Value, aval: Aval, axes: readonly number[]): Value {
  return value.reshape(aval.shape.map((n, i) => (axes.includes(i) ? 1 : n))).broadcastTo(aval.shape);
}

export const reduceSum: Op<readonly ["x"], Axes> = linear("sum", {
  args: ["x"],
  shape: total("sum"),
  transpose: { x: (ct, { avals, params }) => spread(ct, avals.x, params.axes) },
  batch: ([x], _, { axes }) => reduceSum(x, { axes: shifted(axes) }),
  cost: perElement,
  sample: (draw) => reduction(draw),
});

/**
 * For each element the product of the others along the axes, without division, so that zeros among them do no harm:
 * pairwise products up a tree and products of siblings down again, O(n) multiplications, differentiable to any order.
 */
function productOfOthers(x: Value, axes: readonly number[]): Value {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const permutation = [...kept, ...axes];
  const permuted = x.transpose(permutation);
  const keptShape = kept.map((i) => x.shape[i]);
  const count = axes.reduce((product, i) => product * x.shape[i], 1);
  const others = othersAlongLast(permuted.reshape([...keptShape, count]));
  const inverse = permutation.map((_, i) => permutation.indexOf(i));
  return others.reshape(permuted.shape).transpose(inverse);
}

function othersAlongLast(x: Value): Value {
  const last = x.rank - 1;
  const lead = x.shape.slice(0, last);
  const count = x.shape[last];
  if (count <= 1) return x.onesLike();
  const half = count >> 1;
  const even = x.slice([...lead.map(() => 0), 0], [...lead, 2 * half]).reshape([...lead, half, 2]);
  const column = (k: number): Value =>
    even.slice([...lead.map(() => 0), 0, k], [...lead, half, k + 1]).reshape([...lead, half]);
  const first = column(0);
  const second = column(1);
  const odd = x.slice([...lead.map(() => 0), 2 * half], [...lead, count]);
  const pairs =
    odd.shape[last] === 0 ? first.mul(second) : concatenate([first.mul(second), odd], { axis: last });
  const outer = othersAlongLast(pairs);
  const outerPairs = outer.slice(lead.map(() => 0).concat(0), [...lead, half]);
  const interleaved = concatenate(
    [outerPairs.mul(second).reshape([...lead, half, 1]), outerPairs.mul(first).reshape([...lead, half, 1])],
    { axis: last + 1 },
  ).reshape([...lead, 2 * half]);
  if (odd.shape[last] === 0) return interleaved;
  return concatenate([interleaved, outer.slice([...lead.map(() => 0), half], [...lead, half + 1])], {
    axis: last,
  });
}

export const reduceProd: Op<readonly ["x"], Axes> = primitive("prod", {
  args: ["x"],
  residuals: { x: ["x"] },
  shape: total("prod"),
  jvp: { x: (dx, { x, params }) => reduceSum(strongMul(dx, productOfOthers(x, params.axes)), params) },
  vjp: {
    x: (ct, { x, avals, params }) =>
      strongMul(spread(ct, avals.x, params.axes), productOfOthers(x, params.axes)),
  },
  batch: ([x], _, { axes }) => reduceProd(x, { axes: shifted(axes) }),
  cost: perElement,
  sample: (draw) => reduction(draw, interval(-2, 2)),
});

/**
 * Which elements the reduction chose, and its derivative with respect to each of these and each of the others: that is 0,
 * but NaN for all where there is a NaN, which equals nothing. Of what is as large as x only bools are kept.
 */
function choice(
  x: Value,
  output: Value,
  axes: readonly number[],
): { readonly chosen: Value; readonly share: Value; readonly rest: Value } {
  const chosen = x.eq(spread(output, x.aval, axes));
  const share = reduceSum(chosen.astype(x.dtype), { axes }).reciprocal();
  return { chosen, share, rest: share.sub(share) };
}

const [half, third] = [1 / 2, 1 / 3];

const extremum = (name: "reduceMax" | "reduceMin"): Op<readonly ["x"], Axes> => {
  const reduce: Op<readonly ["x"], Axes> = primitive(name, {
    args: ["x"],
    residuals: { x: ["x", "output"] },
    shape: ([x], params: Axes) => {
      nonEmpty(name, x, params.axes);
      return reduced([x], params);
    },
    jvp: {
      x: (dx, { x, output, params }) => {
        const { chosen, share, rest } = choice(x, output, params.axes);
        const others = strongMul(dx, spread(rest, x.aval, params.axes));
        return strongMul(reduceSum(where(chosen, dx, others), params), share);
      },
    },
    vjp: {
      x: (ct, { x, output, avals, params }) => {
        const { chosen, share, rest } = choice(x, output, params.axes);
        const of = (part: Value): Value => spread(strongMul(ct, part), avals.x, params.axes);
        return where(chosen, of(share), of(rest));
      },
    },
    batch: ([x], _, { axes }) => reduce(x, { axes: shifted(axes) }),
    cost: perElement,
    sample: (draw) => reductionOfSome(draw, real({ distinct: true })),
    kinks: [
      {
        at: [
          [
            [2, 1, 2, 2],
            [1, 1, 2, 2],
          ],
        ],
        params: { axes: [1] },
        partials: [
          name === "reduceMax"
            ? [
                [third, 0, third, third],
                [0, 0, half, half],
              ]
            : [
                [0, 1, 0, 0],
                [half, half, 0, 0],
              ],
        ],
        because: "the sub- or supergradient of minimum norm: those that tie get the same share",
      },
      {
        at: [[1, NaN, 2]],
        params: { axes: [0] },
        partials: [[NaN, NaN, NaN]],
        because: "beside a NaN nothing is the largest or smallest",
      },
    ],
  });
  return reduce;
};

/** The largest element; NaN where there is one. k elements that tie get 1/k of the derivative each. */
export const reduceMax: Op<readonly ["x"], Axes> = extremum("reduceMax");
/** The smallest element; NaN where there is one. k elements that tie get 1/k of the derivative each. */
export const reduceMin: Op<readonly ["x"], Axes> = extremum("reduceMin");

/** log(sum(exp(x))), without overflow. Its derivative is the softmax. */
export const reduceLogSumExp: Op<readonly ["x"], Axes> = primitive("logSumExp", {
  args: ["x"],
  residuals: { x: ["x", "output"] },
  shape: ([x], params: Axes) => {
    if (!x.floating)
      fail(DTypeError, `logSumExp: ${x} was given; it takes float64 or float32. Convert with astype.`);
    return reduced([x], params);
  },
  jvp: {
    x: (dx, { x, output, params }) =>
      reduceSum(strongMul(dx, x.sub(spread(output, x.aval, params.axes)).exp()), params),
  },
  vjp: {
    x: (ct, { x, output, avals, params }) =>
      strongMul(spread(ct, avals.x, params.axes), x.sub(spread(output, avals.x, params.axes)).exp()),
  },
  batch: ([x], _, { axes }) => reduceLogSumExp(x, { axes: shifted(axes) }),
  cost: ([x]) => 12 * x.size,
  sample: (draw) => reductionOfSome(draw, real()),
});

export interface Axis {
  readonly axis: number;
}

const argExtremum = (name: "argmax" | "argmin"): Op<readonly ["x"], Axis> => {
  const choose: Op<readonly ["x"], Axis> = discrete(name, {
    args: ["x"],
    shape: ([x], { axis }: Axis) => {
      nonEmpty(name, x, [axis]);
      return avalOf(
        x.shape.filter((_, i) => i !== axis),
        "int32",
      );
    },
    batch: ([x], _, { axis }) => choose(x, { axis: axis + 1 }),
    cost: perElement,
    sample: (draw) => {
      const shape = draw.shape({ minRank: 1 });
      const axis = draw.int(0, shape.length - 1);
      // Few numbers, so that there are ties, and one that wins over all.
      const domain = interval(-2, 2, { integer: true, special: [Infinity, -Infinity, NaN] });
      return { inputs: [argument(filledAlong(shape, [axis]), domain)], params: { axis } };
    },
  });
  return choose;
};

/** The index of the first largest element along the axis. */
export const argmaxAlong: Op<readonly ["x"], Axis> = argExtremum("argmax");
/** The index of the first smallest element along the axis. */
export const argminAlong: Op<readonly ["x"], Axis> = argExtremum("argmin");

export interface CumulativeParams extends Axis {
  /** From the end backwards. */
  readonly reverse: boolean;
}

/** Running sums along an axis. */
export const cumulativeSum: Op<readonly ["x"], CumulativeParams> = linear("cumsum", {
  args: ["x"],
  shape: ([x], { axis }: CumulativeParams) => {
    requireAccepted("cumsum", "numeric", x);
    if (axis >= x.rank) fail(ShapeError, `cumsum: axis ${axis} asked for in shape ${showShape(x.shape)}.`);
    return x;
  },
  transpose: { x: (ct, { params: { axis, reverse } }) => cumulativeSum(ct, { axis, reverse: !reverse }) },
  batch: ([x], _, { axis, reverse }) => cumulativeSum(x, { axis: axis + 1, reverse }),
  cost: perElement,
  sample: (draw) => {
    const shape = draw.shape({ minRank: 1 });
    return {
      inputs: [argument(shape)],
      params: { axis: draw.int(0, shape.length - 1), reverse: draw.bool() },
    };
  },
});
