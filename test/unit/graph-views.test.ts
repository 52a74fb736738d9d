/** Graphs as text, JSON and diagrams. */
import {
  Graph,
  GraphError,
  type Primitive,
  type Value,
  avalOf,
  bind,
  bindMultiple,
  call,
  customJvp,
  evaluateGraph,
  grad,
  graphFromJSON,
  graphOf,
  jit,
  jsBackend,
  noParams,
  paramsOf,
  primitives,
  sameStructure,
  scan,
  stage,
  switchCase,
  tensor,
  tidy,
} from "cotangent";
import { RecordedDraw, defaultSeed, drawCall, drawProgram, everyPrimitive, fit } from "@cotangent/verify";
import { assert, gen, pre, property } from "fast-check";
import { fromDot } from "ts-graphviz";
import { describe, expect, test } from "vitest";

const runs = (numRuns: number): { numRuns: number; seed: number } => ({ numRuns, seed: defaultSeed() });

/** What holds for every graph and its views. `stageAgain` gives the same program, traced anew. */
function expectFaithful(graph: Graph, stageAgain: () => Graph, inputs: readonly Value[]): void {
  const text = graph.toString();
  expect(stageAgain().toString()).toBe(text);
  const json = JSON.stringify(graph);
  const again = graphFromJSON(json);
  expect(JSON.stringify(again)).toBe(json);
  expect(again.toString({ elements: Infinity })).toBe(graph.toString({ elements: Infinity }));
  const results = evaluateGraph(graph, inputs).map((value) => value.dataSync());
  const resultsAgain = evaluateGraph(again, inputs).map((value) => value.dataSync());
  expect(resultsAgain).toEqual(results);
  fromDot(graph.toDot());
}

describe("every graph", () => {
  /** A call of a user's own rules holds functions, which text shows by their names and JSON cannot hold. */
  const holdsFunctions = (primitive: Primitive): boolean => primitive.name === "customCall";

  test("with functions among its parameters is shown, but not written", () => {
    const square = customJvp(
      (x: Value) => x.mul(x),
      ([x], [dx]) => [x.mul(x), x.mul(2).mul(dx)],
    );
    const graph = stage((x: Value) => square(x))(avalOf([], "float64"));
    expect(graph.toString()).toContain("customCall(");
    expect(() => graph.toJSON()).toThrow(/is a function, which JSON cannot hold/);
    fromDot(graph.toDot());
  });

  const writable = everyPrimitive().filter((primitive) => !holdsFunctions(primitive));
  test.each(writable.map((primitive): [string, Primitive] => [primitive.name, primitive]))(
    "of %s is written and read back exactly",
    (_, primitive) => {
      const holds = property(gen(), (generate) =>
        tidy(() => {
          const { params, inputs } = drawCall(new RecordedDraw(generate), primitive, "float64");
          const concrete = paramsOf({ params }, "float64");
          const f = (...values: Value[]): unknown =>
            primitive.rules.form === "multiple"
              ? bindMultiple(primitive, values, concrete)
              : bind(primitive, values, concrete);
          const avals = inputs.map(({ shape, dtype }) => avalOf(shape, dtype));
          const staged = (): Graph => graphOf("test", f, avals, jsBackend);
          const values = inputs.map(({ data, shape, dtype }) => tensor(data, { shape, dtype }));
          expectFaithful(staged(), staged, values);
        }),
      );
      assert(holds, runs(5));
    },
  );

  test("of a random program is written and read back exactly; and so is its derivative's", () => {
    const holds = property(gen(), (generate) =>
      tidy(() => {
        const subject = drawProgram(new RecordedDraw(generate), jsBackend, 6);
        const inputs = subject.point.map(({ data, shape }) => tensor(data, { shape, dtype: "float64" }));
        // Functions with rules of their own are code, which JSON cannot hold.
        pre(subject.features?.includes("custom") !== true);
        const f = (...values: Value[]): Value[] => subject.apply(values, []);
        const loss = (...values: Value[]): Value =>
          jit(f)(...values)
            .map((value) => value.sum())
            .reduce((a, b) => a.add(b));
        const argnums = inputs.map((_, i) => i);
        for (const program of [f, grad(loss, { argnums })]) {
          const staged = (): Graph => stage(program)(...inputs);
          expectFaithful(staged(), staged, inputs);
        }
      }),
    );
    assert(holds, runs(25));
  });
});

describe("toString", () => {
  const weights = tensor([
    [1, 2],
    [3, 4.5],
  ]);

  test("is a program: types, constants, parameters, lines", () => {
    const graph = stage((x: Value) => weights.matmul(x).mul(0.5).sum().add(1e-7))(avalOf([2], "float64"));
    expect(graph.toString()).toMatch(
      new RegExp(
        [
          String.raw`^graph\(%0: float64\[2\]\) \{`,
          String.raw`  const %1: float64\[2,2\] = \[\[1\.0, 2\.0\], \[3\.0, 4\.5\]\]`,
          String.raw`  %4: float64\[2,1\] = reshape\(%0, shape: \[2, 1\]\)  # graph-views\.test\.ts:\d+:\d+`,
          String.raw`  %5: float64\[2,1\] = dotGeneral\(%1, %4, contractX: \[1\], .*\)  # graph-views\.test\.ts:\d+:\d+`,
          String.raw`  %6: float64\[2\] = reshape\(%5, shape: \[2\]\)  # graph-views\.test\.ts:\d+:\d+`,
          String.raw`  %7: float64\[2\] = mul\(%6, 0\.5\)  # graph-views\.test\.ts:\d+:\d+`,
          String.raw`  %8: float64\[\] = sum\(%7, axes: \[0\]\)  # graph-views\.test\.ts:\d+:\d+`,
          String.raw`  %9: float64\[\] = add\(%8, 1e-7\)  # graph-views\.test\.ts:\d+:\d+`,
          String.raw`  return %9`,
          String.raw`\}$`,
        ].join("\n"),
      ),
    );
    expect(`${graph}`).toBe(graph.toString());
  });

  test("leaves out lines and the elements of large constants when asked to", () => {
    const graph = stage((x: Value) => x.add(tensor([1, 2, 3])))(avalOf([3], "float64"));
    expect(graph.toString({ lines: false, elements: 2 })).toBe(
      [
        "graph(%0: float64[3]) {",
        "  const %1: float64[3] = [1.0, 2.0, ...]",
        "  %2: float64[3] = add(%0, %1)",
        "  return %2",
        "}",
      ].join("\n"),
    );
  });

  test("indents nested graphs, and names several outputs", () => {
    const graph = stage((x: Value, i: Value) => {
      const [last, all] = scan<Value, Value, Value>((sum, row) => [sum.add(row), sum.sin()], 0, x);
      return switchCase(i, [() => last, () => all.sum()]);
    })(avalOf([3], "float64"), avalOf([], "int32"));
    const text = graph.toString({ lines: false });
    expect(text).toContain(
      [
        "    body(%0: float64[], %1: float64[]) {",
        "      %2: float64[] = add(%0, %1)",
        "      %3: float64[] = sin(%0)",
        "      return %2, %3",
        "    }",
      ].join("\n"),
    );
    expect(text).toMatch(
      /^ {2}%\d+: float64\[\], %\d+: float64\[3\] = scan\(0\.0, %0, .*length: 3.*\) with$/m,
    );
    expect(text).toMatch(/^ {4}branches\[1\]\(.*\) \{$/m);
  });

  test("writes numbers of every dtype so that they can be told apart", () => {
    const written = (x: Value, y: number): string =>
      /\(%0, (.*)\)/.exec(stage((v: Value) => v.mul(y))(x).toString({ lines: false }))?.[1] ?? "";
    expect(written(tensor(1), 2)).toBe("2.0");
    expect(written(tensor(1), -0)).toBe("-0.0");
    expect(written(tensor(1), NaN)).toBe("NaN");
    expect(written(tensor(1), -Infinity)).toBe("-Infinity");
    expect(written(tensor(1, { dtype: "float32" }), 0.1)).toBe("0.1");
    expect(written(tensor(1, { dtype: "float32" }), 16777217)).toBe("16777216.0");
    expect(written(tensor(1, { dtype: "int32" }), 7)).toBe("7");
  });
});

describe("toJSON", () => {
  test("keeps what JSON has no numbers for, in constants and in parameters", () => {
    const special = [NaN, Infinity, -Infinity, -0, 0, 5e-324, 0.1];
    const graph = stage((x: Value) => [x.add(tensor(special)), x.pad([[1, 0]], -Infinity), x.mul(-0)])(
      avalOf([7], "float64"),
    );
    const again = graphFromJSON(JSON.parse(JSON.stringify(graph)));
    expect(again.constants[0].toArray()).toEqual(special);
    expect(again.constants.some((tensor) => tensor.rank === 0 && Object.is(tensor.item(), -0))).toBe(true);
    expect(again.nodes.map((node) => node.params)).toEqual(graph.nodes.map((node) => node.params));
  });

  test("keeps lines, nested graphs and structure", () => {
    const graph = stage((x: Value) => jit((y: Value) => y.sin().mul(2))(x))(avalOf([3], "float64"));
    const again = graphFromJSON(graph.toJSON());
    expect(sameStructure(again, graph)).toBe(true);
    expect(again.nodes[0].origin?.line).toBe(graph.nodes[0].origin?.line);
    expect(again.nodes[0].origin?.line).toMatch(/graph-views\.test\.ts:\d+:\d+$/);
    expect((again.nodes[0].params as { graph: Graph }).graph).toBeInstanceOf(Graph);
    expect(grad((x: Value) => evaluateGraph(again, [x])[0].sum())(tensor([1, 2, 3])).toArray()).toEqual(
      [1, 2, 3].map((x) => 2 * Math.cos(x)),
    );
  });

  test("is refused where parameters are no data", () => {
    const odd = (params: object): Graph =>
      new Graph(
        [avalOf([], "float64")],
        [],
        [
          {
            primitive: primitives().get("sin") as Primitive,
            inputs: [0],
            outputs: [1],
            params,
            origin: null,
          },
        ],
        [1],
        [avalOf([], "float64"), avalOf([], "float64")],
      );
    expect(() => odd({ rules: [Math.sin] }).toJSON()).toThrow(/sin's params\.rules\[0\] is a function/);
    expect(() => odd({ at: new Date(0) }).toJSON()).toThrow(/sin's params\.at is a Date/);
    const dollars = { $graph: 1, list: [undefined, { $number: "NaN" }], dtype: avalOf([2], "int32") };
    expect(graphFromJSON(JSON.stringify(odd(dollars))).nodes[0].params).toEqual(dollars);
    expect(graphFromJSON(odd(noParams).toJSON()).nodes[0].params).toEqual({});
  });

  test("faults are named", () => {
    const json = stage((x: Value) => x.sin().add(tensor([1, 2])))(avalOf([2], "float64")).toJSON();
    const [node, ...rest] = json.nodes;
    const cases: [unknown, RegExp][] = [
      ["{", /the text is not JSON/],
      [{}, /the format undefined, but "cotangent-graph" is needed/],
      [{ ...json, version: 99 }, /version 99, but this Cotangent reads 1/],
      [
        { ...json, nodes: [{ ...node, primitive: "sinq" }, ...rest] },
        /nodes\[0\] applies a primitive "sinq", which is not registered/,
      ],
      [{ ...json, nodes: [{ ...node, inputs: [5] }, ...rest] }, /node 0 \(sin\) uses %5/],
      [{ ...json, nodes: [{ ...node, inputs: ["x"] }, ...rest] }, /nodes\[0\]\.inputs has "x" in it/],
      [
        { ...json, nodes: [{ ...node, avals: [{ dtype: "float64", shape: [] }] }, ...rest] },
        /node 0 \(sin\) gives float64\[2\], but %2 is float64\[\]/,
      ],
      [
        { ...json, constants: [{ dtype: "float64", shape: [2], data: [1] }] },
        /has 1 elements for float64\[2\]/,
      ],
      [{ ...json, inputs: [{ dtype: "float16", shape: [2] }] }, /dtype "float16", which there is not/],
    ];
    for (const [broken, message] of cases) {
      expect(() => graphFromJSON(broken)).toThrow(GraphError);
      expect(() => graphFromJSON(broken)).toThrow(message);
    }
  });
});

describe("toDot and toMermaid", () => {
  const nested = (): Graph =>
    stage((x: Value) => {
      const [y] = call([x, x.sum()], {
        graph: graphOf(
          "test",
          (a, b) => [a.mul(b)],
          [avalOf([2], "float64"), avalOf([], "float64")],
          jsBackend,
        ),
        save: "nothing",
      });
      return fit(y, [2], 0.5, [1, 2]);
    })(avalOf([2], "float64"));

  test("DOT has a node per variable in use, an edge per use, and clusters of nested graphs", () => {
    const model = fromDot(nested().toDot());
    const labels = (nodes: typeof model.nodes): unknown[] =>
      nodes.map((node) => String(node.attributes.get("label")).split(String.raw`\n`)[0]);
    expect(labels(model.nodes)).toEqual(expect.arrayContaining(["%0", "0.5", "[1.0, 2.0]", "output"]));
    const [cluster] = model.subgraphs;
    expect(labels(cluster.nodes)).toEqual([expect.stringMatching(/^%\d+ = call$/)]);
    expect(labels(cluster.subgraphs[0].nodes)).toEqual(["%0", "%1", "%2 = mul", "output"]);
    const edgeLabels = model.edges.map((edge) => edge.attributes.get("label"));
    expect(edgeLabels).toContain("[2] x");
    expect(edgeLabels).toContain("[]");
  });

  test("Mermaid has them as well, with all odd characters as entities", () => {
    const mermaid = nested().toMermaid();
    expect(mermaid).toMatch(/^flowchart TB$/m);
    expect(mermaid).toMatch(/^ {2}i0\(\["%0<br\/>float64\[2\]"\]\):::input_$/m);
    expect(mermaid).toMatch(/n1\["%\d+ = call<br\/>save: #34;nothing#34;/);
    expect(mermaid).toMatch(/subgraph sn1g0\["graph"\]/);
  });
});
