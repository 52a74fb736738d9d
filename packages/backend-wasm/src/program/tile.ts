/** Tiles of a product, in registers, and what is made of them before they leave the cache. */
import type { GraphNode, Variable } from "@cotangent/core";
import { type Expr, type FunctionBuilder, i32, v128 } from "../emit/index.ts";
import type { Shared } from "./cluster.ts";
import { elementwise, keepIn } from "./elementwise.ts";
import type { Epilogue } from "./epilogue.ts";
import { type ProductCode, advance, plus, repeat } from "./product-code.ts";
import { C, operandsOf, strideThrough } from "./product-plan.ts";
import { bytesPer, impossible, literal, loadVector, storeVector } from "./registers.ts";

/** Which terms a tile is given: the first ones, the last ones, or both. */
export const [isFirst, isLast] = [1, 2] as const;

/** How a tile finds its elements, in elements. */
export interface TileLayout {
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
