/** What each library has to do. All of them do the same, at the same numbers. */

/** A function's value and its gradient, read back: the elements of each argument's gradient in turn. */
export interface Found {
  readonly value: number;
  readonly gradient: readonly ArrayLike<number>[];
}

/** One function to differentiate. A call returns numbers, so it cannot return before the work is done. */
export interface Task {
  value(): number;
  valueAndGrad(): Found;
  /** The derivative in forward mode, where the function is one of a scalar. */
  derivative?(): number;
}

/** Not on shared memory: jax-js takes no such array. */
export type Floats = Float32Array<ArrayBuffer>;

/** The data of a network with one hidden layer; matrices are row-major. */
export interface NetworkData {
  readonly sizes: {
    readonly batch: number;
    readonly inputs: number;
    readonly hidden: number;
    readonly classes: number;
  };
  readonly rows: Floats;
  /** One-hot rows. */
  readonly targets: Floats;
  readonly weights1: Floats;
  readonly bias1: Floats;
  readonly weights2: Floats;
  readonly bias2: Floats;
}

/** A small network of two convolutions: 5 x 5 without padding, relu, the largest of 2 x 2, twice; then a dense layer. */
export interface ConvolutionData {
  readonly sizes: {
    readonly batch: number;
    readonly channels: readonly [number, number];
    readonly classes: number;
  };
  /** [batch, 28, 28, 1] */
  readonly images: Floats;
  /** One-hot rows. */
  readonly targets: Floats;
  /** [5, 5, 1, channels 0], [5, 5, channels 0, channels 1], [4 * 4 * channels 1, classes] */
  readonly filters1: Floats;
  readonly filters2: Floats;
  readonly weights: Floats;
}

/** A long short-term memory: gates = [x, h] · weights + bias, in the order input, forget, cell, output. */
export interface RecurrentData {
  readonly sizes: {
    readonly batch: number;
    readonly inputs: number;
    readonly hidden: number;
    readonly steps: number;
  };
  /** [steps, batch, inputs] */
  readonly rows: Floats;
  /** [inputs + hidden, 4 * hidden] */
  readonly weights: Floats;
  readonly bias: Floats;
}

/** Not everyone has every task. */
export interface Participant {
  readonly name: string;
  readonly dtype: "float32" | "float64";
  /** Whether it may fail at a work: it is then shown without figures. */
  readonly isPeer?: boolean;
  /** How far its derivatives may be from the exact ones, relative to the largest; by default what float32 allows. */
  readonly tolerance?: number;
  /** Makes it the one that computes next; not timed. */
  enter(): Promise<void>;
  /**
   * y = x, then y = sin(y) · x again and again: `operations` in all, unary and binary in turn. At x between 1 and 2
   * y settles, so float32 and float64 agree however long the chain.
   */
  chain?(x: number, operations: number): Task;
  /** sum(sin(x) · exp(-x²) + tanh(x)). */
  elementwise?(x: Floats): Task;
  /** The mean softmax cross-entropy of a network with a tanh layer, as a function of its four parameters. */
  network?(data: NetworkData): Task;
  /** The product of two square matrices, read back; there is no gradient to it, and `valueAndGrad` gives its elements. */
  product?(a: Floats, b: Floats, size: number): Task;
  /** The mean softmax cross-entropy, as a function of both filters and the weights. */
  convolution?(data: ConvolutionData): Task;
  /** The sum of the squares of the last hidden state, as a function of weights and bias. */
  recurrent?(data: RecurrentData): Task;
  /**
   * A damped pendulum, so many steps of 1/1000: v = v - (sin(q) + v / 10) / 1000, q = q + v / 1000; q² + v² at the end as
   * a function of q at the start, where v is 0.
   */
  integration?(q: number, steps: number): Task;
}

/** What a library does when it meets a function for the first time. A new factor makes a function that it has not met. */
export interface Beginner {
  /** The derivative of factor times the chain, by the first call of its jitted gradient. */
  gradient(x: number, operations: number, factor: number): number;
  /** Traces factor times the chain to a graph; the number of its nodes. */
  trace(x: number, operations: number, factor: number): number;
  /**
   * The gradient of factor times `elementwise`, for so many elements that are all x, by the first call of its jitted value and
   * gradient; its first element.
   */
  small(x: number, count: number, factor: number): number;
}
