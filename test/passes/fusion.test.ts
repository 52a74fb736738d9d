/** Clusters of nodes for one kernel each: disjoint, convex, and as one call each the same program to the last bit. */
import {
  type Cluster,
  type Graph,
  type Value,
  avalOf,
  bind,
  checked,
  evaluateGraph,
  foriLoop,
  fused,
  fusionClusters,
  jsBackend,
  optimize,
  primitives,
  pulledGraph,
  stage,
} from "cotangent";
import { describe, expect, test } from "vitest";
import { bitsOf, everyGraph, jointGraph, testSeed } from "./graphs.ts";

const names = (graph: Graph): string[][] =>
  fusionClusters(graph).map(({ nodes }) => nodes.map((n) => graph.nodes[n].primitive.name));

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && new Set([...a, ...b]).size === a.length;

/** Which nodes each node needs, directly or not. */
function ancestors(graph: Graph): Set<number>[] {
  const definedBy = new Map(graph.nodes.flatMap((node, n) => node.outputs.map((variable) => [variable, n])));
  const found: Set<number>[] = [];
  for (const node of graph.nodes) {
    const own = new Set<number>();
    for (const variable of node.inputs) {
      const n = definedBy.get(variable);
      if (n === undefined) continue;
      own.add(n);
      for (const further of found[n]) own.add(further);
    }
    found.push(own);
  }
  return found;
}

/** What is wrong with clusters, if anything is. */
function flaw(graph: Graph, clusters: readonly Cluster[]): string | undefined {
  const before = ancestors(graph);
  const seen = new Set<number>();
  for (const { nodes, inputs, outputs, kind, bytesSaved } of clusters) {
    if (nodes.length < 2) return "a cluster of one node";
    if (bytesSaved < 0) return "a cluster that saves less than nothing";
    const own = new Set(nodes);
    for (const n of nodes) {
      if (seen.has(n)) return `node ${n} is in two clusters`;
      seen.add(n);
      const { primitive } = graph.nodes[n];
      if (primitive.form === "multiple") return `${primitive.name} is in a cluster`;
      const isReduction = !primitive.elementwise && primitive.name !== "broadcastTo";
      if (isReduction && kind !== "reduction") return `${primitive.name} is in a cluster of kind ${kind}`;
    }
    graph.nodes.forEach((_, n) => {
      if (own.has(n) || !nodes.some((member) => before[n].has(member))) return;
      if (nodes.some((member) => before[member].has(n))) seen.add(-1);
    });
    if (seen.has(-1)) return `a path leaves ${nodes.join()} and comes back`;
    const defined = new Set(nodes.flatMap((n) => graph.nodes[n].outputs));
    const used = new Set(nodes.flatMap((n) => graph.nodes[n].inputs));
    const isInput = [...used].filter((variable) => !defined.has(variable));
    if (!isSame(inputs, isInput)) return "inputs that are not what it uses";
    const others = new Set(
      [...graph.outputs, ...graph.nodes.flatMap((node, n) => (own.has(n) ? [] : node.inputs))].filter((v) =>
        defined.has(v),
      ),
    );
    if (!isSame(outputs, [...others])) return "outputs that are not what is used";
  }
  return undefined;
}

test("clusters of every graph are convex, and calls of them give the same bits", () => {
  let [graphs, clusters, members] = [0, 0, 0];
  for (const { name, graph, inputs } of everyGraph(testSeed, { programs: 30 })) {
    for (const version of [graph, optimize(graph)]) {
      const found = fusionClusters(version);
      expect(flaw(version, found), `${name}\n${version.toString()}`).toBe(undefined);
      expect(fusionClusters(version), name).toEqual(found);
      const calls = checked(fused(version));
      expect(calls.nodes.length, name).toBe(
        version.nodes.length - found.reduce((sum, { nodes }) => sum + nodes.length - 1, 0),
      );
      expect(bitsOf(evaluateGraph(calls, inputs)), name).toBe(bitsOf(evaluateGraph(version, inputs)));
      graphs++;
      clusters += found.length;
      members += found.reduce((sum, { nodes }) => sum + nodes.length, 0);
    }
  }
  expect({ graphs, clusters, members }).toSatisfy(
    () => graphs > 1800 && clusters > 2200 && members > 4 * clusters,
  );
});

describe("clusters are what one expects", () => {
  const matrix = avalOf([4, 8], "float64");

  test("a layer: the product is alone, what follows is one kernel", () => {
    const graph = stage((x: Value, w: Value, b: Value) => x.matmul(w).add(b).tanh().mul(2))(
      matrix,
      avalOf([8, 8], "float64"),
      avalOf([8], "float64"),
    );
    expect(names(graph)).toEqual([["add", "tanh", "mul"]]);
    const [{ kind, bytesSaved, shape }] = fusionClusters(graph);
    expect(kind).toBe("elementwise");
    expect(shape).toEqual([4, 8]);
    // Two values that are neither written nor read.
    expect(bytesSaved).toBe(2 * 2 * 256);
  });

  test("softmax: a kernel for the maximum, one for exponentials and their sum, one for the quotient", () => {
    const graph = stage((x: Value) => {
      const e = x
        .mul(3)
        .sub(x.mul(3).max({ axis: 1, keepDims: true }))
        .exp();
      return e.div(e.sum({ axis: 1, keepDims: true }));
    })(matrix);
    expect(names(optimize(graph))).toEqual([
      ["mul", "reduceMax"],
      ["sub", "exp", "sum"],
    ]);
    expect(fusionClusters(optimize(graph)).map(({ kind }) => kind)).toEqual(["reduction", "reduction"]);
  });

  test("reductions along different axes are in different kernels", () => {
    const graph = stage((x: Value) => [x.sin().sum({ axis: 0 }), x.cos().sum({ axis: 1 })])(matrix);
    expect(names(graph)).toEqual([
      ["sin", "sum"],
      ["cos", "sum"],
    ]);
    const same = stage((x: Value) => [x.sin().sum({ axis: 0 }), x.cos().prod({ axis: 0 })])(matrix);
    expect(names(same)).toEqual([["sin", "sum", "cos", "prod"]]);
  });

  test("what a reduction gives is not there before its loop is done, in whatever shape", () => {
    // Over no axis at all, so that the shape stays.
    const sum = primitives().get("sum")!;
    const graph = stage((x: Value) => bind(sum, [x.exp()], { axes: [] }).sin().mul(x))(matrix);
    expect(names(graph)).toEqual([
      ["exp", "sum"],
      ["sin", "mul"],
    ]);
  });

  test("a path that leaves and comes back keeps nodes apart", () => {
    const graph = stage((x: Value, w: Value) => {
      const y = x.sin();
      return y.matmul(w).add(y).exp();
    })(avalOf([4, 4], "float64"), avalOf([4, 4], "float64"));
    expect(names(graph)).toEqual([["add", "exp"]]);
  });

  test("numbers and broadcasts join the kernel that uses them", () => {
    const graph = stage((x: Value, s: Value) => x.mul(s.exp().add(1)).add(x.onesLike()))(
      matrix,
      avalOf([], "float64"),
    );
    expect(names(graph)).toEqual(
      [["exp", "add", "broadcastTo", "mul", "add"].sort()].map(() => expect.anything()),
    );
    expect(names(graph)[0].toSorted()).toEqual(["add", "add", "broadcastTo", "exp", "mul"]);
  });

  test("a scalar program is one kernel", () => {
    const graph = stage((x: Value, y: Value) => x.sin().mul(y).add(x.mul(y)).exp())(
      avalOf([], "float64"),
      avalOf([], "float64"),
    );
    expect(names(graph)).toEqual([["sin", "mul", "mul", "add", "exp"]]);
    const joint = optimize(jointGraph(graph, [true, true]));
    expect(names(joint)).toEqual([joint.nodes.map(({ primitive }) => primitive.name)]);
  });

  test("a loop is in no kernel", () => {
    const graph = stage((x: Value) =>
      foriLoop(0, 3, (_, y: Value) => y.sin(), x.exp())
        .neg()
        .abs(),
    )(matrix);
    expect(names(graph).flat()).not.toContain("scan");
    expect(names(graph).at(-1)).toEqual(["neg", "abs"]);
  });
});

test("a long chain is clustered without deep recursion", () => {
  const graph = stage((x: Value, b: Value) => {
    let y = x;
    for (let i = 0; i < 1000; i++) y = y.mul(0.5).add(b).tanh();
    return y.sum();
  })(avalOf([4, 8], "float64"), avalOf([8], "float64"));
  const joint = jointGraph(graph, [true, true]);
  const { backward } = pulledGraph(graph, [true, true], "everything", jsBackend);
  for (const each of [graph, joint, backward]) {
    expect(fusionClusters(each).length).toBeLessThan(4);
    checked(fused(each));
  }
});
