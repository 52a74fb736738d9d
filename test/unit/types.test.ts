import { type Value, argument, derivative, grad, jacfwd, jvp, primitive, tensor, vjp } from "cotangent";
import { expect, expectTypeOf, test } from "vitest";

/** Never called: what must not compile need not run. */
function mustNotCompile(_: () => void): void {}

const stanza = {
  args: ["x", "y"],
  elementwise: true,
  residuals: { x: ["y"], y: ["output"] },
  shape: ([x]: readonly { readonly shape: readonly number[] }[]) => x as never,
  cost: () => 1,
  sample: () => ({ inputs: [argument([]), argument([])], params: {} }),
} as const;

test("a primitive with a missing rule, or a VJP that looks at what it did not save, does not compile", () => {
  mustNotCompile(() => {
    // @ts-expect-error the VJP of y is missing
    primitive("a", { ...stanza, jvp: { x: (t) => t, y: (t) => t }, vjp: { x: (ct) => ct } });
    // @ts-expect-error the JVP of x is missing
    primitive("b", { ...stanza, jvp: { y: (t) => t }, vjp: { x: (ct) => ct, y: (ct) => ct } });
    const { elementwise: _, ...unbatched } = stanza;
    // @ts-expect-error how it is batched is missing
    primitive("e", { ...unbatched, jvp: { x: (t) => t, y: (t) => t }, vjp: { x: (t) => t, y: (t) => t } });
    primitive("c", {
      ...stanza,
      jvp: { x: (t) => t, y: (t) => t },
      // @ts-expect-error x saves y, not x
      vjp: { x: (ct, { x }) => ct.mul(x), y: (ct, { output }) => ct.mul(output) },
    });
    primitive("d", {
      ...stanza,
      jvp: { x: (t, { y }) => t.mul(y), y: (t, { output }) => t.mul(output) },
      vjp: {
        x: (ct, { y }) => ct.mul(y),
        y: (ct, { output, avals }) => ct.broadcastTo(avals.x.shape).mul(output),
      },
    });
  });
  expect(mustNotCompile).toBeTypeOf("function");
});

test("types follow the trees of arguments", () => {
  interface Layer {
    readonly w: Value;
    readonly b: Value;
  }
  const f = (layers: readonly Layer[], x: Value, power: number): Value =>
    layers.reduce((y, { w, b }) => y.mul(w).add(b).pow(power), x);
  expectTypeOf(grad(f)([{ w: 1, b: 2 }], tensor(1), 2)).toEqualTypeOf<
    readonly { readonly w: Value; readonly b: Value }[]
  >();
  expectTypeOf(grad(f, { argnums: [1, 0] })).returns.toEqualTypeOf<
    [Value, readonly { readonly w: Value; readonly b: Value }[]]
  >();
  expectTypeOf(grad((x) => x)).parameters.toEqualTypeOf<[x: Value | number]>();
  expectTypeOf(jvp((x: Value) => ({ y: x, n: 2 }), [1], [1])[1].n).toEqualTypeOf<Value>();
  expectTypeOf(vjp((x: Value, l: Layer) => x.mul(l.w), 1, { w: 1, b: 1 })[1]).returns.toEqualTypeOf<
    [x: Value, l: Layer]
  >();
  expectTypeOf(derivative((x) => [x, x])(1)).toEqualTypeOf<Value[]>();
  expectTypeOf(jacfwd((x: Layer) => ({ a: x.w, b: 2 }))({ w: 1, b: 2 })).toEqualTypeOf<{
    a: Layer;
    b: Layer;
  }>();
  mustNotCompile(() => {
    // @ts-expect-error a string is no value
    grad((x: Value) => x)("1");
    // @ts-expect-error the second argument is missing
    grad((x: Value, y: Value) => x.mul(y))(1);
    // @ts-expect-error a tangent for each argument
    jvp((x: Value, y: Value) => x.mul(y), [1, 2], [1]);
    // @ts-expect-error the result is no scalar value
    grad((x: Value) => [x])(1);
  });
  expect(grad(f)([{ w: 1, b: 2 }], tensor(1), 2)[0].w.item()).toBe(6);
});
