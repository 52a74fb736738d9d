/** Checkpointing: schedules against theory, then what loops and functions really keep and run again. */
import {
  type Action,
  type LoopCheckpoint,
  type SavePolicy,
  type ScheduleReport,
  StagingError,
  TreeError,
  type Value,
  binomial,
  checkpoint,
  derivative,
  foriLoop,
  grad,
  hessian,
  jit,
  jsBackend,
  jvp,
  leastAdvances,
  observe,
  observeSchedules,
  profile,
  repetitions,
  scan,
  schedule,
  setBackend,
  slotsOf,
  tensor,
  tidy,
  vmap,
  whileLoop,
} from "cotangent";
import { describe, expect, test } from "vitest";

type F = (x: Value) => Value;
setBackend(jsBackend);

/** Follows a schedule, refuses what cannot be done, and counts. */
function follow(steps: number, actions: Iterable<Action>): ScheduleReport {
  const kept = new Set([0]);
  let inHand: number | null = 0;
  let toReverse = steps;
  let [slots, advances] = [1, 0];
  const refuse = (action: Action): never => {
    throw new Error(`${JSON.stringify(action)} with state ${inHand} in hand, kept ${[...kept].join()}`);
  };
  for (const action of actions) {
    switch (action.kind) {
      case "advance":
        if (action.from !== inHand || action.to <= action.from) refuse(action);
        inHand = action.to;
        advances += action.to - action.from;
        break;
      case "keep":
        if (action.at !== inHand || kept.has(action.at)) refuse(action);
        kept.add(action.at);
        slots = Math.max(slots, kept.size);
        break;
      case "restore":
        if (!kept.has(action.at)) refuse(action);
        inHand = action.at;
        break;
      case "release":
        if (action.at === 0 || !kept.delete(action.at)) refuse(action);
        break;
      case "reverse":
        if (action.step !== inHand || action.step !== toReverse - 1) refuse(action);
        toReverse--;
        // A state that is not kept is gone once its step has been reversed.
        if (!kept.has(action.step)) inHand = null;
        break;
    }
  }
  if (toReverse !== 0) throw new Error(`${toReverse} steps are left`);
  expect([...kept]).toEqual([0]);
  return { steps, slots, advances };
}

describe("schedules", () => {
  /** The least number of advances by dynamic programming: keep a state after m steps, reverse the rest, then the m. */
  const least = new Map<string, number>();
  function leastByTrial(steps: number, slots: number): number {
    if (steps <= 1) return 0;
    if (slots === 1) return (steps * (steps - 1)) / 2;
    const key = `${steps} ${slots}`;
    let found = least.get(key);
    if (found === undefined) {
      found = Infinity;
      for (let m = 1; m < steps; m++)
        found = Math.min(found, m + leastByTrial(steps - m, slots - 1) + leastByTrial(m, slots));
      least.set(key, found);
    }
    return found;
  }

  test("with slots they are valid, keep no more states than that, and run the fewest steps again that is possible", () => {
    for (let slots = 1; slots <= 7; slots++) {
      for (let steps = 0; steps <= 60; steps++) {
        const found = follow(steps, schedule(steps, { slots }));
        expect(found.slots).toBe(Math.max(1, Math.min(slots, steps)));
        expect(found.advances).toBe(leastAdvances(steps, slots));
        expect(found.advances).toBe(leastByTrial(steps, slots));
      }
    }
  });

  test("Griewank and Walther's formula, at the edges of the number of repetitions", () => {
    expect([binomial(2, 3), binomial(5, 5), binomial(3, 0), binomial(20, 20)]).toEqual([
      10, 252, 1, 137846528820,
    ]);
    for (let slots = 1; slots <= 6; slots++) {
      for (let r = 1; r <= 4; r++) {
        const steps = binomial(slots, r);
        expect([repetitions(steps, slots), repetitions(steps + 1, slots)]).toEqual([r, r + 1]);
        expect(leastAdvances(steps, slots)).toBe(r * steps - binomial(slots + 1, r - 1));
        // Each step but the first of a run is run again at most r times.
        expect(leastAdvances(steps, slots)).toBeLessThanOrEqual(r * steps);
      }
    }
  });

  test(`"all" runs each step but the last once more, and keeps what these need`, () => {
    for (let steps = 1; steps <= 40; steps++)
      expect(follow(steps, schedule(steps, "all"))).toEqual({
        steps,
        slots: Math.max(1, steps - 1),
        advances: steps - 1,
      });
  });

  test(`"log" is so many slots as the logarithm says`, () => {
    for (const steps of [1, 2, 3, 16, 17, 1000, 5000]) {
      const slots = Math.max(1, Math.ceil(Math.log2(steps)));
      expect(slotsOf("log", steps)).toBe(slots);
      const found = follow(steps, schedule(steps, "log"));
      expect(found.slots).toBeLessThanOrEqual(slots);
      expect(found.advances).toBe(leastAdvances(steps, slots));
      // O(log n) advances a step.
      expect(found.advances).toBeLessThanOrEqual(steps * slots);
    }
  });

  test(`"sqrt" keeps O(√n) states and runs less than 2 n steps again`, () => {
    for (const steps of [1, 2, 3, 4, 5, 10, 16, 17, 99, 100, 101, 1000, 4999]) {
      const length = Math.ceil(steps / Math.ceil(Math.sqrt(steps)));
      const last = Math.ceil(steps / length) - 1;
      const found = follow(steps, schedule(steps, "sqrt"));
      // Once to the last segment's first state, then all of each segment but its last step.
      expect(found.advances).toBe(last * length + steps - (last + 1));
      expect(found.advances).toBeLessThan(2 * steps);
      expect(found.slots).toBeLessThanOrEqual(2 * Math.ceil(Math.sqrt(steps)));
    }
  });
});

/** How often each primitive is evaluated. */
function counts(body: () => unknown): Record<string, number> {
  const found: Record<string, number> = {};
  observe(
    ({ name }) => (found[name] = (found[name] ?? 0) + 1),
    () => tidy(() => void body()),
  );
  return found;
}

const options: readonly LoopCheckpoint[] = ["all", "sqrt", "log", { slots: 1 }, { slots: 2 }, { slots: 5 }];
const elements = 1000;
const bytes = 8 * elements;
const x = tensor(Float64Array.from({ length: elements }, (_, i) => i / elements));
const withOption = (option?: LoopCheckpoint) => (option === undefined ? {} : { checkpoint: option });
/** sin(sin(... x)), by each kind of loop. */
const scanned =
  (length: number, option?: LoopCheckpoint): F =>
  (v) =>
    scan((s: Value) => [s.sin(), null], v, null, { length, ...withOption(option) })[0];
const whiled =
  (steps: number, option?: LoopCheckpoint): F =>
  (v) =>
    whileLoop(
      ([i]: Value[]) => i.lt(steps),
      ([i, s]: Value[]) => [i.add(1), s.sin()],
      [tensor(0, { dtype: "int32" }), v],
      withOption(option),
    )[1];
const summed =
  (f: F): F =>
  (v) =>
    f(v).sum();

describe("loops", () => {
  const steps = [1, 2, 7, 16, 33];

  test("report the schedule that they follow, once a sweep", () => {
    for (const option of options) {
      for (const n of steps) {
        for (const loop of [scanned, whiled]) {
          const reports: ScheduleReport[] = [];
          observeSchedules(
            (report) => reports.push(report),
            () => grad(summed(loop(n, option)))(x),
          );
          expect(reports).toEqual([follow(n, schedule(n, option))]);
        }
      }
    }
    // Without an option a scan saves as it goes, and follows none.
    const none: unknown[] = [];
    observeSchedules(
      (report) => none.push(report),
      () => grad(summed(scanned(8)))(x),
    );
    expect(none).toEqual([]);
  });

  test("run each body as often as the schedule says", () => {
    for (const option of options) {
      for (const n of steps) {
        const { advances } = follow(n, schedule(n, option));
        // The run itself, the advances, and each step once more for its residuals.
        expect(counts(() => grad(summed(scanned(n, option)))(x))).toMatchObject({
          sin: n + advances + n,
          cos: n,
          strongMul: n,
        });
        // A whileLoop also counts its steps.
        expect(counts(() => grad(summed(whiled(n, option)))(x))).toMatchObject({
          sin: n + n + advances + n,
          cos: n,
          strongMul: n,
        });
      }
    }
    for (const n of steps)
      expect(counts(() => grad(summed(scanned(n)))(x))).toMatchObject({ sin: n, cos: n, strongMul: n });
  });

  test("hold one state for each slot, and the same few on top of that", () => {
    const peak = (loop: F): number => profile(() => tidy(() => grad(summed(loop))(x))).peakLiveBytes / bytes;
    // States kept (the first is the argument, which is the caller's), the adjoint, and what one step needs.
    const onTop = 2;
    for (const option of options) {
      for (const n of [2, 7, 16, 33]) {
        const { slots } = follow(n, schedule(n, option));
        // A state that is kept just before its own step is reversed is the one at hand.
        expect(peak(scanned(n, option))).toBe(Math.min(slots, n - 1) + onTop);
      }
    }
    // Saved rows are stacked at the end, so that they are there twice for a moment.
    for (const n of steps) expect(peak(scanned(n))).toBe(2 * n + 1);
    expect(peak(scanned(1000, "log"))).toBe(10 + onTop);
    expect(peak(scanned(1000, "sqrt"))).toBeLessThan(2 * Math.sqrt(1000) + onTop);
  });

  test("give the same derivatives to the last bit, to second order, jitted and batched", () => {
    const f = (v: Value, w: Value, option?: LoopCheckpoint): Value => {
      const [last, ys] = scan(
        (c: Value, row: Value) => [c.mul(row).add(w).tanh(), c.sum()],
        v,
        tensor([0.5, -1, 2, 1, 0.25]),
        withOption(option),
      );
      return last.sum().add(ys.square().sum());
    };
    const v = tensor([0.1, 0.2]);
    const derivatives = (option?: LoopCheckpoint): unknown[] => {
      const g = (a: Value, w: Value): Value => f(a, w, option);
      const both = { argnums: [0, 1] };
      return [
        ...grad(g, both)(v, v),
        ...jit((a: Value, w: Value) => grad(g, both)(a, w))(v, v),
        ...vmap((a: Value) => grad(g, both)(a, v))(tensor([[0.1, 0.2]])).map((value) => value.at(0)),
      ].map((value) => value.toArray());
    };
    const wanted = derivatives();
    for (const option of options) expect(derivatives(option)).toEqual(wanted);
    // Second derivatives add the same terms in other orders.
    const second = (option?: LoopCheckpoint): ArrayLike<number> =>
      hessian((a: Value) => f(a, v, option))(v).dataSync();
    const h = second();
    for (const option of options)
      Array.from(second(option)).forEach((number, i) =>
        expect(Math.abs(number - h[i])).toBeLessThan(100 * 2 ** -53 * Math.max(...Array.from(h, Math.abs))),
      );
  });

  test("foriLoop passes its option on", () => {
    const reports: ScheduleReport[] = [];
    const f = (v: Value): Value => foriLoop(0, 9, (_, s: Value) => s.sin(), v, { checkpoint: { slots: 3 } });
    observeSchedules(
      (report) => reports.push(report),
      () => grad(f)(0.5),
    );
    expect(reports).toEqual([{ steps: 9, slots: 3, advances: leastAdvances(9, 3) }]);
  });
});

describe("checkpointed functions", () => {
  const policies: readonly SavePolicy[] = ["nothing", "products", "smallest", "everything"];
  const chain: F = (v) => v.sin().exp().tanh();
  const matrix = tensor(
    Float64Array.from({ length: 16 }, (_, i) => Math.cos(i)),
    { shape: [4, 4] },
  );
  const layer = (v: Value, w: Value): Value => v.matmul(w).tanh().exp().matmul(w).sin();

  test("values and derivatives are what they were, to the last bit", () => {
    for (const policy of policies) {
      const f = checkpoint(layer, { policy });
      const loss = (g: typeof layer) => (v: Value, w: Value) => g(v, w).square().sum();
      expect(f(matrix, matrix).toArray()).toEqual(layer(matrix, matrix).toArray());
      const gradients = (g: typeof layer): unknown =>
        grad(loss(g), { argnums: [0, 1] })(matrix, matrix).map((value) => value.toArray());
      expect(gradients(f as typeof layer)).toEqual(gradients(layer));
      const tangents = (g: typeof layer): unknown =>
        jvp(g, [matrix, matrix], [matrix, matrix]).map((value) => value.toArray());
      expect(tangents(f as typeof layer)).toEqual(tangents(layer));
      const twice = (g: F) => (v: number) => [
        grad((a: Value) => grad(g)(a))(v).item(),
        derivative((a) => grad(g)(a))(v).item(),
        derivative(derivative(g))(v).item(),
      ];
      const [found, wanted] = [checkpoint(chain, { policy }) as F, chain].map((g) => twice(g)(0.7));
      // Sums of a few dozen terms in other orders.
      found.forEach((value, i) => expect(Math.abs(value / wanted[i] - 1)).toBeLessThan(50 * 2 ** -53));
    }
  });

  test("what is run again is what the policy says", () => {
    const evaluations = (policy: SavePolicy): Record<string, number> =>
      counts(() =>
        grad((v: Value, w: Value) => checkpoint(layer, { policy })(v, w).sum(), { argnums: [0, 1] })(
          matrix,
          matrix,
        ),
      );
    // Two products forward, and two for the cotangents of each.
    const [products, partials] = [6, { cos: 1, sech: 1, strongMul: 3 }];
    expect(evaluations("everything")).toMatchObject({
      dotGeneral: products,
      tanh: 1,
      exp: 1,
      sin: 1,
      ...partials,
    });
    // All up to what the last rule needs of its input: sin's own value is not among it.
    expect(evaluations("nothing")).toMatchObject({
      dotGeneral: products + 2,
      tanh: 2,
      exp: 2,
      sin: 1,
      ...partials,
    });
    expect(evaluations("products")).toMatchObject({
      dotGeneral: products,
      tanh: 2,
      exp: 2,
      sin: 1,
      ...partials,
    });
    // A minimum cut: at most one run more of what is cheap, and no product again.
    expect(evaluations("smallest")).toMatchObject({ dotGeneral: products, sin: 1, ...partials });
  });

  test("a chain of n holds n arguments and the inside of one", () => {
    const peak = (f: F, n: number): number =>
      profile(() =>
        tidy(() =>
          grad((v: Value) => {
            let y = v;
            for (let i = 0; i < n; i++) y = f(y);
            return y.sum();
          })(x),
        ),
      ).peakLiveBytes / bytes;
    for (const n of [1, 2, 4, 8, 16]) {
      // Two values each that the rules need (of sin its input, of exp and tanh one value), two for the sweep.
      expect(peak(chain, n)).toBe(2 * n + 2);
      expect(peak(checkpoint(chain) as F, n)).toBe(n + 3);
      expect(peak(checkpoint(chain, { policy: "smallest" }) as F, n)).toBe(n + 3);
    }
  });

  test("trees of arguments and results, closures, and whole numbers", () => {
    const scale = tensor(3);
    const f = checkpoint(({ a, b }: { a: Value; b: Value[] }, i: Value) => ({
      y: a.mul(b[0]).mul(scale),
      at: b[0].take(i),
      i: i.add(1),
    }));
    const argument = { a: tensor([1, 2]), b: [tensor([3, 4])] };
    const index = tensor(1, { dtype: "int32" });
    const { y, at, i } = f(argument, index);
    expect([y.toArray(), at.item(), i.item()]).toEqual([[9, 24], 4, 2]);
    const gradient = grad((tree: typeof argument) => {
      const found = f(tree, index);
      return found.y.sum().add(found.at);
    })(argument);
    expect([gradient.a.toArray(), gradient.b[0].toArray()]).toEqual([
      [9, 12],
      [3, 7],
    ]);
    // What it closes over has its derivative too.
    const closing = (w: Value): Value => checkpoint((v: Value) => v.mul(w).mul(w))(w);
    expect([grad(closing)(2).item(), derivative(closing)(2).item(), grad(jit(closing))(2).item()]).toEqual([
      12, 12, 12,
    ]);
    expect(vmap(grad(closing) as F)(tensor([1, 2])).toArray()).toEqual([3, 12]);
  });

  test("one in the other, and in jit", () => {
    const inner = checkpoint((v: Value) => v.sin().exp());
    const outer = checkpoint((v: Value) => inner(inner(v)).tanh());
    const plain: F = (v) => v.sin().exp().sin().exp().tanh();
    for (const f of [outer, jit(outer), jit((v: Value) => outer(v))])
      expect(grad((v: Value) => f(v).sum())(x).toArray()).toEqual(grad(summed(plain))(x).toArray());
    // The inner ones are run again on the outer's way back, and once more on their own.
    expect(counts(() => grad((v: Value) => outer(v).sum())(x))).toMatchObject({ tanh: 1, sech: 1, cos: 2 });
  });

  test("nothing is left alive, and what is refused is refused", () => {
    const f = checkpoint((v: Value) =>
      v
        .sin()
        .mul(tensor([1, 2]))
        .exp(),
    );
    const v = tensor([0.1, 0.2]);
    const alive = (): number => jsBackend.memory().buffers;
    const run = (): void => tidy(() => void grad((a: Value) => f(a).sum())(v));
    run();
    const before = alive();
    run();
    expect(alive()).toBe(before);
    expect(() => checkpoint((a: Value) => (a.item() > 0 ? a : a.neg()))(1)).toThrow(StagingError);
    expect(() => checkpoint((a: Value) => (a.item() > 0 ? a : a.neg()))(1)).toThrow(
      /checkpoint: the elements of a traced value float64\[\] were asked for/,
    );
    expect(() => checkpoint((a: Value) => a, { policy: "lots" as SavePolicy })).toThrow(
      /checkpoint: the policy is "lots"\. Give one of everything, nothing, products, smallest\./,
    );
    expect(() => (checkpoint as (g: unknown) => (a: unknown) => unknown)((a: unknown) => a)("sin")).toThrow(
      TreeError,
    );
  });
});
