/** What the functions of a product have in common. */
import type { DType } from "@cotangent/core";
import {
  type Expr,
  type FunctionBuilder,
  type Local,
  type ModuleBuilder,
  f32x4,
  f64x2,
  i32,
  i32x4,
} from "../emit/index.ts";
import { type ProductAxis, countOf } from "./contraction.ts";
import { type Operand, type ProductPlan, atLeastOne, strideThrough } from "./product-plan.ts";
import { bytesPer, lanesFor, loadVector } from "./registers.ts";

/** What is common to the functions of one product. */
export class ProductCode {
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

  /** Of one product: the bytes of B where it is packed. */
  get panelBytes(): number {
    const { depth, panels, width, lastWidth, bytes } = this;
    return depth * bytes * (this.plan.isDot ? this.columns : (panels - 1) * width + this.padded(lastWidth));
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
    return this.plan.fusesMultiplyAdd ? ops.relaxed_madd(a, b, sum) : ops.add(sum, ops.mul(a, b));
  }

  add(a: Expr, b: Expr): Expr {
    return (this.dtype === "int32" ? i32x4 : this.dtype === "float64" ? f64x2 : f32x4).add(a, b);
  }

  load(address: Expr, active: number, stride = 1): Expr {
    return loadVector(address, this.dtype, this.lanes, stride, active);
  }
}

export const scaled = (index: Expr, factor: number): Expr =>
  factor === 0 ? i32.const(0) : factor === 1 ? index : i32.mul(index, i32.const(factor));

export const plus = (address: Expr, bytes: number): Expr =>
  bytes === 0 ? address : i32.add(address, i32.const(bytes));

export const advance = (f: FunctionBuilder, pointer: Local, by: number | Expr): void => {
  if (by !== 0) f.set(pointer, i32.add(pointer.get, typeof by === "number" ? i32.const(by) : by));
};

/** Runs the body for a number that is at least 1. */
export function repeat(f: FunctionBuilder, count: number | Expr, body: () => void): void {
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
export function each(f: FunctionBuilder, from: Expr, to: Expr, body: (i: Expr) => void): void {
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
export const least = (a: Expr, b: Expr): Expr => i32.select(a, b, i32.lt_s(a, b));
