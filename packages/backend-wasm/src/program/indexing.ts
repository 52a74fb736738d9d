/** Reading and adding at indices, running sums, and the places of extrema: loops of their own. */
import { type Aval, type Axis, type CumulativeParams, type DType, sizeOf } from "@cotangent/core";
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
} from "../emit/index.ts";
import { bytesPer, lanesFor, loadScalar, loadVector, storeScalar, storeVector } from "./registers.ts";

/** Runs the body so many times; nothing if that is 0. */
function times(f: FunctionBuilder, count: number, body: () => void): void {
  if (count === 0) return;
  if (count === 1) {
    body();
    return;
  }
  const left = f.let(i32.const(count));
  f.loop((again) => {
    body();
    f.set(left, i32.sub(left.get, i32.const(1)));
    f.branchIf(again, left.get);
  });
}

const advance = (f: FunctionBuilder, pointer: Local, bytes: number): void => {
  if (bytes !== 0) f.set(pointer, i32.add(pointer.get, i32.const(bytes)));
};

const around = ({ shape }: Aval, axis: number): { outer: number; size: number; inner: number } => ({
  outer: sizeOf(shape.slice(0, axis)),
  size: shape[axis],
  inner: sizeOf(shape.slice(axis + 1)),
});

/** Whether some index is outside [0, size): a function from the address of the indices. */
export function emitIndexCheck(module: ModuleBuilder, count: number, size: number): FunctionBuilder {
  const f = module.function(`indices_${count}_below_${size}`, ["i32"], ["i32"]);
  const [at] = f.args;
  const outside = f.local("i32");
  times(f, count, () => {
    f.set(outside, i32.or(outside.get, i32.ge_u(i32.load(at.get), i32.const(size))));
    advance(f, at, 4);
  });
  f.return(outside.get);
  return f;
}

/** From the addresses of x, the indices and the output. */
export function emitGather(module: ModuleBuilder, x: Aval, indices: Aval, { axis }: Axis): FunctionBuilder {
  const { outer, size, inner } = around(x, axis);
  const f = module.function("gather", ["i32", "i32", "i32"]);
  const [source, index, out] = f.args;
  const rowBytes = inner * bytesPer[x.dtype];
  times(f, outer, () => {
    times(f, indices.size, () => {
      const row = i32.add(source.get, i32.mul(i32.load(index.get), i32.const(rowBytes)));
      if (inner === 1) f.store(storeScalar(out.get, loadScalar(row, x.dtype), x.dtype));
      else f.copy(out.get, row, i32.const(rowBytes));
      advance(f, index, 4);
      advance(f, out, rowBytes);
    });
    advance(f, index, -4 * indices.size);
    advance(f, source, size * rowBytes);
  });
  return f;
}

const vectorAdd: Readonly<Partial<Record<DType, (a: Expr, b: Expr) => Expr>>> = {
  float64: f64x2.add,
  float32: f32x4.add,
  int32: i32x4.add,
};
const scalarAdd: Readonly<Partial<Record<DType, (a: Expr, b: Expr) => Expr>>> = {
  float64: f64.add,
  float32: f32.add,
  int32: i32.add,
};

/** Adds the updates to the output, which starts as x: from its address and those of the indices and the updates. */
export function emitScatterAdd(
  module: ModuleBuilder,
  x: Aval,
  indices: Aval,
  { axis }: Axis,
): FunctionBuilder {
  const { dtype } = x;
  const { outer, size, inner } = around(x, axis);
  const f = module.function("scatterAdd", ["i32", "i32", "i32"]);
  const [out, index, updates] = f.args;
  const bytes = bytesPer[dtype];
  const lanes = lanesFor([dtype]);
  const addVectors = vectorAdd[dtype] ?? i32x4.add;
  const addScalars = scalarAdd[dtype] ?? i32.add;
  const row = f.local("i32");
  times(f, outer, () => {
    times(f, indices.size, () => {
      f.set(row, i32.add(out.get, i32.mul(i32.load(index.get), i32.const(inner * bytes))));
      times(f, Math.floor(inner / lanes), () => {
        const sum = f.let(
          addVectors(
            loadVector(row.get, dtype, lanes, 1, lanes),
            loadVector(updates.get, dtype, lanes, 1, lanes),
          ),
        );
        for (const store of storeVector(row.get, sum.get, dtype, lanes, 1, lanes)) f.store(store);
        advance(f, row, lanes * bytes);
        advance(f, updates, lanes * bytes);
      });
      times(f, inner % lanes, () => {
        f.store(
          storeScalar(row.get, addScalars(loadScalar(row.get, dtype), loadScalar(updates.get, dtype)), dtype),
        );
        advance(f, row, bytes);
        advance(f, updates, bytes);
      });
      advance(f, index, 4);
    });
    advance(f, index, -4 * indices.size);
    advance(f, out, size * inner * bytes);
  });
  return f;
}

/** Goes through all lines along an axis: the pointers stand at the first element of each. */
function lines(
  f: FunctionBuilder,
  x: Aval,
  axis: number,
  pointers: readonly { readonly pointer: Local; readonly next: number; readonly nextOuter: number }[],
  body: () => void,
): void {
  const { outer, inner } = around(x, axis);
  times(f, outer, () => {
    times(f, inner, () => {
      body();
      for (const { pointer, next } of pointers) advance(f, pointer, next);
    });
    for (const { pointer, nextOuter } of pointers) advance(f, pointer, nextOuter);
  });
}

/** Running sums with Neumaier's compensation, in float64; from the addresses of x and of the output. */
export function emitCumsum(
  module: ModuleBuilder,
  x: Aval,
  { axis, reverse }: CumulativeParams,
): FunctionBuilder {
  const { dtype } = x;
  const { size, inner } = around(x, axis);
  const f = module.function("cumsum", ["i32", "i32"]);
  const [source, out] = f.args;
  const bytes = bytesPer[dtype];
  const step = reverse ? -inner * bytes : inner * bytes;
  const start = reverse ? (size - 1) * inner * bytes : 0;
  advance(f, source, start);
  advance(f, out, start);
  const isInteger = dtype === "int32";
  const type = isInteger ? "i32" : "f64";
  const [sum, lost, next, value] = [f.local(type), f.local(type), f.local(type), f.local(type)];
  const pointers = [source, out].map((pointer) => ({
    pointer,
    next: bytes,
    nextOuter: (size - 1) * inner * bytes,
  }));
  lines(f, x, axis, pointers, () => {
    const [from, to] = [f.let(source.get), f.let(out.get)];
    const zero = isInteger ? i32.const(0) : f64.const(0);
    f.set(sum, zero);
    f.set(lost, zero);
    times(f, size, () => {
      if (isInteger) {
        f.set(sum, i32.add(sum.get, i32.load(from.get)));
        f.store(i32.store(to.get, sum.get));
      } else {
        const loaded = loadScalar(from.get, dtype);
        f.set(value, dtype === "float32" ? f64.promote_f32(loaded) : loaded);
        f.set(next, f64.add(sum.get, value.get));
        const [large, small] = [f64.ge(f64.abs(sum.get), f64.abs(value.get)), f64.sub(sum.get, next.get)];
        const error = f.let(
          f64.select(f64.add(small, value.get), f64.add(f64.sub(value.get, next.get), sum.get), large),
        );
        f.set(sum, next.get);
        // The error is NaN only where the sum is infinite already.
        f.set(lost, f64.select(f64.add(lost.get, error.get), lost.get, f64.eq(error.get, error.get)));
        const total = f64.add(sum.get, lost.get);
        f.store(storeScalar(to.get, dtype === "float32" ? f32.demote_f64(total) : total, dtype));
      }
      advance(f, from, step);
      advance(f, to, step);
    });
  });
  return f;
}

/** The place of the largest or smallest element, the first of equal ones; a NaN wins. */
export function emitArgExtremum(
  module: ModuleBuilder,
  x: Aval,
  { axis }: Axis,
  isMax: boolean,
): FunctionBuilder {
  const { dtype } = x;
  const { size, inner } = around(x, axis);
  const f = module.function(isMax ? "argmax" : "argmin", ["i32", "i32"]);
  const [source, out] = f.args;
  const bytes = bytesPer[dtype];
  const ops = dtype === "float64" ? f64 : dtype === "float32" ? f32 : undefined;
  const type = dtype === "float64" ? "f64" : dtype === "float32" ? "f32" : "i32";
  const [best, value] = [f.local(type), f.local(type)];
  const [place, at] = [f.local("i32"), f.local("i32")];
  const pointers = [
    { pointer: source, next: bytes, nextOuter: (size - 1) * inner * bytes },
    { pointer: out, next: 4, nextOuter: 0 },
  ];
  lines(f, x, axis, pointers, () => {
    const from = f.let(source.get);
    f.set(best, loadScalar(from.get, dtype));
    f.set(place, i32.const(0));
    f.set(at, i32.const(0));
    times(f, size, () => {
      f.set(value, loadScalar(from.get, dtype));
      let wins =
        ops === undefined
          ? (isMax ? i32.gt_s : i32.lt_s)(value.get, best.get)
          : (isMax ? ops.gt : ops.lt)(value.get, best.get);
      if (ops !== undefined)
        wins = i32.and(ops.eq(best.get, best.get), i32.or(wins, ops.ne(value.get, value.get)));
      f.if(wins, () => {
        f.set(best, value.get);
        f.set(place, at.get);
      });
      f.set(at, i32.add(at.get, i32.const(1)));
      advance(f, from, inner * bytes);
    });
    f.store(i32.store(out.get, place.get));
  });
  return f;
}
