/** How long a run takes, from what it costs: a model with three constants. */
import { type Backend, currentBackend, withBackend } from "../backend.ts";
import { pushGraph } from "../graph/differentiate.ts";
import { graphOf } from "../graph/stage.ts";
import { profile } from "../profile.ts";
import { tensor } from "../tensor.ts";
import { tidy } from "../memory.ts";
import type { Value } from "../value.ts";
import type { RunCost } from "./graph-cost.ts";

/** time = millisecondsPerEvaluation · evaluations + FLOPs / flopsPerMillisecond + bytes moved / bytesPerMillisecond. */
export interface TimeModel {
  readonly millisecondsPerEvaluation: number;
  readonly flopsPerMillisecond: number;
  readonly bytesPerMillisecond: number;
}

/** Milliseconds that a run should take. */
export function predictedTime(
  { evaluations, flops, bytesMoved }: Pick<RunCost, "evaluations" | "flops" | "bytesMoved">,
  model: TimeModel = defaultTimeModel,
): number {
  return (
    model.millisecondsPerEvaluation * evaluations +
    flops / model.flopsPerMillisecond +
    bytesMoved / model.bytesPerMillisecond
  );
}

/**
 * The JavaScript backend's, in round numbers, as measured on one core of a server under Node 24: `calibrate` finds 0.4 to
 * 1.2 microseconds per evaluation, 2 GFLOP/s and 3 to 16 GB/s.
 */
export const defaultTimeModel: TimeModel = {
  millisecondsPerEvaluation: 1e-3,
  flopsPerMillisecond: 2e6,
  bytesPerMillisecond: 1e7,
};

const smallest = 4;
const large = 1 << 14;
const chain = 16;

/**
 * Measures the three constants on a backend, in about a tenth of a second: a derivative of operations on a few elements
 * shows what one evaluation takes, with the rules around it; sums and sines of many elements, which move as many bytes but differ in FLOPs, the two rates.
 */
export function calibrate(backend: Backend = currentBackend()): TimeModel {
  return withBackend(backend, () => {
    const vector = (size: number): Value => tensor(new Array<number>(size).fill(0.5));
    const [few, many] = [vector(smallest), vector(large)];
    const repeated =
      (x: Value, f: (y: Value) => Value): (() => Value) =>
      () => {
        let y = x;
        for (let i = 0; i < chain; i++) y = f(y);
        return y;
      };
    const graph = graphOf("calibrate", (x) => repeated(x, (y) => y.sin().mul(x))(), [few.aval], backend);
    const overhead = measured(() => pushGraph(graph, [few], [few]).tangents[0] as Value);
    const adding = measured(repeated(many, (y) => y.add(many)));
    const waving = measured(repeated(many, (y) => y.sin()));
    const evaluation = overhead.time / overhead.evaluations;
    // Two equations for the time that a FLOP and the time that a byte takes.
    const [a, b] = [adding, waving].map(({ time, evaluations, flops, bytesMoved }) => ({
      time: Math.max(0, time - evaluation * evaluations),
      flops,
      bytes: bytesMoved,
    }));
    const determinant = a.flops * b.bytes - b.flops * a.bytes;
    const perFlop = (a.time * b.bytes - b.time * a.bytes) / determinant;
    const perByte = (a.flops * b.time - b.flops * a.time) / determinant;
    // A machine that is busy at the wrong moment must not make a rate infinite or negative.
    const positive = (x: number, otherwise: number): number => (x > 0 ? x : otherwise);
    return {
      millisecondsPerEvaluation: positive(evaluation, defaultTimeModel.millisecondsPerEvaluation),
      flopsPerMillisecond: 1 / positive(perFlop, b.time / b.flops),
      bytesPerMillisecond: 1 / positive(perByte, a.time / a.bytes),
    };
  });
}

interface Measured extends Pick<RunCost, "evaluations" | "flops" | "bytesMoved"> {
  /** Milliseconds: the least of several measurements. */
  readonly time: number;
}

function measured(body: () => Value): Measured {
  const { evaluations, flops, bytesMoved } = profile(() => tidy(body));
  // Work that a backend only queues is done once an element is read.
  const run = (): unknown => tidy(() => body().dataSync()[0]);
  const start = performance.now();
  while (performance.now() - start < 10) run();
  let time = Infinity;
  for (let round = 0; round < 5; round++) {
    const begin = performance.now();
    let calls = 0;
    do {
      run();
      calls++;
    } while (performance.now() - begin < 4);
    time = Math.min(time, (performance.now() - begin) / calls);
  }
  return { time, evaluations, flops, bytesMoved };
}
