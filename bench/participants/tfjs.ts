import * as tf from "@tensorflow/tfjs";
import type { Found, Participant, Task } from "./participant.ts";

// No checks, and no advice to install another backend.
tf.enableProdMode();

/** With tfjs's own gradients. Whoever asks has imported the backend's package. */
export async function tfjs(backend: "wasm" | "cpu" | "webgl"): Promise<Participant> {
  const enter = async (): Promise<void> => {
    if (!(await tf.setBackend(backend)))
      throw new Error(`TensorFlow.js could not start its ${backend} backend.`);
  };
  await enter();

  return {
    name: `TensorFlow.js, ${backend}`,
    isPeer: true,
    dtype: "float32",
    // There it computes with the elementary functions of GLSL, of which no more is promised.
    ...(backend === "webgl" && { tolerance: 5e-4 }),
    enter,

    chain(at, operations) {
      return task(tf.scalar(at), (x) => {
        let y = x;
        for (let i = 0; i < operations; i += 2) y = y.sin().mul(x);
        return y;
      });
    },

    elementwise(elements) {
      return task(tf.tensor1d(elements), (x) => x.sin().mul(x.square().neg().exp()).add(x.tanh()).sum());
    },

    network({ sizes: { batch, inputs, hidden, classes }, ...data }) {
      const rows = tf.tensor2d(data.rows, [batch, inputs]);
      const targets = tf.tensor2d(data.targets, [batch, classes]);
      const parameters: tf.Tensor[] = [
        tf.tensor2d(data.weights1, [inputs, hidden]),
        tf.tensor1d(data.bias1),
        tf.tensor2d(data.weights2, [hidden, classes]),
        tf.tensor1d(data.bias2),
      ];
      const f = (...[weights1, bias1, weights2, bias2]: tf.Tensor[]): tf.Scalar => {
        const logits = rows.matMul(weights1).add(bias1).tanh().matMul(weights2).add(bias2);
        return logits
          .logSoftmax()
          .mul(targets)
          .sum()
          .mul(-1 / batch);
      };
      return taskOfMany(parameters, f);
    },

    product(a, b, size) {
      const [x, y] = [a, b].map((data) => tf.tensor2d(data, [size, size]));
      const read = (): ArrayLike<number> => x.matMul(y).dataSync();
      return tidied(
        () => read()[size + 1],
        () => {
          const found = read();
          return { value: found[size + 1], gradient: [found] };
        },
      );
    },

    // Its wasm backend has no kernel for the gradient of a convolution's filters, so that it has no such task.

    recurrent({ sizes: { batch, inputs, hidden, steps }, ...data }) {
      const rows = tf.unstack(tf.tensor3d(data.rows, [steps, batch, inputs]));
      const parameters: tf.Tensor[] = [
        tf.tensor2d(data.weights, [inputs + hidden, 4 * hidden]),
        tf.tensor1d(data.bias),
      ];
      return taskOfMany(parameters, (weights, bias) => {
        let cell = tf.zeros([batch, hidden]);
        let state = tf.zeros([batch, hidden]);
        for (const row of rows) {
          const gates = tf.concat([row, state], 1).matMul(weights).add(bias);
          const [input, forget, candidate, output] = tf.split(gates, 4, 1);
          cell = forget.sigmoid().mul(cell).add(input.sigmoid().mul(candidate.tanh()));
          state = output.sigmoid().mul(cell.tanh());
        }
        return state.square().sum();
      });
    },
  };
}

function taskOfMany(parameters: tf.Tensor[], f: (...parameters: tf.Tensor[]) => tf.Tensor): Task {
  const differentiated = tf.valueAndGrads((...given: tf.Tensor[]) => f(...given).asScalar());
  return tidied(
    () => f(...parameters).dataSync()[0],
    () => {
      const { value, grads } = differentiated(parameters);
      return { value: value.dataSync()[0], gradient: grads.map((gradient) => gradient.dataSync()) };
    },
  );
}

function task(x: tf.Tensor, f: (x: tf.Tensor) => tf.Tensor): Task {
  const differentiated = tf.valueAndGrad(f);
  return tidied(
    () => f(x).dataSync()[0],
    () => {
      const { value, grad } = differentiated(x);
      return { value: value.dataSync()[0], gradient: [grad.dataSync()] };
    },
  );
}

/** tf.tidy returns what is no tensor as it is, but its types do not know objects of arrays. */
function tidied(value: () => number, found: () => Found): Task {
  const free = <T>(body: () => T): T => {
    tf.engine().startScope();
    try {
      return body();
    } finally {
      tf.engine().endScope();
    }
  };
  return { value: () => free(value), valueAndGrad: () => free(found) };
}
