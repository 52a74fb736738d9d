/** What Jacobians cost, by either mode: the evaluations of `jacfwd` and `jacrev`, or of derivative graphs made once. */
import { type Aval, type Shape, avalOf, sameShape, sizeOf } from "../aval.ts";
import type { Backend } from "../backend.ts";
import { type Pulled, pullGraph, pulledGraph, pushedGraph } from "../graph/differentiate.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { graphOf } from "../graph/stage.ts";
import { withOutputs } from "../control/nested.ts";
import { withoutDeadCode } from "../passes/dead-code.ts";
import { optimize } from "../passes/optimize.ts";
import { batchAval, batchedGraph } from "../vmap/batch-graph.ts";
import { concatenate, reshape } from "../primitives/shape.ts";
import type { Value } from "../value.ts";
import { type DryRun, type Ghost, callers, start } from "./dry-run.ts";

/**
 * How derivatives are run: as `jvp`, `vjp`, `jacfwd` and `jacrev` run them, each pass evaluating the function and each
 * sweep its local derivatives again; or as graphs that were made once and optimised, where what does not depend on the
 * cotangents runs once for all sweeps.
 */
export type Execution = "eager" | "graph";

/** A graph to be differentiated with respect to some of its inputs. */
export interface Differentiated {
  readonly graph: Graph;
  /** For each input whether it is differentiated with respect to; those are floating. */
  readonly wanted: readonly boolean[];
  readonly backend: Backend;
  readonly execution: Execution;
}

/** Blocks of a Jacobian: of each floating output with respect to each wanted input. */
export type Blocks = readonly (readonly Ghost[])[];

export const floatingOutputs = (graph: Graph): Aval[] => graph.outputAvals.filter((aval) => aval.floating);

const prepared = (graph: Graph, execution: Execution): Graph =>
  execution === "eager" ? graph : optimize(graph);

/** What `runPushed` runs for all wanted inputs. */
export const graphOfJvp = ({ graph, wanted, backend, execution }: Differentiated): Graph =>
  prepared(pushedGraph(graph, wanted, backend).graph, execution);

/** One JVP along tangents of the marked inputs: the outputs, and the tangents of the floating ones. */
export function runPushed(
  run: DryRun,
  { graph, backend, execution }: Differentiated,
  marks: readonly boolean[],
  inputs: readonly Ghost[],
): { outputs: Ghost[]; tangents: Ghost[] } {
  const pushed = pushedGraph(graph, marks, backend);
  const moved = graph.inputs.filter((_, i) => marks[i]).map(callers);
  const found = run.graph(prepared(pushed.graph, execution), [...inputs, ...moved]);
  let next = graph.outputs.length;
  const tangents = graph.outputAvals.flatMap((aval, i) => {
    if (pushed.hasTangent[i]) return [found[next++]];
    return aval.floating ? [run.zeros(aval)] : [];
  });
  return { outputs: found.slice(0, graph.outputs.length), tangents };
}

/** A run of the function, after which it can be swept back any number of times. */
export interface Sweepable {
  readonly outputs: readonly Ghost[];
  /** The cotangents of the wanted inputs, from those of the floating outputs. */
  readonly sweep: (cotangents: readonly Ghost[]) => Ghost[];
}

export function runPulled(run: DryRun, of: Differentiated, inputs: readonly Ghost[]): Sweepable {
  const { graph, wanted, backend } = of;
  if (of.execution === "eager") {
    const { joint, before } = taped(of);
    const values = start(joint, [...inputs, ...floatingOutputs(graph).map(callers)]);
    run.nodes(joint, values, 0, before);
    return {
      outputs: graph.outputs.map((_, i) => values[joint.outputs[i]]),
      sweep: (cotangents) => {
        const swept = [...values];
        cotangents.forEach((cotangent, i) => (swept[inputs.length + i] = cotangent));
        run.nodes(joint, swept, before, joint.nodes.length);
        return joint.outputs.slice(graph.outputs.length).map((variable) => swept[variable]);
      },
    };
  }
  const { forward, backward, savedInputs }: Pulled = pulledGraph(graph, wanted, "everything", backend);
  const all = run.graph(optimize(forward), inputs);
  const residuals = [...savedInputs.map((i) => inputs[i]), ...all.slice(graph.outputs.length)];
  return {
    outputs: all.slice(0, graph.outputs.length),
    sweep: (cotangents) => run.graph(optimize(backward), [...residuals, ...cotangents]),
  };
}

/** What `runPulled` and one sweep run, as one graph of inputs and cotangents. */
export function graphOfVjp(of: Differentiated): Graph {
  const { graph, wanted, backend } = of;
  if (of.execution === "eager") return taped(of).joint;
  const { forward, backward, savedInputs } = pulledGraph(graph, wanted, "everything", backend);
  return graphOf(
    "vjp of a graph",
    (...all) => {
      const [inputs, cotangents] = [all.slice(0, graph.inputs.length), all.slice(graph.inputs.length)];
      const found = evaluateGraph(optimize(forward), inputs);
      const residuals = [...savedInputs.map((i) => inputs[i]), ...found.slice(graph.outputs.length)];
      const swept = evaluateGraph(optimize(backward), [...residuals, ...cotangents]);
      return [...found.slice(0, graph.outputs.length), ...swept];
    },
    [...graph.inputs, ...floatingOutputs(graph)],
    backend,
  );
}

interface Taped {
  /** From inputs and cotangents to outputs and cotangents, nothing left out. */
  readonly joint: Graph;
  /** How many of its nodes run before the cotangents come. */
  readonly before: number;
}

const tapes = new WeakMap<Graph, Map<string, Taped>>();

/** What a tape runs, once, and what a sweep over it runs. */
function taped({ graph, wanted, backend }: Differentiated): Taped {
  let own = tapes.get(graph);
  if (own === undefined) tapes.set(graph, (own = new Map()));
  const key = `${backend.name} ${wanted.map(Number).join("")}`;
  let found = own.get(key);
  if (found === undefined) {
    const count = graph.inputs.length;
    const record = (sweeps: boolean): Graph =>
      graphOf(
        "vjp of a graph",
        (...all) => {
          const inputs = all.slice(0, count);
          const { outputs, pull } = pullGraph(graph, inputs, wanted);
          if (!sweeps) return [...outputs];
          let next = count;
          const cotangents = pull(outputs.map((output) => (output.aval.floating ? all[next++] : null)));
          const zero = (i: number): Value => inputs[i].zerosLike();
          return [...outputs, ...wanted.flatMap((mark, i) => (mark ? [cotangents[i] ?? zero(i)] : []))];
        },
        [...graph.inputs, ...floatingOutputs(graph)],
        backend,
      );
    own.set(key, (found = { joint: record(true), before: record(false).nodes.length }));
  }
  return found;
}

/** The Jacobian by one JVP per element of the wanted inputs, as `jacfwd` puts it together. */
export function jacobianForward(run: DryRun, of: Differentiated, inputs: readonly Ghost[]): Blocks {
  const { graph, wanted } = of;
  const positions = wanted.flatMap((mark, i) => (mark ? [i] : []));
  const columns = positions.map((position) => {
    const marks = wanted.map((_, i) => i === position);
    const { rows } = run.repeat(graph.inputs[position].size, [], () => ({
      carry: [],
      rows: runPushed(run, of, marks, inputs).tangents,
    }));
    return rows;
  });
  return floatingOutputs(graph).map((output, o) =>
    positions.map((position, i) => {
      const own = columns[i].map((column) => column[o]);
      return assemble(run, own, output, graph.inputs[position].shape, output.rank);
    }),
  );
}

/** The Jacobian by one run and one sweep per element of the floating outputs, as `jacrev` puts it together. */
export function jacobianReverse(run: DryRun, of: Differentiated, inputs: readonly Ghost[]): Blocks {
  const { graph, wanted } = of;
  const { sweep } = runPulled(run, of, inputs);
  const outputs = floatingOutputs(graph);
  const moved = graph.inputs.filter((_, i) => wanted[i]);
  return outputs.map((output, o) => {
    const { rows } = run.repeat(output.size, [], () => ({
      carry: [],
      rows: sweep(outputs.map((aval, i) => (i === o ? callers(aval) : run.zeros(aval)))),
    }));
    return moved.map((input, i) =>
      assemble(
        run,
        rows.map((row) => row[i]),
        input,
        output.shape,
        0,
      ),
    );
  });
}

/** Directions in batches of so many at most: how many each batch has. */
function batches(count: number, size: number): number[] {
  const found: number[] = [];
  for (let left = count; left > 0; left -= size) found.push(Math.min(left, size));
  return found;
}

/** The Jacobian by JVPs of many directions at once, as `vmap` runs them; what the batches give is not joined. */
export function jacobianForwardBatched(
  run: DryRun,
  { graph, wanted, backend }: Differentiated,
  inputs: readonly Ghost[],
  size: number,
): Ghost[] {
  return wanted.flatMap((mark, position) => {
    if (!mark) return [];
    const { graph: pushed } = pushedGraph(
      graph,
      wanted.map((_, i) => i === position),
      backend,
    );
    const tangents = withoutDeadCode(
      withOutputs(optimize(pushed), optimize(pushed).outputs.slice(graph.outputs.length)),
    );
    return batches(graph.inputs[position].size, size).flatMap((count) => {
      const marks = tangents.inputs.map((_, i) => i >= inputs.length);
      const batched = batchedGraph(tangents, count, marks, backend, "all");
      return run.graph(optimize(batched.graph), [
        ...inputs,
        callers(batchAval(graph.inputs[position], count)),
      ]);
    });
  });
}

/** The Jacobian by one run, and sweeps back of many cotangents at once; what the batches give is not joined. */
export function jacobianReverseBatched(
  run: DryRun,
  { graph, wanted, backend }: Differentiated,
  inputs: readonly Ghost[],
  size: number,
): Ghost[] {
  const { forward, backward, savedInputs } = pulledGraph(graph, wanted, "everything", backend);
  const all = run.graph(optimize(forward), inputs);
  const residuals = [...savedInputs.map((i) => inputs[i]), ...all.slice(graph.outputs.length)];
  const outputs = floatingOutputs(graph);
  return outputs.flatMap((output, o) =>
    batches(output.size, size).flatMap((count) => {
      const marks = backward.inputs.map((_, i) => i === residuals.length + o);
      const batched = batchedGraph(optimize(backward), count, marks, backend, "all");
      const cotangents = outputs.map((aval, i) =>
        i === o ? callers(batchAval(aval, count)) : run.zeros(aval),
      );
      return run.graph(optimize(batched.graph), [...residuals, ...cotangents]);
    }),
  );
}

/** Parts stacked along a new axis, before the axes of one part or after them, which becomes axes of that shape. */
function assemble(run: DryRun, parts: readonly Ghost[], one: Aval, shape: Shape, axis: number): Ghost {
  const split = (axes: Shape): Shape => (axis === 0 ? [...axes, ...one.shape] : [...one.shape, ...axes]);
  // Rank 0 has nothing before it or after it.
  const whole = avalOf(one.rank === 0 ? [...shape] : split(shape), one.dtype);
  if (parts.length === 0) return run.zeros(whole);
  const each = avalOf(split([1]), one.dtype);
  const stacked = avalOf(split([parts.length]), one.dtype);
  const expanded = parts.map((part) => reshaped(run, part, each.shape));
  const joined = run.bind(concatenate.primitive, expanded, [stacked], { axis })[0];
  return reshaped(run, joined, whole.shape);
}

/** A value under another shape. */
export function reshaped(run: DryRun, ghost: Ghost, shape: Shape): Ghost {
  if (sameShape(ghost.aval.shape, shape)) return ghost;
  return run.bind(reshape.primitive, [ghost], [avalOf(shape, ghost.aval.dtype)], { shape })[0];
}

export const sizeOfAll = (avals: readonly Aval[]): number =>
  avals.reduce((total, { shape }) => total + sizeOf(shape), 0);
