import { type FloatDType, type Value, derivative, jsBackend, tensor, tidy, valueAndGrad } from "cotangent";
import type { Found, Participant, Task } from "./participant.ts";

interface Parameters {
  readonly weights1: Value;
  readonly bias1: Value;
  readonly weights2: Value;
  readonly bias2: Value;
}

export function cotangent(dtype: FloatDType): Participant {
  const constant = (data: Float32Array, shape: readonly number[]): Value =>
    tensor(Array.from(data), { dtype, shape, backend: jsBackend });

  return {
    name: "Cotangent",
    dtype,
    enter: () => Promise.resolve(),

    chain(at, operations) {
      const x = tensor(at, { dtype, backend: jsBackend });
      const f = (start: Value): Value => {
        let y = start;
        for (let i = 0; i < operations; i += 2) y = y.sin().mul(start);
        return y;
      };
      const differentiated = valueAndGrad(f);
      const forward = derivative(f);
      return {
        value: () => f(x).item(),
        valueAndGrad() {
          const [value, gradient] = differentiated(x);
          return { value: value.item(), gradient: [[gradient.item()]] };
        },
        derivative: () => forward(x).item(),
      };
    },

    elementwise(elements) {
      const x = constant(elements, [elements.length]);
      const f = (v: Value): Value => v.sin().mul(v.square().neg().exp()).add(v.tanh()).sum();
      const differentiated = valueAndGrad(f);
      return tidied(
        () => f(x).item(),
        () => {
          const [value, gradient] = differentiated(x);
          return { value: value.item(), gradient: [gradient.dataSync()] };
        },
      );
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
      const f = ({ weights1, bias1, weights2, bias2 }: Parameters): Value => {
        const logits = rows.matmul(weights1).add(bias1).tanh().matmul(weights2).add(bias2);
        return logits
          .logSoftmax()
          .mul(targets)
          .sum()
          .mul(-1 / batch);
      };
      const differentiated = valueAndGrad(f);
      return tidied(
        () => f(parameters).item(),
        () => {
          const [value, { weights1, bias1, weights2, bias2 }] = differentiated(parameters);
          return {
            value: value.item(),
            gradient: [weights1, bias1, weights2, bias2].map((gradient) => gradient.dataSync()),
          };
        },
      );
    },
  };
}

/** Frees the tensors of each run at its end, rather than when the collector comes round to them. */
function tidied(value: () => number, found: () => Found): Task {
  return { value: () => tidy(value), valueAndGrad: () => tidy(found) };
}
