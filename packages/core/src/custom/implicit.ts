/**
 * Derivatives of solutions by the implicit function theorem: what a solver did on its way to the solution is not
 * differentiated, the equation that the solution fulfils is (Blondel et al., Efficient and Modular Implicit
 * Differentiation, 2022).
 */
import { sameAval } from "../aval.ts";
import { DTypeError, ShapeError, fail } from "../errors.ts";
import { backendOf, flatten, nestedGraph, unflatten } from "../control/nested.ts";
import { whileLoop } from "../control/while-loop.ts";
import { pullGraph, pushGraph } from "../graph/differentiate.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { requireLinear, transposeGraph } from "../graph/transpose.ts";
import { stopGradient } from "../primitives/cast.ts";
import { tensor } from "../tensor.ts";
import { type Liftable, leaves, mapTree, requireSameStructure } from "../tree.ts";
import type { Value } from "../value.ts";
import { customCall } from "./custom-call.ts";

/** Solves A x = b for x, given the function from x to A x, and b. */
export type LinearSolver<T> = (product: (x: T) => T, b: T) => T;

type Values = readonly Value[];
type FlatSolver = (product: (x: Values) => Value[], b: Values) => Value[];

/** A linear map A(θ) or its transpose: a graph from the parameters θ and x to A(θ) x. */
interface LinearOperator {
  readonly graph: Graph;
  readonly parameters: number;
  readonly transposed: boolean;
}

const nothing = (values: Values): null[] => values.map(() => null);
const zerosLike = (values: Values): Value[] => values.map((value) => value.zerosLike());

function transposeAt({ graph, parameters }: LinearOperator, theta: Values, y: Values): Value[] {
  const linear = graph.inputs.map((_, i) => i >= parameters);
  const found = transposeGraph(graph, linear, [...theta, ...zerosLike(y)])(y).slice(parameters);
  return found.map((value, i) => value ?? y[i].zerosLike());
}

function applyOperator(operator: LinearOperator, theta: Values, x: Values): Value[] {
  return operator.transposed
    ? transposeAt(operator, theta, x)
    : evaluateGraph(operator.graph, [...theta, ...x]);
}

/** The derivative of A(θ) x along θ̇, for a fixed x. */
function pushOperator(operator: LinearOperator, theta: Values, rates: Values, x: Values): Value[] {
  const rate = (...z: Value[]): Value[] =>
    pushGraph(operator.graph, [...theta, ...z], [...rates, ...nothing(z)]).tangents.map(
      (tangent, i) => tangent ?? z[i].zerosLike(),
    );
  if (!operator.transposed) return rate(...x);
  // That of Aᵀ x is the transpose of z -> Ȧ z, at x.
  const { graph, captured } = nestedGraph("customLinearSolve", rate, [...x], x[0].backend);
  return transposeAt({ graph, parameters: captured.length, transposed: false }, captured, x);
}

/** The gradient in θ of <w, A(θ) x>. */
function pullOperator(operator: LinearOperator, theta: Values, w: Values, x: Values): (Value | null)[] {
  // <w, Aᵀ x> is <x, A w>.
  const [left, right] = operator.transposed ? [x, w] : [w, x];
  const wanted = operator.graph.inputs.map((aval, i) => i < operator.parameters && aval.floating);
  return pullGraph(operator.graph, [...theta, ...right], wanted)
    .pull(left)
    .slice(0, operator.parameters);
}

/** The solution of A(θ) x = b, differentiable in θ and b to any order. */
function solveLinear(
  operator: LinearOperator,
  theta: Values,
  b: Values,
  solve: FlatSolver,
  solveTransposed: FlatSolver,
): Value[] {
  const count = theta.length;
  const solved = (inputs: Values): Value[] => {
    const own = inputs.slice(0, count);
    return solve((x) => applyOperator(operator, own, x), inputs.slice(count));
  };
  const again = (own: Values, right: Values): Value[] =>
    solveLinear(operator, own, right, solve, solveTransposed);
  const floats = theta.map((value) => value.aval.floating);
  return customCall([...theta, ...b], {
    name: "customLinearSolve",
    written: {
      call: solved,
      // A ẋ = ḃ - Ȧ x
      jvp: (inputs, tangents) => {
        const own = inputs.slice(0, count);
        const x = again(own, inputs.slice(count));
        let next = 0;
        const rates = own.map((value, i) => (floats[i] ? tangents[next++] : value));
        const moved = pushOperator(operator, own, rates, x);
        const right = tangents.slice(next).map((tangent, i) => tangent.sub(moved[i]));
        return { outputs: x, tangents: again(own, right) };
      },
      forward: (inputs) => {
        const own = inputs.slice(0, count);
        const x = again(own, inputs.slice(count));
        return { outputs: x, residuals: [...own, ...x] };
      },
      // Aᵀ b̄ = x̄, and θ̄ is the gradient of -<b̄, A(θ) x>
      backward: (residuals, cotangents) => {
        const [own, x] = [residuals.slice(0, count), residuals.slice(count)];
        const back = { ...operator, transposed: !operator.transposed };
        const bBar = solveLinear(back, own, cotangents, solveTransposed, solve);
        const thetaBar = pullOperator(operator, own, bBar, x).filter((_, i) => floats[i]);
        return [...thetaBar.map((value) => value && value.neg()), ...bBar];
      },
    },
    call: null,
  });
}

/** A solver of trees as one of flat lists. */
function flatSolver<T>(who: string, solver: LinearSolver<T>, tree: unknown): FlatSolver {
  return (product, b) => {
    const x = solver(
      (guess) => unflatten(tree, product(leaves(guess) as Value[])) as T,
      unflatten(tree, b) as T,
    );
    return likeLeaves(who, "the solution", x, tree, b);
  };
}

/** The leaves of a tree that must be like another: structure, shapes and dtypes. */
function likeLeaves(who: string, what: string, found: unknown, tree: unknown, like: Values): Value[] {
  requireSameStructure(who, what, found, tree);
  const { values } = flatten(who, found, what);
  values.forEach(({ aval }, i) => {
    const wanted = like[i].aval;
    if (sameAval(aval, wanted)) return;
    fail(
      aval.dtype === wanted.dtype ? ShapeError : DTypeError,
      `${who}: ${what} is ${aval}, but must be ${wanted}.`,
    );
  });
  return [...values];
}

/**
 * The solution x of A x = b by any solver, differentiable in b and in what the product closes over: derivatives solve
 * again with the same solver, and in reverse mode with the transpose of A. To any order.
 *
 * @param product x -> A x, linear. Traced values that it closes over are parameters of A.
 * @param solve from a product and a right-hand side to the solution; it runs without being differentiated.
 * @param solveTransposed the same for the transposed product; by default `solve`, which must then not rely on more than
 * the product (nor on symmetry, unless A is symmetric).
 * @throws DerivativeError where the product is not linear; ShapeError or DTypeError where A x is not like b.
 * @example
 * ```ts
 * const x = customLinearSolve((y: Value) => y.mul(a), b, (_, right) => right.div(4)); // where a is 4
 * ```
 */
export function customLinearSolve<T>(
  product: (x: T) => T,
  b: Liftable<T>,
  solve: LinearSolver<T>,
  solveTransposed: LinearSolver<T> = solve,
): T {
  const who = "customLinearSolve";
  const right = flatten(who, b, "b");
  const { graph, captured, tree } = nestedGraph(who, product, [right.tree], backendOf(right.values));
  requireSameStructure(who, "the product", tree, right.tree);
  likeLeaves(who, "the product A x", unflatten(tree, standIns(graph)), right.tree, right.values);
  const operator = { graph, parameters: captured.length, transposed: false };
  requireLinear(
    graph,
    graph.inputs.map((_, i) => i >= captured.length),
  );
  const solution = solveLinear(
    operator,
    captured,
    right.values,
    flatSolver(who, solve, right.tree),
    flatSolver(who, solveTransposed, right.tree),
  );
  return unflatten(right.tree, solution) as T;
}

export interface RootOptions<T> {
  /** Solves J ẋ = ḃ for the Jacobian J of f at the root; by default the fixed-point iteration ẋ <- ẋ - (J ẋ - ḃ). */
  readonly tangentSolve?: LinearSolver<T>;
  /** The same for the transposed Jacobian; by default `tangentSolve`. */
  readonly transposedSolve?: LinearSolver<T>;
}

/**
 * A root x of f by any solver, differentiable in what f closes over: with f(x, θ) = 0, ∂f/∂x ẋ = -∂f/∂θ θ̇. The way by
 * which the solver found it, and the guess, do not matter. To any order.
 *
 * @param f x -> f(x), of the same structure, shapes and dtypes as x.
 * @param guess where the solver starts.
 * @param solve from f and the guess to the root; it runs without being differentiated.
 * @throws ShapeError or DTypeError where f(x) is not like x.
 * @example
 * ```ts
 * const root = (a: Value) => customRoot((x: Value) => x.square().sub(a), 1, newton, { tangentSolve: (j, b) => b.div(j(tensor(1))) });
 * grad(root)(4).item(); // 1/4
 * ```
 */
export function customRoot<T>(
  f: (x: T) => T,
  guess: Liftable<T>,
  solve: (f: (x: T) => T, guess: T) => T,
  options: RootOptions<T> = {},
): T {
  const who = "customRoot";
  const start = flatten(who, guess, "the guess");
  const { tangentSolve = iterateTo({}) as LinearSolver<T>, transposedSolve = tangentSolve } = options;
  const { graph, captured, tree } = nestedGraph(who, f, [start.tree], backendOf(start.values));
  likeLeaves(who, "f(x)", unflatten(tree, standIns(graph)), start.tree, start.values);
  const count = captured.length;
  const root = (inputs: Values): Value[] => {
    const at = (x: T): T =>
      unflatten(tree, evaluateGraph(graph, [...inputs.slice(0, count), ...(leaves(x) as Value[])])) as T;
    return likeLeaves(
      who,
      "the root",
      solve(at, unflatten(start.tree, inputs.slice(count)) as T),
      start.tree,
      start.values,
    );
  };
  const guessed = start.values.map((value) => stopGradient(value));
  const again = (inputs: Values): Value[] =>
    customCall(inputs, {
      name: who,
      written: {
        call: root,
        // J ẋ = -∂f/∂θ θ̇; reverse mode is the transpose of this.
        jvp: (own, tangents) => {
          const x = again(own);
          const theta = own.slice(0, count);
          let next = 0;
          const rates = theta.map((value) => (value.aval.floating ? tangents[next++] : null));
          const right = pushGraph(graph, [...theta, ...x], [...rates, ...nothing(x)]).tangents.map(
            (rate, i) => (rate === null ? x[i].zerosLike() : rate.neg()),
          );
          const jacobian = (direction: T): T =>
            unflatten(
              tree,
              pushGraph(
                graph,
                [...theta, ...x],
                [...nothing(theta), ...(leaves(direction) as Value[])],
              ).tangents.map((rate, i) => rate ?? x[i].zerosLike()),
            ) as T;
          const moved = customLinearSolve<T>(
            jacobian,
            unflatten(start.tree, right) as Liftable<T>,
            tangentSolve,
            transposedSolve,
          );
          return { outputs: x, tangents: leaves(moved) as Value[] };
        },
        forward: null,
        backward: null,
      },
      call: null,
    });
  return unflatten(start.tree, again([...captured, ...guessed])) as T;
}

/** Values that stand for a graph's outputs where only their avals matter. */
function standIns(graph: Graph): Value[] {
  return graph.outputAvals.map((aval) =>
    tensor(new Float64Array(aval.size), { shape: aval.shape, dtype: aval.dtype }),
  );
}

export interface FixedPointOptions {
  /** The iteration ends when no element moves by more. By default 1e-12 in float64, 1e-6 in float32. */
  readonly tolerance?: number;
  readonly maxIterations?: number;
}

/** Repeats a step on a tree until no element moves by more than the tolerance. */
function repeat<T>(step: (x: T) => T, start: T, { tolerance, maxIterations = 10_000 }: FixedPointOptions): T {
  const [first] = leaves(start) as Value[];
  const near = tolerance ?? (first.dtype === "float32" ? 1e-6 : 1e-12);
  type State = { x: T; change: Value; left: Value };
  const left = tensor(maxIterations, { dtype: "int32", backend: first.backend });
  const last = whileLoop<State>(
    ({ change, left: remaining }) => change.gt(near).and(remaining.gt(0)),
    ({ x, left: remaining }) => {
      const next = step(x);
      const after = leaves(next) as Value[];
      const moves = (leaves(x) as Value[]).map((value, i) => after[i].sub(value).abs().max());
      return { x: next, change: moves.reduce((a, b) => a.maximum(b)), left: remaining.sub(1) };
    },
    { x: start, change: first.constant(Infinity, first.aval.withShape([])), left } as Liftable<State>,
  );
  return last.x;
}

/** Solves J x = b by x <- x - (J x - b), which converges where I - J is a contraction: so it is at fixed points. */
function iterateTo(options: FixedPointOptions): (product: (x: unknown) => unknown, b: unknown) => unknown {
  return (product, b) => {
    const right = leaves(b) as Value[];
    const step = (x: unknown): unknown => {
      const image = leaves(product(x)) as Value[];
      let next = 0;
      return mapTree(x, (leaf) => {
        const i = next++;
        return (leaf as Value).sub(image[i].sub(right[i]));
      });
    };
    return repeat(step, b, options);
  };
}

/**
 * The fixed point x = f(x) of a contraction, by iteration, differentiable in what f closes over, at the price of one
 * more such iteration for a derivative, whatever the number of steps that the first one took.
 *
 * @param options when iterations end, that of a derivative too.
 * @throws ShapeError or DTypeError where f(x) is not like x.
 * @example
 * ```ts
 * const cosine = fixedPoint((x: Value) => x.cos(), 1); // 0.739...
 * ```
 */
export function fixedPoint<T>(f: (x: T) => T, guess: Liftable<T>, options: FixedPointOptions = {}): T {
  const residual = (x: T): T => {
    const image = leaves(f(x)) as Value[];
    let next = 0;
    return mapTree(x, (leaf) => (leaf as Value).sub(image[next++]));
  };
  return customRoot<T>(residual, guess, (g, start) => repeat((x) => subtract(x, g(x)), start, options), {
    tangentSolve: iterateTo(options) as LinearSolver<T>,
  });
}

function subtract<T>(x: T, y: T): T {
  const other = leaves(y) as Value[];
  let next = 0;
  return mapTree(x, (leaf) => (leaf as Value).sub(other[next++]));
}
