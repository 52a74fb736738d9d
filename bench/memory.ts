/** Memory of reverse mode, plain and with checkpoints, and what is computed again for it. */
import {
  type Backend,
  JsBackend,
  type LoopCheckpoint,
  type ScheduleReport,
  type Value,
  checkpoint,
  grad,
  graphCost,
  jit,
  leastAdvances,
  observeSchedules,
  optimize,
  profile,
  scan,
  slotsOf,
  tensor,
  tidy,
  withBackend,
} from "cotangent";
import { type Agreement, type Spread, relativeError, spread } from "./measure.ts";
import { uniform } from "./works.ts";

/** A count next to what theory allows. */
export interface Judged {
  readonly count: number;
  readonly most: number;
}

export interface MemoryUse {
  readonly work: string;
  readonly title: string;
  readonly way: string;
  /** Its gradient next to that of plain reverse mode. */
  readonly agreement: Agreement;
  /** The most bytes of computed tensors alive at once, counted by `profile`. */
  readonly peakLiveBytes: number;
  /** The same, told by `graphCost` before anything runs. */
  readonly foretoldBytes: number;
  /** What the backend held at most, beyond what it held before. */
  readonly heldBytes: number;
  /** The states that were kept at once; none where that is not what is kept. */
  readonly kept: Judged | null;
  /** What was computed again: steps of a loop, or operations of a network. */
  readonly again: Judged | null;
  /** Times of the rounds. */
  readonly time: Spread;
}

export interface MemoryPatience {
  readonly steps: number;
  readonly layers: number;
  readonly rounds: number;
}

export const fullMemory: MemoryPatience = { steps: 10_000, layers: 64, rounds: 9 };
export const quickMemory: MemoryPatience = { steps: 400, layers: 16, rounds: 3 };

/** In float64 the ways differ by the order of their sums, if at all. */
const tolerance = 1e-12;

interface Way {
  readonly name: string;
  readonly f: (parameters: Value[]) => Value;
  readonly kept?: number;
  readonly again?: number;
}

/** Remembers the most that it held. */
class WatchedBackend extends JsBackend {
  most = 0;

  override adopt(...adopted: Parameters<Backend["adopt"]>): ReturnType<Backend["adopt"]> {
    const token = super.adopt(...adopted);
    this.most = Math.max(this.most, this.memory().bytes);
    return token;
  }
}

export function measureMemory(patience: MemoryPatience, tell: (message: string) => void): MemoryUse[] {
  const backend = new WatchedBackend();
  return withBackend(backend, () => [...loop(patience, backend, tell), ...network(patience, backend, tell)]);
}

/** A recurrence, whose states are vectors. */
function loop({ steps, rounds }: MemoryPatience, backend: WatchedBackend, tell: Tell): MemoryUse[] {
  const size = 100;
  const parameters = [numbers([size], -1, 1, 1), numbers([size], 1, 2, 2)];
  const along =
    (options: { checkpoint?: LoopCheckpoint }) =>
    ([start, weights]: Value[]): Value => {
      const step = (state: Value): [Value, null] => [state.mul(weights).tanh(), null];
      return scan(step, start, null, { length: steps, ...options })[0]
        .square()
        .sum();
    };
  // Segments of this length: their first states are kept, and within one of them the states of its steps.
  const segments = Math.ceil(steps / Math.ceil(steps / Math.ceil(Math.sqrt(steps))));
  const slots = slotsOf("log", steps) ?? 0;
  const ways: Way[] = [
    { name: "plain", f: along({}) },
    { name: 'checkpoint: "all"', f: along({ checkpoint: "all" }), kept: steps, again: steps - 1 },
    {
      name: 'checkpoint: "sqrt"',
      f: along({ checkpoint: "sqrt" }),
      kept: 2 * segments,
      again: 2 * steps,
    },
    {
      name: 'checkpoint: "log"',
      f: along({ checkpoint: "log" }),
      kept: slots,
      again: leastAdvances(steps, slots),
    },
  ];
  const title = `scan of ${steps.toLocaleString("en")} steps, states of ${size} elements: states kept, steps run again`;
  return compare({ work: "scan", title, rounds }, ways, parameters, backend, tell);
}

/** A network, cut into blocks of layers. */
function network({ layers, rounds }: MemoryPatience, backend: WatchedBackend, tell: Tell): MemoryUse[] {
  const [batch, width] = [512, 16];
  const rows = numbers([batch, width], -1, 1, 1);
  // Weights and biases in turn.
  const parameters = Array.from({ length: 2 * layers }, (_, i) =>
    numbers(i % 2 === 0 ? [width, width] : [width], -0.4, 0.4, i + 2),
  );
  const run = (x: Value, given: Value[]): Value => {
    let y = x;
    for (let i = 0; i < given.length; i += 2)
      y = y
        .matmul(given[i])
        .add(given[i + 1])
        .tanh();
    return y;
  };
  const checkpointed = checkpoint(run);
  const inBlocks =
    (size: number) =>
    (given: Value[]): Value => {
      let y: Value = rows;
      for (let i = 0; i < given.length; i += 2 * size) y = checkpointed(y, given.slice(i, i + 2 * size));
      return y.square().sum();
    };
  // Each block's three operations a layer, but for its last operation, whose result nobody needs again.
  const again = (size: number): number => 3 * layers - layers / size;
  const block = Math.sqrt(layers);
  const ways: Way[] = [
    { name: "plain", f: (given) => run(rows, given).square().sum() },
    { name: `checkpoint(block), ${block} layers each`, f: inBlocks(block), again: again(block) },
    { name: "checkpoint(block), 1 layer each", f: inBlocks(1), again: again(1) },
  ];
  const title = `network of ${layers} layers of ${width} units, batch ${batch}: operations run again`;
  return compare({ work: "network", title, rounds }, ways, parameters, backend, tell);
}

function numbers(shape: number[], low: number, high: number, seed: number): Value {
  const size = shape.reduce((product, n) => product * n, 1);
  return tensor(Array.from(uniform(size, low, high, seed)), { dtype: "float64", shape });
}

type Tell = (message: string) => void;

interface About {
  readonly work: string;
  readonly title: string;
  readonly rounds: number;
}

/** The ways next to the first, which is plain reverse mode. All are jitted: a graph frees each value at its last use. */
function compare(
  { work, title, rounds }: About,
  ways: readonly Way[],
  parameters: Value[],
  backend: WatchedBackend,
  tell: Tell,
): MemoryUse[] {
  const measured = ways.map((way) => {
    tell(`memory: ${title}, ${way.name} ...`);
    return { way, ...measure(way, parameters, backend) };
  });
  const times: number[][] = ways.map(() => []);
  for (let round = 0; round < rounds; round++) {
    measured.forEach(({ run }, i) => {
      const start = performance.now();
      run();
      times[i].push(performance.now() - start);
    });
  }
  const [plain] = measured;
  return measured.map((found, i): MemoryUse => {
    const { name, kept, again } = found.way;
    const gradientError = relativeError(found.gradient, plain.gradient);
    // A loop tells how many steps it ran again; otherwise what was evaluated beyond plain reverse mode was.
    const ranAgain = kept === undefined ? found.evaluations - plain.evaluations : found.advances;
    return {
      work,
      title,
      way: name,
      agreement: { valueError: 0, gradientError, agrees: gradientError <= tolerance },
      peakLiveBytes: found.peakLiveBytes,
      foretoldBytes: found.foretoldBytes,
      heldBytes: found.heldBytes,
      kept: kept === undefined ? null : { count: found.slots, most: kept },
      again: again === undefined ? null : { count: ranAgain, most: again },
      time: spread(times[i]),
    };
  });
}

function measure({ f }: Way, parameters: Value[], backend: WatchedBackend) {
  const differentiated = jit((given: Value[]) => grad(f)(given));
  const run = (): ArrayLike<number>[] =>
    tidy(() => differentiated(parameters).map((gradient) => gradient.dataSync()));

  const foretold = graphCost(optimize(differentiated.graph(parameters)), { backend });
  const schedules: ScheduleReport[] = [];
  const { evaluations, peakLiveBytes } = tidy(() =>
    observeSchedules(
      (report) => schedules.push(report),
      () => profile(() => differentiated(parameters)),
    ),
  );
  const before = backend.memory().bytes;
  backend.most = before;
  const gradient = run();
  return {
    run,
    gradient,
    evaluations,
    peakLiveBytes,
    foretoldBytes: foretold.peakLiveBytes,
    heldBytes: backend.most - before,
    slots: Math.max(0, ...schedules.map(({ slots }) => slots)),
    advances: schedules.reduce((sum, { advances }) => sum + advances, 0),
  };
}
