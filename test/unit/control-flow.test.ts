/** cond, switchCase, scan, foriLoop and whileLoop: eager, staged, batched and differentiated by both modes to second order. */
import {
  CotangentError,
  DTypeError,
  ShapeError,
  StagingError,
  TreeError,
  argument,
  type LoopCheckpoint,
  type Value,
  checkpoint,
  cond,
  derivative,
  foriLoop,
  grad,
  hessian,
  hvp,
  jit,
  jsBackend,
  jvp,
  ones,
  profile,
  real,
  scan,
  setBackend,
  stack,
  switchCase,
  tensor,
  tidy,
  vjp,
  vmap,
  whileLoop,
  zeros,
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
const int = (value: number): Value => tensor(value, { dtype: "int32" });
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
const [vector, scalar] = [argument([3], real()), argument([], real())];

describe("every law holds of", () => {
  const checkpoints: readonly LoopCheckpoint[] = ["all", "sqrt", "log", { slots: 2 }];
  const cell = (c: Value, x: Value, w: Value): Value => c.mul(w).add(x).tanh();
  const cases: [string, (x: Value, w: Value) => unknown][] = [
    [
      "cond with closures",
      (x, w) =>
        cond(
          x.sum().gt(100),
          (y: Value) => y.mul(w),
          (y: Value) => y.sin().add(w.exp()),
          x,
        ),
    ],
    [
      "switchCase with a result that does not depend on the operands",
      (x, w) =>
        switchCase(1, [(y: Value) => y, (y: Value) => [y.cos(), w], (y: Value) => [y, y]] as never, x),
    ],
    ["scan over rows", (x, w) => scan((c: Value, row: Value) => [cell(c, row, w), c.mul(row)], w, x)],
    [
      "scan from the last row",
      (x, w) => scan((c: Value, row: Value) => [cell(c, row, w), c], w, x, { reverse: true }),
    ],
    ...checkpoints.map((option): (typeof cases)[number] => [
      `scan with checkpoint ${JSON.stringify(option)}`,
      (x, w) => scan((c: Value, row: Value) => [cell(c, row, w), c.mul(row)], w, x, { checkpoint: option }),
    ]),
    [
      "scan of a carry that is a tree with a counter",
      (x, w) =>
        scan(
          ({ i, c }: { i: Value; c: Value }, row: Value) => [
            { i: i.add(1), c: c.add(row.mul(i.astype(c.dtype)).sin()) },
            { sum: c, at: i },
          ],
          { i: int(0), c: w },
          x,
        )[0].c,
    ],
    ["scan without rows", (x, w) => scan((c: Value) => [c.mul(w).sin(), null], x, null, { length: 3 })[0]],
    ["a scan of no steps", (x, w) => scan((c: Value) => [c.mul(w), c], x, null, { length: 0 })],
    [
      "scan in scan",
      (x, w) =>
        scan((c: Value, row: Value) => scan((d: Value, s: Value) => [cell(d, s, row), d], c, x), w, x)[1],
    ],
    ["foriLoop", (x, w) => foriLoop(1, 4, (i, c: Value) => c.mul(i.astype(c.dtype)).sin().add(w), x)],
    [
      "foriLoop to a bound that is a value",
      (x, w) => foriLoop(0, int(3), (i, c: Value) => c.sin().add(w.mul(i.astype(c.dtype))), x),
    ],
    ...[undefined, ...checkpoints].map((option): (typeof cases)[number] => [
      `whileLoop${option === undefined ? "" : ` with checkpoint ${JSON.stringify(option)}`}`,
      (x, w) =>
        whileLoop(
          ([n]: Value[]) => n.lt(3),
          ([n, c, d]: Value[]) => [n.add(1), c.mul(w).sin().add(d), d.mul(c.sum()).tanh()],
          [int(0), x, w],
          option === undefined ? {} : { checkpoint: option },
        ).slice(1),
    ]),
    [
      "a branch in a loop",
      (x, w) =>
        scan(
          ([i, c]: Value[], row: Value) => [
            [
              i.add(1),
              cond(
                i.lt(1),
                (d: Value) => d.mul(row),
                (d: Value) => d.sin().add(w),
                c,
              ),
            ],
            null,
          ],
          [int(0), w],
          x,
        )[0][1],
    ],
    [
      "a loop in a branch",
      (x, w) =>
        cond(
          w.lt(100),
          (y: Value) => scan((c: Value, row: Value) => [cell(c, row, w), c], w, y)[1],
          (y: Value) => y,
          x,
        ),
    ],
    [
      "a loop in a loop in a checkpoint",
      checkpoint((x: Value, w: Value) =>
        whileLoop(
          ([n]: Value[]) => n.lt(2),
          ([n, c]: Value[]) => [n.add(1), scan((d: Value, row: Value) => [cell(d, row, w), d], w, c)[1]],
          [int(0), x],
        ).slice(1),
      ),
    ],
  ];
  test.each(cases)("%s", (name, f) => {
    const reports = checkCustomRule(f, [vector, scalar], { name, ...setting, laws: lawsOfAll, samples: 6 });
    assertReports(reports);
    expect(reports.map(({ judged }) => judged)).toEqual(lawsOfAll.map(() => 6));
  });
});

describe("cond and switchCase", () => {
  test("eager, the branch that is taken runs and the other does not", () => {
    const calls: string[] = [];
    const f = (condition: Value | boolean): Value =>
      cond(
        condition,
        (x: Value) => (calls.push("true"), x.neg()),
        (x: Value) => (calls.push("false"), x),
        tensor(2),
      );
    expect([f(true), f(false), f(tensor(1).gt(0)), f(tensor(1).lt(0))].map((y) => y.item())).toEqual([
      -2, 2, -2, 2,
    ]);
    expect(calls).toEqual(["true", "false", "true", "false"]);
    // As in eager code, an if will do, and differentiates.
    expect(
      grad((x: Value) =>
        cond(
          x.gt(0),
          (y: Value) => y.square(),
          (y: Value) => y,
          x,
        ),
      )(3).item(),
    ).toBe(6);
  });

  test("staged, both are traced, and one is run", () => {
    const calls: string[] = [];
    const f = jit((x: Value) =>
      cond(
        x.gt(0),
        (y: Value) => (calls.push("true"), y.exp().exp()),
        (y: Value) => (calls.push("false"), y),
        x,
      ),
    );
    expect([f(-1).item(), f(0).item()]).toEqual([-1, 0]);
    expect(calls.sort()).toEqual(["false", "true"]);
    const evaluations = (x: number): number => profile(() => f(x)).evaluations;
    expect(evaluations(1) - evaluations(-1)).toBe(2);
  });

  test("a branch that is not taken cannot spoil a derivative", () => {
    const f = (x: Value): Value =>
      cond(
        x.gt(0),
        (y: Value) => y.sqrt().add(y.log()),
        (y: Value) => y.mul(2),
        x,
      );
    for (const g of [f, jit(f) as F]) {
      expect([grad(g)(0).item(), derivative(g)(0).item(), grad(g)(-1).item()]).toEqual([2, 2, 2]);
      expect(grad(g)(4).item()).toBe(0.5);
      expect(grad((x: Value) => grad(g)(x))(4).item()).toBeCloseTo(-0.25 / 8 - 1 / 16, 15);
    }
  });

  test("switchCase takes the nearest branch there is, also of a staged index", () => {
    const branches = [0, 1, 2].map((k) => (x: Value) => x.add(k * 10));
    const f = (i: Value | number): Value => switchCase(i, branches, tensor(1));
    const staged = jit((i: Value) => f(i));
    for (const [index, wanted] of [
      [-5, 1],
      [0, 1],
      [1, 11],
      [2, 21],
      [7, 21],
    ]) {
      expect([f(index).item(), f(int(index)).item(), staged(int(index)).item()]).toEqual([
        wanted,
        wanted,
        wanted,
      ]);
    }
    expect(f(1.9).item()).toBe(11);
  });

  test("trees of operands and results, of any dtype, and values that are closed over", () => {
    const w = tensor([1, 2]);
    const f = jit((x: Value, on: Value) =>
      cond(
        on,
        ({ y }: { y: Value }) => ({ sum: y.mul(w).sum(), order: [y.argmax(), y.gt(0)] }),
        ({ y }: { y: Value }) => ({ sum: y.sum(), order: [y.argmin(), y.lt(0)] }),
        { y: x },
      ),
    );
    const x = tensor([3, -1]);
    const [yes, no] = [true, false].map((on) => f(x, tensor(on)));
    expect([yes.sum.item(), yes.order[0].item(), yes.order[1].toArray()]).toEqual([1, 0, [true, false]]);
    expect([no.sum.item(), no.order[0].item(), no.order[1].toArray()]).toEqual([2, 1, [false, true]]);
  });

  test("elements of a batch that part ways", () => {
    const f = (x: Value): Value =>
      cond(
        x.gt(0),
        (y: Value) => y.sqrt(),
        (y: Value) => y.square(),
        x,
      );
    const xs = tensor([4, -3, 9]);
    expect(vmap(f)(xs).toArray()).toEqual([2, 9, 3]);
    expect(vmap(grad(f) as F)(xs).toArray()).toEqual([0.25, -6, 1 / 6]);
    expect(vmap(derivative(derivative(f)) as F)(xs).toArray()).toEqual([-1 / 32, 2, -1 / 108]);
    expect(jit(vmap(grad(f) as F))(xs).toArray()).toEqual([0.25, -6, 1 / 6]);
  });
});

describe("scan and foriLoop", () => {
  const xs = tensor([1, 2, 3, 4]);

  test("is the loop written out", () => {
    const step = (c: Value, x: Value): [Value, Value] => [c.mul(x).add(1), c.sub(x)];
    const byHand = (init: Value, rows: Value, order: number[]): [Value, Value] => {
      let carry = init;
      const results: Value[] = [];
      for (const i of order) {
        const [next, y] = step(carry, rows.at(i));
        carry = next;
        results[i] = y;
      }
      return [carry, stack(results)];
    };
    for (const [reverse, order] of [
      [false, [0, 1, 2, 3]],
      [true, [3, 2, 1, 0]],
    ] as const) {
      const run = (init: Value, rows: Value): Value[] => [...scan(step, init, rows, { reverse })];
      const hand = (init: Value, rows: Value): Value[] => byHand(init, rows, [...order]);
      const shown = (values: readonly Value[]): unknown => values.map((value) => value.toArray());
      for (const f of [run, jit(run) as typeof run])
        expect(shown(f(tensor(2), xs))).toEqual(shown(hand(tensor(2), xs)));
      const [wanted, found] = [hand, run].map((f) => {
        const [, pullback] = vjp(f, tensor(2), xs);
        return shown(pullback([tensor(1), tensor([1, -1, 2, 3])]));
      });
      expect(found).toEqual(wanted);
      const [tangents, pushed] = [hand, run].map((f) => shown(jvp(f, [tensor(2), xs], [tensor(1), xs])[1]));
      expect(pushed).toEqual(tangents);
    }
  });

  test("trees, results of any dtype, null results, and rows of rows", () => {
    const rows = { a: xs, b: [tensor([[1], [2], [3], [4]])] };
    const [last, ys] = scan(
      ({ sum, n }: { sum: Value; n: Value }, { a, b }: { a: Value; b: Value[] }) => [
        { sum: sum.add(b[0].mul(a)), n: n.add(1) },
        { big: sum.sum().gt(4), at: [n, sum] },
      ],
      { sum: zeros([1]), n: int(0) },
      rows,
    );
    expect([last.sum.toArray(), last.n.item()]).toEqual([[30], 4]);
    expect([ys.big.toArray(), ys.at[0].toArray(), ys.at[1].shape]).toEqual([
      [false, false, true, true],
      [0, 1, 2, 3],
      [4, 1],
    ]);
    expect(ys.big.dtype).toBe("bool");
    const [total, nothing] = scan((c: Value, x: Value) => [c.add(x), null], 0, xs);
    expect([total.item(), nothing]).toEqual([10, []]);
  });

  test("numbers: initial carries, and results of the body", () => {
    const [last] = scan((c: Value, x: Value) => [c.mul(0).add(7), x], tensor(0, { dtype: "float32" }), xs);
    expect([last.item(), last.dtype]).toEqual([7, "float32"]);
    expect(foriLoop(0, 5, (i, c: Value) => c.add(i.astype("float64")), 0).item()).toBe(10);
    expect(foriLoop(3, 1, (_, c: Value) => c.mul(2), tensor(5)).item()).toBe(5);
    expect(foriLoop(int(-2), 1, (i, c: Value) => c.add(i.astype("float64")), tensor(0)).item()).toBe(-3);
    const upTo = (x: Value, n: Value): Value => foriLoop(0, n, (_, c: Value) => c.mul(x), tensor(1));
    expect(grad(upTo)(3, int(4)).item()).toBe(4 * 27);
    expect(
      vmap(grad(upTo), { inAxes: [null, 0] })(tensor(3), tensor([0, 1, 4], { dtype: "int32" })).toArray(),
    ).toEqual([0, 1, 108]);
  });

  test("gives nothing of no rows, and the carry as it came", () => {
    const [last, ys] = scan((c: Value, x: Value) => [c.mul(x), c.sum()], tensor([1, 2]), zeros([0, 2]));
    expect([last.toArray(), ys.shape]).toEqual([[1, 2], [0]]);
    const f = (c: Value, rows: Value): Value => scan((d: Value, x: Value) => [d.mul(x), d], c, rows)[0].sum();
    const gradients = grad(f, { argnums: [0, 1] })(tensor([1, 2]), zeros([0, 2]));
    expect([gradients[0].toArray(), gradients[1].shape]).toEqual([
      [1, 1],
      [0, 2],
    ]);
  });

  test("traces its body once, whatever the number of steps, and for each derivative no more", () => {
    let traces = 0;
    const f = (x: Value, n: number): Value =>
      scan((c: Value) => (traces++, [c.mul(x).sin(), null]), x, null, { length: n })[0];
    f(tensor(1), 1000);
    expect(traces).toBe(1);
    grad((x: Value) => f(x, 1000))(1);
    expect(traces).toBe(2);
  });

  test("does 100,000 steps in bounded stack, forward, back and twice differentiated, whatever it keeps", () => {
    const n = 100_000;
    const decay = 1 - 1e-5;
    // c <- c a: aⁿ, with the derivative n aⁿ⁻¹ and n (n - 1) aⁿ⁻².
    const power = (a: Value, checkpointing?: LoopCheckpoint): Value =>
      scan((c: Value) => [c.mul(a), null], tensor(1), null, {
        length: n,
        ...(checkpointing !== undefined && { checkpoint: checkpointing }),
      })[0];
    // Each of n products is rounded once, in the value and in each of the derivatives' terms.
    const relative = 8 * n * 2 ** -53;
    const close = (found: Value, wanted: number): void =>
      expect(Math.abs(found.item() / wanted - 1)).toBeLessThan(relative);
    close(power(tensor(decay)), decay ** n);
    close(derivative((a) => power(a))(decay), n * decay ** (n - 1));
    close(grad((a: Value) => power(a))(decay), n * decay ** (n - 1));
    close(grad((a: Value) => power(a, "sqrt"))(decay), n * decay ** (n - 1));
    close(derivative((a) => grad((b: Value) => power(b))(a))(decay), n * (n - 1) * decay ** (n - 2));
    const whiled = (a: Value): Value =>
      whileLoop(
        ([i]: Value[]) => i.lt(n),
        ([i, c]: Value[]) => [i.add(1), c.mul(a)],
        [int(0), tensor(1)],
        { checkpoint: "sqrt" },
      )[1];
    close(grad(whiled)(decay), n * decay ** (n - 1));
  });
});

describe("whileLoop", () => {
  /** Newton's iteration for √a, as long as it moves. */
  const root = (a: Value): Value =>
    whileLoop(
      ({ x, previous }: { x: Value; previous: Value }) => x.sub(previous).abs().gt(x.mul(1e-9)),
      ({ x }) => ({ x: x.add(a.div(x)).mul(0.5), previous: x }),
      { x: a, previous: a.mul(2) },
    ).x;

  test("differentiates by both modes and to second order, eager, jitted and batched", () => {
    const expected = (a: number): number[] => [Math.sqrt(a), 0.5 / Math.sqrt(a), -0.25 * a ** -1.5];
    const close = (found: readonly Value[], a: number): void =>
      // The last iterate is off by the square of the tolerance; derivatives follow one or two steps behind.
      found.forEach((value, order) =>
        expect(Math.abs(value.item() / expected(a)[order] - 1)).toBeLessThan([1e-14, 1e-8, 1e-6][order]),
      );
    for (const a of [0.5, 2, 50]) {
      for (const f of [root, jit(root) as F]) {
        close([f(tensor(a)), grad(f)(a), grad((b: Value) => grad(f)(b))(a)], a);
        close([f(tensor(a)), derivative(f)(a), derivative(derivative(f))(a)], a);
        close([f(tensor(a)), grad(f)(a), derivative((b) => grad(f)(b))(a)], a);
        close([f(tensor(a)), grad(f)(a), grad((b: Value) => derivative(f)(b))(a)], a);
      }
    }
    const batch = vmap(grad(root) as F)(tensor([0.5, 2, 50]));
    [0.5, 2, 50].forEach((a, k) => expect(batch.at(k).item()).toBe(grad(root)(a).item()));
  });

  test("the number of steps depends on the argument, and none is possible", () => {
    const halve = (x: Value): Value =>
      whileLoop(
        (y: Value) => y.gt(1),
        (y: Value) => y.div(2),
        x,
      );
    for (const f of [halve, jit(halve) as F]) {
      expect([40, 1, 0.5].map((x) => f(tensor(x)).item())).toEqual([0.625, 1, 0.5]);
      expect([40, 1, 0.5].map((x) => grad(f)(x).item())).toEqual([1 / 64, 1, 1]);
      expect([40, 1, 0.5].map((x) => derivative(f)(x).item())).toEqual([1 / 64, 1, 1]);
    }
  });

  test("all compositions give one Hessian of a loop over a vector", () => {
    const f = (x: Value): Value =>
      whileLoop(
        ([n]: Value[]) => n.lt(4),
        ([n, y]: Value[]) => [n.add(1), y.mul(y.sum()).tanh().add(x)],
        [int(0), x],
      )[1]
        .square()
        .sum();
    const x = tensor([0.3, -0.2, 0.1]);
    const h = hessian(f)(x);
    const v = tensor([1, 2, -1]);
    const wanted = h.matmul(v).dataSync();
    for (const composition of [
      "forward-over-reverse",
      "reverse-over-forward",
      "reverse-over-reverse",
      "forward-over-forward",
    ] as const) {
      const found = hvp(f, x, v, composition).dataSync();
      // Sums of some hundred terms of the size of the largest.
      const size = Math.max(...h.dataSync().map(Math.abs));
      found.forEach((number, i) => expect(Math.abs(number - wanted[i])).toBeLessThan(1000 * 2 ** -53 * size));
    }
  });
});

describe("what is refused, and in which words", () => {
  const x = tensor([1, 2]);
  const half = tensor([1, 2], { dtype: "float32" });
  const cases: [string, () => unknown, new (...args: never[]) => Error, RegExp][] = [
    [
      "a condition that is no bool",
      () =>
        cond(
          tensor(1),
          (y: Value) => y,
          (y: Value) => y,
          x,
        ),
      DTypeError,
      /cond: the condition is float64\[\], but must be bool\. Compare first: x\.gt\(0\)[^]*control-flow\.test\.ts/,
    ],
    [
      "a condition that is no scalar",
      () =>
        cond(
          x.gt(0),
          (y: Value) => y,
          (y: Value) => y,
          x,
        ),
      ShapeError,
      /cond: the condition is bool\[2\], but must be a scalar.*use where/,
    ],
    [
      "an index that is no whole number",
      () => switchCase(tensor(1), [(y: Value) => y], x),
      DTypeError,
      /switchCase: the index is float64\[\], but must be int32.*astype\("int32"\)/,
    ],
    ["no branches", () => switchCase(0, [] as F[], x), TreeError, /switchCase: no branches were given/],
    [
      "branches of different structure",
      () =>
        jit((y: Value) =>
          cond(
            y.sum().gt(0),
            (z: Value): unknown => [z],
            (z: Value) => z,
            y,
          ),
        )(x),
      TreeError,
      /cond: branch 1 returned the structure \[\*\], branch 0 \*\. All branches must return the same/,
    ],
    [
      "branches of different shapes",
      () =>
        jit((y: Value) =>
          cond(
            y.sum().gt(0),
            (z: Value) => z.sum(),
            (z: Value) => z,
            y,
          ),
        )(x),
      ShapeError,
      /cond: branch 1 returned float64\[\], branch 0 float64\[2\].*broadcastTo or astype/,
    ],
    [
      "branches of different dtypes, in a tree",
      () =>
        jit((y: Value) =>
          cond(
            y.sum().gt(0),
            (z: Value) => [z, z.astype("float32")],
            (z: Value) => [z, z],
            y,
          ),
        )(x),
      DTypeError,
      /cond: branch 1 returned float32\[2\] at leaf 1, branch 0 float64\[2\]/,
    ],
    [
      "a carry that changes its shape",
      () => scan((c: Value, y: Value) => [c.add(y.reshape([1])), null], 0, x),
      ShapeError,
      /scan: the carry came in as float64\[\] and went out as float64\[1\]\. A carry keeps its shape and dtype.*broadcastTo, astype/,
    ],
    [
      "a carry that changes its dtype",
      () => scan((c: Value[]) => [[c[0], c[1].astype("float64")], null], [x, half], null, { length: 1 }),
      DTypeError,
      /scan: leaf 1 of the carry came in as float32\[2\] and went out as float64\[2\]/,
    ],
    [
      "a carry that changes its structure",
      () => scan((c: unknown) => [[c, c], null], x, null, { length: 1 }),
      TreeError,
      /scan: the carry came in with the structure \* and went out as \[\*,\*\]/,
    ],
    [
      "a body that returns no pair",
      () => scan(((c: Value) => c) as never, x, null, { length: 1 }),
      TreeError,
      /scan: the function must return \[carry, result\], but returned/,
    ],
    [
      "rows of different numbers",
      () => scan((c: Value, [a, b]: Value[]) => [c.add(a).add(b), null], 0, [x, tensor([1, 2, 3])]),
      ShapeError,
      /scan: the first axes of xs differ: float64\[2\], float64\[3\]/,
    ],
    [
      "a length that is not that of the rows",
      () => scan((c: Value, a: Value) => [c.add(a), null], 0, x, { length: 3 }),
      ShapeError,
      /scan: the first axes of xs and length 3 differ/,
    ],
    [
      "rows of a scalar",
      () => scan((c: Value, a: Value) => [c.add(a), null], 0, tensor(1)),
      ShapeError,
      /scan: xs holds float64\[\], which has no rows/,
    ],
    [
      "neither rows nor a length",
      () => scan((c: Value) => [c, null], x, null),
      ShapeError,
      /scan: the number of steps is not known\. Give xs, or \{ length \}/,
    ],
    [
      "a bound that is no whole number",
      () => foriLoop(0, tensor(2), (_, c: Value) => c, x),
      DTypeError,
      /foriLoop: a bound is float64\[\], but must be a whole number or an int32 scalar/,
    ],
    [
      "a bound that is no whole number either",
      () => foriLoop(0, 2.5, (_, c: Value) => c, x),
      DTypeError,
      /foriLoop: a bound is 2\.5, but must be a whole number or an int32 scalar/,
    ],
    ...(["lots", { slots: 0 }, { slots: 1.5 }, {}, null] as unknown[]).flatMap((option): typeof cases => {
      const options = { length: 2, checkpoint: option as LoopCheckpoint };
      const words = new RegExp(
        `checkpoint is ${JSON.stringify(option).replaceAll(/[{}]/g, "\\$&")}.*Give "all"`,
      );
      return [
        [
          `a scan with checkpoint ${JSON.stringify(option)}`,
          () => scan((c: Value) => [c, null], x, null, options),
          CotangentError,
          words,
        ],
        [
          `a whileLoop with checkpoint ${JSON.stringify(option)}`,
          () =>
            whileLoop(
              (c: Value) => c.sum().gt(9),
              (c: Value) => c,
              x,
              options,
            ),
          CotangentError,
          words,
        ],
      ];
    }),
    [
      "a condition of a loop that is no bool scalar",
      () =>
        whileLoop(
          (y: Value) => y.gt(0),
          (y: Value) => y,
          x,
        ),
      DTypeError,
      /whileLoop: the condition gave bool\[2\], but must give a bool scalar/,
    ],
    [
      "a condition of a loop that is a float",
      () =>
        whileLoop(
          (y: Value) => y.sum(),
          (y: Value) => y,
          x,
        ),
      DTypeError,
      /whileLoop: the condition gave float64\[\]/,
    ],
    [
      "a while loop whose carry changes",
      () =>
        whileLoop(
          (y: Value) => y.sum().gt(0),
          (y: Value) => y.sum(),
          x,
        ),
      ShapeError,
      /whileLoop: the carry came in as float64\[2\] and went out as float64\[\]/,
    ],
    [
      "a body that asks for elements",
      () => scan((c: Value) => [c.sum().item() > 0 ? c : c.neg(), null], x, null, { length: 1 }),
      StagingError,
      /scan: the elements of a traced value float64\[\] were asked for.*whileLoop, foriLoop or scan/,
    ],
  ];
  test.each(cases)("%s", (_, body, kind, message) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(message);
  });
});

describe("memory", () => {
  const alive = (): number => jsBackend.memory().buffers;
  const run = (x: Value): Value =>
    scan((c: Value, row: Value) => [c.mul(row).sin(), c], x, ones([5, 2]))[1].sum();
  const looped = (x: Value): Value =>
    whileLoop(
      ([n]: Value[]) => n.lt(5),
      ([n, c]: Value[]) => [n.add(1), c.mul(x).sin()],
      [int(0), x],
      { checkpoint: { slots: 2 } },
    )[1];
  const branched = (x: Value): Value =>
    jit((y: Value) =>
      cond(
        y.sum().gt(0),
        (z: Value) => z.sin().exp(),
        (z: Value) => z,
        y,
      ),
    )(x);
  test.each([
    ["scan", run, 0],
    ["the gradient of a scan", (x: Value) => grad(run)(x), 1],
    ["the Hessian of a scan", (x: Value) => hessian(run)(x), 1],
    ["whileLoop", looped, 1],
    ["the gradient of a whileLoop", (x: Value) => grad((y: Value) => looped(y).sum())(x), 1],
    ["the Hessian of a whileLoop", (x: Value) => hessian((y: Value) => looped(y).sum())(x), 1],
    ["cond", branched, 1],
    ["the gradient of cond", (x: Value) => grad((y: Value) => branched(y).sum())(x), 1],
  ] as [string, F, number][])("%s in a tidy leaves its result and nothing else", (_, f, buffers) => {
    const x = tensor([0.5, 0.25]);
    tidy(() => void f(x));
    const before = alive();
    const result = tidy(() => f(x));
    expect(alive() - before).toBe(buffers);
    result.concrete().dispose();
    expect(alive()).toBe(before);
  });

  test("what a loop closes over outlives a tidy in its body", () => {
    // Found by random programs: the inner scope freed what the outer recording had captured.
    const f = (x: Value): Value =>
      scan((c: Value, row: Value) => [tidy(() => c.mul(row).add(tensor([1, 2]))), c], x, ones([3, 2]))[0];
    expect(f(tensor([0, 0])).toArray()).toEqual([3, 6]);
    expect(jvp(f, [tensor([0, 0])], [tensor([1, 1])])[1].toArray()).toEqual([1, 1]);
    const g = (x: Value): Value =>
      scan(
        ([i, c]: Value[], row: Value) => [
          [
            i.add(1),
            cond(
              i.lt(1),
              (d: Value) => d,
              (d: Value) =>
                d.add(
                  row
                    .reshape([1])
                    .add(tensor([5]))
                    .sum(),
                ),
              c,
            ),
          ],
          null,
        ],
        [int(0), x],
        tensor([1, 2]),
      )[0][1];
    expect([g(tensor(1)).item(), grad(g)(1).item(), derivative(g)(1).item()]).toEqual([8, 1, 1]);
  });
});
