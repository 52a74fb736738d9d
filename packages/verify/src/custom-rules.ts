/** Checks of functions whose derivative rules somebody wrote by hand. */
import { type ArgumentSample, type Draw, type Value, isFloating, leaves, sizeOf } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import { type CheckOptions, type Report, check } from "./check.ts";
import { type HostInput, type RecordedDraw, roomOf, showTensor } from "./draw.ts";
import { type Law, adjoint, differences, linearity, nothingToJudge, reverseDifferences } from "./laws.ts";
import { distance, largest, numbersOf } from "./numbers.ts";
import { fails, holds, showNumbers, weigh } from "./outcome.ts";
import { Instance, type Mode, type Setting, type Subject, directions, modesOf } from "./subject.ts";

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

export interface CustomRulesOptions extends CheckOptions {
  /** The modes for which there are rules: ["reverse"] for a function that has a VJP alone. By default both. */
  readonly modes?: readonly Mode[];
  /**
   * By default `ruleLaws`. Add `secondOrder`, `staged` or `vmapped` of rules that are to be differentiated again, traced or
   * batched; of a surrogate, whose derivative is not that of its values, leave both `differences` out.
   */
  readonly laws?: readonly Law[];
}

/**
 * Checks a function with rules of its own: its JVP against its VJP, both against differences, both for linearity, and the
 * values that they compute along the way against the function itself.
 *
 * @param name how messages call it.
 * @param f takes one value per input, and gives a tree of values.
 * @param inputs where it is smooth, one sample per argument (`argument(shape, domain)`, `indices`), or drawn anew each time.
 * @returns one report per law; `assertReports` throws where one failed, with the inputs shrunk.
 * @example
 * ```ts
 * const reports = checkCustomRules("log1pExp", log1pExp, [argument([3], real())], setting);
 * assertReports(reports);
 * ```
 */
export function checkCustomRules(
  name: string,
  f: (...inputs: Value[]) => unknown,
  inputs: readonly ArgumentSample[] | ((draw: Draw) => readonly ArgumentSample[]),
  setting: Setting,
  { modes, laws = ruleLaws, ...options }: CustomRulesOptions = {},
): Report[] {
  const subject = (draw: RecordedDraw): Subject => {
    const samples = typeof inputs === "function" ? inputs(draw) : inputs;
    const drawn = samples.map(({ shape, dtype, domain }): HostInput => ({
      shape,
      dtype: dtype === "float" ? setting.dtype : dtype,
      data: draw.elements(domain, sizeOf(shape)),
    }));
    const isInput = drawn.map(({ dtype }) => isFloating(dtype));
    return {
      text: `${name}(${drawn.map((input) => showTensor(input, true)).join(", ")})`,
      room: Math.min(0.025, ...samples.map(roomOf)),
      point: drawn.filter((_, i) => isInput[i]),
      constants: drawn.filter((_, i) => !isInput[i]),
      apply: (values, constants) => {
        let [nextInput, nextConstant] = [0, 0];
        const all = isInput.map((input) => (input ? values[nextInput++] : constants[nextConstant++]));
        return leaves(f(...all)) as Value[];
      },
      ...(modes !== undefined && { modes }),
    };
  };
  return laws.map((law) => check(name, law, setting, subject, options));
}
