import { type Value, computationalGraph, grad, tensor } from "cotangent";
import { describe, expect, test } from "vitest";

describe("the computational graph of a neuron", () => {
  const neuron = (w: Value, x: Value, b: Value): Value => w.mul(x).sum().add(b).sigmoid();
  const args = [tensor([1, -2]), tensor([0.5, 0.25]), 0.1] as const;
  const graph = computationalGraph(neuron)(...args);

  test("has inputs, operations in topological order, and a root", () => {
    expect(graph.nodes.map((node) => node.primitive?.name ?? node.kind)).toEqual([
      "input",
      "input",
      "input",
      "mul",
      "sum",
      "add",
      "sigmoid",
    ]);
    for (const node of graph.nodes)
      for (const edge of node.incoming) expect(edge.from.id).toBeLessThan(node.id);
    expect(graph.root.primitive?.name).toBe("sigmoid");
    expect(graph.root.source).toMatch(/computational-graph\.test\.ts:5:\d+$/);
  });

  test("gives the adjoint of every node, those of the inputs being the gradient", () => {
    const gradients = grad(neuron, { argnums: [0, 1, 2] })(...args);
    graph.inputs.forEach((input, i) => expect(input.adjoint?.toArray()).toEqual(gradients[i].toArray()));
    const z = 0.1;
    const sigmoid = 1 / (1 + Math.exp(-z));
    const sum = graph.nodes[5];
    expect(sum.adjoint?.item()).toBeCloseTo(sigmoid * (1 - sigmoid), 15);
    expect(graph.root.adjoint?.item()).toBe(1);
  });

  test("has local derivatives on its edges: diagonals, and a JVP and a VJP where there is none", () => {
    const [byWeight, byInput] = graph.nodes[3].incoming;
    expect([byWeight.argument, byInput.argument]).toEqual(["x", "y"]);
    expect(byWeight.partial?.toArray()).toEqual([0.5, 0.25]);
    const [intoSum] = graph.nodes[4].incoming;
    expect(intoSum.partial).toBeUndefined();
    expect(intoSum.jvp(tensor([1, 10])).item()).toBe(11);
    expect(intoSum.vjp(tensor(3)).toArray()).toEqual([3, 3]);
    expect(() => intoSum.vjp(tensor([1]))).toThrow(/edge\.vjp: the cotangent is float64\[1\]/);
  });

  test("the adjoint of a node is the sum of what its edges carry back", () => {
    for (const node of graph.nodes) {
      if (node.outgoing.length === 0) continue;
      const contributions = node.outgoing.map((edge) => edge.vjp(edge.to.adjoint as Value));
      const total = contributions.reduce((a, b) => a.add(b));
      expect(total.toArray()).toEqual(node.adjoint?.toArray());
    }
  });

  test("is printed as text and as DOT", () => {
    expect(graph.toText()).toMatch(
      /^%3: float64\[2\] = mul\(%0, %1\) {2}# value \[0\.5, -0\.5\]; adjoint .*computational-graph/m,
    );
    const dot = graph.toDot();
    expect(dot).toMatch(/^digraph computation \{/);
    expect(dot).toContain('n5 -> n6 [label="0.249376"]');
    expect(dot.match(/ -> /g)).toHaveLength(6);
  });
});

describe("branching", () => {
  test("the number of paths is exact and exponential, the work is not", () => {
    const doubled = (x: Value): Value => {
      let y = x;
      for (let i = 0; i < 100; i++) y = y.add(y);
      return y;
    };
    const graph = computationalGraph(doubled)(1);
    expect(graph.pathCount()).toBe(2n ** 100n);
    expect(graph.pathCount(graph.nodes[98], graph.nodes[100])).toBe(4n);
    expect(graph.inputs[0].adjoint?.item()).toBe(2 ** 100);
    expect(graph.nodes).toHaveLength(101);
  });

  test("constants and discrete operations are there, without adjoints", () => {
    const graph = computationalGraph((x: Value) => x.mul(2).add(x.floor()))(1.5);
    const floor = graph.nodes.find((node) => node.primitive?.name === "floor");
    expect([floor?.value.item(), floor?.adjoint, floor?.incoming[0].differentiable]).toEqual([
      1,
      null,
      false,
    ]);
    expect(graph.nodes.filter((node) => node.kind === "constant").map((node) => node.value.item())).toEqual([
      2,
    ]);
  });

  test("a root that is no scalar takes a cotangent", () => {
    const graph = computationalGraph((x: Value) => x.square())(tensor([1, 2]));
    expect(() => graph.inputs[0].adjoint).toThrow(/the root is float64\[2\], so its adjoint must be given/);
    graph.backward(tensor([1, 10]));
    expect(graph.inputs[0].adjoint?.toArray()).toEqual([2, 40]);
    expect(() => computationalGraph((() => [1]) as never)(1)).toThrow(/it must return one value/);
  });

  test("a graph may be recorded inside a differentiated function", () => {
    const f = (x: Value): Value =>
      computationalGraph((y: Value) => y.mul(y).mul(y))(x).inputs[0].adjoint as Value;
    expect(grad(f)(2).item()).toBe(12);
  });
});
