/** Wrong derivatives that real systems shipped, each by the public issue that reported it; a suite for any backend. */
import {
  type Backend,
  type Value,
  argument,
  bind,
  custom,
  derivative,
  entropyTerms,
  grad,
  isFloating,
  jit,
  jvp,
  ones,
  primitive,
  primitives,
  stack,
  tensor,
  tidy,
  vjp,
  vmap,
  where,
  whileLoop,
  withBackend,
  zeros,
} from "cotangent";
import { adjoint, checkCustomRule, checkLaw, linearity, primals } from "@cotangent/verify";
import { describe, expect, test } from "vitest";

/** Solves L x = b for a lower triangular L by forward substitution; what is above the diagonal is not read. */
function solveLower(l: Value, b: Value): Value {
  const x: Value[] = [];
  for (let i = 0; i < b.size; i++) {
    let rest = b.at(i);
    for (let j = 0; j < i; j++) rest = rest.sub(l.at(i).at(j).mul(x[j]));
    x.push(rest.div(l.at(i).at(i)));
  }
  return stack(x);
}

export function describeKnownBugs(backend: Backend): void {
  const float = backend.defaultDType === "float64" ? "float64" : "float32";
  const eps = float === "float64" ? 2 ** -53 : 2 ** -24;
  const close = (found: number, expected: number, roundings = 16): void =>
    expect(Math.abs(found - expected)).toBeLessThanOrEqual(roundings * eps * Math.abs(expected));
  const it = (name: string, body: () => void): void =>
    test(name, () => withBackend(backend, () => tidy(body)));
  /** A function as it is, and staged: traced to a graph, optimised and run as that. */
  const ways = <F extends (...args: Value[]) => Value>(f: F): F[] => [f, jit(f) as unknown as F];
  /** The derivative at a scalar by both modes, eager and staged, which must be the same. */
  const both = (f: (x: Value) => Value, x: number): number => {
    const [first, ...rest] = ways(f).flatMap((g) => [derivative(g)(x).item(), grad(g)(x).item()]);
    for (const other of rest) expect(other).toBe(first);
    return first;
  };

  describe(`known bugs on ${backend.name}`, () => {
    it("jax 347, 1052, 654: the gradient through where(x > 0, sqrt(x), 0) is 0 at x <= 0", () => {
      for (const x of [-1, 0]) expect(both((v) => where(v.gt(0), v.sqrt(), 0), x)).toBe(0);
    });

    it("jax 2107: softplus'(0) is 1/2", () => {
      expect(both((x) => x.softplus(), 0)).toBe(0.5);
    });

    it("jax 14397: the derivative of x ** [0, 1, 2] at 0 is [0, 1, 0]", () => {
      for (const f of ways((x: Value) => x.pow(tensor([0, 1, 2])))) {
        expect(derivative(f)(0).toArray()).toEqual([0, 1, 0]);
        for (const [i, expected] of [0, 1, 0].entries())
          expect(grad((x) => f(x).at(i))(0).item()).toBe(expected);
      }
    });

    it("jax 15709: the entropy -x log x is 0 at 0, and not NaN", () => {
      // A sum of zeros of either sign may have either.
      for (const f of ways((p: Value) => entropyTerms(p).sum()))
        expect(Math.abs(f(tensor([0, 1])).item())).toBe(0);
    });

    it("jax 40315: derivatives of order 2 and 3 of tanh(u) u², u = tanh(x), agree in all compositions", () => {
      const f = (x: Value): Value => {
        const u = x.tanh();
        return u.tanh().mul(u.square());
      };
      const d = (g: (x: Value) => Value) => (x: Value) => derivative(g)(x);
      const r = (g: (x: Value) => Value) => (x: Value) => grad(g)(x);
      // With mpmath at 60 digits.
      for (const [order, expected] of [
        [2, 0.3130642842341619],
        [3, -3.199867032795524],
      ]) {
        for (const g of ways(f)) {
          for (let mask = 0; mask < 2 ** order; mask++) {
            let h: (x: Value) => Value = g;
            for (let i = 0; i < order; i++) h = mask & (1 << i) ? d(h) : r(h);
            close(h(tensor(0.7)).item(), expected, 100 * order);
          }
        }
      }
    });

    if (float === "float64") {
      it("jax 40343, 40342: tanh'(20) and sigmoid'(40) are not 0", () => {
        close(
          both((x) => x.tanh(), 20),
          1.6993417021166355e-17,
        );
        close(
          both((x) => x.sigmoid(), 40),
          4.248354255291589e-18,
        );
      });

      it("jax 39799: sqrt'(5e-324) is finite", () => {
        close(
          both((x) => x.sqrt(), 5e-324),
          2 ** 536,
        );
      });
    } else {
      it("jax 40343, 40342: in float32 tanh'(9) and sigmoid'(17) are not 0", () => {
        close(
          both((x) => x.tanh(), 9),
          6.0919897e-8,
          64,
        );
        close(
          both((x) => x.sigmoid(), 17),
          4.1399377e-8,
          64,
        );
      });
    }

    it("jax 6452, 1350: a scalar broadcast against an array gets a scalar gradient", () => {
      for (const f of ways((s: Value, x: Value) => s.mul(x).sum())) {
        const g = grad(f)(2, tensor([1, 2, 3]));
        expect([g.shape, g.item()]).toEqual([[], 6]);
        const [, t] = jvp((s: Value) => f(s, tensor([1, 2, 3])), [2], [1]);
        expect([t.shape, t.item()]).toEqual([[], 6]);
        const batch = vmap(grad(f), { inAxes: [0, null] })(tensor([2, 5]), tensor([1, 2, 3]));
        expect(batch.toArray()).toEqual([6, 6]);
      }
    });

    it("torch 27134: d(a^b)/db is 0 at a = 0, b > 0", () => {
      for (const b of [0.5, 1, 2]) expect(both((y) => tensor(0).pow(y), b)).toBe(0);
    });

    it("torch 69034: the JVP of max and min is right in float32, and is float32", () => {
      const x = tensor([1, 3, 2], { dtype: "float32" });
      for (const [f, expected, gradient] of [
        [(v: Value) => v.max(), 20, [0, 1, 0]],
        [(v: Value) => v.min(), 10, [1, 0, 0]],
      ] as const) {
        for (const g of ways(f)) {
          const [, t] = jvp(g, [x], [tensor([10, 20, 30], { dtype: "float32" })]);
          expect([t.dtype, t.item()]).toEqual(["float32", expected]);
          const pulled = grad(g)(x);
          expect([pulled.dtype, pulled.toArray()]).toEqual(["float32", gradient]);
        }
      }
    });

    it("torch 160513: the tangent of a float32 x times the literal 2.5 is float32", () => {
      const one = tensor(1, { dtype: "float32" });
      for (const f of ways((x: Value) => x.mul(2.5))) {
        const [y, t] = jvp(f, [one], [one]);
        expect([y.dtype, t.dtype, t.item()]).toEqual(["float32", "float32", 2.5]);
        const g = grad(f)(one);
        expect([g.dtype, g.item()]).toEqual(["float32", 2.5]);
      }
    });

    it("torch 78355: a VJP that returns an unreduced shape is refused by the checker", () => {
      const name = `regression:unreduced:${backend.name}`;
      backend.kernels.set(name, (inputs, output, params) =>
        backend.kernels.get("mul")?.(inputs, output, params),
      );
      if (!primitives().has(name)) {
        primitive(name, {
          args: ["x", "s"],
          batch: "loop",
          residuals: { x: ["s"], s: ["x"] },
          shape: ([x]) => x,
          cost: (_, output) => output.size,
          sample: (draw) => ({
            inputs: [argument(draw.shape({ minRank: 1, minSize: 2 })), argument([])],
            params: {},
          }),
          jvp: { x: (dx, { s }) => dx.mul(s), s: (ds, { x }) => ds.mul(x) },
          vjp: { x: (ct, { s }) => ct.mul(s), s: (ct, { x }) => ct.mul(x) },
        });
      }
      const found = primitives().get(name);
      if (found === undefined) throw new Error("not registered");
      const report = checkLaw(
        found,
        linearity,
        { backend, dtype: float, reference: backend },
        { samples: 5 },
      );
      expect(report.failure?.text).toMatch(/the VJP gives .*\[\d/);
    });

    it("torch 196701: the nested JVP of cumprod through a zero agrees with the reverse-mode Hessian", () => {
      const x = tensor([2, 0, 3]);
      const v = tensor([1, 1, 1]);
      for (const f of ways((y: Value) => y.cumprod().sum())) {
        const nested = jvp((y: Value) => jvp(f, [y], [v])[1], [x], [v])[1].item();
        const reverse = grad((y) => grad(f)(y).mul(v).sum())(x)
          .sum()
          .item();
        expect([nested, reverse]).toEqual([12, 12]);
      }
    });

    it("torch 773, HIPS/autograd 93: the gradient of prod with one zero factor, and with two", () => {
      for (const f of ways((x: Value) => x.prod())) {
        expect(grad(f)(tensor([2, 0, 3])).toArray()).toEqual([0, 6, 0]);
        expect(grad(f)(tensor([0, 0, 3])).toArray()).toEqual([0, 0, 0]);
        const pushed = (x: number[], v: number[]): number => jvp(f, [tensor(x)], [tensor(v)])[1].item();
        expect([pushed([2, 0, 3], [1, 1, 1]), pushed([0, 0, 3], [1, 1, 1])]).toEqual([6, 0]);
      }
    });

    it("ForwardDiff 83, 443: D(x -> x D(y -> x + y, 1), 1) is 1", () => {
      const f = (x: Value): Value => x.mul(derivative((y) => x.add(y))(1));
      for (const g of [...ways(f), (x: Value) => x.mul(derivative(jit((y: Value) => x.add(y)))(1))])
        expect([derivative(g)(1).item(), grad(g)(1).item()]).toEqual([1, 1]);
    });

    it("tfjs 8721: the VJP of a batched matmul with broadcast batch dimensions has the operands' shapes", () => {
      const [a, b] = [ones([2, 1, 3, 4]), ones([5, 4, 2])];
      for (const f of ways((x: Value, z: Value) => x.matmul(z))) {
        const [y, pullback] = vjp(f, a, b);
        const [da, db] = pullback(ones(y.shape));
        expect([da.shape, db.shape]).toEqual([a.shape, b.shape]);
        expect([da.at(0).at(0).at(0).at(0).item(), db.at(0).at(0).at(0).item()]).toEqual([10, 6]);
        const [, t] = jvp(f, [a, b], [a, b]);
        expect([t.shape, t.at(0).at(0).at(0).at(0).item()]).toEqual([y.shape, 8]);
      }
    });

    it("tfjs 3252: tanh has a second derivative", () => {
      const t = Math.tanh(0.5);
      for (const f of ways((y: Value) => y.tanh())) {
        close(derivative((x) => derivative(f)(x))(0.5).item(), -2 * t * (1 - t * t), 64);
        close(grad((x) => grad(f)(x))(0.5).item(), -2 * t * (1 - t * t), 64);
      }
    });

    it("jax-js 84: the derivatives of a triangular solve ignore the other triangle", () => {
      const l = tensor([
        [2, 99],
        [1, 4],
      ]);
      const b = tensor([2, 9]);
      const above = tensor([
        [0, 1],
        [0, 0],
      ]);
      for (const f of ways((m: Value) => solveLower(m, b).sum())) {
        // x = (1, 2): the cotangents are -L⁻ᵀ 1 xᵀ below the diagonal, and 0 above it.
        expect(grad(f)(l).toArray()).toEqual([
          [-0.375, 0],
          [-0.25, -0.5],
        ]);
        expect(Math.abs(jvp(f, [l], [above])[1].item())).toBe(0);
      }
    });

    it("jax 3996: a custom JVP and a custom VJP on one function are both used", () => {
      const name = `regression:both:${backend.name}`;
      backend.kernels.set(name, (inputs, output, params) =>
        backend.kernels.get("sin")?.(inputs, output, params),
      );
      const used: string[] = [];
      primitive(name, {
        args: ["x"],
        elementwise: true,
        residuals: { x: ["x"] },
        shape: ([x]) => x,
        cost: () => 1,
        sample: (draw) => ({ inputs: [argument(draw.shape())], params: {} }),
        jvp: { x: (dx, { x }) => (used.push("jvp"), dx.mul(x.cos())) },
        vjp: { x: (ct, { x }) => (used.push("vjp"), ct.mul(x.cos())) },
      });
      const found = primitives().get(name);
      if (found === undefined) throw new Error("not registered");
      expect(both((x) => bind(found, [x], {}), 0)).toBe(1);
      // Eager, then staged.
      expect(used).toEqual(["jvp", "vjp", "jvp", "vjp"]);
      const setting = { backend, dtype: float, reference: backend } as const;
      expect(checkLaw(found, adjoint, setting, { samples: 10, cover: false })).toMatchObject({
        judged: 10,
        failure: undefined,
      });
    });

    it("jax 3996: so are those of a function of the user's", () => {
      const used: string[] = [];
      const f = custom((x: Value) => x.sin(), {
        jvp: ([x], [dx]) => (used.push("jvp"), [x.sin(), dx.mul(x.cos())]),
        forward: (x) => (used.push("forward"), [x.sin(), x]),
        backward: (x, ct) => (used.push("backward"), [ct.mul(x.cos())]),
      });
      expect([derivative(f)(0).item(), grad(f)(0).item()]).toEqual([1, 1]);
      expect(used).toEqual(["jvp", "forward", "backward"]);
      expect(both(f as (x: Value) => Value, 0)).toBe(1);
      const setting = { backend, dtype: float, reference: backend } as const;
      const reports = checkCustomRule(f, [argument([2])], {
        name: "f",
        ...setting,
        laws: [primals, adjoint],
        samples: 10,
      });
      for (const report of reports) expect(report).toMatchObject({ judged: 10, failure: undefined });
      const wrong = custom((x: Value) => x.sin(), {
        jvp: ([x], [dx]) => [x.sin(), dx.mul(x.cos())],
        forward: (x) => [x.sin(), x],
        backward: (x, ct) => [ct.mul(x.sin())],
      });
      expect(
        checkCustomRule(wrong, [argument([2])], { name: "f", ...setting, laws: [adjoint], samples: 10 })[0]
          .failure?.text,
      ).toMatch(/breaks the law "adjoint"/);
    });

    it("jax 13184, 2956: reverse mode through a whileLoop works, eager, staged and to second order", () => {
      const tolerance = float === "float64" ? 1e-12 : 1e-5;
      const newton = (a: Value): Value =>
        whileLoop(
          ({ move }: { x: Value; move: Value }) => move.abs().gt(tolerance),
          ({ x }) => {
            const move = x.sub(a.div(x)).mul(0.5);
            return { x: x.sub(move), move };
          },
          { x: a, move: a },
        ).x;
      // Convergence is quadratic, so that an iterate is exact and its derivative a step or two behind: √tolerance.
      const near = (found: number, wanted: number): void =>
        expect(Math.abs(found / wanted - 1)).toBeLessThan(10 * Math.sqrt(tolerance));
      for (const f of ways(newton)) {
        for (const [first, second] of [
          [derivative(f), derivative((x) => derivative(f)(x))],
          [grad(f), grad((x: Value) => grad(f)(x))],
        ]) {
          near(first(2).item(), 0.5 / Math.SQRT2);
          near(second(2).item(), -0.25 / 2 ** 1.5);
        }
      }
    });

    it("jax 13184, 2956: reverse mode through a loop of JavaScript works", () => {
      const newton = (a: Value): Value => {
        let x = a;
        while (Math.abs(x.item() ** 2 - a.item()) > 1e-5 * a.item()) x = x.add(a.div(x)).mul(0.5);
        return x;
      };
      expect(Math.abs(grad(newton)(2).item() - 0.5 / Math.SQRT2)).toBeLessThan(1e-4); // the loop's own tolerance, times 10
      close(grad(newton)(2).item(), derivative(newton)(2).item(), 64);
    });

    it("integers stay without tangents, and zeros keep their shape", () => {
      expect(isFloating("int32")).toBe(false);
      expect(grad((x) => x.take([0]).sum())(zeros([3])).toArray()).toEqual([1, 0, 0]);
    });
  });
}
