/** Copies of operands of products in the order in which tiles read them. */
import { type Expr, type FunctionBuilder, type ModuleBuilder, i32, v128 } from "../emit/index.ts";
import type { Emitted } from "./cluster.ts";
import { countOf } from "./contraction.ts";
import { ProductCode, advance, each, plus, repeat, scaled } from "./product-code.ts";
import { A, B, type ProductPlan, manyProducts, strideThrough } from "./product-plan.ts";
import { literal, loadScalar, storeScalar, storeVector } from "./registers.ts";

/** Packs B: from its address and that of the panels. */
export function emitPanels(module: ModuleBuilder, plan: ProductPlan): Emitted {
  const code = new ProductCode(module, plan);
  if (plan.isDot) return emitColumns(code);
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
  const batchBytes = code.panelBytes;
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

/** Packs B column by column. */
function emitColumns(code: ProductCode): Emitted {
  const { module, plan, columns, depth, bytes, terms } = code;
  const { spec, isSharedB } = plan;
  const f = module.function("columns", ["i32", "i32"]);
  const [y, target] = f.args;
  const rows = emitRows(code, B, 0, depth * bytes);
  each(f, i32.const(0), i32.const(isSharedB ? 1 : countOf(spec.batch)), (product) => {
    const source = i32.add(y.get, code.offset(f, product, spec.batch, B));
    const place = i32.add(target.get, scaled(product, code.panelBytes));
    f.call(rows, source, place, i32.const(0), i32.const(columns), i32.const(terms[0].size));
  });
  return { f, units: 1, callsHost: false };
}

/**
 * Packs `active` rows of A, or columns of B, from the one with a number on: for each term their elements side by side, with
 * zeros up to the width. Arguments: the source, the target, the number, and how many steps of the first of the terms' axes.
 */
export function emitGather(
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
 * Packs rows of A, or columns of B, one after the other. Arguments: the source, the target, the number of the first, how many,
 * and how many steps of the first of the terms' axes.
 */
export function emitRows(
  code: ProductCode,
  operand: typeof A | typeof B,
  firstAxis: number,
  rowBytes: number,
): FunctionBuilder {
  const { dtype, bytes, lanes, module, terms } = code;
  const { spec } = code.plan;
  const axes = operand === A ? spec.rows : spec.columns;
  const run = terms[terms.length - 1].strides[operand];
  const f = module.function("rows", ["i32", "i32", "i32", "i32", "i32"]);
  const [source, target, number, rows, count] = f.args;
  const [from, to] = [f.local("i32"), f.local("i32")];
  const move = (elements: number): void => {
    advance(f, from, elements * run * bytes);
    advance(f, to, elements * bytes);
  };
  const vector = (): void => {
    for (const store of storeVector(to.get, code.load(from.get, lanes, run), dtype, lanes, 1, lanes))
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
      const step = strides[operand] - below.size * below.strides[operand];
      repeat(f, axis === firstAxis ? count.get : size, () => {
        inner(axis + 1);
        advance(f, from, step * bytes);
      });
      return;
    }
    if (axis === firstAxis) {
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
    f.set(from, i32.add(source.get, code.offset(f, number.get, axes, operand)));
    f.set(to, target.get);
    inner(firstAxis);
    advance(f, target, rowBytes);
    advance(f, number, 1);
  });
  return f;
}
