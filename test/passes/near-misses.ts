/**
 * Small graphs in all combinations, for rules of simplification: where each matches, and where it only almost does. A rule that
 * looks too little at what it matches changes a value in some of them.
 */
import {
  type Backend,
  type Graph,
  type Rule,
  type Value,
  avalOf,
  concatenate,
  evaluateGraph,
  fromHost,
  graphOf,
  hostArray,
  jsBackend,
  clamp,
  primitives,
  bind,
  simplificationRules,
  simplified,
  tidy,
  where,
} from "cotangent";

const shape = [2, 3];
const backend: Backend = jsBackend;
const numbers = [0, -0, 1, -1, 2, 3, 0.5, -4];

type Unary = (x: Value) => Value;

/** Steps of one operand, those that rules look for among them. */
const steps: readonly Unary[] = [
  ...("neg abs square relu floor ceil round sign exp log sqrt reciprocal" as const).split(" ").map(
    (name): Unary =>
      (x) =>
        bind(primitives().get(name)!, [x], {}),
  ),
  (x) => clamp(x, -1, 1),
  (x) => clamp(x, -2, 1),
  (x) => x.stopGradient(),
  (x) => x.transpose(),
  (x) => x.reshape([x.size]),
  (x) => x.reshape([1, ...x.shape]),
  (x) => x.reshape([...x.shape, 1]),
  (x) => x.broadcastTo([2, ...x.shape]),
  (x) => x.expandDims(0).broadcastTo([3, ...x.shape]),
  (x) => x.flip(0),
  (x) => x.flip(x.rank - 1),
  (x) => x.slice([1], [x.shape[0]]),
  (x) => x.slice([0], [x.shape[0]], [2]),
  (x) => x.pad([[1, 0]]),
  (x) => x.sum({ axis: 0 }),
  (x) => x.sum({ axis: x.rank - 1 }),
  (x) => x.prod({ axis: 0 }),
  (x) => x.max({ axis: x.rank - 1 }),
  (x) => x.min({ axis: 0 }),
  (x) => x.cumsum(0),
  (x) => x.sum().broadcastTo([2, 3]),
  (x) => x.astype("float32").astype("float64").astype("float32"),
  (x) => x.astype("float32").astype(x.dtype),
  (x) => x.astype("int32").astype(x.dtype),
  (x) => x.gt(0).astype(x.dtype),
  (x) => x.gt(0).not().not().astype(x.dtype),
];

const names = "add sub mul strongMul div pow max min" as const;
const binaries = names.split(" ").map(
  (name) =>
    (x: Value, y: Value): Value =>
      bind(primitives().get(name)!, [x, y], {}),
);

function* functions(): Generator<(x: Value, y: Value) => Value | Value[]> {
  for (const f of steps) for (const g of steps) yield (x) => f(g(x));
  for (const f of binaries) {
    for (const n of numbers) {
      yield (x) => f(x, x.constant(n, x.aval));
      yield (x) => f(x.constant(n, x.aval), x);
      // A number that the result has to be broadcast for, and one beside an array of another shape.
      yield (x) => f(x.sum(), x.constant(n, x.aval));
      yield (x) => f(x.constant(n, x.aval.withShape([])), x);
      yield (x) => f(x, x.constant(n, x.aval.withShape([1, 2, 3])));
    }
    // Not all elements are the number.
    yield (x) => f(x, concatenate([x.constant(1, x.aval), x.constant(0, x.aval)], 0).slice([1], [3]));
    for (const g of steps) {
      const isWhole = (x: Value): boolean => g(x).shape.join() === shape.join() && g(x).dtype === x.dtype;
      yield (x, y) => (isWhole(y) ? f(x, g(y)) : x);
      yield (x, y) => (isWhole(x) ? f(g(x), y) : y);
      yield (x, y) => (isWhole(x) ? f(g(x), g(y)) : y);
      yield (x) => (isWhole(x) ? f(x, g(x)) : x);
    }
    yield (x) => f(x, x);
    for (const g of binaries)
      for (const n of [2, 0.5]) yield (x) => f(g(x, x.constant(3, x.aval)), x.constant(n, x.aval));
  }
  for (const g of steps) {
    yield (x, y) => where(x.gt(0), x, g(y)).neg();
    yield (x) => g(x).matmul(g(x).transpose());
    yield (x, y) => x.matmul(y.transpose()).add(g(x).sum());
  }
  // Reductions of several elements whose results have axes of size 1, and of one.
  for (const [end, axis] of [
    [[2, 1], 0],
    [[1, 3], 1],
    [[1, 3], 0],
    [[1, 1], 0],
  ] as const) {
    const part = (x: Value): Value => x.slice([0, 0], end);
    yield (x) => [
      part(x).sum({ axis }),
      part(x).prod({ axis }),
      part(x).max({ axis }),
      part(x).min({ axis }),
    ];
  }
  yield (x, y) => where(x.gt(0), x, y);
  yield (x, y) => where(x.gt(y), x, x.neg());
  yield (x, y) => where(x.gt(0).and(y.gt(0)), y, x);
  yield (x, y) => where(x.gt(0).or(y.gt(0)).not(), y, x);
  yield (x, y) => x.gt(0).and(y.gt(0)).astype(x.dtype);
  for (const n of [0, 1]) {
    yield (x, y) => where(x.gt(0).constant(n, x.aval.withDType("bool")), x, y);
    yield (x) =>
      x
        .gt(0)
        .and(x.constant(n, x.aval.withDType("bool")))
        .astype(x.dtype);
    yield (x) => x.constant(n, x.aval.withDType("bool")).or(x.gt(0)).astype(x.dtype);
  }
  yield (x, y) => concatenate([x, y], 0);
  yield (x, y) => concatenate([x, y.slice([0], [0]), y], 0);
  for (const permutation of [
    [1, 0, 2],
    [2, 0, 1],
    [0, 2, 1],
  ]) {
    const cube = (x: Value, y: Value): Value => concatenate([x, y], 0).reshape([2, 2, 3]);
    yield (x, y) => cube(x, y).transpose(permutation).transpose([1, 2, 0]);
    yield (x, y) => cube(x, y).transpose(permutation).sum({ axis: 0 });
    yield (x, y) =>
      cube(x, y)
        .matmul(cube(y, x).transpose([0, 2, 1]))
        .transpose(permutation);
    yield (x, y) =>
      x
        .reshape([2, 1, 3])
        .transpose(permutation)
        .reshape([6])
        .add(y.reshape([6]));
  }
}

/** The graphs in one dtype: of these functions, and where the rules themselves say that they match. */
export function nearMisses(dtype: "float64" | "float32"): Graph[] {
  const avals = [avalOf(shape, dtype), avalOf(shape, dtype)];
  const graphs: Graph[] = [];
  const add = (f: (x: Value, y: Value) => unknown): void => {
    try {
      graphs.push(graphOf("near miss", f, avals, backend));
    } catch {
      // A combination of steps that does not fit.
    }
  };
  for (const f of functions()) add(f);
  for (const { example } of simplificationRules) add(example);
  return graphs;
}

/** Where a rule says that it matches, as graphs: one for each pattern. */
export function examplesOf({ example }: Rule, dtype: "float64" | "float32"): Graph[] {
  const avals = [avalOf(shape, dtype), avalOf(shape, dtype)];
  const all = graphOf("example", (x, y) => example(x, y), avals, backend);
  return all.outputs.map((_, i) => graphOf("example", (x, y) => [example(x, y)].flat()[i], avals, backend));
}

const special = [NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 2, 5e-324, 1e308, -3.7];
/** Two operands of special numbers, twice, and of ordinary ones. */
const operands = {
  exact: [
    [special.slice(0, 6), special.slice(6)],
    [special.slice(6), special.slice(0, 6).reverse()],
    [
      [0.3, -1.7, 2.6, -0.4, 1.1, -2.9],
      [1.3, 0.7, -2.1, 0.9, -1.5, 2.2],
    ],
  ],
  fast: [
    [
      [0.6, 1.7, 2.6, 0.9, 1.1, 2.9],
      [1.3, 0.7, 2.1, 1.9, 1.5, 2.2],
    ],
  ],
} as const;

const upload = (data: readonly number[], dtype: "float64" | "float32"): Value => {
  const host = hostArray(dtype, data.length);
  host.set(data);
  return fromHost(host, avalOf(shape, dtype), backend);
};

/** What a rule changes that it may not, in some of the graphs; undefined where there is nothing. */
export function changedBy(
  rule: Rule,
  graphs: readonly Graph[],
  dtype: "float64" | "float32",
): string | undefined {
  const isFast = rule.isFast === true;
  const roundoff = dtype === "float64" ? 2 ** -53 : 2 ** -24;
  const isSame = (a: number, b: number): boolean =>
    // Those that may be fast may round otherwise, some tens of times.
    Object.is(a, b) || (isFast && (a === b || Math.abs(a - b) <= 128 * roundoff * Math.max(1, Math.abs(b))));
  for (const graph of graphs) {
    if (!graph.nodes.some(({ primitive }) => rule.of.includes(primitive.name))) continue;
    const problem = tidy(() => {
      const show = (after: Graph): string =>
        `${rule.name}:\n${graph.toString({ lines: false })}\nbecame\n${after.toString({ lines: false })}`;
      const after = simplified(graph, { fast: true, rules: [rule] });
      if (after === graph) return undefined;
      for (const [a, b] of operands[isFast ? "fast" : "exact"]) {
        const inputs = [upload(a, dtype), upload(b, dtype)];
        const [found, wanted] = [after, graph].map((each) => evaluateGraph(each, inputs));
        for (const [i, value] of found.entries()) {
          const [x, y] = [value.dataSync(), wanted[i].dataSync()];
          if (value.aval.toString() !== wanted[i].aval.toString() || x.some((n, k) => !isSame(n, y[k])))
            return `${show(after)}\n${value.toString()} in place of ${wanted[i].toString()}`;
        }
      }
      return undefined;
    });
    if (problem !== undefined) return problem;
  }
  return undefined;
}
