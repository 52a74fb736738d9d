/** Simplification: each rule of the table on numbers of all kinds, and the table as a whole. */
import {
  type DType,
  type Graph,
  type Rule,
  type Value,
  avalOf,
  checked,
  evaluateGraph,
  fromHost,
  graphFlops,
  graphOf,
  hostArray,
  jsBackend,
  simplificationRules,
  simplified,
  stage,
  tidy,
} from "cotangent";
import { assert, constantFrom, array, double, oneof, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { testSeed } from "./graphs.ts";
import { expectSame, nodesOf, passLaws } from "./laws.ts";

const shape = [2, 3];

/** Any float, and those that break rules more often than others. */
const special = constantFrom(NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 2, 5e-324, -5e-324, 1e308, -1e308);
const elements = array(oneof(special, double(), double({ min: -3, max: 3 })), {
  minLength: 6,
  maxLength: 6,
});

function upload(data: readonly number[], dtype: DType): Value {
  const host = hostArray(dtype, data.length);
  host.set(data);
  return fromHost(host, avalOf(shape, dtype), jsBackend);
}

/** Where a rule says that it matches, as graphs: one for each pattern. */
function exampleGraphs({ example }: Rule, dtype: DType): Graph[] {
  const avals = [avalOf(shape, dtype), avalOf(shape, dtype)];
  const all = graphOf("example", (x, y) => example(x, y), avals, jsBackend);
  return all.outputs.map((_, i) => graphOf("example", (x, y) => [example(x, y)].flat()[i], avals, jsBackend));
}

describe.each(simplificationRules.map((rule) => [rule.name, rule] as const))("%s", (_, rule) => {
  test.each(["float64", "float32"] as const)("matches its examples, in %s", (dtype) => {
    for (const graph of exampleGraphs(rule, dtype)) {
      const told: string[] = [];
      const after = checked(
        simplified(graph, { fast: true, rules: [rule], tell: (name) => told.push(name) }),
      );
      expect(told, graph.toString({ lines: false })).toContain(rule.name);
      expect(nodesOf(after)).toBeLessThanOrEqual(nodesOf(graph));
      expect(graphFlops(after)).toBeLessThanOrEqual(graphFlops(graph));
      // With all others too, and in the mode that it is for.
      checked(simplified(graph, { fast: rule.isFast === true }));
    }
  });
});

const exact = simplificationRules.filter((rule) => rule.isFast !== true);
const fast = simplificationRules.filter((rule) => rule.isFast === true);
const named = (all: readonly Rule[]) => all.map((rule) => [rule.name, rule] as const);

describe("numbers of every kind stay what they are", () => {
  describe.each(["float64", "float32"] as const)("in %s", (dtype) => {
    test.each(named(exact))("%s", (_, rule) => {
      for (const graph of exampleGraphs(rule, dtype)) {
        const after = simplified(graph, { rules: [rule] });
        const what = `${graph.toString({ lines: false })}\nbecame\n${after.toString({ lines: false })}`;
        assert(
          property(elements, elements, (a, b) => {
            tidy(() => {
              const inputs = [upload(a, dtype), upload(b, dtype)];
              expectSame(evaluateGraph(after, inputs), evaluateGraph(graph, inputs), what);
            });
          }),
          { numRuns: 100, seed: testSeed },
        );
      }
    });
  });
});

test.each(named(fast))("%s is not applied unless it is asked for", (_, rule) => {
  for (const graph of exampleGraphs(rule, "float64")) {
    const told: string[] = [];
    simplified(graph, { tell: (name) => told.push(name) });
    expect(told).not.toContain(rule.name);
  }
});

describe("what may be fast is the same but for rounding, where nothing is special", () => {
  /** Numbers whose sums, products and powers are ordinary ones too, and no two of which cancel. */
  const ordinary = array(double({ min: 0.5, max: 3, noNaN: true }), { minLength: 6, maxLength: 6 });

  describe.each(["float64", "float32"] as const)("in %s", (dtype) => {
    test.each(named(fast))("%s", (_, rule) => {
      for (const graph of exampleGraphs(rule, dtype)) {
        const after = simplified(graph, { fast: true, rules: [rule] });
        assert(
          property(ordinary, ordinary, (a, b) => {
            tidy(() => {
              const inputs = [upload(a, dtype), upload(b, dtype)];
              const [found] = evaluateGraph(after, inputs).map((value) => value.dataSync());
              const [wanted] = evaluateGraph(graph, inputs).map((value) => value.dataSync());
              // Some ten roundings, of numbers no larger than six of the elements together.
              const tolerance = 10 * 6 * (dtype === "float64" ? 2 ** -53 : 2 ** -24);
              found.forEach((number, i) =>
                expect(Math.abs(number - wanted[i]), graph.toString({ lines: false })).toBeLessThanOrEqual(
                  tolerance * Math.max(1, Math.abs(wanted[i])),
                ),
              );
              expect(found.length).toBe(wanted.length);
            });
          }),
          { numRuns: 30, seed: testSeed },
        );
      }
    });
  });
});

test("no two rules have the same name", () => {
  const names = simplificationRules.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

describe("the table", () => {
  passLaws((graph) => simplified(graph));

  const after = (f: (x: Value) => unknown, dtype: DType = "float64"): string[] =>
    simplified(stage(f)(avalOf(shape, dtype))).nodes.map(({ primitive }) => primitive.name);

  test("gives the graph itself where there is nothing to do", () => {
    const graph = stage((x: Value) => x.sin().mul(x))(avalOf(shape, "float64"));
    expect(simplified(graph)).toBe(graph);
  });

  test("leaves what NaN, infinity or the sign of zero depends on, unless it may be fast", () => {
    const f = (x: Value): Value[] => [x.add(0), x.sub(x), x.mul(0), x.strongMul(0)];
    expect(after(f)).toEqual(["add", "sub", "mul", "strongMul"]);
    const graph = stage(f)(avalOf(shape, "float64"));
    const names = simplified(graph, { fast: true }).nodes.map(({ primitive }) => primitive.name);
    expect(new Set(names)).toEqual(new Set(["broadcastTo"]));
  });

  test("takes 0 for neutral among whole numbers, which have one zero", () => {
    expect(after((x) => x.add(0), "int32")).toEqual([]);
    expect(after((x) => x.mul(-1).neg(), "int32")).toEqual([]);
  });

  test("goes on with what it has made", () => {
    expect(after((x) => x.transpose().transpose().reshape([6]).reshape([2, 3]).neg().neg().mul(1))).toEqual(
      [],
    );
    expect(after((x) => x.add(x.neg().neg().neg()))).toEqual(["sub"]);
  });

  test("keeps what is used elsewhere", () => {
    expect(
      after((x) => {
        const y = x.neg();
        return [y, y.neg().exp()];
      }),
    ).toEqual(["neg", "exp"]);
  });
});
