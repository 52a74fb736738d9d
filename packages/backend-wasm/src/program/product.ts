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
import type { ProductSpec } from "./contraction.ts";
import { bytesPer, lanesFor, loadVector, storeVector } from "./registers.ts";

/** Rows and vectors of columns of a tile. */
const tileRows = 4;
const tileVectors = 2;

/** From the addresses of A, B and C. */
export function emitProduct(module: ModuleBuilder, spec: ProductSpec): FunctionBuilder {
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
  const f = module.function("product", ["i32", "i32", "i32"]);
  const [x, y, z] = f.args;
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
  repeat(batch, () => {
    repeat(Math.floor(rows / tileRows), () => {
      across(tileRows);
      move(x, tileRows * a.row);
      move(z, tileRows * c.row);
    });
    const rest = rows % tileRows;
    if (rest > 0) across(rest);
    move(x, a.batch - (rows - rest) * a.row);
    move(y, b.batch);
    move(z, c.batch - (rows - rest) * c.row);
  });
  return f;
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
