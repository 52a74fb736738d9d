/** Where the code of a program finds a value. */
import type { Aval } from "@cotangent/core";
import type { Expr } from "../emit/index.ts";
import { type Layout, contiguous } from "./layout.ts";

/** Values of at most so many elements are kept in registers, one for each element. */
export const mostRegisters = 16;

export const isTiny = (aval: Aval): boolean => aval.size > 0 && aval.size <= mostRegisters;

/** A value: its elements in registers, or in memory, or in both. */
export interface Slot {
  readonly aval: Aval;
  /** How it lies in memory, in elements from its address on. */
  readonly layout: Layout;
  /** The address that the layout counts from. */
  address: Expr | undefined;
  /** Its elements in row-major order, as scalars. */
  registers: readonly Expr[] | undefined;
}

export const inMemory = (aval: Aval, address: Expr, layout: Layout = contiguous(aval.shape)): Slot => ({
  aval,
  layout,
  address,
  registers: undefined,
});

export const inRegisters = (aval: Aval, registers: readonly Expr[]): Slot => ({
  aval,
  layout: contiguous(aval.shape),
  address: undefined,
  registers,
});
