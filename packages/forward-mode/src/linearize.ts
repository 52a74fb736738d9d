import {
  type Graph,
  type LiftableArguments,
  type Lifted,
  StageTrace,
  TreeError,
  type Value,
  differentiableLeaf,
  evaluateGraph,
  fail,
  followOrigins,
  intern,
  leaves,
  mapTree,
  outputTree,
  requireSameShape,
  requireSameStructure,
  withLeaves,
  withoutDeadCode,
} from "@cotangent/core";
import { Dual, ForwardTrace } from "./dual.ts";
import type { Tangents } from "./jvp.ts";

/** The derivative of a function at a point as a linear function of tangents, with the graph that it runs. */
export interface LinearMap<A extends readonly unknown[], R> {
  (...tangents: { [K in keyof A]: Tangents<A[K]> }): Lifted<R>;
  /** From the tangents, and then from what it `captured`, to the tangents of the result. It holds linear operations alone. */
  readonly graph: Graph;
  readonly captured: readonly Value[];
}

/**
 * The value of f at a point and its derivative there as a linear function, which may be applied to any number of
 * tangents: f runs once, now. The primal part of forward mode is computed, its tangent part traced to a graph.
 *
 * @param primals one tree per argument, all of floating dtypes.
 * @returns f's result, and the linear map from one tangent tree per argument (null for a zero) to the result's.
 * @throws DTypeError for int32 or bool arguments; ShapeError or DTypeError where a tangent does not match.
 * @example
 * ```ts
 * const [y, push] = linearize((x: Value) => x.sin(), tensor(2));
 * push(tensor(1)).item(); // cos(2)
 * ```
 */
export function linearize<A extends readonly unknown[] = Value[], R = Value>(
  f: (...args: A) => R,
  ...primals: LiftableArguments<A>
): [Lifted<R>, LinearMap<A, R>] {
  const inputs: Value[] = [];
  const lifted = primals.map((primal, i) =>
    mapTree(
      primal,
      (leaf, path) => {
        const value = differentiableLeaf("linearize", leaf, path);
        inputs.push(value);
        return value;
      },
      `argument ${i}`,
    ),
  );
  if (inputs.length === 0) fail(TreeError, "linearize: no arguments were given; it needs at least one.");
  // The recording is the outer of the two, so that tangents are variables of it and primals are not.
  const recording = new StageTrace("linearize", inputs[0].backend, "numbers");
  const trace = new ForwardTrace("linearize");
  let next = 0;
  const duals = mapTree(lifted, () => {
    const primal = inputs[next++];
    return new Dual(trace, primal, recording.input(primal.aval));
  });
  try {
    const output = followOrigins(() => outputTree("linearize", f(...(duals as unknown as A))));
    const results = (leaves(output) as Value[]).map((leaf) =>
      leaf instanceof Dual && leaf.level === trace.level ? leaf : { primal: leaf, tangent: leaf.zerosLike() },
    );
    const drafts = results.map(({ tangent }) => recording.draftOf(tangent, "linearize"));
    const graph = withoutDeadCode(recording.builder.build(drafts));
    const { captured } = recording;
    const value = withLeaves(
      output,
      results.map(({ primal }) => primal),
    ) as Lifted<R>;
    // Linearized again, at whatever point, it is the same program.
    let program: Graph | undefined;
    const map = (...tangents: unknown[]): unknown => {
      const flat = inputTangents(tangents, lifted, inputs);
      program ??= intern(graph);
      return withLeaves(output, evaluateGraph(program, [...flat, ...captured]));
    };
    return [value, Object.assign(map, { graph, captured }) as unknown as LinearMap<A, R>];
  } finally {
    trace.open = false;
    recording.open = false;
  }
}

/** Tangents in the order of the primals' leaves, zeros for nulls. */
function inputTangents(
  tangents: readonly unknown[],
  primals: readonly unknown[],
  inputs: readonly Value[],
): Value[] {
  if (tangents.length !== primals.length) {
    fail(
      TreeError,
      `linearize: ${tangents.length} tangents were given for ${primals.length} arguments. Give one for each; null for a zero.`,
    );
  }
  let next = 0;
  return tangents.flatMap((tangent, i) => {
    const count = leaves(primals[i]).length;
    const own = inputs.slice(next, (next += count));
    if (tangent === null) return own.map((input) => input.zerosLike());
    requireSameStructure("linearize", `the tangent of argument ${i}`, tangent, primals[i]);
    return leaves(tangent).map((leaf, k) => {
      if (typeof leaf === "number" && own[k].rank === 0) return own[k].constant(leaf, own[k].aval);
      const value = differentiableLeaf("linearize", leaf, `the tangent of argument ${i}`);
      requireSameShape("linearize", `the tangent of argument ${i}`, value, own[k].aval);
      return value;
    });
  });
}
