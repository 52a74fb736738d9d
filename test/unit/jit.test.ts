/** Jitted functions: what they give, when they are traced, how they nest, what they refuse and what they leave behind. */
import {
  type Backend,
  BackendError,
  EscapedTracerError,
  JsBackend,
  StagingError,
  TreeError,
  type Value,
  DTypeError,
  cond,
  derivative,
  grad,
  hessian,
  hvp,
  jacfwd,
  jacrev,
  jit,
  jsBackend,
  setBackend,
  jvp,
  linearize,
  profile,
  registerBackend,
  scan,
  tensor,
  tidy,
  valueAndGrad,
  vjp,
  vmap,
  wasmBackend,
  whileLoop,
  withBackend,
  currentBackend,
} from "cotangent";
import { describe, expect, test } from "vitest";

// The reference computes eager and jitted code by the same kernels: to the last bit.
setBackend(jsBackend);

type F = (x: Value) => Value;
const x = tensor([0.5, -1, 2]);
const product: F = (v) => v.sin().mul(v.exp()).sum();

describe("results", () => {
  const matrix = tensor([
    [1, 2],
    [3, 4],
  ]);
  const cases: [string, (v: Value) => unknown][] = [
    ["a chain", (v) => v.sin().exp()],
    ["a value used several times", (v) => v.mul(v).add(v).mul(v)],
    ["a reduction, broadcast again", (v) => v.sub(v.mean()).square().sum()],
    ["the argument itself", (v) => v],
    ["the argument twice", (v) => [v, v]],
    ["nothing of the argument", (_) => tensor([1, 2])],
    ["a number", (_) => 3],
    ["the same value twice", (v) => ((w) => [w, w])(v.exp())],
    ["a tree", (v) => ({ a: v.neg(), b: [v.sum(), { c: v.max() }] })],
    ["whole numbers and bools", (v) => [v.argmax(), v.gt(0), v.floor().astype("int32")]],
    ["products and closed-over tensors", (v) => v.slice([0], [2]).matmul(matrix)],
    ["views of the argument", (v) => [v.reshape([3, 1]), v.reshape([1, 3]).transpose()]],
    ["nothing", (_) => []],
  ];
  const plain = (tree: unknown): unknown =>
    JSON.stringify(tree, (_, leaf: unknown) => (isValue(leaf) ? [leaf.dtype, leaf.toArray()] : leaf));
  const isValue = (leaf: unknown): leaf is Value =>
    typeof leaf === "object" && leaf !== null && "toArray" in leaf;

  test.each(cases)("%s: the same as eager, at the first call and later", (_, f) => {
    const jitted = jit(f);
    for (const point of [x, tensor([3, 0.25, -0.5])]) {
      const eager = f(point);
      // A number among the results is a scalar of the default dtype.
      const wanted = typeof eager === "number" ? tensor(eager) : eager;
      expect(plain(jitted(point))).toBe(plain(wanted));
    }
    expect(jitted.stats()).toMatchObject({ calls: 2, traces: 1, compilations: 1 });
  });

  test("no arguments at all", () => {
    let traces = 0;
    const constant = jit(() => (traces++, tensor([1, 2]).mul(2)));
    expect(constant().toArray()).toEqual([2, 4]);
    expect(constant().toArray()).toEqual([2, 4]);
    expect(traces).toBe(1);
  });
});

describe("traces", () => {
  test("one for each structure, shape, dtype and backend", () => {
    const f = jit((tree: { a: Value; b: Value[] }) => tree.b.reduce((sum, b) => sum.add(b), tree.a));
    const traces = (): number => f.stats().traces;
    const [one, two] = [tensor(1), tensor([1, 2])];
    f({ a: one, b: [one] });
    f({ a: tensor(5), b: [tensor(6)] });
    expect(traces()).toBe(1);
    f({ a: two, b: [one] });
    expect(traces()).toBe(2);
    f({ a: one, b: [one, one] });
    expect(traces()).toBe(3);
    const single = tensor(1, { dtype: "float32" });
    expect(f({ a: single, b: [single] }).dtype).toBe("float32");
    expect(traces()).toBe(4);
    const other = Object.assign(new JsBackend(), { name: "js, once more" });
    registerBackend(other);
    const there = tensor(1, { backend: other });
    expect(f({ a: there, b: [there] }).backend).toBe(other);
    expect(traces()).toBe(5);
    f({ a: one, b: [one] });
    expect(traces()).toBe(5);
    expect(f.stats().calls).toBe(7);
    expect(f.stats().tracingTime).toBeGreaterThan(0);
  });

  test("one for each structure that has as many values of the same shapes", () => {
    const f = jit((tree: { a: Value; b?: Value } | Value[]) =>
      Array.isArray(tree) ? tree[0].sub(tree[1]) : tree.b === undefined ? tree.a.neg() : tree.a.div(tree.b),
    );
    const [six, two] = [tensor(6), tensor(2)];
    expect(f({ a: six, b: two }).item()).toBe(3);
    expect(f([six, two]).item()).toBe(4);
    expect(f({ a: six }).item()).toBe(-6);
    expect(f.stats().traces).toBe(3);
  });

  test("one for all plain numbers, which take the dtype of the other arguments", () => {
    const f = jit((v: Value, k: Value) => v.mul(k));
    expect(f(x, 2).toArray()).toEqual([1, -2, 4]);
    expect(f(x, 3).toArray()).toEqual([1.5, -3, 6]);
    expect(f.stats().traces).toBe(1);
    expect(f(tensor([1], { dtype: "float32" }), 0.1).dtype).toBe("float32");
    expect(jit((k: Value) => k.add(1))(2).dtype).toBe("float64");
  });

  test("one for each static argument, by value where it is data, else by identity", () => {
    type Options = { readonly power: number; readonly tags: readonly string[] };
    const f = jit((v: Value, { power }: Options) => v.pow(power), { static: [1] });
    expect(f(tensor(3), { power: 2, tags: ["a"] }).item()).toBe(9);
    expect(f(tensor(2), { power: 2, tags: ["a"] }).item()).toBe(4);
    expect(f.stats().traces).toBe(1);
    expect(f(tensor(2), { power: 3, tags: ["a"] }).item()).toBe(8);
    expect(f.stats()).toMatchObject({ traces: 2, compilations: 2 });
    // The same graph: no other program.
    expect(f(tensor(2), { power: 3, tags: ["b"] }).item()).toBe(8);
    expect(f.stats()).toMatchObject({ traces: 3, compilations: 2 });

    const apply = jit((g: F, v: Value) => g(v), { static: [0] });
    const [twice, thrice]: F[] = [(v) => v.mul(2), (v) => v.mul(3)];
    expect([twice, thrice, twice].map((g) => apply(g, tensor(2)).item())).toEqual([4, 6, 4]);
    expect(apply.stats().traces).toBe(2);

    const named = jit((v: Value, name: string, on: boolean) => (on && name === "sin" ? v.sin() : v), {
      static: [1, 2],
    });
    expect([named(tensor(2), "sin", true), named(tensor(2), "sin", false)].map((v) => v.item())).toEqual([
      Math.sin(2),
      2,
    ]);
    // Whatever JSON would take for the same, and however parts could be put together.
    const shown: unknown[] = [];
    const seen = jit((_: Value, ...all: unknown[]) => shown.push(all), { static: [1, 2] });
    const each: [unknown, unknown][] = [
      [0, 1],
      [-0, 1],
      [{ rate: NaN }, 1],
      [{ rate: Infinity }, 1],
      [{ rate: null }, 1],
      [{}, 1],
      ["a string b", "c"],
      ["a", "b string c"],
      [{ "a:1,b": 2 }, 1],
      [{ a: 1, b: 2 }, 1],
      [[[], 1], 1],
      [[[1]], 1],
    ];
    for (const pair of [...each, ...each]) seen(tensor(0), ...pair);
    expect(shown).toEqual(each);
    // An object made anew with a function in it is known again.
    const applied = jit((v: Value, { g }: { g: F }) => g(v), { static: [1] });
    expect([twice, thrice, twice].map((g) => applied(tensor(2), { g }).item())).toEqual([4, 6, 4]);
    expect(applied.stats().traces).toBe(2);
    // A string is not the number, or the boolean, that it looks like.
    const kind = jit((_: Value, option: unknown) => (typeof option === "string" ? 1 : 2), { static: [1] });
    expect([kind(tensor(0), 1), kind(tensor(0), "1")].map((v) => v.item())).toEqual([2, 1]);
  });

  test("side effects happen once a trace", () => {
    let effects = 0;
    const f = jit((v: Value) => (effects++, v.add(1)));
    for (let i = 0; i < 5; i++) f(tensor(i));
    expect(effects).toBe(1);
    f(x);
    expect(effects).toBe(2);
  });

  test("the graph for arguments, without a call", () => {
    const f = jit((v: Value) => v.sin().mul(2));
    const graph = f.graph(x);
    expect(graph.nodes.map(({ primitive }) => primitive.name)).toEqual(["sin", "mul"]);
    expect(f.stats()).toMatchObject({ calls: 0, traces: 1 });
    f(x);
    expect(f.graph(tensor([1, 1, 1]))).toBe(graph);
    expect(f.stats()).toMatchObject({ calls: 1, traces: 1 });
  });
});

describe("closures", () => {
  test("a closed-over tensor is the one of the first call, even if it is disposed of", () => {
    let weights = tensor([1, 2, 3]);
    const f = jit((v: Value) => v.mul(weights));
    expect(f(x).toArray()).toEqual([0.5, -2, 6]);
    weights.dispose();
    weights = tensor([0, 0, 0]);
    expect(f(x).toArray()).toEqual([0.5, -2, 6]);
  });

  test("a closed-over traced value is that of the call, and has its derivative", () => {
    // d/dw (w · 3) at each w, and of w³, by either mode and to second order.
    let traces = 0;
    const cubed = (w: Value): Value => jit((v: Value) => (traces++, v.mul(w)))(w.mul(w));
    expect(grad(cubed)(2).item()).toBe(12);
    expect(grad(cubed)(3).item()).toBe(27);
    expect(traces).toBe(2);
    expect(derivative(cubed)(2).item()).toBe(12);
    expect(derivative(derivative(cubed))(2).item()).toBe(12);
    expect(grad((w) => grad(cubed)(w))(2).item()).toBe(12);
    expect(vmap(cubed)(tensor([1, 2])).toArray()).toEqual([1, 8]);
    const f = jit((v: Value) => v.mul(held));
    let held: Value = tensor(0);
    const outer = (w: Value): Value => ((held = w), f(tensor(5)));
    expect([2, 3].map((w) => grad(outer)(w).item())).toEqual([5, 5]);
    expect(f.stats()).toMatchObject({ calls: 2, traces: 2 });
    expect(() => grad((w: Value) => ((held = w), f.graph(tensor(5)), w))(1)).toThrow(
      /jit: the function closes over values of another transformation/,
    );
  });

  test("a closed-over value in a trace that a cached program cannot be taken for", () => {
    // Eager first: the program that closes over a tensor must not serve where a traced value stands in its place.
    let held: Value = tensor(10);
    const f = jit((v: Value) => v.mul(held));
    expect(grad((w: Value) => ((held = w), f(w)))(2).item()).toBe(4);
    held = tensor(10);
    expect(f(tensor(2)).item()).toBe(20);
  });
});

describe("nested", () => {
  const f: F = (v) => v.tanh().mul(v).sum();

  test("jit in jit is inlined, and the same", () => {
    const inner = jit((v: Value) => v.sin());
    const outer = jit((v: Value) => inner(inner(v)).add(v));
    expect(outer(x).toArray()).toEqual(x.sin().sin().add(x).toArray());
    expect(inner.stats().traces).toBe(1);
    const { evaluations } = profile(() => outer(x));
    expect(evaluations).toBe(3);
  });

  test.each([
    ["grad", (g: F) => grad(g)],
    ["jacfwd", (g: F) => jacfwd(g)],
    ["jacrev", (g: F) => jacrev(g)],
    ["hessian", (g: F) => hessian(g)],
    ["hvp", (g: F) => (v: Value) => hvp(g, v, v)],
    ["jvp", (g: F) => (v: Value) => jvp(g, [v], [v])[1]],
    ["vjp", (g: F) => (v: Value) => vjp(g, v)[1](2)[0]],
    ["linearize", (g: F) => (v: Value) => linearize(g, v)[1](v)],
    ["grad of grad", (g: F) => (v: Value) => grad((w: Value) => grad(g)(w).square().sum())(v)],
    ["vmap", (g: F) => (v: Value) => vmap(g)(v.reshape([3, 1]))],
  ] as [string, (g: F) => F][])("%s of a jitted function, jitted, and both", (_, transform) => {
    const wanted = transform(f)(x).toArray();
    expect(transform(jit(f) as F)(x).toArray()).toEqual(wanted);
    expect(jit(transform(f))(x).toArray()).toEqual(wanted);
    expect(jit(transform(jit(f) as F))(x).toArray()).toEqual(wanted);
  });

  test("a training step: value and gradient of a tree, traced once", () => {
    type Parameters = { readonly w: Value; readonly b: Value };
    const loss = ({ w, b }: Parameters, input: Value): Value => input.mul(w).sum().add(b).square();
    const step = jit((parameters: Parameters, input: Value) => {
      const [value, { w, b }] = valueAndGrad(loss)(parameters, input);
      return { value, w: parameters.w.sub(w.mul(0.01)), b: parameters.b.sub(b.mul(0.01)) };
    });
    let jitted: Parameters & { value?: Value } = { w: tensor([1, 0, 0]), b: tensor(1) };
    let { w, b } = jitted;
    for (let i = 0; i < 20; i++) {
      jitted = step({ w: jitted.w, b: jitted.b }, x);
      const gradient = valueAndGrad(loss)({ w, b }, x)[1];
      [w, b] = [w.sub(gradient.w.mul(0.01)), b.sub(gradient.b.mul(0.01))];
    }
    expect([jitted.w.toArray(), jitted.b.item()]).toEqual([w.toArray(), b.item()]);
    expect(step.stats()).toMatchObject({ calls: 20, traces: 1 });
  });

  test("with control flow inside, whose branch is chosen at each run", () => {
    const g = jit((v: Value) =>
      cond(
        v.gt(0),
        (w: Value) => w.sqrt(),
        (w: Value) =>
          whileLoop<Value>(
            (u) => u.lt(0),
            (u) => u.add(2),
            w,
          ),
        v,
      ),
    );
    expect([4, -3, -4].map((v) => g(v).item())).toEqual([2, 1, 0]);
    expect(g.stats().traces).toBe(1);
    expect([4, -3].map((v) => grad(g)(v).item())).toEqual([0.25, 1]);
  });
});

describe("what is refused, and in which words", () => {
  const cases: [string, () => unknown, new (...args: never[]) => Error, RegExp][] = [
    [
      "a condition of a traced value",
      () => jit((v: Value) => (v > tensor(0) ? v : v.neg()))(tensor(1)),
      StagingError,
      /jit: the elements of a traced value float64\[\] were asked for.*if \(x > 0\)\).*Use where or cond in place of if[^]*jit\.test\.ts:\d+/,
    ],
    ["Number", () => jit((v: Value) => Math.sin(Number(v)))(tensor(1)), StagingError, /Number\(x\)/],
    ["item", () => jit((v: Value) => v.item())(tensor(1)), StagingError, /by item, toArray, dataSync/],
    ["toArray", () => jit((v: Value) => v.toArray() as number[])(x), StagingError, /float64\[3\]/],
    [
      "a condition of several elements",
      () => jit((v: Value) => (v > tensor(0) ? v : v.neg()))(x),
      StagingError,
      /traced value float64\[3\] were asked for.*Use where or cond/,
    ],
    [
      "a function that calls itself without end",
      () => {
        const f: F = jit((v: Value) =>
          cond(
            v.sum().gt(1),
            (w: Value) => f(w.div(2)),
            (w: Value) => w,
            v,
          ),
        ) as F;
        return f(x);
      },
      StagingError,
      /jit: the function calls itself, with arguments like its own \(float64\[3\]\).*Use whileLoop, scan or foriLoop/,
    ],
    [
      "an abstract value",
      () => (jit as (f: unknown) => (...args: unknown[]) => unknown)((v: Value) => v)(x.aval),
      TreeError,
      /jit: argument 0 is the abstract value float64\[3\], but a jitted function runs on values.*stage\(f\)/,
    ],
    [
      "an inner transformation does not help",
      () => jit(grad((v: Value) => (v.item() > 0 ? v : v.neg())))(tensor(1)),
      StagingError,
      /traced value/,
    ],
    [
      "a string that is not static",
      () => (jit as (f: unknown) => (...args: unknown[]) => unknown)((v: Value, _: string) => v)(x, "sin"),
      TreeError,
      /jit: argument 1 is a string.*jit\(f, \{ static: \[number\] \}\)/,
    ],
    [
      "a function in a tree",
      () =>
        (jit as (f: unknown) => (...args: unknown[]) => unknown)((v: unknown) => v)({ a: { f: () => 1 } }),
      TreeError,
      /jit: argument 0\.a\.f is a function/,
    ],
    [
      "dtypes that do not mix",
      () => jit((v: Value) => v.add(tensor([1, 2, 3], { dtype: "int32" })))(x),
      DTypeError,
      /add/,
    ],
    [
      "a tensor of another backend",
      () => {
        const elsewhere = tensor([1, 2, 3], {
          backend: Object.assign(new JsBackend(), { name: "elsewhere" }),
        });
        return jit((v: Value) => v.add(elsewhere))(x);
      },
      BackendError,
      /elsewhere/,
    ],
  ];
  test.each(cases)("%s", (_, body, kind, message) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(message);
  });

  test("a traced value that has escaped", () => {
    let escaped = tensor(0) as Value;
    jit((v: Value) => (escaped = v.sin()))(x);
    expect(() => escaped.add(1)).toThrow(EscapedTracerError);
    expect(() => escaped.add(1)).toThrow(/jit .* was used after jit had returned/);
    expect(() => escaped.toArray()).toThrow(
      /reading elements: a traced value float64\[3\] of jit .* returned/,
    );
  });

  test("a trace that has failed leaves nothing: the next call is traced again", () => {
    let isBad = true;
    const f = jit((v: Value) => (isBad ? v.matmul(v.reshape([2])) : v.add(1)));
    expect(() => f(x)).toThrow(/reshape/);
    isBad = false;
    expect(f(x).toArray()).toEqual([1.5, 0, 3]);
    expect(f.stats()).toMatchObject({ calls: 1, traces: 1 });
  });
});

describe("memory", () => {
  const alive = (): number => currentBackend().memory().buffers;
  const scanned: F = (v) => scan((c: Value, row: Value) => [c.mul(row).sin(), c], v, tensor([1, 2]))[1];
  const cases: [string, F, number][] = [
    ["a chain", (v) => v.sin().exp().mul(v), 1],
    ["a gradient", (v) => grad(product)(v), 1],
    ["a Hessian", (v) => hessian(product)(v), 1],
    ["a scan", scanned, 1],
    ["the gradient of a scan", (v) => grad((w: Value) => scanned(w).sum())(v), 1],
    ["a batch", (v) => vmap((w: Value) => w.exp().mul(w))(v), 1],
    ["a rank-0 result, which is a plain number", product, 0],
    ["the argument, which shares its buffer", (v) => v, 0],
  ];
  describe.each([jsBackend, wasmBackend] as Backend[])("on $name", (backend) => {
    test.each(cases)("%s leaves its results alive and nothing else", (_, f, outputs) => {
      withBackend(backend, () => {
        const own = tensor([0.5, -1, 2]);
        const jitted = jit(f);
        tidy(() => void jitted(own)); // what the graph keeps, it keeps from its first run on
        const before = alive();
        const result = jitted(own);
        expect(alive() - before).toBe(outputs);
        result.concrete().dispose();
        expect(alive()).toBe(before);
        for (let i = 0; i < 10; i++) tidy(() => void jitted(own));
        expect(alive()).toBe(before);
      });
    });
  });

  test("tracing keeps the tensors that were closed over, not those made on the way", () => {
    const matrix = tensor([1, 2, 3]);
    const before = alive();
    const f = jit((v: Value) => tidy(() => v.mul(matrix)).add(tensor([1, 2, 3])));
    f.graph(x);
    // The tensor of the body is a constant of the graph.
    expect(alive() - before).toBe(1);
  });

  test("a kernel that fails half-way leaves nothing", () => {
    const f = jit((v: Value, i: Value) => v.exp().take(i).sin());
    const index = (i: number): Value => tensor([i], { dtype: "int32" });
    tidy(() => void f(x, index(0)));
    const bad = index(7);
    const before = alive();
    expect(() => f(x, bad)).toThrow(/gather: index 7 is outside/);
    expect(alive()).toBe(before);
  });
});
