/** Functions with derivative rules of their own, and the check that holds such rules to account. */
import {
  type CustomRules,
  DTypeError,
  DerivativeError,
  ShapeError,
  StagingError,
  TreeError,
  type Value,
  argument,
  checkpoint,
  cond,
  custom,
  customJvp,
  customVjp,
  derivative,
  grad,
  hessian,
  hvp,
  indices,
  interval,
  jacfwd,
  jacrev,
  jit,
  jsBackend,
  jvp,
  linearize,
  real,
  scan,
  setBackend,
  tensor,
  tidy,
  vjp,
  vmap,
} from "cotangent";
import {
  type Report,
  type Setting,
  adjoint,
  assertReports,
  checkCustomRule,
  linearity,
  memory,
  primals,
  ruleLaws,
  secondOrder,
  staged,
  transposed,
  vmapped,
} from "@cotangent/verify";
import { describe, expect, test } from "vitest";

type F = (x: Value) => Value;
setBackend(jsBackend);
const setting: Setting = { backend: jsBackend, dtype: "float64", reference: jsBackend };
const onFloat32: Setting = { ...setting, dtype: "float32" };

/** log(1 + eˣ), which overflows as it stands. */
const softplus: F = (x) => x.exp().log1p();
const rules: CustomRules<[Value], Value, Value> = {
  jvp: ([x], [dx]) => [softplus(x), dx.mul(x.sigmoid())],
  forward: (x) => [softplus(x), x],
  backward: (x, ct) => [ct.mul(x.sigmoid())],
};
const { jvp: ofTangents, ...ofCotangents } = rules;
const both = custom(softplus, rules);
const forwardOnly = customJvp(softplus, ofTangents!);
const reverseOnly = customVjp(softplus, ofCotangents as Required<typeof ofCotangents>);

/** Which laws a function breaks. */
const broken = (reports: readonly Report[]): string[] =>
  reports.flatMap(({ law, failure }) => (failure === undefined ? [] : [law]));
const everything = [...ruleLaws, secondOrder, transposed, staged, vmapped, memory];

describe("checkCustomRule", () => {
  test.each([setting, onFloat32])("finds nothing wrong with right rules, in $dtype", (at) => {
    for (const f of [both, forwardOnly]) {
      const reports = checkCustomRule(f, [argument([3], real())], {
        name: "softplus",
        ...at,
        laws: everything,
      });
      assertReports(reports);
      for (const { judged } of reports) expect(judged).toBe(30);
    }
    const own = { modes: ["reverse"], samples: 20 } as const;
    const reports = checkCustomRule(reverseOnly, [argument([3], real())], {
      name: "softplus",
      ...at,
      ...own,
    });
    assertReports(reports);
    // Without a JVP there is nothing to compare with, but differences.
    expect(Object.fromEntries(reports.map(({ law, judged }) => [law, judged]))).toEqual({
      primals: 20,
      adjoint: 0,
      linearity: 20,
      differences: 0,
      "reverse differences": 20,
    });
  });

  test("a fault in either rule is told from one in both", () => {
    const check = (changes: Partial<typeof rules>, laws = ruleLaws): string[] =>
      broken(
        checkCustomRule(custom(softplus, { ...rules, ...changes }), [argument([2], real())], {
          name: "faulty",
          ...setting,
          laws,
          samples: 20,
        }),
      );
    const wrongJvp: typeof rules.jvp = ([x], [dx]) => [softplus(x), dx.mul(x.tanh())];
    const wrongVjp: typeof rules.backward = (x, ct) => [ct.mul(x.tanh())];
    expect(check({})).toEqual([]);
    expect(check({ jvp: wrongJvp })).toEqual(["adjoint", "differences"]);
    expect(check({ backward: wrongVjp })).toEqual(["adjoint", "reverse differences"]);
    expect(check({ jvp: wrongJvp, backward: wrongVjp })).toEqual(["differences", "reverse differences"]);
    // Values that a rule computes differently.
    expect(check({ jvp: ([x], [dx]) => [softplus(x).add(1e-9), dx.mul(x.sigmoid())] })).toEqual(["primals"]);
    expect(check({ forward: (x) => [softplus(x).mul(2), x] })).toEqual(["primals"]);
    // Clipping is no linear map.
    expect(check({ backward: (x, ct) => [ct.mul(x.sigmoid()).clamp(-0.1, 0.1)] })).toContain("linearity");
    // A rule that is right once, but not when it is differentiated again.
    expect(
      check({ backward: (x, ct) => [ct.mul(x.stopGradient().sigmoid())] }, [...ruleLaws, secondOrder]),
    ).toEqual(["second order"]);
  });

  test("says what was found, at which inputs, and how to find it again", () => {
    const faulty = custom(softplus, { ...rules, backward: (x, ct) => [ct.mul(x.sigmoid()).neg()] });
    const check = (options = {}): Report[] =>
      checkCustomRule(faulty, [argument([2], real())], { name: "faulty", ...setting, seed: 7, ...options });
    expect(() => assertReports(check())).toThrow(
      /faulty on js in float64 breaks the law "adjoint"[^]*<ȳ, J v> = [^]*for\n\/\/ on .*\nfaulty\(tensor\(\[.*\], \{ shape: \[2\], dtype: "float64" \}\)\)\nreplay: \{ seed: 7, path: "\d+" \}/,
    );
    // Shrunk to the simplest point.
    expect(check()[1].failure?.text).toContain("faulty(tensor([0, 0]");
    const path = /path: "(\d+)"/.exec(check()[1].failure!.text)![1];
    expect(check({ path })[1].failure?.text).toContain("faulty(tensor([0, 0]");
    // A mode that is not there is a failure, unless it is said.
    expect(
      broken(checkCustomRule(reverseOnly, [argument([], real())], { name: "softplus", ...setting })),
    ).toContain("adjoint");
  });

  test("knows of constants, of inputs drawn anew, and of surrogates", () => {
    const picked = custom<[Value, Value], Value, [Value, Value]>((x, i) => x.take(i).square(), {
      jvp: ([x, i], [dx]) => [x.take(i).square(), x.take(i).mul(dx.take(i)).mul(2)],
      forward: (x, i) => [x.take(i).square(), [x, i]],
      backward: ([x, i], ct) => [x.zerosLike().scatterAdd(i, x.take(i).mul(ct).mul(2)), null],
    });
    const drawn = checkCustomRule(
      picked,
      (draw) => {
        const n = draw.int(1, 4);
        return [argument([n], real()), indices([draw.int(0, 3)], n)];
      },
      { name: "picked", ...setting, laws: everything, samples: 15 },
    );
    assertReports(drawn);

    const round = custom<[Value], Value>((x) => x.floor(), {
      jvp: ([x], [dx]) => [x.floor(), dx],
      forward: (x) => [x.floor(), []],
      backward: (_, ct) => [ct],
    });
    const inputs = [argument([2], interval(0.2, 0.8))];
    expect(broken(checkCustomRule(round, inputs, { name: "round", ...setting }))).toEqual([
      "differences",
      "reverse differences",
    ]);
    assertReports(
      checkCustomRule(round, inputs, { name: "round", ...setting, laws: [primals, adjoint, linearity] }),
    );
  });
});

describe("which rule is used", () => {
  const used: string[] = [];
  const told =
    <A extends unknown[], R>(name: string, f: (...args: A) => R) =>
    (...args: A): R => (used.push(name), f(...args));
  const counted = custom<[Value], Value, Value>(told("call", softplus), {
    jvp: told("jvp", rules.jvp!),
    forward: told("forward", rules.forward!),
    backward: told("backward", rules.backward!),
  });
  const usedBy = (body: () => unknown): string[] => {
    used.length = 0;
    body();
    return [...used];
  };

  test("each mode its own; the function itself where nothing is differentiated (jax#3996)", () => {
    expect(usedBy(() => counted(1))).toEqual(["call"]);
    expect(usedBy(() => derivative(counted)(1))).toEqual(["jvp"]);
    expect(usedBy(() => grad(counted)(1))).toEqual(["forward", "backward"]);
    expect(usedBy(() => grad((_: Value) => counted(1))(2))).toEqual(["call"]);
  });

  test("an overflow that the function's own operations would give is avoided, in both modes", () => {
    const x = 800; // e⁸⁰⁰ is infinite
    for (const f of [both, forwardOnly, reverseOnly]) {
      expect(grad(f)(x).item()).toBe(1);
      if (f !== reverseOnly) expect(derivative(f)(x).item()).toBe(1);
    }
    // By the chain rule log1p'(∞) = 0, and a zero factor is a strong one.
    expect(grad(softplus)(x).item()).toBe(0);
  });

  test("with a JVP alone, reverse mode is its transpose, of all orders and inside of everything", () => {
    for (const f of [both, forwardOnly]) {
      const s = (v: number): number => 1 / (1 + Math.exp(-v));
      const [first, second] = [s(0.5), s(0.5) * (1 - s(0.5))];
      const close = (found: number, wanted: number): void =>
        expect(Math.abs(found / wanted - 1)).toBeLessThan(16 * 2 ** -53);
      for (const g of [f, jit(f), checkpoint(f)] as F[]) {
        close(grad(g)(0.5).item(), first);
        close(derivative(g)(0.5).item(), first);
        close(grad((v: Value) => grad(g)(v))(0.5).item(), second);
        close(derivative((v) => grad(g)(v))(0.5).item(), second);
        close(grad((v: Value) => derivative(g)(v))(0.5).item(), second);
        close(derivative(derivative(g))(0.5).item(), second);
        close(linearize(g, tensor(0.5))[1](tensor(1)).item(), first);
        close(
          vmap(grad(g) as F)(tensor([0.5]))
            .at(0)
            .item(),
          first,
        );
      }
      const x = tensor([0.5, -1]);
      const diagonal = [s(0.5), 0, 0, s(-1)];
      for (const jacobian of [jacfwd, jacrev])
        [...jacobian(f as F)(x).dataSync()].forEach((value, i) =>
          expect(Math.abs(value - diagonal[i])).toBeLessThan(8 * 2 ** -53),
        );
      expect(hessian((v: Value) => (f as F)(v).sum())(x).shape).toEqual([2, 2]);
      expect(hvp((v: Value) => (f as F)(v).sum(), x, x, "reverse-over-reverse").shape).toEqual([2]);
    }
  });

  test("in loops and branches", () => {
    const body =
      (f: F): F =>
      (x) =>
        scan(
          (c: Value, row: Value) => [
            cond(
              c.gt(0),
              (d: Value) => f(d),
              (d: Value) => f(d.neg()),
              c,
            ).mul(row),
            null,
          ],
          x,
          tensor([1, -0.5, 2]),
        )[0];
    for (const f of [both, forwardOnly] as F[]) {
      for (const g of [body(f), jit(body(f)) as F]) {
        const wanted = grad(body(softplus))(0.3).item();
        for (const found of [grad(g)(0.3), derivative(g)(0.3), vmap(grad(g) as F)(tensor([0.3])).at(0)])
          expect(Math.abs(found.item() / wanted - 1)).toBeLessThan(64 * 2 ** -53);
      }
    }
    expect(grad(body(reverseOnly as F))(0.3).item()).toBeCloseTo(grad(body(softplus))(0.3).item(), 14);
  });
});

describe("trees", () => {
  type Model = { readonly w: Value; readonly parts: readonly [Value, Value] };
  const f = ({ w, parts: [a, n] }: Model, x: Value): { y: Value; count: Value } => ({
    y: w.mul(x).mul(a).sum(),
    count: n.add(1),
  });
  const model = {
    w: tensor([1, 2]),
    parts: [tensor(3), tensor(7, { dtype: "int32" })],
  } as unknown as Model;
  const x = tensor([4, 5]);

  test("of arguments, results, tangents and cotangents; null for what is zero or has none", () => {
    type R = ReturnType<typeof f>;
    const g = custom<[Model, Value], R, [Model, Value]>(f, {
      jvp: ([m, v], [dm, dv]) => [
        f(m, v),
        {
          y: dm.w
            .mul(v)
            .mul(m.parts[0])
            .sum()
            .add(m.w.mul(v).mul(dm.parts[0]).sum())
            .add(m.w.mul(dv).mul(m.parts[0]).sum()),
          count: null as unknown as Value,
        },
      ],
      forward: (m, v) => [f(m, v), [m, v]],
      backward: ([m, v], ct) => [
        {
          w: ct.y.mul(v).mul(m.parts[0]),
          parts: [ct.y.mul(m.w).mul(v).sum(), null as unknown as Value],
        },
        null,
      ],
    });
    const { y, count } = g(model, x);
    expect([y.item(), count.item(), count.dtype]).toEqual([42, 8, "int32"]);
    const [, back] = vjp(
      (w: Value, a: Value, v: Value) => g({ ...model, w, parts: [a, model.parts[1]] }, v).y,
      model.w,
      model.parts[0],
      x,
    );
    // The rule says that the second argument has no cotangent.
    expect(back(1).map((value) => value.toArray())).toEqual([[12, 15], 14, [0, 0]]);
    const [, pushed] = jvp(
      (w: Value, v: Value) => g({ ...model, w }, v),
      [model.w, x],
      [tensor([1, 0]), tensor([0, 1])],
    );
    expect([pushed.y.item(), pushed.count.item()]).toEqual([12 + 6, 0]);
  });

  test("a result without structure, and one of several leaves", () => {
    const pair = customJvp<[Value], Value[]>(
      (v) => [v.sin(), v.cos()],
      ([v], [dv]) => [
        [v.sin(), v.cos()],
        [dv.mul(v.cos()), dv.mul(v.sin()).neg()],
      ],
    );
    expect(pair(0).map((value) => value.item())).toEqual([0, 1]);
    expect(grad((v: Value) => pair(v)[0].add(pair(v)[1].mul(2)))(0).item()).toBe(1);
    expect(jit((v: Value) => pair(v))(0).map((value) => value.item())).toEqual([0, 1]);
  });
});

describe("what is refused, and in which words", () => {
  const x = tensor([1, 2]);
  const square: F = (v) => v.square();
  const withRules = (changes: object): F =>
    custom(square, { ...rules, forward: (v: Value) => [square(v), v], ...changes }) as F;
  const cases: [string, () => unknown, new (...args: never[]) => Error, RegExp][] = [
    [
      "forward mode of a function with a VJP alone",
      () => derivative(reverseOnly)(1),
      DerivativeError,
      /softplus: forward mode was asked for, but the function has only a VJP.*custom\(f, \{ jvp, forward, backward \}\)/,
    ],
    [
      "half a VJP",
      () => custom(square, { forward: (v) => [v, v] }),
      TreeError,
      /square: a VJP needs both forward and backward/,
    ],
    ["no rules", () => custom(square, {}), TreeError, /square: no rules were given/],
    [
      "a tangent of another shape",
      () => jvp(withRules({ jvp: ([v]: Value[], [dv]: Value[]) => [square(v), dv.sum()] }), [x], [x]),
      ShapeError,
      /square: its rule gave a tangent float64\[\] for a value float64\[2\]; they must have the same shape and dtype/,
    ],
    [
      "a cotangent of another dtype",
      () => vjp(withRules({ backward: (v: Value) => [v.astype("float32")] }), x)[1](x),
      DTypeError,
      /square: its rule gave a cotangent float32\[2\] for a value float64\[2\]/,
    ],
    [
      "cotangents of another structure",
      () => vjp(withRules({ backward: (v: Value) => [{ v }] }), x)[1](x),
      TreeError,
      /square: found an object.* at the cotangents of the arguments/,
    ],
    [
      "too many cotangents",
      () => vjp(withRules({ backward: (v: Value) => [v, v] }), x)[1](x),
      TreeError,
      /square: the cotangents of the arguments has the structure \[\*,\*\], but \[\*\] is needed/,
    ],
    [
      "a traced value that the function closes over",
      () =>
        grad((w: Value) =>
          customJvp(
            (v: Value) => v.mul(w),
            ([v], [dv]) => [v.mul(w), dv.mul(w)],
          )(w),
        )(2),
      StagingError,
      /the function closes over a traced value float64\[\], which its own rules would miss\. Pass it as an argument/,
    ],
    [
      "a JVP that is not linear in the tangents",
      () => grad(customJvp(square, ([v], [dv]) => [square(v), dv.mul(dv)]))(2),
      DerivativeError,
      /not linear.*mul.*a product of two values that both depend on the argument/,
    ],
    [
      "a JVP that is affine in the tangents",
      () => grad(customJvp(square, ([v], [dv]) => [square(v), dv.add(1)]))(2),
      DerivativeError,
      /not linear.*add.*neither zero nor depends on the argument/,
    ],
    [
      "a JVP that is not linear within a branch or a loop",
      () =>
        grad(
          customJvp(square, ([v], [dv]) => [
            square(v),
            scan((c: Value) => [c.mul(dv), null], dv, null, { length: 2 })[0],
          ]),
        )(2),
      DerivativeError,
      /not linear.*mul/,
    ],
    [
      "an argument that is no value",
      () => (both as (v: unknown) => unknown)("one"),
      TreeError,
      /softplus: .*string/,
    ],
  ];
  test.each(cases)("%s", (_, body, kind, message) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(message);
  });
});

test("nothing is left alive but results", () => {
  const alive = (): number => jsBackend.memory().buffers;
  const x = tensor([1, 2]);
  for (const f of [both, forwardOnly] as F[]) {
    for (const g of [
      f,
      (v) => grad((w: Value) => f(w).sum())(v),
      (v) => jvp(f, [v], [v])[1],
      vmap(f),
    ] as F[]) {
      tidy(() => void g(x));
      const before = alive();
      const result = tidy(() => g(x));
      expect(alive() - before).toBe(1);
      result.concrete().dispose();
      expect(alive()).toBe(before);
    }
  }
});
