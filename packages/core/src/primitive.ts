/** The record of a primitive, and the registry of all of them. The functions that state one are in define/. */
import type { Aval } from "./aval.ts";
import type { Backend } from "./backend.ts";
import { CotangentError, fail } from "./errors.ts";
import type { Draw, Sample } from "./sampling.ts";
import type { Tensor } from "./tensor.ts";
import type { Value } from "./value.ts";

/** Parameters of a primitive: plain data, so that they can be hashed, printed and stored. */
export type Params = object;
export type NoParams = Readonly<Record<never, never>>;
export const noParams: NoParams = Object.freeze({});

export type Names = readonly string[];

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

/** A number, or nested arrays of them. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** A point without a unique derivative and what Cotangent gives there: part of the contract, and a test. */
export interface Kink<P = Params> {
  /** The inputs of the call; numbers alone, where each element is by itself. */
  readonly at: readonly NestedNumbers[];
  readonly params?: P;
  /** The derivative of the sum of all that the call gives, with respect to each element of each input. */
  readonly partials: readonly NestedNumbers[];
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
  readonly kinks?: readonly Kink<P>[];
  /** The function whose derivative it has in place of that of its own values, on purpose. */
  readonly surrogateFor?: (inputs: readonly Value[], params: P) => Value;
  /** The primitive in terms of others, for backends without a kernel for it. */
  readonly decompose?: (inputs: readonly Value[], params: P) => Value;
}

/**
 * The primitive applied to many elements at once: inputs that are marked have a batch axis in front, and so has the
 * result. Elementwise primitives need no rule of their own, since they broadcast.
 */
export type BatchRule<P> = (inputs: readonly Value[], batched: readonly boolean[], params: P) => Value;

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

/** What comes of running a primitive with several outputs on a tape. */
export interface Pullback {
  readonly outputs: readonly Value[];
  /** What `pull` needs: the tape keeps these values alive, and nothing else. */
  readonly residuals: readonly Value[];
  /** From a cotangent per output to one per input; null stands for zero, and for inputs that were not wanted. */
  readonly pull: (cotangents: readonly (Value | null)[]) => (Value | null)[];
}

/** A primitive with several outputs: its rules are joint, and run the primitive themselves. Null tangents are zeros. */
export interface MultipleRules {
  readonly form: "multiple";
  readonly shapes: (avals: readonly Aval[], params: Params) => Aval[];
  /**
   * The outputs on a backend without a kernel. The tensors it gives are new and belong to nobody yet; it frees all
   * others that it makes.
   */
  readonly evaluate: ((inputs: readonly Tensor[], params: Params) => Tensor[]) | undefined;
  /** The parameters as a graph can hold them, where they hold functions. */
  readonly traced: ((avals: readonly Aval[], params: Params, backend: Backend) => Params) | undefined;
  readonly jvp: (
    inputs: readonly Value[],
    tangents: readonly (Value | null)[],
    params: Params,
  ) => { readonly outputs: readonly Value[]; readonly tangents: readonly (Value | null)[] };
  readonly vjp: (inputs: readonly Value[], wanted: readonly boolean[], params: Params) => Pullback;
  /** As `BatchRule`; outputs that are the same for all elements need no batch axis. */
  readonly batch: (
    inputs: readonly Value[],
    batched: readonly boolean[],
    params: Params,
  ) => { readonly outputs: readonly Value[]; readonly batched: readonly boolean[] };
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
  readonly form: Rules["form"];
  readonly rules: Rules;
  /** Per argument, a bit for each input that its VJP needs (bit i for input i) and `outputBit` for the output. */
  readonly residuals: readonly number[];
  /** The output's abstract value, from the inputs' own. */
  readonly infer: (inputs: readonly { readonly aval: Aval }[], params: Params) => Aval;
  readonly cost: (inputs: readonly Aval[], output: Aval, params: Params) => number;
  readonly sample: (draw: Draw) => Sample;
  readonly kinks: readonly Kink[];
  readonly surrogateFor: ((inputs: readonly Value[], params: Params) => Value) | undefined;
  readonly decompose: ((inputs: readonly Value[], params: Params) => Value) | undefined;
  readonly batch: BatchRule<Params> | undefined;
}

/** The bit of the output in `Primitive.residuals`. */
export const outputBit: number = 1 << 30;

const registry = new Map<string, Primitive>();

/** Every registered primitive by name, those registered from outside included. */
export function primitives(): ReadonlyMap<string, Primitive> {
  return registry;
}

/** What a definition hands to the registry. */
export interface Statement<P> extends Partial<Facts<P>> {
  readonly name: string;
  readonly args: Names;
  readonly variadic?: boolean;
  readonly elementwise?: boolean;
  readonly rules: Rules;
  readonly residuals: readonly number[];
  readonly infer: Primitive["infer"];
  readonly cost: Facts<P>["cost"];
  readonly sample: Facts<P>["sample"];
  readonly batch?: BatchRule<P> | undefined;
}

export function register<P>(statement: Statement<P>): Primitive {
  const { name } = statement;
  if (registry.has(name)) {
    fail(CotangentError, `A primitive "${name}" is registered already. Give the new one another name.`);
  }
  // The one place where a typed record becomes an entry of the registry: rules meet only contexts and parameters
  // of their own primitive, because `bind` pairs them. Field by field, so that all records have one hidden class.
  const primitive = {
    name,
    args: statement.args,
    variadic: statement.variadic ?? false,
    elementwise: statement.elementwise ?? false,
    form: statement.rules.form,
    rules: statement.rules,
    residuals: statement.residuals,
    infer: statement.infer,
    cost: statement.cost,
    sample: statement.sample,
    kinks: statement.kinks ?? [],
    surrogateFor: statement.surrogateFor,
    decompose: statement.decompose,
    batch: statement.batch,
  } as unknown as Primitive;
  registry.set(name, primitive);
  return primitive;
}

/** Bits of the named residuals. */
export function bitsOf(args: Names, names: readonly string[]): number {
  let bits = 0;
  for (const name of names) bits |= name === "output" ? outputBit : 1 << args.indexOf(name);
  return bits;
}
