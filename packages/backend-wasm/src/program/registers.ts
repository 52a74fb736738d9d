/** Values in WebAssembly's registers: several elements in the lanes of a vector, or one as a scalar. */
import { CotangentError, type DType, fail } from "@cotangent/core";
import {
  type Expr,
  type ValueType,
  f32,
  f32x4,
  f64,
  f64x2,
  i16x8,
  i32,
  i32x4,
  i64,
  i64x2,
  i8x16,
  v128,
} from "../emit/index.ts";

/** How many elements are computed at once: 4 of 32 bits, 2 where a value of 64 bits takes part, or 1 as a scalar. */
export type Lanes = 4 | 2 | 1;

/** An element's size in memory. */
export const bytesPer: Readonly<Record<DType, number>> = { float64: 8, float32: 4, int32: 4, bool: 1 };

/**
 * The type of the registers that hold elements of a dtype. In vectors a bool is a mask over the lanes, of ones or zeros, as
 * wide as the lanes of the loop (32 bits where there are 4, 64 where there are 2); as a scalar it is 1 or 0.
 */
export function registerType(dtype: DType, lanes: Lanes): ValueType {
  if (lanes > 1) return "v128";
  return dtype === "float64" ? "f64" : dtype === "float32" ? "f32" : "i32";
}

/** A number as a register, in all lanes. */
export function literal(value: number, dtype: DType, lanes: Lanes): Expr {
  switch (dtype) {
    case "float64":
      return lanes === 1 ? f64.const(value) : f64x2.const(value);
    case "float32":
      return lanes === 1 ? f32.const(value) : f32x4.const(value);
    case "int32":
      return lanes === 1 ? i32.const(value) : i32x4.const(value);
    case "bool":
      return lanes === 1 ? i32.const(value) : i32x4.const(value === 0 ? 0 : -1);
  }
}

/** A scalar register in all lanes. */
export function splatted(value: Expr, dtype: DType, lanes: Lanes): Expr {
  if (lanes === 1) return value;
  switch (dtype) {
    case "float64":
      return f64x2.splat(value);
    case "float32":
      return f32x4.splat(value);
    case "int32":
      return i32x4.splat(value);
    case "bool":
      return i32x4.splat(i32.sub(i32.const(0), value));
  }
}

/** One lane as a scalar register. */
export function laneOf(vector: Expr, dtype: DType, lanes: Lanes, lane: number): Expr {
  switch (dtype) {
    case "float64":
      return f64x2.extract_lane(vector, lane);
    case "float32":
      return f32x4.extract_lane(vector, lane);
    case "int32":
      return i32x4.extract_lane(vector, lane);
    case "bool":
      return i32.and(i32x4.extract_lane(vector, lanes === 2 ? 2 * lane : lane), i32.const(1));
  }
}

/** A vector with one lane replaced by a scalar register. */
export function withLane(vector: Expr, dtype: DType, lanes: Lanes, lane: number, value: Expr): Expr {
  switch (dtype) {
    case "float64":
      return f64x2.replace_lane(vector, lane, value);
    case "float32":
      return f32x4.replace_lane(vector, lane, value);
    case "int32":
      return i32x4.replace_lane(vector, lane, value);
    case "bool": {
      const mask = i32.sub(i32.const(0), value);
      return lanes === 2
        ? i64x2.replace_lane(vector, lane, i64.extend_i32_s(mask))
        : i32x4.replace_lane(vector, lane, mask);
    }
  }
}

/** The lower halves of two lanes of 64 bits as the first two of 32. */
const evenWords = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
export const narrowed = (mask: Expr): Expr => v128.shuffle(mask, mask, evenWords);
/** The first two lanes of 32 bits as lanes of 64. */
export const widened = (mask: Expr): Expr => i64x2.extend_low_i32x4_s(mask);

/** Lanes of 4, as they come from memory as bytes 0 and 1, as a mask. */
const maskOfBytes = (bytes: Expr): Expr =>
  i32x4.ne(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)), i32x4.const(0));

type LoadLane = (address: Expr, vector: Expr, lane: number, offset: number) => Expr;
const loadLane: Readonly<Record<DType, LoadLane>> = {
  float64: v128.load64_lane,
  float32: v128.load32_lane,
  int32: v128.load32_lane,
  bool: v128.load8_lane,
};

/** One element as a scalar register. */
export function loadScalar(address: Expr, dtype: DType, offset = 0): Expr {
  switch (dtype) {
    case "float64":
      return f64.load(address, offset);
    case "float32":
      return f32.load(address, offset);
    case "int32":
      return i32.load(address, offset);
    case "bool":
      return i32.load8_u(address, offset);
  }
}

export function storeScalar(
  address: Expr,
  value: Expr,
  dtype: DType,
  offset = 0,
): ReturnType<typeof f64.store> {
  switch (dtype) {
    case "float64":
      return f64.store(address, value, offset);
    case "float32":
      return f32.store(address, value, offset);
    case "int32":
      return i32.store(address, value, offset);
    case "bool":
      return i32.store8(address, value, offset);
  }
}

/** Address and offset of an element some strides further on; the offset of an instruction cannot be negative. */
function at(address: Expr, bytes: number): [Expr, number] {
  return bytes >= 0 ? [address, bytes] : [i32.add(address, i32.const(bytes)), 0];
}

/**
 * The next `active` elements from an address on, `stride` elements apart, as a vector; the other lanes are zeros. The
 * address is evaluated several times.
 */
export function loadVector(address: Expr, dtype: DType, lanes: 4 | 2, stride: number, active: number): Expr {
  if (stride === 0) {
    if (dtype === "float64") return v128.load64_splat(address);
    if (dtype === "bool") return splatted(i32.load8_u(address), dtype, lanes);
    return v128.load32_splat(address);
  }
  const raw = rawVector(address, dtype, lanes, stride, active);
  if (dtype !== "bool") return raw;
  const mask = maskOfBytes(raw);
  return lanes === 2 ? widened(mask) : mask;
}

function rawVector(address: Expr, dtype: DType, lanes: 4 | 2, stride: number, active: number): Expr {
  const bytes = bytesPer[dtype];
  if (stride === 1 && active === lanes) {
    const total = bytes * lanes;
    if (total === 16) return v128.load(address);
    if (total === 8) return v128.load64_zero(address);
    if (total === 4) return v128.load32_zero(address);
  }
  let vector = i32x4.const(0);
  let lane = 0;
  if (stride === 1 && bytes === 4 && active >= 2) {
    vector = v128.load64_zero(address);
    lane = 2;
  }
  for (; lane < active; lane++) {
    const [start, offset] = at(address, lane * stride * bytes);
    vector = loadLane[dtype](start, vector, lane, offset);
  }
  return vector;
}

/** The stores that write the first `active` lanes of a vector from an address on, `stride` elements apart. */
export function storeVector(
  address: Expr,
  vector: Expr,
  dtype: DType,
  lanes: 4 | 2,
  stride: number,
  active: number,
): ReturnType<typeof v128.store>[] {
  const bytes = bytesPer[dtype];
  const total = bytes * lanes;
  const raw = dtype === "bool" ? bytesOfMask(lanes === 2 ? narrowed(vector) : vector) : vector;
  if (stride === 1 && active === lanes) {
    if (total === 16) return [v128.store(address, raw)];
    if (total === 8) return [v128.store64_lane(address, raw, 0)];
    if (total === 4) return [v128.store32_lane(address, raw, 0)];
  }
  const stores = { 8: v128.store64_lane, 4: v128.store32_lane, 2: v128.store16_lane, 1: v128.store8_lane };
  const pair = stride === 1 && bytes === 4 && active >= 2 ? [v128.store64_lane(address, raw, 0)] : [];
  const rest = Array.from({ length: active - 2 * pair.length }, (_, i) => {
    const lane = 2 * pair.length + i;
    const [start, offset] = at(address, lane * stride * bytes);
    return stores[bytes as 8 | 4 | 1](start, raw, lane, offset);
  });
  return [...pair, ...rest];
}

/** A mask over 4 lanes as 4 bytes 0 or 1. */
function bytesOfMask(mask: Expr): Expr {
  const words = v128.and(mask, i32x4.const(1));
  const halves = i16x8.narrow_i32x4_u(words, words);
  return i8x16.narrow_i16x8_u(halves, halves);
}

/** A register of one dtype as one of another, as the primitive `convert` has it. */
export function converted(value: Expr, from: DType, to: DType, lanes: Lanes): Expr {
  if (from === to) return value;
  if (lanes === 1) return scalarConverted(value, from, to);
  const wide = lanes === 2;
  switch (to) {
    case "bool": {
      const zero = literal(0, from, lanes);
      if (from === "float64") return f64x2.ne(value, zero);
      const mask = from === "float32" ? f32x4.ne(value, zero) : i32x4.ne(value, zero);
      return wide ? widened(mask) : mask;
    }
    case "float64":
      if (from === "float32") return f64x2.promote_low_f32x4(value);
      if (from === "int32") return f64x2.convert_low_i32x4_s(value);
      return v128.and(value, f64x2.const(1));
    case "float32":
      if (from === "float64") return f32x4.demote_f64x2_zero(value);
      if (from === "int32") return f32x4.convert_i32x4_s(value);
      return v128.and(wide ? narrowed(value) : value, f32x4.const(1));
    case "int32": {
      if (from === "bool") return v128.and(wide ? narrowed(value) : value, i32x4.const(1));
      // Numbers out of range wrap around as in JavaScript; vectors have instructions that saturate alone.
      let vector = i32x4.const(0);
      for (let lane = 0; lane < lanes; lane++) {
        const scalar = scalarConverted(laneOf(value, from, lanes, lane), from, to);
        vector = i32x4.replace_lane(vector, lane, scalar);
      }
      return vector;
    }
  }
}

/** The remainder by 2³², with all of its digits: what int32 keeps of a number of any size. That of infinity is NaN. */
const remainder = (value: Expr): Expr =>
  f64.sub(value, f64.mul(f64.trunc(f64.mul(value, f64.const(2 ** -32))), f64.const(2 ** 32)));

function scalarConverted(value: Expr, from: DType, to: DType): Expr {
  switch (to) {
    case "bool":
      if (from === "float64") return f64.ne(value, f64.const(0));
      if (from === "float32") return f32.ne(value, f32.const(0));
      return i32.ne(value, i32.const(0));
    case "float64":
      return from === "float32" ? f64.promote_f32(value) : f64.convert_i32_s(value);
    case "float32":
      return from === "float64" ? f32.demote_f64(value) : f32.convert_i32_s(value);
    case "int32":
      if (from === "bool") return value;
      return i32.wrap_i64(
        i64.trunc_sat_f64_s(remainder(from === "float32" ? f64.promote_f32(value) : value)),
      );
  }
}

/** Lanes that all dtypes of a cluster can share. */
export function lanesFor(dtypes: Iterable<DType>): 4 | 2 {
  for (const dtype of dtypes) if (dtype === "float64") return 2;
  return 4;
}

/** For code generators: what can never be. */
export function impossible(what: string): never {
  fail(CotangentError, `wasm: ${what}. This is a fault in Cotangent; please report it.`);
}
