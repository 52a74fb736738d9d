/** linearize and linearTranspose: the derivative as a linear map, and its transpose. */
import {
  DTypeError,
  DerivativeError,
  EscapedTracerError,
  ShapeError,
  StagingError,
  TreeError,
  type Value,
  avalOf,
  checkpoint,
  cond,
  derivative,
  dotGeneral,
  grad,
  jit,
  jsBackend,
  jvp,
  linearTranspose,
  linearize,
  ones,
  profile,
  requireLinear,
  scan,
  setBackend,
  switchCase,
  tensor,
  tidy,
  vjp,
  vmap,
  wasmBackend,
  where,
  whileLoop,
  withBackend,
} from "cotangent";
import { RecordedDraw, type Subject, drawProgram } from "@cotangent/verify";
import { gen, sample } from "fast-check";
import { describe, expect, test } from "vitest";

type F = (x: Value) => Value;
setBackend(jsBackend);

describe("random programs", () => {
  interface Sampled {
    readonly text: string;
    readonly f: (...inputs: Value[]) => Value[];
    readonly point: readonly Value[];
    readonly direction: (like: readonly Value[]) => Value[];
  }
  const programs: readonly Sampled[] = sample(gen(), { seed: 11, numRuns: 60 }).map((generate) => {
    const draw = new RecordedDraw(generate);
    const program: Subject = drawProgram(draw, jsBackend, 6);
    return {
      text: program.text,
      f: (...inputs) => program.apply(inputs, []),
      point: program.point.map(({ shape, data }) => tensor(data, { shape })),
      direction: (like) => like.map(({ size, shape }) => tensor(draw.direction(size), { shape })),
    };
  });
  const numbers = (values: readonly Value[]): number[] => values.flatMap((value) => [...value.dataSync()]);

  test("the linear map is the JVP, to the last bit, and the value is the value", () => {
    for (const { f, point, direction, text } of programs) {
      const [values, push] = linearize(f, ...point);
      const v = direction(point);
      const [wanted, tangents] = jvp(f, [...point], v);
      expect(numbers(values), text).toEqual(numbers(wanted));
      // But for the sign of zeros, as toEqual would have it too.
      expect(
        numbers(push(...v)).map((x) => x + 0),
        text,
      ).toEqual(numbers(tangents).map((x) => x + 0));
    }
  });

  test("its graph is linear node by node, and its transpose is the VJP", () => {
    for (const { f, point, direction, text } of programs) {
      const [values, push] = linearize(f, ...point);
      requireLinear(
        push.graph,
        push.graph.inputs.map((_, i) => i < point.length),
      );
      const ybar = direction(values);
      const found = numbers(linearTranspose(push, ...point)(ybar));
      const wanted = numbers(vjp(f, ...point)[1](ybar));
      // Both add up the same products; how much they cancel, the law "transposed" measures. Here, most do not.
      const size = Math.max(1, ...wanted.map(Math.abs));
      found.forEach((x, i) => expect(Math.abs(x - wanted[i]), text).toBeLessThan(1e-9 * size));
    }
  });
});

describe("linearize", () => {
  const x = tensor([1, 2, 3]);

  test("runs the function once, and then linear operations alone", () => {
    let runs = 0;
    const f: F = (v) => (runs++, v.sin().mul(v.exp()).sum());
    const [y, push] = linearize(f, x);
    expect(y.item()).toBe(f(x).item());
    runs = 0;
    const columns = [0, 1, 2].map((k) => push(tensor([0, 1, 2].map((i) => (i === k ? 1 : 0)))).item());
    expect(runs).toBe(0);
    expect(columns).toEqual(grad(f)(x).toArray());
    const names = new Set(push.graph.nodes.map(({ primitive }) => primitive.name));
    expect([...names].sort()).toEqual(["add", "strongMul", "sum"]);
    const { evaluations } = profile(() => push(x));
    expect(evaluations).toBe(push.graph.nodes.length);
  });

  test("branches that read values are those of the point", () => {
    const f: F = (v) => (v.item() > 0 ? v.square() : v.neg());
    expect([2, -2].map((at) => linearize(f, tensor(at))[1](1).item())).toEqual([4, -1]);
  });

  test("trees, several arguments, null and number tangents", () => {
    const f = ({ w, b }: { w: Value; b: Value }, v: Value): { y: Value; n: Value[] } => ({
      y: w.mul(v).sum().add(b),
      n: [v.argmax(), b],
    });
    const [value, push] = linearize(f, { w: x, b: 5 }, x);
    expect([value.y.item(), value.n[0].item()]).toEqual([19, 2]);
    const along = push({ w: tensor([1, 0, 0]), b: 1 }, null);
    expect([along.y.item(), along.n[0].item(), along.n[1].item()]).toEqual([2, 0, 1]);
    expect(push({ w: x, b: 0 }, x).y.item()).toBe(28);
    expect(push(null, null).y.item()).toBe(0);
  });

  test("within other transformations, and they within it", () => {
    const f: F = (v) => v.sin().mul(v);
    const slope = (v: Value): Value => linearize(f, v)[1](v.onesLike());
    const wanted = derivative(derivative(f))(0.7).item();
    const close = (found: Value): void => expect(Math.abs(found.item() - wanted)).toBeLessThan(8 * 2 ** -53);
    close(derivative(slope)(0.7));
    close(grad(slope)(0.7));
    close(grad(jit(slope))(0.7));
    close(linearize(slope, tensor(0.7))[1](1));
    close(linearize((v: Value) => grad(f)(v), tensor(0.7))[1](1));
    close(vmap(derivative(slope) as F)(tensor([0.7])).at(0));
    // The map may be differentiated in the tangent, of which it is linear.
    const [, push] = linearize(f, tensor(0.7));
    expect(grad((t: Value) => push(t.mul(t)))(3).item()).toBe(push(6).item());
    expect(vmap(push)(tensor([1, 2])).toArray()).toEqual([push(1).item(), push(2).item()]);
    expect(jit(push)(2).item()).toBe(push(2).item());
  });

  test("what is refused, and in which words", () => {
    expect(() => linearize(() => tensor(1))).toThrow(/linearize: no arguments were given/);
    expect(() => linearize((v: Value) => v, tensor(1, { dtype: "int32" }))).toThrow(DTypeError);
    const [, push] = linearize((v: Value) => v.sin(), x);
    expect(() => push(tensor([1, 2]))).toThrow(ShapeError);
    expect(() => push(tensor([1, 2, 3], { dtype: "float32" }))).toThrow(DTypeError);
    expect(() => (push as (...all: unknown[]) => unknown)()).toThrow(
      /linearize: 0 tangents were given for 1 arguments\. Give one for each; null for a zero/,
    );
    expect(() => (push as (t: unknown) => unknown)([x])).toThrow(TreeError);
    let escaped = x as Value;
    linearize((v: Value) => (escaped = v.sin()), x);
    expect(() => escaped.mul(2)).toThrow(EscapedTracerError);
    expect(() => escaped.mul(2)).toThrow(/linearize/);
  });

  test("is one program for all points, which keeps its constants once", () => {
    withBackend(wasmBackend, () => {
      const alive = (at: number): number => {
        tidy(() => {
          const [, push] = linearize((v: Value) => [v.sin(), ones([1])], tensor([at, 1]));
          void push(tensor([1, 2]));
        });
        return wasmBackend.memory().buffers;
      };
      const before = alive(1);
      expect([2, 3, 4, 5].map(alive)).toEqual(Array(4).fill(before));
    });
  });

  test("holds what the map needs, and its results alone are new", () => {
    const alive = (): number => jsBackend.memory().buffers;
    const [, push] = linearize((v: Value) => v.sin().mul(v), x);
    tidy(() => void push(x));
    const before = alive();
    const result = push(x);
    expect(alive() - before).toBe(1);
    result.concrete().dispose();
    expect(alive()).toBe(before);
  });
});

describe("linearTranspose", () => {
  const a = tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] });
  const x = tensor([1, -1, 2]);
  const three = avalOf([3], "float64");
  const cases: [string, F][] = [
    ["a matrix product", (v) => a.matmul(v)],
    ["sums, differences and multiples", (v) => v.mul(2).sub(v.div(4)).add(v.neg())],
    [
      "moves",
      (v) =>
        v
          .flip(0)
          .pad([[1, 2]])
          .slice([1], [5])
          .reshape([2, 2]),
    ],
    ["sums and broadcasts", (v) => v.sum().broadcastTo([2]).cumsum()],
    ["a gather", (v) => v.take([2, 0, 2])],
    ["a choice by a constant", (v) => where(tensor([true, false, true]), v, v.mul(3))],
    ["a choice with zeros", (v) => where(tensor([true, false, true]), v, tensor(0))],
    ["a call", (v) => jit((w: Value) => a.matmul(w).mul(2))(v)],
    [
      "a checkpointed call that takes a zero",
      (v) => checkpoint((w: Value, z: Value) => w.add(z))(v, v.zerosLike()),
    ],
    ["a scan", (v) => scan((c: Value, row: Value) => [c.mul(2).add(row), c], tensor(0), v)[1]],
    [
      "a scan whose carry it is",
      (v) => scan((c: Value) => [c.mul(0.5).flip(0), null], v, null, { length: 3 })[0],
    ],
    [
      "a while loop",
      (v) =>
        whileLoop(
          ([n]: Value[]) => n.lt(3),
          ([n, c]: Value[]) => [n.add(1), c.mul(n.astype("float64")).add(v)],
          [tensor(0, { dtype: "int32" }), v],
        )[1],
    ],
    [
      "a branch chosen in a graph",
      (v) =>
        jit((w: Value, on: Value) =>
          cond(
            on,
            (u: Value) => u.mul(2),
            (u: Value) => u.flip(0),
            w,
          ),
        )(v, tensor(true)),
    ],
  ];
  test.each(cases)("of %s: <y, A x> = <Aᵀ y, x>", (_, f) => {
    const y = f(x);
    const cotangent = tensor(
      Float64Array.from({ length: y.size }, (__, i) => 1 + i),
      { shape: y.shape },
    );
    for (const example of [x, three] as const) {
      const [back] = linearTranspose(f, example)(cotangent);
      expect(back.shape).toEqual([3]);
      // Whole numbers and halves: exact.
      expect(back.mul(x).sum().item()).toBe(cotangent.mul(y).sum().item());
      // It is the VJP at any point.
      expect(back.toArray()).toEqual(vjp(f, x.mul(7))[1](cotangent)[0].toArray());
    }
  });

  test("twice is the map itself", () => {
    const f: F = (v) => a.matmul(v.mul(2));
    const back = linearTranspose(f, three);
    const again = linearTranspose((y: Value) => back(y)[0], avalOf([2], "float64"));
    expect(again(x)[0].toArray()).toEqual(f(x).toArray());
  });

  test("trees of arguments; what is not used has zeros", () => {
    const back = linearTranspose(({ p, q }: { p: Value; q: Value[] }) => ({ r: p.mul(2).add(q[0]) }), {
      p: three,
      q: [three, avalOf([2], "float64")],
    });
    const [found] = back({ r: x }) as unknown as [{ p: Value; q: Value[] }];
    expect([found.p.toArray(), found.q[0].toArray(), found.q[1].toArray()]).toEqual([
      [2, -2, 4],
      [1, -1, 2],
      [0, 0],
    ]);
  });

  test("within other transformations: the matrix has derivatives too", () => {
    const applied = (m: Value, y: Value): Value => linearTranspose((v: Value) => m.matmul(v), three)(y)[0];
    const y = tensor([1, 2]);
    // Mᵀ y, whose derivative in M along a is aᵀ y.
    expect(jvp(applied, [a, y], [a, tensor([0, 0])])[1].toArray()).toEqual([9, 12, 15]);
    expect(grad((m: Value) => applied(m, y).sum())(a).toArray()).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
    expect(
      vmap(applied, { inAxes: [null, 0] })(a, tensor([1, 2, 0, 1], { shape: [2, 2] })).toArray(),
    ).toEqual([
      [9, 12, 15],
      [4, 5, 6],
    ]);
    expect(jit(applied)(a, y).toArray()).toEqual([9, 12, 15]);
  });

  describe("refuses what is not linear, by its node and its line", () => {
    const on = tensor(true);
    const nonlinear: [string, F, RegExp][] = [
      [
        "a function",
        (v) => v.sin(),
        /sin \(.*linearize\.test\.ts:\d+:\d+\) has it as an argument of its own/,
      ],
      ["a square", (v) => v.mul(v), /mul .*a product of two values that both depend on the argument/],
      ["a bilinear product", (v) => v.matmul(v), /dotGeneral .*a product of two values/],
      ["a divisor", (v) => tensor(1).div(v), /div .*as a divisor/],
      ["an added constant", (v) => v.add(1), /add .*a term float64\[.*\] that is neither zero nor depends/],
      [
        "a constant among rows",
        (v) =>
          v
            .pad([[0, 0]])
            .mul(2)
            .sub(tensor([1, 1, 1])),
        /sub .*neither zero nor depends/,
      ],
      ["a condition", (v) => where(v.gt(0), v, v.neg()), /gt .*a result that is no float/],
      ["a step", (v) => v.floor(), /floor .*an argument of its own/],
      ["a call", (v) => jit((w: Value) => w.square())(v), /square .*an argument of its own/],
      [
        "a branch",
        (v) =>
          jit((w: Value, c: Value) =>
            cond(
              c,
              (u: Value) => u,
              (u: Value) => u.add(1),
              w,
            ),
          )(v, on),
        /add .*neither zero nor depends/,
      ],
      [
        "branches, of which one is constant",
        (v) =>
          jit((w: Value, c: Value) =>
            cond(
              c,
              (u: Value) => u,
              (u: Value) => u.zerosLike().add(1),
              w,
            ),
          )(v, on),
        /switchCase .*a constant in one branch or step and depends on the argument in another/,
      ],
      [
        "an index",
        (v) =>
          jit((w: Value) => switchCase(w.sum().astype("int32"), [(u: Value) => u, (u: Value) => u], w))(v),
        /convert .*no float/,
      ],
      [
        "a loop, by a product in its body",
        (v) => scan((c: Value, row: Value) => [c.mul(row), null], v.sum(), v)[0],
        /mul .*a product of two values/,
      ],
      [
        "a loop, by a carry that is a constant first",
        (v) => scan((c: Value, row: Value) => [c.add(row), null], tensor(1), v)[0],
        /neither zero nor depends|a constant in one branch or step/,
      ],
      [
        "a loop that grows nonlinear after a step",
        (v) =>
          scan(([c, d]: Value[]) => [[c.add(d), c.mul(d)], null], [v.sum(), tensor(2)], null, {
            length: 2,
          })[0][0],
        /add .*neither zero nor depends/,
      ],
      [
        "the number of steps",
        (v) =>
          whileLoop(
            (c: Value) => c.sum().lt(100),
            (c: Value) => c.mul(2),
            v,
          ),
        /lt .*a result that is no float/,
      ],
    ];
    test.each(nonlinear)("%s", (_, f, message) => {
      expect(() => linearTranspose(f, x)).toThrow(DerivativeError);
      expect(() => linearTranspose(f, x)).toThrow(
        /linearTranspose: the function is not linear in its argument/,
      );
      expect(() => linearTranspose(f, x)).toThrow(message);
    });

    test("and other mistakes", () => {
      expect(() => linearTranspose((v: Value) => (v.at(0).item() > 0 ? v : v.neg()), x)).toThrow(
        StagingError,
      );
      const back = linearTranspose((v: Value) => v.sum(), three);
      expect(() => back(x)).toThrow(ShapeError);
      expect(() => (back as (c: unknown) => unknown)([1])).toThrow(TreeError);
      expect(back(2)[0].toArray()).toEqual([2, 2, 2]);
    });
  });

  test("a product with a value that depends on nothing but what is captured stays linear", () => {
    const w = tensor([1, 2, 3]);
    const f = (v: Value): Value =>
      dotGeneral(v.exp(), w, { contractX: [0], contractY: [0], batchX: [], batchY: [] });
    const [, push] = linearize(f, x);
    const [back] = linearTranspose(push, x)(1);
    expect(back.toArray()).toEqual(grad(f)(x).toArray());
  });
});
