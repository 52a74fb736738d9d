/** What must be true of primitives that have no derivative on purpose. */
import { DerivativeError, Tracer, type Value, isFloating } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import type { Law } from "./laws.ts";
import { largest, numbersOf } from "./numbers.ts";
import { fails, holds, inapplicable, showNumbers } from "./outcome.ts";
import { Instance, directions, sizeOfAll } from "./subject.ts";

/** Whether `body` refuses to differentiate; any other error is passed on. */
function refuses(body: () => unknown): boolean {
  try {
    body();
    return false;
  } catch (error) {
    if (error instanceof DerivativeError) return true;
    throw error;
  }
}

/** A cut gradient is cut openly, and by both modes alike. */
export const cut: Law = {
  name: "cut",
  statement:
    "a primitive without derivatives gives no tangent and zero cotangents, or refuses both, as its record says",
  subjects: "primitives",
  judge: (subject, setting, draw) => {
    if (subject.cut === undefined) return inapplicable("it has derivatives");
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const { inputs } = instance;
    if (inputs.length === 0) return inapplicable("no float input");
    const tangents = directions(inputs, draw.direction(sizeOfAll(inputs)));
    const outputs = instance.apply(...inputs);
    let traced = false;
    // As floats, so that what leads to indices and conditions is seen too.
    const asFloats = (...xs: Value[]): Value[] => {
      const results = instance.apply(...xs);
      traced ||= results.some((result) => result instanceof Tracer);
      return results.map((result) => (isFloating(result.dtype) ? result : result.astype(setting.dtype)));
    };
    const cotangents = asFloats(...inputs).map((output) => output.onesLike());
    const forward = (): Value[] => jvp(asFloats, [...inputs], tangents)[1];
    const reverse = (): Value[] => vjp(asFloats, ...inputs)[1](cotangents);
    if (subject.cut === "refused") {
      const accepting = [refuses(forward) ? "" : "forward", refuses(reverse) ? "" : "reverse"].filter(
        (mode) => mode !== "",
      );
      return accepting.length === 0 ? holds : fails(`not refused by ${accepting.join(" and ")} mode`);
    }
    const [pushed, pulled] = [forward(), reverse()];
    if (traced) return fails(`a value ${outputs[0].aval} is still traced, though its derivative is zero`);
    const found = [...numbersOf(pushed), ...numbersOf(pulled)];
    return largest(found) === 0 && !found.some(Number.isNaN)
      ? holds
      : fails(
          `not zero\n${showNumbers("J v", numbersOf(pushed))}\n${showNumbers("Jᵀ ȳ", numbersOf(pulled))}`,
          { found, expected: found.map(() => 0), error: largest(found), tolerance: 0 },
        );
  },
};
