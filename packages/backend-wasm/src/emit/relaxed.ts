/** Relaxed SIMD, where the engine has it. */
import { type Expr, i32x4, v128 } from "./expression.ts";

/** A module with the one instruction that multiplies and adds at once where the machine has that (relaxed SIMD). */
const withMultiplyAdd = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32,
  1, 32, 2, 253, 133, 2, 11,
]);
/** Whether this engine has relaxed SIMD. */
export const hasRelaxedSimd = WebAssembly.validate(withMultiplyAdd);

/**
 * `then` in the lanes in which the mask has ones, `otherwise` in those in which it has zeros. There the relaxed instruction
 * leaves nothing open, so that it is no option.
 */
export const selectLanes: (then: Expr, otherwise: Expr, mask: Expr) => Expr = hasRelaxedSimd
  ? i32x4.relaxed_laneselect
  : v128.bitselect;
