/** Products of matrices: tiles of C in registers. */
import {
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  f32x4,
  f64x2,
  i32,
  i32x4,
} from "../emit/index.ts";
import type { Emitted } from "./cluster.ts";
import type { ProductSpec } from "./contraction.ts";
import { bytesPer, lanesFor, loadVector, storeVector } from "./registers.ts";

/** Rows and vectors of columns of a tile. */
const tileRows = 4;
const tileVectors = 2;

/** From so many multiplications on, a product can be run in parts. */
const manyProducts = 262_144;

/** From the addresses of A, B and C; parts are rows of tiles, or the products of a batch. */
export function emitProduct(module: ModuleBuilder, spec: ProductSpec): Emitted {
  const { batch, rows, columns, dtype, a, b, c } = spec;
  const bytes = bytesPer[dtype];
  const lanes = lanesFor([dtype]);
  const tiles = new Map<string, FunctionBuilder>();
  const tile = (height: number, width: number): FunctionBuilder => {
    const key = `${height} ${width}`;
    let found = tiles.get(key);
    if (found === undefined) tiles.set(key, (found = emitTile(module, spec, height, width)));
    return found;
  };
  const parts = batch > 1 ? batch : Math.floor(rows / tileRows);
  const isLarge = batch * rows * columns * spec.depth >= manyProducts;
  const units = isLarge ? Math.max(1, parts) : 1;
  const f = module.function(
    "product",
    units > 1 ? ["i32", "i32", "i32", "i32", "i32"] : ["i32", "i32", "i32"],
  );
  const [x, y, z, begin, end] = f.args;
  const move = (pointer: Local, elements: number): void => {
    if (elements !== 0) f.set(pointer, i32.add(pointer.get, i32.const(elements * bytes)));
  };
  const repeat = (count: number, body: () => void): void => {
    if (count === 0) return;
    const left = f.let(i32.const(count));
    f.loop((again) => {
      body();
      f.set(left, i32.sub(left.get, i32.const(1)));
      f.branchIf(again, left.get);
    });
  };
  const width = tileVectors * lanes;
  const across = (height: number): void => {
    repeat(Math.floor(columns / width), () => {
      f.call(tile(height, width), x.get, y.get, z.get);
      move(y, width * b.column);
      move(z, width * c.column);
    });
    const rest = columns % width;
    if (rest > 0) f.call(tile(height, rest), x.get, y.get, z.get);
    move(y, -(columns - rest) * b.column);
    move(z, -(columns - rest) * c.column);
  };
  const rest = rows % tileRows;
  const rowOfTiles = (): void => {
    across(tileRows);
    move(x, tileRows * a.row);
    move(z, tileRows * c.row);
  };
  const one = (): void => {
    repeat(Math.floor(rows / tileRows), rowOfTiles);
    if (rest > 0) across(rest);
    move(x, a.batch - (rows - rest) * a.row);
    move(y, b.batch);
    move(z, c.batch - (rows - rest) * c.row);
  };
  if (units === 1) {
    repeat(batch, one);
    return { f, units, callsHost: false };
  }
  const [stepX, stepY, stepZ, body] =
    batch > 1 ? [a.batch, b.batch, c.batch, one] : [tileRows * a.row, 0, tileRows * c.row, rowOfTiles];
  for (const [pointer, step] of [
    [x, stepX],
    [y, stepY],
    [z, stepZ],
  ] as const)
    f.set(pointer, i32.add(pointer.get, i32.mul(begin.get, i32.const(step * bytes))));
  const left = f.let(i32.sub(end.get, begin.get));
  f.loop((again) => {
    body();
    f.set(left, i32.sub(left.get, i32.const(1)));
    f.branchIf(again, left.get);
  });
  // The last part has the rows that fill no tile.
  if (batch === 1 && rest > 0) f.if(i32.eq(end.get, i32.const(units)), () => across(rest));
  return { f, units, callsHost: false };
}

function emitTile(module: ModuleBuilder, spec: ProductSpec, height: number, width: number): FunctionBuilder {
  const { dtype, depth, a, b, c } = spec;
  const bytes = bytesPer[dtype];
  const lanes = lanesFor([dtype]);
  const ops = dtype === "float64" ? f64x2 : dtype === "float32" ? f32x4 : i32x4;
  const vectors = Math.ceil(width / lanes);
  const active = (v: number): number => Math.min(lanes, width - v * lanes);
  const f = module.function(`tile_${height}x${width}`, ["i32", "i32", "i32"]);
  const [x, y, z] = f.args;
  const sums = Array.from({ length: height }, () => Array.from({ length: vectors }, () => f.local("v128")));
  const columns = Array.from({ length: vectors }, () => f.local("v128"));
  const rowPointers = Array.from({ length: height }, (_, r) =>
    f.let(i32.add(x.get, i32.const(r * a.row * bytes))),
  );
  const splat = f.local("v128");
  if (depth > 0) {
    const left = f.let(i32.const(depth));
    f.loop((again) => {
      columns.forEach((column, v) => {
        const at = i32.add(y.get, i32.const(v * lanes * b.column * bytes));
        f.set(column, loadVector(at, dtype, lanes, b.column, active(v)));
      });
      sums.forEach((row, r) => {
        f.set(splat, loadVector(rowPointers[r].get, dtype, lanes, 0, lanes));
        row.forEach((sum, v) => f.set(sum, ops.add(sum.get, ops.mul(splat.get, columns[v].get))));
        f.set(rowPointers[r], i32.add(rowPointers[r].get, i32.const(a.term * bytes)));
      });
      f.set(y, i32.add(y.get, i32.const(b.term * bytes)));
      f.set(left, i32.sub(left.get, i32.const(1)));
      f.branchIf(again, left.get);
    });
  }
  sums.forEach((row, r) =>
    row.forEach((sum, v) => {
      const at = i32.add(z.get, i32.const((r * c.row + v * lanes * c.column) * bytes));
      for (const store of storeVector(at, sum.get, dtype, lanes, c.column, active(v))) f.store(store);
    }),
  );
  return f;
}
