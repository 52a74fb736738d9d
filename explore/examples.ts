/** Functions whose graphs are worth looking at, each with the point at which it is shown. */
import { type Graph, type GraphViewOptions, type Value, scan, stage, tensor } from "cotangent";

export interface Example {
  readonly title: string;
  readonly graph: () => Graph;
  readonly options: GraphViewOptions;
}

/** A number in [-1, 1] for each element: the same in every run, others for another start. */
function wavy(start: number, ...shape: number[]): Value {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float64Array.from({ length: size }, (_, i) => Math.sin(12.9898 * (start + i))),
    { shape },
  );
}

function neuron(): Example {
  const f = (w: Value, x: Value, b: Value): Value => w.mul(x).sum().add(b).sigmoid();
  const inputs = [tensor([0.5, -0.25]), tensor([2, 1]), tensor(0.1)] as const;
  return {
    title: "A single neuron: sigmoid(w · x + b)",
    graph: () => stage(f)(...inputs),
    options: { inputs, names: ["w", "x", "b"] },
  };
}

function branching(): Example {
  const f = (x: Value): Value => {
    const square = x.mul(x);
    return square.mul(x.sin()).add(square.exp());
  };
  return {
    title: "Branches: x² sin x + exp x²",
    graph: () => stage(f)(tensor(0.8)),
    options: { inputs: [0.8], names: ["x"] },
  };
}

function mlp(): Example {
  const f = (x: Value, y: Value, w1: Value, b1: Value, w2: Value, b2: Value): Value => {
    const hidden = x.matmul(w1).add(b1).tanh();
    return hidden.matmul(w2).add(b2).sub(y).square().mean();
  };
  const inputs = [
    wavy(1, 4, 3),
    wavy(20, 4, 2),
    wavy(40, 3, 5),
    wavy(60, 5),
    wavy(80, 5, 2),
    wavy(100, 2),
  ] as const;
  return {
    title: "The loss of a network with one hidden layer",
    graph: () => stage(f)(...inputs),
    options: { inputs, names: ["x", "y", "w1", "b1", "w2", "b2"] },
  };
}

function recurrence(): Example {
  const f = (w: Value, start: Value, xs: Value): Value => {
    const [, states] = scan<Value, Value, Value>(
      (state, x) => {
        const next = state.mul(w).add(x).tanh();
        return [next, next];
      },
      start,
      xs,
    );
    return states.square().sum();
  };
  const inputs = [tensor(0.9), tensor(0.5), tensor([1, -0.5, 0.25])] as const;
  return {
    title: "A loop: a recurrent cell over three rows",
    graph: () => stage(f)(...inputs),
    options: { inputs, names: ["w", "start", "xs"] },
  };
}

/** By the names of the command's option. */
export const examples: Readonly<Record<string, () => Example>> = {
  neuron,
  branching,
  mlp,
  scan: recurrence,
};
