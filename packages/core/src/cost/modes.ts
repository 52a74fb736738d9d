/** Which mode to take for a Jacobian, told before anything runs. */
import { DTypeError, DerivativeError, fail } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { type Stageable, abstractLeaf, stage } from "../graph/stage.ts";
import { mapTree } from "../tree.ts";
import { type DerivativeCostOptions, type DerivativeCosts, derivativeCosts } from "./derivatives.ts";
import type { RunCost } from "./graph-cost.ts";
import { type TimeModel, defaultTimeModel, predictedTime } from "./time.ts";

/** How a Jacobian is put together: by one mode, or by both of them (`MixedCost`). */
export type JacobianMode = "forward" | "reverse" | "mixed";

export interface ModeChoice {
  /** The mode with the shortest predicted time. */
  readonly mode: JacobianMode;
  readonly costs: DerivativeCosts;
  /** Predicted milliseconds; mixed is Infinity where there is no cut. */
  readonly times: Readonly<Record<JacobianMode, number>>;
  /** One line that says why. */
  readonly explanation: string;
}

export interface ModeOptions extends Omit<DerivativeCostOptions, "wanted"> {
  /** Which argument to differentiate with respect to; by default the first. */
  readonly argnum?: number;
  /** How costs become times; by default `defaultTimeModel`. `calibrate` measures one. */
  readonly model?: TimeModel;
}

/**
 * Predicts which mode gives the Jacobian of f (for a scalar result: its gradient) the soonest: forward, reverse, or a
 * product of both through the narrowest part of f. f is traced once; nothing is computed.
 *
 * @returns a function of f's arguments, or of abstract values in their place, that gives the choice and the costs.
 * @throws StagingError where f cannot be traced; DerivativeError where it has nothing to differentiate.
 * @example
 * ```ts
 * chooseMode((x: Value) => x.sin().sum())(avalOf([100], "float64")).mode; // "reverse"
 * ```
 */
export function chooseMode<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  options: ModeOptions = {},
): (...args: Stageable<A>) => ModeChoice {
  const { argnum = 0 } = options;
  return (...args) => {
    const wanted: boolean[] = [];
    (args as readonly unknown[]).forEach((arg, i) => {
      mapTree(
        arg,
        (leaf, path) => {
          const aval = abstractLeaf("chooseMode", leaf, path);
          if (aval === undefined) return;
          wanted.push(i === argnum);
          if (i === argnum && !aval.floating) {
            fail(
              DTypeError,
              `chooseMode: ${path} is ${aval}, and a derivative with respect to ${aval.dtype} has no meaning. ` +
                `Convert it (astype("float64")), or differentiate with respect to another argument.`,
            );
          }
        },
        `argument ${i}`,
      );
    });
    return modeOf(stage(f)(...args), { ...options, wanted });
  };
}

/** `chooseMode` for a function that is a graph already. */
export function modeOf(
  graph: Graph,
  { model = defaultTimeModel, ...options }: DerivativeCostOptions & Pick<ModeOptions, "model"> = {},
): ModeChoice {
  const costs = derivativeCosts(graph, options);
  if (costs.inputs === 0 || costs.outputs === 0) {
    fail(
      DerivativeError,
      `chooseMode: the function has ${costs.inputs} floating inputs to differentiate with respect to and ` +
        `${costs.outputs} floating outputs; a Jacobian needs both.`,
    );
  }
  const time = (cost: RunCost | null): number => (cost === null ? Infinity : predictedTime(cost, model));
  const times = { forward: time(costs.forward), reverse: time(costs.reverse), mixed: time(costs.mixed) };
  const order = (["forward", "reverse", "mixed"] as const).toSorted((a, b) => times[a] - times[b]);
  return { mode: order[0], costs, times, explanation: explain(order, costs, times) };
}

function explain(
  [best, second]: readonly JacobianMode[],
  costs: DerivativeCosts,
  times: ModeChoice["times"],
): string {
  const { inputs, outputs, mixed } = costs;
  const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
  const ways: Record<JacobianMode, string> = {
    forward: many(inputs, "forward pass").replace("passs", "passes"),
    reverse: `a run and ${many(outputs, "sweep")} back`,
    mixed:
      mixed === null
        ? "no cut"
        : `a product through the ${many(mixed.width, "element")} at the narrowest part, ${mixed.inner} up to it and ` +
          `${mixed.outer} from there`,
  };
  const figures = (mode: JacobianMode): string => `${ways[mode]} (${(costs[mode] as RunCost).flops} FLOPs)`;
  const ratio = times[second] / times[best];
  return `${best}: ${figures(best)} should take ${ratio.toFixed(ratio < 10 ? 1 : 0)} times less than ${second}, ${figures(second)}.`;
}
