import { programs, tensors } from "@cotangent/verify";
import { type Value, grad, jit, positive, vjp } from "cotangent";
import { assert, property } from "fast-check";
import { expect, test } from "vitest";

test("the derivative of the logarithm is the reciprocal", () => {
  const derivative = grad((x: Value) => x.log().sum());
  assert(
    property(tensors({ domain: positive() }), (x) => {
      expect(derivative(x).toArray()).toEqual(x.reciprocal().toArray());
    }),
  );
});

test("a random program has the same derivatives when it is jitted", () => {
  assert(
    property(programs({ steps: 4 }), (program) => {
      const point = program.point();
      const gradient = (...inputs: Value[]): Value[] => {
        const [outputs, pull] = vjp(program.run, ...inputs);
        return pull(outputs.map((output) => output.onesLike()));
      };
      const jitted = jit(gradient)(...point);
      gradient(...point).forEach((one, i) =>
        expect(one.sub(jitted[i]).abs().max().item()).toBeLessThan(1e-9),
      );
    }),
    { numRuns: 20 },
  );
});
