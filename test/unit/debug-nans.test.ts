/** debugNans: which operation made the first number that is not finite, where, and on which way. */
import {
  NonFiniteError,
  type Value,
  checkpoint,
  cond,
  customVjp,
  debugNans,
  derivative,
  grad,
  hessian,
  jit,
  jsBackend,
  scan,
  setBackend,
  tensor,
  vmap,
  whileLoop,
} from "cotangent";
import { expect, describe, test } from "vitest";

type F = (x: Value) => Value;
setBackend(jsBackend);

/** What is said of the first number that is not finite, and the line that is named. */
function said(body: () => unknown): { readonly message: string; readonly line: number } {
  try {
    body();
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    const line = /debug-nans\.test\.ts:(\d+):\d+/.exec(error.message)?.[1];
    return { message: error.message, line: Number(line) };
  }
  throw new Error("nothing was found");
}

/** The number of the line that calls this. */
function lineHere(): number {
  const [, , caller] = (new Error("here").stack ?? "").split("\n");
  return Number(/:(\d+):\d+/.exec(caller)?.[1]);
}

describe("names the primitive, the element, the inputs and the line", () => {
  test("on the way forward", () => {
    const line = lineHere() + 1;
    const f: F = (x) => x.sub(2).log().mul(3).sum();
    const { message, line: found } = said(() => debugNans(f)(tensor([3, 2.5, 1])));
    expect(message).toMatch(
      /^log made NaN \(element 2 of float64\[3\]\) of finite inputs on the way forward at .*Inputs: Tensor\(\[1, 0\.5, -1\], float64\[3\]\).*Keep its inputs within its domain: clamp them/,
    );
    expect(found).toBe(line);
    expect(said(() => debugNans(f)(tensor([2]))).message).toMatch(/^log made -Infinity \(element 0/);
  });

  test("on the way back, at the line that it is the way back of", () => {
    const line = lineHere() + 2;
    const f: F = (x) => {
      const root = x.sqrt();
      return root.mul(2).sum();
    };
    const x = tensor([4, 0]);
    expect(debugNans(f)(x).item()).toBe(4);
    for (const g of [f, jit(f) as F, checkpoint(f) as F]) {
      const { message, line: found } = said(() => debugNans(grad(g) as F)(x));
      expect(message).toMatch(/made Infinity \(element 1 of float64\[2\]\) of finite inputs on the way/);
      expect(found).toBe(line);
    }
    expect(said(() => debugNans(grad(f) as F)(x)).message).toMatch(/on the way back through .*debug-nans/);
  });

  test("forward mode and second derivatives", () => {
    const line = lineHere() + 1;
    const f: F = (x) => x.pow(1.5).sum();
    expect(debugNans(grad(f) as F)(tensor([0])).toArray()).toEqual([0]);
    expect(said(() => debugNans(hessian(f) as F)(tensor([0]))).line).toBe(line);
    expect(said(() => debugNans(derivative(derivative(f)) as F)(tensor(0))).line).toBe(line);
    expect(said(() => debugNans(derivative((x: Value) => x.sqrt()) as F)(tensor(0))).message).toMatch(
      /made Infinity/,
    );
  });

  test("parameters", () => {
    // The largest finite numbers add up to more.
    const huge = tensor([1e308, 1e308, 1]);
    expect(said(() => debugNans((x: Value) => x.sum())(huge)).message).toMatch(
      /^sum made Infinity .*, with axes: \[0\]\. /,
    );
  });
});

describe("sees into", () => {
  const bad = (line: number, body: () => unknown): void => {
    const found = said(body);
    expect(found.message).toMatch(/^log made NaN/);
    expect(found.line).toBe(line);
  };
  const minus = tensor(-1);

  test("jitted functions, also those that were traced before", () => {
    const line = lineHere() + 1;
    const f = jit((x: Value) => x.mul(2).log().add(1));
    expect(f(1).item()).toBe(Math.log(2) + 1);
    bad(line, () => debugNans(f)(minus));
    bad(line, () => debugNans((x: Value) => f(x.abs().neg()))(minus));
    bad(line, () => debugNans(vmap(f))(tensor([1, -1])));
  });

  test("loops and branches", () => {
    const scanLine = lineHere() + 1;
    const scanned: F = (x) => scan((c: Value) => [c.sub(1).log(), null], x, null, { length: 3 })[0];
    bad(scanLine, () => debugNans(scanned)(tensor(3)));
    bad(scanLine, () => debugNans(jit(scanned) as F)(tensor(3)));
    const whileLine = lineHere() + 1;
    const step: F = (c) => c.log().sub(1);
    const looped: F = (x) => whileLoop((c: Value) => c.gt(-5), step, x);
    bad(whileLine, () => debugNans(looped)(tensor(2)));
    const condLine = lineHere() + 1;
    const otherwise: F = (y) => y.log();
    const chosen = jit((x: Value) => cond(x.gt(0), (y: Value) => y, otherwise, x));
    bad(condLine, () => debugNans(chosen)(minus));
    // A branch that is not taken makes nothing.
    expect(debugNans(chosen)(tensor(2)).item()).toBe(2);
    const checkpointed = lineHere() + 1;
    const kept = checkpoint((x: Value) => x.log());
    bad(checkpointed, () => debugNans(kept)(minus));
  });

  test("the way back of a loop", () => {
    const line = lineHere() + 1;
    const f: F = (x) => scan((c: Value) => [c.sqrt(), null], x, null, { length: 2 })[0];
    expect(debugNans(f)(tensor(0)).item()).toBe(0);
    const found = said(() => debugNans(grad(f) as F)(tensor(0)));
    expect(found.message).toMatch(/made Infinity/);
    expect(found.line).toBe(line);
  });

  test("rules of one's own", () => {
    const line = lineHere() + 3;
    const f = customVjp((x: Value) => x.mul(2), {
      forward: (x) => [x.mul(2), x],
      backward: (x, ct) => [ct.div(x.sub(x))],
    });
    const found = said(() => debugNans(grad(f) as F)(tensor(1)));
    expect(found.message).toMatch(/^div made Infinity/);
    expect(found.line).toBe(line);
  });
});

describe("says nothing of", () => {
  test("what is finite, and changes no result", () => {
    const f: F = (x) => x.sin().mul(x.exp()).sum();
    const x = tensor([1, -2]);
    expect(debugNans(f)(x).item()).toBe(f(x).item());
    expect(debugNans(grad(f) as F)(x).toArray()).toEqual(grad(f)(x).toArray());
    const pair = debugNans((a: Value, [b]: Value[]) => ({ sum: a.add(b) }));
    expect(pair(x, [x]).sum.toArray()).toEqual([2, -4]);
  });

  test("numbers that the caller brought along, and what comes of them", () => {
    const f: F = (x) => x.mul(2).sum();
    expect(debugNans(f)(tensor([NaN, 1])).item()).toBe(NaN);
    expect(debugNans(f)(tensor([Infinity])).item()).toBe(Infinity);
    expect(debugNans((x: Value) => x.maximum(-Infinity).sum())(tensor([1])).item()).toBe(1);
  });

  test("infinities, where that is asked for", () => {
    const f: F = (x) => x.log().exp();
    expect(debugNans(f, { infinities: false })(tensor(0)).item()).toBe(0);
    expect(said(() => debugNans(f)(tensor(0))).message).toMatch(/^log made -Infinity/);
    expect(said(() => debugNans(f, { infinities: false })(tensor(-1))).message).toMatch(/^log made NaN/);
  });

  test("what is run outside of it, and after it", () => {
    expect(() => said(() => debugNans((x: Value) => x)(tensor(1)))).toThrow("nothing was found");
    expect(() => debugNans((x: Value) => x.log())(tensor(-1))).toThrow(NonFiniteError);
    // An error ends the watch.
    expect(tensor(-1).log().item()).toBe(NaN);
  });
});

test("two functions of the same structure are told apart", () => {
  const make = (): [F, number][] => {
    const firstLine = lineHere() + 1;
    const first: F = (x) => x.mul(3).log();
    const second: F = (x) => x.mul(3).log();
    return [
      [first, firstLine],
      [second, firstLine + 1],
    ];
  };
  const wrappers: ((f: F) => F)[] = [
    (f) => f,
    (f) => jit(f) as F,
    (f) => checkpoint(f) as F,
    (f) => (x) => scan((c: Value) => [f(c), null], x, null, { length: 1 })[0],
    (f) => (x) => jit((v: Value) => cond(v.gt(0), (y: Value) => y, f, v))(x),
  ];
  for (const wrap of wrappers) {
    for (const [f, line] of make()) {
      const wrapped = wrap(f);
      // Traced before it is watched.
      expect(wrapped(tensor(-1)).item()).toBe(NaN);
      expect(said(() => debugNans(wrapped)(tensor(-1))).line).toBe(line);
    }
  }
  const [[first, line], [second]] = make();
  const lines = [first, second].map((f) => jit(f).graph(1).nodes[1].origin?.line);
  expect(lines.map((at) => Number(/:(\d+):\d+/.exec(at ?? "")?.[1]))).toEqual([line, line + 1]);
});
