/** The elementary functions that backend-wasm has code of its own for. */
import { type ExactFunction, exactFunctions } from "@cotangent/verify";

const names = [
  "sqrt",
  "rsqrt",
  "reciprocal",
  "exp",
  "expm1",
  "log",
  "log1p",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "sech",
  "tanh",
  "sigmoid",
  "softplus",
  "asinh",
  "acosh",
  "atanh",
  "erf",
  "pow",
  "atan2",
  "hypot",
  "xlogy",
];

export const elementaryFunctions: ReadonlyMap<string, ExactFunction> = new Map(
  names.map((name) => [name, exactFunctions.get(name) as ExactFunction]),
);
