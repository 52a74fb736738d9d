/** The smallest set of values to save: never more than everything, and the same derivatives to the last bit. */
import {
  type Graph,
  type Pulled,
  type SavePolicy,
  type Value,
  avalOf,
  checkpoint,
  evaluateGraph,
  fromHost,
  grad,
  graphFlops,
  hostArray,
  jsBackend,
  profile,
  pulledGraph,
  stage,
} from "cotangent";
import { FlowNetwork, isCheap } from "@cotangent/core";
import { describe, expect, test } from "vitest";
import { bitsOf, everyGraph, isSmooth, testSeed } from "./graphs.ts";

interface Bytes {
  /** Of what the forward run gives for the way back. */
  readonly made: number;
  /** Of that and of the inputs that are kept. */
  readonly held: number;
}

function savedBytes(graph: Graph, { forward, savedInputs, saved }: Pulled): Bytes {
  const sum = (avals: readonly { readonly bytes: number }[]): number =>
    avals.reduce((total, { bytes }) => total + bytes, 0);
  const made = sum(forward.outputAvals.slice(forward.outputs.length - saved));
  return { made, held: made + sum(savedInputs.map((i) => graph.inputs[i])) };
}

function derivatives(graph: Graph, pulled: Pulled, inputs: readonly Value[]): Value[] {
  const all = evaluateGraph(pulled.forward, inputs);
  const outputs = all.slice(0, graph.outputs.length);
  const residuals = [...pulled.savedInputs.map((i) => inputs[i]), ...all.slice(graph.outputs.length)];
  const seeds = outputs.filter((output) => output.aval.floating).map((output) => output.mul(0.75).add(0.5));
  return [...outputs, ...evaluateGraph(pulled.backward, [...residuals, ...seeds])];
}

/** Nodes that are never run again. */
const costly = (graph: Graph): number => graph.nodes.filter((node) => !isCheap(graph, node)).length;

test("the smallest set is never larger than all, gives the same bits and costs at most one more run", () => {
  const tally = { graphs: 0, smaller: 0 };
  for (const { name, graph, inputs } of everyGraph(testSeed, {
    derivatives: false,
    samples: 2,
    programs: 60,
    steps: 12,
  })) {
    const marks = inputs.map((input) => input.aval.floating);
    if (!marks.includes(true) || !isSmooth(graph)) continue;
    const everything = pulledGraph(graph, marks, "everything", jsBackend);
    const smallest = pulledGraph(graph, marks, "smallest", jsBackend);
    const [most, least] = [savedBytes(graph, everything), savedBytes(graph, smallest)];
    expect(least.made, name).toBeLessThanOrEqual(most.made);
    expect(least.held, name).toBeLessThanOrEqual(most.held);
    expect(graphFlops(smallest.forward), name).toBeLessThanOrEqual(graphFlops(everything.forward));
    expect(graphFlops(smallest.backward), name).toBeLessThanOrEqual(
      graphFlops(everything.backward) + graphFlops(everything.forward),
    );
    expect(costly(smallest.backward), name).toBeLessThanOrEqual(costly(everything.backward));
    expect(bitsOf(derivatives(graph, smallest, inputs)), name).toBe(
      bitsOf(derivatives(graph, everything, inputs)),
    );
    tally.graphs++;
    if (least.made < most.made) tally.smaller++;
  }
  expect(tally.graphs).toBeGreaterThan(180);
  expect(tally.smaller).toBeGreaterThan(18);
});

const numbers = (shape: readonly number[], seed: number): Value => {
  const aval = avalOf(shape, "float64");
  const host = hostArray("float64", aval.size);
  host.set(Array.from(host, (_, i) => Math.sin(1 + seed + 0.7 * i)));
  return fromHost(host, aval, jsBackend);
};

const softmax = (x: Value): Value => {
  const e = x.sub(x.max({ axis: 1, keepDims: true })).exp();
  return e.div(e.sum({ axis: 1, keepDims: true }));
};
const gelu = (x: Value): Value =>
  x.mul(0.5).mul(
    x
      .add(x.mul(x).mul(x).mul(0.044715))
      .mul(Math.sqrt(2 / Math.PI))
      .tanh()
      .add(1),
  );

describe("a network of 6 layers of 64 units on 32 rows", () => {
  interface Figures {
    readonly made: number;
    readonly peak: number;
    readonly flops: number;
  }
  // Bytes saved, peak of live bytes, FLOPs: of everything, and of the smallest set.
  const cases: Record<string, readonly [(x: Value) => Value, Figures, Figures]> = {
    tanh: [
      (x) => x.tanh(),
      { made: 180224, peak: 229376, flops: 4802560 },
      { made: 98304, peak: 229376, flops: 4925440 },
    ],
    softmax: [
      softmax,
      { made: 295424, peak: 328192, flops: 4878400 },
      { made: 102912, peak: 262912, flops: 5075008 },
    ],
    "tanh, then softmax": [
      (x) => softmax(x.tanh()),
      { made: 393728, peak: 426496, flops: 5222464 },
      { made: 102912, peak: 279296, flops: 5566528 },
    ],
    gelu: [
      gelu,
      { made: 573440, peak: 606208, flops: 5048320 },
      { made: 98304, peak: 294912, flops: 5292032 },
    ],
  };
  const x = numbers([32, 64], 0);
  const weights = Array.from({ length: 6 }, (_, i) => numbers([64, 64], i + 1));
  for (const [name, [activation, everything, smallest]] of Object.entries(cases)) {
    test(`${name}: it saves ${smallest.made} bytes in place of ${everything.made}`, () => {
      const network = (ws: readonly Value[]): Value =>
        ws.reduce((y: Value, w) => activation(y.matmul(w)), x).sum();
      const graph = stage(network)(weights);
      const marks = weights.map(() => true);
      const run = (policy: SavePolicy): { figures: Figures; bits: string } => {
        const gradient = grad(checkpoint((ws: Value[]) => network(ws), { policy }));
        const { result, peakLiveBytes: peak, flops } = profile(() => gradient(weights));
        const { made } = savedBytes(graph, pulledGraph(graph, marks, policy, jsBackend));
        return { figures: { made, peak, flops }, bits: bitsOf(result) };
      };
      const [all, least] = [run("everything"), run("smallest")];
      expect(all.figures).toEqual(everything);
      expect(least.figures).toEqual(smallest);
      expect(least.bits).toBe(all.bits);
      for (const policy of ["nothing", "products"] as const) expect(run(policy).bits).toBe(all.bits);
    });
  }
});

test("second derivatives are the same but for the order in which terms are added", () => {
  const x = numbers([3, 4], 0);
  const w = numbers([4, 4], 1);
  const second = (policy: SavePolicy): ArrayLike<number> => {
    const f = checkpoint((y: Value) => gelu(softmax(y.matmul(w))).sum(), { policy });
    return grad((y: Value) => grad(f)(y).square().sum())(x).dataSync();
  };
  const all = Array.from(second("everything"));
  const largest = Math.max(...all.map(Math.abs));
  Array.from(second("smallest")).forEach((element, i) =>
    expect(Math.abs(element - all[i])).toBeLessThan(1e-13 * largest),
  );
});

test("Dinic's flows are those of all cuts", () => {
  let state = testSeed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 300; round++) {
    const count = 2 + random(6);
    const network = new FlowNetwork();
    for (let v = 0; v < count; v++) network.vertex();
    const edges = Array.from({ length: random(3 * count) }, () => [random(count), random(count), random(9)]);
    for (const [from, to, room] of edges) network.edge(from, to, room);
    let least = Infinity;
    for (let side = 0; side < 2 ** count; side++) {
      const isBefore = (v: number): boolean => ((side >> v) & 1) === 1;
      if (!isBefore(0) || isBefore(1)) continue;
      const width = edges.reduce(
        (sum, [from, to, room]) => sum + (isBefore(from) && !isBefore(to) ? room : 0),
        0,
      );
      least = Math.min(least, width);
    }
    expect(network.saturate(0, 1), JSON.stringify(edges)).toBe(least);
  }
});
