/** Graphs themselves: what the checker holds of them and refuses, when two are the same, that they do not change. */
import {
  type Backend,
  type Graph,
  GraphError,
  type GraphNode,
  type Primitive,
  type Tensor,
  type Value,
  avalOf,
  call,
  checked,
  cond,
  evaluateGraph,
  eye,
  Graph as GraphOf,
  jsBackend,
  jit,
  loopPullback,
  ones,
  primitives,
  sameStructure,
  scan,
  stage,
  structuralHash,
  switchPrimitive,
  tensor,
  tidy,
  wasmBackend,
} from "cotangent";
import { describe, expect, test } from "vitest";
import { bitsOf, everyGraph, testSeed } from "../passes/graphs.ts";

const vector = avalOf([3], "float64");
const scalar = avalOf([], "float64");

describe("the checker", () => {
  test(`accepts the graphs of every primitive, of random programs and of their derivatives (seed ${testSeed})`, () => {
    let graphs = 0;
    for (const { graph } of everyGraph(testSeed, { samples: 1, programs: 10 })) {
      expect(checked(graph)).toBe(graph);
      graphs++;
    }
    expect(graphs).toBeGreaterThan(350);
  });

  /** A graph with some of its parts replaced. */
  const changed = (graph: Graph, parts: Partial<Graph>): Graph => {
    const { inputs, constants, nodes, outputs, avals } = { ...graph, ...parts };
    return new GraphOf([...inputs], [...constants], [...nodes], [...outputs], [...avals]);
  };
  const withNode = (graph: Graph, n: number, parts: Partial<GraphNode>): Graph =>
    changed(graph, { nodes: graph.nodes.map((node, i) => (i === n ? { ...node, ...parts } : node)) });

  // %0, the constant %1, then %2 = mul(%0, %1) and %3 = sin(%2).
  const graph = stage((x: Value) => x.mul(tensor([1, 2, 3])).sin())(vector);
  const looped = stage((x: Value) => scan((c: Value, r: Value) => [c.mul(r), c], x.sum(), x)[0])(vector);
  const branched = stage((x: Value) =>
    cond(
      x.gt(0),
      (y: Value) => y.sin(),
      (y: Value) => y,
      x,
    ),
  )(scalar);
  const inner = stage((x: Value) => x.sin())(vector);
  const bind = (
    op: { primitive: Primitive },
    inputs: readonly number[],
    params: object,
  ): Partial<GraphNode> => ({
    primitive: op.primitive,
    inputs,
    params,
  });
  const lent = tensor([1, 2, 3]);
  lent.dispose();
  const scanNode = looped.nodes.length - 1;
  const { body } = looped.nodes[scanNode].params as { body: Graph };
  const [index] = branched.nodes.filter(({ primitive }) => primitive === switchPrimitive.primitive);
  const [ofNumber] = (index.params as { branches: readonly Graph[] }).branches;

  const faults: [string, () => Graph, RegExp][] = [
    [
      "a use before the definition",
      () => withNode(graph, 0, { inputs: [3, 1] }),
      /node 0 \(mul\) uses %3, which is not/,
    ],
    ["a use of nothing", () => withNode(graph, 1, { inputs: [-1] }), /node 1 \(sin\) uses %-1/],
    [
      "a variable defined twice",
      () => withNode(graph, 1, { outputs: [2] }),
      /node 1 \(sin\) defines %2; the next one is %3/,
    ],
    [
      "too many outputs of a node",
      () => withNode(graph, 1, { outputs: [3, 4] }),
      /defines 2 variables, but gives 1/,
    ],
    [
      "an aval too many",
      () => changed(graph, { avals: [...graph.avals, scalar] }),
      /has 5 avals for 4 variables/,
    ],
    [
      "an aval too few",
      () => changed(graph, { avals: graph.avals.slice(0, 3) }),
      /gives float64\[3\], but %3 is undefined/,
    ],
    [
      "a wrong shape",
      () => changed(graph, { avals: graph.avals.with(3, scalar) }),
      /node 1 \(sin\) gives float64\[3\], but %3 is float64\[\]/,
    ],
    [
      "a wrong dtype",
      () => changed(graph, { avals: graph.avals.with(2, avalOf([3], "float32")) }),
      /node 0 \(mul\) gives float64\[3\], but %2 is float32\[3\]/,
    ],
    [
      "an input of another type",
      () => changed(graph, { inputs: [scalar] }),
      /%0 is float64\[3\], but was given as float64\[\]/,
    ],
    [
      "operands that do not fit",
      () => withNode(graph, 0, bind(call, [0, 1], { graph: inner, save: "everything" })),
      /call: a graph of 1 inputs was given 2/,
    ],
    ["an output that is not defined", () => changed(graph, { outputs: [4] }), /output %4 is not defined/],
    [
      "a constant that is gone",
      () => changed(graph, { constants: [lent] }),
      /constant %1 has been disposed of/,
    ],
    [
      "a call of a graph for other types",
      () => withNode(graph, 1, bind(call, [2], { graph: ofNumber, save: "everything" })),
      /call: input 0 of the graph is float64\[\], but float64\[3\] was given/,
    ],
    [
      "a branch for other types",
      () => withNode(branched, branched.nodes.length - 1, { params: { branches: [ofNumber, inner] } }),
      /switchCase: input 0 of the graph is float64\[3\], but float64\[\] was given/,
    ],
    [
      "a loop for other types",
      () => withNode(looped, scanNode, { inputs: [0, 0] }),
      /loop over float64\[3\], float64\[3\] has a body of float64\[\], float64\[\]/,
    ],
    [
      "a fault in a body",
      () =>
        withNode(looped, scanNode, {
          params: { ...looped.nodes[scanNode].params, body: withNode(body, 0, { inputs: [0, 2] }) },
        }),
      /node 0 \(mul\) uses %2, which is not defined/,
    ],
    [
      "the way back of a loop without cotangents",
      () =>
        withNode(
          looped,
          scanNode,
          bind(loopPullback, looped.nodes[scanNode].inputs, {
            ...looped.nodes[scanNode].params,
            wanted: [true, true],
          }),
        ),
      /gives float64\[\], float64\[3\] has cotangents \./,
    ],
  ];
  test.each(faults)("refuses %s", (_, make, message) => {
    expect(() => checked(make())).toThrow(message);
  });
});

test("a graph is given what it is for", () => {
  const graph = stage((x: Value, i: Value) => x.take(i))(vector, avalOf([], "int32"));
  const x = tensor([1, 2, 3]);
  const i = tensor(1, { dtype: "int32" });
  expect(evaluateGraph(graph, [x, i])[0].item()).toBe(2);
  expect(() => evaluateGraph(graph, [x])).toThrow(GraphError);
  expect(() => evaluateGraph(graph, [x])).toThrow(/evaluateGraph: a graph of 2 inputs was given 1/);
  expect(() => evaluateGraph(graph, [tensor([1, 2]), i])).toThrow(
    /input 0 of the graph is float64\[3\], but float64\[2\]/,
  );
  expect(() => evaluateGraph(graph, [x, tensor(1)])).toThrow(
    /input 1 of the graph is int32\[\], but float64\[\]/,
  );
});

test("constants of one shape are told apart, by their signs of zero too", () => {
  const graph = stage((x: Value) => [0, -0, 1, 2.5].map((number) => x.constant(number, x.aval)))(vector);
  const found = evaluateGraph(graph, [tensor([5, 6, 7])]).map((output) => output.toArray());
  expect(found).toEqual([0, -0, 1, 2.5].map((number) => [number, number, number]));
});

test("a graph does not change", () => {
  const graph = stage((x: Value) => x.sin().mul(2))(vector);
  const [node] = graph.nodes;
  for (const change of [
    () => (graph.nodes as GraphNode[]).push(node),
    () => ((graph.outputs as number[])[0] = 0),
    () => ((node as { primitive: Primitive }).primitive = primitives().get("cos")!),
    () => ((node.inputs as number[])[0] = 1),
    () => ((graph.constants as Tensor[])[0] = tensor(3)),
    () => ((graph as { nodes: unknown }).nodes = []),
  ])
    expect(change).toThrow(TypeError);
});

/** Nothing that a kernel does can be seen but its result: the same again, and inputs as they were. */
test.each([jsBackend, wasmBackend] as Backend[])("evaluation is pure on $name", (backend) => {
  for (const { name, graph, inputs } of everyGraph(testSeed, {
    samples: 1,
    programs: 6,
    derivatives: false,
  })) {
    tidy(() => {
      const own = inputs.map((input) => input.concrete().to(backend));
      const before = bitsOf(own);
      const first = bitsOf(evaluateGraph(graph, own));
      expect(bitsOf(evaluateGraph(graph, own)), name).toBe(first);
      expect(bitsOf(own), name).toBe(before);
    });
  }
});

describe("two graphs are the same", () => {
  const isSame = (a: Graph, b: Graph): boolean => {
    expect(structuralHash(a) === structuralHash(b)).toBe(sameStructure(a, b));
    return sameStructure(a, b);
  };

  test(`two stagings of a program, of every primitive and at random (seed ${testSeed})`, () => {
    const options = { samples: 1, programs: 12, derivatives: false };
    const [first, again] = [everyGraph(testSeed, options), everyGraph(testSeed, options)].map((all) => [
      ...all,
    ]);
    const hashes = new Set<string>();
    for (const [i, { name, graph }] of first.entries()) {
      // Functions among parameters are compared by identity, those of nested graphs too.
      if (graph.toString().includes("customCall")) continue;
      expect(isSame(graph, again[i].graph), name).toBe(true);
      hashes.add(structuralHash(graph));
    }
    expect(hashes.size).toBeGreaterThan(first.length / 2);
  });

  test("arrays made anew in the function are compared by their elements", () => {
    const f =
      (by: number) =>
      (x: Value): Value =>
        eye(3)
          .matmul(x)
          .add(tensor([1, 2, by]).sum());
    const [a, b, c] = [3, 3, 4].map((by) => stage(f(by))(vector));
    expect([isSame(a, b), isSame(a, c)]).toEqual([true, false]);
    // So that jit compiles the program once.
    const jitted = [1, 2, 3].map(() => jit((x: Value) => f(7)(x)));
    const graphs = new Set(jitted.map((g) => (g(ones([3])), structuralHash(g.graph(ones([3]))))));
    expect(graphs.size).toBe(1);
  });

  test("not what differs in a primitive, a parameter, a type, an order, a sign of zero or an array's shape", () => {
    const graphs = [
      stage((x: Value) => x.sin())(vector),
      stage((x: Value) => x.cos())(vector),
      stage((x: Value) => x.sin())(avalOf([3], "float32")),
      stage((x: Value) => x.sum())(vector),
      stage((x: Value) => x.sum({ keepDims: true }))(vector),
      stage((x: Value) => [x, x.sin()])(vector),
      stage((x: Value) => [x.sin(), x])(vector),
      stage((x: Value) => x.add(0))(vector),
      stage((x: Value) => x.add(-0))(vector),
      stage((x: Value) => x.add(tensor([0])))(vector),
      stage((x: Value) => x.add(tensor([-0])))(vector),
      stage((x: Value) => x.add(tensor([[0]])))(vector),
      stage((x: Value) => scan((c: Value) => [c.sin(), null], x, null, { length: 2 })[0])(vector),
      stage((x: Value) => scan((c: Value) => [c.cos(), null], x, null, { length: 2 })[0])(vector),
    ];
    expect(new Set(graphs.map(structuralHash)).size).toBe(graphs.length);
    graphs.forEach((a, i) => graphs.forEach((b, k) => expect(isSame(a, b)).toBe(i === k)));
  });
});
