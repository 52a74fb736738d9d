import {
  type Backend,
  type FloatDType,
  type Value,
  concatenate,
  conv2d,
  derivative,
  grad,
  jit,
  jsBackend,
  maxPool2d,
  scan,
  setThreads,
  split,
  stage,
  tensor,
  tidy,
  valueAndGrad,
} from "cotangent";
import type { Beginner, Participant, Task } from "./participant.ts";

interface Parameters {
  readonly weights1: Value;
  readonly bias1: Value;
  readonly weights2: Value;
  readonly bias2: Value;
}

export interface Execution {
  /** What it is called, besides Cotangent. */
  readonly as?: string;
  readonly backend?: Backend;
  /** Of backend-wasm. */
  readonly threads?: number;
  /** Whether the value and its gradient are traced once and run as a graph, rather than operation by operation. */
  readonly jitted?: boolean;
}

export function cotangent(
  dtype: FloatDType,
  { as, backend = jsBackend, threads, jitted = false }: Execution = {},
): Participant {
  const constant = (data: Float32Array, shape: readonly number[]): Value =>
    tensor(Array.from(data), { dtype, shape, backend });
  /** A function as it is run, and its value and gradient. */
  const prepared = <A>(f: (x: A) => Value) => ({
    run: jitted ? jit(f) : f,
    differentiated: jitted ? jit(valueAndGrad(f)) : valueAndGrad(f),
  });

  return {
    name: ["Cotangent", ...(jitted ? ["jitted"] : []), ...(as === undefined ? [] : [as])].join(", "),
    dtype,
    enter: async () => {
      if (threads === undefined) return;
      setThreads(threads);
      // Workers start on the side.
      if (threads > 1) await new Promise((resolve) => setTimeout(resolve, 100));
    },

    chain(at, operations) {
      const x = tensor(at, { dtype, backend });
      const f = (start: Value): Value => chainFrom(start, operations);
      const { run, differentiated } = prepared(f);
      const forward = jitted ? jit(derivative(f)) : derivative(f);
      const task = {
        value: () => run(x).item(),
        valueAndGrad() {
          const [value, gradient] = differentiated(x);
          return { value: value.item(), gradient: [[gradient.item()]] };
        },
        derivative: () => forward(x).item(),
      };
      // There, scalars are plain numbers, and nothing is to be freed.
      return backend === jsBackend ? task : tidied(task);
    },

    elementwise(elements) {
      const x = constant(elements, [elements.length]);
      const { run, differentiated } = prepared(elementwiseOf);
      return tidied({
        value: () => run(x).item(),
        valueAndGrad() {
          const [value, gradient] = differentiated(x);
          return { value: value.item(), gradient: [gradient.dataSync()] };
        },
      });
    },

    network(data) {
      const { batch, inputs, hidden, classes } = data.sizes;
      const rows = constant(data.rows, [batch, inputs]);
      const targets = constant(data.targets, [batch, classes]);
      const parameters: Parameters = {
        weights1: constant(data.weights1, [inputs, hidden]),
        bias1: constant(data.bias1, [hidden]),
        weights2: constant(data.weights2, [hidden, classes]),
        bias2: constant(data.bias2, [classes]),
      };
      const { run, differentiated } = prepared(({ weights1, bias1, weights2, bias2 }: Parameters) => {
        const logits = rows.matmul(weights1).add(bias1).tanh().matmul(weights2).add(bias2);
        return logits
          .logSoftmax()
          .mul(targets)
          .sum()
          .mul(-1 / batch);
      });
      return tidied({
        value: () => run(parameters).item(),
        valueAndGrad() {
          const [value, { weights1, bias1, weights2, bias2 }] = differentiated(parameters);
          return {
            value: value.item(),
            gradient: [weights1, bias1, weights2, bias2].map((gradient) => gradient.dataSync()),
          };
        },
      });
    },

    product(a, b, size) {
      const [x, y] = [a, b].map((data) => constant(data, [size, size]));
      const multiply = (v: Value, w: Value): Value => v.matmul(w);
      const run = jitted ? jit(multiply) : multiply;
      const read = (): ArrayLike<number> => run(x, y).dataSync();
      return tidied({
        value: () => read()[size + 1],
        valueAndGrad() {
          const found = read();
          return { value: found[size + 1], gradient: [found] };
        },
      });
    },

    convolution({ sizes: { batch, channels, classes }, ...data }) {
      const images = constant(data.images, [batch, 28, 28, 1]);
      const targets = constant(data.targets, [batch, classes]);
      const parameters = [
        constant(data.filters1, [5, 5, 1, channels[0]]),
        constant(data.filters2, [5, 5, channels[0], channels[1]]),
        constant(data.weights, [4 * 4 * channels[1], classes]),
      ];
      const { run, differentiated } = prepared(([filters1, filters2, weights]: Value[]) => {
        const first = maxPool2d(conv2d(images, filters1).relu(), 2);
        const second = maxPool2d(conv2d(first, filters2).relu(), 2);
        const logits = second.reshape([batch, -1]).matmul(weights);
        return logits
          .logSoftmax()
          .mul(targets)
          .sum()
          .mul(-1 / batch);
      });
      return tidied({
        value: () => run(parameters).item(),
        valueAndGrad() {
          const [value, gradients] = differentiated(parameters);
          return { value: value.item(), gradient: gradients.map((gradient) => gradient.dataSync()) };
        },
      });
    },

    recurrent({ sizes: { batch, inputs, hidden, steps }, ...data }) {
      const rows = constant(data.rows, [steps, batch, inputs]);
      const parameters = [
        constant(data.weights, [inputs + hidden, 4 * hidden]),
        constant(data.bias, [4 * hidden]),
      ];
      const start = constant(new Float32Array(batch * hidden), [batch, hidden]);
      const { run, differentiated } = prepared(([weights, bias]: Value[]) => {
        const [{ state }] = scan(
          (carry: { cell: Value; state: Value }, row: Value) => [lstmStep(carry, row, weights, bias), null],
          { cell: start, state: start },
          rows,
        );
        return state.square().sum();
      });
      return tidied({
        value: () => run(parameters).item(),
        valueAndGrad() {
          const [value, gradients] = differentiated(parameters);
          return { value: value.item(), gradient: gradients.map((gradient) => gradient.dataSync()) };
        },
      });
    },

    integration(at, steps) {
      const x = tensor(at, { dtype, backend });
      const { run, differentiated } = prepared((start: Value) => {
        const [{ q, v }] = scan(
          (state: { q: Value; v: Value }) => {
            const speed = state.v.sub(state.q.sin().add(state.v.mul(0.1)).mul(1e-3));
            return [{ q: state.q.add(speed.mul(1e-3)), v: speed }, null];
          },
          { q: start, v: start.zerosLike() },
          null,
          { length: steps },
        );
        return q.square().add(v.square());
      });
      return tidied({
        value: () => run(x).item(),
        valueAndGrad() {
          const [value, gradient] = differentiated(x);
          return { value: value.item(), gradient: [[gradient.item()]] };
        },
      });
    },
  };
}

/** [x, h] · weights + bias, and from it the next cell and hidden state. */
function lstmStep(
  { cell, state }: { readonly cell: Value; readonly state: Value },
  row: Value,
  weights: Value,
  bias: Value,
): { cell: Value; state: Value } {
  const gates = concatenate([row, state], 1).matmul(weights).add(bias);
  const [input, forget, candidate, output] = split(gates, 4, 1);
  const next = forget.sigmoid().mul(cell).add(input.sigmoid().mul(candidate.tanh()));
  return { cell: next, state: output.sigmoid().mul(next.tanh()) };
}

const elementwiseOf = (x: Value): Value => x.sin().mul(x.square().neg().exp()).add(x.tanh()).sum();

function chainFrom(start: Value, operations: number): Value {
  let y = start;
  for (let i = 0; i < operations; i += 2) y = y.sin().mul(start);
  return y;
}

/** Frees the tensors of each run at its end, rather than when the collector comes round to them. */
function tidied(task: Task): Task {
  return {
    value: () => tidy(() => task.value()),
    valueAndGrad: () => tidy(() => task.valueAndGrad()),
    ...(task.derivative && { derivative: () => tidy(() => task.derivative?.() ?? NaN) }),
  };
}

/** The first calls of functions that no cache has seen. */
export function cotangentBeginner(dtype: FloatDType, backend: Backend): Beginner {
  const scaled =
    (operations: number, factor: number) =>
    (x: Value): Value =>
      chainFrom(x, operations).mul(factor);
  const scalar = (x: number): Value => tensor(x, { dtype, backend });
  return {
    gradient: (at, operations, factor) => jit(grad(scaled(operations, factor)))(scalar(at)).item(),
    small(at, count, factor) {
      const f = (x: Value): Value => elementwiseOf(x).mul(factor);
      const x = tensor(new Float32Array(count).fill(at), { dtype, backend });
      const [, gradient] = jit(valueAndGrad(f))(x);
      return gradient.dataSync()[0];
    },
    trace: (at, operations, factor) => stage(scaled(operations, factor))(scalar(at)).nodes.length,
  };
}
