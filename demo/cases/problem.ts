/** What the comparison differentiates. */
import { type RunCost, type Value, basisVector, passCosts, stage, tidy } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { grad, vjp } from "@cotangent/reverse-mode";
import { type HvpComposition, hvp } from "cotangent";
import type { Digits } from "../data/digits.ts";

export type Elements = ArrayLike<number>;

/** A way to differentiate, as the passes that it is made of. */
export interface Way {
  readonly name: string;
  /** How many passes give the whole derivative. */
  readonly passes: number;
  /** What one pass gives: a column of the Jacobian, a row, or all of it. */
  readonly gives: "column" | "row" | "whole";
  /** Runs those passes, and what they have in common once; gives the elements that each pass found. */
  readonly run: (passes: readonly number[]) => Elements[];
}

/** What something costs before it is run, as graphs tell it. */
export type Work = Pick<RunCost, "evaluations" | "flops" | "bytesMoved">;

const workOf = ({ evaluations, flops, bytesMoved }: Work): Work => ({ evaluations, flops, bytesMoved });

/** What a way will cost: something once, and something for each of its passes. */
export interface Foretold {
  readonly way: string;
  readonly passes: number;
  readonly common: Work;
  readonly perPass: Work;
}

/** A function at a point, of n inputs and m outputs, and the ways to differentiate it. The derivative is [m, n]. */
export interface Problem {
  readonly n: number;
  readonly m: number;
  readonly ways: readonly Way[];
  /** What two of the ways will cost, told from the graph of the function: none of them is run for it. */
  readonly foretell: () => readonly Foretold[];
  /** The value of the function whose derivative is wanted, at x + t direction: what differences are taken of. */
  readonly along: (direction: Value, t: number) => Elements;
  /** A direction to differentiate along, and the derivative times it, when the whole derivative is known. */
  readonly direction: Value;
  readonly times: (derivative: Elements) => Elements;
}

/** A family of problems that grows. */
export interface Sweep {
  readonly id: string;
  readonly case: CaseName;
  readonly title: string;
  /** What is differentiated, in a sentence or two. */
  readonly about: string;
  readonly varies: "n" | "m" | "n = m";
  readonly sizes: Readonly<Record<Scale, readonly number[]>>;
  build(size: number, digits: Digits, scale: Scale): Problem;
}

export const caseNames = ["classifier", "trajectory", "square", "hvp"] as const;
export type CaseName = (typeof caseNames)[number];

/** How large the problems get: in the full run, with `--quick`, and in a browser (where an evaluation is a draw call). */
export type Scale = "full" | "quick" | "browser" | "quickBrowser";

interface Differentiable {
  readonly f: (x: Value) => Value;
  readonly x: Value;
  /** The whole derivative by a formula that a person derived. */
  readonly manual: (x: Value) => Value;
  /** In the shape of x. */
  readonly direction: Value;
}

/** Central differences lose eps/h to rounding and h² to truncation; the cube root of eps balances the two. */
const differenceStep = (x: Value): number => Math.cbrt(x.dtype === "float64" ? 2 ** -52 : 2 ** -23);

/** (g(x + h v) - g(x - h v)) / 2h. */
function centralDifference(g: (x: Value) => Value, x: Value, v: Value): Value {
  const h = differenceStep(x);
  const step = v.mul(h);
  return g(x.add(step))
    .sub(g(x.sub(step)))
    .mul(1 / (2 * h));
}

/** The Jacobian of f at x, [m, n]: one column per forward pass, one row per sweep back. */
export function jacobianProblem({ f, x, manual, direction }: Differentiable): Problem {
  const n = x.size;
  const m = tidy(() => f(x).size);
  const forward: Way = {
    name: "forward",
    passes: n,
    gives: "column",
    run: (passes) => passes.map((k) => tidy(() => jvp(f, [x], [basisVector(x, k)])[1].dataSync())),
  };
  const reverse: Way = {
    name: "reverse",
    passes: m,
    gives: "row",
    run: (passes) =>
      tidy(() => {
        const [y, pullback] = vjp(f, x);
        return passes.map((k) => tidy(() => pullback(basisVector(y, k))[0].dataSync()));
      }),
  };
  const numerical: Way = {
    name: "numerical",
    passes: n,
    gives: "column",
    run: (passes) => passes.map((k) => tidy(() => centralDifference(f, x, basisVector(x, k)).dataSync())),
  };
  return {
    n,
    m,
    ways: [forward, reverse, numerical, byHand(() => manual(x))],
    foretell: () => {
      const { value, jvp: pass, vjp: runAndSweep } = passCosts(stage(f)(x));
      return [
        { way: "forward", passes: n, common: nothing, perPass: workOf(pass) },
        { way: "reverse", passes: m, common: workOf(value), perPass: less(runAndSweep, value) },
      ];
    },
    along: (v, t) => tidy(() => f(x.add(v.mul(t))).dataSync()),
    direction,
    times: (jacobian) => {
      const v = Float64Array.from(direction.dataSync());
      return Float64Array.from({ length: m }, (_, i) =>
        v.reduce((sum, component, j) => sum + jacobian[i * n + j] * component, 0),
      );
    },
  };
}

/** The Hessian of a scalar f at x times a direction: n numbers. Here m is 1, the size of f's own result. */
export function hessianVectorProblem({ f, x, manual, direction }: Differentiable): Problem {
  const gradient = grad(f);
  const composition = (name: HvpComposition): Way => whole(name, () => hvp(f, x, direction, name));
  const slope = (y: Value, v: Value): Value => jvp(f, [y], [v])[1];
  const slopeAlong = (y: Value): Value => slope(y, direction);
  return {
    n: x.size,
    m: 1,
    ways: [
      composition("forward-over-reverse"),
      composition("reverse-over-forward"),
      composition("reverse-over-reverse"),
      {
        name: "forward-over-forward",
        passes: x.size,
        gives: "column",
        run: (passes) =>
          passes.map((k) => tidy(() => jvp(slopeAlong, [x], [basisVector(x, k)])[1].dataSync())),
      },
      whole("differences of gradients", () => centralDifference(gradient, x, direction)),
      byHand(() => manual(x)),
    ],
    foretell: () => [
      {
        way: "forward-over-reverse",
        passes: 1,
        common: workOf(passCosts(stage(gradient)(x)).jvp),
        perPass: nothing,
      },
      {
        way: "forward-over-forward",
        passes: x.size,
        common: nothing,
        // The direction is an input here: what the function computes of it, each pass computes again.
        perPass: workOf(passCosts(stage(slope)(x, direction), { wanted: [true, false] }).jvp),
      },
    ],
    along: (v, t) => tidy(() => gradient(x.add(v.mul(t))).dataSync()),
    direction,
    times: (product) => product,
  };
}

const nothing: Work = { evaluations: 0, flops: 0, bytesMoved: 0 };

const less = (whole: Work, part: Work): Work => ({
  evaluations: whole.evaluations - part.evaluations,
  flops: whole.flops - part.flops,
  bytesMoved: whole.bytesMoved - part.bytesMoved,
});

const byHand = (derivative: () => Value): Way => whole("manual", derivative);

function whole(name: string, derivative: () => Value): Way {
  return { name, passes: 1, gives: "whole", run: () => [tidy(() => derivative().dataSync())] };
}
