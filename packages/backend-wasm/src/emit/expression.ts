/** WebAssembly's instructions as functions from expressions to expressions, with their types checked. */
import { CotangentError, fail } from "@cotangent/core";
import type { Bytes } from "./bytes.ts";

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** What an instruction is given besides its operands: bytes as they are, or a number to be written as LEB128. */
type Immediate = number | Uint8Array;

/** A value that code computes: an instruction and its operands, evaluated from left to right wherever it is used. */
export class Expr {
  readonly type: ValueType;
  /** The opcode; SIMD instructions and others of several bytes have the prefix in the upper bits. */
  readonly code: number;
  readonly args: readonly Expr[];
  readonly immediates: readonly Immediate[];

  constructor(type: ValueType, code: number, args: readonly Expr[], immediates: readonly Immediate[] = none) {
    this.type = type;
    this.code = code;
    this.args = args;
    this.immediates = immediates;
  }

  write(out: Bytes): void {
    for (const arg of this.args) arg.write(out);
    writeInstruction(out, this.code, this.immediates);
  }
}

const none: readonly Immediate[] = [];
const simd = 0xfd;

/** An opcode of two parts. */
const prefixed = (prefix: number, code: number): number => (prefix << 16) | code;

export function writeInstruction(out: Bytes, code: number, immediates: readonly Immediate[]): void {
  const prefix = code >>> 16;
  if (prefix === 0) out.byte(code);
  else {
    out.byte(prefix);
    out.unsigned(code & 0xffff);
  }
  for (const immediate of immediates) {
    if (typeof immediate === "number") out.unsigned(immediate);
    else out.all(immediate);
  }
}

/** Refuses operands of other types: a fault in a code generator, found where it is made. */
export function requireTypes(what: string, args: readonly Expr[], types: readonly ValueType[]): void {
  if (args.length === types.length && args.every((arg, i) => arg.type === types[i])) return;
  fail(
    CotangentError,
    `WebAssembly's ${what} takes (${types.join(", ")}), but was given (${args.map(({ type }) => type).join(", ")}).`,
  );
}

type Unary = (a: Expr) => Expr;
type Binary = (a: Expr, b: Expr) => Expr;
type Ternary = (a: Expr, b: Expr, c: Expr) => Expr;

const one =
  (code: number, result: ValueType, a: ValueType): Unary =>
  (x) => {
    if (x.type !== a) requireTypes(`instruction 0x${code.toString(16)}`, [x], [a]);
    return new Expr(result, code, [x]);
  };
const two =
  (code: number, result: ValueType, a: ValueType, b: ValueType = a): Binary =>
  (x, y) => {
    if (x.type !== a || y.type !== b) requireTypes(`instruction 0x${code.toString(16)}`, [x, y], [a, b]);
    return new Expr(result, code, [x, y]);
  };
const three =
  (code: number, result: ValueType, a: ValueType, b: ValueType, c: ValueType): Ternary =>
  (x, y, z) => {
    requireTypes(`instruction 0x${code.toString(16)}`, [x, y, z], [a, b, c]);
    return new Expr(result, code, [x, y, z]);
  };

/** How a load or a store reaches memory: the address plus an offset. */
type Load = (address: Expr, offset?: number) => Expr;

const load =
  (code: number, result: ValueType, alignment: number): Load =>
  (address, offset = 0) => {
    requireTypes("load", [address], ["i32"]);
    return new Expr(result, code, [address], [alignment, offset]);
  };
const loadLane =
  (code: number, alignment: number) =>
  (address: Expr, vector: Expr, lane: number, offset = 0): Expr => {
    requireTypes("load of a lane", [address, vector], ["i32", "v128"]);
    return new Expr("v128", prefixed(simd, code), [address, vector], [alignment, offset, lane]);
  };

/** A store: what it writes, and where. It has no value. */
export interface Store {
  readonly code: number;
  readonly args: readonly Expr[];
  readonly immediates: readonly Immediate[];
}
const store =
  (code: number, type: ValueType, alignment: number) =>
  (address: Expr, value: Expr, offset = 0): Store => {
    requireTypes("store", [address, value], ["i32", type]);
    return { code, args: [address, value], immediates: [alignment, offset] };
  };
const storeLane =
  (code: number, alignment: number) =>
  (address: Expr, value: Expr, lane: number, offset = 0): Store => {
    requireTypes("store of a lane", [address, value], ["i32", "v128"]);
    return { code: prefixed(simd, code), args: [address, value], immediates: [alignment, offset, lane] };
  };

const bytesOf = (values: Float64Array | Float32Array | Int32Array | BigInt64Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();

function lebOf(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40)) return Uint8Array.of(...bytes, low);
    bytes.push(low | 0x80);
  }
}

/** An integer's operations, from the first code of comparisons and that of arithmetic on. */
const integers = (type: "i32" | "i64", compare: number, arithmetic: number) => ({
  eqz: one(compare, "i32", type),
  eq: two(compare + 1, "i32", type),
  ne: two(compare + 2, "i32", type),
  lt_s: two(compare + 3, "i32", type),
  lt_u: two(compare + 4, "i32", type),
  gt_s: two(compare + 5, "i32", type),
  gt_u: two(compare + 6, "i32", type),
  le_s: two(compare + 7, "i32", type),
  le_u: two(compare + 8, "i32", type),
  ge_s: two(compare + 9, "i32", type),
  ge_u: two(compare + 10, "i32", type),
  clz: one(arithmetic, type, type),
  ctz: one(arithmetic + 1, type, type),
  popcnt: one(arithmetic + 2, type, type),
  add: two(arithmetic + 3, type, type),
  sub: two(arithmetic + 4, type, type),
  mul: two(arithmetic + 5, type, type),
  div_s: two(arithmetic + 6, type, type),
  div_u: two(arithmetic + 7, type, type),
  rem_s: two(arithmetic + 8, type, type),
  rem_u: two(arithmetic + 9, type, type),
  and: two(arithmetic + 10, type, type),
  or: two(arithmetic + 11, type, type),
  xor: two(arithmetic + 12, type, type),
  shl: two(arithmetic + 13, type, type),
  shr_s: two(arithmetic + 14, type, type),
  shr_u: two(arithmetic + 15, type, type),
  rotl: two(arithmetic + 16, type, type),
  rotr: two(arithmetic + 17, type, type),
});

const floats = (type: "f32" | "f64", compare: number, arithmetic: number) => ({
  eq: two(compare, "i32", type),
  ne: two(compare + 1, "i32", type),
  lt: two(compare + 2, "i32", type),
  gt: two(compare + 3, "i32", type),
  le: two(compare + 4, "i32", type),
  ge: two(compare + 5, "i32", type),
  abs: one(arithmetic, type, type),
  neg: one(arithmetic + 1, type, type),
  ceil: one(arithmetic + 2, type, type),
  floor: one(arithmetic + 3, type, type),
  trunc: one(arithmetic + 4, type, type),
  nearest: one(arithmetic + 5, type, type),
  sqrt: one(arithmetic + 6, type, type),
  add: two(arithmetic + 7, type, type),
  sub: two(arithmetic + 8, type, type),
  mul: two(arithmetic + 9, type, type),
  div: two(arithmetic + 10, type, type),
  min: two(arithmetic + 11, type, type),
  max: two(arithmetic + 12, type, type),
  copysign: two(arithmetic + 13, type, type),
});

const saturating = 0xfc;

export const i32 = {
  const: (value: number): Expr => new Expr("i32", 0x41, [], [lebOf(value | 0)]),
  load: load(0x28, "i32", 2),
  load8_u: load(0x2d, "i32", 0),
  load8_s: load(0x2c, "i32", 0),
  load16_u: load(0x2f, "i32", 1),
  store: store(0x36, "i32", 2),
  store8: store(0x3a, "i32", 0),
  store16: store(0x3b, "i32", 1),
  ...integers("i32", 0x45, 0x67),
  wrap_i64: one(0xa7, "i32", "i64"),
  trunc_sat_f32_s: one(prefixed(saturating, 0), "i32", "f32"),
  trunc_sat_f32_u: one(prefixed(saturating, 1), "i32", "f32"),
  trunc_sat_f64_s: one(prefixed(saturating, 2), "i32", "f64"),
  trunc_sat_f64_u: one(prefixed(saturating, 3), "i32", "f64"),
  reinterpret_f32: one(0xbc, "i32", "f32"),
  select: three(0x1b, "i32", "i32", "i32", "i32"),
};

export const i64 = {
  const: (value: bigint | number): Expr =>
    new Expr("i64", 0x42, [], [lebOf(BigInt.asIntN(64, BigInt(value)))]),
  load: load(0x29, "i64", 3),
  store: store(0x37, "i64", 3),
  ...integers("i64", 0x50, 0x79),
  extend_i32_s: one(0xac, "i64", "i32"),
  extend_i32_u: one(0xad, "i64", "i32"),
  trunc_sat_f64_s: one(prefixed(saturating, 6), "i64", "f64"),
  trunc_sat_f64_u: one(prefixed(saturating, 7), "i64", "f64"),
  reinterpret_f64: one(0xbd, "i64", "f64"),
  select: three(0x1b, "i64", "i64", "i64", "i32"),
};

export const f32 = {
  const: (value: number): Expr => new Expr("f32", 0x43, [], [bytesOf(Float32Array.of(value))]),
  load: load(0x2a, "f32", 2),
  store: store(0x38, "f32", 2),
  ...floats("f32", 0x5b, 0x8b),
  convert_i32_s: one(0xb2, "f32", "i32"),
  convert_i32_u: one(0xb3, "f32", "i32"),
  demote_f64: one(0xb6, "f32", "f64"),
  reinterpret_i32: one(0xbe, "f32", "i32"),
  select: three(0x1b, "f32", "f32", "f32", "i32"),
};

export const f64 = {
  const: (value: number): Expr => new Expr("f64", 0x44, [], [bytesOf(Float64Array.of(value))]),
  load: load(0x2b, "f64", 3),
  store: store(0x39, "f64", 3),
  ...floats("f64", 0x61, 0x99),
  convert_i32_s: one(0xb7, "f64", "i32"),
  convert_i32_u: one(0xb8, "f64", "i32"),
  convert_i64_s: one(0xb9, "f64", "i64"),
  promote_f32: one(0xbb, "f64", "f32"),
  reinterpret_i64: one(0xbf, "f64", "i64"),
  select: three(0x1b, "f64", "f64", "f64", "i32"),
};

const v1 = (code: number): Unary => one(prefixed(simd, code), "v128", "v128");
const v2 = (code: number): Binary => two(prefixed(simd, code), "v128", "v128");
const v3 = (code: number): Ternary => three(prefixed(simd, code), "v128", "v128", "v128", "v128");
const shift = (code: number): Binary => two(prefixed(simd, code), "v128", "v128", "i32");
const test = (code: number): Unary => one(prefixed(simd, code), "i32", "v128");
const splat = (code: number, type: ValueType): Unary => one(prefixed(simd, code), "v128", type);
const extract =
  (code: number, type: ValueType) =>
  (vector: Expr, lane: number): Expr => {
    requireTypes("extraction of a lane", [vector], ["v128"]);
    return new Expr(type, prefixed(simd, code), [vector], [Uint8Array.of(lane)]);
  };
const replace =
  (code: number, type: ValueType) =>
  (vector: Expr, lane: number, value: Expr): Expr => {
    requireTypes("replacement of a lane", [vector, value], ["v128", type]);
    return new Expr("v128", prefixed(simd, code), [vector, value], [Uint8Array.of(lane)]);
  };
const vectorLoad = (code: number, alignment: number): Load => load(prefixed(simd, code), "v128", alignment);
const constant = (bytes: Uint8Array): Expr => new Expr("v128", prefixed(simd, 12), [], [bytes]);

export const v128 = {
  const: constant,
  load: vectorLoad(0, 4),
  load32x2_u: vectorLoad(6, 3),
  load32x2_s: vectorLoad(5, 3),
  load8_splat: vectorLoad(7, 0),
  load32_splat: vectorLoad(9, 2),
  load64_splat: vectorLoad(10, 3),
  load32_zero: vectorLoad(92, 2),
  load64_zero: vectorLoad(93, 3),
  load8_lane: loadLane(84, 0),
  load16_lane: loadLane(85, 1),
  load32_lane: loadLane(86, 2),
  load64_lane: loadLane(87, 3),
  store: store(prefixed(simd, 11), "v128", 4),
  store8_lane: storeLane(88, 0),
  store16_lane: storeLane(89, 1),
  store32_lane: storeLane(90, 2),
  store64_lane: storeLane(91, 3),
  not: v1(77),
  and: v2(78),
  /** The bits of the first that the second lacks. */
  andnot: v2(79),
  or: v2(80),
  xor: v2(81),
  /** Bits of the first where the third has ones, of the second elsewhere. */
  bitselect: v3(82),
  any_true: test(83),
  select: three(0x1b, "v128", "v128", "v128", "i32"),
  /** Bytes of both operands by their numbers, those of the second from 16 on. */
  shuffle: (a: Expr, b: Expr, lanes: readonly number[]): Expr => {
    requireTypes("shuffle", [a, b], ["v128", "v128"]);
    if (lanes.length !== 16 || !lanes.every((lane) => lane >= 0 && lane < 32))
      fail(CotangentError, `A shuffle takes 16 lanes below 32, not [${lanes.join(", ")}].`);
    return new Expr("v128", prefixed(simd, 13), [a, b], [Uint8Array.from(lanes)]);
  },
};

const vectorIntegers = (abs: number) => ({
  abs: v1(abs),
  neg: v1(abs + 1),
  all_true: test(abs + 3),
  bitmask: test(abs + 4),
});

const vectorFloats = (abs: number, compare: number) => ({
  eq: v2(compare),
  ne: v2(compare + 1),
  lt: v2(compare + 2),
  gt: v2(compare + 3),
  le: v2(compare + 4),
  ge: v2(compare + 5),
  abs: v1(abs),
  neg: v1(abs + 1),
  sqrt: v1(abs + 3),
  add: v2(abs + 4),
  sub: v2(abs + 5),
  mul: v2(abs + 6),
  div: v2(abs + 7),
  min: v2(abs + 8),
  max: v2(abs + 9),
  pmin: v2(abs + 10),
  pmax: v2(abs + 11),
});

export const i8x16 = {
  splat: splat(15, "i32"),
  extract_lane_u: extract(22, "i32"),
  replace_lane: replace(23, "i32"),
  eq: v2(35),
  ne: v2(36),
  swizzle: v2(14),
  ...vectorIntegers(96),
  narrow_i16x8_s: v2(101),
  narrow_i16x8_u: v2(102),
};

export const i16x8 = {
  splat: splat(16, "i32"),
  extract_lane_u: extract(25, "i32"),
  replace_lane: replace(26, "i32"),
  eq: v2(45),
  ne: v2(46),
  narrow_i32x4_s: v2(133),
  narrow_i32x4_u: v2(134),
  extend_low_i8x16_s: v1(135),
  extend_high_i8x16_s: v1(136),
  extend_low_i8x16_u: v1(137),
  extend_high_i8x16_u: v1(138),
};

export const i32x4 = {
  const: (...lanes: readonly number[]): Expr => constant(bytesOf(Int32Array.from(fill(lanes, 4)))),
  splat: splat(17, "i32"),
  extract_lane: extract(27, "i32"),
  replace_lane: replace(28, "i32"),
  eq: v2(55),
  ne: v2(56),
  lt_s: v2(57),
  lt_u: v2(58),
  gt_s: v2(59),
  gt_u: v2(60),
  le_s: v2(61),
  le_u: v2(62),
  ge_s: v2(63),
  ge_u: v2(64),
  ...vectorIntegers(160),
  extend_low_i16x8_s: v1(167),
  extend_high_i16x8_s: v1(168),
  extend_low_i16x8_u: v1(169),
  extend_high_i16x8_u: v1(170),
  shl: shift(171),
  shr_s: shift(172),
  shr_u: shift(173),
  add: v2(174),
  sub: v2(177),
  mul: v2(181),
  min_s: v2(182),
  min_u: v2(183),
  max_s: v2(184),
  max_u: v2(185),
  trunc_sat_f32x4_s: v1(248),
  trunc_sat_f32x4_u: v1(249),
  trunc_sat_f64x2_s_zero: v1(252),
  trunc_sat_f64x2_u_zero: v1(253),
  /** As v128.bitselect for masks whose lanes are ones or zeros, in one instruction where that takes three (relaxed SIMD). */
  relaxed_laneselect: v3(0x10b),
};

export const i64x2 = {
  const: (...lanes: readonly bigint[]): Expr =>
    constant(bytesOf(BigInt64Array.from(fill(lanes, 2).map((lane) => BigInt.asIntN(64, lane))))),
  splat: splat(18, "i64"),
  extract_lane: extract(29, "i64"),
  replace_lane: replace(30, "i64"),
  eq: v2(214),
  ne: v2(215),
  lt_s: v2(216),
  gt_s: v2(217),
  le_s: v2(218),
  ge_s: v2(219),
  ...vectorIntegers(192),
  extend_low_i32x4_s: v1(199),
  extend_high_i32x4_s: v1(200),
  extend_low_i32x4_u: v1(201),
  extend_high_i32x4_u: v1(202),
  shl: shift(203),
  shr_s: shift(204),
  shr_u: shift(205),
  add: v2(206),
  sub: v2(209),
  mul: v2(213),
};

export const f32x4 = {
  const: (...lanes: readonly number[]): Expr => constant(bytesOf(Float32Array.from(fill(lanes, 4)))),
  splat: splat(19, "f32"),
  extract_lane: extract(31, "f32"),
  replace_lane: replace(32, "f32"),
  ...vectorFloats(224, 65),
  ceil: v1(103),
  floor: v1(104),
  trunc: v1(105),
  nearest: v1(106),
  demote_f64x2_zero: v1(94),
  convert_i32x4_s: v1(250),
  convert_i32x4_u: v1(251),
  /** a * b + c, rounded once or twice as the machine does it (relaxed SIMD). */
  relaxed_madd: v3(0x105),
  /** c - a * b */
  relaxed_nmadd: v3(0x106),
};

export const f64x2 = {
  const: (...lanes: readonly number[]): Expr => constant(bytesOf(Float64Array.from(fill(lanes, 2)))),
  splat: splat(20, "f64"),
  extract_lane: extract(33, "f64"),
  replace_lane: replace(34, "f64"),
  ...vectorFloats(236, 71),
  ceil: v1(116),
  floor: v1(117),
  trunc: v1(122),
  nearest: v1(148),
  promote_low_f32x4: v1(95),
  convert_low_i32x4_s: v1(254),
  convert_low_i32x4_u: v1(255),
  relaxed_madd: v3(0x107),
  relaxed_nmadd: v3(0x108),
};

/** One lane stands for all. */
function fill<T>(lanes: readonly T[], count: number): readonly T[] {
  if (lanes.length === 1) return Array.from({ length: count }, () => lanes[0]);
  if (lanes.length !== count)
    fail(CotangentError, `${count} lanes are wanted, or one for all, not ${lanes.length}.`);
  return lanes;
}

const atomic = 0xfe;
export const atomics = {
  load: (address: Expr, offset = 0): Expr => new Expr("i32", prefixed(atomic, 0x10), [address], [2, offset]),
  store: (address: Expr, value: Expr, offset = 0): Store => ({
    code: prefixed(atomic, 0x17),
    args: [address, value],
    immediates: [2, offset],
  }),
  /** Adds, and gives the value before. */
  add: (address: Expr, value: Expr, offset = 0): Expr =>
    new Expr("i32", prefixed(atomic, 0x1e), [address, value], [2, offset]),
};
