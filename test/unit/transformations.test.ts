import {
  type Value,
  DTypeError,
  DerivativeError,
  EscapedTracerError,
  ShapeError,
  TreeError,
  derivative,
  directionalDerivative,
  grad,
  hessian,
  hvp,
  jacfwd,
  jacobian,
  jacrev,
  jvp,
  ones,
  stopGradient,
  tensor,
  valueAndGrad,
  vjp,
  where,
  zeros,
} from "cotangent";
import { describe, expect, expectTypeOf, test } from "vitest";

const compositions = [
  "forward-over-reverse",
  "reverse-over-forward",
  "reverse-over-reverse",
  "forward-over-forward",
] as const;

describe("grad and valueAndGrad", () => {
  test("take numbers, tensors and trees, and give the argument's own structure back", () => {
    expect(grad((x) => x.mul(x))(3).item()).toBe(6);
    const f = (p: { w: Value; bias: readonly [Value] }): Value => p.w.mul(3).add(p.bias[0]).square();
    const [value, gradient] = valueAndGrad(f)({ w: 2, bias: [1] });
    expectTypeOf(gradient).toEqualTypeOf<{ w: Value; bias: readonly [Value] }>();
    expect(value.item()).toBe(49);
    expect([gradient.w.item(), gradient.bias[0].item()]).toEqual([42, 14]);
    expect(Object.keys(gradient)).toEqual(["w", "bias"]);
  });

  test("argnums selects arguments, and several give an array", () => {
    const f = (x: Value, y: { z: Value }): Value => x.mul(y.z);
    const second = grad(f, { argnums: 1 })(tensor(2), { z: 5 });
    expectTypeOf(second).toEqualTypeOf<{ z: Value }>();
    expect(second.z.item()).toBe(2);
    const both = grad(f, { argnums: [1, 0] })(2, { z: 5 });
    expectTypeOf(both).toEqualTypeOf<[{ z: Value }, Value]>();
    expect([both[0].z.item(), both[1].item()]).toEqual([2, 5]);
  });

  test("hasAux hands the auxiliary result out untraced", () => {
    const f = (x: Value): [Value, { twice: Value; name: string }] => [
      x.square(),
      { twice: x.mul(2), name: "aux" },
    ];
    const [gradient, aux] = grad(f, { hasAux: true })(3);
    expect(gradient.item()).toBe(6);
    expect(aux.name).toBe("aux");
    expect(aux.twice.add(1).item()).toBe(7);
    const [[value, again], g] = valueAndGrad(f, { hasAux: true })(3);
    expect([value.item(), again.twice.item(), g.item()]).toEqual([9, 6, 6]);
  });

  test("the gradient of what does not depend on the argument is zero in its shape and dtype", () => {
    const x = tensor([1, 2], { dtype: "float32" });
    const g = grad((_: Value) => 3)(x);
    expect([g.dtype, g.toArray()]).toEqual(["float32", [0, 0]]);
  });

  test("a value used k times gets the sum of k contributions", () => {
    expect(grad((x) => x.add(x).add(x).mul(x))(2).item()).toBe(12);
  });

  test("JavaScript control flow decides, run by run", () => {
    const f = (x: Value): Value => {
      let y = x;
      while (y.item() < 100) y = y.mul(y);
      return y;
    };
    expect(grad(f)(3).item()).toBe(8 * 3 ** 7);
    expect(grad(f)(200).item()).toBe(1);
  });

  test("a chain of a million operations is differentiated without a deep stack", () => {
    const f = (x: Value): Value => {
      let y = x;
      for (let i = 0; i < 1_000_000; i++) y = y.add(1e-6);
      return y;
    };
    expect(grad(f)(0).item()).toBe(1);
  });

  test("refuse a result that is no floating scalar, and say what to do", () => {
    expect(() => grad((x) => x.mul(2))(tensor([1, 2]))).toThrow(
      /grad: the function returned float64\[2\], but grad needs a scalar.*Reduce it.*jacrev or vjp/,
    );
    expect(() => grad((x) => x.argmax())(tensor([1, 2]))).toThrow(
      /returned int32\[\].*Integers and bools have no gradient/,
    );
    expect(() => grad((x: Value) => [x] as never)(1)).toThrow(DerivativeError);
    expect(() => grad((_: Value) => undefined as never)(1)).toThrow(/returned undefined. Return a value/);
    expect(() => grad(((_: Value) => Promise.resolve(1)) as never)(1)).toThrow(/returned a promise/);
  });

  test("refuse integers and bools as arguments, by name", () => {
    const whole = tensor([1, 2], { dtype: "int32" });
    expect(() => grad((x) => x.sum())(whole)).toThrow(DTypeError);
    expect(() => grad((p: { a: Value[] }) => p.a[0].sum())({ a: [whole] })).toThrow(
      /argument 0\.a\[0\] is int32\[2\].*astype\("float64"\)/,
    );
    expect(() => grad((x) => x.sum())("1" as never)).toThrow(TreeError);
    expect(() => grad((x) => x, { argnums: 1 })(tensor(1))).toThrow(
      /argnums names argument 1, but 1 were given/,
    );
  });

  test("errors name the user's own line", () => {
    expect(() =>
      grad((x) =>
        x
          .add(tensor([1, 2]))
          .add(tensor([1, 2, 3]))
          .sum(),
      )(1),
    ).toThrow(
      /add: shapes \[2\] and \[3\] do not broadcast[\s\S]*at your line .*transformations\.test\.ts:\d+:\d+/,
    );
  });
});

describe("vjp", () => {
  test("the pullback may be called again", () => {
    const [y, pullback] = vjp((a: Value, b: Value) => a.mul(b), tensor([1, 2]), 3);
    expect(y.toArray()).toEqual([3, 6]);
    const [da, db] = pullback(tensor([1, 10]));
    expect([da.toArray(), db.item()]).toEqual([[3, 30], 21]);
    expect(pullback(tensor([1, 0]))[1].item()).toBe(1);
  });

  test("a tree of results takes a tree of cotangents", () => {
    const [value, pullback] = vjp((x: Value) => ({ s: x.sin(), twice: [x.mul(2)] }), 0);
    expect(value.twice[0].item()).toBe(0);
    expect(pullback({ s: 1, twice: [10] })[0].item()).toBe(21);
    expect(() => pullback({ s: 1, twice: [] })).toThrow(/vjp: the cotangent has the structure/);
  });

  test("refuses cotangents of another shape or dtype", () => {
    const [, pullback] = vjp((x: Value) => x.mul(2), tensor([1, 2]));
    expect(() => pullback(tensor([1, 2, 3]))).toThrow(
      /cotangent is float64\[3\], but must have the shape.*float64\[2\]/,
    );
    expect(() => pullback(tensor([1, 2], { dtype: "float32" }))).toThrow(DTypeError);
  });
});

describe("jvp", () => {
  test("gives the value and the tangent, for trees too", () => {
    const [y, dy] = jvp((p: { a: Value; b: Value }) => p.a.mul(p.b), [{ a: 2, b: 3 }], [{ a: 1, b: 10 }]);
    expect([y.item(), dy.item()]).toEqual([6, 23]);
  });

  test("null stands for a zero tangent, also where a leaf is an integer", () => {
    const index = tensor([1, 0], { dtype: "int32" });
    const [, dy] = jvp((x: Value, i: Value) => x.take(i), [tensor([1, 2]), index], [tensor([5, 7]), null]);
    expect(dy.toArray()).toEqual([7, 5]);
    expect(() => jvp((i: Value) => i, [index], [index])).toThrow(/argument 0 is int32\[2\]/);
  });

  test("the tangent of what does not depend on the input is a zero of the right shape and dtype", () => {
    const constant = tensor([[1, 2]], { dtype: "float32" });
    const [, tangents] = jvp(
      (x: Value) => ({ constant, index: x.argmax() }),
      [tensor([1, 2])],
      [tensor([1, 1])],
    );
    expect([tangents.constant.dtype, tangents.constant.toArray()]).toEqual(["float32", [[0, 0]]]);
    expect([tangents.index.dtype, tangents.index.item()]).toEqual(["int32", 0]);
  });

  test("refuses tangents that do not match", () => {
    const x = tensor([1, 2]);
    expect(() => jvp((v: Value) => v, [x], [tensor([1])])).toThrow(
      /tangent of argument 0 is float64\[1\].*float64\[2\]/,
    );
    expect(() => jvp((v: Value) => v, [x], [tensor([1, 2], { dtype: "float32" })])).toThrow(DTypeError);
    expect(() => jvp((v: Value) => v, [x], [] as never)).toThrow(ShapeError);
    expect(() => jvp((v: Value) => v, [x], [{ a: x }] as never)).toThrow(
      /tangent of argument 0 has the structure/,
    );
  });

  test("derivative nests, and refuses tensors", () => {
    const third = derivative(derivative(derivative((x) => x.mul(x).mul(x).mul(x))));
    expect(third(2).item()).toBe(48);
    expect(derivative((x) => ({ s: x.sin(), n: 2 }))(0).s.item()).toBe(1);
    expect(() => derivative((x) => x)(tensor([1]))).toThrow(/derivative takes a scalar.*jacfwd/);
    expect(directionalDerivative((x: Value) => x.square().sum(), tensor([1, 2]), tensor([0, 1])).item()).toBe(
      4,
    );
  });
});

describe("nesting", () => {
  test("perturbations of different levels are never confused", () => {
    // Siskind and Pearlmutter, Nesting forward-mode AD in a functional framework, 2008.
    expect(derivative((x) => x.mul(derivative((y) => x.add(y))(1)))(1).item()).toBe(1);
    expect(grad((x) => x.mul(grad((y) => x.add(y))(1)))(1).item()).toBe(1);
    expect(grad((x) => x.mul(derivative((y) => x.mul(y))(1)))(3).item()).toBe(6);
    expect(derivative((x) => x.mul(grad((y) => x.mul(y))(1)))(3).item()).toBe(6);
  });

  test("a pullback may be called inside another derivative", () => {
    const outer = derivative((x) => {
      const [, pullback] = vjp((y: Value) => y.mul(y).mul(x), 3);
      return pullback(x)[0]; // 2 y x · x
    });
    expect(outer(2).item()).toBe(24);
  });

  test("all four second-order compositions agree, on trees too", () => {
    const f = (p: { a: Value; b: Value }): Value => p.a.tanh().mul(p.b.exp()).sum().mul(p.a.norm());
    const x = { a: tensor([0.3, -0.7]), b: tensor([0.2, 0.1]) };
    const v = { a: tensor([1, 2]), b: tensor([-1, 0.5]) };
    const [first, ...others] = compositions.map((c) => {
      const { a, b } = hvp(f, x, v, c);
      return [...a.dataSync(), ...b.dataSync()];
    });
    for (const other of others) {
      other.forEach((entry, i) => expect(entry).toBeCloseTo(first[i], 12)); // values of order 1: 1e-12 is 5e3 eps
    }
  });

  test("a traced value that escapes is refused when it is used, whichever mode made it", () => {
    const kept: Value[] = [];
    grad((x) => {
      kept.push(x.mul(2));
      return x;
    })(1);
    derivative((x) => {
      kept.push(x.mul(2));
      return x;
    })(1);
    for (const value of kept) {
      expect(() => value.add(1)).toThrow(EscapedTracerError);
      expect(() => value.add(1)).toThrow(
        /add: a traced value float64\[\] of (grad|derivative).*Return what you need/,
      );
    }
    expect(() => grad((y) => y.mul(kept[0]))(1)).toThrow(EscapedTracerError);
  });
});

describe("Jacobians and Hessians", () => {
  const f = (x: Value): Value =>
    x
      .slice([1])
      .mul(x.slice([0], [2]))
      .concatenate([x.square()]);
  const x = tensor([1, 2, 3]);
  const wanted = [
    [2, 1, 0],
    [0, 3, 2],
    [2, 0, 0],
    [0, 4, 0],
    [0, 0, 6],
  ];

  test("jacfwd, jacrev and jacobian agree", () => {
    for (const jac of [jacfwd, jacrev, jacobian]) expect(jac(f)(x).toArray()).toEqual(wanted);
  });

  test("keep the shapes [...result, ...argument], and the trees", () => {
    const g = (p: { w: Value }, s: Value): { y: Value; n: Value } => ({ y: p.w.mul(s), n: p.w.sum() });
    const args = [{ w: ones([2, 3]) }, tensor(2)] as const;
    for (const jac of [jacfwd, jacrev, jacobian]) {
      const j = jac(g)(...args);
      expect([j.y.w.shape, j.n.w.shape]).toEqual([
        [2, 3, 2, 3],
        [2, 3],
      ]);
      expect(jac(g, { argnum: 1 })(...args).y.shape).toEqual([2, 3]);
    }
  });

  test("empty arguments and results give empty Jacobians", () => {
    for (const jac of [jacfwd, jacrev]) {
      expect(jac((y: Value) => y.sum())(zeros([0])).shape).toEqual([0]);
      expect(jac((y: Value) => y.slice([0], [0]))(x).shape).toEqual([0, 3]);
    }
  });

  test("the Hessian of a product through zeros is right", () => {
    const h = hessian((y: Value) => y.prod())(tensor([1, 0, 0, 2])).toArray();
    expect(h).toEqual([
      [0, 0, 0, 0],
      [0, 0, 2, 0],
      [0, 2, 0, 0],
      [0, 0, 0, 0],
    ]);
  });
});

describe("cuts and masks", () => {
  test("stopGradient and discrete primitives cut the derivative openly", () => {
    const f = (x: Value): Value => stopGradient(x).mul(x).add(x.floor());
    expect(grad(f)(3).item()).toBe(3);
    expect(derivative(f)(3).item()).toBe(3);
  });

  test("the branch not taken contributes a strong zero in both modes", () => {
    const f = (x: Value): Value => where(x.gt(0), x.sqrt(), 0);
    const g = (x: Value): Value => where(x.gt(0), x, 0).sqrt();
    for (const d of [grad(f), derivative(f), grad(g), derivative(g)]) expect(d(0).item()).toBe(0);
    const taken = grad((x) => x.sqrt().at(0));
    expect(taken(tensor([1, 0])).toArray()).toEqual([0.5, 0]);
  });
});
