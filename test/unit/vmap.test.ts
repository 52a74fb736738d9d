/** Batching: what vmap(f) gives and refuses, nested with every other transformation. */
import {
  EscapedTracerError,
  ShapeError,
  StagingError,
  TreeError,
  type MultipleOp,
  type Value,
  checkpoint,
  cond,
  conv2d,
  custom,
  derivative,
  grad,
  hessian,
  jacfwd,
  jacrev,
  jit,
  jsBackend,
  jvp,
  linearize,
  maxPool2d,
  multiplePrimitive,
  primitive,
  primitives,
  profile,
  scan,
  stack,
  tensor,
  tidy,
  unaryKernel,
  valueAndGrad,
  vjp,
  vmap,
  where,
  whileLoop,
  currentBackend,
} from "cotangent";
import { describe, expect, test } from "vitest";

type F = (x: Value) => Value;
const ints = (values: number[] | number): Value => tensor(values, { dtype: "int32" });
const matrix = tensor([
  [1, 2, 3],
  [4, 5, 6],
]);

/** The oracle: f of each element along axis 0, stacked. */
const each = (f: F, xs: Value): Value => stack(Array.from({ length: xs.shape[0] }, (_, k) => f(xs.at(k))));

describe("axes", () => {
  test("the batch is axis 0 on both sides, unless said otherwise", () => {
    const f: F = (x) => x.square().sum();
    expect(vmap(f)(matrix).toArray()).toEqual([14, 77]);
    expect(vmap(f, { inAxes: 1 })(matrix).toArray()).toEqual([17, 29, 45]);
    expect(vmap(f, { inAxes: -1 })(matrix).toArray()).toEqual([17, 29, 45]);
    expect(vmap((x: Value) => x.mul(2), { outAxes: 1 })(matrix).toArray()).toEqual([
      [2, 8],
      [4, 10],
      [6, 12],
    ]);
    expect(vmap((x: Value) => x.mul(2), { outAxes: -1 })(matrix).shape).toEqual([3, 2]);
  });

  test("what is not batched is the same for all elements", () => {
    const f = (x: Value, y: Value): Value => x.mul(y).sum();
    expect(vmap(f, { inAxes: [null, 0] })(tensor([1, 10, 100]), matrix).toArray()).toEqual([321, 654]);
    expect(vmap(f, { inAxes: [0, null] })(matrix, tensor([1, 10, 100])).toArray()).toEqual([321, 654]);
    // Values that f closes over, and numbers.
    expect(vmap((x: Value) => x.add(matrix).sum())(tensor([0, 1])).toArray()).toEqual([21, 27]);
    expect(
      vmap((x: Value, n: Value) => x.mul(n), { inAxes: [0, null] })(tensor([1, 2]), 3).toArray(),
    ).toEqual([3, 6]);
  });

  test("elements of different ranks line up as they do by themselves", () => {
    const f = (x: Value, y: Value): Value => x.add(y);
    const [x, y] = [tensor([10, 20]), matrix];
    expect(vmap(f)(x, y).toArray()).toEqual([
      [11, 12, 13],
      [24, 25, 26],
    ]);
    expect(vmap(f, { inAxes: [0, null] })(x, y).shape).toEqual([2, 2, 3]);
    expect(vmap((a: Value) => where(a.gt(15), matrix, a))(x).toArray()).toEqual([
      [
        [10, 10, 10],
        [10, 10, 10],
      ],
      matrix.toArray(),
    ]);
  });

  test("trees of arguments and of results", () => {
    const model = ({ w, b }: { w: Value; b: Value }, x: Value): { y: Value; parts: Value[] } => ({
      y: w.mul(x).sum().add(b),
      parts: [x, b],
    });
    const parameters = { w: tensor([1, 1, 1]), b: tensor([0, 100]) };
    const { y, parts } = vmap(model, {
      inAxes: [{ w: null, b: 0 }, 0],
      outAxes: { y: 0, parts: [1, 0] },
    })(parameters, matrix);
    expect(y.toArray()).toEqual([6, 115]);
    expect(parts[0].shape).toEqual([3, 2]);
    expect(parts[1].toArray()).toEqual([0, 100]);
  });

  test("outputs that are the same for all are repeated, or given once where outAxes is null", () => {
    const f = (x: Value): Value[] => [x, tensor(7)];
    expect(vmap(f)(tensor([1, 2]))[1].toArray()).toEqual([7, 7]);
    expect(vmap(f, { outAxes: [0, null] })(tensor([1, 2]))[1].toArray()).toEqual(7);
    expect(vmap((_: Value) => 1)(tensor([1, 2])).toArray()).toEqual([1, 1]);
  });

  test("a batch of nothing", () => {
    const nothing = tensor([], { shape: [0, 2, 5, 5, 3] });
    const filter = tensor(new Array(3 * 3 * 3 * 4).fill(1), { shape: [3, 3, 3, 4] });
    expect(vmap((x: Value) => conv2d(x, filter))(nothing).shape).toEqual([0, 2, 3, 3, 4]);
    expect(vmap((x: Value) => maxPool2d(x, 2))(nothing).shape).toEqual([0, 2, 2, 2, 3]);
    const first = (x: Value): Value =>
      whileLoop(
        (y: Value) => y.sum().lt(1),
        (y: Value) => y.add(x),
        x,
      );
    expect(vmap(first)(tensor([], { shape: [0, 3] })).shape).toEqual([0, 3]);
  });
});

describe("what is refused, and in which words", () => {
  const cases: [string, () => unknown, new (...args: never[]) => Error, RegExp][] = [
    [
      "batch sizes that differ",
      () => vmap((x: Value, y: Value) => x.add(y))(tensor([1, 2]), tensor([1, 2, 3])),
      ShapeError,
      /batch sizes differ: 2 along axis 0 of argument 0 \(float64\[2\]\), but 3 along axis 0 of argument 1 \(float64\[3\]\)/,
    ],
    [
      "batch sizes that differ, in a tree",
      () =>
        vmap(({ a, b }: { a: Value; b: Value[] }) => a.add(b[0]))({ a: tensor([1]), b: [tensor([1, 2])] }),
      ShapeError,
      /1 along axis 0 of argument 0\.a .*, but 2 along axis 0 of argument 0\.b\[0\]/,
    ],
    [
      "nothing batched",
      () => vmap((x: Value) => x, { inAxes: null })(tensor([1])),
      TreeError,
      /no argument is batched/,
    ],
    ["no argument", () => vmap(() => 1)(), TreeError, /no argument is batched/],
    [
      "an axis out of range",
      () => vmap((x: Value) => x, { inAxes: 2 })(matrix),
      ShapeError,
      /argument 0\): axis 2 asked for, but the value has rank 2/,
    ],
    [
      "an axis of the result out of range",
      () => vmap((x: Value) => x, { outAxes: -3 })(matrix),
      ShapeError,
      /axis -3 asked for/,
    ],
    [
      "an axis that is no whole number",
      () => vmap((x: Value) => x, { inAxes: 0.5 })(matrix),
      ShapeError,
      /axis 0\.5/,
    ],
    [
      "a scalar",
      () => vmap((x: Value) => x)(3),
      ShapeError,
      /argument 0 \(float64\[\]\) has no axis to be batched along.*inAxes null/,
    ],
    [
      "axes of another structure",
      () => vmap(({ a }: { a: Value }) => a, { inAxes: [{ b: 0 }] })({ a: tensor([1]) }),
      TreeError,
      /inAxes has the structure \{b:\*\} where argument 0 has \{a:\*\}/,
    ],
    [
      "too many axes",
      () => vmap((x: Value) => x, { inAxes: [0, 0] })(tensor([1])),
      TreeError,
      /inAxes has 2 entries for 1 arguments/,
    ],
    [
      "axes of the result of another structure",
      () => vmap((x: Value) => [x, x], { outAxes: [0] })(tensor([1])),
      TreeError,
      /outAxes has the structure \[\*\] where the result has \[\*,\*\]/,
    ],
    [
      "one result for elements that differ",
      () => vmap((x: Value) => [tensor(1), x], { outAxes: [null, null] })(tensor([1])),
      ShapeError,
      /outAxes is null for \[1\], but it differs from element to element/,
    ],
    [
      "an if",
      () => vmap((x: Value) => (x > tensor(0) ? x : x.neg()))(tensor([1, -1])),
      StagingError,
      /vmap: the elements of a batched value float64\[\] were asked for.*Use where or cond in place of if/,
    ],
    ["item", () => vmap((x: Value) => x.item())(tensor([1, -1])), StagingError, /by item, toArray/],
  ];
  test.each(cases)("%s", (_, body, kind, message) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(message);
  });

  test("a value that has escaped", () => {
    let escaped = tensor(0) as Value;
    vmap((x: Value) => (escaped = x))(tensor([1, 2]));
    expect(() => escaped.add(1)).toThrow(EscapedTracerError);
    expect(() => escaped.add(1)).toThrow(/vmap .* was used after vmap had returned/);
    expect(() => escaped.item()).toThrow(/reading elements: .* of vmap .* was used after vmap had returned/);
  });

  test("an index out of range of its own element, though not of the batch", () => {
    const take = (x: Value, i: Value): Value => x.take(i);
    for (const index of [3, -1]) {
      expect(() => vmap(take)(matrix, ints([index, 0]))).toThrow(/gather: index .* is outside/);
      expect(() => vmap(take)(matrix, ints([0, index]))).toThrow(/gather: index .* is outside/);
      expect(() => vmap(grad((x: Value, i: Value) => x.take(i)))(matrix, ints([0, index]))).toThrow(
        "outside",
      );
    }
  });
});

describe("nested", () => {
  const cube: F = (x) => x.square().mul(x);

  test("in itself, each level with axes of its own", () => {
    const [x, y] = [tensor([1, 2]), tensor([1, 10, 100])];
    const outer = vmap((a: Value) => vmap((b: Value) => a.mul(b))(y))(x);
    expect(outer.toArray()).toEqual([
      [1, 10, 100],
      [2, 20, 200],
    ]);
    const pairs = vmap(
      vmap((a: Value, b: Value) => a.sub(b), { inAxes: [null, 0] }),
      { inAxes: [0, null] },
    );
    expect(pairs(x, y).toArray()).toEqual([
      [0, -9, -99],
      [1, -8, -98],
    ]);
  });

  test("with derivatives inside and outside", () => {
    const x = tensor([1, 2, 3]);
    expect(vmap(grad((v: Value) => cube(v)))(x).toArray()).toEqual([3, 12, 27]);
    expect(vmap(derivative(cube))(x).toArray()).toEqual([3, 12, 27]);
    expect(grad((v: Value) => vmap(cube)(v).sum())(x).toArray()).toEqual([3, 12, 27]);
    expect(jvp(vmap(cube), [x], [x])[1].toArray()).toEqual([3, 24, 81]);
    expect(vmap((v: Value) => jvp(cube, [v], [v])[1])(x).toArray()).toEqual([3, 24, 81]);
    expect(vmap((v: Value) => vjp(cube, v)[1](1)[0])(x).toArray()).toEqual([3, 12, 27]);
    expect(vjp(vmap(cube) as F, x)[1](x)[0].toArray()).toEqual([3, 24, 81]);
    expect(vmap(derivative(derivative(cube)))(x).toArray()).toEqual([6, 12, 18]);
    expect(
      vmap(hessian((v: Value) => cube(v).sum()))(matrix)
        .at(1)
        .toArray(),
    ).toEqual([
      [24, 0, 0],
      [0, 30, 0],
      [0, 0, 36],
    ]);
    expect(hessian((v: Value) => vmap(cube)(v).sum())(x).toArray()).toEqual([
      [6, 0, 0],
      [0, 12, 0],
      [0, 0, 18],
    ]);
    expect(vmap((v: Value) => linearize(cube, v)[1](v))(x).toArray()).toEqual([3, 24, 81]);
  });

  test("a value and its gradient per example", () => {
    const loss = (w: Value, x: Value): Value => w.mul(x).sum().tanh();
    const w = tensor([0.1, 0.2, -0.1]);
    const [values, gradients] = vmap(valueAndGrad(loss), { inAxes: [null, 0] })(w, matrix);
    for (let k = 0; k < 2; k++) {
      const [value, gradient] = valueAndGrad(loss)(w, matrix.at(k));
      expect(values.at(k).item()).toBe(value.item());
      expect(gradients.at(k).toArray()).toEqual(gradient.toArray());
    }
  });

  test("perturbations and batches are not confused", () => {
    const x = tensor([1, 2]);
    // d/dy of x · d/dz (x z y) at z = 1 is x².
    const f = (v: Value): Value => derivative((y) => v.mul(derivative((z) => v.mul(z).mul(y))(1)))(1);
    expect(vmap(f)(x).toArray()).toEqual([1, 4]);
    expect(vmap((a: Value) => vmap((b: Value) => a.add(b.mul(0)).add(a))(x))(x).toArray()).toEqual([
      [2, 2],
      [4, 4],
    ]);
  });

  test("a scalar among arrays has a scalar gradient (jax#6452, jax#1350)", () => {
    const f = (s: Value, x: Value): Value => s.mul(x).sum();
    const byScalar = vmap(grad(f), { inAxes: [0, null] })(tensor([2, 3]), tensor([1, 2, 3]));
    expect(byScalar.toArray()).toEqual([6, 6]);
    expect(vmap(grad(f), { inAxes: [null, 0] })(tensor(2), matrix).toArray()).toEqual([6, 15]);
    expect(grad((s: Value) => vmap((x: Value) => f(s, x))(matrix).sum())(tensor(2)).toArray()).toBe(21);
    expect(vmap(grad((s: Value, x: Value) => s.add(x).prod()))(tensor([1, 2]), matrix).shape).toEqual([2]);
  });

  test("with jit and checkpoint, either way round", () => {
    const f: F = (x) => x.softmax().mul(x).sum();
    const wanted = each(f, matrix).toArray();
    for (const g of [vmap(f), jit(vmap(f)), vmap(jit(f) as F), vmap(checkpoint(f) as F)])
      expect((g as F)(matrix).toArray()).toEqual(wanted);
    const gradients = each(grad(f) as F, matrix).toArray();
    for (const g of [jit(f), checkpoint(f), f])
      expect(vmap(grad(g) as F)(matrix).toArray()).toEqual(gradients);
  });
});

describe("control flow", () => {
  const data = tensor([1, 2, 3]);
  /** The sum of x from an index on, by a loop that reads one element a step. */
  const tail = (x: Value, start: Value): Value =>
    whileLoop(
      ([i]: Value[]) => i.lt(3),
      ([i, sum]: Value[]) => [i.add(ints(1)), sum.add(x.take(i).square())],
      [start, tensor(0)],
    )[1];

  test("elements end at different steps, and those that have ended cannot fail", () => {
    const starts = ints([0, 2, 3]);
    expect(vmap(tail, { inAxes: [null, 0] })(data, starts).toArray()).toEqual([14, 9, 0]);
    expect(jit(vmap(tail, { inAxes: [null, 0] }))(data, starts).toArray()).toEqual([14, 9, 0]);
    const gradients = [
      [2, 4, 6],
      [0, 0, 6],
      [0, 0, 0],
    ];
    expect(vmap(grad(tail), { inAxes: [null, 0] })(data, starts).toArray()).toEqual(gradients);
    expect(vmap(grad(tail))(stack([data, data, data]), starts).toArray()).toEqual(gradients);
    expect(
      vmap(vmap(tail, { inAxes: [null, 0] }), { inAxes: [null, 0] })(data, stack([starts])).shape,
    ).toEqual([1, 3]);
  });

  test("Newton's method, as many steps as each element takes", () => {
    const root = (a: Value): Value =>
      whileLoop(
        (x: Value) => x.square().sub(a).abs().gt(1e-9),
        (x: Value) => x.add(a.div(x)).div(2),
        tensor(1),
      );
    const a = tensor([2, 9, 100]);
    expect(vmap(root)(a).toArray()).toEqual(each(root, a).toArray());
    expect(vmap(grad(root) as F)(a).toArray()).toEqual(each(grad(root) as F, a).toArray());
  });

  test("elements take different branches; a branch that nobody takes is not run", () => {
    const pick = (x: Value, i: Value): Value =>
      cond(
        i.lt(3),
        (y: Value, j: Value) => y.take(j).square(),
        (y: Value) => y.sum(),
        x,
        i,
      );
    const both = vmap(pick, { inAxes: [null, 0] });
    expect(both(data, ints([1, 7, 2])).toArray()).toEqual([4, 6, 9]);
    expect(both(data, ints([8, 7, 9])).toArray()).toEqual([6, 6, 6]);
    expect(jit(both)(data, ints([8, 7, 1])).toArray()).toEqual([6, 6, 4]);
    expect(vmap(grad(pick), { inAxes: [null, 0] })(data, ints([1, 7])).toArray()).toEqual([
      [0, 4, 0],
      [1, 1, 1],
    ]);
    // The branch not taken would not end.
    const countdown = (n: Value): Value =>
      cond(
        n.ge(0),
        (m: Value) =>
          whileLoop(
            (k: Value) => k.ne(0),
            (k: Value) => k.sub(ints(1)),
            m,
          ),
        (m: Value) => m,
        n,
      );
    expect(vmap(countdown)(ints([3, -1])).toArray()).toEqual([0, -1]);
  });

  test("a scan over rows that are batched along another axis", () => {
    const run = (a: Value, xs: Value): Value => scan((c: Value, x: Value) => [c.mul(x).add(a), c], a, xs)[1];
    expect(vmap(run, { inAxes: [0, 1] })(tensor([1, 2]), matrix.slice([0, 0], [2, 2])).toArray()).toEqual([
      run(tensor(1), tensor([1, 4])).toArray(),
      run(tensor(2), tensor([2, 5])).toArray(),
    ]);
  });
});

describe("Jacobians of many directions at once", () => {
  const f: F = (x) =>
    x
      .sin()
      .mul(x.sum())
      .reshape([3, 1])
      .mul(tensor([1, 2]));
  const x = tensor([0.1, 0.2, 0.3]);

  test("are the same whatever the chunk", () => {
    for (const jacobian of [jacfwd, jacrev]) {
      const wanted = jacobian(f, { chunk: 1 })(x);
      expect(wanted.shape).toEqual([3, 2, 3]);
      for (const chunk of [undefined, 2, 3, 4, 100]) {
        const found = jacobian(f, chunk === undefined ? {} : { chunk })(x);
        expect(found.shape).toEqual([3, 2, 3]);
        expect([...found.dataSync()]).toEqual([...wanted.dataSync()]);
      }
    }
    const g = (v: Value): Value => v.square().mul(v).sum();
    for (const chunk of [1, 2, 3])
      expect(hessian(g, { chunk })(x).toArray()).toEqual(hessian(g)(x).toArray());
  });

  test("evaluate the function once a chunk", () => {
    let calls = 0;
    const counted: F = (v) => (calls++, v.sin());
    jacfwd(counted)(x);
    expect(calls).toBe(1);
    jacfwd(counted, { chunk: 2 })(x);
    expect(calls).toBe(3);
    const evaluations = (chunk: number): number =>
      profile(() => jacrev((v: Value) => v.sin().exp(), { chunk })(x)).evaluations;
    expect(evaluations(3)).toBeLessThan(evaluations(1) / 2);
  });

  test("take few at a time where what lies between is large", () => {
    const wide: F = (v) =>
      v
        .expandDims(1)
        .broadcastTo([3, 1 << 18])
        .sin()
        .sum({ axis: 1 });
    const evaluations = (options: { chunk?: number }): number =>
      profile(() => tidy(() => jacrev(wide, options)(x))).evaluations;
    expect(evaluations({})).toBe(evaluations({ chunk: 1 }));
    expect(evaluations({ chunk: 3 })).toBeLessThan(evaluations({}));
  });

  test("of a function that branches on its values", () => {
    const g: F = (v) => (v.at(0) > tensor(0) ? v.square() : v);
    const diagonal = [
      [0.2, 0, 0],
      [0, 0.4, 0],
      [0, 0, 0.6],
    ];
    expect(jacfwd(g)(x).toArray()).toEqual(diagonal);
    expect(jacrev(g)(x).toArray()).toEqual(diagonal);
    expect(
      hessian((v: Value) => g(v).sum())(x)
        .at(0)
        .toArray(),
    ).toEqual([2, 0, 0]);
  });

  test("where a rule reads a tangent or a cotangent, say what to do", () => {
    const clipped = custom<[Value], Value>((v) => v.mul(2), {
      jvp: ([v], [dv]) => [v.mul(2), dv.sum().item() > 10 ? dv : dv.mul(2)],
      forward: (v) => [v.mul(2), []],
      backward: (_, ct) => [ct.sum().item() > 10 ? ct : ct.mul(2)],
    }) as F;
    expect(() => jacfwd(clipped)(x)).toThrow(/jacfwd takes many directions at once.*\{ chunk: 1 \}/);
    expect(() => jacrev(clipped)(x)).toThrow(/jacrev takes many directions at once.*\{ chunk: 1 \}/);
    expect(jacfwd(clipped, { chunk: 1 })(x).toArray()).toEqual(jacrev(clipped, { chunk: 1 })(x).toArray());
  });

  test("a chunk that is no number of directions is refused", () => {
    for (const chunk of [0, -1, 1.5]) {
      expect(() => jacfwd(f, { chunk })(x)).toThrow(/jacfwd: chunk .* must be a whole number/);
      expect(() => jacrev(f, { chunk })(x)).toThrow(/jacrev: chunk .* must be a whole number/);
    }
  });

  test("of nothing, of scalars, of trees and of integers", () => {
    const empty = tensor([], { shape: [0] });
    expect(jacfwd((v: Value) => v.sum())(empty).shape).toEqual([0]);
    expect(jacrev((v: Value) => v.mul(2))(empty).shape).toEqual([0, 0]);
    expect(jacfwd((v: Value) => v.mul(v))(3).toArray()).toBe(6);
    const tree = jacfwd(({ a, b }: { a: Value; b: Value }) => [a.mul(b.sum()), b])({
      a: x,
      b: tensor([1, 2]),
    });
    expect(tree[0].a.shape).toEqual([3, 3]);
    expect(tree[0].b.toArray()).toEqual(tensor([0.1, 0.1, 0.2, 0.2, 0.3, 0.3], { shape: [3, 2] }).toArray());
    expect(tree[1].a.toArray()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(jacfwd((v: Value) => v.argmax())(x).dtype).toBe("int32");
  });
});

describe("primitives of one's own", () => {
  test("batched by a loop, where they ask for that", () => {
    const name = "test:reverse";
    jsBackend.kernels.set(name, ([x]) => x.dataSync().slice().reverse());
    let calls = 0;
    const reverse = primitive(name, {
      args: ["x"],
      residuals: {},
      batch: "loop",
      shape: ([x]) => (calls++, x),
      cost: () => 0,
      sample: () => ({ inputs: [], params: {} }),
      jvp: { x: (dx): Value => bindReverse(dx) },
      vjp: { x: (ct): Value => bindReverse(ct) },
    });
    const bindReverse = (x: Value): Value => reverse(x);
    expect(vmap(reverse as F)(matrix).toArray()).toEqual([
      [3, 2, 1],
      [6, 5, 4],
    ]);
    expect(calls).toBeGreaterThanOrEqual(2);
    expect(vmap(reverse as F, { inAxes: 1 })(matrix).shape).toEqual([3, 2]);
    expect(vmap(reverse as F)(tensor([], { shape: [0, 3] })).shape).toEqual([0, 3]);
    expect(
      vmap(grad((x: Value) => bindReverse(x).at(0)) as F)(matrix)
        .at(1)
        .toArray(),
    ).toEqual([0, 0, 1]);
    expect(primitives().get(name)?.batch).toBeTypeOf("function");
  });

  test("with several outputs, by a loop or by a rule", () => {
    const counts = { loop: 0, rule: 0 };
    const make = (name: "loop" | "rule"): MultipleOp<object> => {
      jsBackend.multipleKernels.set(`test:${name}`, ([x], outputs, params) => {
        counts[name]++;
        return [Math.sin, Math.cos].map((g, i) => unaryKernel(g)([x], outputs[i], params));
      });
      const sincos: MultipleOp<object> = multiplePrimitive<object>(`test:${name}`, {
        args: ["x"],
        shapes: ([x]) => [x, x],
        cost: ([x]) => 2 * x.size,
        sample: () => ({ inputs: [], params: {} }),
        jvp: ([dx], { outputs: [s, c] }) => [(dx as Value).mul(c), (dx as Value).mul(s).neg()],
        vjp: ([s, c], { outputs: [sin, cos] }) => [
          (s ?? sin.zerosLike()).mul(cos).sub((c ?? cos.zerosLike()).mul(sin)),
        ],
        ...(name === "rule" && {
          batch: ([x]: readonly Value[]) => ({ outputs: sincos([x], {}), batched: [true, true] }),
        }),
      });
      return sincos;
    };
    for (const name of ["loop", "rule"] as const) {
      const op = make(name);
      const [s, c] = vmap((x: Value) => op([x], {}))(matrix);
      expect(counts[name]).toBe(name === "loop" ? 2 : 1);
      expect(s.toArray()).toEqual(matrix.sin().toArray());
      expect(c.toArray()).toEqual(matrix.cos().toArray());
      const gradient = vmap(grad((x: Value) => op([x], {})[0].sum()) as F)(matrix);
      expect(gradient.toArray()).toEqual(matrix.cos().toArray());
    }
  });
});

describe("memory", () => {
  const alive = (): number => currentBackend().memory().buffers;
  const f: F = (x) =>
    tidy(() => x.tanh().mul(x.exp()))
      .softmax()
      .square()
      .sum();

  test.each([
    ["vmap", () => vmap(f)(matrix)],
    ["vmap of grad", () => vmap(grad(f) as F)(matrix)],
    ["grad of vmap", () => grad((x: Value) => vmap(f)(x).sum())(matrix)],
    ["jacfwd", () => jacfwd((x: Value) => x.softmax())(matrix)],
    ["jacrev", () => jacrev((x: Value) => x.softmax(), { chunk: 4 })(matrix)],
    ["hessian", () => hessian(f)(matrix)],
  ] as [string, () => Value][])("%s in a tidy leaves its result and nothing else", (_, body) => {
    const before = alive();
    const result = tidy(body);
    expect(alive() - before).toBe(1);
    (result as Value & { dispose(): void }).dispose();
    expect(alive()).toBe(before);
  });
});
