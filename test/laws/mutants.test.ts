/** The suite itself is judged: faults planted in rules and kernels must be caught, each by a law. */
import {
  type Batch,
  type Draw,
  type GraphNode,
  type Kernel,
  type NoParams,
  type Op,
  type Pass,
  type Primitive,
  type Value,
  Graph,
  JsBackend,
  allBatched,
  argument,
  batchByLoop,
  batchOf,
  bilinear,
  bind,
  dotGeneral,
  indices,
  binary,
  binaryKernel,
  jsBackend,
  linear,
  multiplePrimitive,
  noParams,
  nonDifferentiable,
  passes,
  promote,
  primitive,
  primitives,
  real,
  sameShape,
  stepFunction,
  strongMul,
  unary,
  unaryKernel,
} from "cotangent";
import {
  type Law,
  type Setting,
  assertReports,
  checkPrimitive,
  checkLaw,
  checkPrograms,
  differences,
  lawsOfValues,
  memory,
  sameAsReference,
  staged,
  transposed,
  vmapped,
} from "@cotangent/verify";
import { describe, expect, test } from "vitest";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const setting: Setting = { backend: jsBackend, dtype: "float64", reference: jsBackend };
const onFloat32: Setting = { ...setting, dtype: "float32" };

/** The laws that a mutant breaks. */
function broken(mutant: Primitive, at: Setting = setting): string[] {
  return checkPrimitive(mutant, { ...at, samples: 40 }).flatMap(({ law, failure }) =>
    failure === undefined ? [] : [law],
  );
}

const sine = unaryKernel(Math.sin);
const product = binaryKernel((x, y) => x * y);
const facts = {
  args: ["x"],
  elementwise: true,
  shape: ([x]) => x,
  cost: (_, output) => output.size,
  sample: (draw: Draw) => ({ inputs: [argument(draw.shape())], params: {} }),
} as const satisfies Partial<Parameters<typeof primitive>[1]>;
const factsOfTwo = {
  ...facts,
  args: ["x", "y"],
  sample: (draw: Draw) => {
    const shape = draw.shape({ minRank: 1, minSize: 2 });
    return { inputs: [argument(shape), argument(shape)], params: {} };
  },
} as const satisfies Partial<Parameters<typeof primitive>[1]>;

describe("faults in rules are caught", () => {
  test("a sign flipped in one mode", () => {
    jsBackend.kernels.set("mutant:sign", sine);
    const mutant = primitive("mutant:sign", {
      ...facts,
      residuals: { x: ["x"] },
      jvp: { x: (dx, { x }) => strongMul(dx, x.cos()) },
      vjp: { x: (ct, { x }) => strongMul(ct, x.cos()).neg() },
    });
    expect(broken(mutant.primitive)).toContain("adjoint");
  });

  test("a factor missing in both modes", () => {
    jsBackend.kernels.set(
      "mutant:factor",
      unaryKernel((x) => x * x),
    );
    const mutant = unary("mutant:factor", { partial: (x) => x, domain: real(), flops: 1 });
    expect(broken(mutant.primitive)).toContain("differences");
  });

  test("the wrong operand", () => {
    jsBackend.kernels.set("mutant:operand", product);
    const mutant = binary("mutant:operand", {
      partials: { x: (x) => x, y: (x) => x },
      domain: { x: real(), y: real() },
      flops: 1,
    });
    expect(broken(mutant.primitive)).toContain("differences");
  });

  test("an un-broadcast forgotten", () => {
    jsBackend.kernels.set("mutant:broadcast", product);
    const mutant = bilinear("mutant:broadcast", {
      batch: "loop",
      shape: ([x]) => x,
      cost: (_, output) => output.size,
      sample: (draw) => ({
        inputs: [argument(draw.shape({ minRank: 1, minSize: 2 })), argument([])],
        params: {},
      }),
      transpose: { x: (ct, { y }) => ct.mul(y), y: (ct, { x }) => ct.mul(x) },
    });
    expect(broken(mutant.primitive)).toContain("linearity");
  });

  test("a dtype that the tangent does not keep", () => {
    jsBackend.kernels.set("mutant:dtype", sine);
    const mutant = primitive("mutant:dtype", {
      ...facts,
      residuals: { x: ["x"] },
      jvp: { x: (dx, { x }) => dx.mul(x.cos()).astype("float64") },
      vjp: { x: (ct, { x }) => ct.mul(x.cos()) },
    });
    expect(broken(mutant.primitive, onFloat32)).toContain("linearity");
  });

  test("a float32 constant in a float64 rule", () => {
    jsBackend.kernels.set(
      "mutant:precision",
      unaryKernel((x) => 0.1 * x),
    );
    const mutant = unary("mutant:precision", {
      partial: (x) => x.onesLike().mul(Math.fround(0.1)),
      domain: real(),
      flops: 1,
    });
    expect(broken(mutant.primitive)).toContain("differences");
  });

  test("a zero rule for a derivative that is not zero", () => {
    jsBackend.kernels.set("mutant:zero", sine);
    expect(broken(stepFunction("mutant:zero", { domain: real(), flops: 1 }).primitive)).toContain(
      "differences",
    );
  });

  test("a kink whose convention one mode changes", () => {
    jsBackend.kernels.set("mutant:kink", unaryKernel(Math.abs));
    const rightLimit = (x: Value): Value => x.ge(0).astype(x.dtype).mul(2).sub(1);
    const mutant = primitive("mutant:kink", {
      ...facts,
      sample: (draw) => ({ inputs: [argument(draw.shape(), real({ kinks: [0] }))], params: {} }),
      residuals: { x: ["x"] },
      jvp: { x: (dx, { x }) => strongMul(dx, x.sign()) },
      vjp: { x: (ct, { x }) => strongMul(ct, rightLimit(x)) },
      kinks: [{ at: [0], partials: [0], because: "minimum norm" }],
    });
    const reports = checkPrimitive(mutant.primitive, { ...setting, samples: 40 });
    const failures = reports.flatMap(({ failure }) => failure?.text ?? []);
    expect(failures).toEqual([
      expect.stringMatching(/mutant:kink at \(0\), x: the VJP gives 1, documented is 0/),
    ]);
  });

  test("a straight-through derivative of a step function", () => {
    jsBackend.kernels.set("mutant:step", unaryKernel(Math.floor));
    const mutant = unary("mutant:step", {
      partial: (x) => x.onesLike(),
      domain: real({ kinks: [-3, -2, -1, 0, 1, 2, 3] }),
      flops: 1,
    });
    expect(broken(mutant.primitive)).toContain("differences");
  });

  test("a derivative that one mode refuses and the other gives", () => {
    jsBackend.kernels.set("mutant:refused", sine);
    const mutant = primitive("mutant:refused", {
      ...facts,
      residuals: {},
      jvp: { x: (dx, { x }) => dx.mul(x.cos()) },
      vjp: { x: nonDifferentiable("not written yet") },
    });
    const reports = checkPrimitive(mutant.primitive, { ...setting, samples: 5 });
    expect(reports.flatMap(({ failure }) => failure?.text ?? []).join("\n")).toMatch(
      /breaks the law "cut"[\s\S]*not refused by forward mode/,
    );
  });

  test("a rule that is not linear", () => {
    jsBackend.kernels.set("mutant:nonlinear", sine);
    const mutant = primitive("mutant:nonlinear", {
      ...facts,
      residuals: { x: ["x"] },
      jvp: { x: (dx, { x }) => dx.mul(x.cos()) },
      vjp: { x: (ct, { x }) => ct.mul(x.cos()).add(ct.square().mul(1e-6)) },
    });
    expect(broken(mutant.primitive)).toContain("linearity");
  });

  test("a rule that cannot be differentiated again", () => {
    jsBackend.kernels.set("mutant:second", unaryKernel(Math.sin));
    const mutant = primitive("mutant:second", {
      ...facts,
      residuals: { x: ["x"] },
      jvp: { x: (dx, { x }) => dx.mul(x.cos()) },
      vjp: { x: (ct, { x }) => ct.mul(x.stopGradient().cos()) },
    });
    expect(broken(mutant.primitive)).toEqual(["second order", "second differences"]);
  });

  test("a transpose that is off by one", () => {
    jsBackend.kernels.set("mutant:shift", ([x], output) => {
      const data = x.dataSync();
      return data.map((_, i) => (i === 0 ? 0 : data[i - 1])).subarray(0, output.size);
    });
    const mutant = linear("mutant:shift", {
      ...facts,
      sample: (draw) => ({ inputs: [argument([draw.int(3, 5)])], params: {} }),
      transpose: { x: (ct) => ct },
    });
    expect(broken(mutant.primitive)).toContain("adjoint");
  });

  test("a branch that is dropped", () => {
    jsBackend.kernels.set("mutant:branch", product);
    const mutant = primitive("mutant:branch", {
      ...factsOfTwo,
      residuals: { x: ["y"], y: ["x"] },
      jvp: { x: (dx, { y }) => dx.mul(y), y: (dy, { x }) => dy.mul(x) },
      vjp: { x: (ct, { y }) => ct.mul(y), y: (ct) => ct.mul(0) },
    });
    expect(broken(mutant.primitive)).toContain("adjoint");
  });

  test("a wrong joint rule of a primitive with two outputs", () => {
    const rules = (sign: number): Parameters<typeof multiplePrimitive>[1] => ({
      args: ["x"],
      shapes: ([x]) => [x, x],
      cost: ([x]) => 2 * x.size,
      sample: (draw) => ({ inputs: [argument(draw.shape())], params: noParams }),
      jvp: ([dx], { outputs: [sin, cos] }) => [(dx as Value).mul(cos), (dx as Value).mul(sin).mul(sign)],
      vjp: ([s, c], { inputs: [x], outputs: [sin, cos] }) => [
        (s ?? x.zerosLike()).mul(cos).sub((c ?? x.zerosLike()).mul(sin)),
      ],
    });
    for (const name of ["sinCos", "mutant:sinCos"]) {
      jsBackend.multipleKernels.set(name, ([x], outputs, params) =>
        [Math.sin, Math.cos].map((f, i) => unaryKernel(f)([x], outputs[i], params)),
      );
    }
    expect(broken(multiplePrimitive("sinCos", rules(-1)).primitive)).toEqual([]);
    expect(broken(multiplePrimitive("mutant:sinCos", rules(1)).primitive)).toContain("adjoint");
  });
});

describe("faults in batching rules are caught", () => {
  const kernelOf = (name: string): Kernel => jsBackend.kernels.get(name) as Kernel;
  const otherShape = /breaks the law "vmapped"[^]*stacked it is/;
  const otherNumbers = /breaks the law "vmapped"[^]*one by one/;
  /** What the law of batching says; draws are many, since one in ten has a batch of nothing. */
  const verdict = (mutant: Primitive): string => {
    const { failure, judged } = checkLaw(mutant, vmapped, setting, { samples: 200 });
    return failure?.text ?? `holds ${judged} times`;
  };
  const sums = (name: string, axesOfBatch: (axes: readonly number[]) => number[]): Primitive => {
    jsBackend.kernels.set(name, kernelOf("sum"));
    const op: Op<readonly ["x"], { readonly axes: readonly number[] }> = linear(name, {
      args: ["x"],
      shape: ([x], { axes }) => x.withShape(x.shape.filter((_, i) => !axes.includes(i))),
      cost: ([x]) => x.size,
      sample: (draw) => ({ inputs: [argument(draw.shape({ minRank: 1 }))], params: { axes: [0] } }),
      transpose: { x: (ct, { avals }) => ct.expandDims(0).broadcastTo(avals.x.shape) },
      batch: ([x], _, { axes }) => op(x, { axes: axesOfBatch(axes) }),
    });
    return op.primitive;
  };
  /** All products of an element of x and one of y. */
  const outer = (name: string, batch: Batch<object>): Primitive => {
    const product = kernelOf("dotGeneral");
    const params = { contractX: [], contractY: [], batchX: [], batchY: [] };
    jsBackend.kernels.set(name, (inputs, output) => product(inputs, output, params));
    const axes = (count: number, from: number): number[] => Array.from({ length: count }, (_, i) => from + i);
    const contracted = (x: Value, y: Value, contractX: number[], contractY: number[]): Value =>
      dotGeneral(x, y, { ...params, contractX, contractY });
    return bilinear(name, {
      shape: ([x, y]) => x.withShape([...x.shape, ...y.shape]),
      cost: (_, output) => output.size,
      sample: (draw) => ({
        inputs: [argument(draw.shape({ maxRank: 2 })), argument(draw.shape({ maxRank: 2 }))],
        params: {},
      }),
      transpose: {
        x: (ct, { y, avals }) => contracted(ct, y, axes(y.rank, avals.x.rank), axes(y.rank, 0)),
        y: (ct, { x }) => contracted(ct, x, axes(x.rank, 0), axes(x.rank, 0)),
      },
      batch,
    }).primitive;
  };
  /** Rows at indices; `offsets` says whether a batch of indices is told apart by element. */
  const rows = (name: string, offsets: boolean): Primitive => {
    const params = { axis: 0 };
    const loop = batchByLoop(() => primitives().get(name) as Primitive);
    jsBackend.kernels.set(name, (inputs, output) => kernelOf("gather")(inputs, output, params));
    return linear(name, {
      args: ["x", "indices"],
      constants: ["indices"],
      shape: ([x, indices]) => x.withShape([...indices.shape, ...x.shape.slice(1)]),
      cost: () => 0,
      sample: (draw) => {
        const shape = draw.shape({ minRank: 1, minSize: 1 });
        return { inputs: [argument(shape), indices([draw.int(1, 3)], shape[0])], params: {} };
      },
      transpose: { x: (ct, { indices: at, avals }) => ct.constant(0, avals.x).scatterAdd(at, ct) },
      batch: offsets
        ? "loop"
        : (inputs, batched) => {
            // A batch of nothing has no first element, and is none of the fault.
            if (batchOf(inputs, batched) === 0) return loop(inputs, batched, {});
            const [x, at] = allBatched(inputs, batched);
            return x.at(0).take(at);
          },
    }).primitive;
  };

  test("the right rules break nothing", () => {
    const shifted = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);
    for (const right of [sums("right:sum", shifted), outer("right:outer", "loop"), rows("right:rows", true)])
      expect(verdict(right)).toBe("holds 200 times");
  });

  test("the axis of an element taken for that of the batch", () => {
    expect(verdict(sums("mutant:batch axis", (axes) => [...axes]))).toMatch(otherShape);
  });

  test("a batch axis that is not moved to the front", () => {
    const op = (x: Value, y: Value): Value =>
      bind(primitives().get("mutant:unmoved") as Primitive, [x, y], {});
    const loop = batchByLoop(() => primitives().get("mutant:unmoved") as Primitive);
    const unmoved = outer("mutant:unmoved", (inputs, batched, params) =>
      batched[0] ? loop(inputs, batched, params) : op(inputs[0], inputs[1]),
    );
    expect(verdict(unmoved)).toMatch(otherShape);
  });

  test("two batches paired with each other in all combinations", () => {
    const crossed = outer("mutant:crossed", (inputs, batched) => {
      const [x, y] = allBatched(inputs, batched);
      return bind(primitives().get("mutant:crossed") as Primitive, [x, y], {});
    });
    expect(verdict(crossed)).toMatch(otherShape);
  });

  test("indices that are looked up in the first element", () => {
    expect(verdict(rows("mutant:rows", false))).toMatch(otherNumbers);
  });

  test("a primitive that is called elementwise and is not", () => {
    jsBackend.kernels.set("mutant:elementwise", ([x]) => x.dataSync().slice().reverse());
    const reverse: Op<readonly ["x"], NoParams> = linear("mutant:elementwise", {
      ...facts,
      sample: (draw) => ({ inputs: [argument([draw.int(1, 3)])], params: {} }),
      transpose: { x: (ct) => reverse(ct) },
    });
    expect(verdict(reverse.primitive)).toMatch(otherNumbers);
  });

  test("a batch of nothing of which the shape is lost", () => {
    jsBackend.kernels.set("mutant:nothing", kernelOf("broadcastTo"));
    const copy: Op<readonly ["x"], NoParams> = linear("mutant:nothing", {
      args: ["x"],
      shape: ([x]) => x,
      cost: () => 0,
      sample: (draw) => ({ inputs: [argument(draw.shape({ minRank: 1 }))], params: {} }),
      transpose: { x: (ct) => copy(ct) },
      batch: ([x]) => {
        const [size, first, ...rest] = x.shape;
        const all = copy(x.reshape([size * first, ...rest]));
        return all.reshape([size, size === 0 ? 0 : first, ...rest]);
      },
    });
    expect(verdict(copy.primitive)).toMatch(otherShape);
  });
});

describe("faults in kernels are caught", () => {
  const faulty = new JsBackend();
  Object.assign(faulty, { name: "faulty" });
  const against: Setting = { backend: faulty, dtype: "float64", reference: jsBackend };
  const plant = (name: string, kernel: Kernel): string[] => {
    const right = faulty.kernels.get(name);
    faulty.kernels.set(name, kernel);
    const found = broken(byName(name), against);
    if (right !== undefined) faulty.kernels.set(name, right);
    return found;
  };
  const byName = (name: string): Primitive => {
    const found = primitives().get(name);
    if (found === undefined) throw new Error(`no primitive ${name}`);
    return found;
  };

  test("a wrong last element", () => {
    const right = jsBackend.kernels.get("exp");
    const found = plant("exp", (inputs, output, params) => {
      const buffer = right?.(inputs, output, params);
      if (typeof buffer !== "number") (buffer as Float64Array)[output.size - 1] *= 1 + 1e-9;
      return buffer;
    });
    expect(found).toContain("reference");
  });

  test("an operand transposed", () => {
    const right = jsBackend.kernels.get("dotGeneral");
    const found = plant("dotGeneral", ([x, y], output, params) =>
      sameShape(x.shape, y.shape) ? right?.([y, x], output, params) : right?.([x, y], output, params),
    );
    expect(found).toContain("reference");
  });

  test("a leak", () => {
    const found = plant("sin", (inputs, output, params) => {
      faulty.adopt(undefined, output);
      return sine(inputs, output, params);
    });
    expect(found).toContain("memory");
  });

  test.each(["int32", "bool"] as const)("one that is wrong in %s alone", (dtype) => {
    // Of a copy of the backend, and of the reference itself.
    for (const backend of [faulty, jsBackend])
      for (const name of { int32: ["add", "sum", "gather", "lt"], bool: ["where", "gather", "eq"] }[dtype]) {
        const right = jsBackend.kernels.get(name);
        backend.kernels.set(name, (inputs, output, params) => {
          const found = jsBackend.toHostSync(right?.(inputs, output, params), output).slice();
          const isWhole = !inputs.some((input) => input.aval.floating);
          return jsBackend.fromHost(
            isWhole ? found.map((x) => (output.dtype === "bool" ? 1 - x : x + 1)) : found,
            output,
          );
        });
        const at = { backend, reference: jsBackend, samples: 20 };
        const floats = checkPrimitive(byName(name), { ...at, laws: [sameAsReference] });
        const whole = checkPrimitive(byName(name), { ...at, dtype });
        if (right !== undefined) backend.kernels.set(name, right);
        assertReports(floats);
        expect(whole.flatMap(({ law, failure }) => (failure === undefined ? [] : law))).toContain(
          "reference",
        );
      }
  });

  test("what the laws say of whole numbers is no fault of the right kernels", () => {
    for (const name of ["add", "gather", "where", "clamp"])
      for (const dtype of ["int32", "bool"] as const) {
        const reports = checkPrimitive(byName(name), { ...against, dtype });
        assertReports(reports);
        const isTaken = dtype === "int32" || name === "gather" || name === "where";
        expect(reports.every(({ judged }) => judged > 0 === isTaken)).toBe(true);
        expect(reports.map(({ law }) => law)).toEqual(lawsOfValues.map(({ name: law }) => law));
        // Asked for all the same, laws of derivatives find nothing to say.
        const [report] = checkPrimitive(byName(name), { ...against, dtype, laws: [differences] });
        expect([report.judged, report.failure]).toEqual([0, undefined]);
      }
  });

  test("the right kernels break nothing", () => {
    expect(broken(byName("exp"), against)).toEqual([]);
  });
});

describe("faults in how functions are run are caught", () => {
  /** What one law says of a mutant. */
  const verdict = (mutant: Primitive, law: Law): string =>
    checkLaw(mutant, law, setting, { samples: 60 }).failure?.text ?? "holds";
  const notEager = /breaks the law "staged"[^]*is not what it is eager/;

  test("a rule that reads whether its values are known", () => {
    jsBackend.kernels.set("mutant:known", sine);
    const mutant = unary("mutant:known", {
      partial: (x) => (x.known ? x.cos() : x.cos().mul(1 + 1e-9)),
      domain: real(),
      flops: 1,
    });
    expect(verdict(mutant.primitive, staged)).toMatch(notEager);
  });

  test("a kernel that remembers", () => {
    let calls = 0;
    jsBackend.kernels.set(
      "mutant:memory",
      unaryKernel((x) => x + 1e-12 * calls++),
    );
    const mutant = unary("mutant:memory", { partial: (x) => x.onesLike(), domain: real(), flops: 1 });
    expect(verdict(mutant.primitive, staged)).toMatch(notEager);
  });

  test("a pass that exchanges operands", () => {
    jsBackend.kernels.set(
      "mutant:operands",
      binaryKernel((x, y) => x - y),
    );
    const mutant = binary("mutant:operands", {
      partials: { x: (x, y) => x.add(y).onesLike(), y: (x, y) => x.add(y).onesLike().neg() },
      domain: { x: real(), y: real() },
      flops: 1,
    });
    expect(verdict(mutant.primitive, staged)).toBe("holds");
    const isInOrder = ({ primitive: { name }, inputs: [x, y] }: GraphNode): boolean =>
      name === "mutant:operands" && x < y;
    const exchange: Pass = {
      name: "exchange",
      run: (graph) => {
        if (!graph.nodes.some(isInOrder)) return graph;
        const nodes = graph.nodes.map((node) =>
          isInOrder(node) ? { ...node, inputs: [...node.inputs].reverse() } : node,
        );
        return new Graph(graph.inputs, graph.constants, nodes, graph.outputs, graph.avals);
      },
    };
    const all = passes as Pass[];
    all.push(exchange);
    try {
      expect(verdict(mutant.primitive, staged)).toMatch(notEager);
    } finally {
      all.pop();
    }
  });

  /** Each element but the first is the one before it; what the transpose does is the fault. */
  const shift = (name: string, transpose: (ct: Value) => Value): Op<readonly ["x"], NoParams> => {
    jsBackend.kernels.set(name, ([x]) => {
      const data = x.dataSync();
      return data.map((_, i) => (i === 0 ? 0 : data[i - 1]));
    });
    return linear(name, {
      args: ["x"],
      shape: ([x]) => x,
      cost: () => 0,
      batch: "loop",
      sample: (draw) => ({ inputs: [argument([draw.int(2, 4)])], params: {} }),
      transpose: { x: transpose },
    });
  };
  const shiftBack = (ct: Value): Value => ct.slice([1], [ct.size]).pad([[0, 1]]);

  test("a JVP that is transposed wrongly, beside a VJP that is right", () => {
    const [right, wrong] = [shift("right:shift", shiftBack), shift("mutant:back", (ct) => ct)];
    for (const [name, push, verdicts] of [
      ["right:sum of two", right, []],
      ["mutant:sum of two", wrong, ["transposed"]],
    ] as const) {
      jsBackend.kernels.set(name, ([x], output, params) => {
        const moved = jsBackend.kernels.get("right:shift")?.([x], output, params) as Float64Array;
        return x.dataSync().map((element, i) => element + moved[i]);
      });
      const mutant = primitive(name, {
        args: ["x"],
        shape: ([x]) => x,
        cost: (_, output) => output.size,
        batch: "loop",
        sample: (draw) => ({ inputs: [argument([draw.int(2, 4)])], params: {} }),
        residuals: { x: [] },
        jvp: { x: (dx) => dx.add(push(dx)) },
        vjp: { x: (ct) => ct.add(shiftBack(ct)) },
      });
      expect(broken(mutant.primitive)).toEqual(verdicts);
    }
  });

  test("a JVP that is no linear function", () => {
    jsBackend.kernels.set("mutant:bent", sine);
    const mutant = primitive("mutant:bent", {
      ...facts,
      residuals: { x: ["x"] },
      jvp: { x: (dx, { x }) => dx.mul(x.cos()).add(dx.mul(dx).mul(1e-30)) },
      vjp: { x: (ct, { x }) => ct.mul(x.cos()) },
    });
    expect(verdict(mutant.primitive, transposed)).toMatch(
      /breaks the law "transposed"[^]*a product of two values that both depend on the argument/,
    );
  });

  test("a rule that keeps what it made", () => {
    jsBackend.kernels.set("mutant:hoard", sine);
    const hoard: Value[] = [];
    const mutant = primitive("mutant:hoard", {
      ...facts,
      sample: (draw) => ({ inputs: [argument(draw.shape({ minRank: 1, minSize: 1 }))], params: {} }),
      residuals: { x: ["x"] },
      jvp: { x: (dx, { x }) => dx.mul(x.cos()) },
      vjp: {
        x: (ct, { x }) => {
          const partial = x.cos();
          promote(partial, 0);
          hoard.push(partial);
          return ct.mul(partial);
        },
      },
    });
    expect(verdict(mutant.primitive, memory)).toMatch(
      /breaks the law "memory"[^]*buffers and \d+ bytes before/,
    );
    expect(hoard.length).toBeGreaterThan(1);
  });
});

describe("a fault in random programs", () => {
  jsBackend.kernels.set("mutant:program", sine);
  unary("mutant:program", { partial: (x) => x.cos().mul(1.001), domain: real(), flops: 1 });
  const find = (path?: string): string =>
    checkPrograms(differences, setting, { samples: 400, steps: 3, seed: 7, ...(path && { path }) }).failure
      ?.text ?? "";
  // Before any test runs, since tests register more primitives for programs to use.
  const failure = find();
  const again = find(/path: "(\d+)"/.exec(failure)?.[1]);

  test("is caught, and shrinks to the step at fault", () => {
    expect(failure).toMatch(/random programs on js in float64 breaks the law "differences"/);
    expect(failure.match(/bind\(primitives\(\)/g)).toHaveLength(1);
    expect(failure).toContain(`bind(primitives().get("mutant:program")!`);
  });

  test("replays from its seed and path", () => {
    const program = (text: string): string => text.slice(0, text.indexOf("replay:"));
    expect(program(again)).toBe(program(failure));
  });

  test("is printed as TypeScript that runs", () => {
    const program = failure.slice(failure.indexOf("import {"), failure.indexOf("\nreplay:"));
    const source = [
      program.replaceAll("mutant:program", "sin"),
      `import { jvp } from "cotangent";`,
      `console.log(jvp(f, point, point.map((x) => x.onesLike()))[1].map(String).join());`,
    ].join("\n");
    const folder = mkdtempSync(join(import.meta.dirname, "program-"));
    try {
      const file = join(folder, "program.ts");
      writeFileSync(file, source);
      const printed = execFileSync(process.execPath, [file], { encoding: "utf8" });
      expect(printed).toMatch(/^Tensor\(/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("a failure says what was found, the call, and how to replay it", () => {
  jsBackend.kernels.set("mutant:message", sine);
  const mutant = unary("mutant:message", { partial: (x) => x.sin(), domain: real(), flops: 1 });
  const reports = checkPrimitive(mutant.primitive, { ...setting, samples: 10, seed: 7 });
  expect(() => assertReports(reports)).toThrow(
    /mutant:message on js in float64 breaks the law "differences"[\s\S]*bind\(primitives\(\)\.get\("mutant:message"\)[\s\S]*replay: \{ seed: 7, path: "/,
  );
});
