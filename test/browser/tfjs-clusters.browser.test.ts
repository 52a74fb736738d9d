/** Elementwise nodes of a graph on WebGL: how many shaders they are, and that these give what kernels give one by one. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import type { MathBackendWebGL } from "@tensorflow/tfjs-backend-webgl";
import { engine, memory as tfjsMemory } from "@tensorflow/tfjs-core";
import { type Value, arange, grad, jit, registerBackend, tensor, tidy, withBackend } from "cotangent";
import { describe, expect, test, vi } from "vitest";

const webgl = await createTfjsBackend();
registerBackend(webgl);
const gpu = engine().findBackend("webgl") as unknown as MathBackendWebGL;

type F = (...inputs: Value[]) => Value[];

/** The shaders that run, once it is compiled, and eagerly; and how far the results are from each other, in roundings. */
function ran(f: F, ...inputs: Value[]): { shaders: number; eager: number; roundings: number } {
  const jitted = jit(f) as unknown as F;
  tidy(() => void jitted(...inputs));
  const run = vi.spyOn(gpu, "runWebGLProgram");
  const outputs = jitted(...inputs);
  const shaders = run.mock.calls.length;
  const eagerly = f(...inputs);
  const eager = run.mock.calls.length - shaders;
  run.mockRestore();
  // Reading them takes shaders too.
  const [found, wanted] = [outputs, eagerly].map((values) => values.map((value) => value.dataSync()));
  let roundings = 0;
  found.forEach((data, k) =>
    data.forEach((x, i) => {
      const y = wanted[k][i];
      if (!Object.is(x, y) && x !== y)
        roundings = Math.max(roundings, Math.abs(x - y) / Math.max(Math.abs(y), 1e-30) / 2 ** -24);
    }),
  );
  return { shaders, eager, roundings };
}

const on = <T>(body: () => T): T => withBackend(webgl, () => tidy(body));
// Products that sums use may be rounded once in place of twice.
const few = 8;

describe("elementwise nodes", () => {
  const x = (): Value => arange(0, 3000, 1).mul(1e-3).reshape([30, 100]);

  test("of a chain are one shader, whatever is broadcast in it", () => {
    on(() => {
      const f: F = (v, row, column) => [
        v.mul(row).sin().add(column).tanh().mul(2).sub(row).exp().neg().maximum(-3),
      ];
      const { shaders, roundings } = ran(f, x(), arange(0, 100, 1), arange(0, 30, 1).reshape([30, 1]));
      expect(shaders).toBe(1);
      expect(roundings).toBeLessThan(few);
    });
  });

  test("that give several results are a shader for each, which reads what was computed before", () => {
    on(() => {
      const { shaders, roundings } = ran((v) => {
        const s = v.sin();
        return [s, s.mul(v), s.mul(v).exp()];
      }, x());
      expect(shaders).toBe(3);
      expect(roundings).toBeLessThan(few);
    });
  });

  test("that are dear and used by several results are computed once", () => {
    on(() => {
      const cheap = ran((v) => [v.add(1).mul(2), v.add(1).neg()], x());
      expect(cheap.shaders).toBe(2);
      const dear = ran((v) => [v.exp().mul(2), v.exp().neg()], x());
      expect(dear.shaders).toBe(3);
    });
  });

  test("that are numbers are not computed for each element", () => {
    on(() => {
      const { shaders } = ran((v, s) => [v.mul(s.exp().add(1)).add(2)], x(), tensor(0.5));
      expect(shaders).toBe(2);
    });
  });

  test("around a product stay apart from it", () => {
    on(() => {
      const f: F = (v) => [v.sin().add(1).matmul(v.transpose().exp().mul(2)).tanh().square()];
      const { shaders, eager, roundings } = ran(f, x());
      // sin and add, exp and mul, tanh and square.
      expect(shaders).toBe(eager - 3);
      expect(roundings).toBeLessThan(1000);
    });
  });

  test("of very many inputs are run all the same", () => {
    on(() => {
      const inputs = Array.from({ length: 40 }, (_, i) => x().add(i));
      const f: F = (...all) => [all.reduce((sum, each) => sum.add(each.mul(0.5)))];
      expect(ran(f, ...inputs).roundings).toBeLessThan(40);
    });
  });

  test("of a long chain of numbers take few shaders, and so does its gradient", () => {
    on(() => {
      const chain = (v: Value): Value => {
        let y = v;
        for (let i = 0; i < 200; i++) y = y.mul(0.9).add(0.1).sin();
        return y;
      };
      expect(ran((v) => [chain(v)], tensor(0.3)).shaders).toBeLessThan(20);
      const gradient = ran((v) => [grad(chain)(v)], tensor(0.3));
      // Values that the way back needs are a shader each: it gives one result.
      expect(gradient.shaders).toBeLessThan(0.7 * gradient.eager);
      expect(gradient.roundings).toBeLessThan(2000);
    });
  });

  test("keep integers, booleans and what is no number as kernels do", () => {
    on(() => {
      const v = tensor([NaN, Infinity, -Infinity, -0, 0, 1.5, -2.5, 3e7]);
      const f: F = (a) => [
        a.gt(1).and(a.lt(2)).not(),
        a.astype("int32").add(1).mul(3),
        a.clamp(-1, Infinity).mul(1),
        a.eq(a).astype("float32").sub(0.1),
        a.relu().add(-0),
      ];
      const found = (jit(f) as unknown as F)(v);
      const wanted = f(v);
      for (const [i, output] of found.entries()) {
        // An int32 that is out of range can be read of neither.
        if (output.dtype === "int32") continue;
        expect(output.dtype).toBe(wanted[i].dtype);
        expect(output.toArray()).toEqual(wanted[i].toArray());
      }
      const small = tensor([-7, 0, 7], { dtype: "int32" });
      const integers: F = (n) => [n.mul(n).add(1).neg(), n.ge(0).astype("int32").sub(n)];
      expect((jit(integers) as unknown as F)(small).map((y) => y.toArray())).toEqual(
        integers(small).map((y) => y.toArray()),
      );
    });
  });

  test("leave nothing behind", () => {
    withBackend(webgl, () => {
      const f = jit((v: Value) => v.sin().mul(v).exp());
      const once = (): void => tidy(() => void f(x()));
      once();
      const before = { ...webgl.memory(), tensors: tfjsMemory().numTensors };
      once();
      expect({ ...webgl.memory(), tensors: tfjsMemory().numTensors }).toEqual(before);
    });
  });
});
