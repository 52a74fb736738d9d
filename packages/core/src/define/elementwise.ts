/** Elementwise primitives from their local partial derivatives, and predicates. */
import { type Aval, avalOf, broadcastShapes } from "../aval.ts";
import { bind } from "../bind.ts";
import { DTypeError, fail } from "../errors.ts";
import { type Operand, lift, liftPair } from "../operand.ts";
import {
  type Kink,
  type Names,
  type NoParams,
  type Primitive,
  type Rules,
  bitsOf,
  noParams,
  outputBit,
  register,
} from "../primitive.ts";
import { type Domain, argument, bools } from "../sampling.ts";
import type { Value } from "../value.ts";

/** The dtypes that an elementwise primitive takes. */
export type Accepts = "floating" | "numeric" | "bool" | "any";

export function requireAccepted(name: string, accepts: Accepts, { dtype, floating }: Aval): void {
  const accepted = floating
    ? accepts !== "bool"
    : accepts === "any" || (dtype === "bool" ? accepts === "bool" : accepts === "numeric");
  if (!accepted) {
    const wanted = {
      floating: "float64 or float32",
      numeric: "float64, float32 or int32",
      bool: "bool",
      any: "",
    }[accepts];
    fail(
      DTypeError,
      `${name}: an input of dtype ${dtype} was given, but ${name} takes ${wanted}. ` +
        `Convert it: x.astype("${accepts === "bool" ? "bool" : "float64"}").`,
    );
  }
}

/** Broadcasts elementwise inputs; all dtypes must be the same, since a dtype never changes by itself. */
function inferElementwise(name: string, accepts: Accepts, result: "same" | "bool"): Primitive["infer"] {
  return (inputs) => {
    const first = inputs[0].aval;
    requireAccepted(name, accepts, first);
    let aval = first;
    for (let i = 1; i < inputs.length; i++) {
      const other = inputs[i].aval;
      if (other === aval) continue;
      if (other.dtype !== first.dtype) {
        fail(
          DTypeError,
          `${name}: inputs ${inputs.map((x) => x.aval.toString()).join(" and ")} have different dtypes, and a dtype ` +
            `never changes by itself. Convert one with astype.`,
        );
      }
      aval = avalOf(broadcastShapes(name, [aval.shape, other.shape]), aval.dtype);
    }
    return result === "bool" ? aval.withDType("bool") : aval;
  };
}

interface ElementwiseFacts {
  /** Floating-point operations per element of the output. */
  readonly flops: number;
  readonly accepts?: Accepts;
  readonly kinks?: readonly Kink<NoParams>[];
  readonly decompose?: (inputs: readonly Value[]) => Value;
}

function registerElementwise(
  name: string,
  args: Names,
  rules: Rules,
  residuals: readonly number[],
  domains: readonly Domain[],
  facts: ElementwiseFacts,
  result: "same" | "bool" = "same",
): Primitive {
  return register<NoParams>({
    name,
    args,
    rules,
    residuals,
    elementwise: true,
    infer: inferElementwise(name, facts.accepts ?? "floating", result),
    cost: (_, output) => facts.flops * output.size,
    sample: (draw) => ({
      inputs: draw
        .broadcastable(args.length)
        .map((shape, i) => (facts.accepts === "bool" ? bools(shape) : argument(shape, domains[i]))),
      params: noParams,
    }),
    ...(facts.kinks && { kinks: facts.kinks }),
    ...(facts.decompose && { decompose: facts.decompose }),
  });
}

export type UnaryOp = ((x: Operand) => Value) & { readonly primitive: Primitive };
export type BinaryOp = ((x: Operand, y: Operand) => Value) & { readonly primitive: Primitive };

function unaryOp(primitive: Primitive): UnaryOp {
  return Object.assign(
    (x: Operand) => bind(primitive, [typeof x === "number" ? lift(primitive.name, [x])[0] : x], noParams),
    {
      primitive,
    },
  );
}

function binaryOp(primitive: Primitive): BinaryOp {
  return Object.assign(
    (x: Operand, y: Operand) => bind(primitive, liftPair(primitive.name, x, y), noParams),
    { primitive },
  );
}

/**
 * An elementwise primitive of one input, from its local partial derivative: as a function of the input, or of the
 * output where that is simpler. The tape saves the one it is a function of.
 */
export function unary(
  name: string,
  spec: ElementwiseFacts & { readonly domain: Domain } & (
      | { readonly partial: (x: Value) => Value }
      | { readonly partialFromOutput: (output: Value) => Value }
    ),
): UnaryOp {
  const [partial, saved] =
    "partial" in spec
      ? [spec.partial, 1]
      : [(_: Value, output: Value) => spec.partialFromOutput(output), outputBit];
  const rules: Rules = { form: "diagonal", partials: [partial] };
  return unaryOp(registerElementwise(name, ["x"], rules, [saved], [spec.domain], spec));
}

/** An elementwise primitive of one input whose derivative is zero wherever it exists (sign, floor ...). */
export function stepFunction(name: string, spec: ElementwiseFacts & { readonly domain: Domain }): UnaryOp {
  return unaryOp(registerElementwise(name, ["x"], { form: "zero" }, [0], [spec.domain], spec));
}

/** What the two partial derivatives of a binary primitive are functions of. */
interface Saves {
  readonly x: readonly ("x" | "y" | "output")[];
  readonly y: readonly ("x" | "y" | "output")[];
}
type BothInputs = { readonly x: readonly ["x", "y"]; readonly y: readonly ["x", "y"] };
/** A parameter of a partial derivative: a value if it is saved, else nothing that a rule could use. */
type Saved<S extends readonly string[], K extends string> = K extends S[number] ? Value : unknown;
type Partial2<S extends readonly string[]> = (
  x: Saved<S, "x">,
  y: Saved<S, "y">,
  output: Saved<S, "output">,
) => Value;

/**
 * An elementwise primitive of two inputs, from its two local partial derivatives. `saves` says what each of them uses
 * (by default both inputs); the tape keeps nothing else.
 */
export function binary<const S extends Saves = BothInputs>(
  name: string,
  spec: ElementwiseFacts & {
    readonly saves?: S;
    readonly partials: { readonly x: Partial2<S["x"]>; readonly y: Partial2<S["y"]> };
    readonly domain: { readonly x: Domain; readonly y: Domain };
  },
): BinaryOp {
  const args = ["x", "y"];
  const saves: Saves = spec.saves ?? { x: ["x", "y"], y: ["x", "y"] };
  const rules: Rules = { form: "diagonal", partials: [spec.partials.x, spec.partials.y] };
  const residuals = [bitsOf(args, saves.x), bitsOf(args, saves.y)];
  return binaryOp(registerElementwise(name, args, rules, residuals, [spec.domain.x, spec.domain.y], spec));
}

type SignedFacts = ElementwiseFacts & { readonly domain: Domain };

function registerSigned(name: string, signs: readonly (1 | -1)[], spec: SignedFacts): Primitive {
  const args = signs.length === 1 ? ["x"] : ["x", "y"];
  const rule = (sign: 1 | -1) => (sign === 1 ? (t: Value) => t : (t: Value) => t.neg());
  const each = Object.fromEntries(args.map((arg, i) => [arg, rule(signs[i])]));
  const rules: Rules = { form: "written", jvp: each, vjp: each };
  return registerElementwise(
    name,
    args,
    rules,
    args.map(() => 0),
    args.map(() => spec.domain),
    spec,
  );
}

/** An elementwise primitive that only adds or negates: its rules need no residuals. */
export function signed(name: string, spec: SignedFacts): UnaryOp {
  return unaryOp(registerSigned(name, [-1], spec));
}

/** x + y or x - y, as `sign` says. */
export function signedSum(name: string, spec: SignedFacts & { readonly sign: 1 | -1 }): BinaryOp {
  return binaryOp(registerSigned(name, [1, spec.sign], spec));
}

type PredicateFacts = Omit<ElementwiseFacts, "flops" | "kinks"> & { readonly domain: Domain };

function registerPredicate(name: string, args: Names, spec: PredicateFacts): Primitive {
  const domains = args.map(() => spec.domain);
  return registerElementwise(
    name,
    args,
    { form: "zero" },
    args.map(() => 0),
    domains,
    { ...spec, flops: 1 },
    "bool",
  );
}

/** An elementwise primitive with a bool output: it has no derivative to speak of. */
export function predicate(name: string, spec: PredicateFacts): BinaryOp {
  return binaryOp(registerPredicate(name, ["x", "y"], spec));
}

/** `predicate` of one input. */
export function unaryPredicate(name: string, spec: PredicateFacts): UnaryOp {
  return unaryOp(registerPredicate(name, ["x"], spec));
}
