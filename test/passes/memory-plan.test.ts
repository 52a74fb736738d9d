/** The memory plan: no two values in one place at once, and a machine that follows it computes the same. */
import {
  type DType,
  type Graph,
  type Tensor,
  type Value,
  add,
  avalOf,
  bind,
  bindMultiple,
  checked,
  evaluateGraph,
  fromHost,
  hostArray,
  jsBackend,
  memoryPlan,
  stage,
  tensor,
  tidy,
} from "cotangent";
import { describe, expect, test } from "vitest";
import { bitsOf, everyGraph, testSeed } from "./graphs.ts";

/** A view of planned memory as elements of a dtype. */
function viewOf(memory: ArrayBuffer, offset: number, dtype: DType, size: number) {
  const { constructor } = hostArray(dtype, 0);
  return new (constructor as Float64ArrayConstructor)(memory, offset, size);
}

/** Runs a graph in the memory that its plan asks for, in which all that is not in use is garbage. */
function runPlanned(graph: Graph, inputs: readonly Value[]): Value[] {
  const plan = memoryPlan(graph);
  const memory = new ArrayBuffer(plan.bytes);
  const bytes = new Uint8Array(memory).fill(0xff);
  const given = [...inputs.map((input) => input.concrete()), ...graph.constants];
  const offsetOf = (variable: number): number => plan.buffers[plan.bufferOf[variable]!].offset;
  // A view of what the graph is given lies where that does.
  const outside = new Map<number, Tensor>();
  const read = (variable: number): Tensor => {
    const aval = graph.avals[variable];
    const known = variable < graph.firstDefined ? given[variable] : outside.get(variable);
    if (known !== undefined) return known;
    const host = hostArray(aval.dtype, aval.size);
    host.set(viewOf(memory, offsetOf(variable), aval.dtype, aval.size));
    return fromHost(host, aval, jsBackend);
  };
  graph.nodes.forEach((node, n) => {
    const operands = node.inputs.map(read);
    const results =
      node.primitive.rules.form === "multiple"
        ? bindMultiple(node.primitive, operands, node.params)
        : [bind(node.primitive, operands, node.params)];
    // What has been let go of is garbage, and so is what is about to begin.
    for (const { first, last, offset, bytes: count } of plan.buffers)
      if (first === n || last === n - 1) bytes.fill(0xff, offset, offset + count);
    node.outputs.forEach((variable, i) => {
      const { dtype, size } = graph.avals[variable];
      if (plan.bufferOf[variable] === undefined) outside.set(variable, results[i].concrete());
      else viewOf(memory, offsetOf(variable), dtype, size).set(results[i].dataSync());
    });
  });
  return graph.outputs.map(read);
}

function checkPlan(graph: Graph): void {
  const { buffers, bufferOf, inPlace, bytes, peakLiveBytes } = memoryPlan(graph);
  buffers.forEach((a, i) => {
    expect(a.offset % 8).toBe(0);
    expect(a.offset + a.bytes).toBeLessThanOrEqual(bytes);
    for (const b of buffers.slice(i + 1)) {
      const isTogether = a.first <= b.last && b.first <= a.last;
      const isOverlapping = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      if (a.bytes > 0 && b.bytes > 0) expect(isTogether && isOverlapping).toBe(false);
    }
  });
  expect(bytes).toBeGreaterThanOrEqual(peakLiveBytes);
  for (let variable = 0; variable < graph.firstDefined; variable++)
    expect(bufferOf[variable]).toBeUndefined();
  for (const { node, input } of inPlace) {
    const { primitive, outputs } = graph.nodes[node];
    expect(primitive.elementwise).toBe(true);
    expect(graph.avals[input].toString()).toBe(graph.avals[outputs[0]].toString());
    expect(bufferOf[input]).toBe(bufferOf[outputs[0]]);
    // Nothing that lies there is used later, or given.
    const others = [...graph.avals.keys()].filter((v) => bufferOf[v] === bufferOf[input] && v < outputs[0]);
    for (const variable of others) {
      expect(graph.outputs).not.toContain(variable);
      for (const later of graph.nodes.slice(node + 1)) expect(later.inputs).not.toContain(variable);
    }
  }
}

describe("a plan", () => {
  test(`holds for every primitive, random programs and their derivatives, and gives their values (seed ${testSeed})`, () => {
    for (const { name, graph, inputs } of everyGraph(testSeed)) {
      tidy(() => {
        checkPlan(graph);
        expect(bitsOf(runPlanned(graph, inputs)), name).toBe(bitsOf(evaluateGraph(graph, inputs)));
      });
    }
  });

  const vector = avalOf([100], "float64");

  test("needs one buffer for a chain of elementwise operations", () => {
    const plan = memoryPlan(stage((x: Value) => x.sin().exp().add(1).tanh())(vector));
    expect(plan).toMatchObject({ bytes: 800, peakLiveBytes: 800 });
    expect(plan.inPlace.map(({ node }) => node)).toEqual([1, 2, 3]);
    expect(plan.buffers).toHaveLength(1);
  });

  test("uses places again once they are free, though not for operations that read elsewhere", () => {
    const matrix = avalOf([10, 10], "float64");
    const plan = memoryPlan(stage((x: Value) => x.exp().transpose().flip(0).transpose().flip(1))(matrix));
    expect(plan.inPlace).toEqual([]);
    expect(plan).toMatchObject({ bytes: 1600, peakLiveBytes: 1600 });
  });

  test("does not overwrite what is used later, given, or read by broadcasting", () => {
    const later = memoryPlan(stage((x: Value) => [x.sin(), x.sin().exp()])(vector));
    expect(later.inPlace).toHaveLength(1);
    const output = memoryPlan(
      stage((x: Value) => {
        const y = x.sin();
        return [y, y.exp()];
      })(vector),
    );
    expect(output.inPlace).toEqual([]);
    const outer = memoryPlan(
      stage((x: Value) => {
        const y = x.sin();
        return y.add(y.reshape([100, 1])).sum();
      })(avalOf([100], "float64")),
    );
    expect(outer.inPlace).toEqual([]);
    const twice = memoryPlan(
      stage((x: Value) =>
        x
          .sin()
          .reshape([10, 10])
          .mul(x.cos().reshape([10, 10])),
      )(vector),
    );
    expect(twice.inPlace).toHaveLength(1);
    // The sine is read as a row and as a column of itself.
    const square = memoryPlan(
      stage((x: Value) => {
        const y = x.sin();
        return y.reshape([1, 1]).add(y);
      })(avalOf([1], "float64")),
    );
    expect(square.inPlace).toEqual([]);
  });

  test("counts inputs and their views for nothing", () => {
    const plan = memoryPlan(stage((x: Value) => x.reshape([10, 10]))(vector));
    expect(plan).toMatchObject({ bytes: 0, peakLiveBytes: 0, buffers: [] });
  });

  test("fills gaps with what fits best", () => {
    const graph = checked(
      stage((x: Value) => {
        const wide = x.broadcastTo([4, 100]);
        const [a, b] = [wide.sum({ axis: 0 }), wide.sum({ axis: 1 })];
        return a.sum().add(b.sum()).add(tensor(1));
      })(vector),
    );
    const { bytes, peakLiveBytes } = memoryPlan(graph);
    expect(bytes).toBe(peakLiveBytes);
  });

  test("aligns as asked", () => {
    const graph = stage((x: Value) => [x.sin(), add(x, 1)])(avalOf([3], "float32"));
    expect(memoryPlan(graph, { alignment: 16 }).buffers.map(({ offset }) => offset)).toEqual([0, 16]);
    expect(() => memoryPlan(graph, { alignment: 0 })).toThrow(/alignment is 0/);
  });
});
