import {
  type Primitive,
  type Value,
  DTypeError,
  DerivativeError,
  EscapedTracerError,
  bind,
  derivative,
  discrete,
  grad,
  jet,
  jit,
  jsBackend,
  jvp,
  multiplePrimitive,
  profile,
  tensor,
  tidy,
  vmap,
  where,
  currentBackend,
  customJvp,
} from "cotangent";
import { assertReports, checkLaw, checkPrograms, everyPrimitive, taylor } from "@cotangent/verify";
import { describe, expect, test } from "vitest";

const setting = { backend: jsBackend, dtype: "float64", reference: jsBackend } as const;

/** The series of the straight line x + t. */
const line = (order: number): (number | null)[] => [1, ...new Array<null>(order - 1).fill(null)];

/** Derivatives of order 0 to `order` of a scalar function at x. */
function derivatives(f: (x: Value) => Value, x: number, order: number): number[] {
  const [value, series] = jet(f, [x], [line(order)]);
  return [value, ...series].map((each) => each.item());
}

/** The same by `derivative` of `derivative` of ... */
function nested(f: (x: Value) => Value, x: number, order: number): number[] {
  const found: number[] = [];
  let g: (x: Value | number) => Value = f as (x: Value | number) => Value;
  for (let k = 0; k <= order; k++) {
    found.push(g(tensor(x)).item());
    g = derivative(g);
  }
  return found;
}

describe("jet is nested forward mode", () => {
  test.each(everyPrimitive().map((primitive) => [primitive.name, primitive] as const))(
    "%s",
    (_, primitive) => {
      assertReports([checkLaw(primitive, taylor, setting, { samples: 20 })]);
    },
  );

  test("on random programs", () => {
    const report = checkPrograms(taylor, setting, { samples: 80 });
    assertReports([report]);
    expect(report.judged, JSON.stringify(report.classed)).toBeGreaterThan(70);
  });

  test("at every declared kink, in infinities and NaN too", () => {
    for (const primitive of everyPrimitive()) {
      for (const { at, params } of primitive.kinks) {
        const f =
          params === undefined
            ? atRankZero(primitive)
            : (...xs: Value[]): Value => bind(primitive, xs, params).sum();
        const points = at.map((x): Value => tensor(x));
        const [value, series] = jet(
          f,
          points,
          points.map((x) => [x.onesLike(), x.onesLike().mul(0.5), null]),
        );
        const along = (t: Value): Value => f(...points.map((x) => t.mul(0.25).add(1).mul(t).add(x)));
        expect(
          [value, ...series].map((each) => each.item()),
          `${primitive.name} at ${at.join(", ")}`,
        ).toEqual(nested(along, 0, 3));
      }
    }
  });
});

/** A primitive as a function of scalars, with the smallest parameters that it may have. */
function atRankZero(primitive: Primitive): (...xs: Value[]) => Value {
  const { params } = primitive.sample({
    int: (low) => low,
    bool: () => true,
    choose: (options) => options[0],
    shape: () => [],
    size: () => 1,
    broadcastable: (count) => Array.from({ length: count }, () => []),
  });
  return (...xs) => bind(primitive, xs, params);
}

describe("known series", () => {
  const factorials = [1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800];

  test.each<[string, (x: Value) => Value, number, number[]]>([
    ["exp at 0", (x) => x.exp(), 0, factorials.map(() => 1)],
    ["sin at 0", (x) => x.sin(), 0, [0, 1, 0, -1, 0, 1, 0, -1, 0, 1, 0]],
    ["1 / (1 - x) at 0", (x) => x.neg().add(1).reciprocal(), 0, factorials],
    ["x / (1 - x) at 0", (x) => x.div(x.neg().add(1)), 0, [0, ...factorials.slice(1)]],
    ["log at 1", (x) => x.log(), 1, [0, ...factorials.slice(0, 10).map((n, k) => (-1) ** k * n)]],
    // The tangent numbers, OEIS A000182.
    ["tan at 0", (x) => x.tan(), 0, [0, 1, 0, 2, 0, 16, 0, 272, 0, 7936, 0]],
    ["tanh at 0", (x) => x.tanh(), 0, [0, 1, 0, -2, 0, 16, 0, -272, 0, 7936, 0]],
    // The Euler numbers, OEIS A000364.
    ["sech at 0", (x) => x.cosh().reciprocal(), 0, [1, 0, -1, 0, 5, 0, -61, 0, 1385, 0, -50521]],
    ["atan at 0", (x) => x.atan(), 0, [0, 1, 0, -2, 0, 24, 0, -720, 0, 40320, 0]],
    // The squares of the double factorials of odd numbers, OEIS A001818.
    ["asin at 0", (x) => x.asin(), 0, [0, 1, 0, 1, 0, 9, 0, 225, 0, 11025, 0]],
    ["x³ at 0 as a power", (x) => x.pow(3), 0, [0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]],
    ["x³ at 0 as a product", (x) => x.mul(x).mul(x), 0, [0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]],
    // The Bell numbers, OEIS A000110.
    ["exp(exp(x) - 1) at 0", (x) => x.expm1().exp(), 0, [1, 1, 2, 5, 15, 52, 203, 877, 4140, 21147, 115975]],
  ])("%s", (_, f, x, wanted) => {
    const found = derivatives(f, x, 10);
    // Each order is a sum of up to a hundred products of the orders before, none larger than k!: 1e-13 is 1000 roundoffs.
    found.forEach((each, k) =>
      expect(Math.abs(each - wanted[k]), `order ${k}: ${each}`).toBeLessThanOrEqual(1e-13 * factorials[k]),
    );
  });

  test("a power series composed with its inverse is the identity", () => {
    const [value, series] = jet((x: Value) => x.tan().atan(), [0.3], [[2, 3, 5, 7, 11, 13]]);
    expect(value.item()).toBeCloseTo(0.3, 15);
    // tan's derivative of order 6 is 5e4 here, and terms of that size cancel: 1e-10 is 20 roundoffs of them.
    [2, 3, 5, 7, 11, 13].forEach((wanted, k) =>
      expect(Math.abs(series[k].item() - wanted)).toBeLessThan(1e-10),
    );
  });

  test("is what jax.experimental.jet gives (JAX 0.10.2, float64)", () => {
    const f = (x: Value, y: Value): Value => x.sin().mul(y).exp().div(x.mul(x).add(1)).add(y.tanh());
    const curve: [number[], number[]] = [
      [2, 3, 5, 7],
      [1, -1, 0.5, 2],
    ];
    const [value, series] = jet(f, [0.3, 0.7], curve);
    const known = [
      1.7326388628364857, 1.2350631419634226, -4.551121039358412, -19.568383975921765, 56.037817691280296,
    ];
    [value, ...series].forEach((each, k) => expect(each.item()).toBeCloseTo(known[k], 12)); // up to 70 roundoffs
  });

  test("the series of a piece does not see the other pieces", () => {
    expect(derivatives((x) => where(x.gt(0), x.square(), x.sqrt()), 2, 3)).toEqual([4, 4, 2, 0]);
    expect(derivatives((x) => where(x.gt(0), x.sqrt(), x.square()), 0, 3)).toEqual([0, 0, 2, 0]);
    expect(derivatives((x) => x.abs().mul(x.floor()), -1.5, 2)).toEqual([-3, 2, 0]);
  });
});

describe("arguments and results", () => {
  test("curves of several arguments, in trees, with terms and arguments that stay", () => {
    const f = (p: { a: Value; b: Value }, c: Value): { product: Value; parts: Value[] } => ({
      product: p.a.mul(p.b).mul(c),
      parts: [p.a, c.mul(3)],
    });
    const [value, series] = jet(f, [{ a: 2, b: 3 }, 5], [[{ a: 1, b: 7 }, { a: null, b: 4 }, null], null]);
    expect(value.product.item()).toBe(30);
    // (ab)'' = 2 a' b' + a b'' and (ab)''' = 3 a' b'', all times c.
    expect(series.map((each) => each.product.item())).toEqual([
      5 * (1 * 3 + 2 * 7),
      5 * (2 * 7 + 2 * 4),
      5 * 3 * 4,
    ]);
    expect(series.map((each) => each.parts.map((part) => part.item()))).toEqual([
      [1, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test("shapes that broadcast and constants beside them", () => {
    const x = tensor([[1], [2]]);
    const [value, series] = jet(
      (a: Value, b: Value) => a.add(b).sub(tensor([1, 2, 3])),
      [x, 1],
      [
        [null, tensor([[1], [2]])],
        [4, null],
      ],
    );
    expect(value.shape).toEqual([2, 3]);
    expect(series.map((each) => each.toArray())).toEqual([
      [
        [4, 4, 4],
        [4, 4, 4],
      ],
      [
        [1, 1, 1],
        [2, 2, 2],
      ],
    ]);
  });

  test("float32 stays float32, and integers have zeros", () => {
    const x = tensor([1, 3], { dtype: "float32" });
    const [value, series] = jet((v: Value) => ({ y: v.exp(), i: v.argmax() }), [x], [[x, null]]);
    expect([value.y.dtype, series[1].y.dtype, series[0].i.dtype]).toEqual(["float32", "float32", "int32"]);
    expect([value.i.item(), series[0].i.item()]).toEqual([1, 0]);
  });

  test("order 0 is the value alone", () => {
    const [value, series] = jet((x: Value) => x.exp(), [0], [[]]);
    expect([value.item(), series]).toEqual([1, []]);
  });

  test("functions with rules of their own are told apart, and may be applied twice", () => {
    const sine = customJvp(
      (x: Value) => x.sin(),
      ([x], [dx]) => [x.sin(), dx.mul(x.cos())],
    );
    const exponential = customJvp(
      (x: Value) => x.exp(),
      ([x], [dx]) => [x.exp(), dx.mul(x.exp())],
    );
    const f = (x: Value): Value => sine(x).add(exponential(x).mul(10)).add(sine(x));
    const [value, terms] = jet(f, [0.5], [[1, 0, 0]]);
    const [s, c, e] = [Math.sin(0.5), Math.cos(0.5), 10 * Math.exp(0.5)];
    [2 * s + e, 2 * c + e, -2 * s + e, -2 * c + e].forEach((wanted, k) =>
      expect([value, ...terms][k].item()).toBeCloseTo(wanted, 12),
    );
  });

  test("a primitive with several outputs", () => {
    const twice = multiplePrimitive("jetTestPolar", {
      args: ["r", "angle"],
      shapes: ([r]) => [r, r],
      cost: () => 1,
      jvp: ([dr, da], { inputs: [r, angle], outputs: [x, y] }) => {
        const along = (d: Value | null, times: Value): Value => (d ?? r.zerosLike()).mul(times);
        return [along(dr, angle.cos()).sub(along(da, y)), along(dr, angle.sin()).add(along(da, x))];
      },
      vjp: () => [null, null],
      sample: () => ({ inputs: [], params: {} }),
    });
    jsBackend.multipleKernels.set("jetTestPolar", ([r, angle]) => [
      r.item() * Math.cos(angle.item()),
      r.item() * Math.sin(angle.item()),
    ]);
    const curve: [number[], number[]] = [
      [1, 2, 3, 4],
      [0.5, -1, 2, 1],
    ];
    const [, found] = jet((r: Value, angle: Value) => twice([r, angle], {}), [2, 0.7], curve);
    const [, wanted] = jet((r: Value, a: Value) => [r.mul(a.cos()), r.mul(a.sin())], [2, 0.7], curve);
    found.forEach((pair, k) =>
      pair.forEach((each, i) => expect(each.item()).toBeCloseTo(wanted[k][i].item(), 12)),
    );
  });
});

describe("nesting", () => {
  const f = (x: Value): Value => x.mul(2).sin().mul(x.exp());
  const [, second, third] = nested(f, 0.4, 3).slice(1);

  test("a derivative of a Taylor coefficient is the next one, in both modes and in jet itself", () => {
    const coefficient = (x: Value): Value => jet(f, [x], [[1, null]])[1][1];
    expect(coefficient(tensor(0.4)).item()).toBeCloseTo(second, 12); // of order 10: 1e-12 is 500 roundoffs
    expect(derivative(coefficient)(0.4).item()).toBeCloseTo(third, 12);
    expect(grad(coefficient)(0.4).item()).toBeCloseTo(third, 12);
    expect(jet(coefficient, [0.4], [[1]])[1][0].item()).toBeCloseTo(third, 12);
  });

  test("derivatives inside the function are part of the curve", () => {
    for (const slope of [derivative(f), grad(f), (x: Value) => jvp(f, [x], [1])[1]]) {
      expect(jet(slope, [0.4], [[1, null]])[1][1].item()).toBeCloseTo(third, 12);
    }
  });

  test("batches of jets and jets of batches", () => {
    const x = tensor([0.4, 0.5]);
    const coefficient = (y: Value): Value => jet(f, [y], [[1, null]])[1][1];
    const each = [0.4, 0.5].map((y) => coefficient(tensor(y)).item());
    expect(vmap(coefficient)(x).toArray()).toEqual(each);
    expect(jet(vmap(f), [x], [[tensor([1, 1]), null]])[1][1].toArray()).toEqual(each);
  });

  test("perturbations of different levels are never confused", () => {
    expect(
      jet((x: Value) => x.mul(jet((y: Value) => x.add(y), [1], [[1]])[1][0]), [1], [[1]])[1][0].item(),
    ).toBe(1);
    expect(jet((x: Value) => x.mul(derivative((y) => x.mul(y))(1)), [3], [[1, null]])[1][1].item()).toBe(2);
  });
});

describe("memory", () => {
  const alive = (): number => currentBackend().memory().buffers;
  const f = (x: Value): Value => tidy(() => x.tanh().mul(x.exp())).sum();

  test("a tidy inside the function keeps what the series needs, and one outside frees all but the result", () => {
    const x = tensor([0.1, 0.2]);
    const before = alive();
    const [, series] = tidy(() => jet((v: Value) => f(v).add(v), [x], [[tensor([1, 1]), null, null]]));
    expect(alive() - before).toBe(1 + 3); // the value and three derivatives
    const [, again] = jet(
      (v: Value) => v.tanh().mul(v.exp()).sum().add(v),
      [x],
      [[tensor([1, 1]), null, null]],
    );
    series.forEach((each, k) => expect(each.toArray()).toEqual(again[k].toArray()));
  });

  test("what the series took on the way is freed without a tidy", () => {
    const x = tensor([0.1, 0.2]);
    const v = tensor([1, 1]);
    const before = alive();
    jet((y: Value) => y.tanh(), [x], [[v, null, null, null, null]]);
    expect(alive() - before).toBe(1 + 5);
  });
});

describe("cost", () => {
  const composite = (x: Value): Value =>
    x.sin().exp().tanh().mul(x).sigmoid().atan().add(1).log().square().mul(x.cos());
  const evaluations = (order: number): number =>
    profile(() => derivatives(composite, 0.3, order)).evaluations;
  const evaluationsNested = (order: number): number => {
    let g: (x: Value | number) => Value = composite as (x: Value | number) => Value;
    for (let k = 0; k < order; k++) g = derivative(g);
    return profile(() => g(0.3)).evaluations;
  };

  test("grows as a power of the order where nested forward mode grows exponentially", () => {
    // Doubling the order multiplies products by 4 (by 8 where quotients are): never by more than 10.
    for (const order of [2, 4, 8, 16]) expect(evaluations(2 * order)).toBeLessThan(10 * evaluations(order));
    // One order more at least doubles it.
    for (const order of [1, 2, 3, 4]) {
      expect(evaluationsNested(order + 1)).toBeGreaterThan(2 * evaluationsNested(order));
    }
    expect(evaluationsNested(6)).toBeGreaterThan(10 * evaluations(6));
  });

  test("a primitive whose derivative is made of itself takes k products for order k", () => {
    const count = (order: number): number => profile(() => derivatives((x) => x.exp(), 0, order)).evaluations;
    // Along a line each order is one product, one division by the order, and one factor k! at the end.
    expect(count(9) - count(8)).toBeLessThanOrEqual(4);
    const curve = (order: number): number =>
      profile(() => jet((x: Value) => x.exp(), [0], [new Array<number>(order).fill(1)])).evaluations;
    // Along a curve k products and k sums more for each order, and k! in and out.
    const difference = (order: number): number => curve(order + 1) - curve(order);
    expect(difference(9) - difference(8)).toBeLessThanOrEqual(2);
  });

  test("a jitted function costs what the function costs, and so does a jitted jet", () => {
    const jitted = jit(composite);
    const series = (f: (x: Value) => Value) => (x: Value) => jet(f, [x], [line(6)])[1];
    const x = tensor(0.3);
    const eager = profile(() => series(composite)(x));
    const ofJitted = profile(() => series(jitted)(x));
    const whole = jit(series(composite));
    expect(whole(x).map((each) => each.item())).toEqual(eager.result.map((each) => each.item()));
    expect(ofJitted.result.map((each) => each.item())).toEqual(eager.result.map((each) => each.item()));
    expect(ofJitted.evaluations).toBeLessThanOrEqual(eager.evaluations);
    expect(profile(() => whole(x)).evaluations).toBeLessThanOrEqual(eager.evaluations);
  });

  test("a long chain needs no deep stack", () => {
    const chain = (x: Value): Value => {
      let y = x;
      for (let i = 0; i < 20_000; i++) y = y.mul(0.9999).add(1e-4);
      return y.square();
    };
    const slope = 0.9999 ** 20_000;
    const [, first, second] = derivatives(chain, 1, 2);
    // The chain has the fixed point 1, so the square's derivatives are 2 s and 2 s²; 20,000 roundings on the way.
    expect(first / (2 * slope)).toBeCloseTo(1, 11);
    expect(second / (2 * slope * slope)).toBeCloseTo(1, 11);
  });
});

describe("errors", () => {
  test("series that do not match", () => {
    const x = tensor([1, 2]);
    const f = (v: Value): Value => v;
    expect(() => jet(f, [x], [] as never)).toThrow(/one entry per argument/);
    expect(() => jet(f, [x], [x] as never)).toThrow(/series of argument 0 is no array/);
    expect(() => jet(f, [x], [[tensor([1])]])).toThrow(/tangent of argument 0 is float64\[1\].*float64\[2\]/);
    expect(() => jet((a: Value, b: Value) => a.add(b), [x, x], [[x], [x, x]])).toThrow(
      /series of 1 and 2 terms.*same number/,
    );
    expect(() => jet(f, [x], [[{ a: x }]] as never)).toThrow(
      /tangent of argument 0, order 1 has the structure/,
    );
    expect(() => jet(f, [tensor([1], { dtype: "int32" })], [[tensor([1])]])).toThrow(DTypeError);
    expect(() => jet((_: Value) => undefined as never, [1], [[1]])).toThrow(/returned undefined/);
  });

  test("a primitive without a derivative is refused at the user's line", () => {
    const refused = discrete("jetTestRefused", {
      args: ["x"],
      elementwise: true,
      shape: ([x]) => x,
      cost: () => 1,
      sample: () => ({ inputs: [], params: {} }),
      refuse: "it is only here to refuse",
      decompose: ([x]) => x,
    });
    expect(() => jet((x: Value) => refused(x), [1], [[1]])).toThrow(DerivativeError);
    expect(() => jet((x: Value) => refused(x), [1], [[1]])).toThrow(
      /only here to refuse[\s\S]*at your line .*jet\.test\.ts/,
    );
  });

  test("a jet that escapes is refused when it is used", () => {
    let kept: Value | undefined;
    jet(
      (x: Value) => {
        kept = x.mul(2);
        return x;
      },
      [1],
      [[1]],
    );
    expect(() => kept?.add(1)).toThrow(EscapedTracerError);
    expect(() => kept?.add(1)).toThrow(/add: a traced value float64\[\] of jet/);
    expect(String(kept)).toBe("Jet(Tensor(2, float64[]), ...)");
  });
});
