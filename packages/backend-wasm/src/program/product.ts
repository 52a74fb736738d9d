/**
 * Products of matrices: tiles of C in registers, blocks of A and panels of B in caches (K. Goto, R. A. van de Geijn, "Anatomy
 * of High-Performance Matrix Multiplication", 2008). What lies badly is packed: B as a whole before, into panels as wide as a
 * tile; rows of A block by block, into memory that each thread has for itself.
 */
import type { DType, GraphNode, Variable } from "@cotangent/core";
import {
  type Expr,
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  f32,
  f32x4,
  f64,
  f64x2,
  i32,
  i32x4,
  v128,
} from "../emit/index.ts";
import { scratchBytes } from "../threads/pool.ts";
import type { Emitted, Shared } from "./cluster.ts";
import { type ProductAxis, type ProductSpec, countOf, simplest, swapped } from "./contraction.ts";
import { elementwise, keepIn } from "./elementwise.ts";
import type { Epilogue } from "./epilogue.ts";
import {
  bytesPer,
  impossible,
  lanesFor,
  literal,
  loadScalar,
  loadVector,
  storeScalar,
  storeVector,
} from "./registers.ts";

const [A, B, C] = [0, 1, 2] as const;
/** A, B, C, or from the fourth on what an epilogue reads and writes. */
type Operand = number;

/** A module with the one instruction that multiplies and adds at once where the machine has that (relaxed SIMD). */
const withMultiplyAdd = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32,
  1, 32, 2, 253, 133, 2, 11,
]);
const hasMultiplyAdd = WebAssembly.validate(withMultiplyAdd);

/** From so many multiplications on, a product can be run in parts; and into about how many. */
const manyProducts = 262_144;
const parts = 24;
/** Most tiles of a block of rows, which a panel of B meets while it is in the first cache. */
const mostTiles = 16;
/** B is packed from so many bytes on: about what the first cache holds beside the rest. */
const manyBytes = 16_384;

/** Most columns that are summed along vectors of terms. */
const mostDots = 4;

/** How a product is taken apart. */
export interface ProductPlan {
  readonly spec: ProductSpec;
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
const atLeastOne = (axes: readonly ProductAxis[]): readonly ProductAxis[] =>
  axes.length === 0 ? [one] : axes;

/** The stride of an operand through axes that it goes through as through one; undefined where there is none. */
function strideThrough(axes: readonly ProductAxis[], operand: Operand): number | undefined {
  const isOne = axes.every(
    ({ strides }, i) => i === 0 || axes[i - 1].strides[operand] === strides[operand] * axes[i].size,
  );
  return isOne ? (axes.at(-1)?.strides[operand] ?? 0) : undefined;
}

/** The dtypes of what an epilogue reads besides the product, and of what it writes besides C. */
const operandsOf = ({ graph, main }: Epilogue): DType[] =>
  [...graph.inputs.slice(1), ...graph.outputAvals.filter((_, i) => i !== main)].map(({ dtype }) => dtype);

export function planOf(given: ProductSpec): ProductPlan {
  const lanes = lanesFor([given.dtype]);
  const bytes = bytesPer[given.dtype];
  let spec = simplest(given);
  const isDirect = (axes: readonly ProductAxis[], operand: Operand): boolean => {
    const stride = strideThrough(axes, operand);
    return stride !== undefined && stride >= 0 && stride * bytes < 2 ** 24;
  };
  const isContiguous = (axes: readonly ProductAxis[], operand: Operand): boolean =>
    strideThrough(axes, operand) === 1;
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
  const isDot =
    width <= mostDots &&
    depth >= 2 * lanes &&
    isStraightA &&
    isStraightB &&
    isContiguous(terms, A) &&
    isContiguous(terms, B);
  const isSharedB = batch.every(({ strides }) => strides[B] === 0);
  const canReadB = isStraightB && (isContiguous(columns, B) || width === 1);
  const packsB =
    !isDot &&
    (!canReadB ||
      (height >= 8 && (width % lanes !== 0 || (height >= 24 && width * depth * bytes > manyBytes))));
  const vectorsOfB = Math.ceil(width / lanes);
  const [tileRows, vectors] =
    height <= 2
      ? [height, Math.min(vectorsOfB, height === 1 ? 8 : 4)]
      : vectorsOfB === 1
        ? [8, 1]
        : vectorsOfB === 3
          ? [3, 3]
          : [hasMultiplyAdd ? 6 : 4, 2];
  const panels = Math.ceil(vectorsOfB / vectors);
  const packsA =
    isDot || (isStraightA && (isContiguous(terms, A) || panels <= 4 || height <= 2))
      ? "no"
      : terms.length > 0 && terms[terms.length - 1].strides[A] === 1 && terms[terms.length - 1].size >= lanes
        ? "rows"
        : "terms";
  // Few rows go along rows of B, of which only some are at hand at once.
  const mostDepth = isDot ? Infinity : !packsB && height <= 2 ? 64 : 2048 / bytes;
  const { splitAxis, splitSize } = splitOf(atLeastOne(terms), mostDepth);
  const others = spec.epilogue === undefined ? 0 : operandsOf(spec.epilogue).length;
  const canFinish =
    !isDot &&
    Array.from({ length: others }, (_, i) => strideThrough(columns, 3 + i)).every(
      (stride) => stride !== undefined,
    );
  return {
    spec,
    isSwapped,
    isDot,
    packsB,
    packsA,
    canFinish,
    panelBytes: packsB ? (isSharedB ? 1 : countOf(batch)) * depth * vectorsOfB * lanes * bytes : 0,
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

/** What is common to the functions of one product. */
class ProductCode {
  readonly plan: ProductPlan;
  readonly module: ModuleBuilder;
  readonly dtype: DType;
  readonly bytes: number;
  readonly lanes: 4 | 2;
  readonly terms: readonly ProductAxis[];
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Columns of a panel of B, and of the last one. */
  readonly width: number;
  readonly lastWidth: number;
  readonly panels: number;

  constructor(module: ModuleBuilder, plan: ProductPlan) {
    const { spec, vectors } = plan;
    this.plan = plan;
    this.module = module;
    this.dtype = spec.dtype;
    this.bytes = bytesPer[spec.dtype];
    this.lanes = lanesFor([spec.dtype]);
    this.terms = atLeastOne(spec.terms);
    this.rows = countOf(spec.rows);
    this.columns = countOf(spec.columns);
    this.depth = countOf(spec.terms);
    this.width = vectors * this.lanes;
    this.panels = Math.ceil(this.columns / this.width);
    this.lastWidth = this.columns - (this.panels - 1) * this.width;
  }

  /** A width of columns as whole vectors. */
  padded(width: number): number {
    return Math.ceil(width / this.lanes) * this.lanes;
  }

  /** Bytes from the start of an operand to where the index of some axes, taken as one number, leads. */
  offset(
    f: FunctionBuilder,
    index: Expr,
    axes: readonly ProductAxis[],
    operand: Operand,
    bytes: number = this.bytes,
  ): Expr {
    const straight = strideThrough(axes, operand);
    if (straight !== undefined) return scaled(index, straight * bytes);
    let rest = f.let(index).get;
    let total: Expr | undefined;
    for (let i = axes.length - 1; i >= 0; i--) {
      const { size, strides } = axes[i];
      const digit = i === 0 ? rest : i32.rem_u(rest, i32.const(size));
      const part = scaled(digit, strides[operand] * bytes);
      total = total === undefined ? part : i32.add(total, part);
      if (i > 0) rest = f.let(i32.div_u(rest, i32.const(size))).get;
    }
    return total ?? i32.const(0);
  }

  multiplyAdd(a: Expr, b: Expr, sum: Expr): Expr {
    if (this.dtype === "int32") return i32x4.add(sum, i32x4.mul(a, b));
    const ops = this.dtype === "float64" ? f64x2 : f32x4;
    return hasMultiplyAdd ? ops.relaxed_madd(a, b, sum) : ops.add(sum, ops.mul(a, b));
  }

  add(a: Expr, b: Expr): Expr {
    return (this.dtype === "int32" ? i32x4 : this.dtype === "float64" ? f64x2 : f32x4).add(a, b);
  }

  load(address: Expr, active: number, stride = 1): Expr {
    return loadVector(address, this.dtype, this.lanes, stride, active);
  }
}

const scaled = (index: Expr, factor: number): Expr =>
  factor === 0 ? i32.const(0) : factor === 1 ? index : i32.mul(index, i32.const(factor));

const plus = (address: Expr, bytes: number): Expr =>
  bytes === 0 ? address : i32.add(address, i32.const(bytes));

const advance = (f: FunctionBuilder, pointer: Local, by: number | Expr): void => {
  if (by !== 0) f.set(pointer, i32.add(pointer.get, typeof by === "number" ? i32.const(by) : by));
};

/** Runs the body for a number that is at least 1. */
function repeat(f: FunctionBuilder, count: number | Expr, body: () => void): void {
  if (count === 1) {
    body();
    return;
  }
  const left = f.let(typeof count === "number" ? i32.const(count) : count);
  f.loop((again) => {
    body();
    f.set(left, i32.sub(left.get, i32.const(1)));
    f.branchIf(again, left.get);
  });
}

/** Runs the body for each number from one to short of another. */
function each(f: FunctionBuilder, from: Expr, to: Expr, body: (i: Expr) => void): void {
  const i = f.let(from);
  const end = f.let(to);
  f.block((done) =>
    f.loop((again) => {
      f.branchIf(done, i32.ge_s(i.get, end.get));
      body(i.get);
      advance(f, i, 1);
      f.branch(again);
    }),
  );
}

/** The smaller of two numbers that are not negative. */
const least = (a: Expr, b: Expr): Expr => i32.select(a, b, i32.lt_s(a, b));

/** Packs B: from its address and that of the panels. */
export function emitPanels(module: ModuleBuilder, plan: ProductPlan): Emitted {
  const code = new ProductCode(module, plan);
  const { spec, isSharedB } = plan;
  const { bytes, panels, depth, width, lastWidth } = code;
  const batches = isSharedB ? 1 : countOf(spec.batch);
  const all = panels * batches;
  const isLarge = depth * code.columns * batches >= manyProducts / 8;
  const units = isLarge ? all : 1;
  const f = module.function("panels", units > 1 ? ["i32", "i32", "i32", "i32"] : ["i32", "i32"]);
  const [y, target, begin, end] = f.args;
  const gather = (active: number): FunctionBuilder => emitGather(code, B, 0, code.padded(active), active);
  const whole = panels > 1 ? gather(width) : undefined;
  const last = gather(lastWidth);
  const batchBytes = depth * ((panels - 1) * width + code.padded(lastWidth)) * bytes;
  each(f, units > 1 ? begin.get : i32.const(0), units > 1 ? end.get : i32.const(all), (unit) => {
    const panel = f.let(i32.rem_u(unit, i32.const(panels)));
    const product = f.let(i32.div_u(unit, i32.const(panels)));
    const source = f.let(i32.add(y.get, code.offset(f, product.get, spec.batch, B)));
    const at = i32.add(scaled(product.get, batchBytes), scaled(panel.get, depth * width * bytes));
    const args = [
      source.get,
      i32.add(target.get, at),
      scaled(panel.get, width),
      i32.const(code.terms[0].size),
    ];
    const rest = (): void => f.call(last, ...args);
    if (whole === undefined) rest();
    else f.if(i32.eq(panel.get, i32.const(panels - 1)), rest, () => f.call(whole, ...args));
  });
  return { f, units, callsHost: false };
}

/**
 * Packs `active` rows of A, or columns of B, from the one with a number on: for each term their elements side by side, with
 * zeros up to the width. Arguments: the source, the target, the number, and how many steps of the first of the terms' axes.
 */
function emitGather(
  code: ProductCode,
  operand: typeof A | typeof B,
  firstAxis: number,
  width: number,
  active: number,
): FunctionBuilder {
  const { dtype, bytes, lanes, module } = code;
  const { spec } = code.plan;
  const axes = operand === A ? spec.rows : spec.columns;
  const f = module.function(`gather_${active}`, ["i32", "i32", "i32", "i32"]);
  const [source, target, number, steps] = f.args;
  const starts = Array.from({ length: active }, (_, r) =>
    f.let(i32.add(source.get, code.offset(f, plus(number.get, r), axes, operand))),
  );
  const at = f.local("i32");
  /** Goes through the terms; `several` does as many of them as a vector has lanes, where they lie side by side. */
  const walk = (body: () => void, several?: () => void): void => {
    const next = (terms: number, step: number): void => {
      advance(f, target, terms * width * bytes);
      advance(f, at, terms * step);
    };
    const inner = (axis: number): void => {
      const { size, strides } = code.terms[axis];
      const step = strides[operand] * bytes;
      const count = axis === firstAxis ? steps.get : size;
      const isInnermost = axis === code.terms.length - 1;
      if (isInnermost && several !== undefined) {
        const left = f.let(typeof count === "number" ? i32.const(count) : count);
        f.block((end) =>
          f.loop((again) => {
            f.branchIf(end, i32.lt_s(left.get, i32.const(lanes)));
            several();
            next(lanes, step);
            advance(f, left, -lanes);
            f.branch(again);
          }),
        );
        f.if(left.get, () =>
          repeat(f, left.get, () => {
            body();
            next(1, step);
          }),
        );
      } else
        repeat(f, count, () => {
          if (isInnermost) {
            body();
            next(1, step);
          } else {
            inner(axis + 1);
            advance(f, at, step);
          }
        });
      if (axis > firstAxis) advance(f, at, -size * step);
    };
    inner(firstAxis);
  };
  const zero = literal(0, dtype, 1);
  const one = (): void => {
    for (let r = 0; r < width; r++) {
      const value = r < active ? loadScalar(i32.add(starts[r].get, at.get), dtype) : zero;
      f.store(storeScalar(target.get, value, dtype, r * bytes));
    }
  };
  /** The elements of as many terms as there are lanes, for as many rows, with the lanes in each other's places. */
  const transposed = (): void => {
    for (let r = 0; r < width; r += lanes) {
      const vectors = Array.from({ length: lanes }, (_, i) =>
        r + i < active ? f.let(v128.load(i32.add(starts[r + i].get, at.get))).get : literal(0, dtype, lanes),
      );
      transpose(f, vectors).forEach((vector, term) =>
        f.store(v128.store(target.get, vector, (term * width + r) * bytes)),
      );
    }
  };
  const last = code.terms[code.terms.length - 1];
  const canTranspose = last.strides[operand] === 1 && last.size >= lanes && width % lanes === 0;
  const oneByOne = (): void => walk(one, canTranspose ? transposed : undefined);
  const straight = strideThrough(axes, operand);
  const canBeTogether = active > 1 && axes.at(-1)?.strides[operand] === 1;
  const together = (): void => {
    const start = starts[0];
    walk(() => {
      const from = f.let(i32.add(start.get, at.get)).get;
      for (let r = 0; r < width; r += lanes) {
        const [here, room] = [Math.min(lanes, active - r), Math.min(lanes, width - r)];
        const vector = code.load(plus(from, r * bytes), here);
        for (const store of storeVector(plus(target.get, r * bytes), vector, dtype, lanes, 1, room))
          f.store(store);
      }
    });
  };
  if (canBeTogether && straight === 1) together();
  else if (canBeTogether) {
    const span = i32.sub(starts[active - 1].get, starts[0].get);
    f.if(i32.eq(span, i32.const((active - 1) * bytes)), together, oneByOne);
  } else oneByOne();
  return f;
}

/** Four vectors of four lanes, or two of two, with rows and columns in each other's places. */
function transpose(f: FunctionBuilder, vectors: readonly Expr[]): Expr[] {
  const bytesFrom = (first: number, count: number): number[] =>
    Array.from({ length: count }, (_, i) => first + i);
  const words = (...lanes: readonly number[]): number[] => lanes.flatMap((lane) => bytesFrom(4 * lane, 4));
  const [low, high] = [words(0, 1, 4, 5), words(2, 3, 6, 7)];
  if (vectors.length === 2) {
    const [a, b] = vectors;
    return [v128.shuffle(a, b, low), v128.shuffle(a, b, high)];
  }
  const [a, b, c, d] = vectors;
  const [first, second] = [words(0, 4, 1, 5), words(2, 6, 3, 7)];
  const halves = [v128.shuffle(a, b, first), v128.shuffle(c, d, first)].map((x) => f.let(x).get);
  const others = [v128.shuffle(a, b, second), v128.shuffle(c, d, second)].map((x) => f.let(x).get);
  return [halves, others].flatMap(([x, y]) => [v128.shuffle(x, y, low), v128.shuffle(x, y, high)]);
}

/**
 * Packs rows of A whose terms lie in runs, one after the other. Arguments: the source, the target, the number of the first,
 * how many, and how many steps of the first of the terms' axes.
 */
function emitRows(code: ProductCode, rowBytes: number): FunctionBuilder {
  const { dtype, bytes, lanes, module, terms } = code;
  const { spec, splitAxis } = code.plan;
  const f = module.function("rows", ["i32", "i32", "i32", "i32", "i32"]);
  const [source, target, number, rows, count] = f.args;
  const [from, to] = [f.local("i32"), f.local("i32")];
  const move = (elements: number): void => {
    advance(f, from, elements * bytes);
    advance(f, to, elements * bytes);
  };
  const vector = (): void => {
    for (const store of storeVector(to.get, code.load(from.get, lanes), dtype, lanes, 1, lanes))
      f.store(store);
    move(lanes);
  };
  const single = (): void => {
    f.store(storeScalar(to.get, loadScalar(from.get, dtype), dtype));
    move(1);
  };
  const inner = (axis: number): void => {
    const { size, strides } = terms[axis];
    if (axis < terms.length - 1) {
      const below = terms[axis + 1];
      const step = strides[A] - below.size * below.strides[A];
      repeat(f, axis === splitAxis ? count.get : size, () => {
        inner(axis + 1);
        advance(f, from, step * bytes);
      });
      return;
    }
    if (axis === splitAxis) {
      const left = f.let(count.get);
      const whole = f.let(i32.div_u(left.get, i32.const(lanes)));
      f.if(whole.get, () => repeat(f, whole.get, vector));
      f.set(left, i32.rem_u(left.get, i32.const(lanes)));
      f.if(left.get, () => repeat(f, left.get, single));
      return;
    }
    const whole = Math.floor(size / lanes);
    if (whole <= 8) for (let k = 0; k < whole; k++) vector();
    else repeat(f, whole, vector);
    for (let k = 0; k < size % lanes; k++) single();
  };
  repeat(f, rows.get, () => {
    f.set(from, i32.add(source.get, code.offset(f, number.get, spec.rows, A)));
    f.set(to, target.get);
    inner(splitAxis);
    advance(f, target, rowBytes);
    advance(f, number, 1);
  });
  return f;
}

/** From the addresses of A, of B or its panels, of C, and of what the epilogue reads and writes. */
export function emitProduct(shared: Shared, plan: ProductPlan): Emitted {
  return plan.isDot ? emitDots(shared.module, plan) : emitTiles(shared, plan);
}

/** A function of so many addresses that can be run in parts, and the parts to be done. */
function inParts(
  module: ModuleBuilder,
  name: string,
  addresses: number,
  all: number,
  isLarge: boolean,
): { f: FunctionBuilder; units: number; begin: Expr; end: Expr; scratch: Expr } {
  const units = isLarge ? all : 1;
  const rest = units > 1 ? 3 : 1;
  const f = module.function(name, new Array<"i32">(addresses + rest).fill("i32"));
  const [begin, end] =
    units > 1 ? f.args.slice(addresses).map(({ get }) => get) : [i32.const(0), i32.const(all)];
  return { f, units, begin, end, scratch: f.args[addresses + rest - 1].get };
}

function emitTiles(shared: Shared, plan: ProductPlan): Emitted {
  const { module } = shared;
  const code = new ProductCode(module, plan);
  const others = plan.spec.epilogue === undefined ? [] : operandsOf(plan.spec.epilogue);
  const hostCalls = shared.host.calls();
  const { spec, packsA, packsB, splitAxis, splitSize } = plan;
  const { bytes, rows, panels, width, lastWidth, depth, terms } = code;
  const batches = countOf(spec.batch);
  // Rows in tiles of two heights that differ by one, the higher ones first.
  const pieceDepth = splitSize * countOf(terms.slice(splitAxis + 1));
  const inScratch = Math.floor(scratchBytes / (plan.height * pieceDepth * bytes));
  if (packsA !== "no" && inScratch < 1) impossible("a tile's rows do not fit into the scratch memory");
  const tiles = Math.ceil(rows / plan.height);
  const low = Math.floor(rows / tiles);
  const higher = rows % tiles;
  const high = higher > 0 ? low + 1 : low;
  const wanted = Math.max(Math.ceil(tiles / mostTiles), Math.min(tiles, Math.ceil(parts / batches)));
  const blockTiles = Math.min(Math.ceil(tiles / wanted), packsA === "no" ? tiles : inScratch);
  const blocks = Math.ceil(tiles / blockTiles);
  const wantedAcross = Math.min(panels, Math.ceil(parts / 2 / (batches * blocks)));
  // Each strip packs its rows of A again.
  const strips = packsA === "no" ? wantedAcross : Math.min(wantedAcross, Math.max(1, Math.floor(panels / 4)));
  const acrossPanels = Math.ceil(panels / strips);
  const across = Math.ceil(panels / acrossPanels);
  const isLarge = batches * rows * code.columns * depth >= manyProducts;
  const { f, units, begin, end, scratch } = inParts(
    module,
    "product",
    3 + others.length,
    batches * blocks * across,
    isLarge,
  );
  const [x, y, z, ...rest] = f.args.slice(0, 3 + others.length);

  const pieces = Math.ceil(terms[splitAxis].size / splitSize);
  const outer = terms.slice(0, splitAxis);
  const turns = countOf(outer) * pieces;
  const inner = countOf(terms.slice(splitAxis + 1));
  const rowStride = strideThrough(spec.rows, C);
  const columnStride =
    strideThrough(spec.columns, C) ?? impossible("the columns of a product are not in order");
  const layout: TileLayout = {
    row: packsA === "rows" ? pieceDepth : packsA === "terms" ? 1 : (strideThrough(spec.rows, A) ?? 0),
    term: packsA === "rows" ? 1 : packsA === "terms" ? "height" : (strideThrough(spec.terms, A) ?? 0),
    b: packsB ? "width" : (strideThrough(spec.terms, B) ?? 0),
    c: rowStride,
    column: columnStride,
    isSummed: turns > 1,
  };
  const tileOf = (height: number, active: number): FunctionBuilder =>
    emitTile(shared, code, layout, height, active);
  const heights = [...new Set([high, low])];
  const wholeTiles = panels > 1 ? heights.map((height) => tileOf(height, width)) : [];
  const lastTiles = heights.map((height) => tileOf(height, lastWidth));
  const gathers =
    packsA === "terms" ? heights.map((height) => emitGather(code, A, splitAxis, height, height)) : [];
  const packRows = packsA === "rows" ? emitRows(code, pieceDepth * bytes) : undefined;
  const slot = high * pieceDepth * bytes;
  const panelBatch = plan.isSharedB ? 0 : depth * ((panels - 1) * width + code.padded(lastWidth)) * bytes;
  const firstRow = (tile: Expr): Expr =>
    i32.add(scaled(tile, low), higher === 0 ? i32.const(0) : least(tile, i32.const(higher)));
  /** Either of what is there for the two heights. */
  const byHeight = (tile: Expr, body: (which: number) => void): void => {
    if (heights.length === 1) body(0);
    else
      f.if(
        i32.lt_s(tile, i32.const(higher)),
        () => body(0),
        () => body(1),
      );
  };

  each(f, begin, end, (unit) => {
    const strip = f.let(i32.rem_u(unit, i32.const(across)));
    const aside = f.let(i32.div_u(unit, i32.const(across)));
    const product = f.let(i32.div_u(aside.get, i32.const(blocks)));
    const startA = f.let(i32.add(x.get, code.offset(f, product.get, spec.batch, A)));
    const startB = f.let(
      i32.add(y.get, packsB ? scaled(product.get, panelBatch) : code.offset(f, product.get, spec.batch, B)),
    );
    const startC = f.let(i32.add(z.get, code.offset(f, product.get, spec.batch, C)));
    const startOthers = rest.map((start, i) =>
      f.let(i32.add(start.get, code.offset(f, product.get, spec.batch, 3 + i, bytesPer[others[i]]))),
    );
    const firstTile = f.let(scaled(i32.rem_u(aside.get, i32.const(blocks)), blockTiles));
    const endTile = f.let(least(plus(firstTile.get, blockTiles), i32.const(tiles)));
    const firstPanel = f.let(scaled(strip.get, acrossPanels));
    const endPanel = f.let(least(plus(firstPanel.get, acrossPanels), i32.const(panels)));
    each(f, i32.const(0), i32.const(turns), (turn) => {
      // Which terms: a place in the outer axes, and some steps of the one that is taken apart.
      const step = f.let(scaled(i32.rem_u(turn, i32.const(pieces)), splitSize));
      const place = f.let(i32.div_u(turn, i32.const(pieces)));
      const count = f.let(least(i32.const(splitSize), i32.sub(i32.const(terms[splitAxis].size), step.get)));
      const term = f.let(scaled(i32.add(scaled(place.get, terms[splitAxis].size), step.get), inner));
      const depthHere = f.let(scaled(count.get, inner));
      const source = f.let(
        i32.add(
          i32.add(startA.get, code.offset(f, place.get, outer, A)),
          scaled(step.get, terms[splitAxis].strides[A] * bytes),
        ),
      );
      if (packRows !== undefined) {
        const first = f.let(firstRow(firstTile.get));
        f.call(
          packRows,
          source.get,
          scratch,
          first.get,
          i32.sub(firstRow(endTile.get), first.get),
          count.get,
        );
      }
      if (packsA === "terms")
        each(f, firstTile.get, endTile.get, (tile) =>
          byHeight(tile, (which) =>
            f.call(
              gathers[which],
              source.get,
              i32.add(scratch, scaled(i32.sub(tile, firstTile.get), slot)),
              firstRow(tile),
              count.get,
            ),
          ),
        );
      const state = f.let(
        i32.or(scaled(i32.eqz(turn), isFirst), scaled(i32.eq(turn, i32.const(turns - 1)), isLast)),
      );
      const rowsFrom = f.let(firstRow(firstTile.get));
      each(f, firstPanel.get, endPanel.get, (panel) => {
        const panelAt = packsB
          ? i32.add(scaled(panel, depth * width * bytes), i32.mul(term.get, i32.const(width * bytes)))
          : i32.add(
              scaled(panel, width * (strideThrough(spec.columns, B) ?? 0) * bytes),
              scaled(term.get, (strideThrough(spec.terms, B) ?? 0) * bytes),
            );
        const b = f.let(i32.add(startB.get, panelAt));
        // The last panel is narrower.
        const isLastPanel = f.let(i32.eq(panel, i32.const(panels - 1)));
        if (packsB && panels > 1 && code.padded(lastWidth) !== width) {
          const less = i32.mul(term.get, i32.const((width - code.padded(lastWidth)) * bytes));
          f.if(isLastPanel.get, () => f.set(b, i32.sub(b.get, less)));
        }
        const c = f.let(i32.add(startC.get, scaled(panel, width * columnStride * bytes)));
        const of = startOthers.map((start, i) => {
          const stride = strideThrough(spec.columns, 3 + i) ?? impossible("an epilogue cannot be reached");
          return f.let(i32.add(start.get, scaled(panel, width * stride * bytesPer[others[i]]))).get;
        });
        const row = f.let(rowsFrom.get);
        const go = (tilesOf: readonly FunctionBuilder[]): void =>
          each(f, firstTile.get, endTile.get, (tile) =>
            byHeight(tile, (which) => {
              const a =
                packsA === "rows"
                  ? i32.add(scratch, scaled(i32.sub(row.get, rowsFrom.get), pieceDepth * bytes))
                  : packsA === "terms"
                    ? i32.add(scratch, scaled(i32.sub(tile, firstTile.get), slot))
                    : i32.add(source.get, scaled(row.get, layout.row * bytes));
              const target =
                rowStride === undefined ? c.get : i32.add(c.get, scaled(row.get, rowStride * bytes));
              f.call(tilesOf[which], a, b.get, target, depthHere.get, state.get, row.get, ...of);
              advance(f, row, heights[which]);
            }),
          );
        if (panels === 1) go(lastTiles);
        else
          f.if(
            isLastPanel.get,
            () => go(lastTiles),
            () => go(wholeTiles),
          );
      });
    });
  });
  return { f, units, callsHost: shared.host.calls() > hostCalls, usesScratch: true };
}

/** Which terms a tile is given: the first ones, the last ones, or both. */
const [isFirst, isLast] = [1, 2] as const;

/** How a tile finds its elements, in elements. */
interface TileLayout {
  readonly row: number;
  readonly term: number | "height";
  readonly b: number | "width";
  /** Undefined where the rows of C lie on several axes. */
  readonly c: number | undefined;
  readonly column: number;
  /** Whether the terms come in pieces, whose sums are added up in C. */
  readonly isSummed: boolean;
}

/**
 * A tile: from the addresses of A, B and C, the number of terms, which they are, the number of the first row, and the addresses
 * of what the epilogue reads and writes.
 */
function emitTile(
  shared: Shared,
  code: ProductCode,
  layout: TileLayout,
  height: number,
  width: number,
): FunctionBuilder {
  const { bytes, dtype, lanes, module } = code;
  const { epilogue } = code.plan.spec;
  const vectors = Math.ceil(width / lanes);
  const others = epilogue === undefined ? 0 : operandsOf(epilogue).length;
  const f = module.function(`tile_${height}x${width}`, new Array<"i32">(6 + others).fill("i32"));
  const [x, y, z, depth, state, row] = f.args;
  const active = (v: number): number => Math.min(lanes, width - v * lanes);
  const sums = Array.from({ length: height }, () => Array.from({ length: vectors }, () => f.local("v128")));
  const column = (v: number): Expr => {
    const at = v * lanes * bytes;
    if (layout.b === "width") return v128.load(y.get, at);
    return active(v) === lanes ? v128.load(y.get, at) : code.load(plus(y.get, at), active(v));
  };
  const splat = bytes === 8 ? v128.load64_splat : v128.load32_splat;
  const termBytes = (layout.term === "height" ? height : layout.term) * bytes;
  const stepB = (layout.b === "width" ? code.padded(width) : layout.b) * bytes;
  const kept = Array.from({ length: height === 1 ? 0 : vectors }, () => f.local("v128"));
  const factor = f.local("v128");
  repeat(f, depth.get, () => {
    kept.forEach((local, v) => f.set(local, column(v)));
    sums.forEach((tileRow, r) => {
      f.set(factor, splat(x.get, r * layout.row * bytes));
      tileRow.forEach((sum, v) =>
        f.set(sum, code.multiplyAdd(factor.get, kept[v]?.get ?? column(v), sum.get)),
      );
    });
    advance(f, x, termBytes);
    advance(f, y, stepB);
  });
  const starts = sums.map((_, r) =>
    layout.c === undefined
      ? f.let(i32.add(z.get, code.offset(f, plus(row.get, r), code.plan.spec.rows, C))).get
      : plus(z.get, r * layout.c * bytes),
  );
  const places = starts.map((start) =>
    Array.from({ length: vectors }, (_, v) => plus(start, v * lanes * layout.column * bytes)),
  );
  if (layout.isSummed)
    f.if(i32.eqz(i32.and(state.get, i32.const(isFirst))), () =>
      sums.forEach((tileRow, r) =>
        tileRow.forEach((sum, v) =>
          f.set(sum, code.add(sum.get, code.load(places[r][v], active(v), layout.column))),
        ),
      ),
    );
  sums.forEach((tileRow, r) =>
    tileRow.forEach((sum, v) => {
      for (const store of storeVector(places[r][v], sum.get, dtype, lanes, layout.column, active(v)))
        f.store(store);
    }),
  );
  if (epilogue !== undefined) {
    const finish = (): void => emitEpilogue(shared, code, epilogue, f, layout, height, width);
    if (layout.isSummed) f.if(i32.and(state.get, i32.const(isLast)), finish);
    else finish();
  }
  return f;
}

/** The end of a tile: what the epilogue makes of the sums that it has written. */
function emitEpilogue(
  shared: Shared,
  code: ProductCode,
  { graph, main }: Epilogue,
  f: FunctionBuilder,
  layout: TileLayout,
  height: number,
  width: number,
): void {
  const { lanes } = code;
  const { spec } = code.plan;
  const z = f.args[2];
  const row = f.args[5];
  const keep = keepIn(f);
  const registers: (Expr | undefined)[] = [];
  // The operands in the order of their strides: C, inputs, outputs.
  const outputs = graph.outputs.map((_, i) => i).filter((i) => i !== main);
  const dtypes = [code.dtype, ...graph.inputs.slice(1).map(({ dtype }) => dtype)];
  for (const i of outputs) dtypes.push(graph.outputAvals[i].dtype);
  const pointers = dtypes.map(() => f.local("i32"));
  const columnStride = (k: number): number => strideThrough(spec.columns, C + k) ?? 0;
  const addressOf = (k: number, v: number): Expr =>
    plus(pointers[k].get, v * lanes * columnStride(k) * bytesPer[dtypes[k]]);
  const compute = (node: GraphNode): void => {
    const [output] = node.outputs;
    registers[output] = keep(
      elementwise(
        node.primitive.name,
        node.inputs.map((variable) => registers[variable] ?? impossible("a register is not set")),
        {
          dtypes: node.inputs.map((variable) => graph.avals[variable].dtype),
          output: graph.avals[output].dtype,
          lanes,
          params: node.params,
          keep,
        },
        shared.mathematics,
        shared.host,
      ),
    );
  };
  // Numbers that are made of numbers are ready before the rows begin.
  const early = new Set<Variable>(graph.constants.map((_, i) => graph.firstConstant + i));
  graph.inputs.forEach(({ size }, i) => {
    if (i > 0 && size === 1) early.add(i);
  });
  for (const {
    inputs,
    outputs: [output],
  } of graph.nodes)
    if (graph.avals[output].size === 1 && inputs.every((variable) => early.has(variable))) early.add(output);
  graph.constants.forEach((tensor, i) => {
    registers[graph.firstConstant + i] = literal(tensor.item(), tensor.dtype, lanes);
  });
  graph.inputs.forEach(({ dtype }, i) => {
    if (early.has(i)) registers[i] = keep(loadVector(f.args[5 + i].get, dtype, lanes, 0, lanes));
  });
  for (const node of graph.nodes) if (early.has(node.outputs[0])) compute(node);
  const at = f.let(row.get);
  repeat(f, height, () => {
    dtypes.forEach((dtype, k) => {
      // C's address is that of the tile's first row, unless its rows lie on several axes.
      const first = k === 0 ? z : f.args[5 + k];
      const index = k === 0 && layout.c !== undefined ? i32.sub(at.get, row.get) : at.get;
      f.set(pointers[k], i32.add(first.get, code.offset(f, index, spec.rows, C + k, bytesPer[dtype])));
    });
    for (let v = 0; v * lanes < width; v++) {
      const active = Math.min(lanes, width - v * lanes);
      graph.inputs.forEach(({ dtype }, i) => {
        if (!early.has(i))
          registers[i] = keep(loadVector(addressOf(i, v), dtype, lanes, columnStride(i), active));
      });
      for (const node of graph.nodes) if (!early.has(node.outputs[0])) compute(node);
      graph.outputs.forEach((variable, i) => {
        const k = i === main ? 0 : graph.inputs.length + outputs.indexOf(i);
        const value = registers[variable] ?? impossible("an output is not set");
        for (const store of storeVector(addressOf(k, v), value, dtypes[k], lanes, columnStride(k), active))
          f.store(store);
      });
    }
    advance(f, at, 1);
  });
}

/** Rows of A times few columns, all of them contiguous along the terms: sums in the lanes of vectors. */
function emitDots(module: ModuleBuilder, plan: ProductPlan): Emitted {
  const code = new ProductCode(module, plan);
  const { spec } = plan;
  const { bytes, rows, columns, depth, dtype, lanes } = code;
  const batches = countOf(spec.batch);
  const most = [4, 4, 3, 2][columns - 1];
  const tiles = Math.ceil(rows / most);
  const wanted = Math.min(tiles, Math.ceil(parts / batches));
  const blockTiles = Math.ceil(tiles / wanted);
  const blocks = Math.ceil(tiles / blockTiles);
  const isLarge = batches * rows * columns * depth >= manyProducts;
  const { f, units, begin, end } = inParts(module, "dots", 3, batches * blocks, isLarge);
  const [x, y, z] = f.args;
  const rowA = strideThrough(spec.rows, A) ?? 0;
  const columnB = strideThrough(spec.columns, B) ?? 0;
  const rowC = strideThrough(spec.rows, C);
  const columnC = strideThrough(spec.columns, C) ?? 0;
  const tileOf = (height: number): FunctionBuilder => {
    const tile = module.function(`dots_${height}x${columns}`, ["i32", "i32", "i32", "i32"]);
    const [from, by, to, row] = tile.args;
    // Two sums each where there are few, so that one addition does not wait for the other.
    const ways = height * columns <= 4 ? 2 : 1;
    const sums = Array.from({ length: height * columns }, () =>
      Array.from({ length: ways }, () => tile.local("v128")),
    );
    const step = (way: number, active: number): void => {
      const at = way * lanes * bytes;
      const vectors = Array.from({ length: columns }, (_, j) =>
        tile.let(code.load(plus(by.get, at + j * columnB * bytes), active)),
      );
      for (let r = 0; r < height; r++) {
        const vector = tile.let(code.load(plus(from.get, at + r * rowA * bytes), active));
        vectors.forEach((other, j) => {
          const sum = sums[r * columns + j][way];
          tile.set(sum, code.multiplyAdd(vector.get, other.get, sum.get));
        });
      }
    };
    const whole = Math.floor(depth / (ways * lanes));
    if (whole > 0)
      repeat(tile, whole, () => {
        for (let way = 0; way < ways; way++) step(way, lanes);
        advance(tile, from, ways * lanes * bytes);
        advance(tile, by, ways * lanes * bytes);
      });
    const rest = depth - whole * ways * lanes;
    for (let way = 0; way * lanes < rest; way++) step(way, Math.min(lanes, rest - way * lanes));
    const start = (r: number): Expr =>
      rowC === undefined
        ? tile.let(i32.add(to.get, code.offset(tile, plus(row.get, r), spec.rows, C))).get
        : plus(to.get, r * rowC * bytes);
    for (let r = 0; r < height; r++) {
      const place = start(r);
      for (let j = 0; j < columns; j++) {
        const own = sums[r * columns + j];
        const vector = tile.let(ways === 1 ? own[0].get : code.add(own[0].get, own[1].get)).get;
        tile.store(storeScalar(plus(place, j * columnC * bytes), acrossLanes(vector, dtype), dtype));
      }
    }
    return tile;
  };
  const whole = rows >= most ? tileOf(most) : undefined;
  const last = rows % most > 0 ? tileOf(rows % most) : undefined;
  each(f, begin, end, (unit) => {
    const product = f.let(i32.div_u(unit, i32.const(blocks)));
    const startA = f.let(i32.add(x.get, code.offset(f, product.get, spec.batch, A)));
    const startB = f.let(i32.add(y.get, code.offset(f, product.get, spec.batch, B)));
    const startC = f.let(i32.add(z.get, code.offset(f, product.get, spec.batch, C)));
    const firstTile = f.let(scaled(i32.rem_u(unit, i32.const(blocks)), blockTiles));
    each(f, firstTile.get, least(plus(firstTile.get, blockTiles), i32.const(tiles)), (tile) => {
      const row = f.let(scaled(tile, most)).get;
      const args = [
        i32.add(startA.get, scaled(row, rowA * bytes)),
        startB.get,
        rowC === undefined ? startC.get : i32.add(startC.get, scaled(row, rowC * bytes)),
        row,
      ];
      const call = (of: FunctionBuilder | undefined) => (): void => {
        if (of !== undefined) f.call(of, ...args);
      };
      if (last === undefined) call(whole)();
      else f.if(i32.eq(tile, i32.const(tiles - 1)), call(last), call(whole));
    });
  });
  return { f, units, callsHost: false, usesScratch: true };
}

/** The sum of all lanes. */
function acrossLanes(vector: Expr, dtype: DType): Expr {
  if (dtype === "float64") return f64.add(f64x2.extract_lane(vector, 0), f64x2.extract_lane(vector, 1));
  const [extract, add] =
    dtype === "float32" ? ([f32x4.extract_lane, f32.add] as const) : ([i32x4.extract_lane, i32.add] as const);
  return add(add(extract(vector, 0), extract(vector, 1)), add(extract(vector, 2), extract(vector, 3)));
}
