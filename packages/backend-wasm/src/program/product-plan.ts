/** How a product of matrices is taken apart: what is packed, how large tiles are, where sums are cut. */
import type { DType } from "@cotangent/core";
import { type ProductAxis, type ProductSpec, countOf, simplest, swapped } from "./contraction.ts";
import type { Epilogue } from "./epilogue.ts";
import { bytesPer, impossible, lanesFor } from "./registers.ts";

export const [A, B, C] = [0, 1, 2] as const;
/** A, B, C, or from the fourth on what an epilogue reads and writes. */
export type Operand = number;

/** From so many multiplications on, a product can be run in parts; and into about how many. */
export const manyProducts = 262_144;
export const parts = 24;
/** B is packed from so many bytes on: about what the first cache holds beside the rest. */
const manyBytes = 16_384;

/** Most columns that are summed along vectors of terms. */
const mostDots = 4;

/** How a product is taken apart. */
export interface ProductPlan {
  readonly spec: ProductSpec;
  /** Whether it multiplies and adds in one instruction, of relaxed SIMD. */
  readonly fusesMultiplyAdd: boolean;
  /** Whether its A is the B of the product that was asked for. */
  readonly isSwapped: boolean;
  /** Sums along vectors of terms, as opposed to tiles with vectors of columns. */
  readonly isDot: boolean;
  readonly packsB: boolean;
  readonly packsA: "no" | "rows" | "terms";
  /** Whether it does what comes after the product too. */
  readonly canFinish: boolean;
  /** The panels of B, which are shared by all of a batch where B is. */
  readonly panelBytes: number;
  readonly isSharedB: boolean;
  /** Of a tile: most rows, and vectors of columns. */
  readonly height: number;
  readonly vectors: number;
  /** At which axis the terms are taken apart, and into pieces of how many steps of it. */
  readonly splitAxis: number;
  readonly splitSize: number;
}

const one: ProductAxis = { size: 1, strides: [0, 0, 0] };
export const atLeastOne = (axes: readonly ProductAxis[]): readonly ProductAxis[] =>
  axes.length === 0 ? [one] : axes;

/** The stride of an operand through axes that it goes through as through one; undefined where there is none. */
export function strideThrough(axes: readonly ProductAxis[], operand: Operand): number | undefined {
  const isOne = axes.every(
    ({ strides }, i) => i === 0 || axes[i - 1].strides[operand] === strides[operand] * axes[i].size,
  );
  return isOne ? (axes.at(-1)?.strides[operand] ?? 0) : undefined;
}

/** The dtypes of what an epilogue reads besides the product, and of what it writes besides C. */
export const operandsOf = ({ graph, main }: Epilogue): DType[] =>
  [...graph.inputs.slice(1), ...graph.outputAvals.filter((_, i) => i !== main)].map(({ dtype }) => dtype);

export function planOf(given: ProductSpec, fusesMultiplyAdd: boolean): ProductPlan {
  const lanes = lanesFor([given.dtype]);
  const bytes = bytesPer[given.dtype];
  let spec = simplest(given);
  const isDirect = (axes: readonly ProductAxis[], operand: Operand): boolean => {
    const stride = strideThrough(axes, operand);
    return stride !== undefined && stride >= 0 && stride * bytes < 2 ** 24;
  };
  const isContiguous = (axes: readonly ProductAxis[], operand: Operand): boolean =>
    strideThrough(axes, operand) === 1;
  const isRun = ({ size, strides }: ProductAxis): boolean => size >= lanes && strides[A] === 1;
  // Few columns: vectors lie along the terms, or, where those are far apart, along what were the rows.
  let isSwapped = false;
  const swap = (): void => {
    spec = swapped(spec);
    isSwapped = !isSwapped;
  };
  const [m, n] = [countOf(spec.rows), countOf(spec.columns)];
  const isFewColumns = n < lanes && m > n && isContiguous(spec.rows, A) && isDirect(spec.terms, A);
  const isFewRows = m <= mostDots && n > m && isContiguous(spec.terms, B) && isDirect(spec.columns, B);
  if (isFewColumns && !isContiguous(spec.terms, A)) swap();
  else if (isFewRows && !isContiguous(spec.columns, B)) swap();
  // Vectors of C are written along its columns.
  if (strideThrough(spec.columns, C) === undefined) {
    if (strideThrough(spec.rows, C) === undefined) impossible("no axis of a product is in order");
    swap();
  }
  const { batch, rows, columns, terms } = spec;
  const [height, width, depth] = [rows, columns, terms].map(countOf);
  const isStraightA = isDirect(rows, A) && isDirect(terms, A);
  const isStraightB = isDirect(columns, B) && isDirect(terms, B);
  const hasRuns = terms.length > 0 && isRun(terms[terms.length - 1]);
  // Sums along the terms, where those of A lie side by side, or come so when they are packed.
  const isDotB = isStraightB && isContiguous(terms, B);
  const canDot = depth >= 2 * lanes && (isStraightA ? isContiguous(terms, A) : hasRuns);
  const isDot = canDot && (width < lanes || (width <= mostDots && isDotB)) && (isDotB || height >= 4);
  const isSharedB = batch.every(({ strides }) => strides[B] === 0);
  const canReadB = isStraightB && (isContiguous(columns, B) || width === 1);
  const packsB = isDot
    ? !isDotB
    : !canReadB ||
      (height >= 8 && (width % lanes !== 0 || (height >= 24 && width * depth * bytes > manyBytes)));
  const vectorsOfB = Math.ceil(width / lanes);
  const [tileRows, vectors] = isDot
    ? [[4, 4, 3, 2][width - 1], vectorsOfB]
    : height <= 2
      ? [height, Math.min(vectorsOfB, height === 1 ? 8 : 4)]
      : vectorsOfB === 1
        ? [8, 1]
        : vectorsOfB === 3
          ? [3, 3]
          : [fusesMultiplyAdd ? 6 : 4, 2];
  const panels = Math.ceil(vectorsOfB / vectors);
  const packsA =
    isStraightA && (isContiguous(terms, A) || panels <= 4 || height <= 2) ? "no" : hasRuns ? "rows" : "terms";
  // Few rows go along rows of B, of which only some are at hand at once.
  const mostDepth = isDot && isStraightA ? Infinity : !isDot && !packsB && height <= 2 ? 64 : 2048 / bytes;
  const { splitAxis, splitSize } = splitOf(atLeastOne(terms), mostDepth);
  const others = spec.epilogue === undefined ? 0 : operandsOf(spec.epilogue).length;
  const canFinish = Array.from({ length: others }, (_, i) => strideThrough(columns, 3 + i)).every(
    (stride) => stride !== undefined,
  );
  return {
    spec,
    fusesMultiplyAdd,
    isSwapped,
    isDot,
    packsB,
    packsA,
    canFinish,
    panelBytes: packsB
      ? (isSharedB ? 1 : countOf(batch)) * depth * (isDot ? width : vectorsOfB * lanes) * bytes
      : 0,
    isSharedB,
    height: tileRows,
    vectors,
    splitAxis,
    splitSize,
  };
}

/** Pieces of the terms, none of much more than `most`, of about equal size. */
function splitOf(terms: readonly ProductAxis[], most: number): { splitAxis: number; splitSize: number } {
  let inner = 1;
  let axis = terms.length - 1;
  while (axis > 0 && inner * terms[axis].size <= most) inner *= terms[axis--].size;
  const { size } = terms[axis];
  const fitting = Math.max(1, Math.floor((1.5 * most) / inner));
  const pieces = size <= fitting ? 1 : Math.ceil(size / Math.max(1, Math.floor(most / inner)));
  return { splitAxis: axis, splitSize: Math.ceil(size / pieces) };
}
