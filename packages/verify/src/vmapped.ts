/** The law of batching. */
import { type FloatDType, type Value, isFloating, moveAxis, sizeOf, stack, vmap } from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import { type HostInput, type RecordedDraw, showTensor } from "./draw.ts";
import type { Law } from "./laws.ts";
import { distance, largest, norm, numbersOf, sameNumbers } from "./numbers.ts";
import {
  type Finding,
  type Outcome,
  fails,
  holds,
  inapplicable,
  saidBy,
  showNumbers,
  weigh,
} from "./outcome.ts";
import { type Run, floats, secondDerivative, sizeOfJvp } from "./strategies.ts";
import {
  Instance,
  type Setting,
  type Subject,
  compositionsOf,
  directions,
  hasMode,
  shapedLike,
  sizeOfAll,
} from "./subject.ts";

/** Values for each element of a batch, of which those that are not marked are the same for all. */
interface Batch {
  readonly elements: readonly (readonly Value[])[];
  readonly axes: readonly (number | null)[];
  /** The number of elements that are taken: all, or none, so that only shapes are left to be compared. */
  readonly size: number;
}

/** What a batch is made of, as numbers, so that it can be made again in another dtype. */
interface Plan {
  readonly size: number;
  readonly axes: readonly (number | null)[];
  /** For each element after the first, what it is made of. */
  readonly others: readonly Other[];
}

/** An element as a point of its own, or as that of the subject, its floats moved. */
type Other = { readonly inputs: readonly Float64Array[] } | { readonly move: Float64Array };

function planOf(subject: Subject, setting: Setting, draw: RecordedDraw): Plan {
  const size = draw.int(0, 9) === 0 ? 0 : draw.int(1, 3);
  const inputs = [...subject.point, ...subject.constants];
  const axes: (number | null)[] = inputs.map(({ shape }) => (draw.bool() ? draw.int(0, shape.length) : null));
  if (axes.length > 0 && axes.filter((axis) => axis !== null).length === 0) axes[0] = 0;
  const floats = subject.point.reduce((total, { shape }) => total + sizeOf(shape), 0);
  const others = Array.from({ length: Math.max(0, size - 1) }, (): Other => {
    const another = subject.another?.(draw);
    if (another === undefined) return { move: draw.direction(floats) };
    const inDType = setting.dtype === "float32" ? (data: Float64Array) => data.map(Math.fround) : undefined;
    return { inputs: another.map(({ data }) => inDType?.(data) ?? data) };
  });
  return { size, axes, others };
}

/** Elements of the batch: the point itself, then other points, or the same one moved within its room, its indices rotated. */
function batchOf({ inputs, constants }: Instance, subject: Subject, { axes, others, size }: Plan): Batch {
  const values = [...inputs, ...constants];
  const elements = others.map((other, k) => {
    let next = 0;
    return values.map((value, i) => {
      if ("inputs" in other) return axes[i] === null ? value : shapedLike(value, other.inputs[i]);
      const move = other.move.subarray(next, (next += i < inputs.length ? value.size : 0));
      if (axes[i] === null || (i >= inputs.length && isFloating(value.dtype))) return value;
      const data = value.dataSync();
      return shapedLike(
        value,
        i < inputs.length
          ? data.map((x, e) => x + subject.room * move[e])
          : data.map((_, e) => data[(e + k + 1) % data.length]),
      );
    });
  });
  return { elements: [values, ...elements], axes, size };
}

const stacked = (values: readonly Value[], size: number): Value => stack(values).slice([0], [size]);

const batchAlong = (values: readonly Value[], axis: number | null, size: number): Value =>
  axis === null ? values[0] : moveAxis(stacked(values, size), 0, axis);

/** f of each element, stacked along axis 0. */
function one(f: Run, { elements, size }: Batch): Value[] {
  const rows = elements.map((element) => f(...element));
  return rows[0].map((_, o) =>
    stacked(
      rows.map((row) => row[o]),
      size,
    ),
  );
}

const operandsOf = ({ elements, axes, size }: Batch): Value[] =>
  axes.map((axis, i) =>
    batchAlong(
      elements.map((element) => element[i]),
      axis,
      size,
    ),
  );

const allAtOnce = (f: Run, batch: Batch): Value[] => vmap(f, { inAxes: batch.axes })(...operandsOf(batch));

/** A derivative of `run`, as TypeScript, and the functions that it is written with. */
interface ShownDerivative {
  readonly text: string;
  readonly uses: readonly (readonly [name: string, from: string])[];
}

/** The batched call as TypeScript, and what it is called with. */
function batchedCall(
  { shown }: Subject,
  derivative: ShownDerivative | undefined,
  batch: Batch,
): Pick<Finding, "counterexample" | "at"> {
  const at = operandsOf(batch).map((value): HostInput => ({
    shape: value.shape,
    dtype: value.dtype,
    data: Float64Array.from(value.dataSync()),
  }));
  if (shown === undefined) return { at };
  const { before, f } = shown;
  const operands = at.map((input) => `  ${showTensor(input, floatOf(input))},\n`).join("");
  const call = (name: string): string =>
    `vmap(${name}, { inAxes: ${JSON.stringify(batch.axes)} })(\n${operands})`;
  const lines =
    derivative === undefined
      ? [call(f)]
      : [
          `const run: (...xs: Value[]) => Value[] = ${f};`,
          `const derivative = ${derivative.text};`,
          call("derivative"),
        ];
  if (before === "") return { at, counterexample: lines.join("\n") };
  const missing = [["vmap", "cotangent"] as const, ...(derivative?.uses ?? [])].filter(
    ([name]) => !new RegExp(`^import .*\\b${name}\\b`, "m").test(before),
  );
  const imports = ["cotangent", "@cotangent/verify"].flatMap((module) => {
    const names = missing.flatMap(([name, from]) => (from === module ? [name] : []));
    return names.length === 0 ? [] : [`import { ${names.join(", ")} } from "${module}";`];
  });
  return { at, counterexample: [...imports, before, ...lines].join("\n") };
}

const floatOf = ({ dtype }: HostInput): FloatDType | undefined => (isFloating(dtype) ? dtype : undefined);

/** vmap(f) over a batch is f of each element, and so it is with the derivatives. */
export const vmapped: Law = {
  name: "vmapped",
  statement:
    "vmap(f) over a batch is f applied to each element; the same for J v, Jᵀ ȳ and second derivatives",
  judge: (subject, setting, draw) => {
    const plan = planOf(subject, setting, draw);
    if (plan.axes.length === 0) return inapplicable("no input");
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const count = instance.inputs.length;
    const f =
      (at: Instance): Run =>
      (...all) =>
        at.applyTo(all.slice(0, count), all.slice(count));
    const outcome = compared("f", undefined, subject, setting, plan, instance, f, (batch) => batch);
    const smooth = floats(f(instance)(...instance.inputs, ...instance.constants));
    if (outcome !== undefined || subject.cut === "refused" || count === 0 || smooth.length === 0)
      return outcome ?? holds;

    const total = plan.axes.length;
    const [v, ybar] = [draw.direction(sizeOfAll(instance.inputs)), draw.direction(sizeOfAll(smooth))];
    const spreadAxis = draw.bool() ? 0 : null;
    // They cost more than all of the others: one sample in six.
    const isSecond = draw.int(0, 5) === 0;
    const compositions = compositionsOf(subject);
    const composition = compositions.length > 0 ? draw.choose(compositions) : undefined;
    const withSeeds =
      (like: (at: Instance) => readonly Value[], numbers: Float64Array) =>
      (batch: Batch, at: Instance): Batch => {
        const seeds = directions(like(at), numbers);
        return {
          ...batch,
          elements: batch.elements.map((element) => [...element, ...seeds]),
          axes: [...batch.axes, ...seeds.map(() => spreadAxis)],
        };
      };
    const pushed =
      (at: Instance): Run =>
      (...all) => {
        const values = all.slice(0, total);
        const tangents = [...all.slice(total), ...values.slice(count).map(() => null)];
        const own = (...xs: Value[]): Value[] => floats(f(at)(...xs));
        return jvp(own, values, tangents)[1];
      };
    const pulled =
      (at: Instance): Run =>
      (...all) => {
        const rest = all.slice(count, total);
        return vjp((...xs: Value[]) => floats(f(at)(...xs, ...rest)), ...all.slice(0, count))[1](
          all.slice(total),
        );
      };
    const [hasForward, hasReverse] = [hasMode(subject, "forward"), hasMode(subject, "reverse")];
    const smoothRun = "(...xs: Value[]) => run(...xs).filter((y) => y.aval.floating)";
    const tangents = [`...all.slice(${total})`, ...new Array<string>(total - count).fill("null")];
    const pushedText = `(...all: Value[]) => jvp(${smoothRun}, all.slice(0, ${total}), [${tangents.join(", ")}])[1]`;
    const pulledText =
      `(...all: Value[]) => vjp(${smoothRun.replace("run(...xs)", `run(...xs, ...all.slice(${count}, ${total}))`)}, ` +
      `...all.slice(0, ${count}))[1](all.slice(${total}))`;
    return (
      (hasForward
        ? compared(
            "J v",
            { text: pushedText, uses: [["jvp", "cotangent"]] },
            subject,
            setting,
            plan,
            instance,
            pushed,
            withSeeds((at) => at.inputs, v),
          )
        : undefined) ??
      (hasReverse
        ? compared(
            "Jᵀ ȳ",
            { text: pulledText, uses: [["vjp", "cotangent"]] },
            subject,
            setting,
            plan,
            instance,
            pulled,
            withSeeds((at) => at.smooth(...at.inputs), ybar),
          )
        : undefined) ??
      (isSecond && composition !== undefined
        ? compared(
            `the second derivative, ${composition}`,
            {
              text: `secondDerivative(run, "${composition}", ${count}, ${total})`,
              uses: [["secondDerivative", "@cotangent/verify"]],
            },
            subject,
            setting,
            plan,
            instance,
            (at) => secondDerivative(f(at), composition, count, total),
            withSeeds((at) => [...at.inputs, ...at.smooth(...at.inputs)], Float64Array.of(...v, ...ybar)),
            sizeOfJvp(subject, instance, directions(instance.inputs, v)) *
              norm(numbersOf(instance.vjp(directions(smooth, ybar)))),
          )
        : undefined) ??
      holds
    );
  },
};

function compared(
  what: string,
  derivative: ShownDerivative | undefined,
  subject: Subject,
  setting: Setting,
  plan: Plan,
  instance: Instance,
  f: (at: Instance) => Run,
  extend: (batch: Batch, at: Instance) => Batch,
  scale = 0,
): Outcome | undefined {
  const batchAt = (at: Instance): Batch => extend(batchOf(at, subject, plan), at);
  const batch = batchAt(instance);
  // The call of one element is right.
  const wrong = (message: string, facts: Omit<Finding, "message"> = {}): Outcome =>
    fails(message, { ...facts, ...batchedCall(subject, derivative, batch) });
  const wanted = one(f(instance), batch);
  let found: Value[];
  try {
    found = instance.counted(() => allAtOnce(f(instance), batch));
  } catch (error) {
    return wrong(saidBy(error));
  }
  for (const [i, value] of found.entries()) {
    if (value.aval.toString() !== wanted[i].aval.toString())
      return wrong(`${what} of a batch is ${value.aval}, stacked it is ${wanted[i].aval}`);
    const [x, y] = [value.dataSync(), wanted[i].dataSync()];
    const say = (tolerance: number): string =>
      [
        `${what} of a batch (axes ${JSON.stringify(plan.axes)}) is off by more than ${tolerance}`,
        showNumbers("batched", x),
        showNumbers("one by one", y),
      ].join("\n");
    const error = distance(x, y);
    if (!value.aval.floating) {
      if (error !== 0)
        return wrong(say(0), { found: Array.from(x), expected: Array.from(y), error, tolerance: 0 });
      continue;
    }
    if (sameNumbers(x, y)) continue;
    const outcome = weigh(
      {
        error,
        found: x,
        expected: y,
        scale:
          scale + norm(Array.from(y)) + largest(numbersOf(wanted.filter((other) => other.aval.floating))),
        evaluations: instance.evaluations,
        terms: sizeOfAll(instance.inputs) + 1,
        again: (backend) => {
          const at = instance.inFloat64(backend);
          const again = batchAt(at);
          const a = allAtOnce(f(at), again)[i].dataSync();
          const b = one(f(at), again)[i].dataSync();
          return Array.from(a, (number, k) => number - b[k]);
        },
        say,
      },
      setting,
    );
    if (!outcome.judged) return outcome;
    if (outcome.failure !== undefined) return wrong(outcome.failure.message, outcome.failure);
  }
  return undefined;
}
