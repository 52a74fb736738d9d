/** A machine that writes results over inputs one element at a time, in the memory that the plan asks for. */
import {
  type Aval,
  type Graph,
  type Tensor,
  type Value,
  avalOf,
  bind,
  bindMultiple,
  evaluateGraph,
  fromHost,
  graphCost,
  hostArray,
  jsBackend,
  memoryPlan,
  optimize,
  stage,
  tidy,
} from "cotangent";
import { expect, test } from "vitest";
import { bitsOf, everyGraph, jointGraph, testSeed } from "./graphs.ts";

/** The place of an output's element in an input that broadcasts to it. */
function placeIn(input: Aval, output: Aval, element: number): number {
  let [place, stride, rest] = [0, 1, element];
  for (let axis = 1; axis <= output.rank; axis++) {
    const size = output.shape[output.rank - axis];
    const own = axis <= input.rank ? input.shape[input.rank - axis] : 1;
    if (own > 1) place += (rest % size) * stride;
    rest = Math.floor(rest / size);
    stride *= own;
  }
  return place;
}

/** Runs a graph in one block of memory; bytes are garbage before their first write and from the node after their last use. */
function runInPlace(graph: Graph, inputs: readonly Value[]): { outputs: Value[]; inPlace: number } {
  const plan = memoryPlan(graph, { alignment: 16 });
  const memory = new ArrayBuffer(plan.bytes);
  const bytes = new Uint8Array(memory).fill(0xff);
  const over = new Set(plan.inPlace.map(({ node }) => node));
  const given: (Tensor | undefined)[] = [...inputs.map((input) => input.concrete()), ...graph.constants];
  const host = (variable: number): Float64Array => {
    const { dtype, size, bytes: count } = graph.avals[variable];
    const found = given[variable];
    const { constructor } = hostArray(dtype, 0);
    if (found === undefined) {
      const { offset } = plan.buffers[plan.bufferOf[variable]!];
      expect(offset % 16).toBe(0);
      expect(offset + count).toBeLessThanOrEqual(plan.bytes);
      return new (constructor as Float64ArrayConstructor)(memory, offset, size);
    }
    const copy = hostArray(dtype, size);
    copy.set(found.dataSync());
    return copy as Float64Array;
  };
  const uploaded = (data: ArrayLike<number>, aval: Aval): Tensor => {
    const copy = hostArray(aval.dtype, aval.size);
    copy.set(data);
    return fromHost(copy, aval, jsBackend);
  };
  graph.nodes.forEach((node, n) => {
    const { primitive, params } = node;
    for (const { last, offset, bytes: count } of plan.buffers)
      if (last === n - 1) bytes.fill(0xff, offset, offset + count);
    const [output] = node.outputs;
    if (over.has(n)) {
      const aval = graph.avals[output];
      const operands = node.inputs.map((variable) => ({ aval: graph.avals[variable], data: host(variable) }));
      const result = host(output);
      for (let i = 0; i < aval.size; i++) {
        const element = operands.map((operand) => {
          const place = placeIn(operand.aval, aval, i);
          return uploaded(operand.data.subarray(place, place + 1), avalOf([1], operand.aval.dtype));
        });
        result.set(bind(primitive, element, params).dataSync(), i);
      }
      return;
    }
    const operands = node.inputs.map((variable) => uploaded(host(variable), graph.avals[variable]));
    const results =
      primitive.rules.form === "multiple"
        ? bindMultiple(primitive, operands, params)
        : [bind(primitive, operands, params)];
    node.outputs.forEach((variable, i) => {
      if (plan.bufferOf[variable] === undefined) given[variable] = results[i].concrete();
      else host(variable).set(results[i].dataSync());
    });
  });
  return {
    outputs: graph.outputs.map((variable) => uploaded(host(variable), graph.avals[variable])),
    inPlace: over.size,
  };
}

test(`results written over inputs element by element have the same bits (seed ${testSeed})`, () => {
  let [graphs, inPlace] = [0, 0];
  for (const { name, graph, inputs } of everyGraph(testSeed)) {
    for (const version of [graph, optimize(graph)]) {
      tidy(() => {
        const found = runInPlace(version, inputs);
        const text = `${name}\n${version.toString()}`;
        expect(bitsOf(found.outputs), text).toBe(bitsOf(evaluateGraph(version, inputs)));
        graphs++;
        inPlace += found.inPlace;
      });
    }
  }
  expect(graphs).toBeGreaterThan(1800);
  expect(inPlace).toBeGreaterThan(graphs);
});

test("a long program is planned, in less memory than its values need side by side", () => {
  const graph = stage((x: Value, b: Value) => {
    let y = x;
    for (let i = 0; i < 1000; i++) y = y.mul(0.5).add(b).tanh();
    return y.sum();
  })(avalOf([4, 8], "float64"), avalOf([8], "float64"));
  const joint = optimize(jointGraph(graph, [true, true]));
  for (const [each, bytes, sideBySide] of [
    [graph, 264, 768008],
    [joint, 256264, 1919944],
  ] as const) {
    const plan = memoryPlan(each);
    const values = each.nodes.flatMap((node) => node.outputs);
    expect(values.reduce((sum, variable) => sum + each.avals[variable].bytes, 0)).toBe(sideBySide);
    expect(plan).toMatchObject({ bytes, peakLiveBytes: bytes });
    // Writing over inputs needs less than the executor, which holds input and result at once.
    expect(plan.peakLiveBytes).toBeLessThan(graphCost(each).peakLiveBytes);
  }
});
