import {
  defaultDevice,
  grad,
  init,
  jit,
  jvp,
  lax,
  makeJaxpr,
  nn,
  numpy as np,
  valueAndGrad,
} from "@jax-js/jax";
import type { Beginner, Participant, Task } from "./participant.ts";

export const jaxJsName = "jax-js, wasm";

async function start(): Promise<void> {
  const devices = await init("wasm");
  if (!devices.includes("wasm")) throw new Error("jax-js could not start its wasm device.");
  defaultDevice("wasm");
}

type Gradients<X> = (x: X) => [np.Array, X];

/** Every use of an array gives it away; `.ref` keeps it for another use. */
export async function jaxJs({ jitted = false } = {}): Promise<Participant> {
  await start();
  /** A function as it is run, and its value and gradient. Its types of trees do not see that X is one. */
  const prepared = <X extends np.Array | np.Array[]>(f: (x: X) => np.Array) => ({
    run: (jitted ? jit(f) : f) as (x: X) => np.Array,
    differentiated: (jitted ? jit(valueAndGrad(f)) : valueAndGrad(f)) as unknown as Gradients<X>,
  });
  const task = (x: np.Array, f: (x: np.Array) => np.Array): Task => {
    const { run, differentiated } = prepared(f);
    return {
      value: () => run(x.ref).item(),
      valueAndGrad() {
        const [value, gradient] = differentiated(x.ref);
        return { value: value.item(), gradient: [gradient.dataSync()] };
      },
    };
  };
  const taskOfMany = (parameters: readonly np.Array[], f: (parameters: np.Array[]) => np.Array): Task => {
    const { run, differentiated } = prepared(f);
    const given = (): np.Array[] => parameters.map((parameter) => parameter.ref);
    return {
      value: () => run(given()).item(),
      valueAndGrad() {
        const [value, gradients] = differentiated(given());
        return { value: value.item(), gradient: gradients.map((gradient) => gradient.dataSync()) };
      },
    };
  };

  return {
    name: jitted ? `${jaxJsName}, jitted` : jaxJsName,
    isPeer: true,
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
      return task(np.array(elements), elementwiseOf);
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
      return taskOfMany(parameters, f);
    },

    product(a, b, size) {
      const [x, y] = [a, b].map((data) => np.array(data, { shape: [size, size] }));
      const run = jitted ? jit(np.matmul) : np.matmul;
      const read = (): ArrayLike<number> => run(x.ref, y.ref).dataSync();
      return {
        value: () => read()[size + 1],
        valueAndGrad() {
          const found = read();
          return { value: found[size + 1], gradient: [found] };
        },
      };
    },

    // Its images and filters have their channels first; what is given and found here has them last.
    convolution({ sizes: { batch, channels, classes }, ...data }) {
      const images = np.array(data.images, { shape: [batch, 1, 28, 28] });
      const targets = np.array(data.targets, { shape: [batch, classes] });
      const parameters = [
        np.array(data.filters1, { shape: [5, 5, 1, channels[0]] }),
        np.array(data.filters2, { shape: [5, 5, channels[0], channels[1]] }),
        np.array(data.weights, { shape: [4 * 4 * channels[1], classes] }),
      ];
      const layer = (x: np.Array, filters: np.Array): np.Array => {
        const found = nn.relu(lax.conv(x, np.transpose(filters, [3, 2, 0, 1]), [1, 1], "VALID"));
        return lax.reduceWindow(found, (window) => np.max(window), [2, 2], [2, 2]);
      };
      return taskOfMany(parameters, ([filters1, filters2, weights]) => {
        const found = np.transpose(layer(layer(images.ref, filters1), filters2), [0, 2, 3, 1]);
        return nn
          .logSoftmax(np.matmul(np.reshape(found, [batch, 16 * channels[1]]), weights), -1)
          .mul(targets.ref)
          .sum()
          .mul(-1 / batch);
      });
    },

    // It has no loops as operations, so that steps are written out; jitted, a few hundred do not come to an end.
    ...(!jitted && {
      integration(at: number, steps: number): Task {
        return task(scalar(at), (start) => {
          let speed = np.zerosLike(start.ref);
          let position = start;
          for (let i = 0; i < steps; i++) {
            speed = speed.ref.sub(np.sin(position.ref).add(speed.mul(0.1)).mul(1e-3));
            position = position.add(speed.ref.mul(1e-3));
          }
          return np.square(position).add(np.square(speed));
        });
      },
    }),

    recurrent({ sizes: { batch, inputs, hidden, steps }, ...data }) {
      const rows = Array.from({ length: steps }, (_, i) =>
        np.array(data.rows.slice(i * batch * inputs, (i + 1) * batch * inputs), { shape: [batch, inputs] }),
      );
      const parameters = [
        np.array(data.weights, { shape: [inputs + hidden, 4 * hidden] }),
        np.array(data.bias),
      ];
      return taskOfMany(parameters, ([weights, bias]) => {
        let cell = np.zeros([batch, hidden]);
        let state = np.zeros([batch, hidden]);
        for (const row of rows) {
          const gates = np.matmul(np.concatenate([row.ref, state], 1), weights.ref).add(bias.ref);
          const [input, forget, candidate, output] = np.split(gates, 4, 1);
          cell = nn
            .sigmoid(forget)
            .mul(cell)
            .add(nn.sigmoid(input).mul(np.tanh(candidate)));
          state = nn.sigmoid(output).mul(np.tanh(cell.ref));
        }
        cell.dispose();
        weights.dispose();
        bias.dispose();
        return np.square(state).sum();
      });
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
    small(at, count, factor) {
      const f = (x: np.Array): np.Array => elementwiseOf(x).mul(factor);
      const x = np.array(new Float32Array(count).fill(at));
      const [, gradient] = (jit(valueAndGrad(f)) as unknown as Gradients<np.Array>)(x);
      return gradient.dataSync()[0];
    },
    trace: (at, operations, factor) =>
      makeJaxpr(scaled(operations, factor))(scalar(at)).jaxpr.jaxpr.eqns.length,
  };
}

const elementwiseOf = (x: np.Array): np.Array =>
  np
    .sin(x.ref)
    .mul(np.exp(np.square(x.ref).neg()))
    .add(np.tanh(x))
    .sum();

function chainFrom(start: np.Array, operations: number): np.Array {
  let y = start.ref;
  for (let i = 0; i < operations; i += 2) y = np.sin(y).mul(start.ref);
  start.dispose();
  return y;
}

const scalar = (x: number): np.Array => np.array(x, { dtype: np.float32 });
