/** Branching on a value: in eager code the branch is run, in a graph it is a node that holds all branches. */
import { sameAval } from "../aval.ts";
import { type MultipleOp, runningPrimitive } from "../define/general.ts";
import { DTypeError, ShapeError, TreeError, fail } from "../errors.ts";
import { graphFlops } from "../graph/cost.ts";
import { pulledGraph, pushedGraph } from "../graph/differentiate.ts";
import { requireInputs } from "../graph/check.ts";
import { evaluateGraph, executableOf } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { intern } from "../graph/hash.ts";
import { sampleGraph } from "../graph/sample.ts";
import { graphOf } from "../graph/stage.ts";
import { optimize } from "../passes/optimize.ts";
import { floatingCotangents, splitTangents, spread } from "../primitives/call.ts";
import { where } from "../primitives/selection.ts";
import { argument, indices } from "../sampling.ts";
import { leaves, treeStructure } from "../tree.ts";
import type { Value } from "../value.ts";
import { batchedGraph } from "../vmap/batch-graph.ts";
import { batchOf } from "../vmap/batch-rules.ts";
import { maskOf, mayFail, substituted } from "./masking.ts";
import { backendOf, flatten, tracedTogether, unflatten, withInputs } from "./nested.ts";

export interface SwitchParams {
  /** Graphs of the same inputs and outputs. */
  readonly branches: readonly Graph[];
}

/** Inputs are the index of a branch and the operands of all branches. */
export const switchPrimitive: MultipleOp<SwitchParams> = runningPrimitive<SwitchParams>("switchCase", {
  args: ["inputs"],
  variadic: true,
  shapes: ([, ...operands], { branches }) => {
    for (const branch of branches) requireInputs("switchCase", branch, operands);
    return [...branches[0].outputAvals];
  },
  evaluate: ([index, ...operands], { branches }) =>
    executableOf(optimize(branches[index.item()]), index.backend).run(operands),
  jvp: ([index, ...operands], [, ...tangents], { branches }) => {
    const has = tangents.map((tangent) => tangent !== null);
    const each = branches.map((branch) => pushedGraph(branch, has, index.backend));
    const any = branches[0].outputs.map((_, i) => each.some(({ hasTangent }) => hasTangent[i]));
    const pushed = branches.map((branch) => pushedGraph(branch, has, index.backend, any).graph);
    const given = tangents.filter((tangent) => tangent !== null);
    const all = switchPrimitive([index, ...operands, ...given], { branches: pushed });
    return splitTangents(all, branches[0].outputs.length, any);
  },
  vjp: (inputs, [, ...wanted], { branches }) => {
    const [index, ...operands] = inputs;
    const outputs = switchPrimitive(inputs, { branches });
    return {
      outputs,
      residuals: inputs,
      // Each branch runs again on the way back, so that nothing has to be kept for those that were not taken.
      pull: (cotangents) => {
        const given = floatingCotangents(outputs, cotangents);
        const avals = [...operands, ...given].map((value) => value.aval);
        const back = branches.map((branch) => {
          const { backward, savedInputs } = pulledGraph(branch, wanted, "nothing", index.backend);
          return withInputs(backward, avals, [...savedInputs, ...given.map((_, i) => operands.length + i)]);
        });
        const found = switchPrimitive([index, ...operands, ...given], { branches: back });
        return [null, ...spread(found, wanted)];
      },
    };
  },
  batch: (inputs, batched, { branches }) => {
    const [index, ...operands] = inputs;
    const [isChosenByElement, ...marks] = batched;
    const size = batchOf(inputs, batched);
    const { backend } = index;
    if (!isChosenByElement) {
      const each = branches.map((branch) => batchedGraph(branch, size, marks, backend));
      const any = branches[0].outputs.map((_, i) => each.some((found) => found.batched[i]));
      const graphs = branches.map((branch) => batchedGraph(branch, size, marks, backend, any).graph);
      return { outputs: switchPrimitive(inputs, { branches: graphs }), batched: any };
    }
    // Elements take different branches: all are run, and each element takes what it would have had.
    const results = branches.map((branch, b) => {
      const { graph } = batchedGraph(branch, size, marks, backend, "all");
      return runForSome(graph, operands, marks, index.eq(b), mayFail(branch));
    });
    const outputs = results[0].map((first, i) =>
      results
        .slice(1)
        .reduce((chosen, result, b) => where(maskOf(index.eq(b + 1), first.rank), result[i], chosen), first),
    );
    return { outputs, batched: outputs.map(() => true) };
  },
  cost: (_, { branches }) => Math.max(...branches.map(graphFlops)),
  sample: (draw) => {
    const shape = draw.shape({ maxRank: 2 });
    const [first, second] = [
      sampleGraph((x, y) => [x.sin().mul(y)], [shape, []]),
      sampleGraph((x, y) => [y.exp().add(x.zerosLike())], [shape, []]),
    ];
    return {
      inputs: [indices([], 2), argument(shape), argument([])],
      params: (dtype) => ({ branches: [first(dtype), second(dtype)] }),
    };
  },
});

/** A branch for a whole batch, of which only the marked elements are used. */
function runForSome(
  graph: Graph,
  operands: readonly Value[],
  batched: readonly boolean[],
  takesPart: Value,
  isGuarded: boolean,
): Value[] {
  if (!isGuarded || operands.length === 0) return evaluateGraph(graph, operands);
  const nothing = graphOf(
    "vmap of a branch",
    (first) => graph.outputAvals.map((aval) => first.constant(0, aval)),
    graph.inputs,
    takesPart.backend,
  );
  const any = takesPart.astype("int32").sum().minimum(1);
  return switchPrimitive([any, ...substituted(operands, batched, takesPart)], {
    branches: [intern(nothing), graph],
  });
}

/**
 * Runs one of several branches on the operands, as the index says (out of range, the nearest). Where the index is
 * known, as in eager code, that branch is called and the others are not; in a function that is traced to a graph all
 * are traced, and one is run. The derivative is that of the branch taken.
 *
 * @param index an int32 scalar, or a number.
 * @throws TreeError, ShapeError or DTypeError where traced branches give results of different structure, shape or dtype.
 * @example `switchCase(1, [(x) => x, (x) => x.sin()], x)` is x.sin().
 */
export function switchCase<A extends readonly unknown[], R>(
  index: Value | number,
  branches: readonly ((...operands: A) => R)[],
  ...operands: A
): R {
  return branch("switchCase", index, branches, operands);
}

/**
 * `onTrue(...operands)` where the condition holds, else `onFalse(...operands)`: `switchCase` for a bool.
 *
 * @param condition a bool scalar, or a boolean.
 * @throws DTypeError for a condition that is not bool, ShapeError for one that is no scalar; and as `switchCase`.
 * @example
 * ```ts
 * const safe = jit((x: Value) => cond(x.gt(0), (y) => y.log(), (y) => y.sub(1), x));
 * ```
 */
export function cond<A extends readonly unknown[], R>(
  condition: Value | boolean,
  onTrue: (...operands: A) => R,
  onFalse: (...operands: A) => R,
  ...operands: A
): R {
  if (typeof condition === "boolean") return condition ? onTrue(...operands) : onFalse(...operands);
  if (condition.dtype !== "bool")
    fail(DTypeError, `cond: the condition is ${condition.aval}, but must be bool. Compare first: x.gt(0).`);
  return branch("cond", condition, [onFalse, onTrue], operands);
}

function branch<A extends readonly unknown[], R>(
  who: string,
  index: Value | number,
  branches: readonly ((...operands: A) => R)[],
  operands: A,
): R {
  if (branches.length === 0) fail(TreeError, `${who}: no branches were given; it needs at least one.`);
  const nearest = (i: number): number => Math.min(Math.max(Math.trunc(i), 0), branches.length - 1);
  if (typeof index === "number") return branches[nearest(index)](...operands);
  if (index.rank !== 0) {
    fail(
      ShapeError,
      `${who}: the ${who === "cond" ? "condition" : "index"} is ${index.aval}, but must be a scalar. ` +
        `To choose element by element, use where.`,
    );
  }
  if (index.dtype !== "bool" && index.dtype !== "int32")
    fail(
      DTypeError,
      `${who}: the index is ${index.aval}, but must be int32. Convert it: index.astype("int32").`,
    );
  if (index.known) return branches[nearest(index.item())](...operands);

  const flat = flatten(who, operands, "operand");
  const backend = backendOf([index]);
  const { graphs, captured, trees } = tracedTogether(who, branches, flat.tree as unknown[], backend);
  requireSameResults(who, graphs, trees);
  const whole = index.dtype === "bool" ? index.astype("int32") : clampIndex(index, branches.length);
  const outputs = switchPrimitive([whole, ...captured, ...flat.values], { branches: graphs });
  return unflatten(trees[0], outputs) as R;
}

/** An int32 index moved into [0, count). */
function clampIndex(index: Value, count: number): Value {
  return index.maximum(0).minimum(count - 1);
}

function requireSameResults(who: string, graphs: readonly Graph[], trees: readonly unknown[]): void {
  trees.forEach((tree, b) => {
    const [found, wanted] = [treeStructure(tree), treeStructure(trees[0])];
    if (found !== wanted) {
      fail(
        TreeError,
        `${who}: branch ${b} returned the structure ${found}, branch 0 ${wanted}. All branches must return the same.`,
      );
    }
  });
  graphs.forEach((graph, b) => {
    graph.outputAvals.forEach((aval, i) => {
      const wanted = graphs[0].outputAvals[i];
      if (sameAval(aval, wanted)) return;
      const leaf = leaves(trees[0]).length === 1 ? "" : ` at leaf ${i}`;
      fail(
        aval.dtype === wanted.dtype ? ShapeError : DTypeError,
        `${who}: branch ${b} returned ${aval}${leaf}, branch 0 ${wanted}. All branches must return the same shapes and ` +
          `dtypes; broadcastTo or astype brings one to the other.`,
      );
    });
  });
}
