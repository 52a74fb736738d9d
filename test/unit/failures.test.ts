/** What a report says of a failure: code that gives the very same thing where it is pasted, and numbers that are true. */
import {
  type Call,
  type Failure,
  type Finding,
  type Law,
  type Outcome,
  type Setting,
  RecordedDraw,
  adjoint,
  checkFunction,
  checkKinks,
  checkLaw,
  checkPrograms,
  defaultSeed,
  differences,
  drawCall,
  everyPrimitive,
  fails,
  holds,
  packed,
  showCall,
  unpacked,
  vmapped,
  weigh,
} from "@cotangent/verify";
import * as verify from "@cotangent/verify";
import {
  type Backend,
  type Primitive,
  type Value,
  argument,
  JsBackend,
  bilinear,
  jsBackend,
  leaves,
  primitives,
  setBackend,
  tensor,
  unary,
  unaryKernel,
  withBackend,
} from "cotangent";
import * as cotangent from "cotangent";
import { anything, array, assert, constantFrom, double, gen, oneof, property, sample } from "fast-check";
import { stripTypeScriptTypes } from "node:module";
import { createContext, runInContext } from "node:vm";
import { afterEach, describe, expect, test, vi } from "vitest";

setBackend(jsBackend);
const setting: Setting = { backend: jsBackend, dtype: "float64", reference: jsBackend };
const onFloat32: Setting = { ...setting, dtype: "float32" };
const operation = (name: string): Primitive => primitives().get(name) as Primitive;

/** What code gives that is pasted where all of both packages is at hand. */
function pasted(code: string, more: object = {}): unknown {
  const known = { ...verify, ...cotangent, ...more };
  const script = stripTypeScriptTypes(code.replaceAll(/^import .*$/gm, ""));
  return runInContext(script, createContext(known)) as unknown;
}
const numbersOf = (values: unknown): number[] =>
  (leaves(values) as Value[]).flatMap((value) => [...value.dataSync()]);

describe("a printed call", () => {
  const anyNumber = oneof(double(), constantFrom(-0, NaN, Infinity, -Infinity, 5e-324));

  test("has every number that there is", () => {
    assert(
      property(array(anyNumber), (numbers) => {
        const data = Float64Array.from(numbers);
        const input = { shape: [data.length], dtype: "float64", data } as const;
        const call = { primitive: operation("neg"), params: {}, dtype: "float64", inputs: [input] } as const;
        // Of toEqual -0 and 0 differ.
        expect(numbersOf(pasted(showCall(call)))).toEqual(numbers.map((x) => -x));
      }),
    );
  });

  test("has every parameter that is data", () => {
    const bind = (_: unknown, __: unknown, params: unknown): unknown => params;
    const data = anything({
      values: [anyNumber, constantFrom("", 'a"b\n', true, null)],
      withNullPrototype: false,
    });
    assert(
      property(data, (value) => {
        const params = { value };
        const text = showCall({ primitive: operation("neg"), params, dtype: "float64", inputs: [] });
        // Objects of another context have prototypes of their own.
        expect(JSON.stringify(pasted(text, { bind }), packed)).toBe(JSON.stringify(params, packed));
      }),
    );
  });

  test("gives what the call gave, on the backend and in the dtype at hand, or is a comment that says what leads to it", () => {
    const comments = new Set<string>();
    for (const primitive of everyPrimitive())
      for (const dtype of ["float64", "float32"] as const)
        for (const generate of sample(gen(), { seed: 4, numRuns: 4 })) {
          const call: Call = drawCall(new RecordedDraw(generate), primitive, dtype);
          const text = showCall(call);
          const found = pasted(text);
          if (found === undefined) {
            comments.add(primitive.name);
            expect(text).toMatch(
              /^(\/\/ .*\n)+\/\/ .* only its seed and path \(`replay`\) lead to it again\.$/,
            );
            continue;
          }
          const inputs = call.inputs.map(({ shape, dtype: own, data }) =>
            tensor(data, { shape, dtype: own }),
          );
          const { rules } = primitive;
          const params = typeof call.params === "function" ? call.params(dtype) : call.params;
          const wanted =
            rules.form === "multiple"
              ? cotangent.bindMultiple(primitive, inputs, params)
              : [cotangent.bind(primitive, inputs, params)];
          expect(
            leaves(found).map((value) => (value as Value).aval.toString()),
            text,
          ).toEqual(wanted.map(({ aval }) => aval.toString()));
          expect(numbersOf(found), text).toEqual(numbersOf(wanted));
        }
    // Of all parameters only the functions of custom rules have no text: graphs have one.
    expect(comments).toEqual(new Set(["customCall"]));
  });
});

/** A law that fails where a subject's first element is not what it may be. */
const lawThat = (judge: (numbers: readonly number[]) => Outcome): Law => ({
  name: "invented",
  statement: "what a test says",
  judge: ({ point }) => judge(point.flatMap(({ data }) => [...data])),
});

describe("a failure's code", () => {
  const failureOf = (law: Law, at: Setting): Failure =>
    checkPrograms(law, at, { samples: 20, seed: 3, steps: 4, shrink: false }).failure as Failure;

  test.each([
    ["float64", setting],
    ["float32", onFloat32],
  ] as const)("of a program says where it is to be run, and is in %s itself", (dtype, at) => {
    // The values of the program that failed, which the pasted one must have too.
    let values: number[] = [];
    const never: Law = {
      name: "invented",
      statement: "nothing holds",
      judge: (subject) => {
        const inputs = subject.point.map(({ shape, data }) => tensor(data, { shape, dtype }));
        values = numbersOf(subject.apply(inputs, []));
        return fails("as it was meant to");
      },
    };
    const { counterexample, inputs } = failureOf(never, at);
    expect(counterexample).toMatch(new RegExp(`^// on backend "js", in ${dtype}\nimport `));
    expect(numbersOf(pasted(`${counterexample}\nf(...point)`))).toEqual(values);
    expect(inputs.map((input) => input.dtype)).toEqual(inputs.map(() => dtype));
    // Whatever the backend's own dtype is.
    const other = new (class extends JsBackend {
      override readonly defaultDType = dtype === "float32" ? "float64" : "float32";
    })();
    const point = withBackend(other, () => pasted(`${counterexample}\npoint`)) as Value[];
    expect(point.map((input) => input.dtype)).toEqual(point.map(() => dtype));
  });

  /** A product of all pairs of elements, of which a batch has a factor too many. */
  const twice = bilinear("failures:twice", {
    shape: ([x]) => x,
    cost: (_, output) => output.size,
    sample: (draw) => {
      const shape = draw.shape({ minRank: 1, minSize: 1 });
      return { inputs: [argument(shape), argument(shape)], params: {} };
    },
    transpose: { x: (ct, { y }) => ct.mul(y), y: (ct, { x }) => ct.mul(x) },
    batch: ([x, y], [ofX, ofY]) =>
      (ofX ? x : x.expandDims(0)).mul(ofY ? y : y.expandDims(0)).mul(ofX && ofY ? 2 : 1),
  });
  jsBackend.kernels.set("failures:twice", (inputs, output) =>
    (jsBackend.kernels.get("mul") as NonNullable<ReturnType<Backend["kernels"]["get"]>>)(inputs, output, {}),
  );
  /** The found numbers of a batch, and those of the code. */
  const expectReproduced = ({ counterexample, found = [], inputs }: Failure, more = {}): void => {
    expect(counterexample).toMatch(/^\/\/ on backend[^]*vmap\(/);
    const again = pasted(counterexample, more) as Value[];
    expect(again.map((value) => [...value.dataSync()])).toContainEqual([...found]);
    expect(inputs.length).toBeGreaterThan(0);
    for (const { data } of inputs) expect(counterexample).toContain(`tensor([${data.join(", ")}]`);
  };

  /** What of a batch is wrong: f, or a derivative of it. */
  const kindOf = ({ message }: Failure): string => /^(.*) of a batch/m.exec(message)?.[1] ?? message;

  test.each([
    ["float64", setting],
    ["float32", onFloat32],
  ] as const)("of a batching rule is the batched call, in %s", (_, at) => {
    const kinds = new Set<string>();
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8])
      for (const shrink of [false, true]) {
        const report = checkLaw(twice.primitive, vmapped, at, { samples: 60, seed, shrink });
        const failure = report.failure as Failure;
        kinds.add(kindOf(failure));
        expectReproduced(failure);
      }
    expect(kinds).toEqual(new Set(["f", "J v"]));
  });

  /** The sine, of which the derivatives are products of these kinds: right, but where a batch of it is faulty. */
  type Product = (x: Value, y: Value) => Value;
  const right: Product = (x, y) => x.mul(y);
  const ruled = (
    f: Product,
    derivative: (x: Value) => Value,
    jvp: Product,
    vjp: Product,
  ): ((x: Value) => Value) =>
    cotangent.custom((x: Value): Value => f(x, x.onesLike()), {
      jvp: ([x], [dx]) => [f(x, x.onesLike()), jvp(dx, derivative(x))],
      forward: (x) => [f(x, x.onesLike()), x],
      backward: (x, ct) => [vjp(ct, derivative(x))],
    });
  const sineOf = (derivative: (x: Value) => Value, jvp: Product, vjp: Product): ((x: Value) => Value) =>
    ruled((x) => x.sin(), derivative, jvp, vjp);
  const cosine = ruled(
    (x) => x.cos(),
    (x) => x.sin().neg(),
    twice,
    twice,
  );

  test.each([
    ["J v", sineOf((x) => x.cos(), twice, right)],
    ["Jᵀ ȳ", sineOf((x) => x.cos(), right, twice)],
    ["the second derivative", sineOf(cosine, right, right)],
  ])("of a batched derivative is that: %s", (kind, whole) => {
    const kinds = new Set<string>();
    for (const f of [whole, (x: Value) => [whole(x), x.gt(0)]])
      for (const seed of [1, 2, 3, 4, 5]) {
        const own = { ...setting, name: "whole", laws: [vmapped], samples: 300, seed, shrink: seed > 2 };
        const [report] = checkFunction(f, [argument([2])], own);
        const failure = report.failure as Failure;
        kinds.add(kindOf(failure).split(",")[0]);
        expectReproduced(failure, { whole: f });
      }
    expect(kinds).toContain(kind);
  });

  test("of a batched program is a module", () => {
    // The faulty product is one of the registry now.
    const { failure } = checkPrograms(vmapped, setting, { samples: 1000, seed: 1, steps: 2, shrink: false });
    expect(failure?.counterexample).toMatch(
      /^\/\/ on .*\nimport \{ .*vmap.* \} from "cotangent";\n[^]*failures:twice/,
    );
    expectReproduced(failure as Failure);
  });

  test("of a batch that cannot be computed is the batched call", () => {
    const refused = bilinear("failures:refused", {
      shape: ([x]) => x,
      cost: (_, output) => output.size,
      sample: () => ({ inputs: [argument([2]), argument([2])], params: {} }),
      transpose: { x: (ct, { y }) => ct.mul(y), y: (ct, { x }) => ct.mul(x) },
      batch: () => {
        throw new Error("no batches here");
      },
    });
    jsBackend.kernels.set("failures:refused", jsBackend.kernels.get("failures:twice")!);
    const { failure } = checkLaw(refused.primitive, vmapped, setting, { samples: 5 });
    expect(failure?.text).toContain("no batches here");
    expect(() => pasted(failure?.counterexample ?? "")).toThrow("no batches here");
  });

  test("of a kink has what it is called with", () => {
    jsBackend.kernels.set("failures:kink", unaryKernel(Math.abs));
    const { primitive } = unary("failures:kink", {
      partial: (x) => x.sign(),
      domain: cotangent.real({ kinks: [0] }),
      flops: 1,
      kinks: [{ at: [-0], partials: [1], because: "a test" }],
    });
    const { failure } = checkKinks(primitive, setting);
    expect(failure?.inputs).toEqual([{ shape: [], dtype: "float64", data: [-0] }]);
    expect(failure?.message).toContain("failures:kink at (-0)");
    expect(failure?.text).toBe(`${failure?.message}\nfor\n${failure?.counterexample}`);
    expect(failure?.counterexample).toMatch(/^\/\/ on backend "js", in float64\n/);
    expect(numbersOf(pasted(failure?.counterexample ?? ""))).toEqual([0]);
  });
});

describe("a report", () => {
  const sine = operation("sin");

  test("counts no sample after the first that failed, though many are tried to shrink it", () => {
    let tried = 0;
    const law = lawThat((numbers) => (++tried > 1 && numbers.length === 0 ? holds : fails("always")));
    const report = checkLaw(sine, law, setting, { samples: 100 });
    expect(tried).toBeGreaterThan(2);
    expect(report).toMatchObject({ judged: 0, missed: 0, classed: {}, exercised: {}, unexercised: {} });
    expect(report.failure?.message).toBe("always");
  });

  test("of a check that had no time is of no sample, and of no failure", () => {
    for (const samples of [1, 100]) {
      const report = checkLaw(sine, adjoint, setting, { samples, timeLimit: 0 });
      expect(report).toMatchObject({ judged: 0, missed: 0, failure: undefined });
    }
    expect(checkLaw(sine, adjoint, setting, { samples: 1e6, timeLimit: 50 }).milliseconds).toBeLessThan(5000);
  });

  test("says of a failure only what leads there", () => {
    const never = lawThat(() => fails("always"));
    const text = (options: object): string => checkLaw(sine, never, setting, options).failure?.text ?? "";
    expect(text({})).toMatch(
      new RegExp(`replay: \\{ seed: ${defaultSeed()}, path: "0" \\}, or COTANGENT_SEED=${defaultSeed()}$`),
    );
    expect(text({ seed: 5 })).toMatch(/replay: \{ seed: 5, path: "0" \}$/);
    // No sample of this seed is empty; one of each class of shape is looked for after them.
    const notEmpty = lawThat((numbers) => (numbers.length === 0 ? fails("empty") : holds));
    const failure = checkLaw(sine, notEmpty, setting, { samples: 1 }).failure as Failure;
    const [, seed, path] = /replay: \{ seed: (\d+), path: "(\d+)" \}$/.exec(failure.text) ?? [];
    const again = checkLaw(sine, notEmpty, setting, { seed: Number(seed), path, samples: 1 });
    expect(again.failure?.counterexample).toBe(failure.counterexample);
  });

  test("comes out of JSON as it went in", () => {
    const text = '{"found":["NaN","Infinity","-Infinity","-0",0]}';
    expect(JSON.stringify(JSON.parse(text, unpacked), packed)).toBe(text);
    expect(JSON.parse(text, unpacked)).toEqual({ found: [NaN, Infinity, -Infinity, -0, 0] });
  });
});

describe("the seed of the environment", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test("is a whole number, or there is none", () => {
    for (const [text, seed] of [
      ["7", 7],
      ["-3", -3],
      ["", 20261],
    ] as const) {
      vi.stubEnv("COTANGENT_SEED", text);
      expect(defaultSeed()).toBe(seed);
    }
    for (const text of ["abc", "1.5", "NaN", "Infinity", " ", "1e30"]) {
      vi.stubEnv("COTANGENT_SEED", text);
      expect(() => defaultSeed()).toThrow(
        `verify: the environment variable COTANGENT_SEED is "${text}", but a seed is a whole number, as 20261 is.`,
      );
    }
  });
});

describe("the size of an error", () => {
  const weighed = (found: number[], expected: number[], facts: object = {}): Finding =>
    (
      weigh(
        {
          error: Math.max(...found.map((x, i) => Math.abs(x - expected[i]))),
          scale: 0,
          evaluations: 1,
          terms: 1,
          again: () => [0],
          found,
          expected,
          say: () => "off",
          ...facts,
        },
        setting,
      ) as { failure: Finding }
    ).failure;

  test("is in units in the last place of what was found and expected, however large the terms are", () => {
    for (const scale of [0, 1, 1e6]) {
      const { ulps } = weighed([3], [2], { scale });
      expect(ulps).toBe(1 / (3 * 2 ** -52));
    }
  });

  test("is never infinite: it is left out where there is none", () => {
    const off = weighed([0], [0], { error: 1 });
    expect(off).not.toHaveProperty("ulps");
    expect(off).not.toHaveProperty("tolerances");
    expect(weighed([Infinity], [1])).not.toHaveProperty("ulps");
    const law: Law = {
      name: "invented",
      statement: "what a test says",
      judge: () => ({ judged: true, failure: off }),
    };
    expect(checkLaw(operation("sin"), law, setting).failure?.text).toContain(
      "\nthe error is 1.00, the tolerance 0.00\n",
    );
    const [{ failure }] = checkFunction((x: Value) => x.mul(x.stopGradient()), [argument([1])], {
      ...setting,
      laws: [differences],
    });
    expect(failure?.text).toMatch(/the error is \S+: \S+ ulp, \S+ times the tolerance of \S+/);
  });
});
