/** Laws of execution: how a function is run, and by which way its derivative is come by, does not change what it is. */
import { type Value, checkpointed, evaluateGraph, graphOf, jit, optimize, tidy } from "@cotangent/core";
import { jvp, linearize } from "@cotangent/forward-mode";
import { linearTranspose, vjp } from "@cotangent/reverse-mode";
import { type Law, nothingToJudge } from "./laws.ts";
import { distance, norm, numbersOf } from "./numbers.ts";
import { type Outcome, fails, holds, showNumbers, weigh } from "./outcome.ts";
import { Instance, directions, sizeOfAll as sizeOf } from "./subject.ts";

type Run = (...values: Value[]) => Value[];
type Strategy = (f: Run, example: readonly Value[]) => Run;

const graphed = (f: Run, example: readonly Value[]) =>
  graphOf(
    "verify",
    f,
    example.map((value) => value.aval),
    example[0].backend,
  );

/** Other ways to run a function. */
const strategies: Readonly<Record<string, Strategy>> = {
  staged:
    (f, example) =>
    (...values) =>
      evaluateGraph(graphed(f, example), values),
  optimised:
    (f, example) =>
    (...values) =>
      evaluateGraph(optimize(graphed(f, example)), values),
  jitted: (f) => jit(f),
  checkpointed: (f) => checkpointed(f, "nothing"),
  "checkpointed but for products": (f) => checkpointed(f, "products"),
};

/** Strategies that also make sense inside of a derivative, which is then that of a graph. */
const inner = ["jitted", "checkpointed", "checkpointed but for products"] as const;

const same = (a: number, b: number): boolean => a === b || (a !== a && b !== b);

/** The same numbers, but for the sign of zeros: a zero that was not computed is a positive one. */
function difference(found: readonly Value[], wanted: readonly Value[]): string | undefined {
  if (found.length !== wanted.length) return `${found.length} results in place of ${wanted.length}`;
  for (const [i, value] of found.entries()) {
    if (value.aval.toString() !== wanted[i].aval.toString())
      return `${value.aval} in place of ${wanted[i].aval}`;
    const [x, y] = [value.dataSync(), wanted[i].dataSync()];
    if (x.some((_, k) => !same(x[k], y[k]))) return `${showNumbers("found", x)}\n${showNumbers("eager", y)}`;
  }
  return undefined;
}

/** Eager, staged, optimised, jitted and checkpointed code give the same numbers, to the last bit. */
export const staged: Law = {
  name: "staged",
  statement: "f, J v and Jᵀ ȳ are the same eager, staged, optimised, jitted and checkpointed, bit for bit",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const count = instance.inputs.length;
    const f: Run = (...all) => instance.applyTo(all.slice(0, count), all.slice(count));
    const point = [...instance.inputs, ...instance.constants];
    if (point.length === 0) return holds;
    const compared = (
      what: string,
      name: string,
      run: Run,
      values: readonly Value[],
      wanted: readonly Value[],
    ): Outcome | undefined => {
      const wrong = difference(
        tidy(() => run(...values)),
        wanted,
      );
      return wrong === undefined ? undefined : fails(`${what}, ${name}, is not what it is eager:\n${wrong}`);
    };
    const outputs = f(...point);
    // One strategy per sample and derivative: over the samples all have their turn.
    const [name, strategy] = draw.choose(Object.entries(strategies));
    const asIs = compared("f", name, strategy(f, point), point, outputs);
    if (asIs !== undefined) return asIs;
    const smooth = outputs.filter((output) => output.aval.floating);
    if (subject.cut === "refused" || count === 0 || smooth.length === 0) return holds;

    const v = directions(instance.inputs, draw.direction(sizeOf(instance.inputs)));
    const ybar = directions(smooth, draw.direction(sizeOf(smooth)));
    const floats = (values: readonly Value[]): Value[] => values.filter((value) => value.aval.floating);
    const pushed =
      (g: Run): Run =>
      (...all) => {
        const values = all.slice(0, point.length);
        const rest = values.slice(count).map(() => null);
        return jvp(g, values, [...all.slice(point.length), ...rest])[1].filter(
          (_, i) => outputs[i].aval.floating,
        );
      };
    const pulled =
      (g: Run): Run =>
      (...all) => {
        const rest = all.slice(count, point.length);
        const own = (...inputs: Value[]): Value[] => floats(g(...inputs, ...rest));
        return vjp(own, ...all.slice(0, count))[1](all.slice(point.length));
      };
    for (const [what, derive, seeds] of [
      ["J v", pushed, v],
      ["Jᵀ ȳ", pulled, ybar],
    ] as const) {
      const values = [...point, ...seeds];
      const wanted = derive(f)(...values);
      const [outer, run] = draw.choose(Object.entries(strategies));
      const within = draw.choose(inner);
      const outcome =
        compared(what, outer, run(derive(f), values), values, wanted) ??
        compared(what, `of f ${within}`, derive(strategies[within](f, point)), values, wanted);
      if (outcome !== undefined) return outcome;
    }
    return holds;
  },
};

/** A third VJP, derived from the JVP alone: the transpose of the linearised function. */
export const transposed: Law = {
  name: "transposed",
  statement: "Jᵀ ȳ by the rules of the VJP is the transpose of the linearised JVP, applied to ȳ",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const ybar = draw.direction(sizeOf(outputs));
    const derivatives = (at: Instance): [derived: number[], written: number[]] => {
      const [values, push] = linearize(at.smooth, ...at.inputs);
      const cotangents = directions(values, ybar);
      const back = linearTranspose((...tangents: Value[]) => push(...tangents), ...at.inputs);
      return [numbersOf(at.counted(() => back(cotangents))), numbersOf(at.vjp(cotangents))];
    };
    const [derived, written] = derivatives(instance);
    return weigh(
      {
        error: distance(derived, written),
        scale: norm(derived) + norm(written),
        evaluations: instance.evaluations,
        terms: ybar.length,
        again: (backend) => {
          const [a, b] = derivatives(instance.inFloat64(backend));
          return a.map((x, i) => x - b[i]);
        },
        say: (tolerance) =>
          [
            `Jᵀ ȳ differs by more than ${tolerance}`,
            showNumbers("transposed", derived),
            showNumbers("written", written),
            showNumbers("ȳ", ybar),
          ].join("\n"),
      },
      setting,
    );
  },
};
