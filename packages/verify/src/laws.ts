/**
 * The laws that hold for every differentiable function, whatever computes it. Each judges one subject at one point and
 * gives an outcome; none has tolerances of its own: what may differ follows from the dtype's roundoff, the number of
 * primitives evaluated, the size of the terms and, where these do not explain it, from the measured effect of rounding.
 */
import { type Backend, type Value, sameShape, tidy } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { grad } from "@cotangent/reverse-mode";
import type { HostInput, RecordedDraw } from "./draw.ts";
import {
  type Numbers,
  derivativeByDifferences,
  distance,
  dot,
  largest,
  norm,
  numbersOf,
  onTheWay,
} from "./numbers.ts";
import { type Outcome, fails, holds, inapplicable, showNumbers, unjudged, weigh } from "./outcome.ts";
import {
  Instance,
  type Mode,
  type Setting,
  type Subject,
  directions,
  hasMode,
  modesOf,
  shapedLike,
  sizeOfAll as sizeOf,
  upload,
} from "./subject.ts";

export interface Law {
  readonly name: string;
  readonly statement: string;
  /** Where it speaks of single primitives alone. */
  readonly subjects?: "primitives";
  /** The part of the samples that it is judged on, where each takes long. */
  readonly share?: number;
  /** Whether it draws numbers of its own, so that it says nothing of the sample's shapes. */
  readonly drawsNumbers?: boolean;
  judge(subject: Subject, setting: Setting, draw: RecordedDraw): Outcome;
}

/** A subject without float inputs, float outputs or elements has nothing to differentiate. */
export function nothingToJudge(
  subject: Subject,
  instance: Instance,
  outputs: readonly Value[],
): Outcome | undefined {
  if (subject.cut === "refused") return inapplicable("refused on purpose");
  if (instance.inputs.length === 0) return inapplicable("no float input");
  if (outputs.length === 0) return inapplicable("no float output");
  if (numbersOf(outputs).some((x) => !Number.isFinite(x))) return unjudged("not finite");
  return undefined;
}

/** <ȳ, J v> = <Jᵀ ȳ, v>: the two modes are transposes of each other, without any differencing. */
export const adjoint: Law = {
  name: "adjoint",
  statement: "<ȳ, J v> = <Jᵀ ȳ, v>",
  judge: (subject, setting, draw) => {
    if (modesOf(subject).length < 2) return inapplicable("one mode alone");
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const v = draw.direction(sizeOf(instance.inputs));
    const ybar = draw.direction(sizeOf(outputs));
    const derivatives = (at: Instance): { pushed: number[]; pulled: number[] } => ({
      pushed: numbersOf(at.jvp(directions(at.inputs, v))),
      pulled: numbersOf(at.vjp(directions(at.smooth(...at.inputs), ybar))),
    });
    const { pushed, pulled } = derivatives(instance);
    const [left, right] = [dot(ybar, pushed), dot(pulled, v)];
    return weigh(
      {
        error: Math.abs(left - right),
        found: [left],
        expected: [right],
        scale: norm(ybar) * norm(pushed) + norm(pulled) * norm(v),
        evaluations: instance.evaluations,
        terms: v.length + ybar.length,
        again: (backend) => {
          const other = derivatives(instance.inFloat64(backend));
          return [dot(ybar, other.pushed) - dot(other.pulled, v)];
        },
        say: (tolerance) =>
          [
            `<ȳ, J v> = ${left}, <Jᵀ ȳ, v> = ${right}; they may differ by ${tolerance}`,
            showNumbers("v", v),
            showNumbers("ȳ", ybar),
            showNumbers("J v", pushed),
            showNumbers("Jᵀ ȳ", pulled),
          ].join("\n"),
      },
      setting,
    );
  },
};

/** Against extrapolated central differences in float64 on the reference backend, by one mode. */
function byDifferences(mode: Mode): Law["judge"] {
  return (subject, setting, draw) => {
    if (!hasMode(subject, mode)) return inapplicable(`no ${mode} mode`);
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const v = draw.direction(sizeOf(instance.inputs));
    const ybar = draw.direction(sizeOf(outputs));
    const pull = (at: Instance): number[] => numbersOf(at.vjp(directions(at.smooth(...at.inputs), ybar)));
    /** Either J v or Jᵀ ȳ, and <ȳ, J v> from it. */
    const derivative = (at: Instance): { image: number[]; product: number } => {
      const image = mode === "forward" ? numbersOf(at.jvp(directions(at.inputs, v))) : pull(at);
      return { image, product: mode === "forward" ? dot(ybar, image) : dot(image, v) };
    };
    const { image, product: found } = derivative(instance);

    const oracle = instance.inFloat64(setting.reference);
    const along = (t: number): number => dot(ybar, numbersOf(oracle.differentiated(...oracle.moved(v, t))));
    // What the oracle sums is as large as the largest value on the way to it.
    const { result: at, middle } = onTheWay(() => oracle.smooth(...oracle.inputs));
    const terms = norm(ybar) * (norm(numbersOf(at)) + middle);
    const expected = derivativeByDifferences(along, subject.room, (f) => Math.abs(f) + terms);
    if (!Number.isFinite(expected.value)) return unjudged("differences not finite");
    // Terms of J v may cancel; those of Jᵀ ȳ are then large.
    const pulled = pull(oracle);
    const [product, label] = mode === "forward" ? ["<ȳ, J v>", "J v"] : ["<Jᵀ ȳ, v>", "Jᵀ ȳ"];
    return weigh(
      {
        error: Math.abs(found - expected.value),
        found: [found],
        expected: [expected.value],
        scale: norm(mode === "forward" ? ybar : v) * norm(image) + norm(pulled) * norm(v),
        uncertainty: 4 * expected.error,
        evaluations: instance.evaluations,
        terms: ybar.length,
        again: (backend) => [derivative(instance.inFloat64(backend)).product],
        say: (tolerance) =>
          [
            `${product} = ${found}, by differences ${expected.value} ± ${expected.error}; they may differ by ${tolerance}`,
            showNumbers("v", v),
            showNumbers("ȳ", ybar),
            showNumbers(label, image),
          ].join("\n"),
      },
      setting,
    );
  };
}

/** The JVP is the derivative. */
export const differences: Law = {
  name: "differences",
  statement: "<ȳ, J v> = d/dt <ȳ, f(x + t v)>, to within the differences' own error",
  judge: byDifferences("forward"),
};

/** The VJP is the derivative: for functions without a JVP, of which no law compares the two. */
export const reverseDifferences: Law = {
  name: "reverse differences",
  statement: "<Jᵀ ȳ, v> = d/dt <ȳ, f(x + t v)>, to within the differences' own error",
  judge: byDifferences("reverse"),
};

/** The JVP is linear in the tangent and the VJP in the cotangent; zeros give zeros; shapes and dtypes are kept. */
export const linearity: Law = {
  name: "linearity",
  statement: "J(a v + b w) = a J v + b J w, J 0 = 0, in the outputs' shapes and dtypes; the same for Jᵀ",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const [a, b] = [2, -0.75];
    for (const mode of modesOf(subject)) {
      const name = mode === "forward" ? "JVP" : "VJP";
      const ends = (at: Instance): [from: readonly Value[], to: readonly Value[]] => {
        const results = at === instance ? outputs : at.smooth(...at.inputs);
        return name === "JVP" ? [at.inputs, results] : [results, at.inputs];
      };
      const [from, to] = ends(instance);
      const [v, w] = [draw.direction(sizeOf(from)), draw.direction(sizeOf(from))];
      const weights = [v, w, v.map((x, i) => a * x + b * w[i]), v.map(() => 0)];
      const images = (at: Instance): Value[][] => {
        const all = weights.map((numbers) => directions(ends(at)[0], numbers));
        return name === "JVP" ? all.map((tangents) => at.jvp(tangents)) : at.vjps(all);
      };
      const found = images(instance);
      for (const image of found) {
        const wrong = image.findIndex(
          (value, i) => !sameShape(value.shape, to[i].shape) || value.dtype !== to[i].dtype,
        );
        if (wrong >= 0 || image.length !== to.length) {
          return fails(
            `the ${name} gives ${image.map((x) => x.aval).join(", ")} for ${to.map((x) => x.aval).join(", ")}`,
          );
        }
      }
      const combined = ([jv, jw]: number[][]): number[] => jv.map((x, i) => a * x + b * jw[i]);
      const [jv, jw, both, zero] = found.map(numbersOf);
      if (largest(zero) !== 0)
        return fails(`the ${name} of zero is not zero\n${showNumbers("found", zero)}`, {
          found: zero,
          expected: zero.map(() => 0),
          error: largest(zero),
          tolerance: 0,
        });
      const expected = combined([jv, jw]);
      const error = distance(both, expected);
      const outcome = weigh(
        {
          error,
          found: both,
          expected,
          scale: Math.abs(a) * norm(jv) + Math.abs(b) * norm(jw),
          evaluations: instance.evaluations,
          terms: v.length,
          again: (backend) => {
            const other = images(instance.inFloat64(backend)).map(numbersOf);
            return combined(other).map((x, i) => x - other[2][i]);
          },
          say: (tolerance) =>
            [
              `the ${name} is not linear: off by ${error}, more than ${tolerance}`,
              showNumbers("found", both),
              showNumbers("expected", expected),
            ].join("\n"),
        },
        setting,
      );
      if (!outcome.judged || outcome.failure !== undefined) return outcome;
    }
    return holds;
  },
};

const compositions = [
  "forward over reverse",
  "reverse over forward",
  "reverse over reverse",
  "forward over forward",
  "vᵀ H w",
];

/** Second derivatives do not depend on which mode is applied to which, and are symmetric. */
export const secondOrder: Law = {
  name: "second order",
  statement:
    "wᵀ H v is the same in all four compositions of the modes, and symmetric, for H the Hessian of <ȳ, f²>",
  judge: (subject, setting, draw) => {
    if (modesOf(subject).length < 2) return inapplicable("one mode alone");
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const v = draw.direction(sizeOf(instance.inputs));
    const w = draw.direction(sizeOf(instance.inputs));
    const ybar = draw.direction(sizeOf(outputs));
    const found = instance.counted(() => secondDerivatives(instance, v, w, ybar));
    const { products, rows, gradient } = found;
    if (products.every((x) => !Number.isFinite(x))) return unjudged("no finite second derivative");
    const spread = (all: readonly number[]): number[] => all.map((x) => x - all[0]);
    const first = norm(gradient) / Math.max(1, norm(numbersOf(outputs)));
    return weigh(
      {
        error: distance(spread(products), [0, 0, 0, 0, 0]),
        found: products.slice(1),
        expected: products.slice(1).map(() => products[0]),
        scale: norm(w) * Math.max(...rows.map(norm)) + norm(v) * norm(w) * first * first,
        evaluations: instance.evaluations,
        terms: v.length + ybar.length,
        again: (backend) => spread(secondDerivatives(instance.inFloat64(backend), v, w, ybar).products),
        say: (tolerance) =>
          [
            `wᵀ H v differs by more than ${tolerance}:`,
            ...compositions.map((name, i) => `  ${name}: ${products[i]}`),
            showNumbers("v", v),
            showNumbers("w", w),
          ].join("\n"),
      },
      setting,
    );
  },
};

/** wᵀ H v in every composition, the rows H v that they come from where they have any, and the gradient. */
function secondDerivatives(
  instance: Instance,
  v: Float64Array,
  w: Float64Array,
  ybar: Float64Array,
): { products: number[]; rows: number[][]; gradient: number[] } {
  const { inputs } = instance;
  const [vs, ws] = [directions(inputs, v), directions(inputs, w)];
  const weights = directions(instance.smooth(...inputs), ybar);
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

  const rows = [
    jvp(gradient, [...inputs], vs)[1],
    grad(along(f, vs), { argnums: every })(...inputs),
    grad((...xs: Value[]) => inner(gradient(...xs), vs), { argnums: every })(...inputs),
  ].map(numbersOf);
  const forwardOverForward = along(along(f, vs), ws)(...inputs).item();
  const transposed = dot(v, numbersOf(jvp(gradient, [...inputs], ws)[1]));
  return {
    rows,
    products: [...rows.map((row) => dot(w, row)), forwardOverForward, transposed],
    gradient: numbersOf(gradient(...inputs)),
  };
}

/** Values, tangents and cotangents are those of the reference backend in float64. */
export const sameAsReference: Law = {
  name: "reference",
  statement:
    "f(x), J v and Jᵀ ȳ are those of the reference backend in float64, to within the dtype's rounding and the conditioning",
  judge: (subject, setting, draw) => {
    if (setting.backend === setting.reference && setting.dtype === "float64")
      return setting.whole === undefined
        ? inapplicable("the reference itself")
        : sameAsFloats(subject, setting);
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const reference = instance.inFloat64(setting.reference);
    const found = instance.counted(() => instance.apply(...instance.inputs));
    // The largest value on the way: where the end of a program cancels, its rounding errors are those of the middle.
    const { result: expected, middle } = onTheWay(() => reference.apply(...reference.inputs));
    const terms = sizeOf(instance.inputs) + 1;
    const compared = (
      name: string,
      values: readonly Value[],
      wanted: readonly Value[],
      condition: number,
      again: (at: Instance) => readonly Value[],
    ): Outcome | undefined => {
      for (const [i, value] of values.entries()) {
        if (!sameShape(value.shape, wanted[i].shape))
          return fails(`${name} has the shape ${value.aval}, on the reference ${wanted[i].aval}`);
        const [x, y] = [value.dataSync(), wanted[i].dataSync()];
        const error = distance(x, y);
        const say = (tolerance: number): string =>
          `${name} is off by ${error}, more than ${tolerance}\n${showNumbers("found", x)}\n${showNumbers("reference", y)}`;
        if (!value.aval.floating || subject.exact === true) {
          if (error !== 0)
            return fails(say(0), { found: Array.from(x), expected: Array.from(y), error, tolerance: 0 });
          continue;
        }
        const outcome = weigh(
          {
            error,
            found: x,
            expected: y,
            scale: largest(y) + condition,
            evaluations: instance.evaluations,
            terms,
            again: (backend: Backend): Numbers => again(reference.inFloat64(backend))[i].dataSync(),
            say,
          },
          setting,
        );
        if (!outcome.judged || outcome.failure !== undefined) return outcome;
      }
      return undefined;
    };
    const valuesAgain = (at: Instance): Value[] => at.apply(...at.inputs);
    const differentiable =
      subject.cut !== "refused" &&
      reference.inputs.length > 0 &&
      expected.some((output) => output.aval.floating);
    if (!differentiable) return compared("f(x)", found, expected, middle, valuesAgain) ?? holds;
    // A relative perturbation of every input by one roundoff moves the result by at most about |J| |x|.
    const moves = reference.inputs.map((input) => shapedLike(input, input.dataSync().map(Math.abs)));
    const v = draw.direction(sizeOf(instance.inputs));
    const smooth = expected.filter((output) => output.aval.floating);
    const ybar = draw.direction(sizeOf(smooth));
    const [hasForward, hasReverse] = [hasMode(subject, "forward"), hasMode(subject, "reverse")];
    const push = (at: Instance): Value[] => (hasForward ? at.jvp(directions(at.inputs, v)) : []);
    const pull = (at: Instance): Value[] =>
      hasReverse ? at.vjp(directions(at.smooth(...at.inputs), ybar)) : [];
    const moved = hasForward
      ? norm(numbersOf(reference.jvp(moves)))
      : norm(numbersOf(pull(reference))) * norm(numbersOf(reference.inputs));
    const condition = middle + moved;
    const [pushed, pulled] = [push(reference), pull(reference)];
    const sizes = condition + norm(numbersOf(pushed)) + norm(numbersOf(pulled));
    return (
      compared("f(x)", found, expected, condition, valuesAgain) ??
      compared("J v", push(instance), pushed, sizes, push) ??
      compared("Jᵀ ȳ", pull(instance), pulled, sizes, pull) ??
      holds
    );
  },
};

/**
 * Of whole numbers the reference has nothing above it but its own floats: what these give, and is a whole number that an
 * int32 holds, is what whole numbers give.
 */
function sameAsFloats({ call }: Subject, { backend }: Setting): Outcome {
  const { whole } = call?.drawn ?? {};
  if (call === undefined || whole === undefined) return inapplicable("the reference itself");
  const run = (inputs: readonly HostInput[]): Value[] =>
    call.apply(inputs.map((input) => upload(input, backend, "float64")));
  const floats = run(whole.asFloats);
  for (const [i, value] of run(call.drawn.inputs).entries()) {
    const [x, y] = [Array.from(value.dataSync()), Array.from(floats[i].dataSync())];
    const differs = x.some((found, k) => (y[k] | 0) === y[k] && found !== y[k]);
    if (x.length === y.length && !differs) continue;
    const said = [showNumbers("found", x), showNumbers("as float64", y)];
    return fails(["f(x) is another number than that of floats", ...said].join("\n"), {
      found: x,
      expected: y,
      error: distance(x, y),
      tolerance: 0,
    });
  }
  return holds;
}

/** Nothing is left alive but what the caller holds; what graphs keep for good they keep when they have come up twice. */
export const memory: Law = {
  name: "memory",
  statement: "after tidy, as many buffers and bytes are alive as before",
  judge: (subject, setting, draw) => {
    if (subject.keepsGraphs === true)
      return inapplicable(
        "functions with rules of their own, traced at each run, keep constants until collected",
      );
    const run = (): void => {
      const point = subject.point.map((input) => upload(input, setting.backend, setting.dtype));
      for (const input of point) input.concrete().dispose();
      tidy(() => {
        const instance = new Instance(subject, setting.backend, setting.dtype);
        const outputs = instance.smooth(...instance.inputs);
        if (subject.cut === "refused" || instance.inputs.length === 0 || outputs.length === 0) return;
        if (hasMode(subject, "forward"))
          instance.jvp(directions(instance.inputs, draw.direction(sizeOf(instance.inputs))));
        if (hasMode(subject, "reverse")) instance.vjp(directions(outputs, draw.direction(sizeOf(outputs))));
      });
    };
    run();
    run();
    const before = setting.backend.memory();
    run();
    const after = setting.backend.memory();
    if (after.buffers === before.buffers && after.bytes === before.bytes) return holds;
    return fails(
      `${before.buffers} buffers and ${before.bytes} bytes before, ${after.buffers} and ${after.bytes} after`,
      { found: [after.buffers, after.bytes], expected: [before.buffers, before.bytes] },
    );
  },
};
