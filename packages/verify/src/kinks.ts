/** The documented derivatives at the points where there is no unique one. */
import {
  type Primitive,
  type Value,
  bind,
  fromHost,
  hostArray,
  noParams,
  profile,
  scalarAval,
} from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { grad } from "@cotangent/reverse-mode";
import { type HostInput, showCall } from "./draw.ts";
import { roundoff } from "./numbers.ts";
import type { Finding } from "./outcome.ts";
import { showNumber } from "./print.ts";
import { roundingsPerEvaluation } from "./rounding.ts";
import type { Setting } from "./subject.ts";

/** What is wrong at the kinks of a primitive: all of it in words, the first of it in numbers. */
export function kinkFailure(primitive: Primitive, { backend, dtype }: Setting): Finding | undefined {
  const problems: Finding[] = [];
  for (const { at, partials, because } of primitive.kinks) {
    const hostInputs = at.map((x): HostInput => ({ shape: [], dtype, data: Float64Array.of(x) }));
    const inputs = at.map((x): Value => fromHost(hostArray(dtype, 1).fill(x), scalarAval(dtype), backend));
    const f = (...xs: Value[]): Value => bind(primitive, xs, noParams);
    partials.forEach((expected, i) => {
      const tangents = inputs.map((input, j) => (j === i ? input.onesLike() : null));
      const ways = {
        JVP: () => jvp(f, inputs, tangents)[1].item(),
        VJP: () => grad(f, { argnums: i })(...inputs).item(),
      };
      for (const [mode, derive] of Object.entries(ways)) {
        const { result: found, evaluations } = profile(derive);
        const tolerance = roundoff[dtype] * roundingsPerEvaluation * evaluations * Math.abs(expected);
        const error = Math.abs(found - expected);
        // Nothing but itself is near an infinity.
        const isNear = Number.isFinite(expected) && error <= tolerance;
        if (Object.is(found, expected) || isNear) continue;
        problems.push({
          message:
            `${primitive.name} at (${at.map(showNumber).join(", ")}), ${primitive.args[i]}: the ${mode} gives ${showNumber(found)}, documented is ` +
            `${showNumber(expected)} (${because})`,
          counterexample: showCall({ primitive, params: noParams, dtype, inputs: hostInputs }),
          at: hostInputs,
          found: [found],
          expected: [expected],
          ...(Number.isFinite(error) && { error, tolerance }),
        });
      }
    });
  }
  if (problems.length === 0) return undefined;
  return { ...problems[0], message: problems.map(({ message }) => message).join("\n") };
}
