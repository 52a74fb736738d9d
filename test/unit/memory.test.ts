import {
  type Graph,
  type Tensor,
  type Value,
  derivative,
  grad,
  hvp,
  jit,
  jvp,
  scan,
  stage,
  tensor,
  tidy,
  valueAndGrad,
  vjp,
  currentBackend,
} from "cotangent";
import { describe, expect, test } from "vitest";

const f = (x: Value): Value => x.sin().mul(x).exp().sum();

/** Buffers that `body` leaves alive, beyond what it returns. */
function left(body: () => readonly Value[]): number {
  const before = currentBackend().memory().buffers;
  const results = body();
  const after = currentBackend().memory().buffers;
  const kept = results.filter((value) => value.rank > 0).length;
  for (const result of results) result.concrete().dispose();
  return after - before - kept;
}

describe("tidy", () => {
  test("frees what was made in it, but for the result", () => {
    expect(left(() => [tidy(() => f(tensor([1, 2])))])).toBe(0);
    expect(left(() => tidy(() => [tensor([1]), tensor([2]).add(1)]))).toBe(0);
  });

  test("leaves nothing of a derivative, in any mode or nesting", () => {
    expect(left(() => [tidy(() => grad(f)(tensor([1, 2])))])).toBe(0);
    expect(left(() => [tidy(() => valueAndGrad(f)(tensor([1, 2])))[1]])).toBe(0);
    expect(left(() => tidy(() => jvp(f, [tensor([1, 2])], [tensor([1, 1])])))).toBe(0);
    for (const composition of [
      "forward-over-reverse",
      "reverse-over-forward",
      "reverse-over-reverse",
    ] as const) {
      expect(left(() => [tidy(() => hvp(f, tensor([1, 2]), tensor([3, 4]), composition))])).toBe(0);
    }
  });

  test("inside a differentiated function keeps what the derivative still needs", () => {
    const inner = (x: Value): Value => tidy(() => f(x.mul(tensor([2, 3]))));
    const x = tensor([0.1, 0.2]);
    const wanted = grad((y) => f(y.mul(tensor([2, 3]))))(x).toArray();
    expect(grad(inner)(x).toArray()).toEqual(wanted);
    expect(grad((y) => grad(inner)(y).square().sum())(x).toArray()).toEqual(
      grad((z) =>
        grad((y) => f(y.mul(tensor([2, 3]))))(z)
          .square()
          .sum(),
      )(x).toArray(),
    );
    expect(jvp(inner, [x], [tensor([1, 0])])[1].item()).toBeCloseTo((wanted as number[])[0], 12);
    expect(left(() => [tidy(() => grad(inner)(tensor([0.1, 0.2])))])).toBe(0);
    expect(derivative((s) => tidy(() => s.mul(tensor([2])).sum()))(1).item()).toBe(2);
  });

  test("a pullback that leaves its tidy is refused when it is used", () => {
    const pullback = tidy(() => vjp((x: Value) => x.mul(x), tensor([1, 2]))[1]);
    expect(() => pullback(tensor([1, 1]))).toThrow(/used after it had been disposed/);
  });

  test("nests: inner results belong to the outer one", () => {
    const kept: Tensor[] = [];
    const result = tidy(() => {
      const inner = tidy(() => {
        kept.push(tensor([1]));
        return tensor([2]);
      });
      expect(kept[0].disposed).toBe(true);
      kept.push(inner);
      return inner.add(1);
    });
    expect([kept[1].disposed, result.toArray()]).toEqual([true, [3]]);
    result.concrete().dispose();
  });

  test("frees when the body throws, and refuses promises", () => {
    expect(
      left(() => {
        expect(() =>
          tidy(() => {
            tensor([1]);
            throw new Error("mine");
          }),
        ).toThrow("mine");
        expect(() => tidy(() => Promise.resolve(tensor([1])))).toThrow(/must be synchronous/);
        return [];
      }),
    ).toBe(0);
  });
});

describe("buffers", () => {
  test("a reshape shares its input's buffer, which goes with the last of them", () => {
    const before = currentBackend().memory();
    const x = tensor([1, 2, 3, 4]);
    const y = x.reshape([2, 2]).concrete();
    expect(currentBackend().memory()).toEqual({ buffers: before.buffers + 1, bytes: before.bytes + 32 });
    x.dispose();
    expect(y.toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    y.dispose();
    expect(currentBackend().memory()).toEqual(before);
  });

  test("`using` frees at the end of the block", () => {
    const before = currentBackend().memory().buffers;
    {
      using x = tensor([1, 2]);
      expect(x.sum().item()).toBe(3);
    }
    expect(currentBackend().memory().buffers).toBe(before);
  });

  /** Lets the collector free what nothing holds, until no more bytes are alive than that. */
  async function collect(bytes: number): Promise<number> {
    const deadline = Date.now() + 10_000;
    while (currentBackend().memory().bytes > bytes && Date.now() < deadline) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return currentBackend().memory().bytes;
  }

  test("collected tensors are freed by the garbage collector", async () => {
    const before = currentBackend().memory().bytes;
    for (let i = 0; i < 20; i++) f(tensor(new Float64Array(1000)));
    expect(currentBackend().memory().bytes).toBeGreaterThan(before);
    expect(await collect(before)).toBeLessThanOrEqual(before);
  });

  test("a graph that lives on does not hold what functions on the stack closed over when it was traced", async () => {
    const before = currentBackend().memory().bytes;
    const graphs: Graph[] = [];
    ((): void => {
      const large = tensor(new Float64Array(10_000));
      const trace = (): void => {
        graphs.push(stage((x: Value) => x.sin().mul(x))(large.sum()));
      };
      trace();
    })();
    expect(await collect(before + 1000)).toBeLessThanOrEqual(before + 1000);
    expect(graphs[0].nodes).toHaveLength(2);
  });

  test("graphs of ever new tensors, of several transformations, are freed", async () => {
    const before = currentBackend().memory().bytes;
    for (let i = 0; i < 30; i++) {
      const weights = tensor(new Float64Array(1000).fill(i));
      const step = (x: Value): Value =>
        scan((c: Value, row: Value) => [c.add(row.mul(weights).sum()), null], x, tensor([1, 2]))[0];
      // Twice, so that the second graph is known from the first.
      for (const x of [1, 2]) grad((v: Value) => jit(step)(v))(x);
    }
    expect(await collect(before + 20_000)).toBeLessThanOrEqual(before + 20_000);
  });
});
