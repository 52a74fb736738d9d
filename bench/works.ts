/** What is timed: the functions at their sizes, and the numbers they are given. */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { Floats, NetworkData, Participant, Task } from "./participants/participant.ts";

export interface Work {
  readonly id: string;
  readonly title: string;
  /** The scalar operations of a chain: its times are given per operation. */
  readonly operations?: number;
  /** Whether the peers take part; they need minutes for a chain of a million operations. */
  readonly peers: boolean;
  /** How far values in float32 may be from the one in float64, relative to it. */
  readonly valueTolerance: number;
  build(participant: Participant): Task;
}

function chain(operations: number, peers: boolean): Work {
  return {
    id: `chain-${operations}`,
    title: `chain of ${operations.toLocaleString("en")} scalar operations`,
    operations,
    peers,
    valueTolerance: 2e-5,
    build: (participant) => participant.chain(1.25, operations),
  };
}

function elementwise(count: number): Work {
  // Positive, so that float32 loses nothing to cancellation in the sum.
  const x = uniform(count, 0, 2, 1);
  return {
    id: `elementwise-${count}`,
    title: `sum(sin(x) · exp(-x²) + tanh(x)), ${count.toLocaleString("en")} elements`,
    peers: true,
    // Added up one after another in float32, as some do it, the sum loses digits with every element.
    valueTolerance: Math.max(2e-5, 2e-9 * count),
    build: (participant) => participant.elementwise(x),
  };
}

function network(id: string, batch: number, hidden: number): Work {
  const sizes = { batch, inputs: 784, hidden, classes: 10 };
  const { inputs, classes } = sizes;
  const targets = new Float32Array(batch * classes);
  for (let i = 0; i < batch; i++) targets[i * classes + (i % classes)] = 1;
  const data: NetworkData = {
    sizes,
    rows: uniform(batch * inputs, 0, 1, 2),
    targets,
    weights1: uniform(inputs * hidden, -0.1, 0.1, 3),
    bias1: uniform(hidden, -0.1, 0.1, 4),
    weights2: uniform(hidden * classes, -0.5, 0.5, 5),
    bias2: uniform(classes, -0.1, 0.1, 6),
  };
  return {
    id,
    title: `network ${inputs}-${hidden}-${classes}, batch ${batch}`,
    peers: true,
    valueTolerance: 2e-5,
    build: (participant) => participant.network(data),
  };
}

/** Uniform numbers from a seed, the same on every run. */
export function uniform(count: number, low: number, high: number, seed: number): Floats {
  const generator = xoroshiro128plus(seed);
  return Float32Array.from({ length: count }, () => low + (high - low) * uniformFloat64(generator));
}

export interface Works {
  readonly chain: Work;
  readonly longChain: Work;
  readonly tensors: readonly Work[];
  readonly large: Work;
  readonly layers: Work;
}

export function works(quick: boolean): Works {
  const counts = quick ? [10, 1000, 10_000] : [10, 1000, 1_000_000];
  return {
    chain: chain(1000, true),
    longChain: chain(quick ? 10_000 : 1_000_000, false),
    tensors: [...counts.map(elementwise), network("network", 64, 32)],
    large: elementwise(quick ? 10_000 : 1_000_000),
    layers: quick ? network("layers", 16, 32) : network("layers", 128, 256),
  };
}
