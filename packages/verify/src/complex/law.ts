/** The law of the complex step. */
import type { Backend, Value } from "@cotangent/core";
import { type Law, nothingToJudge } from "../laws.ts";
import { dot, largest, norm, numbersOf, roundoff } from "../numbers.ts";
import { inapplicable, showNumbers, unjudged, weigh } from "../outcome.ts";
import { roundingsPerEvaluation } from "../rounding.ts";
import { Instance, directions, hasMode, sizeOfAll as sizeOf } from "../subject.ts";
import { NoComplexForm } from "./no-form.ts";
import { ComplexTrace } from "./trace.ts";

/** So small that its square is lost beside 1, and a power of 2: what is multiplied by it keeps all its digits. */
const step = 2 ** -100;
/** Imaginary parts from here on are no derivatives: some forms turn a value by i, and back. */
const turned = 2 ** -40;

/** The derivative along a direction, and the largest one of any value on the way. */
export interface ComplexDerivative {
  readonly image: readonly number[];
  readonly largest: number;
}

/**
 * J v by the complex step: Im f(x + i h v) / h, to a few roundings of the largest derivative on the way to it.
 *
 * @throws NoComplexForm where a primitive of f cannot be evaluated at complex points.
 */
export function derivativeByComplexStep(
  f: (...inputs: Value[]) => readonly Value[],
  inputs: readonly Value[],
  tangents: readonly Value[],
): ComplexDerivative {
  let top = 0;
  const trace = new ComplexTrace((im) => {
    const size = largest(im.dataSync().filter((y) => !(Math.abs(y) >= turned)));
    top = Math.max(top, size);
  });
  try {
    const outputs = f(...inputs.map((x, i) => trace.of(x, tangents[i].mul(step))));
    return { image: numbersOf(outputs.map(trace.im)).map((y) => y / step), largest: top / step };
  } finally {
    trace.open = false;
  }
}

/** The JVP is the derivative, by an oracle that has no truncation error and cancels nothing. */
export const complexStep: Law = {
  name: "complex step",
  statement: "<ȳ, J v> = Im <ȳ, f(x + i h v)> / h, for an h whose square vanishes",
  judge: (subject, setting, draw) => {
    if (!hasMode(subject, "forward")) return inapplicable("no forward mode");
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const v = draw.direction(sizeOf(instance.inputs));
    const ybar = draw.direction(sizeOf(outputs));
    const derivative = (at: Instance): number[] => numbersOf(at.jvp(directions(at.inputs, v)));
    const image = derivative(instance);
    const found = dot(ybar, image);

    const oracle = (backend: Backend): ComplexDerivative => {
      const at = instance.inFloat64(backend);
      return derivativeByComplexStep(at.differentiated, at.inputs, directions(at.inputs, v));
    };
    let exact: ComplexDerivative;
    try {
      exact = oracle(setting.reference);
    } catch (error) {
      if (error instanceof NoComplexForm) return inapplicable(`no complex form of ${error.message}`);
      throw error;
    }
    const expected = dot(ybar, exact.image);
    if (!Number.isFinite(expected)) return unjudged("not finite at the complex point");
    return weigh(
      {
        error: Math.abs(found - expected),
        found: [found],
        expected: [expected],
        scale: norm(ybar) * (norm(image) + norm(exact.image)),
        uncertainty: roundingsPerEvaluation * roundoff.float64 * norm(ybar) * exact.largest,
        evaluations: instance.evaluations,
        terms: ybar.length,
        // In float64 the oracle's own rounding counts as much.
        again: (backend) => [
          dot(ybar, derivative(instance.inFloat64(backend))),
          ...(setting.dtype === "float64" ? [dot(ybar, oracle(backend).image)] : []),
        ],
        say: (tolerance) =>
          [
            `<ȳ, J v> = ${found}, by the complex step ${expected}; they may differ by ${tolerance}`,
            showNumbers("v", v),
            showNumbers("ȳ", ybar),
            showNumbers("J v", image),
          ].join("\n"),
      },
      setting,
    );
  },
};
