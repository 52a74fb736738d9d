/** What the derivatives of a graph cost, before any of them is computed. */
import { type Aval, avalOf } from "../aval.ts";
import { currentBackend } from "../backend.ts";
import { CotangentError, DTypeError, fail } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { add } from "../primitives/binary.ts";
import { dotGeneral } from "../primitives/contraction.ts";
import { type Split, inlined, narrowestCuts, splitAt } from "./cut.ts";
import { type DryRun, type Ghost, callers } from "./dry-run.ts";
import { type GraphCost, type GraphCostOptions, type RunCost, dryRun, graphSize } from "./graph-cost.ts";
import {
  type Blocks,
  type Differentiated,
  type Execution,
  floatingOutputs,
  graphOfJvp,
  graphOfVjp,
  jacobianForward,
  jacobianForwardBatched,
  jacobianReverse,
  jacobianReverseBatched,
  reshaped,
  runPulled,
  runPushed,
  sizeOfAll,
} from "./jacobians.ts";

export interface DerivativeCostOptions extends GraphCostOptions {
  /** For each input whether to differentiate with respect to it; by default all floating ones. */
  readonly wanted?: readonly boolean[];
  /** How derivatives are run; by default "eager", as `jvp`, `vjp`, `jacfwd` and `jacrev` run them. */
  readonly execution?: Execution;
  /** How many directions one pass or sweep takes at once, in `batched`; by default all there are. */
  readonly batchSize?: number;
}

export type Mode = "forward" | "reverse";

/**
 * A Jacobian accumulated in both modes: the function is cut in two, f = g ∘ h, at values with fewer elements than its
 * inputs and its outputs, and the Jacobians of g and of h, each by its own mode, are multiplied.
 */
export interface MixedCost extends RunCost {
  /** How many elements the cut has. */
  readonly width: number;
  /** The mode of h, from the inputs to the cut. */
  readonly inner: Mode;
  /** The mode of g, from the cut to the outputs. */
  readonly outer: Mode;
  /** The two parts. */
  readonly split: Split;
}

export interface PassCosts {
  /** Elements of the inputs that are differentiated with respect to. */
  readonly inputs: number;
  /** Elements of the outputs that have derivatives. */
  readonly outputs: number;
  /** One run of the function. */
  readonly value: GraphCost;
  /** One JVP, with the value. Its graph has the tangents as inputs, and as outputs those that are not zero for certain. */
  readonly jvp: GraphCost;
  /** One VJP: a run and one sweep back, in one graph with the cotangents as inputs. */
  readonly vjp: GraphCost;
}

export interface DerivativeCosts extends PassCosts {
  /** The whole Jacobian by forward mode: one pass per element of the inputs. */
  readonly forward: RunCost;
  /** The whole Jacobian by reverse mode: one run, and one sweep per element of the outputs. */
  readonly reverse: RunCost;
  /**
   * Jacobians of many directions at once, as `vmap` of derivative graphs made once runs them: the function itself is run
   * once per batch forward, and once in reverse. Putting the batches together is not counted.
   */
  readonly batched: { readonly forward: RunCost; readonly reverse: RunCost };
  /** The cheapest way through a cut, by FLOPs; null where no cut is narrower than both inputs and outputs. */
  readonly mixed: MixedCost | null;
}

/**
 * What the value of a graph, its JVP, its VJP and its Jacobian by each mode cost, exactly as `profile` would count them,
 * without running any.
 *
 * A mixed Jacobian is one of few: at a cut of least size, nearest to the inputs or to the outputs, both parts by either
 * mode. To find the cheapest order of elimination among all is NP-complete (Naumann, Optimal Jacobian accumulation is
 * NP-complete, 2008; on the elimination of vertices see Griewank and Walther, Evaluating Derivatives, chapters 9 and 10).
 *
 * @throws DTypeError where an input to differentiate with respect to is not floating.
 * @example
 * ```ts
 * const graph = stage((x: Value) => x.sin().sum())(avalOf([100], "float64"));
 * const { forward, reverse } = derivativeCosts(graph);
 * forward.flops / reverse.flops; // about 100
 * ```
 */
export function derivativeCosts(graph: Graph, options: DerivativeCostOptions = {}): DerivativeCosts {
  const { of, cost } = setUp(graph, options);
  const { batchSize = Infinity } = options;
  if (!(batchSize >= 1))
    fail(
      CotangentError,
      `derivativeCosts: batchSize is ${batchSize}, but must be a whole number, 1 or more.`,
    );
  const inputs = graph.inputs.map(callers);
  const whole = (blocks: (run: DryRun) => Blocks): RunCost => cost((run) => blocks(run).flat());
  return {
    ...passCosts(graph, options),
    forward: whole((run) => jacobianForward(run, of, inputs)),
    reverse: whole((run) => jacobianReverse(run, of, inputs)),
    batched: {
      forward: cost((run) => jacobianForwardBatched(run, of, inputs, batchSize)),
      reverse: cost((run) => jacobianReverseBatched(run, of, inputs, batchSize)),
    },
    mixed: cheapestMixed(of, (blocks) => whole(blocks)),
  };
}

function setUp(
  graph: Graph,
  options: DerivativeCostOptions,
): { of: Differentiated; cost: (body: (run: DryRun) => readonly Ghost[]) => RunCost } {
  const { execution = "eager", backend = currentBackend() } = options;
  return {
    of: { graph, wanted: wantedOf(graph, options.wanted), backend, execution },
    cost: (body) => dryRun({ ...options, backend }, body),
  };
}

/** What one run, one JVP and one VJP of a graph cost: of `derivativeCosts` what is soon found. */
export function passCosts(graph: Graph, options: DerivativeCostOptions = {}): PassCosts {
  const { of, cost } = setUp(graph, options);
  const inputs = graph.inputs.map(callers);
  return {
    inputs: sizeOfAll(graph.inputs.filter((_, i) => of.wanted[i])),
    outputs: sizeOfAll(floatingOutputs(graph)),
    value: { ...cost((run) => run.graph(graph, inputs)), ...graphSize(graph, options) },
    jvp: {
      ...cost((run) => {
        const { outputs, tangents } = runPushed(run, of, of.wanted, inputs);
        return [...outputs, ...tangents];
      }),
      ...graphSize(graphOfJvp(of), options),
    },
    vjp: {
      ...cost((run) => {
        const { outputs, sweep } = runPulled(run, of, inputs);
        return [...outputs, ...sweep(floatingOutputs(graph).map(callers))];
      }),
      ...graphSize(graphOfVjp(of), options),
    },
  };
}

function wantedOf({ inputs }: Graph, wanted: readonly boolean[] | undefined): readonly boolean[] {
  if (wanted === undefined) return inputs.map((aval) => aval.floating);
  if (wanted.length !== inputs.length)
    fail(CotangentError, `derivativeCosts: wanted has ${wanted.length} marks for ${inputs.length} inputs.`);
  inputs.forEach((aval, i) => {
    if (wanted[i] && !aval.floating)
      fail(
        DTypeError,
        `derivativeCosts: input ${i} is ${aval}, and has no derivative. Leave it out of wanted.`,
      );
  });
  return wanted;
}

function cheapestMixed(
  of: Differentiated,
  cost: (blocks: (run: DryRun) => Blocks) => RunCost,
): MixedCost | null {
  const graph = inlined(of.graph);
  const least = Math.min(
    sizeOfAll(graph.inputs.filter((_, i) => of.wanted[i])),
    sizeOfAll(floatingOutputs(graph)),
  );
  let cheapest: MixedCost | null = null;
  for (const cut of narrowestCuts(graph, of.wanted)) {
    const split = splitAt(graph, cut, of.wanted);
    if (split.width === 0 || split.width >= least) continue;
    for (const inner of ["reverse", "forward"] as const) {
      for (const outer of ["forward", "reverse"] as const) {
        const found = cost((run) => jacobianMixed(run, of, split, cut.length, { inner, outer }));
        if (cheapest === null || found.flops < cheapest.flops)
          cheapest = { ...found, width: split.width, inner, outer, split };
      }
    }
  }
  return cheapest;
}

const jacobianBy = { forward: jacobianForward, reverse: jacobianReverse } as const;

/** The Jacobian through a cut, as `mixedJacobian` computes it. */
function jacobianMixed(
  run: DryRun,
  of: Differentiated,
  { values, inner, outer }: Split,
  cutCount: number,
  modes: { readonly inner: Mode; readonly outer: Mode },
): Blocks {
  const inputs = of.graph.inputs.map(callers);
  const given = run.graph(values, inputs);
  const ofInner = jacobianBy[modes.inner](run, { ...of, graph: inner }, inputs);
  const marks = given.map((_, i) => i < cutCount);
  const ofOuter = jacobianBy[modes.outer](run, { ...of, graph: outer, wanted: marks }, given);
  const cut = outer.inputs.slice(0, cutCount);
  const moved = of.graph.inputs.filter((_, i) => of.wanted[i]);
  return floatingOutputs(outer).map((output, o) =>
    moved.map((input, i) => {
      const terms = cut.map((aval, v) => {
        const left = reshaped(run, ofOuter[o][v], [output.size, aval.size]);
        const right = reshaped(run, ofInner[v][i], [aval.size, input.size]);
        return product(run, left, right);
      });
      const sum = terms.reduce((a, b) => run.bind(add.primitive, [a, b], [a.aval], {})[0]);
      return reshaped(run, sum, [...output.shape, ...input.shape]);
    }),
  );
}

function product(run: DryRun, x: Ghost, y: Ghost): Ghost {
  const aval: Aval = avalOf([x.aval.shape[0], y.aval.shape[1]], x.aval.dtype);
  const params = { contractX: [1], contractY: [0], batchX: [], batchY: [] };
  return run.bind(dotGeneral.primitive, [x, y], [aval], params)[0];
}
