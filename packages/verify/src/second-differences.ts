/** The law that rules are right to be differentiated again, not only consistent. */
import type { Value } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import { type Law, nothingToJudge } from "./laws.ts";
import { derivativeByDifferences, dot, norm, numbersOf, onTheWay } from "./numbers.ts";
import { hopeless, inapplicable, showNumbers, unjudged, weigh } from "./outcome.ts";
import { Instance, directions, modesOf, sizeOfAll as sizeOf } from "./subject.ts";

/**
 * The derivative of the JVP is what differences of the JVP say. A rule that is cut from its inputs passes all laws but this
 * one: the four compositions of the modes then agree on a wrong Hessian. Rules are the same for all dtypes, so it is judged in
 * float64 alone.
 */
export const secondDifferences: Law = {
  name: "second differences",
  statement:
    "d/dt <ȳ, J(x + t v) w> by forward over forward and over reverse mode = by differences, to within their own error",
  judge: (subject, setting, draw) => {
    if (setting.dtype !== "float64") return inapplicable("judged in float64");
    if (modesOf(subject).length < 2) return inapplicable("one mode alone");
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const { inputs } = instance;
    const [v, w] = [draw.direction(sizeOf(inputs)), draw.direction(sizeOf(inputs))];
    const ybar = draw.direction(sizeOf(outputs));
    /** J w and Jᵀ ȳ, each moved along v. */
    const derivatives = (at: Instance): { forward: number[]; reverse: number[] } => {
      const [vs, ws] = [directions(at.inputs, v), directions(at.inputs, w)];
      const pushed = (...xs: Value[]): Value[] => jvp(at.smooth, xs, ws)[1];
      const pulled = (...xs: Value[]): Value[] => {
        const [results, pull] = vjp(at.smooth, ...xs);
        return pull(directions(results, ybar));
      };
      return {
        forward: numbersOf(jvp(pushed, [...at.inputs], vs)[1]),
        reverse: numbersOf(jvp(pulled, [...at.inputs], vs)[1]),
      };
    };
    const { forward, reverse } = instance.counted(() => derivatives(instance));
    const found = [dot(ybar, forward), dot(w, reverse)];

    const oracle = instance.inFloat64(setting.reference);
    const along = (t: number): number =>
      dot(ybar, numbersOf(jvp(oracle.smooth, oracle.moved(v, t), directions(oracle.inputs, w))[1]));
    // Rules may name infinities that they then mask: those are no terms of what the oracle sums.
    const { middle } = onTheWay(() => along(0), Number.isFinite);
    const expected = derivativeByDifferences(along, subject.room, (f) => Math.abs(f) + norm(ybar) * middle);
    if (!Number.isFinite(expected.value)) return unjudged("differences not finite");
    // The first derivative has a slope here, which is what it is: NaN is not.
    if (
      found.some((x) => !Number.isFinite(x)) &&
      !(4 * expected.error <= hopeless * (1 + Math.abs(expected.value)))
    )
      return unjudged("the oracle is uncertain: near a kink, or too steep");
    return weigh(
      {
        error: Math.max(...found.map((x) => Math.abs(x - expected.value))),
        found,
        expected: [expected.value, expected.value],
        scale: norm(ybar) * norm(forward) + norm(w) * norm(reverse),
        uncertainty: 4 * expected.error,
        evaluations: instance.evaluations,
        terms: ybar.length + v.length,
        again: (backend) => {
          const other = derivatives(instance.inFloat64(backend));
          return [dot(ybar, other.forward), dot(w, other.reverse)];
        },
        say: (tolerance) =>
          [
            `d/dt <ȳ, J(x + t v) w> = ${found[0]} forward over forward, ${found[1]} forward over reverse; by differences ` +
              `${expected.value} ± ${expected.error}; they may differ by ${tolerance}`,
            showNumbers("v", v),
            showNumbers("w", w),
            showNumbers("ȳ", ybar),
          ].join("\n"),
      },
      setting,
    );
  },
};
