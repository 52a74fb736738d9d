/**
 * The laws that hold for every differentiable function, whatever computes it. Each judges one subject at one point and
 * gives an outcome; none has tolerances of its own: what may differ follows from the dtype's roundoff, the number of
 * primitives evaluated and the size of the terms.
 */
import { type Value, observe, sameShape, tidy } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { grad } from "@cotangent/reverse-mode";
import type { RecordedDraw } from "./draw.ts";
import { derivativeByDifferences, distance, dot, largest, norm, numbersOf, roundoff } from "./numbers.ts";
import { Instance, type Setting, type Subject, shapedLike, upload } from "./subject.ts";

/** What a law says of one sample. A sample that it cannot judge is classed, and counted as such. */
export type Outcome =
  | { readonly judged: true; readonly failure?: string }
  | { readonly judged: false; readonly class: string };

export interface Law {
  readonly name: string;
  readonly statement: string;
  judge(subject: Subject, setting: Setting, draw: RecordedDraw): Outcome;
}

const holds: Outcome = { judged: true };
const fails = (failure: string): Outcome => ({ judged: true, failure });
const unjudged = (reason: string): Outcome => ({ judged: false, class: reason });

/**
 * Rounding errors that one primitive may make, in units of roundoff relative to its terms: one kernel of float64 is
 * right to about an ulp, of float32 on a GPU to a few.
 */
const roundingsPerEvaluation = 8;

/** The relative error that a computation of so many primitives on sums of so many terms may have. */
function relative(setting: Setting, evaluations: number, terms: number): number {
  return roundoff[setting.dtype] * (roundingsPerEvaluation * Math.max(1, evaluations) + terms);
}

const sizeOf = (values: readonly Value[]): number => values.reduce((size, value) => size + value.size, 0);

/** Directions for all values, from one list of numbers. */
function directions(values: readonly Value[], numbers: Float64Array): Value[] {
  let start = 0;
  return values.map((value) => shapedLike(value, numbers.subarray(start, (start += value.size))));
}

/** A subject without float inputs, float outputs or elements has nothing to differentiate. */
function nothingToJudge(instance: Instance, outputs: readonly Value[]): Outcome | undefined {
  if (instance.inputs.length === 0) return unjudged("no float input");
  if (outputs.length === 0) return unjudged("no float output");
  if (numbersOf(outputs).some((x) => !Number.isFinite(x))) return unjudged("not finite");
  return undefined;
}

const showNumbers = (label: string, numbers: ArrayLike<number>): string =>
  `${label} = [${Array.from(numbers).join(", ")}]`;

/** <ȳ, J v> = <Jᵀ ȳ, v>: the two modes are transposes of each other, without any differencing. */
export const adjoint: Law = {
  name: "adjoint",
  statement: "<ȳ, J v> = <Jᵀ ȳ, v>",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(instance, outputs);
    if (nothing !== undefined) return nothing;
    const v = draw.direction(sizeOf(instance.inputs));
    const ybar = draw.direction(sizeOf(outputs));
    const pushed = numbersOf(instance.jvp(directions(instance.inputs, v)));
    const pulled = numbersOf(instance.vjp(directions(outputs, ybar)));
    const [left, right] = [dot(ybar, pushed), dot(pulled, v)];
    const scale = norm(ybar) * norm(pushed) + norm(pulled) * norm(v);
    const tolerance = relative(setting, instance.evaluations, v.length + ybar.length) * scale;
    if (Math.abs(left - right) <= tolerance) return holds;
    return fails(
      `<ȳ, J v> = ${left}, <Jᵀ ȳ, v> = ${right}; they may differ by ${tolerance}\n` +
        [
          showNumbers("v", v),
          showNumbers("ȳ", ybar),
          showNumbers("J v", pushed),
          showNumbers("Jᵀ ȳ", pulled),
        ].join("\n"),
    );
  },
};

/** The JVP is the derivative: against extrapolated central differences in float64 on the reference backend. */
export const differences: Law = {
  name: "differences",
  statement: "<ȳ, J v> = d/dt <ȳ, f(x + t v)>, to within the differences' own error",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(instance, outputs);
    if (nothing !== undefined) return nothing;
    const v = draw.direction(sizeOf(instance.inputs));
    const ybar = draw.direction(sizeOf(outputs));
    const pushed = numbersOf(instance.jvp(directions(instance.inputs, v)));

    const oracle = new Instance(
      {
        ...subject,
        point: subject.point.map((input, i) => ({
          ...input,
          data: Float64Array.from(instance.inputs[i].dataSync()),
        })),
      },
      setting.reference,
      "float64",
    );
    const along = (t: number): number => {
      let start = 0;
      const moved = oracle.inputs.map((input) => {
        const data = input.dataSync();
        for (let i = 0; i < data.length; i++) data[i] += t * v[start++];
        return shapedLike(input, data);
      });
      return dot(ybar, numbersOf(oracle.smooth(...moved)));
    };
    const terms = norm(ybar) * norm(numbersOf(oracle.smooth(...oracle.inputs))) + 1;
    const expected = derivativeByDifferences(along, subject.room, (f) => Math.abs(f) + terms);
    if (!Number.isFinite(expected.value)) return unjudged("differences not finite");
    const found = dot(ybar, pushed);
    // Terms of J v may cancel; those of Jᵀ ȳ are then large.
    const pulled = numbersOf(oracle.vjp(directions(oracle.smooth(...oracle.inputs), ybar)));
    const scale = norm(ybar) * norm(pushed) + norm(pulled) * norm(v);
    const tolerance = 4 * expected.error + relative(setting, instance.evaluations, ybar.length) * scale;
    if (Math.abs(found - expected.value) <= tolerance) return holds;
    return fails(
      `<ȳ, J v> = ${found}, by differences ${expected.value} ± ${expected.error}; they may differ by ${tolerance}\n` +
        [showNumbers("v", v), showNumbers("ȳ", ybar), showNumbers("J v", pushed)].join("\n"),
    );
  },
};

/** The JVP is linear in the tangent and the VJP in the cotangent; zeros give zeros; shapes and dtypes are kept. */
export const linearity: Law = {
  name: "linearity",
  statement: "J(a v + b w) = a J v + b J w, J 0 = 0, in the outputs' shapes and dtypes; the same for Jᵀ",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(instance, outputs);
    if (nothing !== undefined) return nothing;
    const maps = [
      { name: "JVP", from: instance.inputs, to: outputs, map: (t: Value[]) => instance.jvp(t) },
      { name: "VJP", from: outputs, to: instance.inputs, map: (t: Value[]) => instance.vjp(t) },
    ];
    for (const { name, from, to, map } of maps) {
      const [v, w] = [draw.direction(sizeOf(from)), draw.direction(sizeOf(from))];
      const [a, b] = [2, -0.75];
      const images = [v, w, v.map((x, i) => a * x + b * w[i]), v.map(() => 0)].map((numbers) =>
        map(directions(from, numbers)),
      );
      for (const image of images) {
        const wrong = image.findIndex(
          (value, i) => !sameShape(value.shape, to[i].shape) || value.dtype !== to[i].dtype,
        );
        if (wrong >= 0 || image.length !== to.length) {
          return fails(
            `the ${name} gives ${image.map((x) => x.aval).join(", ")} for ${to.map((x) => x.aval).join(", ")}`,
          );
        }
      }
      const [jv, jw, both, zero] = images.map(numbersOf);
      const expected = jv.map((x, i) => a * x + b * jw[i]);
      const scale = Math.abs(a) * norm(jv) + Math.abs(b) * norm(jw);
      const error = distance(both, expected);
      if (!(error <= relative(setting, instance.evaluations, v.length) * scale)) {
        return fails(
          `the ${name} is not linear: off by ${error}\n${showNumbers("found", both)}\n${showNumbers("expected", expected)}`,
        );
      }
      if (largest(zero) !== 0) return fails(`the ${name} of zero is not zero\n${showNumbers("found", zero)}`);
    }
    return holds;
  },
};

/** Second derivatives do not depend on which mode is applied to which, and are symmetric. */
export const secondOrder: Law = {
  name: "second order",
  statement:
    "wᵀ H v is the same in all four compositions of the modes, and symmetric, for H the Hessian of <ȳ, f²>",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(instance, outputs);
    if (nothing !== undefined) return nothing;
    const { inputs } = instance;
    const v = draw.direction(sizeOf(inputs));
    const w = draw.direction(sizeOf(inputs));
    const [vs, ws] = [directions(inputs, v), directions(inputs, w)];
    const weights = directions(outputs, draw.direction(sizeOf(outputs)));
    // Squared, so that linear primitives have second derivatives to compare too.
    const f = (...xs: Value[]): Value =>
      instance
        .smooth(...xs)
        .map((output, i) => output.square().mul(weights[i]).sum())
        .reduce((x, y) => x.add(y));
    const every = inputs.map((_, i) => i);
    const gradient = (...xs: Value[]): Value[] => grad(f, { argnums: every })(...xs);
    const inner = (xs: readonly Value[], ys: readonly Value[]): Value =>
      xs.map((x, i) => x.mul(ys[i]).sum()).reduce((x, y) => x.add(y));
    const along =
      (g: (...xs: Value[]) => Value, direction: Value[]) =>
      (...xs: Value[]) =>
        jvp(g, xs, direction)[1];

    const forwardOverReverse = instance.counted(() => jvp(gradient, [...inputs], vs)[1]);
    const reverseOverForward = instance.counted(() => grad(along(f, vs), { argnums: every })(...inputs));
    const reverseOverReverse = instance.counted(() =>
      grad((...xs: Value[]) => inner(gradient(...xs), vs), { argnums: every })(...inputs),
    );
    const forwardOverForward = instance.counted(() => along(along(f, vs), ws)(...inputs)).item();
    const transposed = dot(v, numbersOf(jvp(gradient, [...inputs], ws)[1]));

    const rows = [forwardOverReverse, reverseOverForward, reverseOverReverse].map(numbersOf);
    const products = [...rows.map((row) => dot(w, row)), forwardOverForward, transposed];
    if (products.some((x) => !Number.isFinite(x))) return unjudged("not finite");
    const first = norm(numbersOf(gradient(...inputs))) / Math.max(1, norm(numbersOf(outputs)));
    const scale = norm(w) * Math.max(...rows.map(norm)) + norm(v) * norm(w) * first * first;
    const tolerance = relative(setting, instance.evaluations, v.length + sizeOf(outputs)) * scale;
    if (
      distance(
        products,
        products.map(() => products[0]),
      ) <= tolerance
    )
      return holds;
    const names = [
      "forward over reverse",
      "reverse over forward",
      "reverse over reverse",
      "forward over forward",
      "vᵀ H w",
    ];
    return fails(
      `wᵀ H v differs by more than ${tolerance}:\n${names.map((name, i) => `  ${name}: ${products[i]}`).join("\n")}\n` +
        [showNumbers("v", v), showNumbers("w", w)].join("\n"),
    );
  },
};

/** Values, tangents and cotangents are those of the reference backend in float64. */
export const sameAsReference: Law = {
  name: "reference",
  statement:
    "f(x), J v and Jᵀ ȳ are those of the reference backend in float64, to within the dtype's rounding and the conditioning",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    if (setting.backend === setting.reference && setting.dtype === "float64")
      return unjudged("the reference itself");
    const reference = new Instance(
      {
        ...subject,
        point: subject.point.map((input, i) => ({
          ...input,
          data: Float64Array.from(instance.inputs[i].dataSync()),
        })),
      },
      setting.reference,
      "float64",
    );
    const found = instance.counted(() => instance.apply(...instance.inputs));
    // The largest value on the way: where the end of a program cancels, its rounding errors are those of the middle.
    let middle = 0;
    const expected = observe(
      (_, __, outputs) => (middle = Math.max(middle, ...outputs.map((output) => largest(output.dataSync())))),
      () => reference.apply(...reference.inputs),
    );
    const compared = (
      name: string,
      a: readonly Value[],
      b: readonly Value[],
      condition: number,
    ): Outcome | undefined => {
      for (const [i, value] of a.entries()) {
        if (!sameShape(value.shape, b[i].shape))
          return fails(`${name} has the shape ${value.aval}, on the reference ${b[i].aval}`);
        const [x, y] = [value.dataSync(), b[i].dataSync()];
        const exact = !value.aval.floating;
        const tolerance = exact
          ? 0
          : relative(
              setting,
              instance.evaluations,
              instance.inputs.reduce((n, t) => n + t.size, 1),
            ) *
            (largest(y) + condition);
        const error = distance(x, y);
        if (!(error <= tolerance)) {
          return fails(
            `${name} is off by ${error}, more than ${tolerance}\n${showNumbers("found", x)}\n${showNumbers("reference", y)}`,
          );
        }
      }
      return undefined;
    };
    // A relative perturbation of every input by one roundoff moves the result by at most about |J| |x|.
    const moves = reference.inputs.map((input) => shapedLike(input, input.dataSync().map(Math.abs)));
    const differentiable = reference.inputs.length > 0 && expected.some((output) => output.aval.floating);
    const condition = middle + (differentiable ? norm(numbersOf(reference.jvp(moves))) : 0);
    const wrong = compared("f(x)", found, expected, condition);
    if (wrong !== undefined || !differentiable) return wrong ?? holds;
    const v = draw.direction(sizeOf(instance.inputs));
    const smooth = expected.filter((output) => output.aval.floating);
    const ybar = draw.direction(sizeOf(smooth));
    const smoothFound = found.filter((output) => output.aval.floating);
    const pushed = [
      instance.jvp(directions(instance.inputs, v)),
      reference.jvp(directions(reference.inputs, v)),
    ];
    const pulled = [instance.vjp(directions(smoothFound, ybar)), reference.vjp(directions(smooth, ybar))];
    return (
      compared("J v", pushed[0], pushed[1], condition + norm(numbersOf(pushed[1]))) ??
      compared("Jᵀ ȳ", pulled[0], pulled[1], condition + norm(numbersOf(pulled[1]))) ??
      holds
    );
  },
};

/** Nothing is left alive but what the caller holds. */
export const memory: Law = {
  name: "memory",
  statement: "after tidy, as many buffers and bytes are alive as before",
  judge: (subject, setting, draw) => {
    const before = setting.backend.memory();
    const point = subject.point.map((input) => upload(input, setting.backend, setting.dtype));
    for (const input of point) input.concrete().dispose();
    const judged = tidy(() => {
      const instance = new Instance(subject, setting.backend, setting.dtype);
      const outputs = instance.smooth(...instance.inputs);
      if (instance.inputs.length === 0 || outputs.length === 0) return true;
      instance.jvp(directions(instance.inputs, draw.direction(sizeOf(instance.inputs))));
      instance.vjp(directions(outputs, draw.direction(sizeOf(outputs))));
      return true;
    });
    const after = setting.backend.memory();
    if (judged && after.buffers === before.buffers && after.bytes === before.bytes) return holds;
    return fails(
      `${before.buffers} buffers and ${before.bytes} bytes before, ${after.buffers} and ${after.bytes} after`,
    );
  },
};

/** All laws, in the order in which a failure says most. */
export const laws: readonly Law[] = [adjoint, linearity, differences, secondOrder, sameAsReference, memory];
