/** What graphs are said to cost before they run, against what is counted while they run. */
import {
  type Graph,
  type GraphCostOptions,
  type GraphSize,
  type LoopCheckpoint,
  type Params,
  type SwitchParams,
  type Value,
  avalOf,
  call,
  cond,
  evaluateGraph,
  foriLoop,
  fromHost,
  graphCost,
  graphOf,
  grad,
  hostArray,
  jit,
  jsBackend,
  mapNestedGraphs,
  observe,
  optimize,
  primitives,
  profile,
  pulledGraph,
  pushedGraph,
  scan,
  stage,
  tensor,
  whileLoop,
} from "cotangent";
import { RecordedDraw, type Subject, drawCall, drawProgram, subjectOf } from "@cotangent/verify";
import { everyGraph, testSeed } from "../passes/graphs.ts";
import { assert, gen, property } from "fast-check";
import { describe, expect, test } from "vitest";

/** What was counted, and what was foretold; the outputs serve the next graph. */
function compare(graph: Graph, inputs: readonly Value[], options: GraphCostOptions = {}): Value[] {
  const { evaluations, flops, bytesMoved, peakLiveBytes } = graphCost(graph, options);
  const { result, ...counted } = profile(() => evaluateGraph(graph, inputs));
  expect({ evaluations, flops, bytesMoved, peakLiveBytes }, graph.toString({ lines: false })).toEqual(
    counted,
  );
  return result;
}

/** Compares a graph, its JVP and both halves of its VJP, as they are and optimised. */
function compareAll(graph: Graph, inputs: readonly Value[], options: GraphCostOptions = {}): void {
  const outputs = compare(graph, inputs, options);
  compare(optimize(graph), inputs, options);
  const marks = inputs.map((input) => input.aval.floating);
  const isSmooth = graph.nodes.every(({ primitive }) => isDifferentiable(primitive.name));
  if (!marks.includes(true) || !isSmooth) return;
  const moved = inputs.filter((_, i) => marks[i]);
  compare(pushedGraph(graph, marks, jsBackend).graph, [...inputs, ...moved], options);
  const seeds = outputs.filter((output) => output.aval.floating);
  for (const policy of ["everything", "nothing", "products"] as const) {
    const { forward, backward, savedInputs } = pulledGraph(graph, marks, policy, jsBackend);
    const all = compare(forward, inputs, options);
    compare(
      backward,
      [...savedInputs.map((i) => inputs[i]), ...all.slice(outputs.length), ...seeds],
      options,
    );
  }
}

const isDifferentiable = (name: string): boolean => {
  const { rules } = primitives().get(name)!;
  return (
    rules.form !== "nonDifferentiable" &&
    (rules.form !== "written" || Object.values(rules.vjp).every((rule) => typeof rule === "function"))
  );
};

const upload = ({ shape, dtype, data }: Subject["point"][number]): Value => {
  const host = hostArray(dtype, data.length);
  host.set(data);
  return fromHost(host, avalOf(shape, dtype), jsBackend);
};

/** A call of a subject as a graph of its inputs, and the inputs. */
function staged(subject: Subject): { graph: Graph; inputs: Value[] } {
  const inputs = subject.point.map(upload);
  const constants = subject.constants.map(upload);
  const avals = [...inputs, ...constants].map((input) => input.aval);
  const graph = graphOf(
    "test",
    (...all) => subject.apply(all.slice(0, inputs.length), all.slice(inputs.length)),
    avals,
    jsBackend,
  );
  return { graph, inputs: [...inputs, ...constants] };
}

/** A graph in which every condition has the taken branch alone: what it costs does not depend on the index. */
function decided(graph: Graph, taken: number): Graph {
  const params = (own: Params): Params => {
    const { branches } = own as Partial<SwitchParams>;
    const nested = mapNestedGraphs(own, (inner) => decided(inner, taken));
    return branches === undefined ? nested : { ...nested, branches: branches.map(() => branches[taken]) };
  };
  return Object.assign(Object.create(Object.getPrototypeOf(graph) as object) as Graph, graph, {
    nodes: graph.nodes.map((node) => ({ ...node, params: params(node.params) })),
  });
}

/** How many steps a whileLoop of the samples makes. */
function stepsOf({ inputs, params }: ReturnType<typeof drawCall>): number {
  const { condition } = (typeof params === "function" ? params("float64") : params) as { condition: Graph };
  let steps = 0;
  const at = (n: number): Value[] => [tensor(0), tensor(inputs[1].data[0] + n), upload(inputs[2])];
  while (evaluateGraph(condition, at(steps))[0].item() !== 0) steps++;
  return steps;
}

describe("what is foretold is what is counted", () => {
  test.each([...primitives().keys()])("%s and its derivatives", (name) => {
    const primitive = primitives().get(name)!;
    assert(
      property(gen(), (generate) => {
        const drawn = drawCall(new RecordedDraw(generate), primitive, "float64");
        const { graph, inputs } = staged(subjectOf(drawn));
        if (name === "switchCase") {
          // The index is an input of the sample, the one whole number.
          const taken = inputs.find(({ dtype }) => dtype === "int32")!.item();
          compareAll(decided(graph, taken), inputs);
          expect(graphCost(graph).flops).toBeGreaterThanOrEqual(graphCost(decided(graph, taken)).flops);
        } else {
          compareAll(graph, inputs, { whileSteps: name === "whileLoop" ? stepsOf(drawn) : 0 });
        }
      }),
      { numRuns: 10, seed: 1 },
    );
  });

  test("random programs and their derivatives", () => {
    assert(
      property(gen(), (generate) => {
        // Of branches the cost is foretold as that of the largest, of loops with a condition as that of one step.
        const program = drawProgram(new RecordedDraw(generate), jsBackend, 8, { control: false });
        const { graph, inputs } = staged(program);
        compareAll(graph, inputs);
      }),
      { numRuns: 80, seed: 2 },
    );
  });
});

/** Nodes, depth and paths, counted while a graph runs that has neither loops, branches nor calls. */
function sizeOfRun(graph: Graph, inputs: readonly Value[]): GraphSize {
  // One tensor may be several inputs.
  const own = inputs.map((input) => input.concrete().sharing());
  const known = new Map<Value, Omit<GraphSize, "nodes">>(
    own.map((input) => [input, { depth: 0, paths: 1n }]),
  );
  const at = (value: Value): Omit<GraphSize, "nodes"> => known.get(value) ?? { depth: 0, paths: 0n };
  let nodes = 0;
  const outputs = observe(
    (_, operands, results) => {
      nodes++;
      const before = operands.map(at);
      const depth = 1 + Math.max(...before.map((operand) => operand.depth));
      const paths = before.reduce((sum, operand) => sum + operand.paths, 0n);
      for (const result of results) known.set(result, { depth, paths });
    },
    () => evaluateGraph(graph, own),
  );
  // What is given twice, or was an input, comes as a tensor of its own.
  const found = graph.outputs.map((variable) =>
    at(own[variable] ?? graph.constantOf(variable) ?? outputs[graph.outputs.indexOf(variable)]),
  );
  return {
    nodes,
    depth: Math.max(0, ...found.map(({ depth }) => depth)),
    paths: found.reduce((sum, { paths }) => sum + paths, 0n),
  };
}

test("nodes, depth and paths of functions and of their derivatives in each mode are those of their runs", () => {
  let [graphs, widest] = [0, 0n];
  for (const { name, graph, inputs } of everyGraph(testSeed, { samples: 1, programs: 25 })) {
    if (graph.nodes.some(({ primitive }) => primitive.form === "multiple")) continue;
    const { nodes, depth, paths } = graphCost(graph);
    expect({ nodes, depth, paths }, name).toEqual(sizeOfRun(graph, inputs));
    graphs++;
    if (paths > widest) widest = paths;
  }
  expect(graphs).toBeGreaterThan(300);
  expect(widest).toBeGreaterThan(10n);
});

describe("loops are counted without going through every step", () => {
  const vector = avalOf([3], "float64");
  /** The value of a function of a vector and its gradient, as graphs. */
  const check = (f: (x: Value) => Value, options: GraphCostOptions = {}): void => {
    const x = tensor([0.1, 0.2, 0.3]);
    const total = (v: Value): Value => f(v).sum();
    compareAll(stage(total)(vector), [x], options);
    compareAll(stage(grad(total))(vector), [x], options);
  };
  const steps = (length: number): Value => tensor(new Float64Array(length).fill(0.5));

  test.each([1, 2, 3, 7, 60, 600])("rows that are new, and rows that are the carry, of %i steps", (n) => {
    check((x) => scan((c: Value, w: Value) => [c.mul(w).sin(), c.add(1)], x, steps(n))[1]);
    check((x) => scan((c: Value, w: Value) => [c.mul(w).sin(), c], x, steps(n))[1]);
    check((x) => {
      const f = (c: Value, w: Value): readonly [Value, Value[]] => {
        const next = c.mul(w).sin();
        return [next, [next, next, c, x, x.reshape([1, 3])]];
      };
      return scan(f, x, steps(n))[1].reduce((sum, rows) => sum.add(rows.sum()), tensor(0));
    });
  });

  test("carries that pass through several steps, or stay, or change places", () => {
    for (const n of [5, 80]) {
      check((x) => {
        const f = ([a, b, c, d]: Value[], w: Value): readonly [Value[], Value] => [
          [b.mul(w), c, a, d],
          c.sum(),
        ];
        const [last, rows] = scan(f, [x, x.exp(), x.sin(), x.cos()], steps(n));
        return last.reduce((sum, v) => sum.add(v)).add(rows.sum());
      });
      // A delay line: what goes in comes out three steps later.
      check((x) => {
        const f = ([a, b, c]: Value[], w: Value): readonly [Value[], Value] => [[c.mul(w).exp(), a, b], b];
        return scan(f, [x, x, x], steps(n))[1];
      });
    }
  });

  test("loops in loops, and loops of scalars", () => {
    check((x) =>
      foriLoop(
        0,
        40,
        (_, outer: Value) =>
          scan((c: Value, w: Value) => [c.mul(w).tanh(), c.sum()], outer, steps(30))[1]
            .sum()
            .add(outer),
        x,
      ),
    );
    check((x) => scan((c: Value, w: Value) => [c.mul(w).sin(), c.exp()], x.sum(), steps(100))[1]);
  });

  test.each<LoopCheckpoint>(["all", "sqrt", "log", { slots: 1 }, { slots: 3 }])(
    "a loop that goes back by the schedule %j",
    (checkpoint) => {
      for (const n of [1, 2, 50])
        check((x) => scan((c: Value, w: Value) => [c.mul(w).sin(), c], x, steps(n), { checkpoint })[1]);
    },
  );

  test.each([0, 1, 25])("a whileLoop of %i steps", (whileSteps) => {
    const f = (x: Value): Value =>
      whileLoop(
        ([i]: Value[]) => i.lt(whileSteps),
        ([i, y]) => [i.add(1), y.sin().mul(x)],
        [tensor(0, { dtype: "int32" }), x],
      )[1];
    check(f, { whileSteps });
  });

  test("a million steps take as long as a few", () => {
    const graph = stage((x: Value) => foriLoop(0, 1e6, (_, c: Value) => c.sin().mul(c), x))(vector);
    const start = performance.now();
    const { evaluations, flops, peakLiveBytes, depth } = graphCost(graph);
    expect(performance.now() - start).toBeLessThan(100);
    // The counter's addition, and two nodes on three elements.
    expect(evaluations).toBe(3e6);
    expect(flops).toBe(1e6 * (1 + (3 * primitives().get("sin")!.cost([vector], vector, {})) / 3 + 3));
    expect(depth).toBe(2e6);
    expect(peakLiveBytes).toBeLessThan(200);
  });
});

describe("what it says of a graph", () => {
  const scalar = avalOf([], "float64");

  test("figures that can be checked by hand", () => {
    const graph = stage((x: Value) => x.sin().mul(x).sum())(avalOf([1000], "float64"));
    expect(graphCost(graph)).toMatchObject({
      evaluations: 3,
      nodes: 3,
      depth: 3,
      paths: 2n,
      // x is the caller's; sin's and mul's results are there together.
      peakLiveBytes: 16_000,
      bytesMoved: 8 * (2000 + 3000 + 1001),
    });
  });

  test("paths are exact beyond what a number can hold, and multiply through calls", () => {
    const doubled =
      (n: number) =>
      (x: Value): Value => {
        let y = x;
        for (let i = 0; i < n; i++) y = y.mul(y);
        return y;
      };
    expect(graphCost(stage(doubled(200))(scalar)).paths).toBe(2n ** 200n);
    const called = stage((x: Value) => jit(doubled(100))(jit(doubled(100))(x)))(scalar);
    const { paths, nodes, depth, evaluations } = graphCost(called);
    expect(paths).toBe(2n ** 200n);
    // Both calls are of one graph.
    expect([nodes, depth, evaluations]).toEqual([102, 200, 200]);
    // A loop is one vertex.
    expect(graphCost(stage((x: Value) => foriLoop(0, 9, (_, y: Value) => y.mul(y), x))(scalar)).paths).toBe(
      1n,
    );
    expect(graphCost(stage((x: Value, y: Value) => [x, x.add(y), y.mul(y)])(scalar, scalar)).paths).toBe(5n);
  });

  test("a condition costs what its largest branch does", () => {
    const f = (x: Value): Value =>
      cond(
        x.sum().gt(0),
        (y) => y.sin(),
        (y) => y.sin().cos().exp(),
        x,
      );
    const cost = graphCost(stage(f)(avalOf([50], "float64")));
    const large = profile(() => jit(f)(tensor(new Float64Array(50).fill(-1))));
    const { result: _, ...counted } = large;
    expect(cost).toMatchObject(counted);
    expect(cost.nodes).toBe(stage(f)(avalOf([50], "float64")).nodes.length + 4);
  });

  test("a call of a graph costs what the graph does", () => {
    const graph = stage((x: Value) => x.sin().mul(x))(avalOf([50], "float64"));
    const outer = graphOf(
      "test",
      (x) => call([x], { graph, save: "everything" }),
      [avalOf([50], "float64")],
      jsBackend,
    );
    const { nodes, ...whole } = graphCost(outer);
    expect(graphCost(graph)).toMatchObject(whole);
    expect(nodes).toBe(3);
  });

  test("a number of steps that is none is refused", () => {
    const graph = stage((x: Value) => x.sin())(scalar);
    expect(() => graphCost(graph, { whileSteps: -1 })).toThrow(
      "whileSteps is -1, but must be a whole number",
    );
  });
});
