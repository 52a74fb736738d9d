/** What is timed: the functions at their sizes, and the numbers they are given. */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { Mode } from "./measure.ts";
import type {
  ConvolutionData,
  Floats,
  NetworkData,
  Participant,
  RecurrentData,
  Task,
} from "./participants/participant.ts";

/** What a value costs at least, and a value with its gradient. */
export interface Demands {
  readonly of: "flops" | "bytes";
  readonly value: number;
  readonly valueAndGrad: number;
}

export interface Work {
  readonly id: string;
  readonly title: string;
  /** The scalar operations of a chain: its times are given per operation. */
  readonly operations?: number;
  /** What the machine's limits allow at most: multiplications and additions of numbers, or bytes read and written once. */
  readonly demands?: Demands;
  /** Whether the peers take part; they need minutes for a chain of a million operations. */
  readonly peers: boolean;
  /** How far values in float32 may be from the one in float64, relative to it. */
  readonly valueTolerance: number;
  /** And derivatives, where that is not what the participant promises. */
  readonly gradientTolerance?: number;
  /** What is timed; by default all that there is. */
  readonly modes?: readonly Mode[];
  /** Undefined where the participant has no such task. */
  build(participant: Participant): Task | undefined;
}

function chain(operations: number, peers: boolean): Work {
  return {
    id: `chain-${operations}`,
    title: `chain of ${operations.toLocaleString("en")} scalar operations`,
    operations,
    peers,
    valueTolerance: 2e-5,
    build: (participant) => participant.chain?.(1.25, operations),
  };
}

function elementwise(count: number): Work {
  // Positive, so that float32 loses nothing to cancellation in the sum.
  const x = uniform(count, 0, 2, 1);
  return {
    id: `elementwise-${count}`,
    title: `sum(sin(x) · exp(-x²) + tanh(x)), ${count.toLocaleString("en")} elements`,
    peers: true,
    demands: { of: "bytes", value: 4 * count, valueAndGrad: 8 * count },
    // Added up one after another in float32, as some do it, the sum loses digits with every element.
    valueTolerance: Math.max(2e-5, 2e-9 * count),
    build: (participant) => participant.elementwise?.(x),
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
    // Back, the first product is needed for its weights alone, the second for both of its operands.
    demands: {
      of: "flops",
      value: 2 * batch * hidden * (inputs + classes),
      valueAndGrad: 2 * batch * hidden * (2 * inputs + 3 * classes),
    },
    valueTolerance: 2e-5,
    build: (participant) => participant.network?.(data),
  };
}

function product(size: number): Work {
  const [a, b] = [6, 7].map((seed) => uniform(size * size, -1, 1, seed));
  return {
    id: `product-${size}`,
    title: `product of ${size} × ${size} matrices`,
    peers: true,
    demands: { of: "flops", value: 2 * size ** 3, valueAndGrad: 2 * size ** 3 },
    valueTolerance: 2e-5,
    modes: ["value"],
    build: (participant) => participant.product?.(a, b, size),
  };
}

function convolution(batch: number): Work {
  const sizes = { batch, channels: [8, 16] as const, classes: 10 };
  const targets = new Float32Array(batch * 10);
  for (let i = 0; i < batch; i++) targets[i * 10 + (i % 10)] = 1;
  const [first, second, dense] = [
    2 * batch * 24 * 24 * 25 * 8,
    2 * batch * 8 * 8 * 25 * 8 * 16,
    2 * batch * 4 * 4 * 16 * 10,
  ];
  const data: ConvolutionData = {
    sizes,
    images: uniform(batch * 28 * 28, 0, 1, 8),
    targets,
    filters1: uniform(5 * 5 * 8, -0.2, 0.2, 9),
    filters2: uniform(5 * 5 * 8 * 16, -0.1, 0.1, 10),
    weights: uniform(4 * 4 * 16 * 10, -0.1, 0.1, 11),
  };
  return {
    id: "convolution",
    title: `two convolutions (8, 16 channels) and a dense layer, ${batch} images of 28 × 28`,
    peers: true,
    demands: { of: "flops", value: first + second + dense, valueAndGrad: 2 * first + 3 * (second + dense) },
    valueTolerance: 2e-5,
    // Where two elements under a window differ by rounding alone, the largest is another one in float32.
    gradientTolerance: 1e-3,
    build: (participant) => participant.convolution?.(data),
  };
}

function recurrent(steps: number): Work {
  const sizes = { batch: 16, inputs: 32, hidden: 64, steps };
  const { batch, inputs, hidden } = sizes;
  const flops = 2 * steps * batch * (inputs + hidden) * 4 * hidden;
  const data: RecurrentData = {
    sizes,
    rows: uniform(steps * batch * inputs, -1, 1, 12),
    weights: uniform((inputs + hidden) * 4 * hidden, -0.1, 0.1, 13),
    bias: uniform(4 * hidden, -0.1, 0.1, 14),
  };
  return {
    id: `recurrent-${steps}`,
    title: `LSTM of 64, batch 16, ${steps} steps`,
    peers: true,
    demands: { of: "flops", value: flops, valueAndGrad: 3 * flops },
    valueTolerance: 2e-4,
    gradientTolerance: 2e-4,
    build: (participant) => participant.recurrent?.(data),
  };
}

function integration(steps: number): Work {
  return {
    id: `integration-${steps}`,
    title: `pendulum, ${steps.toLocaleString("en")} steps`,
    peers: true,
    // Every step rounds.
    valueTolerance: 1e-3,
    gradientTolerance: 1e-3,
    build: (participant) => participant.integration?.(1.25, steps),
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
  /** Of part (h); the loop is one of them. */
  readonly compiled: readonly Work[];
  readonly shortLoop: Work;
}

export function works(quick: boolean): Works {
  const counts = quick ? [10, 1000, 10_000] : [10, 1000, 1_000_000];
  const large = elementwise(quick ? 10_000 : 1_000_000);
  const layers = quick ? network("layers", 16, 32) : network("layers", 128, 256);
  const shortLoop = integration(quick ? 10 : 250);
  return {
    chain: chain(1000, true),
    longChain: chain(quick ? 10_000 : 1_000_000, false),
    tensors: [...counts.map(elementwise), network("network", 64, 32)],
    large,
    layers,
    shortLoop,
    compiled: [
      large,
      ...(quick ? [64] : [512, 1024]).map(product),
      layers,
      convolution(quick ? 4 : 32),
      chain(1000, true),
      shortLoop,
      integration(quick ? 100 : 10_000),
      recurrent(quick ? 5 : 100),
    ],
  };
}
