/** Inlining, constant folding, common subexpressions, dead code, and all of them in turn. */
import {
  type Graph,
  type Value,
  add,
  avalOf,
  call,
  checkpoint,
  cond,
  evaluateGraph,
  explain,
  foriLoop,
  grad,
  jit,
  jsBackend,
  optimize,
  passes,
  profile,
  pulledGraph,
  randomKey,
  normal,
  scan,
  stage,
  stopGradient,
  tensor,
  withoutCalls,
  withoutCommonSubexpressions,
  withoutConstantNodes,
  withoutDeadCode,
  withoutSurrogates,
} from "cotangent";
import { describe, expect, test } from "vitest";
import { expectSame, nodesOf, passLaws } from "./laws.ts";

const vector = avalOf([3], "float64");
const staged = (f: (x: Value) => unknown): Graph => stage(f)(vector);
const names = (graph: Graph): string[] => graph.nodes.map(({ primitive }) => primitive.name);

describe("dead code", () => {
  passLaws(withoutDeadCode);

  test("is what no output depends on, constants included", () => {
    const graph = staged((x) => {
      x.add(tensor([7, 8, 9])).exp();
      return x.sin();
    });
    const after = withoutDeadCode(graph);
    expect(names(after)).toEqual(["sin"]);
    expect(after.constants).toEqual([]);
    expect(withoutDeadCode(after)).toBe(after);
  });
});

describe("common subexpressions", () => {
  passLaws(withoutCommonSubexpressions);

  test("are one node, in either order where that is the same", () => {
    const f = (x: Value): Value[] => {
      const y = x.sin();
      return [x.mul(y), x.sin().mul(x), x.sub(y), y.sub(x)];
    };
    expect(names(withoutCommonSubexpressions(staged(f)))).toEqual(["sin", "mul", "sub", "sub"]);
  });

  test("differ by their parameters", () => {
    const graph = staged((x) => [x.broadcastTo([2, 3]), x.broadcastTo([2, 3]), x.broadcastTo([4, 3])]);
    expect(names(withoutCommonSubexpressions(graph))).toHaveLength(2);
  });

  test("are constants of one storage too, and draws from one key", () => {
    const w = tensor([1, 2, 3]);
    const f = jit((x: Value) => x.mul(w));
    const twice = withoutCalls(staged((x) => [f(x), f(x)]));
    expect(names(withoutCommonSubexpressions(twice))).toEqual(["mul"]);
    const drawn = stage((key: Value) => [normal(key, [2]), normal(key, [2])])(randomKey(1).aval);
    const once = stage((key: Value) => normal(key, [2]))(randomKey(1).aval);
    expect(withoutCommonSubexpressions(drawn).nodes).toHaveLength(
      withoutCommonSubexpressions(once).nodes.length,
    );
  });

  test("are not looked for across checkpoints", () => {
    const f = (x: Value): Value => x.sin().mul(x).exp().sum();
    const back = stage((x: Value) => grad(checkpoint(f))(x))(vector);
    const calls = (graph: Graph): Graph[] =>
      graph.nodes.flatMap(({ params, primitive }) =>
        primitive === call.primitive ? [(params as { graph: Graph }).graph] : [],
      );
    const after = optimize(back);
    // The way forward is dead where only the gradient is asked for; what runs again on the way back stays a call.
    expect(calls(after).length).toBeGreaterThan(0);
    expect(names(calls(after)[calls(after).length - 1])).toContain("sin");
    const both = staged((x) => [checkpoint(f)(x), checkpoint(f)(x)]);
    expect(calls(optimize(both))).toHaveLength(2);
  });
});

describe("constant folding", () => {
  passLaws(withoutConstantNodes);

  test("computes what depends on constants alone", () => {
    const graph = staged((x) => x.add(add(tensor([1, 2, 3]), tensor([4, 5, 6])).exp()));
    const sum = stage((x: Value) => x.add(x.constant(2, x.aval.withShape([])).sqrt()))(vector);
    for (const folded of [withoutConstantNodes(graph), withoutConstantNodes(sum)])
      expect(names(folded)).toEqual(["add"]);
  });

  test("leaves the broadcast of a number a node, and computes on the number", () => {
    const wide = avalOf([1000, 1000], "float64");
    const graph = staged((x) => [x.constant(2, wide).exp().mul(x.constant(3, wide))]);
    const after = withoutConstantNodes(graph);
    expect(names(after)).toEqual(["broadcastTo"]);
    expect(after.constants.map((constant) => constant.item())).toEqual([3 * Math.exp(2)]);
  });

  test("sums over broadcasts as a run would", () => {
    const graph = staged((x) => x.constant(0.1, avalOf([1000], "float64")).sum());
    const after = withoutConstantNodes(graph);
    expect(names(after)).toEqual([]);
    expectSame(evaluateGraph(after, [tensor([1, 2, 3])]), evaluateGraph(graph, [tensor([1, 2, 3])]), "");
  });

  test("is no evaluation of the run in which it happens", () => {
    const f = jit((x: Value) => x.mul(x.constant(2, x.aval).exp()));
    expect(profile(() => f(tensor([1, 2, 3]))).evaluations).toBe(1);
  });

  test("leaves what fails to when it is run", () => {
    const graph = stage((x: Value) => x.add(x.constant(1, x.aval).take(tensor([5], { dtype: "int32" }))))(
      avalOf([1], "float64"),
    );
    expect(() => optimize(graph)).not.toThrow();
    expect(() => evaluateGraph(optimize(graph), [tensor([1])])).toThrow(/outside/);
  });
});

describe("inlining", () => {
  passLaws(withoutCalls);

  test("opens calls within calls, not those of which not all is kept", () => {
    const f = jit((x: Value) => jit((y: Value) => y.sin())(x).exp());
    expect(names(withoutCalls(staged((x) => f(f(x)))))).toEqual(["sin", "exp", "sin", "exp"]);
    expect(names(withoutCalls(staged((x) => checkpoint(f)(x))))).toEqual(["call"]);
  });

  test("takes the branch of a condition that is constant", () => {
    const graph = staged((x) =>
      cond(
        x.constant(1, vector).sum().gt(0),
        (y: Value) => y.sin(),
        (y: Value) => y.exp(),
        x,
      ),
    );
    expect(names(graph)).toContain("switchCase");
    expect(names(optimize(graph))).toEqual(["sin"]);
  });
});

describe("what only derivatives look at", () => {
  passLaws(withoutSurrogates);

  test("goes from a graph that is run, and stays where a loop is to be differentiated", () => {
    expect(names(optimize(staged((x) => stopGradient(x).sin())))).toEqual(["sin"]);
    const f = (x: Value): Value => foriLoop(0, 3, (_, y: Value) => y.mul(stopGradient(y)), x).sum();
    const x = tensor([1, 2, 3]);
    expectSame([jit((y: Value) => grad(f)(y))(x)], [grad(f)(x)], "the gradient of a jitted loop");
    const plain = (y: Value): Value => y.mul(stopGradient(y)).sum();
    expectSame([grad(jit(plain))(x)], [x], "the gradient of a jitted function");
  });
});

describe("all passes", () => {
  passLaws((graph) => optimize(graph), { samples: 3, programs: 25 });
  passLaws((graph) => passes.reduce((current, pass) => pass.run(current), graph));

  test("give the graph itself where it is as good as can be, and the same again for the same", () => {
    const graph = staged((x) => x.sin());
    expect(optimize(graph)).toBe(graph);
    const other = staged((x) => x.mul(1).sin());
    expect(optimize(other)).toBe(optimize(other));
    expect(optimize(optimize(other))).toBe(optimize(other));
  });

  test("go into the bodies of loops", () => {
    const graph = staged(
      (x) => scan((c: Value, w: Value) => [c.mul(1).add(w.neg().neg()), c], x, tensor([[1, 2, 3]]))[0],
    );
    expect(nodesOf(optimize(graph))).toBeLessThan(nodesOf(graph));
  });

  test("make less of a gradient", () => {
    const f = (x: Value): Value => x.sin().mul(x).div(2).sum();
    const graph = stage((x: Value) => grad(f)(x))(vector);
    expect(nodesOf(optimize(graph))).toBeLessThan(nodesOf(graph));
  });

  test("are explained", () => {
    const graph = staged((x) => [x.mul(1).sin(), x.sin().add(x.constant(2, x.aval).exp())]);
    const explained = explain(graph);
    expect(explained.before.nodes).toBe(graph.nodes.length);
    expect(explained.after.nodes).toBe(explained.optimised.nodes.length);
    const done = explained.passes.flatMap((report) => Object.keys(report.done));
    expect(new Set(done)).toEqual(
      new Set(["x * 1", "exp", "a number broadcast where the operation broadcasts", "sin"]),
    );
    expect(String(explained)).toMatch(/^pass +nodes +FLOPs +bytes +done\n/);
    expect(String(explained)).toMatch(/\nfusion: 2 nodes in 1 clusters, which would move 24 bytes less\n/);
    expect(String(explained)).toMatch(/\nmemory: 2 values in 2 buffers of 48 bytes in all/);
  });

  test("bodies of loops and branches are explained as passes of their own", () => {
    const graph = staged(
      (x) => scan((c: Value, w: Value) => [c.mul(1).add(w), null], x.sum(), tensor([1, 2]))[0],
    );
    const { passes: reports, before, after } = explain(graph);
    expect(reports).toMatchObject([{ pass: "optimise nested graphs", done: { scan: 1 } }]);
    expect([reports[0].before, reports[0].after]).toEqual([before, after]);
    expect(before.nodes - after.nodes).toBe(1);
  });

  test("what reverse mode keeps and runs again is explained, by each policy", () => {
    const square = avalOf([8, 8], "float64");
    const graph = stage((x: Value, w: Value) => x.matmul(w).tanh().exp().matmul(w).sin().sum())(
      square,
      square,
    );
    const explained = explain(graph);
    const sweep = pulledGraph(graph, [true, true], "everything", jsBackend).backward.nodes.length;
    for (const { policy, kept, bytes, again } of explained.recomputations) {
      const { forward, backward } = pulledGraph(graph, [true, true], policy, jsBackend);
      const avals = forward.outputAvals.slice(graph.outputs.length);
      expect([kept, bytes]).toEqual([avals.length, avals.reduce((sum, aval) => sum + aval.bytes, 0)]);
      expect(again).toBe(backward.nodes.length - sweep);
    }
    expect(explained.recomputations.map(({ policy }) => policy)).toEqual([
      "everything",
      "nothing",
      "products",
      "smallest",
    ]);
    expect(String(explained)).toMatch(
      /\nway back, keeping +values +bytes +nodes run again\neverything +3 +1536 +0\n/,
    );
    expect(explain(staged((x) => x.gt(0))).recomputations).toEqual([]);
    expect(String(explain(staged((x) => x.gt(0))))).not.toMatch(/way back/);
  });

  test("may be fast", () => {
    const graph = staged((x) => x.mul(0).add(x));
    expect(names(optimize(graph))).toEqual(["mul", "add"]);
    expect(names(optimize(graph, { fast: true }))).toEqual([]);
  });
});
