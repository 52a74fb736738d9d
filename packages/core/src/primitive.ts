import { type Aval, avalOf, broadcastShapes } from "./aval.ts";
import { bind, bindMultiple } from "./bind.ts";
import type { DType } from "./dtype.ts";
import { CotangentError, DTypeError, fail } from "./errors.ts";
import { type Operand, lift, liftPair } from "./operand.ts";
import { type Domain, type Draw, type Sample, argument } from "./sampling.ts";
import type { Value } from "./value.ts";

/** Parameters of a primitive: plain data, so that they can be hashed, printed and stored. */
export type Params = object;
export type NoParams = Readonly<Record<never, never>>;
export const noParams: NoParams = Object.freeze({});

type Names = readonly string[];

/** What a forward rule sees: every input by its name, the output and the parameters. */
export type ForwardContext<A extends Names, P> = { readonly [K in A[number]]: Value } & {
  readonly output: Value;
  readonly params: P;
};

/** What a reverse rule sees: the residuals `R` that it declared, all abstract values and the parameters. */
export type ReverseContext<A extends Names, R extends string, P> = { readonly [K in R]: Value } & {
  readonly avals: { readonly [K in A[number]]: Aval };
  readonly params: P;
};

export type ForwardRule<A extends Names, P> = (tangent: Value, context: ForwardContext<A, P>) => Value;
export type ReverseRule<A extends Names, R extends string, P> = (
  cotangent: Value,
  context: ReverseContext<A, R, P>,
) => Value;

/** An argument, or a whole primitive, without a derivative, and why. */
export interface NonDifferentiable {
  readonly nonDifferentiable: string;
}
export function nonDifferentiable(reason: string): NonDifferentiable {
  return { nonDifferentiable: reason };
}

/** A point without a unique derivative and what Cotangent gives there: part of the contract, and a test. */
export interface Kink {
  /** One number per input: the kink as a rank-0 call. */
  readonly at: readonly number[];
  /** The partial derivative with respect to each input. */
  readonly partials: readonly number[];
  readonly because: string;
}

/** What every primitive says of itself, whatever the form of its rules. */
export interface Facts<P> {
  /** Gives the output's abstract value, or throws an error that says what does not fit. */
  readonly shape: (avals: readonly Aval[], params: P) => Aval;
  /** Floating-point operations of one evaluation. */
  readonly cost: (inputs: readonly Aval[], output: Aval, params: P) => number;
  /** Valid calls to test with, where the primitive is smooth. */
  readonly sample: (draw: Draw) => Sample;
  readonly kinks?: readonly Kink[];
  /** The primitive in terms of others, for backends without a kernel for it. */
  readonly decompose?: (inputs: readonly Value[], params: P) => Value;
  /**
   * The primitive applied to many inputs at once: those marked in `batched` have a batch axis in front, and so has the
   * result. Nothing calls it yet.
   */
  readonly batch?: (inputs: readonly Value[], batched: readonly boolean[], params: P) => Value;
}

/** The rules, in the form in which they were stated. Only `written` rules are two statements that test each other. */
export type Rules =
  /** Elementwise: one local partial derivative per input, as a function of the inputs and the output. */
  | { readonly form: "diagonal"; readonly partials: readonly ((...inputsAndOutput: Value[]) => Value)[] }
  /** Linear in all inputs but the constants: the JVP is the op itself, the VJP its transpose. */
  | { readonly form: "linear"; readonly transpose: Readonly<Record<string, LooseReverseRule>> }
  /** Linear in each input. */
  | { readonly form: "bilinear"; readonly transpose: Readonly<Record<string, LooseReverseRule>> }
  | {
      readonly form: "written";
      readonly jvp: Readonly<Record<string, LooseForwardRule | NonDifferentiable>>;
      readonly vjp: Readonly<Record<string, LooseReverseRule | NonDifferentiable>>;
    }
  /** Locally constant, or of a dtype without derivatives: every derivative is zero. */
  | { readonly form: "zero" }
  | { readonly form: "nonDifferentiable"; readonly reason: string }
  | MultipleRules;

/** A primitive with several outputs. Null tangents and cotangents are zeros. */
export interface MultipleRules {
  readonly form: "multiple";
  readonly shapes: (avals: readonly Aval[], params: Params) => Aval[];
  readonly jvp: (
    tangents: readonly (Value | null)[],
    context: { inputs: readonly Value[]; outputs: readonly Value[]; params: Params },
  ) => (Value | null)[];
  readonly vjp: (
    cotangents: readonly (Value | null)[],
    context: { inputs: readonly Value[]; outputs: readonly Value[]; params: Params },
  ) => (Value | null)[];
}

/** Rules as the drivers in rules.ts call them: contexts built by name, their types checked where they were written. */
export type LooseContext = Readonly<Record<string, unknown>>;
export type LooseForwardRule = (tangent: Value, context: LooseContext) => Value;
export type LooseReverseRule = (cotangent: Value, context: LooseContext) => Value;

/** The record of one primitive. */
export interface Primitive {
  readonly name: string;
  readonly args: readonly string[];
  /** Whether the one argument stands for any number of inputs. */
  readonly variadic: boolean;
  /** Whether each element of the output depends on the matching elements of the broadcast inputs alone. */
  readonly elementwise: boolean;
  readonly rules: Rules;
  /** Per argument, a bit for each input that its VJP needs (bit i for input i) and `outputBit` for the output. */
  readonly residuals: readonly number[];
  /** The output's abstract value, from the inputs' own. */
  readonly infer: (inputs: readonly { readonly aval: Aval }[], params: Params) => Aval;
  readonly cost: (inputs: readonly Aval[], output: Aval, params: Params) => number;
  readonly sample: (draw: Draw) => Sample;
  readonly kinks: readonly Kink[];
  readonly decompose: ((inputs: readonly Value[], params: Params) => Value) | undefined;
  readonly batch:
    | ((inputs: readonly Value[], batched: readonly boolean[], params: Params) => Value)
    | undefined;
}

/** The bit of the output in `Primitive.residuals`. */
export const outputBit: number = 1 << 30;

const registry = new Map<string, Primitive>();

/** Every registered primitive by name, those registered from outside included. */
export function primitives(): ReadonlyMap<string, Primitive> {
  return registry;
}

interface Statement<P> extends Partial<Facts<P>> {
  readonly name: string;
  readonly args: Names;
  readonly variadic?: boolean;
  readonly elementwise?: boolean;
  readonly rules: Rules;
  readonly residuals: readonly number[];
  readonly infer: Primitive["infer"];
  readonly cost: Facts<P>["cost"];
  readonly sample: Facts<P>["sample"];
}

function register<P>(statement: Statement<P>): Primitive {
  const { name } = statement;
  if (registry.has(name)) {
    fail(CotangentError, `A primitive "${name}" is registered already. Give the new one another name.`);
  }
  // The one place where a typed record becomes an entry of the registry: rules meet only contexts and parameters
  // of their own primitive, because `bind` pairs them.
  const primitive = {
    variadic: false,
    elementwise: false,
    kinks: [],
    decompose: undefined,
    batch: undefined,
    ...statement,
  } as unknown as Primitive;
  registry.set(name, primitive);
  return primitive;
}

/** Bits of the named residuals. */
function bitsOf(args: Names, names: readonly string[]): number {
  let bits = 0;
  for (const name of names) bits |= name === "output" ? outputBit : 1 << args.indexOf(name);
  return bits;
}

const inferBy =
  <P>(shape: Facts<P>["shape"]): Primitive["infer"] =>
  (inputs, params) =>
    shape(
      inputs.map((input) => input.aval),
      params as P,
    );

/** An op function that carries its primitive. The parameters come last, and only where there are any. */
export type Op<A extends Names, P> = ((
  ...args: NoParams extends P
    ? { [K in keyof A]: Operand }
    : [...inputs: { -readonly [K in keyof A]: Operand }, params: P]
) => Value) & { readonly primitive: Primitive };

function opOf<A extends Names, P>(primitive: Primitive): Op<A, P> {
  const arity = primitive.args.length;
  const call = (...args: unknown[]): Value => {
    const inputs = lift(primitive.name, args.slice(0, arity) as Operand[]);
    return bind(primitive, inputs, (args[arity] as Params | undefined) ?? noParams);
  };
  return Object.assign(call, { primitive }) as Op<A, P>;
}

/* ---------------------------------------------------------------- elementwise */

/** The dtypes that an elementwise primitive takes. */
export type Accepts = "floating" | "numeric" | "bool" | "any";

function requireAccepted(name: string, accepts: Accepts, dtype: DType): void {
  const accepted =
    accepts === "any" ||
    (accepts === "bool"
      ? dtype === "bool"
      : accepts === "numeric"
        ? dtype !== "bool"
        : dtype.startsWith("float"));
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
    requireAccepted(name, accepts, first.dtype);
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
  readonly kinks?: readonly Kink[];
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
        .map((shape, i) => argument(shape, domains[i], facts.accepts === "bool" ? "bool" : "float")),
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
 * An elementwise primitive of one input, from its local partial derivative. `saves` says what the partial uses:
 * the input (the default), the output (then it is the second parameter), or nothing.
 */
export function unary(
  name: string,
  spec: ElementwiseFacts & {
    readonly partial: (x: Value, output: Value) => Value;
    readonly saves?: "x" | "output";
    readonly domain: Domain;
  },
): UnaryOp {
  const rules: Rules = { form: "diagonal", partials: [spec.partial] };
  return unaryOp(
    registerElementwise(name, ["x"], rules, [spec.saves === "output" ? outputBit : 1], [spec.domain], spec),
  );
}

/** An elementwise primitive of one input whose derivative is zero wherever it exists (sign, floor ...). */
export function stepFunction(name: string, spec: ElementwiseFacts & { readonly domain: Domain }): UnaryOp {
  return unaryOp(registerElementwise(name, ["x"], { form: "zero" }, [0], [spec.domain], spec));
}

/** An elementwise primitive of two inputs, from its two local partial derivatives and what each of them uses. */
export function binary(
  name: string,
  spec: ElementwiseFacts & {
    readonly partials: {
      readonly x: (x: Value, y: Value, output: Value) => Value;
      readonly y: (x: Value, y: Value, output: Value) => Value;
    };
    readonly saves?: {
      readonly x: readonly ("x" | "y" | "output")[];
      readonly y: readonly ("x" | "y" | "output")[];
    };
    readonly domain: { readonly x: Domain; readonly y: Domain };
  },
): BinaryOp {
  const args = ["x", "y"];
  const saves = spec.saves ?? { x: args, y: args };
  const partials = [spec.partials.x, spec.partials.y] as unknown as ((...xs: Value[]) => Value)[];
  const residuals = [bitsOf(args, saves.x), bitsOf(args, saves.y)];
  const domains = [spec.domain.x, spec.domain.y];
  return binaryOp(registerElementwise(name, args, { form: "diagonal", partials }, residuals, domains, spec));
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

/* ---------------------------------------------------------------- linear and bilinear */

/**
 * A primitive that is linear in all its inputs together, but for those named in `constants` (indices, conditions):
 * the JVP applies the op itself, so only the transpose is stated. A transpose sees the constants and all avals.
 */
export function linear<const A extends Names, P extends Params = NoParams, const C extends string = never>(
  name: string,
  spec: Facts<P> & {
    readonly args: A;
    readonly constants?: readonly C[];
    readonly elementwise?: boolean;
    readonly transpose: { readonly [K in Exclude<A[number], C>]: ReverseRule<A, C, P> };
  },
): Op<A, P> {
  const bits = bitsOf(spec.args, spec.constants ?? []);
  const { transpose, constants: _, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      infer: inferBy(spec.shape),
      rules: {
        form: "linear",
        transpose: transpose as unknown as Readonly<Record<string, LooseReverseRule>>,
      },
      residuals: spec.args.map(() => bits),
    }),
  );
}

/** A linear primitive of any number of inputs; the transpose gets the position of the input that it is for. */
export function linearVariadic<P extends Params>(
  name: string,
  spec: Facts<P> & {
    readonly transpose: (
      cotangent: Value,
      context: { readonly avals: readonly Aval[]; readonly params: P; readonly index: number },
    ) => Value;
  },
): ((inputs: readonly Value[], params: P) => Value) & { readonly primitive: Primitive } {
  const { transpose, ...facts } = spec;
  const primitive = register<P>({
    ...facts,
    name,
    args: ["xs"],
    variadic: true,
    infer: inferBy(spec.shape),
    rules: { form: "linear", transpose: { xs: transpose as unknown as LooseReverseRule } },
    residuals: [0],
  });
  return Object.assign((inputs: readonly Value[], params: P) => bind(primitive, inputs, params), {
    primitive,
  });
}

/** A primitive that is linear in each of its two inputs. Each transpose sees the other input. */
export function bilinear<P extends Params = NoParams>(
  name: string,
  spec: Facts<P> & {
    readonly transpose: {
      readonly x: ReverseRule<["x", "y"], "y", P>;
      readonly y: ReverseRule<["x", "y"], "x", P>;
    };
  },
): Op<readonly ["x", "y"], P> {
  const { transpose, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      args: ["x", "y"],
      infer: inferBy(spec.shape),
      rules: {
        form: "bilinear",
        transpose: transpose as unknown as Readonly<Record<string, LooseReverseRule>>,
      },
      residuals: [2, 1],
    }),
  );
}

/* ---------------------------------------------------------------- both rules written out */

type ResidualsOf<A extends Names> = { readonly [K in A[number]]?: readonly (A[number] | "output")[] };
type Saved<R, K> = K extends keyof R ? (R[K] extends readonly (infer N extends string)[] ? N : never) : never;

/**
 * A primitive with both rules written out, argument by argument. `residuals` names what the VJP of each argument
 * needs; the tape keeps those and nothing else, and the types let a VJP see nothing else.
 *
 * @example CONTRIBUTING.md adds one, step by step.
 */
export function primitive<const A extends Names, const R extends ResidualsOf<A>, P extends Params = NoParams>(
  name: string,
  spec: Facts<P> & {
    readonly args: A;
    readonly residuals: R;
    readonly elementwise?: boolean;
    readonly jvp: { readonly [K in A[number]]: ForwardRule<A, P> | NonDifferentiable };
    readonly vjp: { readonly [K in A[number]]: ReverseRule<A, Saved<R, K>, P> | NonDifferentiable };
  },
): Op<A, P> {
  const { jvp, vjp, residuals, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      infer: inferBy(spec.shape),
      rules: { form: "written", jvp, vjp } as unknown as Rules,
      residuals: spec.args.map((arg) =>
        bitsOf(spec.args, (residuals as Record<string, readonly string[]>)[arg] ?? []),
      ),
    }),
  );
}

/** A primitive without derivatives: `zero` ones cut the gradient as documented, others refuse with their reason. */
export function discrete<const A extends Names, P extends Params = NoParams>(
  name: string,
  spec: Facts<P> & { readonly args: A; readonly refuse?: string },
): Op<A, P> {
  const { refuse, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      infer: inferBy(spec.shape),
      rules: refuse === undefined ? { form: "zero" } : { form: "nonDifferentiable", reason: refuse },
      residuals: spec.args.map(() => 0),
    }),
  );
}

/** A primitive with several outputs. Its rules are joint, since such rules share most of their work. */
export function multiplePrimitive<P extends Params = NoParams>(
  name: string,
  spec: Omit<Facts<P>, "shape" | "cost"> & {
    readonly args: Names;
    readonly shapes: (avals: readonly Aval[], params: P) => Aval[];
    readonly cost: (inputs: readonly Aval[], params: P) => number;
    readonly jvp: (
      tangents: readonly (Value | null)[],
      context: { inputs: readonly Value[]; outputs: readonly Value[]; params: P },
    ) => (Value | null)[];
    readonly vjp: (
      cotangents: readonly (Value | null)[],
      context: { inputs: readonly Value[]; outputs: readonly Value[]; params: P },
    ) => (Value | null)[];
  },
): ((inputs: readonly Value[], params: P) => Value[]) & { readonly primitive: Primitive } {
  const { shapes, jvp, vjp, cost, ...facts } = spec;
  const all = (1 << spec.args.length) - 1;
  const primitive = register<P>({
    ...facts,
    name,
    cost: (inputs, _, params) => cost(inputs, params),
    rules: { form: "multiple", shapes, jvp, vjp } as unknown as Rules,
    residuals: spec.args.map(() => all | outputBit),
    infer: () => fail(CotangentError, `${name} has several outputs; bind it with bindMultiple.`),
  });
  return Object.assign((inputs: readonly Value[], params: P) => bindMultiple(primitive, inputs, params), {
    primitive,
  });
}
