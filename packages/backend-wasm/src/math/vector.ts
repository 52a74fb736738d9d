/** Formulas in the lanes of a vector, written as arithmetic: what the elementary functions are made of. */
import { Bytes } from "../emit/bytes.ts";
import {
  type Expr,
  type FunctionBuilder,
  type ModuleBuilder,
  type ValueType,
  f32x4,
  f64x2,
  i32,
  i32x4,
  i64x2,
  selectLanes,
  v128,
} from "../emit/index.ts";

/** A floating-point format, and the instructions of its lanes. */
export interface Format {
  readonly name: "float32" | "float64";
  /** Bits of the fraction. */
  readonly fraction: number;
  /** What is added to exponents. */
  readonly bias: number;
  /** The largest finite number, and the smallest of full precision. */
  readonly largest: number;
  readonly smallestNormal: number;
  readonly floats: Omit<typeof f64x2, "promote_low_f32x4" | "convert_low_i32x4_s" | "convert_low_i32x4_u">;
  readonly integers: Pick<typeof i64x2, "splat" | "eq" | "gt_s" | "shl" | "shr_s" | "shr_u" | "add" | "sub">;
  readonly integer: (value: bigint) => Expr;
}

export const single: Format = {
  name: "float32",
  fraction: 23,
  bias: 127,
  largest: (2 - 2 ** -23) * 2 ** 127,
  smallestNormal: 2 ** -126,
  floats: f32x4,
  integers: i32x4,
  integer: (value) => i32x4.const(Number(BigInt.asIntN(32, value))),
};

export const double: Format = {
  name: "float64",
  fraction: 52,
  bias: 1023,
  largest: Number.MAX_VALUE,
  smallestNormal: 2 ** -1022,
  floats: f64x2,
  integers: i64x2,
  integer: (value) => i64x2.const(value),
};

/** The bits of a number, as an integer. */
export function bitsOf(value: number, { name }: Format): bigint {
  return name === "float32"
    ? BigInt(new Int32Array(Float32Array.of(value).buffer)[0])
    : new BigInt64Array(Float64Array.of(value).buffer)[0];
}

/** The code of a function: its arguments are variables of the place's function, its value is what that returns. */
export type FunctionCode = (args: readonly Vector[], place: Place) => Vector;

/** Where code is written: the function, its module, and the format of its numbers. */
export interface Place {
  readonly f: FunctionBuilder;
  readonly module: ModuleBuilder;
  readonly format: Format;
  /** What was computed here: nothing is computed twice. */
  readonly known: Known;
  /** The value of another function of the module, which is emitted where it is first used. */
  readonly call: (code: FunctionCode, ...args: readonly Vector[]) => Vector;
  /** A function of the module that is no vector's. */
  readonly helper: (
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[],
    write: (f: FunctionBuilder) => void,
  ) => FunctionBuilder;
}

type Operand = Vector | number;

/**
 * Numbers in the lanes of a vector, each kept in a variable of the function. Comparisons give masks, of ones or zeros in
 * every bit of a lane; the operations on integers take a lane's bits as one.
 */
export class Vector {
  readonly place: Place;
  readonly expr: Expr;

  constructor(place: Place, expr: Expr) {
    this.place = place;
    this.expr = expr.args.length === 0 ? expr : place.known.find(nameOf(expr), () => expr, place);
  }

  /** A number in all lanes, or bits. */
  constant(value: number | bigint): Vector {
    const { module, format } = this.place;
    const expr = typeof value === "number" ? format.floats.const(value) : format.integer(value);
    return new Vector(this.place, module.constant(expr));
  }

  private with(other: Operand): Expr {
    return (typeof other === "number" ? this.constant(other) : other).expr;
  }
  private make(expr: Expr): Vector {
    return new Vector(this.place, expr);
  }
  private get floats(): Format["floats"] {
    return this.place.format.floats;
  }
  private get integers(): Format["integers"] {
    return this.place.format.integers;
  }

  add(other: Operand): Vector {
    return this.make(this.floats.add(this.expr, this.with(other)));
  }
  sub(other: Operand): Vector {
    return this.make(this.floats.sub(this.expr, this.with(other)));
  }
  mul(other: Operand): Vector {
    return this.make(this.floats.mul(this.expr, this.with(other)));
  }
  div(other: Operand): Vector {
    return this.make(this.floats.div(this.expr, this.with(other)));
  }
  /** What is left of another. */
  from(other: Operand): Vector {
    return this.make(this.floats.sub(this.with(other), this.expr));
  }
  neg(): Vector {
    return this.make(this.floats.neg(this.expr));
  }
  abs(): Vector {
    return this.make(this.floats.abs(this.expr));
  }
  sqrt(): Vector {
    return this.make(this.floats.sqrt(this.expr));
  }
  rounded(): Vector {
    return this.make(this.floats.nearest(this.expr));
  }
  square(): Vector {
    return this.mul(this);
  }

  /** The smaller, or this where the other is NaN or this is. */
  atMost(other: Operand): Vector {
    return this.make(this.floats.pmin(this.expr, this.with(other)));
  }
  /** The larger, or this where the other is NaN or this is. */
  atLeast(other: Operand): Vector {
    return this.make(this.floats.pmax(this.expr, this.with(other)));
  }

  lt(other: Operand): Vector {
    return this.make(this.floats.lt(this.expr, this.with(other)));
  }
  gt(other: Operand): Vector {
    return this.make(this.floats.gt(this.expr, this.with(other)));
  }
  ge(other: Operand): Vector {
    return this.make(this.floats.ge(this.expr, this.with(other)));
  }
  eq(other: Operand): Vector {
    return this.make(this.floats.eq(this.expr, this.with(other)));
  }
  isNaN(): Vector {
    return this.make(this.floats.ne(this.expr, this.expr));
  }

  and(other: Vector): Vector {
    return this.make(v128.and(this.expr, other.expr));
  }
  or(other: Vector): Vector {
    return this.make(v128.or(this.expr, other.expr));
  }
  xor(other: Vector): Vector {
    return this.make(v128.xor(this.expr, other.expr));
  }
  not(): Vector {
    return this.make(v128.not(this.expr));
  }

  /** Of a mask: `then` where it has ones, `otherwise` elsewhere. */
  select(then: Operand, otherwise: Operand): Vector {
    return this.make(selectLanes(this.with(then), this.with(otherwise), this.expr));
  }
  /** Of a mask: whether any lane has ones. */
  any(): Expr {
    return v128.any_true(this.expr);
  }

  /** The sign alone, as -0 or 0. */
  sign(): Vector {
    return this.and(this.constant(-0));
  }
  /** With the sign of another, of a number that is not negative. */
  signed(other: Vector): Vector {
    return this.or(other.sign());
  }

  /** Sums and differences of the bits. */
  plusBits(other: Vector | bigint): Vector {
    return this.make(this.integers.add(this.expr, this.bits(other)));
  }
  minusBits(other: Vector | bigint): Vector {
    return this.make(this.integers.sub(this.expr, this.bits(other)));
  }
  sameBits(other: Vector | bigint): Vector {
    return this.make(this.integers.eq(this.expr, this.bits(other)));
  }
  andBits(other: bigint): Vector {
    return this.make(v128.and(this.expr, this.bits(other)));
  }
  orBits(other: bigint): Vector {
    return this.make(v128.or(this.expr, this.bits(other)));
  }
  shiftedLeft(by: number): Vector {
    return this.make(this.integers.shl(this.expr, i32.const(by)));
  }
  shiftedRight(by: number): Vector {
    return this.make(this.integers.shr_u(this.expr, i32.const(by)));
  }
  private bits(other: Vector | bigint): Expr {
    return (typeof other === "bigint" ? this.constant(other) : other).expr;
  }

  /** The polynomial of these coefficients, the constant one first, by Horner's rule. */
  polynomial(coefficients: readonly number[]): Vector {
    let sum = this.constant(coefficients[coefficients.length - 1]);
    for (let i = coefficients.length - 2; i >= 0; i--) sum = sum.mul(this).add(coefficients[i]);
    return sum;
  }
}

/** The variables that hold what was computed on the way here, by what it is. */
export class Known {
  private variables = new Map<string, Expr>();

  /** The value of that name, in a variable. */
  find(name: string, value: () => Expr, { f }: Pick<Place, "f">): Expr {
    let found = this.variables.get(name);
    if (found === undefined) this.variables.set(name, (found = f.let(value()).get));
    return found;
  }

  /** What is computed meanwhile is known only then. */
  within(body: () => void): void {
    const { variables } = this;
    this.variables = new Map(variables);
    body();
    this.variables = variables;
  }
}

/** An expression's code, as a name. */
export function nameOf(expr: Expr): string {
  const code = new Bytes();
  expr.write(code);
  return code.view().join();
}

/** Code that runs only where a condition holds. */
export function when({ f, known }: Place, condition: Expr, body: () => void): void {
  f.if(condition, () => known.within(body));
}

/** The four numbers of float32 as two vectors of float64. */
export function halves(x: Vector, place: Place): [Vector, Vector] {
  const high = v128.shuffle(x.expr, x.expr, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
  return [
    new Vector(place, f64x2.promote_low_f32x4(x.expr)),
    new Vector(place, f64x2.promote_low_f32x4(high)),
  ];
}

/** Two vectors of float64 as one of float32, rounded. */
export function joined([low, high]: readonly [Vector, Vector], place: Place): Vector {
  const [a, b] = [low, high].map(({ expr }) => f32x4.demote_f64x2_zero(expr));
  return new Vector(place, v128.shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]));
}
