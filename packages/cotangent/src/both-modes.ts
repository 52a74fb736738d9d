/** What needs both modes. */
import {
  type Jacobian,
  type JacobianOptions,
  type Liftable,
  type LiftableArguments,
  type MixedCost,
  type ModeChoice,
  type ModeOptions,
  type Value,
  currentBackend,
  differentiableLeaf,
  evaluateGraph,
  leafValue,
  leaves,
  mapTree,
  modeOf,
  outputTree,
  recordGraph,
  treeStructure,
  withLeaves,
} from "@cotangent/core";
import { jacfwd, jvp } from "@cotangent/forward-mode";
import { grad, jacrev } from "@cotangent/reverse-mode";

type Scalar = Value | number;

/**
 * The Hessian of a function with a scalar result, forward over reverse: the derivative of the gradient along each
 * element of the argument, many at a time.
 *
 * @param options how many at a time (`chunk`), as in `jacfwd`.
 * @returns a function that gives second derivatives as [...shape, ...shape] of the argument (for a tree of arguments, a
 * tree of trees).
 * @example `hessian((x) => x.square().sum())(tensor([1, 2])).toArray()` is [[2, 0], [0, 2]].
 */
export function hessian<T = Value>(
  f: (x: T) => Scalar,
  options: Pick<JacobianOptions, "chunk"> = {},
): (x: Liftable<T>) => Jacobian<T, T> {
  const gradient = grad<[T]>(f) as (x: T) => T;
  return (x) => jacfwd<[T], T>(gradient, options)(x);
}

/** Which mode is applied to which. */
export type HvpComposition =
  | "forward-over-reverse"
  | "reverse-over-forward"
  | "reverse-over-reverse"
  | "forward-over-forward";

/**
 * The product of the Hessian of f at x with v, without the Hessian.
 *
 * @param composition by default forward over reverse, which costs a small multiple of f. Forward over forward costs a
 * pass per element of x; it is here because all four must agree.
 * @example `hvp((x) => x.square().sum(), tensor([1, 2]), tensor([1, 0])).toArray()` is [2, 0].
 */
export function hvp<T = Value>(
  f: (x: T) => Scalar,
  x: Liftable<T>,
  v: Liftable<T>,
  composition: HvpComposition = "forward-over-reverse",
): T {
  const gradient = grad<[T]>(f) as (x: T) => T;
  const along = (y: T): Value => jvp<[T]>(f as (x: T) => Value, [y] as never, [v] as never)[1];
  switch (composition) {
    case "forward-over-reverse":
      return jvp<[T], T>(gradient, [x] as never, [v] as never)[1] as T;
    case "reverse-over-forward":
      return (grad<[T]>(along) as (y: unknown) => T)(x);
    case "reverse-over-reverse":
      return (grad<[T]>((y: T) => inner(gradient(y), v)) as (y: unknown) => T)(x);
    case "forward-over-forward":
      return jacfwd<[T]>(along)(x);
  }
}

/** The inner product of two trees of the same structure. */
function inner(a: unknown, b: unknown): Value {
  const other = leaves(b) as Value[];
  return (leaves(a) as Value[]).map((leaf, i) => leaf.mul(other[i]).sum()).reduce((x, y) => x.add(y));
}

/** The number of elements in a tree. */
function count(tree: unknown): number {
  let total = 0;
  mapTree(tree, (leaf) => (total += typeof leaf === "number" ? 1 : (leaf as Value).size));
  return total;
}

/**
 * The Jacobian by whichever mode needs fewer passes: forward where the argument has no more elements than the result,
 * else reverse. The result's size is found by running f once. `chooseMode` foretells costs instead of counting elements,
 * and `mixedJacobian` uses both modes, for functions that can be traced to a graph.
 */
export function jacobian<A extends readonly unknown[] = Value[], R = Value, const N extends number = 0>(
  f: (...args: A) => R,
  options: JacobianOptions<N> = {},
): (...args: LiftableArguments<A, N>) => Jacobian<R, A[N]> {
  const forward = jacfwd<A, R, N>(f, options);
  const reverse = jacrev<A, R, N>(f, options);
  return (...args) => {
    const inputs = count(args[options.argnum ?? 0]);
    const outputs = count(outputTree("jacobian", f(...(args as unknown as A))));
    return (inputs <= outputs ? forward : reverse)(...args);
  };
}

/**
 * The Jacobian in both modes at once, for functions that are narrow somewhere between their inputs and their outputs:
 * the function is traced and cut there, f = g ∘ h, and the Jacobians of g and of h, each by the mode that `chooseMode`
 * found to be the cheaper, are multiplied. Where that is not the fastest, it is `jacfwd` or `jacrev`, as `chooseMode`
 * says. What was found is kept for arguments of the same structure, shapes and dtypes.
 *
 * @throws StagingError where f cannot be traced to a graph; and as `jacrev`.
 * @example
 * ```ts
 * // 100 numbers to 100 numbers, through 2: 2 sweeps back to the inputs, 2 passes on to the outputs.
 * const jacobianOf = mixedJacobian((x: Value) => decode.matmul(encode.matmul(x).tanh()).exp());
 * ```
 */
export function mixedJacobian<A extends readonly unknown[] = Value[], R = Value, const N extends number = 0>(
  f: (...args: A) => R,
  { argnum, ...model }: JacobianOptions<N> & Pick<ModeOptions, "model"> = {},
): (...args: LiftableArguments<A, N>) => Jacobian<R, A[N]> {
  const position = argnum ?? 0;
  const plans = new Map<string, Plan>();
  return (...given) => {
    const args = (given as readonly unknown[]).map((arg, i) =>
      mapTree(
        arg,
        (leaf, path) =>
          i === position
            ? differentiableLeaf("mixedJacobian", leaf, path)
            : leafValue("mixedJacobian", leaf, path),
        `argument ${i}`,
      ),
    );
    const inputs = leaves(args) as Value[];
    const key = `${treeStructure(args)} ${inputs.map(({ aval, backend }) => `${aval} ${backend.name}`).join()}`;
    let plan = plans.get(key);
    if (plan === undefined) {
      plan = planOf(f as (...args: readonly unknown[]) => unknown, args, position, model);
      // A graph that uses values of an outer transformation holds for this call alone.
      if (plan.captured.length === 0) plans.set(key, plan);
    }
    const { choice, captured, tree } = plan;
    const { mode, costs } = choice;
    if (mode === "forward") return jacfwd<A, R, N>(f, { argnum: position as N, chunk: 1 })(...given);
    if (mode === "reverse" || costs.mixed === null)
      return jacrev<A, R, N>(f, { argnum: position as N, chunk: 1 })(...given);

    const first = leaves(args.slice(0, position)).length;
    const moved = leaves(args[position]) as Value[];
    const blocks = throughCut(costs.mixed, [...inputs, ...captured], first, moved.length);
    return mapTree(tree, (o) => withLeaves(args[position], blocks[o as number])) as Jacobian<R, A[N]>;
  };
}

interface Plan {
  readonly choice: ModeChoice;
  /** Values of outer transformations that the function closes over: inputs of its graph after its own. */
  readonly captured: readonly Value[];
  /** The function's result, a number in place of each leaf. */
  readonly tree: unknown;
}

function planOf(
  f: (...args: readonly unknown[]) => unknown,
  args: readonly unknown[],
  position: number,
  model: Pick<ModeOptions, "model">,
): Plan {
  const inputs = leaves(args) as Value[];
  const traced = (...values: Value[]): unknown => f(...withLeaves(args, values));
  const avals = inputs.map((input) => input.aval);
  const backend = inputs[0]?.backend ?? currentBackend();
  const { graph, captured, tree } = recordGraph("mixedJacobian", traced, avals, backend);
  const own = args.flatMap((arg, i) => leaves(arg).map(() => i === position));
  const wanted = [...own, ...captured.map(() => false)];
  // A Jacobian of integers is zeros of their dtype, which is for one mode to say.
  const smooth = graph.outputAvals.every((aval) => aval.floating);
  const choice = modeOf(graph, { ...model, wanted, backend });
  return { choice: smooth ? choice : { ...choice, mode: "forward" }, captured, tree };
}

/** The blocks of the Jacobian, by the chain rule at the cut. */
function throughCut(
  { split, inner, outer }: MixedCost,
  inputs: readonly Value[],
  first: number,
  count: number,
): Value[][] {
  const by = { forward: jacfwd<[Value[]], Value[]>, reverse: jacrev<[Value[]], Value[]> } as const;
  const values = evaluateGraph(split.values, inputs);
  const cut = split.inner.outputs.length;
  const h = (x: Value[]): Value[] =>
    evaluateGraph(split.inner, [...inputs.slice(0, first), ...x, ...inputs.slice(first + count)]);
  const g = (z: Value[]): Value[] => evaluateGraph(split.outer, [...z, ...values.slice(cut)]);
  const moved = inputs.slice(first, first + count);
  const ofInner = by[inner](h, { chunk: 1 })(moved);
  const ofOuter = by[outer](g, { chunk: 1 })(values.slice(0, cut));
  return split.outer.outputAvals.map((output, o) =>
    moved.map((input, i) =>
      values
        .slice(0, cut)
        .map(({ size }, v) =>
          ofOuter[o][v].reshape([output.size, size]).matmul(ofInner[v][i].reshape([size, input.size])),
        )
        .reduce((a, b) => a.add(b))
        .reshape([...output.shape, ...input.shape]),
    ),
  );
}
