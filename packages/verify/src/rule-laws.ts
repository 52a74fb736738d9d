/** What functions must fulfil whose derivative rules somebody wrote by hand. */
import type { Value } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import { type Law, adjoint, differences, linearity, nothingToJudge, reverseDifferences } from "./laws.ts";
import { distance, largest, numbersOf } from "./numbers.ts";
import { fails, holds, showNumbers, weigh } from "./outcome.ts";
import { Instance, directions, modesOf } from "./subject.ts";

/** Rules compute the function's value too, and may do so in a way of their own. */
export const primals: Law = {
  name: "primals",
  statement: "the values that come along with J v and Jᵀ ȳ are those of f",
  judge: (subject, setting) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.counted(() => instance.smooth(...instance.inputs));
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    for (const mode of modesOf(subject)) {
      const values = (at: Instance): Value[] => {
        const ones = directions(at.inputs, new Float64Array(numbersOf(at.inputs).length).fill(1));
        return mode === "forward" ? jvp(at.smooth, [...at.inputs], ones)[0] : vjp(at.smooth, ...at.inputs)[0];
      };
      const found = values(instance);
      const wrong = found.findIndex(({ aval }, i) => aval.toString() !== outputs[i]?.aval.toString());
      if (wrong >= 0 || found.length !== outputs.length)
        return fails(
          `in ${mode} mode f gives ${found.map(String).join(", ")}, else ${outputs.map(String).join(", ")}`,
        );
      const [x, y] = [numbersOf(found), numbersOf(outputs)];
      const outcome = weigh(
        {
          error: distance(x, y),
          found: x,
          expected: y,
          scale: largest(y),
          evaluations: instance.evaluations,
          terms: y.length,
          again: (backend) => {
            const at = instance.inFloat64(backend);
            const own = numbersOf(at.smooth(...at.inputs));
            return numbersOf(values(at)).map((number, i) => number - own[i]);
          },
          say: (tolerance) =>
            [
              `in ${mode} mode f differs from its own value by more than ${tolerance}`,
              showNumbers("found", x),
              showNumbers("f", y),
            ].join("\n"),
        },
        setting,
      );
      if (!outcome.judged || outcome.failure !== undefined) return outcome;
    }
    return holds;
  },
};

/** What rules must fulfil, in the order in which a failure says most. */
export const ruleLaws: readonly Law[] = [primals, adjoint, linearity, differences, reverseDifferences];
