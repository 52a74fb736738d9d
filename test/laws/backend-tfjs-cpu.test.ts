/** The tfjs backend on tfjs's own cpu kernels, which shows that it needs no WebGL. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import "@tensorflow/tfjs-backend-cpu";
import { type Value, jsBackend, tensor, tidy, vmap, whileLoop, withBackend } from "cotangent";
import { expect, test } from "vitest";
import { describeKinks } from "../kinks/table.ts";
import { describeLaws, describeWholeNumbers } from "./suite.ts";

const cpu = await createTfjsBackend("cpu");

describeLaws(
  { backend: cpu, dtype: "float32", reference: jsBackend },
  { samples: 2, programs: 5, cover: false },
);
describeWholeNumbers(cpu, jsBackend, { samples: 4, cover: false });
describeKinks(cpu, "float32");

test("a loop over a batch keeps its constants once, however often it is run", () => {
  withBackend(cpu, () => {
    const alive = (): number => {
      tidy(() => {
        const count = (x: Value): Value =>
          whileLoop(
            ({ n }) => n.lt(3),
            ({ n, y }) => ({ n: n.add(1), y: y.mul(x) }),
            { n: x.add(2), y: x },
          ).y;
        vmap(count)(tensor([-1, 0, 1]));
      });
      return cpu.memory().buffers;
    };
    alive();
    const before = alive();
    expect([1, 2, 3].map(alive)).toEqual(Array(3).fill(before));
  });
});
