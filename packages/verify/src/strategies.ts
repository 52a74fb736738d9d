/** Laws of execution: how a function is run, and by which way its derivative is come by, does not change what it is. */
import {
  type Value,
  checked,
  checkpointed,
  evaluateGraph,
  fused,
  graphOf,
  jit,
  optimize,
  passes,
  tidy,
} from "@cotangent/core";
import { jvp, linearize } from "@cotangent/forward-mode";
import { linearTranspose, vjp } from "@cotangent/reverse-mode";
import { type Law, nothingToJudge } from "./laws.ts";
import { distance, norm, numbersOf, sameNumbers } from "./numbers.ts";
import { type Outcome, fails, holds, inapplicable, showNumbers, weigh } from "./outcome.ts";
import {
  type Composition,
  Instance,
  type Subject,
  compositionsOf,
  directions,
  hasMode,
  modesOf,
  sizeOfAll as sizeOf,
} from "./subject.ts";

export type Run = (...values: Value[]) => Value[];
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
  "in clusters":
    (f, example) =>
    (...values) =>
      evaluateGraph(checked(fused(optimize(graphed(f, example)))), values),
  jitted: (f) => jit(f),
  checkpointed: (f) => checkpointed(f, "nothing"),
  "checkpointed but for products": (f) => checkpointed(f, "products"),
  "checkpointed by a minimum cut": (f) => checkpointed(f, "smallest"),
};

/** A function of which a graph has been through one pass, the checker after it. */
const afterPass = passes.map(({ name, run }): [string, Strategy] => [
  `after the pass "${name}"`,
  (f, example) =>
    (...values) =>
      evaluateGraph(checked(run(graphed(f, example))), values),
]);

const everyStrategy: readonly (readonly [string, Strategy])[] = [...Object.entries(strategies), ...afterPass];

/** Strategies that also make sense inside of a derivative, which is then that of a graph. */
const inner = [
  "jitted",
  "checkpointed",
  "checkpointed but for products",
  "checkpointed by a minimum cut",
] as const;

/** The same numbers, but for the sign of zeros: a zero that was not computed is a positive one. */
function difference(found: readonly Value[], wanted: readonly Value[]): string | undefined {
  if (found.length !== wanted.length) return `${found.length} results in place of ${wanted.length}`;
  for (const [i, value] of found.entries()) {
    if (value.aval.toString() !== wanted[i].aval.toString())
      return `${value.aval} in place of ${wanted[i].aval}`;
    const [x, y] = [value.dataSync(), wanted[i].dataSync()];
    if (!sameNumbers(x, y)) return `${showNumbers("found", x)}\n${showNumbers("eager", y)}`;
  }
  return undefined;
}

export const floats = (values: readonly Value[]): Value[] => values.filter((value) => value.aval.floating);

/**
 * The derivative of (J of f²)ᵀ ȳ along v, by two modes one over the other: squared, so that linear functions have one too. It
 * takes the point of `count` values, the constants up to `total`, then v, then ȳ.
 */
export function secondDerivative(f: Run, composition: Composition, count: number, total: number): Run {
  return (...all) => {
    const [point, rest] = [all.slice(0, count), all.slice(count, total)];
    const [v, ybar] = [all.slice(total, total + count), all.slice(total + count)];
    const squared = (...xs: Value[]): Value[] => floats(f(...xs, ...rest)).map((y) => y.square());
    const pulled = (...xs: Value[]): Value[] => vjp(squared, ...xs)[1](ybar);
    switch (composition) {
      case "forward of reverse":
        return jvp(pulled, point, v)[1];
      case "reverse of forward":
        return vjp((...xs: Value[]) => jvp(squared, xs, v)[1], ...point)[1](ybar);
      case "reverse of reverse":
        return vjp(pulled, ...point)[1](v);
    }
  };
}

/** A function to be run eagerly on some values, and other ways to run it, each with a name. */
interface Ways {
  /** The size of the terms of its results, where these may cancel. */
  readonly scale?: number;
  readonly values: readonly Value[];
  readonly eager: Run;
  readonly others: readonly (readonly [name: string, run: Run])[];
}

/** A derivative of a function, and what it takes after the function's own arguments. */
interface Derivative {
  readonly what: string;
  readonly derive: (f: Run) => Run;
  readonly seeds: (at: Instance) => Value[];
  readonly mayRegroup: boolean;
  readonly scale?: number;
}

/**
 * Eager code, staged code, before and after each pass, jitted and checkpointed code give the same numbers, to the last bit;
 * but where staging adds the terms of an adjoint in another order, to within rounding.
 */
export const staged: Law = {
  name: "staged",
  statement:
    "f, J v, Jᵀ ȳ and second derivatives are the same eager, staged, after each pass, jitted and checkpointed, bit for bit",
  judge: (subject, setting, draw) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const count = instance.inputs.length;
    const pointOf = (at: Instance): Value[] => [...at.inputs, ...at.constants];
    const total = pointOf(instance).length;
    if (total === 0) return inapplicable("no input");
    const functionOf =
      (at: Instance): Run =>
      (...all) =>
        at.applyTo(all.slice(0, count), all.slice(count));
    const compared = (what: string, mayRegroup: boolean, make: (at: Instance) => Ways): Outcome => {
      const { values, eager, others, scale = 0 } = make(instance);
      const wanted = instance.counted(() => eager(...values));
      for (const [k, [name, run]] of others.entries()) {
        const found = tidy(() => run(...values));
        const wrong = difference(found, wanted);
        if (wrong === undefined) continue;
        const message = `${what}, ${name}, is not what it is eager:\n${wrong}`;
        // Compiled code has its own way of computing each primitive.
        const mayDiffer = mayRegroup || setting.backend.compile !== undefined;
        const facts = { found: numbersOf(found), expected: numbersOf(wanted) };
        if (!mayDiffer || found.some(({ aval }, i) => aval.toString() !== wanted[i].aval.toString()))
          return fails(message, { ...facts, error: distance(facts.found, facts.expected), tolerance: 0 });
        const outcome = weigh(
          {
            error: distance(facts.found, facts.expected),
            ...facts,
            scale: scale + norm(facts.found) + norm(facts.expected),
            evaluations: instance.evaluations,
            terms: total,
            again: (backend) => {
              const again = make(instance.inFloat64(backend));
              const other = numbersOf(again.others[k][1](...again.values));
              return numbersOf(again.eager(...again.values)).map((x, i) => x - other[i]);
            },
            say: (tolerance) => `${message}\nIt may differ by ${tolerance}.`,
          },
          setting,
        );
        if (!outcome.judged || outcome.failure !== undefined) return outcome;
      }
      return holds;
    };
    // One strategy per sample and derivative: over the samples all have their turn.
    const [name, strategy] = draw.choose(everyStrategy);
    const asIs = compared("f", false, (at) => {
      const [f, values] = [functionOf(at), pointOf(at)];
      return { values, eager: f, others: [[name, strategy(f, values)]] };
    });
    if (!asIs.judged || asIs.failure !== undefined) return asIs;
    const outputs = functionOf(instance)(...pointOf(instance));
    const smooth = outputs.filter((output) => output.aval.floating);
    if (subject.cut === "refused" || count === 0 || smooth.length === 0) return holds;

    const pushed =
      (g: Run): Run =>
      (...all) => {
        const values = all.slice(0, total);
        const rest = values.slice(count).map(() => null);
        return jvp(g, values, [...all.slice(total), ...rest])[1].filter((_, i) => outputs[i].aval.floating);
      };
    const pulled =
      (g: Run): Run =>
      (...all) => {
        const rest = all.slice(count, total);
        const own = (...inputs: Value[]): Value[] => floats(g(...inputs, ...rest));
        return vjp(own, ...all.slice(0, count))[1](all.slice(total));
      };
    const [v, ybar] = [draw.direction(sizeOf(instance.inputs)), draw.direction(sizeOf(smooth))];
    const forward = (at: Instance): Value[] => directions(at.inputs, v);
    const back = (at: Instance): Value[] => directions(at.smooth(...at.inputs), ybar);
    const derivatives: Derivative[] = [];
    if (hasMode(subject, "forward"))
      derivatives.push({ what: "J v", derive: pushed, mayRegroup: false, seeds: forward });
    if (hasMode(subject, "reverse"))
      derivatives.push({
        what: "Jᵀ ȳ",
        derive: pulled,
        mayRegroup: subject.regroups === true,
        seeds: back,
      });
    const compositions = compositionsOf(subject);
    // They cost more than all of the others: one sample in six.
    if (compositions.length > 0 && draw.int(0, 5) === 0) {
      const composition = draw.choose(compositions);
      const sizes =
        norm(numbersOf(instance.vjp(back(instance)))) * sizeOfJvp(subject, instance, forward(instance));
      derivatives.push({
        what: `the second derivative, ${composition}`,
        derive: (g) => secondDerivative(g, composition, count, total),
        mayRegroup: true,
        scale: sizes,
        seeds: (at) => [...forward(at), ...back(at)],
      });
    }
    for (const { what, derive, mayRegroup, seeds, scale } of derivatives) {
      const [outer, run] = draw.choose(everyStrategy);
      const within = draw.choose(inner);
      const outcome = compared(what, mayRegroup, (at) => {
        const [f, point] = [functionOf(at), pointOf(at)];
        const values = [...point, ...seeds(at)];
        return {
          values,
          ...(scale !== undefined && { scale }),
          eager: derive(f),
          others: [
            [outer, run(derive(f), values)],
            [`of f ${within}`, derive(strategies[within](f, point))],
          ],
        };
      });
      if (!outcome.judged || outcome.failure !== undefined) return outcome;
    }
    return holds;
  },
};

/** How large J v is, or where there is no forward mode, v itself. */
export const sizeOfJvp = (subject: Subject, instance: Instance, v: readonly Value[]): number =>
  norm(numbersOf(hasMode(subject, "forward") ? instance.jvp(v) : v));

/** A third VJP, derived from the JVP alone: the transpose of the linearised function. */
export const transposed: Law = {
  name: "transposed",
  statement: "Jᵀ ȳ by the rules of the VJP is the transpose of the linearised JVP, applied to ȳ",
  judge: (subject, setting, draw) => {
    if (modesOf(subject).length < 2) return inapplicable("one mode alone");
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
        found: derived,
        expected: written,
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
