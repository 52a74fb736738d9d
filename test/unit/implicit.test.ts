/** Derivatives of solutions of equations: against closed forms and every law, jitted, batched and to second order. */
import {
  DTypeError,
  DerivativeError,
  type LinearSolver,
  ShapeError,
  TreeError,
  type Value,
  argument,
  customLinearSolve,
  customRoot,
  derivative,
  fixedPoint,
  grad,
  interval,
  jit,
  jsBackend,
  jvp,
  observe,
  real,
  scan,
  setBackend,
  stack,
  tensor,
  tidy,
  vjp,
  vmap,
  whileLoop,
} from "cotangent";
import {
  type Law,
  type Setting,
  adjoint,
  assertReports,
  checkCustomRule,
  differences,
  linearity,
  memory,
  secondOrder,
  staged,
  transposed,
  vmapped,
} from "@cotangent/verify";
import { describe, expect, test } from "vitest";

type F = (x: Value) => Value;
setBackend(jsBackend);
const setting: Setting = { backend: jsBackend, dtype: "float64", reference: jsBackend };
const lawsOfAll: readonly Law[] = [
  adjoint,
  linearity,
  differences,
  secondOrder,
  transposed,
  staged,
  vmapped,
  memory,
];
const roundings = (found: Value, wanted: number, count: number): void =>
  expect(Math.abs(found.item() / wanted - 1)).toBeLessThan(count * 2 ** -53);

/** Solves for two unknowns by Cramer's rule, knowing the matrix by what it does alone. */
const cramer: LinearSolver<Value> = (product, b) => {
  const [[a, c], [e, d]] = [
    [1, 0],
    [0, 1],
  ].map((unit) => {
    const column = product(tensor(unit, { dtype: b.dtype as "float64" }));
    return [column.at(0), column.at(1)];
  });
  const determinant = a.mul(d).sub(e.mul(c));
  const [p, q] = [b.at(0), b.at(1)];
  return stack([d.mul(p).sub(e.mul(q)), a.mul(q).sub(c.mul(p))]).div(determinant);
};

describe("customLinearSolve", () => {
  const solve = (a: Value, b: Value): Value => customLinearSolve((x: Value) => a.matmul(x), b, cramer);
  const byHand = (a: Value, b: Value): Value => cramer((x) => a.matmul(x), b);
  const regular = (draw: Value): Value => draw.add(tensor([4, 0, 0, 4], { shape: [2, 2] }));
  const inputs = [argument([2, 2], interval(-1, 1)), argument([2], real())];

  test("every law holds of the solution, in the matrix and the right-hand side", () => {
    const f = (a: Value, b: Value): Value => solve(regular(a), b);
    const reports = checkCustomRule(f, inputs, { name: "solve", ...setting, laws: lawsOfAll, samples: 10 });
    assertReports(reports);
    expect(reports.map(({ judged }) => judged)).toEqual(lawsOfAll.map(() => 10));
  });

  test("the derivatives are those of the solution by formula, by either mode and to second order", () => {
    const [a, b] = [tensor([4, 1, -0.5, 3], { shape: [2, 2] }), tensor([1, 2])];
    const loss = (g: typeof solve) => (m: Value, right: Value) => g(m, right).square().sum();
    const all = (g: typeof solve): number[] => [
      ...grad(loss(g), { argnums: [0, 1] })(a, b).flatMap((value) => [...value.dataSync()]),
      ...jvp(g, [a, b], [a, b.neg()])[1].dataSync(),
      ...grad((m: Value) => grad(loss(g))(m, b).square().sum())(a).dataSync(),
      ...jvp((m: Value) => grad(loss(g))(m, b), [a], [a])[1].dataSync(),
    ];
    const wanted = all(byHand);
    for (const g of [solve, jit(solve) as typeof solve])
      all(g).forEach((value, i) => expect(Math.abs(value - wanted[i])).toBeLessThan(200 * 2 ** -53));
  });

  test("the solver is not differentiated; the transpose goes by its own", () => {
    const used: string[] = [];
    const told =
      (name: string): LinearSolver<Value> =>
      (product, b) => {
        // Reading elements would stop any derivative.
        used.push(`${name} ${b.sum().item()}`);
        return cramer(product, b);
      };
    const a = tensor([2, 1, 0, 4], { shape: [2, 2] });
    const f = (b: Value): Value =>
      customLinearSolve((x: Value) => a.matmul(x), b, told("solve"), told("transposed"));
    const b = tensor([4, 8]);
    // x = A⁻¹ b = (1, 2), b̄ = A⁻ᵀ (1, 1) = (1/2, 1/8), ẋ = A⁻¹ (1, 0) = (1/2, 0).
    expect(vjp(f, b)[1](tensor([1, 1]))[0].toArray()).toEqual([0.5, 0.125]);
    expect(used).toEqual(["solve 12", "transposed 2"]);
    used.length = 0;
    expect(jvp(f, [b], [tensor([1, 0])])[1].toArray()).toEqual([0.5, 0]);
    expect(used).toEqual(["solve 12", "solve 1"]);
  });

  test("trees of unknowns, and parameters in whole numbers", () => {
    type Pair = { readonly u: Value; readonly v: Value };
    const f = (a: Value, k: Value, b: Pair): Pair =>
      customLinearSolve<Pair>(
        ({ u, v }) => ({ u: u.mul(a), v: v.mul(k.astype("float64")).add(u) }),
        b,
        (product, right) => {
          const d = product({ u: tensor(1), v: tensor(0) }).u;
          const e = product({ u: tensor(0), v: tensor(1) }).v;
          const c = product({ u: tensor(1), v: tensor(0) }).v;
          const u = right.u.div(d);
          return { u, v: right.v.sub(u.mul(c)).div(e) };
        },
        (product, right) => {
          const d = product({ u: tensor(1), v: tensor(0) }).u;
          const e = product({ u: tensor(0), v: tensor(1) }).v;
          const c = product({ u: tensor(0), v: tensor(1) }).u;
          const v = right.v.div(e);
          return { u: right.u.sub(v.mul(c)).div(d), v };
        },
      );
    const k = tensor(4, { dtype: "int32" });
    const b = { u: tensor(6), v: tensor(10) };
    const { u, v } = f(tensor(2), k, b);
    expect([u.item(), v.item()]).toEqual([3, 1.75]);
    // v = (10 - 6/a) / 4.
    expect(grad((a: Value) => f(a, k, b).v)(2).item()).toBe(6 / 4 / 4);
    expect(derivative((a) => f(a, k, b).v)(2).item()).toBe(6 / 4 / 4);
    expect(grad((a: Value) => grad((c: Value) => f(c, k, b).v)(a))(2).item()).toBe((-2 * 6) / 8 / 4);
  });

  test("what is refused, and in which words", () => {
    const b = tensor([1, 2]);
    const refused = (product: F, right: Value = b): (() => unknown) => {
      return () => customLinearSolve(product, right, (_, x) => x);
    };
    expect(refused((x) => x.square())).toThrow(DerivativeError);
    expect(refused((x) => x.square())).toThrow(
      /not linear in its argument: square \(.*implicit\.test\.ts:\d+/,
    );
    expect(refused((x) => x.add(1))).toThrow(/not linear.*add.*neither zero nor depends on the argument/);
    expect(refused((x) => scan((c: Value) => [c.mul(x), null], x, null, { length: 2 })[0])).toThrow(
      /not linear.*mul.*product of two values/,
    );
    expect(refused((x) => x.sum())).toThrow(ShapeError);
    expect(refused((x) => x.sum())).toThrow(
      /customLinearSolve: the product A x is float64\[\], but must be float64\[2\]/,
    );
    expect(refused((x) => x.astype("float32"))).toThrow(DTypeError);
    expect(refused(((x: Value) => [x]) as never)).toThrow(TreeError);
    expect(() =>
      customLinearSolve(
        (x: Value) => x,
        b,
        () => tensor(1),
      ),
    ).toThrow(/customLinearSolve: the solution is float64\[\], but must be float64\[2\]/);
  });
});

describe("customRoot", () => {
  /** Newton's method in one unknown, with the derivative of f by forward mode. */
  const newton = (f: F, guess: Value): Value =>
    whileLoop(
      ({ x, move }: { x: Value; move: Value }) => move.abs().gt(x.abs().mul(1e-15)),
      ({ x }) => {
        const move = f(x).div(derivative(f)(x));
        return { x: x.sub(move), move };
      },
      { x: guess, move: guess.onesLike() },
    ).x;
  const scalarSolve: LinearSolver<Value> = (product, b) => b.div(product(b.onesLike()));
  const solver = { tangentSolve: scalarSolve };
  /** A real root of x³ + a x = b, which has one for a > 0. */
  const cubic = (a: Value, b: Value): Value =>
    customRoot((x: Value) => x.mul(x).mul(x).add(a.mul(x)).sub(b), tensor(1), newton, solver);
  const squareRoot: F = (a) => customRoot((x: Value) => x.square().sub(a), tensor(1), newton, solver);

  test("every law holds of a root", () => {
    const reports = checkCustomRule(cubic, [argument([], interval(0.5, 2)), argument([], interval(0.5, 3))], {
      name: "root",
      ...setting,
      // Newton's last step is decided by rounding, so that a batch may take one more.
      laws: lawsOfAll.filter((law) => law !== vmapped),
      samples: 10,
    });
    assertReports(reports);
    for (const { judged } of reports) expect(judged).toBe(10);
  });

  test("a square root has the derivatives of a square root", () => {
    for (const f of [squareRoot, jit(squareRoot) as F]) {
      for (const a of [0.25, 2, 9]) {
        roundings(f(tensor(a)), Math.sqrt(a), 4);
        const [first, second, third] = [0.5 * a ** -0.5, -0.25 * a ** -1.5, 0.375 * a ** -2.5];
        for (const d of [derivative, grad] as ((g: F) => F)[]) {
          roundings(d(f)(tensor(a)), first, 16);
          for (const e of [derivative, grad] as ((g: F) => F)[]) roundings(e(d(f))(tensor(a)), second, 64);
        }
        roundings(derivative(derivative(derivative(f)))(a), third, 256);
        roundings(grad((x: Value) => grad((y: Value) => grad(f)(y))(x))(a), third, 256);
      }
    }
    const batch = vmap(grad(squareRoot) as F)(tensor([0.25, 4, 9]));
    [1, 0.25, 1 / 6].forEach((wanted, k) => roundings(batch.at(k), wanted, 16));
    const hessians = vmap(grad((x: Value) => grad(squareRoot)(x)) as F)(tensor([0.25, 4]));
    [-2, -1 / 32].forEach((wanted, k) => roundings(hessians.at(k), wanted, 64));
  });

  test("neither the guess nor the way of the solver has a derivative", () => {
    // Bisection, which reads elements.
    const bisect = (f: F): Value => {
      let [low, high] = [0, 10];
      for (let i = 0; i < 60; i++) {
        const middle = (low + high) / 2;
        if (f(tensor(middle)).item() > 0) high = middle;
        else low = middle;
      }
      return tensor(low);
    };
    const f = (a: Value, guess: Value): Value =>
      customRoot((x: Value) => x.square().sub(a), guess, bisect, solver);
    const [da, dGuess] = grad(f, { argnums: [0, 1] })(4, 1);
    expect([da.item(), dGuess.item()]).toEqual([0.25, 0]);
    expect(derivative((guess) => f(tensor(4), guess))(1).item()).toBe(0);
    // What the way back evaluates does not depend on how many steps the solver took.
    const evaluations = (steps: number): number => {
      const fixed = (g: F, x: Value): Value =>
        scan((y: Value) => [y.sub(g(y).div(y.mul(2))), null], x, null, { length: steps })[0];
      const [, back] = vjp(
        (a: Value) => customRoot((x: Value) => x.square().sub(a), tensor(2), fixed, solver),
        4,
      );
      let count = 0;
      observe(
        () => count++,
        () => tidy(() => void back(1)),
      );
      return count;
    };
    expect(evaluations(50)).toBe(evaluations(5));
  });

  test("of several unknowns in a tree", () => {
    type Pair = { readonly s: Value; readonly t: Value };
    // s² = a, t = s b, by their formulas.
    const f = (a: Value, b: Value): Pair =>
      customRoot<Pair>(
        ({ s, t }) => ({ s: s.square().sub(a), t: t.sub(s.mul(b)) }),
        { s: 1, t: 1 },
        () => ({ s: a.stopGradient().sqrt(), t: a.stopGradient().sqrt().mul(b.stopGradient()) }),
        {
          tangentSolve: (product, right) => {
            const column = product({ s: tensor(1), t: tensor(0) });
            const s = right.s.div(column.s);
            return { s, t: right.t.sub(column.t.mul(s)) };
          },
          transposedSolve: (product, right) => {
            const row = product({ s: tensor(0), t: tensor(1) });
            const t = right.t;
            const s = right.s.sub(row.s.mul(t)).div(product({ s: tensor(1), t: tensor(0) }).s);
            return { s, t };
          },
        },
      );
    const [da, db] = grad((a: Value, b: Value) => f(a, b).t, { argnums: [0, 1] })(4, 3);
    expect([da.item(), db.item()]).toEqual([0.75, 2]);
    expect(jvp((a: Value) => f(a, tensor(3)), [4], [1])[1].t.item()).toBe(0.75);
    expect(grad((a: Value) => grad((c: Value) => f(c, tensor(3)).t)(a))(4).item()).toBe(-3 / 32);
  });

  test("what is refused, and in which words", () => {
    const at = tensor([1, 2]);
    const solve = (_: unknown, guess: Value): Value => guess;
    expect(() => customRoot((x: Value) => x.sum(), at, solve)).toThrow(ShapeError);
    expect(() => customRoot((x: Value) => x.sum(), at, solve)).toThrow(
      /customRoot: f\(x\) is float64\[\], but must be float64\[2\]/,
    );
    expect(() => customRoot((x: Value) => x.astype("float32"), at, solve)).toThrow(DTypeError);
    expect(() => customRoot(((x: Value) => [x]) as never, at, solve)).toThrow(TreeError);
    expect(() =>
      customRoot(
        (x: Value) => x,
        at,
        (_, x) => x.sum(),
      ),
    ).toThrow(/customRoot: the root is float64\[\], but must be float64\[2\]/);
  });
});

describe("fixedPoint", () => {
  // x = cos(θ x) has dx/dθ = -x sin(θ x) / (1 + θ sin(θ x)).
  const cosine: F = (theta) => fixedPoint((x: Value) => x.mul(theta).cos(), 1);
  const slope = (theta: number, x: number): number =>
    (-x * Math.sin(theta * x)) / (1 + theta * Math.sin(theta * x));
  /** Of what ends when no element moves by more than 1e-12. */
  const near = (found: Value, wanted: number, tolerance = 1e-11): void =>
    expect(Math.abs(found.item() - wanted)).toBeLessThan(tolerance);

  test("has the derivatives of the closed form, by either mode, jitted and batched", () => {
    for (const f of [cosine, jit(cosine) as F]) {
      for (const theta of [0.25, 0.5, 1]) {
        const x = f(tensor(theta)).item();
        near(tensor(Math.cos(theta * x)), x);
        near(derivative(f)(theta), slope(theta, x));
        near(grad(f)(theta), slope(theta, x));
      }
    }
    const thetas = tensor([0.25, 0.5, 1]);
    const [values, slopes] = [vmap(cosine)(thetas), vmap(grad(cosine) as F)(thetas)];
    for (let k = 0; k < 3; k++) {
      near(values.at(k), cosine(thetas.at(k)).item());
      near(slopes.at(k), grad(cosine)(thetas.at(k)).item());
    }
  });

  test("and second ones, in all four compositions, as differences give them", () => {
    const theta = 0.6;
    const h = 1e-4;
    const first = (at: number): number => grad(cosine)(at).item();
    // The error of the differences: h⁴ times a derivative of order 1, and 1e-12 over h.
    const wanted =
      (8 * (first(theta + h) - first(theta - h)) - (first(theta + 2 * h) - first(theta - 2 * h))) / (12 * h);
    for (const d of [derivative, grad] as ((g: F) => F)[])
      for (const e of [derivative, grad] as ((g: F) => F)[]) near(e(d(cosine))(tensor(theta)), wanted, 1e-7);
  });

  test("of a tree, as a linear system", () => {
    type Pair = { readonly u: Value; readonly v: Value };
    // u = v/2 + a, v = u/4 + b: u = (8 a + 4 b) / 7, v = (2 a + 8 b) / 7.
    const f = (a: Value, b: Value): Pair =>
      fixedPoint<Pair>(({ u, v }) => ({ u: v.div(2).add(a), v: u.div(4).add(b) }), { u: 0, v: 0 });
    const { u, v } = f(tensor(1), tensor(2));
    near(u, 16 / 7);
    near(v, 18 / 7);
    const [da, db] = grad((a: Value, b: Value) => f(a, b).v, { argnums: [0, 1] })(1, 2);
    near(da, 2 / 7);
    near(db, 8 / 7);
    near(jvp(f, [tensor(1), tensor(2)], [1, 0])[1].u, 8 / 7);
  });

  test("stops where it is told to", () => {
    let steps = 0;
    const slow = (options = {}): Value => fixedPoint((x: Value) => x.mul(0.5), 1, options);
    const count = (options = {}): number => {
      steps = 0;
      observe(
        ({ name }) => (steps += name === "mul" ? 1 : 0),
        () => slow(options),
      );
      return steps;
    };
    // |x| halves: it moves by 2⁻ᵏ in step k, so 40 steps until 1e-12, and one in which that is seen.
    expect(count()).toBe(40);
    expect(count({ tolerance: 2 ** -10 })).toBe(10);
    expect(count({ maxIterations: 7 })).toBe(7);
    const single = fixedPoint((x: Value) => x.mul(0.5), tensor(1, { dtype: "float32" }));
    expect(single.dtype).toBe("float32");
    expect(single.item()).toBeLessThan(1e-6);
  });

  test("leaves its result alive and nothing else", () => {
    const alive = (): number => jsBackend.memory().buffers;
    const x = tensor([0.25, 0.5]);
    const f: F = (theta) => fixedPoint((v: Value) => v.mul(theta).cos(), theta);
    for (const g of [f, (v) => grad((w: Value) => f(w).sum())(v), (v) => jvp(f, [v], [v])[1]] as F[]) {
      tidy(() => void g(x));
      const before = alive();
      const result = tidy(() => g(x));
      expect(alive() - before).toBe(1);
      result.concrete().dispose();
      expect(alive()).toBe(before);
    }
  });
});
