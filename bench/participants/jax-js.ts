import { defaultDevice, grad, init, jit, jvp, makeJaxpr, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import type { Beginner, Participant, Task } from "./participant.ts";

export const jaxJsName = "jax-js, wasm";

async function start(): Promise<void> {
  const devices = await init("wasm");
  if (!devices.includes("wasm")) throw new Error("jax-js could not start its wasm device.");
  defaultDevice("wasm");
}

/** Every use of an array gives it away; `.ref` keeps it for another use. */
export async function jaxJs(): Promise<Participant> {
  await start();

  return {
    name: jaxJsName,
    dtype: "float32",
    enter: () => Promise.resolve(),

    chain(at, operations) {
      const x = scalar(at);
      const f = (start: np.Array): np.Array => chainFrom(start, operations);
      return {
        ...task(x, f),
        derivative() {
          const [value, tangent] = jvp(f, [x.ref], [scalar(1)]);
          value.dispose();
          return tangent.item();
        },
      };
    },

    elementwise(elements) {
      return task(np.array(elements), (x) =>
        np
          .sin(x.ref)
          .mul(np.exp(np.square(x.ref).neg()))
          .add(np.tanh(x))
          .sum(),
      );
    },

    network({ sizes: { batch, inputs, hidden, classes }, ...data }) {
      const rows = np.array(data.rows, { shape: [batch, inputs] });
      const targets = np.array(data.targets, { shape: [batch, classes] });
      const parameters = [
        np.array(data.weights1, { shape: [inputs, hidden] }),
        np.array(data.bias1),
        np.array(data.weights2, { shape: [hidden, classes] }),
        np.array(data.bias2),
      ];
      const f = ([weights1, bias1, weights2, bias2]: np.Array[]): np.Array => {
        const layer = np.tanh(np.matmul(rows.ref, weights1).add(bias1));
        const logits = np.matmul(layer, weights2).add(bias2);
        return nn
          .logSoftmax(logits, -1)
          .mul(targets.ref)
          .sum()
          .mul(-1 / batch);
      };
      const differentiated = valueAndGrad(f);
      const given = (): np.Array[] => parameters.map((parameter) => parameter.ref);
      return {
        value: () => f(given()).item(),
        valueAndGrad() {
          const [value, gradients] = differentiated(given());
          return { value: value.item(), gradient: gradients.map((gradient) => gradient.dataSync()) };
        },
      };
    },
  };
}

/** As for Cotangent. */
export async function jaxJsBeginner(): Promise<Beginner> {
  await start();
  const scaled =
    (operations: number, factor: number) =>
    (x: np.Array): np.Array =>
      chainFrom(x, operations).mul(factor);
  return {
    gradient: (at, operations, factor) => jit(grad(scaled(operations, factor)))(scalar(at)).item(),
    trace: (at, operations, factor) =>
      makeJaxpr(scaled(operations, factor))(scalar(at)).jaxpr.jaxpr.eqns.length,
  };
}

function chainFrom(start: np.Array, operations: number): np.Array {
  let y = start.ref;
  for (let i = 0; i < operations; i += 2) y = np.sin(y).mul(start.ref);
  start.dispose();
  return y;
}

const scalar = (x: number): np.Array => np.array(x, { dtype: np.float32 });

function task(x: np.Array, f: (x: np.Array) => np.Array): Task {
  const differentiated = valueAndGrad(f);
  return {
    value: () => f(x.ref).item(),
    valueAndGrad() {
      const [value, gradient] = differentiated(x.ref);
      return { value: value.item(), gradient: [gradient.dataSync()] };
    },
  };
}
