import {
  type Backend,
  type FloatDType,
  type Value,
  derivative,
  grad,
  jit,
  jsBackend,
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
  readonly backend?: Backend;
  /** Whether the value and its gradient are traced once and run as a graph, rather than operation by operation. */
  readonly jitted?: boolean;
}

export function cotangent(
  dtype: FloatDType,
  { backend = jsBackend, jitted = false }: Execution = {},
): Participant {
  const constant = (data: Float32Array, shape: readonly number[]): Value =>
    tensor(Array.from(data), { dtype, shape, backend });
  /** A function as it is run, and its value and gradient. */
  const prepared = <A>(f: (x: A) => Value) => ({
    run: jitted ? jit(f) : f,
    differentiated: jitted ? jit(valueAndGrad(f)) : valueAndGrad(f),
  });

  return {
    name: jitted ? "Cotangent, jitted" : "Cotangent",
    dtype,
    enter: () => Promise.resolve(),

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
      const { run, differentiated } = prepared((v: Value) =>
        v.sin().mul(v.square().neg().exp()).add(v.tanh()).sum(),
      );
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
  };
}

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
export function cotangentBeginner(dtype: FloatDType): Beginner {
  const scaled =
    (operations: number, factor: number) =>
    (x: Value): Value =>
      chainFrom(x, operations).mul(factor);
  const scalar = (x: number): Value => tensor(x, { dtype, backend: jsBackend });
  return {
    gradient: (at, operations, factor) => jit(grad(scaled(operations, factor)))(scalar(at)).item(),
    trace: (at, operations, factor) => stage(scaled(operations, factor))(scalar(at)).nodes.length,
  };
}
