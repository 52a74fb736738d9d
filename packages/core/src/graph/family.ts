/** Primitives by what they do, for the colours of diagrams. */
import type { Params, Primitive } from "../primitive.ts";
import { nestedGraphs } from "./graph.ts";

/** What a node of a diagram is. */
export type Family =
  | "input"
  | "constant"
  | "arithmetic"
  | "function"
  | "product"
  | "reduction"
  | "shape"
  | "discrete"
  | "control";

const reductions = new Set([
  "sum",
  "prod",
  "reduceMax",
  "reduceMin",
  "logSumExp",
  "cumsum",
  "maxPool2d",
  "avgPool2d",
]);

/** The family of a primitive, from its record; of those that are not elementwise, reductions go by their names. */
export function familyOf(primitive: Primitive, params: Params): Family {
  if (nestedGraphs(params).length > 0) return "control";
  if (primitive.form === "zero" || primitive.form === "nonDifferentiable") return "discrete";
  if (primitive.elementwise) return primitive.args.length > 1 ? "arithmetic" : "function";
  if (primitive.form === "bilinear") return "product";
  return reductions.has(primitive.name) ? "reduction" : "shape";
}
