/** Tiles of a product, in registers, and what is made of them before they leave the cache. */
import type { DType, GraphNode, Variable } from "@cotangent/core";
import {
  type Expr,
  type FunctionBuilder,
  type Local,
  f32,
  f32x4,
  f64,
  f64x2,
  i32,
  i32x4,
  v128,
} from "../emit/index.ts";
import type { Shared } from "./cluster.ts";
import { elementwise, keepIn } from "./elementwise.ts";
import type { Epilogue } from "./epilogue.ts";
import { type ProductCode, advance, plus, repeat } from "./product-code.ts";
import { C, operandsOf, strideThrough } from "./product-plan.ts";
import { bytesPer, impossible, literal, loadVector, storeVector, withLane } from "./registers.ts";

/** Which terms a tile is given: the first ones, the last ones, or both. */
export const [isFirst, isLast] = [1, 2] as const;

/** How a tile finds its elements, in elements. */
export interface TileLayout {
  readonly row: number;
  readonly term: number | "height";
  readonly b: number | "width";
  /** Of sums along vectors of terms: how far apart the columns of B are. */
  readonly dots: number | undefined;
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
export function emitTile(
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
  const [z, , state, row] = f.args.slice(2);
  const active = (v: number): number => Math.min(lanes, width - v * lanes);
  const sums =
    layout.dots === undefined
      ? tileSums(f, code, layout, height, width)
      : dotSums(f, code, layout.row, layout.dots, height, width);
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

/** Sums of a tile, a vector of columns in each. */
function tileSums(
  f: FunctionBuilder,
  code: ProductCode,
  layout: TileLayout,
  height: number,
  width: number,
): Local[][] {
  const { bytes, lanes } = code;
  const vectors = Math.ceil(width / lanes);
  const [x, y, , depth] = f.args;
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
  return sums;
}

/** The same, where A and B both lie along the terms: sums in the lanes of vectors of terms, added up in the end. */
function dotSums(
  f: FunctionBuilder,
  code: ProductCode,
  row: number,
  column: number,
  height: number,
  width: number,
): Local[][] {
  const { bytes, dtype, lanes } = code;
  const [x, y, , left] = f.args;
  // Two sums each where there are few, so that one addition does not wait for the other.
  const ways = height * width <= 4 ? 2 : 1;
  const parts = Array.from({ length: height * width }, () =>
    Array.from({ length: ways }, () => f.local("v128")),
  );
  const step = (way: number, active: number): void => {
    const at = way * lanes * bytes;
    const others = Array.from({ length: width }, (_, j) =>
      f.let(code.load(plus(y.get, at + j * column * bytes), active)),
    );
    for (let r = 0; r < height; r++) {
      const vector = f.let(code.load(plus(x.get, at + r * row * bytes), active));
      others.forEach((other, j) => {
        const sum = parts[r * width + j][way];
        f.set(sum, code.multiplyAdd(vector.get, other.get, sum.get));
      });
    }
  };
  /** As often as there are so many terms left. */
  const whileThereAre = (terms: number, body: () => void): void =>
    f.block((end) =>
      f.loop((again) => {
        f.branchIf(end, i32.lt_s(left.get, i32.const(terms)));
        body();
        for (const pointer of [x, y]) advance(f, pointer, terms * bytes);
        advance(f, left, -terms);
        f.branch(again);
      }),
    );
  if (ways === 2)
    whileThereAre(2 * lanes, () => {
      step(0, lanes);
      step(1, lanes);
    });
  whileThereAre(lanes, () => step(0, lanes));
  whileThereAre(1, () => step(0, 1));
  return Array.from({ length: height }, (_, r) =>
    Array.from({ length: Math.ceil(width / lanes) }, (__, v) => {
      const found = f.let(literal(0, dtype, lanes));
      for (let lane = 0; lane < lanes && v * lanes + lane < width; lane++) {
        const [one, other] = parts[r * width + v * lanes + lane];
        const all = f.let(other === undefined ? one.get : code.add(one.get, other.get)).get;
        f.set(found, withLane(found.get, dtype, lanes, lane, acrossLanes(all, dtype)));
      }
      return found;
    }),
  );
}

/** The sum of all lanes. */
function acrossLanes(vector: Expr, dtype: DType): Expr {
  if (dtype === "float64") return f64.add(f64x2.extract_lane(vector, 0), f64x2.extract_lane(vector, 1));
  const [extract, add] =
    dtype === "float32" ? ([f32x4.extract_lane, f32.add] as const) : ([i32x4.extract_lane, i32.add] as const);
  return add(add(extract(vector, 0), extract(vector, 1)), add(extract(vector, 2), extract(vector, 3)));
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
