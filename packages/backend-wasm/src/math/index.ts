/** Elementary functions of vectors, emitted as functions of a module where they are used. */
import type { DType } from "@cotangent/core";
import { type Expr, type FunctionBuilder, type ModuleBuilder, callOf, f32x4, f64x2 } from "../emit/index.ts";
import type { Mathematics } from "../program/elementwise.ts";
import { splatted } from "../program/registers.ts";
import { float32Functions } from "./float32.ts";
import { float64Functions } from "./float64.ts";

/**
 * The code of an elementary function in the lanes of a vector: its arguments are variables of `f`, where it may make more;
 * the result is returned by the caller. `call` gives the value of another function of the same table.
 */
export type VectorFunction = (
  f: FunctionBuilder,
  args: readonly Expr[],
  call: (name: string, ...args: readonly Expr[]) => Expr,
) => Expr;

const tables: Partial<Record<DType, Readonly<Record<string, VectorFunction>>>> = {
  float32: float32Functions,
  float64: float64Functions,
};

/** The elementary functions of a module; each is emitted when it is first used. */
export function mathematics(module: ModuleBuilder): Mathematics {
  const emitted = new Map<string, FunctionBuilder>();
  const functionOf = (name: string, dtype: DType): FunctionBuilder | undefined => {
    const code = tables[dtype]?.[name];
    if (code === undefined) return undefined;
    const key = `${name}_${dtype}`;
    let found = emitted.get(key);
    if (found === undefined) {
      const count = arity[name] ?? 1;
      found = module.function(key, new Array<"v128">(count).fill("v128"), ["v128"]);
      emitted.set(key, found);
      const call = (other: string, ...args: readonly Expr[]): Expr =>
        callOf(functionOf(other, dtype) ?? missing(other, dtype), ...args);
      found.return(
        code(
          found,
          found.args.map(({ get }) => get),
          call,
        ),
      );
    }
    return found;
  };
  return (name, args, { dtypes: [dtype], lanes }) => {
    const found = functionOf(name, dtype);
    if (found === undefined) return undefined;
    if (lanes > 1) return callOf(found, ...args);
    const vector = callOf(found, ...args.map((arg) => splatted(arg, dtype, dtype === "float64" ? 2 : 4)));
    return dtype === "float64" ? f64x2.extract_lane(vector, 0) : f32x4.extract_lane(vector, 0);
  };
}

/** Functions of two arguments. */
const arity: Readonly<Record<string, number>> = { pow: 2, hypot: 2, atan2: 2, mod: 2, xlogy: 2 };

function missing(name: string, dtype: DType): never {
  throw new Error(`wasm: there is no function ${name} for ${dtype}.`);
}
