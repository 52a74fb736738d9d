/** Trains a classifier of handwritten digits with `valueAndGrad`. */
import { type Value, oneHot, tensor, tidy, valueAndGrad } from "cotangent";
import { type Digits, classes, pick } from "./data/digits.ts";
import { shuffled, uniform } from "./random.ts";

const hidden = 32;

export interface TrainingOptions {
  readonly epochs: number;
  readonly batch: number;
  /** At the first step; it falls to zero on a straight line. */
  readonly learningRate: number;
  readonly momentum: number;
}

export interface Epoch {
  readonly epoch: number;
  /** The mean loss over the epoch's batches, each before its own step. */
  readonly loss: number;
  /** The share of held-out digits that the classifier names rightly after the epoch. */
  readonly testAccuracy: number;
}

export interface Training {
  readonly layers: readonly number[];
  readonly options: TrainingOptions;
  readonly trainingDigits: number;
  readonly testDigits: number;
  readonly parameters: number;
  /** The loss of each batch, in order. */
  readonly batchLosses: readonly number[];
  readonly epochs: readonly Epoch[];
  readonly seconds: number;
}

/** A network with one hidden layer. */
interface Parameters {
  w1: Value;
  b1: Value;
  w2: Value;
  b2: Value;
}

/** The scores of the classes for each row of pixels. */
function network({ w1, b1, w2, b2 }: Parameters, rows: Value): Value {
  return rows.matmul(w1).add(b1).relu().matmul(w2).add(b2);
}

/** The mean cross-entropy. */
function loss(parameters: Parameters, rows: Value, labels: Value): Value {
  return network(parameters, rows).logSoftmax().mul(oneHot(labels, classes)).sum({ axis: 1 }).mean().neg();
}

function accuracy(parameters: Parameters, rows: Value, labels: Value): number {
  return tidy(() => network(parameters, rows).argmax(1).eq(labels).astype("float64").mean().item());
}

/** Weights that keep the scale of what passes through them (He and others, 2015); biases start at zero. */
function initialParameters(inputs: number): Parameters {
  const weights = (rows: number, columns: number, seed: number): Value =>
    tensor(Array.from(uniform(rows * columns, Math.sqrt(6 / rows), seed)), { shape: [rows, columns] });
  return {
    w1: weights(inputs, hidden, 7),
    b1: tensor(new Float64Array(hidden)),
    w2: weights(hidden, classes, 8),
    b2: tensor(new Float64Array(classes)),
  };
}

const names = ["w1", "b1", "w2", "b2"] as const;

/** `f` of each parameter by its name. */
function perParameter(f: (name: (typeof names)[number]) => Value): Parameters {
  return { w1: f("w1"), b1: f("b1"), w2: f("w2"), b2: f("b2") };
}

function asTensors(digits: Digits): { rows: Value; labels: Value } {
  return {
    rows: tensor(Float64Array.from(digits.pixels), { shape: [digits.labels.length, digits.width ** 2] }),
    labels: tensor(digits.labels),
  };
}

/** Stochastic gradient descent with momentum over minibatches; judged on digits that it never trains on. */
export async function train(
  training: Digits,
  test: Digits,
  options: TrainingOptions,
  progress: (done: number, latest: Epoch | undefined) => Promise<void>,
): Promise<Training> {
  const start = performance.now();
  const { epochs, batch, learningRate, momentum } = options;
  const inputs = training.width ** 2;
  const gradient = valueAndGrad(loss);
  const heldOut = asTensors(test);
  const batches = Math.floor(training.labels.length / batch);
  const batchLosses: number[] = [];
  const history: Epoch[] = [];

  let parameters = initialParameters(inputs);
  let velocity = perParameter((name) => parameters[name].zerosLike());
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const order = shuffled(training.labels.length, 100 + epoch);
    for (let b = 0; b < batches; b++) {
      const done = ((epoch - 1) * batches + b) / (epochs * batches);
      const rate = learningRate * (1 - done);
      const before = [parameters, velocity];
      [parameters, velocity] = tidy(() => {
        const { rows, labels } = asTensors(pick(training, order.subarray(b * batch, (b + 1) * batch)));
        const [value, slope] = gradient(parameters, rows, labels);
        batchLosses.push(value.item());
        const next = perParameter((name) => velocity[name].mul(momentum).sub(slope[name].mul(rate)));
        return [perParameter((name) => parameters[name].add(next[name])), next];
      });
      for (const old of before) for (const name of names) old[name].concrete().dispose();
      // oxlint-disable-next-line no-await-in-loop -- lets the screen be drawn
      await progress(done, history.at(-1));
    }
    const recent = batchLosses.slice(-batches);
    history.push({
      epoch,
      loss: recent.reduce((a, b) => a + b, 0) / batches,
      testAccuracy: accuracy(parameters, heldOut.rows, heldOut.labels),
    });
  }
  return {
    layers: [inputs, hidden, classes],
    options,
    trainingDigits: training.labels.length,
    testDigits: test.labels.length,
    parameters: names.reduce((total, name) => total + parameters[name].size, 0),
    batchLosses,
    epochs: history,
    seconds: (performance.now() - start) / 1000,
  };
}
