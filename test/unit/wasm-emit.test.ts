/** The emitter of backend-wasm: every instruction that it knows, what functions are made of, and its refusals. */
import { array, assert, bigInt, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { Bytes } from "../../packages/backend-wasm/src/emit/bytes.ts";
import * as emit from "../../packages/backend-wasm/src/emit/index.ts";

const { ModuleBuilder, callOf, f32, f32x4, f64, f64x2, i32, i64, i64x2, v128 } = emit;
type ValueType = emit.ValueType;

const seed = Number(process.env["COTANGENT_SEED"] ?? 20261);
const memory = { initial: 1, maximum: 1, shared: true } as const;

function instantiate(
  module: InstanceType<typeof ModuleBuilder>,
): Record<string, (...args: never[]) => unknown> {
  const bytes = module.encode(memory);
  expect(WebAssembly.validate(bytes)).toBe(true);
  const shared = new WebAssembly.Memory(memory);
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { memory: shared } })
    .exports as Record<string, (...args: never[]) => unknown>;
}

/** A value of each type. */
const operands: Readonly<Record<ValueType, emit.Expr>> = {
  i32: i32.const(1),
  i64: i64.const(1n),
  f32: f32.const(1),
  f64: f64.const(1),
  v128: f64x2.const(1),
};

/** Whether an engine takes a module with a function that computes the value and drops it. */
function isValid(value: emit.Expr): boolean {
  const module = new ModuleBuilder();
  module.function("f", []).drop(value);
  return WebAssembly.validate(module.encode(memory));
}

describe("every instruction", () => {
  const families = {
    i32,
    i64,
    f32,
    f64,
    v128,
    f32x4,
    f64x2,
    i64x2,
    i8x16: emit.i8x16,
    i16x8: emit.i16x8,
    i32x4: emit.i32x4,
  };
  const types = Object.keys(operands) as ValueType[];
  /** Those that take more than operands are tried below. */
  const others = /^(const|load|store|.*_lane.*|shuffle|load.*|store.*)$/;
  for (const [family, instructions] of Object.entries(families))
    for (const [name, make] of Object.entries(
      instructions as unknown as Record<string, (...args: emit.Expr[]) => emit.Expr>,
    )) {
      if (others.test(name)) continue;
      test(`${family}.${name} is one that engines know, for the operands that it takes`, () => {
        // Of all operands exactly those of one signature are taken, and what is taken is valid.
        const signatures = types
          .flatMap((a) => [[a], ...types.flatMap((b) => [[a, b], ...types.map((c) => [a, b, c])])])
          .filter((signature) => {
            if (signature.length !== Math.max(1, make.length)) return false;
            try {
              make(...signature.map((type) => operands[type]));
              return true;
            } catch {
              return false;
            }
          });
        expect(signatures).toHaveLength(1);
        expect(isValid(make(...signatures[0].map((type) => operands[type])))).toBe(true);
      });
    }

  test("lanes, loads, stores and shuffles", () => {
    const module = new ModuleBuilder();
    const f = module.function("f", ["i32"], ["v128"]);
    const at = f.args[0].get;
    const vector = f.let(v128.load(at, 16));
    for (const [type, lanes] of [
      [f32x4, 4],
      [f64x2, 2],
      [i64x2, 2],
      [emit.i32x4, 4],
    ] as const)
      for (let lane = 0; lane < lanes; lane++)
        f.set(vector, type.replace_lane(vector.get, lane, type.extract_lane(vector.get, lane)));
    f.set(vector, v128.load64_lane(at, vector.get, 1, 8));
    f.set(vector, v128.load32_lane(at, vector.get, 3));
    f.store(v128.store(at, vector.get));
    f.store(v128.store32_lane(at, vector.get, 2, 4));
    f.store(v128.store64_lane(at, vector.get, 1));
    f.set(
      vector,
      v128.shuffle(
        vector.get,
        v128.load64_splat(at),
        Array.from({ length: 16 }, (_, i) => 31 - i),
      ),
    );
    f.return(vector.get);
    expect(WebAssembly.validate(module.encode(memory))).toBe(true);
  });
});

test(`integers are written as LEB128 has them (seed ${seed})`, () => {
  assert(
    property(
      array(integer({ min: 0, max: 2 ** 32 - 1 })),
      bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (list, big) => {
        const module = new ModuleBuilder();
        const f = module.function("f", [], ["i64"]);
        f.return(i64.const(big));
        module.export(f);
        expect(instantiate(module)["f"]()).toBe(big);
        const bytes = new Bytes();
        for (const value of list) bytes.unsigned(value);
        let at = 0;
        const read = list.map(() => {
          let value = 0;
          for (let scale = 1; ; scale *= 128) {
            const byte = bytes.view()[at++];
            value += (byte % 128) * scale;
            if (byte < 128) return value;
          }
        });
        expect([read, at]).toEqual([list, bytes.length]);
      },
    ),
    { seed, numRuns: 50 },
  );
});

test("loops, branches, calls and variables of a module", () => {
  const module = new ModuleBuilder();
  const square = module.function("square", ["f64"], ["f64"]);
  square.return(f64.mul(square.args[0].get, square.args[0].get));
  const f = module.function("sumOfSquares", ["i32"], ["f64"]);
  const [count] = f.args;
  const [i, sum] = [f.local("i32"), f.local("f64")];
  f.block((end) => {
    f.loop((again) => {
      f.branchIf(end, i32.ge_s(i.get, count.get));
      f.if(
        i32.eq(i.get, i32.const(3)),
        () => f.set(sum, f64.add(sum.get, module.constant(f64.const(100)))),
        () => f.set(sum, f64.add(sum.get, callOf(square, f64.convert_i32_s(i.get)))),
      );
      f.set(i, i32.add(i.get, i32.const(1)));
      f.branch(again);
    });
  });
  f.return(sum.get);
  module.export(f);
  const found = instantiate(module)["sumOfSquares"] as (n: number) => number;
  expect([0, 3, 5].map(found)).toEqual([0, 5, 121]);
});

test("a module of a thousand operations computes what JavaScript does", () => {
  const module = new ModuleBuilder();
  const f = module.function("f", ["f64"], ["f64"]);
  const [x] = f.args;
  let y = x.get;
  let wanted = 1.25;
  for (let k = 0; k < 500; k++) {
    y = f.let(f64.sub(f64.mul(y, x.get), f64.sqrt(f64.abs(y)))).get;
    wanted = wanted * 1.25 - Math.sqrt(Math.abs(wanted));
  }
  f.return(y);
  module.export(f);
  expect((instantiate(module)["f"] as (x: number) => number)(1.25)).toBe(wanted);
});

describe("refusals", () => {
  test("operands of another type", () => {
    expect(() => f64.add(f64.const(1), f32.const(1))).toThrow(
      /takes \(f64, f64\), but was given \(f64, f32\)/,
    );
    expect(() => v128.load(f64.const(1))).toThrow(/load takes \(i32\)/);
    const f = new ModuleBuilder().function("f", ["i32"], ["i32"]);
    expect(() => f.set(f.args[0], f64.const(1))).toThrow(/local.set takes \(i32\), but was given \(f64\)/);
    expect(() => f.return(f64.const(1))).toThrow(/return takes \(i32\)/);
    expect(() => f.if(f64.const(1), () => {})).toThrow(/if takes \(i32\)/);
    expect(() => callOf(f, f64.const(1))).toThrow(/call of f takes \(i32\)/);
  });
  test("lanes that there are not", () => {
    expect(() => v128.shuffle(f64x2.const(1), f64x2.const(2), [32])).toThrow(/16 lanes below 32, not \[32\]/);
    expect(() => f32x4.const(1, 2)).toThrow(/4 lanes are wanted, or one for all, not 2/);
  });
  test("imports behind functions, and calls for results that are none", () => {
    const module = new ModuleBuilder();
    const f = module.function("f", []);
    expect(() => module.import("g", [])).toThrow(/import g must be stated before/);
    expect(() => callOf(f)).toThrow(/f has 0 results, not one/);
    const g = module.function("g", [], ["i32"]);
    expect(() => f.call(g)).toThrow(/g has a result; use callOf/);
  });
});
