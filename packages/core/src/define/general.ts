/** Primitives from their transposes or from rules written out, and what has several outputs or no derivative. */
import type { Aval } from "../aval.ts";
import type { Backend } from "../backend.ts";
import { bind, bindMultiple } from "../bind.ts";
import { CotangentError, fail } from "../errors.ts";
import { type Operand, lift } from "../operand.ts";
import {
  type BatchRule,
  type Facts,
  type ForwardRule,
  type LooseReverseRule,
  type MultipleRules,
  type Names,
  type NoParams,
  type NonDifferentiable,
  type Params,
  type Primitive,
  type Pullback,
  type ReverseRule,
  type Rules,
  bitsOf,
  noParams,
  primitives,
  register,
} from "../primitive.ts";
import type { Tensor } from "../tensor.ts";
import type { Value } from "../value.ts";
import { batchByLoop, batchEachByLoop } from "../vmap/batch-rules.ts";

/** The inference from inputs, by a rule on avals. */
const inferBy =
  <P>(shape: Facts<P>["shape"]): Primitive["infer"] =>
  (inputs, params) =>
    shape(
      inputs.map((input) => input.aval),
      params as P,
    );

/** A batching rule, or "loop" to take the elements one by one, which is right and slow. */
export type Batch<P> = BatchRule<P> | "loop";

/** What says how a primitive is batched: that it is elementwise, or a rule. */
export type Batching<P> =
  | { readonly elementwise: true; readonly batch?: never }
  | { readonly elementwise?: false; readonly batch: Batch<P> };

function batchRule<P>(name: string, batch: Batch<P> | undefined): BatchRule<P> | undefined {
  return batch === "loop" ? batchByLoop(() => primitives().get(name) as Primitive) : batch;
}

/** An op function that carries its primitive. The parameters come last, and only where there are any. */
export type Op<A extends Names, P> = ((
  ...args: NoParams extends P
    ? { [K in keyof A]: Operand }
    : [...inputs: { -readonly [K in keyof A]: Operand }, params: P]
) => Value) & { readonly primitive: Primitive };

/** The op function of a primitive with a fixed number of inputs. */
function opOf<A extends Names, P>(primitive: Primitive): Op<A, P> {
  const arity = primitive.args.length;
  const call = (...args: unknown[]): Value => {
    const inputs = lift(primitive.name, args.slice(0, arity) as Operand[]);
    return bind(primitive, inputs, (args[arity] as Params | undefined) ?? noParams);
  };
  return Object.assign(call, { primitive }) as Op<A, P>;
}

/**
 * A primitive that is linear in all its inputs together, but for those named in `constants` (indices, conditions):
 * the JVP applies the op itself, so only the transpose is stated. A transpose sees the constants and all avals.
 */
export function linear<const A extends Names, P extends Params = NoParams, const C extends string = never>(
  name: string,
  spec: Facts<P> & {
    readonly args: A;
    readonly constants?: readonly C[];
    readonly transpose: { readonly [K in Exclude<A[number], C>]: ReverseRule<A, C, P> };
  } & Batching<P>,
): Op<A, P> {
  const bits = bitsOf(spec.args, spec.constants ?? []);
  const { transpose, constants: _, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      infer: inferBy(spec.shape),
      batch: batchRule(name, spec.batch),
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
    readonly batch: Batch<P>;
  },
): ((inputs: readonly Value[], params: P) => Value) & { readonly primitive: Primitive } {
  const { transpose, ...facts } = spec;
  const primitive = register<P>({
    ...facts,
    name,
    args: ["xs"],
    variadic: true,
    infer: inferBy(spec.shape),
    batch: batchRule(name, spec.batch),
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
    readonly batch: Batch<P>;
  },
): Op<readonly ["x", "y"], P> {
  const { transpose, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      args: ["x", "y"],
      infer: inferBy(spec.shape),
      batch: batchRule(name, spec.batch),
      rules: {
        form: "bilinear",
        transpose: transpose as unknown as Readonly<Record<string, LooseReverseRule>>,
      },
      residuals: [2, 1],
    }),
  );
}

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
    readonly jvp: { readonly [K in A[number]]: ForwardRule<A, P> | NonDifferentiable };
    readonly vjp: { readonly [K in A[number]]: ReverseRule<A, Saved<R, K>, P> | NonDifferentiable };
  } & Batching<P>,
): Op<A, P> {
  const { jvp, vjp, residuals, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      infer: inferBy(spec.shape),
      batch: batchRule(name, spec.batch),
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
  spec: Facts<P> & { readonly args: A; readonly refuse?: string } & Batching<P>,
): Op<A, P> {
  const { refuse, ...facts } = spec;
  return opOf(
    register<P>({
      ...facts,
      name,
      infer: inferBy(spec.shape),
      batch: batchRule(name, spec.batch),
      rules: refuse === undefined ? { form: "zero" } : { form: "nonDifferentiable", reason: refuse },
      residuals: spec.args.map(() => 0),
    }),
  );
}

/** The op function of a primitive with several outputs. */
export type MultipleOp<P> = ((inputs: readonly Value[], params: P) => Value[]) & {
  readonly primitive: Primitive;
};

/** As `BatchRule`, for all outputs; those that are the same for all elements need no batch axis. */
export type MultipleBatchRule<P> = (
  inputs: readonly Value[],
  batched: readonly boolean[],
  params: P,
) => ReturnType<MultipleRules["batch"]>;

type JointContext<P> = { inputs: readonly Value[]; outputs: readonly Value[]; params: P };

/** A primitive with several outputs. Its rules are joint, since such rules share most of their work. */
export function multiplePrimitive<P extends Params = NoParams>(
  name: string,
  spec: Omit<Facts<P>, "shape" | "cost"> & {
    readonly args: Names;
    readonly shapes: (avals: readonly Aval[], params: P) => Aval[];
    readonly cost: (inputs: readonly Aval[], params: P) => number;
    readonly jvp: (tangents: readonly (Value | null)[], context: JointContext<P>) => (Value | null)[];
    readonly vjp: (cotangents: readonly (Value | null)[], context: JointContext<P>) => (Value | null)[];
    /** By default a loop over the elements of the batch. */
    readonly batch?: MultipleBatchRule<P>;
  },
): MultipleOp<P> {
  const { jvp, vjp, batch, ...facts } = spec;
  const op: MultipleOp<P> = runningPrimitive<P>(name, {
    ...facts,
    batch: batch ?? ((inputs, batched, params) => batchEachByLoop(op, facts.shapes, inputs, batched, params)),
    jvp: (inputs, tangents, params) => {
      const outputs = op(inputs, params);
      return { outputs, tangents: jvp(tangents, { inputs, outputs, params }) };
    },
    vjp: (inputs, _, params) => {
      const outputs = op(inputs, params);
      return {
        outputs,
        residuals: [...inputs, ...outputs],
        pull: (cotangents) => vjp(cotangents, { inputs, outputs, params }),
      };
    },
  });
  return op;
}

/** A primitive with several outputs whose rules run it themselves, as those of control flow do. */
export function runningPrimitive<P extends Params>(
  name: string,
  spec: Omit<Facts<P>, "shape" | "cost"> & {
    readonly args: Names;
    readonly variadic?: boolean;
    readonly shapes: (avals: readonly Aval[], params: P) => Aval[];
    readonly cost: (inputs: readonly Aval[], params: P) => number;
    readonly evaluate?: (inputs: readonly Tensor[], params: P) => Tensor[];
    readonly traced?: (avals: readonly Aval[], params: P, backend: Backend) => P;
    readonly jvp: (
      inputs: readonly Value[],
      tangents: readonly (Value | null)[],
      params: P,
    ) => ReturnType<MultipleRules["jvp"]>;
    readonly vjp: (inputs: readonly Value[], wanted: readonly boolean[], params: P) => Pullback;
    readonly batch: MultipleBatchRule<P>;
  },
): MultipleOp<P> {
  const { shapes, jvp, vjp, batch, evaluate, traced, cost, ...facts } = spec;
  const primitive = register<P>({
    ...facts,
    name,
    cost: (inputs, _, params) => cost(inputs, params),
    rules: { form: "multiple", shapes, evaluate, traced, jvp, vjp, batch } as unknown as Rules,
    residuals: spec.args.map(() => 0),
    infer: () => fail(CotangentError, `${name} has several outputs; bind it with bindMultiple.`),
  });
  return Object.assign((inputs: readonly Value[], params: P) => bindMultiple(primitive, inputs, params), {
    primitive,
  });
}
