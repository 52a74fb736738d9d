/** The general contraction, of which matmul, dot, outer and einsum are special cases. */
import { type Aval, avalOf, showShape } from "../aval.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { type Op, bilinear } from "../define/general.ts";
import { argument } from "../sampling.ts";
import { moveAxis } from "../vmap/batch-rules.ts";

/**
 * Which axes of x and y are paired and summed over (`contract`), and which are paired and kept (`batch`). The
 * output's axes are the batch axes, then the other axes of x, then those of y.
 */
export interface DotParams {
  readonly contractX: readonly number[];
  readonly contractY: readonly number[];
  readonly batchX: readonly number[];
  readonly batchY: readonly number[];
}

const freeAxes = (rank: number, ...used: (readonly number[])[]): number[] =>
  Array.from({ length: rank }, (_, i) => i).filter((i) => !used.some((list) => list.includes(i)));

const range = (start: number, count: number): number[] => Array.from({ length: count }, (_, i) => start + i);

function dotShape([x, y]: readonly Aval[], params: DotParams): Aval {
  const { contractX, contractY, batchX, batchY } = params;
  if (x.dtype !== y.dtype || x.dtype === "bool") {
    fail(DTypeError, `dotGeneral: ${x} and ${y} need one numeric dtype. Convert one with astype.`);
  }
  const fits = (a: readonly number[], b: readonly number[]): boolean =>
    a.length === b.length && a.every((axis, i) => x.shape[axis] === y.shape[b[i]]);
  if (!fits(contractX, contractY) || !fits(batchX, batchY)) {
    fail(
      ShapeError,
      `dotGeneral: ${x} and ${y} cannot be contracted over axes ${showShape(contractX)} of the first with ` +
        `${showShape(contractY)} of the second (batch axes ${showShape(batchX)}, ${showShape(batchY)}). ` +
        `Paired axes must have equal sizes.`,
    );
  }
  return avalOf(
    [
      ...batchX.map((i) => x.shape[i]),
      ...freeAxes(x.rank, contractX, batchX).map((i) => x.shape[i]),
      ...freeAxes(y.rank, contractY, batchY).map((i) => y.shape[i]),
    ],
    x.dtype,
  );
}

/** The contraction that gives the cotangent of one operand lays its axes out as [batch, free, contract]; undo that. */
function restore(rank: number, layout: readonly number[]): number[] {
  const permutation = new Array<number>(rank);
  layout.forEach((axis, position) => (permutation[axis] = position));
  return permutation;
}

export const dotGeneral: Op<readonly ["x", "y"], DotParams> = bilinear("dotGeneral", {
  shape: dotShape,
  transpose: {
    x: (ct, { y, avals, params: { contractX, contractY, batchX, batchY } }) => {
      const freeX = freeAxes(avals.x.rank, contractX, batchX);
      const freeY = freeAxes(avals.y.rank, contractY, batchY);
      const batch = batchX.length;
      const found = dotGeneral(ct, y, {
        contractX: range(batch + freeX.length, freeY.length),
        contractY: freeY,
        batchX: range(0, batch),
        batchY,
      });
      // The remaining axes of y are its contracted ones, in the order in which y has them.
      const contracted = [...contractY.keys()]
        .sort((a, b) => contractY[a] - contractY[b])
        .map((i) => contractX[i]);
      return found.transpose(restore(avals.x.rank, [...batchX, ...freeX, ...contracted]));
    },
    y: (ct, { x, avals, params: { contractX, contractY, batchX, batchY } }) => {
      const freeX = freeAxes(avals.x.rank, contractX, batchX);
      const freeY = freeAxes(avals.y.rank, contractY, batchY);
      const batch = batchX.length;
      const found = dotGeneral(x, ct, {
        contractX: freeX,
        contractY: range(batch, freeX.length),
        batchX,
        batchY: range(0, batch),
      });
      const contracted = [...contractX.keys()]
        .sort((a, b) => contractX[a] - contractX[b])
        .map((i) => contractY[i]);
      return found.transpose(restore(avals.y.rank, [...batchY, ...contracted, ...freeY]));
    },
  },
  batch: ([x, y], [isXBatched, isYBatched], { contractX, contractY, batchX, batchY }) => {
    const [shiftX, shiftY] = [Number(isXBatched), Number(isYBatched)];
    const shifted = {
      contractX: contractX.map((axis) => axis + shiftX),
      contractY: contractY.map((axis) => axis + shiftY),
      batchX: batchX.map((axis) => axis + shiftX),
      batchY: batchY.map((axis) => axis + shiftY),
    };
    if (isXBatched && isYBatched)
      return dotGeneral(x, y, { ...shifted, batchX: [0, ...shifted.batchX], batchY: [0, ...shifted.batchY] });
    // The batch is one more free axis of the one operand, the first of its free axes.
    const found = dotGeneral(x, y, shifted);
    const freeOfX = freeAxes(x.rank, shifted.contractX, shifted.batchX).length;
    return moveAxis(found, batchX.length + (isXBatched ? 0 : freeOfX), 0);
  },
  cost: ([x], output, { contractX }) => 2 * output.size * contractX.reduce((n, axis) => n * x.shape[axis], 1),
  sample: (draw) => {
    const size = (): number => draw.int(0, 3);
    const [b, m, k1, k2, n] = [size(), size(), size(), size(), size()];
    const layouts = [
      { x: [m, k1], y: [k1, n], params: { contractX: [1], contractY: [0], batchX: [], batchY: [] } },
      { x: [k1, m], y: [n, k1], params: { contractX: [0], contractY: [1], batchX: [], batchY: [] } },
      { x: [b, m, k1], y: [b, k1, n], params: { contractX: [2], contractY: [1], batchX: [0], batchY: [0] } },
      {
        x: [m, k1, b, k2],
        y: [k2, n, k1, b],
        params: { contractX: [1, 3], contractY: [2, 0], batchX: [2], batchY: [3] },
      },
      { x: [m], y: [n], params: { contractX: [], contractY: [], batchX: [], batchY: [] } },
      { x: [k1], y: [k1], params: { contractX: [0], contractY: [0], batchX: [], batchY: [] } },
    ];
    const { x, y, params } = draw.choose(layouts);
    return { inputs: [argument(x), argument(y)], params };
  },
});
