/** What derivatives are said to cost, against what is counted; and which mode is said to be the cheapest. */
import {
  type DerivativeCosts,
  type GraphSize,
  type JacobianMode,
  type RunCost,
  type Value,
  avalOf,
  calibrate,
  chooseMode,
  concatenate,
  cond,
  defaultTimeModel,
  derivativeCosts,
  evaluateGraph,
  graphCost,
  eye,
  jacfwd,
  jacrev,
  jit,
  jsBackend,
  jvp,
  mixedJacobian,
  modeOf,
  optimize,
  predictedTime,
  profile,
  pulledGraph,
  pushedGraph,
  scan,
  stage,
  tensor,
  vjp,
  vmap,
} from "cotangent";
import { RecordedDraw, drawProgram } from "@cotangent/verify";
import { assert, gen, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { jointGraph } from "../passes/graphs.ts";

const vector = (n: number): Value => tensor(Array.from({ length: n }, (_, i) => Math.sin(i + 1) / 2));
const matrix = (m: number, n: number): Value => vector(m * n).reshape([m, n]);

const counted = (body: () => unknown): RunCost => {
  const { result: _, ...counts } = profile(body);
  return counts;
};

const figures = ({ evaluations, flops, bytesMoved, peakLiveBytes }: RunCost): RunCost => ({
  evaluations,
  flops,
  bytesMoved,
  peakLiveBytes,
});

/** A network of layers of these widths. */
function network(...widths: number[]): F {
  const weights = widths.slice(1).map((width, i) => matrix(width, widths[i]));
  return (x) => weights.reduce((y, w) => w.matmul(y).tanh(), x);
}

type F = (x: Value) => Value;

describe("derivatives cost what is foretold", () => {
  const functions: [string, F, number][] = [
    ["elementwise", (x) => x.sin().mul(x).exp(), 5],
    ["a scalar", (x) => x.square().sum().log(), 7],
    ["from a scalar", (x) => x.mul(vector(6)).tanh(), 1],
    ["a network", network(4, 6, 3), 4],
    ["shapes", (x) => x.reshape([2, 3]).transpose().cumsum(0).slice([1, 0]).exp(), 6],
    ["softmax", (x) => x.softmax().mul(x), 5],
  ];

  test.each(functions)("%s", (_, f, n) => {
    const x = n === 1 ? tensor(0.3) : vector(n);
    const graph = stage(f)(x);
    const costs = derivativeCosts(graph);
    const y = f(x);
    expect(figures(costs.value)).toEqual(counted(() => evaluateGraph(graph, [x])));
    const g = (v: Value): Value => evaluateGraph(graph, [v])[0];
    expect(figures(costs.jvp)).toEqual(counted(() => jvp(g, [x], [x])));
    expect(figures(costs.vjp)).toEqual(
      counted(() => {
        const [value, pullback] = vjp(g, x);
        return [value, pullback(y)];
      }),
    );
    expect(figures(costs.forward)).toEqual(counted(() => jacfwd(g, { chunk: 1 })(x)));
    expect(figures(costs.reverse)).toEqual(counted(() => jacrev(g, { chunk: 1 })(x)));
  });

  test("random programs of several inputs and outputs", () => {
    let exact = 0;
    assert(
      property(gen(), (generate) => {
        // Of branches the cost is foretold as that of the largest, of loops with a condition as that of one step.
        const program = drawProgram(new RecordedDraw(generate), jsBackend, 6, { control: false });
        const inputs = program.point.map(({ shape, data }) => tensor(data, { shape }));
        const graph = stage((...xs: Value[]) => program.apply(xs, []))(...inputs);
        const f = (xs: Value[]): Value[] => evaluateGraph(graph, xs);
        const costs = derivativeCosts(graph);
        // What a rule computes of numbers alone is computed as it is traced, and is not part of the graph.
        for (const [foretold, found] of [
          [costs.forward, counted(() => jacfwd<[Value[]], Value[]>(f, { chunk: 1 })(inputs))],
          [costs.reverse, counted(() => jacrev<[Value[]], Value[]>(f, { chunk: 1 })(inputs))],
        ]) {
          expect(foretold.flops).toBeLessThanOrEqual(found.flops);
          expect(foretold.flops).toBeGreaterThan(0.99 * found.flops - 1);
          if (foretold.flops === found.flops) exact++;
        }
      }),
      { numRuns: 60, seed: 3 },
    );
    expect(exact).toBeGreaterThan(100);
  });

  test("as graphs made once", () => {
    const x = vector(5);
    const graph = stage(network(5, 8, 4))(x);
    const costs = derivativeCosts(graph, { execution: "graph" });
    const { forward, backward, savedInputs } = pulledGraph(graph, [true], "everything", jsBackend);
    const vjpCounts = counted(() => {
      const [y, ...residuals] = evaluateGraph(forward, [x]);
      return [y, evaluateGraph(backward, [...savedInputs.map(() => x), ...residuals, y])];
    });
    expect(figures(costs.vjp)).toEqual(vjpCounts);
    // What does not depend on the cotangents runs once, not once a sweep.
    expect(costs.reverse.flops).toBeLessThan(derivativeCosts(graph).reverse.flops);
  });

  test("how large the derivatives are: those of the graphs that compute them", () => {
    const graph = stage((x: Value, w: Value) => w.matmul(x.sin()).mul(2).tanh().sum())(
      vector(4),
      matrix(3, 4),
    );
    const { value, jvp: pushed, vjp: pulled } = derivativeCosts(graph);
    const size = ({ nodes, depth, paths }: GraphSize): GraphSize => ({ nodes, depth, paths });
    expect(size(value)).toEqual(size(graphCost(graph)));
    // Two inputs and their tangents; every derivative is a product, and two are added at the matrix product.
    expect(size(pushed)).toEqual(size(graphCost(pushedGraph(graph, [true, true], jsBackend).graph)));
    expect(size(pulled)).toEqual(size(graphCost(jointGraph(graph, [true, true]))));
    expect(pushed.nodes).toBe(pushed.evaluations);
    expect(pulled.nodes).toBe(pulled.evaluations);
    expect(pulled.depth).toBeGreaterThan(value.depth);
    // As graphs made once: the way forward and the way back, optimised.
    const made = derivativeCosts(graph, { execution: "graph" });
    expect(made.vjp.nodes).toBe(made.vjp.evaluations);
    expect(made.jvp.nodes).toBe(made.jvp.evaluations);
    expect(made.vjp.nodes).toBeLessThan(pulled.nodes);
  });

  test("through a loop, and through a jitted function", () => {
    const steps = vector(20);
    const f = (x: Value): Value =>
      scan((c: Value, w: Value) => [c.mul(w).sin(), c], x, steps)[1].sum({ axis: 0 });
    const x = vector(3);
    for (const g of [f, jit(f)] as F[]) {
      const costs = derivativeCosts(stage(g)(x));
      expect(figures(costs.reverse)).toEqual(counted(() => jacrev(g, { chunk: 1 })(x)));
      expect(figures(costs.forward)).toEqual(counted(() => jacfwd(g, { chunk: 1 })(x)));
    }
  });

  test("many directions at once, as vmap takes them", () => {
    const x = vector(12);
    const graph = stage(network(12, 6, 20))(x);
    const f = (v: Value): Value => evaluateGraph(graph, [v])[0];
    // Whoever asks for the tangent alone does not pay for the value.
    const pushed = optimize(stage((y: Value, v: Value) => jvp(f, [y], [v])[1])(x, x));
    const columns = vmap((v: Value) => evaluateGraph(pushed, [x, v])[0]);
    const basis = eye(12);
    for (const size of [5, 12]) {
      const { batched, forward, reverse } = derivativeCosts(graph, { batchSize: size });
      const found = counted(() =>
        size === 12 ? columns(basis) : basis.split([5, 5, 2]).map((part) => columns(part)),
      );
      expect(batched.forward.flops).toBe(found.flops);
      expect(batched.forward.evaluations).toBeLessThan(forward.evaluations / 3);
      expect(batched.forward.flops).toBeLessThan(forward.flops);
      expect(batched.reverse.evaluations).toBeLessThan(reverse.evaluations / 3);
      expect(batched.reverse.flops).toBeLessThan(reverse.flops);
    }
    expect(() => derivativeCosts(graph, { batchSize: 0 })).toThrow(
      "batchSize is 0, but must be a whole number",
    );
  });

  test("marks that do not fit are refused", () => {
    const graph = stage((x: Value, i: Value) => x.take(i))(vector(3), avalOf([2], "int32"));
    expect(derivativeCosts(graph)).toMatchObject({ inputs: 3, outputs: 2 });
    expect(() => derivativeCosts(graph, { wanted: [true] })).toThrow("wanted has 1 marks for 2 inputs");
    expect(() => derivativeCosts(graph, { wanted: [true, true] })).toThrow("input 1 is int32[2]");
  });
});

/** What each mode costs when it runs. */
function measuredFlops(f: F, x: Value, costs: DerivativeCosts): Partial<Record<JacobianMode, number>> {
  const flops = (g: (y: Value) => unknown): number => counted(() => g(x)).flops;
  // FLOPs alone decide, so that it is the mixed way that runs where it is the cheapest by these.
  const onlyFlops = { millisecondsPerEvaluation: 0, flopsPerMillisecond: 1, bytesPerMillisecond: Infinity };
  const mixed = mixedJacobian(f, { model: onlyFlops });
  const isMixed =
    costs.mixed !== null && costs.mixed.flops < Math.min(costs.forward.flops, costs.reverse.flops);
  return {
    forward: flops(jacfwd(f, { chunk: 1 })),
    reverse: flops(jacrev(f, { chunk: 1 })),
    ...(isMixed && { mixed: flops(mixed) }),
  };
}

describe("modes", () => {
  test.each([
    [1, 8, 30],
    [2, 8, 9],
    [30, 8, 1],
    [9, 8, 8],
    [10, 10, 10],
    [20, 2, 20],
    [20, 9, 3, 12, 20],
    [40, 1, 40],
    [12, 20, 11, 25, 12],
    [3, 50, 2, 50, 100],
  ])("%j → ...: the modes are predicted to the last FLOP, and so is their order", (...list) => {
    const widths = list.filter((width) => width !== undefined);
    const f = network(...widths);
    const x = vector(widths[0]);
    const { costs } = chooseMode<[Value]>(f)(x);
    const measured = measuredFlops(f, x, costs);
    const modes = Object.keys(measured) as JacobianMode[];
    expect(Object.fromEntries(modes.map((mode) => [mode, costs[mode]?.flops]))).toEqual(measured);
  });

  test("a random network's, too", () => {
    let mixed = 0;
    assert(
      property(gen(), (generate) => {
        const draw = new RecordedDraw(generate);
        const widths = Array.from({ length: draw.int(2, 5) }, () => draw.int(1, 24));
        const f = network(...widths);
        const x = vector(widths[0]);
        const { costs } = chooseMode<[Value]>(f)(x);
        const measured = measuredFlops(f, x, costs);
        for (const mode of Object.keys(measured) as JacobianMode[])
          expect(costs[mode]?.flops).toBe(measured[mode]);
        if (measured.mixed !== undefined) mixed++;
      }),
      { numRuns: 60, seed: 4 },
    );
    expect(mixed).toBeGreaterThan(5);
  });

  test("a bottleneck is found and used: reverse to it, forward from it", () => {
    const f = network(40, 3, 40);
    const choice = chooseMode<[Value]>(f)(vector(40));
    expect(choice.mode).toBe("mixed");
    expect(choice.costs.mixed).toMatchObject({ width: 3, inner: "reverse", outer: "forward" });
    expect(choice.costs.mixed!.flops).toBeLessThan(choice.costs.forward.flops / 4);
    expect(choice.explanation).toMatch(
      /^mixed: a product through the 3 elements at the narrowest part, reverse up to it and forward from there \(\d+ FLOPs\) should take \d+(\.\d)? times less than (reverse|forward), /,
    );
    expect(choice.explanation).not.toContain("\n");
    // Whether the narrow part is inside a jitted function or not.
    const jitted = jit(f) as F;
    expect(chooseMode<[Value]>(jitted)(vector(40)).costs.mixed).toMatchObject({ width: 3 });
  });

  test("few inputs: forward; few outputs: reverse; the words say why", () => {
    const forward = chooseMode<[Value]>(network(1, 50, 50))(vector(1));
    expect(forward.mode).toBe("forward");
    expect(forward.explanation).toMatch(
      /^forward: 1 forward pass \(.*than reverse, a run and 50 sweeps back/,
    );
    const inner = network(50, 20);
    const reverse = chooseMode<[Value]>((x) => inner(x).sum())(avalOf([50], "float64"));
    expect(reverse.mode).toBe("reverse");
    expect(reverse.explanation).toMatch(
      /^reverse: a run and 1 sweep back \(.*than forward, 50 forward passes/,
    );
    expect(reverse.costs.mixed).toBeNull();
    expect(reverse.times.mixed).toBe(Infinity);
  });

  test("the time model is its three terms", () => {
    const { costs } = chooseMode<[Value]>(network(40, 3, 40))(vector(40));
    const { evaluations, flops, bytesMoved } = costs.forward;
    const model = { millisecondsPerEvaluation: 2, flopsPerMillisecond: 4, bytesPerMillisecond: 8 };
    expect(predictedTime(costs.forward, model)).toBe(2 * evaluations + flops / 4 + bytesMoved / 8);
    expect(predictedTime(costs.forward)).toBe(predictedTime(costs.forward, defaultTimeModel));
  });

  test("what has no derivative is refused", () => {
    const ints = avalOf([2], "int32");
    expect(() => chooseMode((i: Value) => i.add(1))(ints)).toThrow("argument 0 is int32[2]");
    expect(() => chooseMode((x: Value) => x.gt(0))(vector(2))).toThrow("2 floating inputs to differentiate");
    expect(() => modeOf(stage((i: Value) => i.add(1))(ints))).toThrow("a Jacobian needs both");
  });

  test("calibrate measures positive constants", () => {
    const model = calibrate();
    for (const constant of Object.values(model)) {
      expect(constant).toBeGreaterThan(0);
      expect(constant).toBeLessThan(Infinity);
    }
    // An evaluation takes longer than a FLOP on anything.
    expect(model.millisecondsPerEvaluation * model.flopsPerMillisecond).toBeGreaterThan(1);
  });
});

describe("mixedJacobian", () => {
  const close = (a: Value, b: Value): void => {
    expect(a.shape).toEqual(b.shape);
    const [p, q] = [a.dataSync(), b.dataSync()];
    p.forEach((element, i) => expect(element).toBeCloseTo(q[i], 12));
  };

  test.each([
    [20, 2, 20],
    [20, 9, 3, 12, 20],
    [1, 5, 1],
    [3, 30],
    [30, 3],
  ])("is jacrev's and jacfwd's: %j → ...", (...list) => {
    const f = network(...list.filter((width) => width !== undefined));
    const x = vector(list[0]);
    const found = mixedJacobian(f)(x);
    close(found, jacrev(f)(x));
    close(found, jacfwd(f)(x));
  });

  test("trees, several arguments, cuts of several variables, and what the cut does not separate", () => {
    interface Parameters {
      readonly a: Value;
      readonly b: Value;
    }
    const [w, v, k] = [matrix(30, 2), matrix(30, 12), vector(15)];
    const f = (scale: Value, { a, b }: Parameters, name: Value): { y: Value; z: Value[] } => {
      // Two scalars and a vector of two are all that the results know of a and b, besides where a is positive.
      const s = a.sum().mul(scale);
      const t = b.square().sum();
      const u = v.transpose().matmul(v.matmul(a)).slice([0], [2]);
      const y = w.matmul(u).mul(s).add(t).tanh();
      return { y: y.mul(name), z: [t.mul(k).add(s), a.gt(0).astype("float64").mul(s)] };
    };
    const args = [tensor(2), { a: vector(12), b: vector(9).reshape([3, 3]) }, tensor(3)] as const;
    const choice = modeOf(stage((p: Parameters) => f(args[0], p, args[2]))(args[1]));
    expect(choice.mode).toBe("mixed");
    expect(choice.costs.mixed?.width).toBe(4);
    const found = mixedJacobian(f, { argnum: 1 })(...args);
    const wanted = jacrev(f, { argnum: 1 })(...args);
    for (const [p, q] of [
      [found.y, wanted.y],
      [found.z[0], wanted.z[0]],
      [found.z[1], wanted.z[1]],
    ]) {
      close(p.a, q.a);
      close(p.b, q.b);
    }
  });

  test("has derivatives in its turn, and may be called again", () => {
    const f = network(8, 2, 8);
    const jacobianOf = mixedJacobian(f);
    const total = (g: F) => (x: Value) => g(x).square().sum();
    for (const x of [vector(8), vector(8).mul(2)]) {
      close(jacrev(total(jacobianOf))(x), jacrev(total(jacrev(f)))(x));
      close(jacfwd(total(jacobianOf))(x), jacrev(total(jacrev(f)))(x));
    }
    close(jit(jacobianOf as F)(vector(8)), jacrev(f)(vector(8)));
    // A value of an outer transformation in the function.
    const outer = (g: (h: F) => F) => (a: Value) => g((x) => f(x.mul(a)))(vector(8)).sum();
    close(jacrev(outer((h) => mixedJacobian(h)))(tensor(0.5)), jacrev(outer((h) => jacrev(h)))(tensor(0.5)));
  });

  test("a condition inside, and integers among the results", () => {
    const f = network(9, 2, 9);
    const g = (x: Value): Value =>
      cond(
        x.sum().gt(0),
        (y: Value) => f(y),
        (y: Value) => f(y).mul(2),
        x,
      );
    close(mixedJacobian(g)(vector(9)), jacrev(g)(vector(9)));
    const h = (x: Value): Value[] => [f(x), x.argmax()];
    close(mixedJacobian<[Value], Value[]>(h)(vector(9))[0], jacrev(f)(vector(9)));
  });

  test("what cannot be traced, or has no derivative, is refused", () => {
    expect(() => mixedJacobian((x) => (x.sum().item() > 0 ? x : x.neg()))(vector(3))).toThrow(
      "mixedJacobian: the elements of a traced value",
    );
    expect(() => mixedJacobian((x) => x.add(1))(tensor([1, 2], { dtype: "int32" }))).toThrow(
      "mixedJacobian: argument 0 is int32[2]",
    );
  });

  test("a gradient that is cut is no dependence", () => {
    const f = (x: Value): Value => {
      const parts = [x.sum().reshape([1]), x.square().sum().reshape([1])];
      return concatenate(parts).sum().mul(x.stopGradient());
    };
    expect(chooseMode<[Value]>(f)(vector(6)).costs.mixed).toMatchObject({ width: 1 });
    close(mixedJacobian(f)(vector(6)), jacrev(f)(vector(6)));
  });
});
