/** Elementary functions of vectors, emitted as functions of a module where they are used. */
import { type Expr, type FunctionBuilder, type ModuleBuilder, callOf, f32x4, f64x2 } from "../emit/index.ts";
import type { Mathematics } from "../program/elementwise.ts";
import { splatted } from "../program/registers.ts";
import { erf } from "./error-function.ts";
import { cosh, exp, expm1, sech, sigmoid, sinh, tanh } from "./exponential.ts";
import { acos, asin, atan, atan2 } from "./inverse-trigonometric.ts";
import { acosh, asinh, atanh, log, log1p, softplus, xlogy } from "./logarithm.ts";
import { hypot, pow } from "./power.ts";
import { cos, sin, tan } from "./trigonometric.ts";
import {
  type Format,
  type FunctionCode,
  Known,
  type Place,
  Vector,
  double,
  halves,
  joined,
  single,
} from "./vector.ts";

/** Of either format. */
const both = { cos, cosh, exp, expm1, log, log1p, sech, sigmoid, sin, softplus, tanh, xlogy };
/** Of float64; float32 is computed in it and rounded, within little more than half a unit in the last place. */
const wide = { acos, acosh, asin, asinh, atan, atan2, atanh, erf, hypot, pow, sinh, tan };
/** Those that stay functions of their own even where the others are written into a loop. */
const isLong: ReadonlySet<FunctionCode> = new Set([pow, erf, atan2]);
const isWide: ReadonlySet<FunctionCode> = new Set(Object.values(wide));

const codes: Readonly<Record<string, FunctionCode>> = { ...both, ...wide };
const numberOfArguments: Readonly<Record<string, number>> = { atan2: 2, hypot: 2, pow: 2, xlogy: 2 };

function inDouble(code: FunctionCode): FunctionCode {
  return (args, place) => {
    const at: Place = { ...place, format: double };
    const parts = args.map((arg) => halves(arg, at));
    return joined(
      [at.call(code, ...parts.map(([low]) => low)), at.call(code, ...parts.map(([, high]) => high))],
      place,
    );
  };
}

/** The elementary functions of a module; each is emitted when it is first used. */
export function mathematics(module: ModuleBuilder): Mathematics {
  const helpers = new Map<string, FunctionBuilder>();
  const emitted: Readonly<Record<Format["name"], Map<FunctionCode, FunctionBuilder>>> = {
    float32: new Map(),
    float64: new Map(),
  };
  const helper: Place["helper"] = (name, params, results, write) => {
    let found = helpers.get(name);
    if (found === undefined) {
      helpers.set(name, (found = module.function(name, params, results)));
      write(found);
    }
    return found;
  };
  const call: Place["call"] = (code, ...args) => {
    const [{ place }] = args;
    return new Vector(place, callOf(emit(code, args.length, place.format), ...args.map(({ expr }) => expr)));
  };
  /** Writes the code where `f` is. */
  const write = (
    code: FunctionCode,
    args: readonly Expr[],
    format: Format,
    f: FunctionBuilder,
    known: Known,
  ): Expr => {
    const place: Place = { f, module, format, known, helper, call };
    const written = format === single && isWide.has(code) ? inDouble(code) : code;
    return written(
      args.map((arg) => new Vector(place, arg)),
      place,
    ).expr;
  };
  const emit = (code: FunctionCode, count: number, format: Format): FunctionBuilder => {
    let f = emitted[format.name].get(code);
    if (f !== undefined) return f;
    f = module.function(`${code.name}_${format.name}`, new Array<"v128">(count).fill("v128"), ["v128"]);
    emitted[format.name].set(code, f);
    f.return(
      write(
        code,
        f.args.map(({ get }) => get),
        format,
        f,
        new Known(),
      ),
    );
    return f;
  };
  return (name, args, { dtypes: [dtype], lanes, inline }) => {
    const code = codes[name] as FunctionCode | undefined;
    if (code === undefined || (dtype !== "float32" && dtype !== "float64")) return undefined;
    const format = dtype === "float64" ? double : single;
    if (inline !== undefined && !isLong.has(code)) return write(code, args, format, inline.f, inline.known);
    const f = emit(code, numberOfArguments[name] ?? 1, format);
    if (lanes > 1) return callOf(f, ...args);
    const vector = callOf(f, ...args.map((arg) => splatted(arg, dtype, dtype === "float64" ? 2 : 4)));
    return dtype === "float64" ? f64x2.extract_lane(vector, 0) : f32x4.extract_lane(vector, 0);
  };
}
