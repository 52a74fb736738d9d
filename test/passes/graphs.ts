/** Graphs for the tests of passes: every primitive and random programs, and their derivatives. */
import {
  type Backend,
  type FloatDType,
  type Graph,
  type GraphNode,
  type Primitive,
  type Value,
  avalOf,
  evaluateGraph,
  fromHost,
  graphOf,
  hostArray,
  jsBackend,
  nestedGraphs,
  primitives,
  pullGraph,
  pulledGraph,
  pushedGraph,
} from "cotangent";
import { RecordedDraw, type Subject, drawCall, drawProgram, subjectOf } from "@cotangent/verify";
import { gen, sample } from "fast-check";

/** A graph, and inputs to run it on. */
export interface GraphCase {
  /** What it is of, and the seed by which it is made again. */
  readonly name: string;
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  /** The graph of the function itself, of its JVP, its VJP in one, or either half of its VJP. */
  readonly kind: "value" | "jvp" | "joint" | "forward" | "backward";
}

export interface GraphCaseOptions {
  /** Calls of each primitive. */
  readonly samples?: number;
  readonly programs?: number;
  /** Steps of a program. */
  readonly steps?: number;
  /** Of everything, or of values alone. */
  readonly derivatives?: boolean;
}

/** The seed of this run: COTANGENT_SEED, or always the same. */
export const testSeed = Number(process.env["COTANGENT_SEED"] ?? 20261);

const backend: Backend = jsBackend;

/**
 * Graphs of calls of every primitive and of random programs, and of their derivatives, each with inputs; the same for
 * the same seed.
 */
export function* everyGraph(seed: number, options: GraphCaseOptions = {}): Generator<GraphCase> {
  const { samples = 2, programs = 10, steps = 8, derivatives = true } = options;
  for (const primitive of primitives().values()) {
    for (const [i, draw] of draws(seed, samples).entries()) {
      // The second call of each is in float32: there, floats have the size of integers.
      const dtype: FloatDType = i % 2 === 1 ? "float32" : "float64";
      const made = staged(subjectOf(drawCall(draw, primitive, dtype)));
      yield* around(`${primitive.name}, sample ${i} of seed ${seed}`, made, derivatives);
    }
  }
  for (const [i, draw] of draws(seed, programs).entries()) {
    const made = staged(drawProgram(draw, backend, steps));
    yield* around(`program ${i} of seed ${seed}`, made, derivatives);
  }
}

function draws(seed: number, count: number): RecordedDraw[] {
  return sample(gen(), { seed, numRuns: count }).map((generate) => new RecordedDraw(generate, 4));
}

interface Staged {
  readonly graph: Graph;
  readonly inputs: readonly Value[];
}

/** A subject as a graph of its inputs and constants. */
export function staged(subject: Subject): Staged {
  const point = subject.point.map(uploaded);
  const inputs = [...point, ...subject.constants.map(uploaded)];
  const graph = graphOf(
    "test",
    (...all) => subject.apply(all.slice(0, point.length), all.slice(point.length)),
    inputs.map((input) => input.aval),
    backend,
  );
  return { graph, inputs };
}

function uploaded({ shape, dtype, data }: Subject["point"][number]): Value {
  const host = hostArray(dtype, data.length);
  host.set(data);
  return fromHost(host, avalOf(shape, dtype), backend);
}

function* around(name: string, { graph, inputs }: Staged, derivatives: boolean): Generator<GraphCase> {
  yield { name, graph, inputs, kind: "value" };
  const marks = inputs.map((input) => input.aval.floating);
  if (!derivatives || !marks.includes(true) || !isSmooth(graph)) return;
  const moved = inputs.filter((_, i) => marks[i]);
  yield {
    name: `the JVP of ${name}`,
    graph: pushedGraph(graph, marks, backend).graph,
    inputs: [...inputs, ...moved],
    kind: "jvp",
  };
  const outputs = evaluateGraph(graph, inputs);
  const seeds = outputs.filter((output) => output.aval.floating);
  yield {
    name: `the joint graph of ${name}`,
    graph: jointGraph(graph, marks),
    inputs: [...inputs, ...seeds],
    kind: "joint",
  };
  const { forward, backward, savedInputs } = pulledGraph(graph, marks, "everything", backend);
  yield { name: `the way forward of ${name}`, graph: forward, inputs, kind: "forward" };
  const residuals = evaluateGraph(forward, inputs).slice(outputs.length);
  yield {
    name: `the way back of ${name}`,
    graph: backward,
    inputs: [...savedInputs.map((i) => inputs[i]), ...residuals, ...seeds],
    kind: "backward",
  };
}

/** From inputs and cotangents of the floating outputs to the outputs and the cotangents of the marked inputs. */
export function jointGraph(graph: Graph, marks: readonly boolean[]): Graph {
  const floating = graph.outputAvals.filter((aval) => aval.floating);
  return graphOf(
    "test",
    (...all) => {
      const inputs = all.slice(0, graph.inputs.length);
      let next = graph.inputs.length;
      const { outputs, pull } = pullGraph(graph, inputs, marks);
      const found = pull(outputs.map((output) => (output.aval.floating ? all[next++] : null)));
      return [...outputs, ...found.filter((cotangent) => cotangent !== null)];
    },
    [...graph.inputs, ...floating],
    backend,
  );
}

/** Whether a graph has derivatives in both modes. */
export function isSmooth(graph: Graph): boolean {
  return graph.nodes.every(
    ({ primitive, params }: GraphNode) =>
      hasDerivatives(primitive) && nestedGraphs(params).every((nested) => isSmooth(nested)),
  );
}

const hasDerivatives = ({ rules }: Primitive): boolean =>
  rules.form !== "nonDifferentiable" &&
  (rules.form !== "written" || Object.values(rules.vjp).every((rule) => typeof rule === "function"));

/** The bits of values, so that NaN is like NaN, and -0 unlike 0. */
export function bitsOf(values: readonly Value[]): string {
  return values
    .map((value) => {
      const data = value.dataSync();
      const host = hostArray(value.dtype, data.length);
      host.set(data);
      const bytes = new Uint8Array(host.buffer, host.byteOffset, host.byteLength);
      return `${value.aval} ${Buffer.from(bytes).toString("hex")}`;
    })
    .join("\n");
}
