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

export interface Participant {
  readonly name: string;
  readonly dtype: "float32" | "float64";
  /** How far its derivatives may be from the exact ones, relative to the largest; by default what float32 allows. */
  readonly tolerance?: number;
  /** Makes it the one that computes next; not timed. */
  enter(): Promise<void>;
  /**
   * y = x, then y = sin(y) · x again and again: `operations` in all, unary and binary in turn. At x between 1 and 2
   * y settles, so float32 and float64 agree however long the chain.
   */
  chain(x: number, operations: number): Task;
  /** sum(sin(x) · exp(-x²) + tanh(x)). */
  elementwise(x: Floats): Task;
  /** The mean softmax cross-entropy of a network with a tanh layer, as a function of its four parameters. */
  network(data: NetworkData): Task;
}

/** What a library does when it meets a function for the first time. A new factor makes a function that it has not met. */
export interface Beginner {
  /** The derivative of factor times the chain, by the first call of its jitted gradient. */
  gradient(x: number, operations: number, factor: number): number;
  /** Traces factor times the chain to a graph; the number of its nodes. */
  trace(x: number, operations: number, factor: number): number;
}
