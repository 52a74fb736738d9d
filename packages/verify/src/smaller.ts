/**
 * Smaller programs that do nearly the same, for shrinking: a step left out, or what is inside of one put in its place. What
 * used the variables that are gone has their values at the point instead, so that every primitive is where it was smooth.
 */
import { type Backend, type Value, tidy } from "@cotangent/core";
import type { HostInput } from "./draw.ts";
import {
  type Body,
  type Condition,
  type Source,
  type Step,
  runStep,
  valueOf,
  variablesOf,
} from "./program.ts";
import { upload } from "./subject.ts";

export interface ProgramSteps {
  readonly point: readonly HostInput[];
  readonly steps: readonly Step[];
}

/** A variable of the program that is taken apart. */
interface Known {
  /** At the point; in a loop at the first state, of a batch for the first element. */
  readonly value: Value;
  /** What it is in the smaller program; null where it is gone. */
  readonly to: number | null;
}

/** What is done to one step, numbered in the order in which they are met. */
interface Edit {
  readonly at: number;
  /** Leave it out, or put what is inside of it in its place; of a branching one, the branch taken or the other one. */
  readonly how: "drop" | "open" | "open other";
}

/** Programs each smaller by one thing, the largest cuts first. */
export function* smaller(program: ProgramSteps, reference: Backend): Generator<ProgramSteps> {
  const { point, steps } = program;
  const kinds = inOrder(steps);
  for (let i = point.length - 1; i >= 0 && point.length > 1; i--) yield edited(program, reference, null, i);
  for (let at = 0; at < kinds.length; at++) yield edited(program, reference, { at, how: "drop" }, null);
  for (let at = 0; at < kinds.length; at++) {
    if (kinds[at] === "primitive" || kinds[at] === "let") continue;
    yield edited(program, reference, { at, how: "open" }, null);
    if (kinds[at] === "cond") yield edited(program, reference, { at, how: "open other" }, null);
  }
}

const bodiesOf = (step: Step): readonly Body[] => {
  if (step.kind === "primitive" || step.kind === "let") return [];
  return step.kind === "cond" ? step.branches : [step.body];
};

const inOrder = (steps: readonly Step[]): Step["kind"][] =>
  steps.flatMap((step) => [step.kind, ...bodiesOf(step).flatMap((body) => inOrder(body.steps))]);

function edited(
  { point, steps }: ProgramSteps,
  reference: Backend,
  edit: Edit | null,
  withoutInput: number | null,
): ProgramSteps {
  return tidy(() => {
    let next = 0;
    const known = point.map((input, i): Known => ({
      value: upload(input, reference, "float64"),
      to: i === withoutInput ? null : next++,
    }));
    return {
      point: point.filter((_, i) => i !== withoutInput),
      steps: new Editor(edit).steps(steps, known, next).steps,
    };
  });
}

class Editor {
  readonly #edit: Edit | null;
  #met = 0;

  constructor(edit: Edit | null) {
    this.#edit = edit;
  }

  /** The steps that are left of some, and all variables after them; `next` is the number of the first new one. */
  steps(
    old: readonly Step[],
    before: readonly Known[],
    next: number,
  ): { readonly steps: Step[]; readonly known: Known[]; readonly next: number } {
    const known = [...before];
    const left: Step[] = [];
    for (const step of old) {
      const edit = this.#edit?.at === this.#met++ ? this.#edit : null;
      const values = runStep(
        step,
        known.map(({ value }) => value),
      );
      if (edit?.how === "drop") this.#met += inOrder([step]).length - 1;
      else if (edit !== null || !isKept(step, known)) {
        const inside = this.#opened(step, known, next, edit?.how === "open other");
        left.push(...inside.steps);
        next = inside.next;
      } else {
        left.push(this.#kept(step, known, next));
        known.push(...values.map((value): Known => ({ value, to: next++ })));
        continue;
      }
      known.push(...values.map((value): Known => ({ value, to: null })));
    }
    return { steps: left, known, next };
  }

  #kept(step: Step, known: readonly Known[], next: number): Step {
    const at = (source: Source): Source => mapped(source, known);
    switch (step.kind) {
      case "primitive":
        return { ...step, inputs: step.inputs.map(at) };
      case "let":
        return { ...step, source: at(step.source) };
      case "cond": {
        const condition = mappedCondition(step.condition, known) as Condition;
        const [onTrue, onFalse] = step.branches;
        const parameters = parametersOf(step, known);
        return {
          ...step,
          condition,
          operand: at(step.operand),
          branches: [
            this.#body(onTrue, known, parameters, next),
            this.#body(onFalse, known, parameters, next),
          ],
        };
      }
      case "scan":
        return {
          ...step,
          init: at(step.init),
          xs: at(step.xs),
          body: this.#own(step, step.body, known, next),
        };
      case "whileLoop":
        return {
          ...step,
          clock: at(step.clock),
          init: at(step.init),
          body: this.#own(step, step.body, known, next),
        };
      case "call":
        return { ...step, operands: step.operands.map(at), body: this.#own(step, step.body, known, next) };
      case "transformed":
        return {
          ...step,
          operands: step.operands.map(at),
          directions: step.directions.map(at),
          body: this.#own(step, step.body, known, next),
        };
    }
  }

  #own(step: Step, body: Body, known: readonly Known[], next: number): Body {
    return this.#body(body, known, parametersOf(step, known), next);
  }

  #body(body: Body, known: readonly Known[], parameters: readonly Source[], next: number): Body {
    const outer = next;
    const values = known.map(({ value }) => value);
    const own = parameters.map((source): Known => ({ value: valueOf(source, values), to: next++ }));
    const inside = this.steps(body.steps, [...known, ...own], next);
    return {
      ...body,
      outer,
      steps: inside.steps,
      results: body.results.map((sum) => {
        const kept = sum.filter((source) => isThere(source, inside.known));
        // All of it at once, where nothing is left.
        return kept.length > 0
          ? kept.map((source) => mapped(source, inside.known))
          : [
              constantOf(
                sum.map((source) =>
                  valueOf(
                    source,
                    inside.known.map(({ value }) => value),
                  ),
                ),
              ),
            ];
      }),
    };
  }

  /** The steps of a step's body in place of it: of the branch that is taken, or of the other one. */
  #opened(
    step: Step,
    known: readonly Known[],
    next: number,
    isOther: boolean,
  ): { steps: Step[]; next: number } {
    const bodies = bodiesOf(step);
    const values = known.map(({ value }) => value);
    const taken = step.kind === "cond" && isTrue(step.condition, values) === isOther ? 1 : 0;
    const steps: Step[] = [];
    for (const [i, body] of bodies.entries()) {
      if (i !== taken) {
        this.#met += inOrder(body.steps).length;
        continue;
      }
      const parameters = parametersOf(step, known).map((source): Known => {
        const value = valueOf(source, values);
        if (source.kind === "node") return known[source.node];
        steps.push({ kind: "let", source: mapped(source, known) });
        return { value, to: next++ };
      });
      const inside = this.steps(body.steps, [...known, ...parameters], next);
      steps.push(...inside.steps);
      next = inside.next;
    }
    return { steps, next };
  }
}

/** What a body is run on, at first. */
function parametersOf(step: Step, known: readonly Known[]): readonly Source[] {
  const counter: Source = {
    kind: "constant",
    constant: { shape: [], dtype: "int32", data: new Float64Array(1) },
  };
  switch (step.kind) {
    case "cond":
      return [step.operand];
    case "call":
      return step.operands;
    case "scan": {
      const values = known.map(({ value }) => value);
      const last = step.reverse ? valueOf(step.xs, values).shape[0] - 1 : 0;
      return [counter, step.init, { kind: "row", of: step.xs, index: last, axis: 0 }];
    }
    case "whileLoop":
      return [counter, step.clock, step.init];
    case "transformed":
      return step.operands.map((of, i): Source => {
        const axis = step.axes[i] ?? null;
        return axis === null ? of : { kind: "row", of, index: 0, axis };
      });
    default:
      return [];
  }
}

const isThere = (source: Source, known: readonly Known[]): boolean =>
  variablesOf(source).every((node) => known[node].to !== null);

function mapped(source: Source, known: readonly Known[]): Source {
  const to = (node: number): number => known[node].to as number;
  if (!isThere(source, known))
    return constantOf([
      valueOf(
        source,
        known.map(({ value }) => value),
      ),
    ]);
  switch (source.kind) {
    case "constant":
      return source;
    case "row":
      return { ...source, of: mapped(source.of, known) };
    case "product":
      return { ...source, node: to(source.node), factor: to(source.factor) };
    default:
      return { ...source, node: to(source.node) };
  }
}

function constantOf(terms: readonly Value[]): Source {
  const { shape, dtype } = terms[0];
  const total = terms.reduce((a, b) => a.add(b));
  return { kind: "constant", constant: { shape, dtype, data: Float64Array.from(total.dataSync()) } };
}

const conditionNode = (condition: Condition): number =>
  condition.kind === "above" ? condition.node : condition.counter;

/** A branch whose condition is gone is the one that was taken. */
const isKept = (step: Step, known: readonly Known[]): boolean =>
  step.kind !== "cond" || mappedCondition(step.condition, known) !== null;

function mappedCondition(condition: Condition, known: readonly Known[]): Condition | null {
  const { to } = known[conditionNode(condition)];
  if (to === null) return null;
  return condition.kind === "above" ? { ...condition, node: to } : { ...condition, counter: to };
}

function isTrue(condition: Condition, values: readonly Value[]): boolean {
  const value = values[conditionNode(condition)];
  return condition.kind === "above"
    ? value.sum().item() > condition.threshold
    : value.item() < condition.step;
}
