/** Elementwise predicates: comparisons of any dtype, and logic on bools. They have no derivatives. */
import { type BinaryOp, type UnaryOp, predicate, unaryPredicate } from "../define/elementwise.ts";
import { interval, real } from "../sampling.ts";

/** Few numbers, so that there are ties, and those that compare otherwise than others. */
const domain = interval(-2, 2, { integer: true, special: [-0, Infinity, -Infinity, NaN] });
const comparison = { accepts: "any", domain } as const;

export const eq: BinaryOp = predicate("eq", comparison);
export const ne: BinaryOp = predicate("ne", comparison);
export const lt: BinaryOp = predicate("lt", comparison);
export const le: BinaryOp = predicate("le", comparison);
export const gt: BinaryOp = predicate("gt", comparison);
export const ge: BinaryOp = predicate("ge", comparison);
/** Whether x is neither NaN nor infinite. */
export const isFinite: UnaryOp = unaryPredicate("isFinite", { accepts: "floating", domain });

const logic = { accepts: "bool", domain: real() } as const;

export const and: BinaryOp = predicate("and", logic);
export const or: BinaryOp = predicate("or", logic);
export const not: UnaryOp = unaryPredicate("not", logic);
