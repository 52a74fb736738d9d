/** The documented derivatives at the points where there is no unique one. */
import { type Primitive, type Value, bind, fromHost, hostArray, noParams, scalarAval } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { grad } from "@cotangent/reverse-mode";
import { roundoff } from "./numbers.ts";
import type { Setting } from "./subject.ts";

/** What is wrong at the kinks of a primitive, or undefined. */
export function kinkFailure(primitive: Primitive, { backend, dtype }: Setting): string | undefined {
  const problems: string[] = [];
  for (const { at, partials, because } of primitive.kinks) {
    const inputs = at.map((x): Value => fromHost(hostArray(dtype, 1).fill(x), scalarAval(dtype), backend));
    const f = (...xs: Value[]): Value => bind(primitive, xs, noParams);
    partials.forEach((expected, i) => {
      const tangents = inputs.map((input, j) => (j === i ? input.onesLike() : null));
      const found = {
        JVP: jvp(f, inputs, tangents)[1].item(),
        VJP: grad(f, { argnums: i })(...inputs).item(),
      };
      for (const [mode, value] of Object.entries(found)) {
        const tolerance = 8 * roundoff[dtype] * Math.abs(expected);
        // Nothing but itself is near an infinity.
        const isNear = Number.isFinite(expected) && Math.abs(value - expected) <= tolerance;
        if (Object.is(value, expected) || isNear) continue;
        problems.push(
          `${primitive.name} at (${at.join(", ")}), ${primitive.args[i]}: the ${mode} gives ${value}, documented is ${expected} (${because})`,
        );
      }
    });
  }
  return problems.length === 0 ? undefined : problems.join("\n");
}
