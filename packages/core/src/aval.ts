import { type DType, bytesPerElement, isFloating } from "./dtype.ts";
import { ShapeError, fail } from "./errors.ts";

export type Shape = readonly number[];

/** An abstract value: what is known of a value without its elements. */
export class Aval {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly size: number;
  readonly floating: boolean;

  constructor(shape: Shape, dtype: DType) {
    this.shape = shape;
    this.dtype = dtype;
    this.size = sizeOf(shape);
    this.floating = isFloating(dtype);
  }

  get rank(): number {
    return this.shape.length;
  }

  get bytes(): number {
    return this.size * bytesPerElement[this.dtype];
  }

  withShape(shape: Shape): Aval {
    return new Aval(shape, this.dtype);
  }

  withDType(dtype: DType): Aval {
    return dtype === this.dtype ? this : avalOf(this.shape, dtype);
  }

  toString(): string {
    return `${this.dtype}[${this.shape.join(",")}]`;
  }
}

const scalars: Record<DType, Aval> = {
  float64: new Aval([], "float64"),
  float32: new Aval([], "float32"),
  int32: new Aval([], "int32"),
  bool: new Aval([], "bool"),
};

/** The one rank-0 abstract value of a dtype: rank-0 avals are compared by identity on the eager scalar path. */
export function scalarAval(dtype: DType): Aval {
  return scalars[dtype];
}

export function avalOf(shape: Shape, dtype: DType): Aval {
  return shape.length === 0 ? scalars[dtype] : new Aval(shape, dtype);
}

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether two values are of the same shape and dtype. */
export function sameAval(a: Aval, b: Aval): boolean {
  return a === b || (a.dtype === b.dtype && sameShape(a.shape, b.shape));
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

export function showShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** The numpy broadcast of shapes, or undefined where they do not fit. */
export function tryBroadcast(a: Shape, b: Shape): Shape | undefined {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const m = i <= a.length ? a[a.length - i] : 1;
    const n = i <= b.length ? b[b.length - i] : 1;
    if (m !== n && m !== 1 && n !== 1) return undefined;
    out[rank - i] = m === 1 ? n : m;
  }
  return out;
}

/** The numpy broadcast of shapes; `who` names the caller in the error. */
export function broadcastShapes(who: string, shapes: readonly Shape[]): Shape {
  let out = shapes[0];
  for (const shape of shapes.slice(1)) {
    out =
      tryBroadcast(out, shape) ??
      fail(
        ShapeError,
        `${who}: shapes ${shapes.map(showShape).join(" and ")} do not broadcast. ` +
          `Aligned from the right, each pair of sizes must be equal or contain a 1; reshape or broadcastTo first.`,
      );
  }
  return out;
}

/** A whole axis number in [0, rank), counting from the end where negative. */
export function normalizeAxis(who: string, axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || found < 0 || found >= rank) {
    fail(
      ShapeError,
      `${who}: axis ${axis} asked for, but the value has rank ${rank}. ` +
        (rank === 0 ? `A rank-0 value has no axes.` : `Give a whole number from ${-rank} to ${rank - 1}.`),
    );
  }
  return found;
}

/** Sorted, distinct axes in [0, rank); undefined means all of them. */
export function normalizeAxes(
  who: string,
  axes: number | readonly number[] | undefined,
  rank: number,
): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = typeof axes === "number" ? [axes] : axes;
  const found = list.map((axis) => normalizeAxis(who, axis, rank)).sort((a, b) => a - b);
  for (let i = 1; i < found.length; i++) {
    if (found[i] === found[i - 1]) {
      fail(ShapeError, `${who}: axes ${showShape(list)} name axis ${found[i]} twice. Name each axis once.`);
    }
  }
  return found;
}
