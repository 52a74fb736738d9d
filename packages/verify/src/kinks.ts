/** The documented derivatives at the points where there is no unique one. */
import {
  type NestedNumbers,
  type Primitive,
  type Value,
  bind,
  noParams,
  profile,
  tensor,
} from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { grad } from "@cotangent/reverse-mode";
import { type HostInput, showCall } from "./draw.ts";
import { roundoff } from "./numbers.ts";
import type { Finding } from "./outcome.ts";
import { showNumber } from "./print.ts";
import { roundingsPerEvaluation } from "./rounding.ts";
import { type Setting, shapedLike } from "./subject.ts";

/** Nothing but itself is near an infinity. */
const isNear = (found: number, expected: number, relative: number): boolean =>
  Object.is(found, expected) ||
  (Number.isFinite(expected) && Math.abs(found - expected) <= relative * Math.abs(expected));

const flat = (numbers: NestedNumbers): number[] =>
  typeof numbers === "number" ? [numbers] : numbers.flatMap(flat);
const list = (numbers: NestedNumbers): string =>
  typeof numbers === "number" ? showNumber(numbers) : `[${numbers.map(list).join(", ")}]`;

/** What is wrong at the kinks of a primitive: all of it in words, the first of it in numbers. */
export function kinkFailure(primitive: Primitive, { backend, dtype }: Setting): Finding | undefined {
  const problems: Finding[] = [];
  for (const { at, partials, because, params = noParams } of primitive.kinks) {
    const inputs = at.map((x): Value => tensor(x, { dtype, backend }));
    const hostInputs = inputs.map((one): HostInput => ({
      shape: one.shape,
      dtype,
      data: Float64Array.from(one.dataSync()),
    }));
    const f = (...xs: Value[]): Value => bind(primitive, xs, params).sum();
    inputs.forEach((input, i) => {
      const wanted = flat(partials[i]);
      /** Along one element after the other. */
      const pushed = (): number[] =>
        wanted.map((_, k) => {
          const tangent = shapedLike(
            input,
            wanted.map((__, j) => (j === k ? 1 : 0)),
          );
          const tangents = inputs.map((__, j) => (j === i ? tangent : null));
          return jvp(f, inputs, tangents)[1].item();
        });
      const pulled = (): number[] => Array.from(grad(f, { argnums: i })(...inputs).dataSync());
      for (const [mode, derive] of Object.entries({ JVP: pushed, VJP: pulled })) {
        const { result, evaluations } = profile(derive);
        const bound = roundoff[dtype] * roundingsPerEvaluation * evaluations;
        const wrong = wanted.findIndex((expected, k) => !isNear(result[k], expected, bound));
        if (wrong < 0 && result.length === wanted.length) continue;
        const error = Math.abs(result[wrong] - wanted[wrong]);
        const [found, expected] =
          input.rank === 0 ? [showNumber(result[0]), showNumber(wanted[0])] : [result, wanted].map(list);
        problems.push({
          message:
            `${primitive.name} at (${at.map(list).join(", ")}), ${primitive.args[i]}: the ${mode} gives ${found}, documented is ` +
            `${expected} (${because})`,
          counterexample: showCall({ primitive, params, dtype, inputs: hostInputs }),
          at: hostInputs,
          found: result,
          expected: wanted,
          ...(Number.isFinite(error) && { error, tolerance: bound * Math.abs(wanted[wrong]) }),
        });
      }
    });
  }
  if (problems.length === 0) return undefined;
  return { ...problems[0], message: problems.map(({ message }) => message).join("\n") };
}
