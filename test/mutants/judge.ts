/** Which laws catch a mutant of a record; and whether what no law catches differs from the right record at all. */
import {
  type Law,
  type Setting,
  Instance,
  checkKinks,
  checkLaw,
  directions,
  holds,
  inapplicable,
  kinks,
  laws,
  lawsOfValues,
  settingIn,
} from "@cotangent/verify";
import { type Primitive, type Value, isFloating, jsBackend, jvp, stack, vjp, vmap } from "cotangent";
import { reasonFor } from "./equivalents.ts";
import { type Mutant, controlOf, decomposed, faulty, inTwoStatements, mutantsOf } from "./records.ts";

export interface Effort {
  readonly samples: number;
  readonly seed: number;
  /** Whether to ask the other laws too when one has caught it. */
  readonly all: boolean;
  /** Whether to go on to classes of shape that no sample had; by default not. */
  readonly cover?: boolean;
}

/** What came of one mutant. */
export interface Verdict {
  readonly mutant: string;
  /** What it is a mutant of: a primitive, a rule of simplification, a file. */
  readonly of: string;
  readonly fault: string;
  readonly caughtBy: readonly string[];
  /** Of one that nothing catches: whether it differs in nothing, or no law says what is right; and why. */
  readonly excused?: { readonly as: "equivalent" | "no law"; readonly because: string };
}

/** The laws by name, those that cost least and catch most first. */
const order = ["kinks", "avals", "adjoint", "linearity", "reference", "differences", "transposed", "vmapped"];
const inOrder: readonly (Law | typeof kinks)[] = [
  ...order.map((name) => (name === kinks ? kinks : (laws.find((law) => law.name === name) as Law))),
  ...laws.filter(({ name }) => !order.includes(name)),
];

const settingOf = (dtype: Mutant["dtype"]): Setting => settingIn(faulty, jsBackend, dtype);

function caughtBy({ primitive, dtype }: Mutant, { samples, seed, all, cover = false }: Effort): string[] {
  const setting = settingOf(dtype);
  const caught: string[] = [];
  const applying = inOrder.filter((law) => isFloating(dtype) || lawsOfValues.some((other) => other === law));
  for (const law of applying) {
    const { failure } =
      law === kinks
        ? checkKinks(primitive, setting)
        : checkLaw(primitive, law, setting, { samples, seed, cover, mayMiss: true, shrink: false });
    if (failure === undefined) continue;
    caught.push(law === kinks ? kinks : law.name);
    if (!all) break;
  }
  return caught;
}

/** How many samples those get that few did not catch, and on how many two records must give the same to be equivalent. */
const many = 300;

/** Every number and shape that calls of a primitive give: values, derivatives in both modes and twice, batches, cost. */
function everything({ primitive, dtype }: Mutant, seed: number): (number | string)[] {
  const found: (number | string)[] = [];
  const add = (what: () => readonly Value[]): void => {
    try {
      for (const value of what()) found.push(value.aval.toString(), ...value.dataSync());
    } catch (error) {
      found.push(error instanceof Error ? error.message.replaceAll(primitive.name, "it") : String(error));
    }
  };
  const record: Law = {
    name: "everything",
    statement: "",
    judge: (subject, setting, draw) => {
      const at = new Instance(subject, setting.backend, setting.dtype);
      const count = at.inputs.length;
      const values = [...at.inputs, ...at.constants];
      if (values.length === 0) return inapplicable("no input");
      const f = (...all: Value[]): Value[] => at.applyTo(all.slice(0, count), all.slice(count));
      add(() => f(...values));
      add(() => vmap(f)(...values.map((value) => stack([value, value.add(0)]))));
      if (subject.call !== undefined) {
        const avals = subject.call.arranged(at.inputs, at.constants).map((value) => value.aval);
        const [first] = f(...values);
        found.push(primitive.cost(avals, first.aval, subject.call.params));
      }
      if (count === 0 || subject.cut === "refused") return holds;
      const size = at.inputs.reduce((sum, input) => sum + input.size, 0);
      const tangents = directions(at.inputs, draw.direction(size));
      const pushed = (...xs: Value[]): Value[] => jvp(at.smooth, xs, tangents)[1];
      const pulled = (...xs: Value[]): Value[] => {
        const [outputs, pull] = vjp(at.smooth, ...xs);
        return pull(outputs.map((output) => output.onesLike().mul(0.75)));
      };
      for (const derivative of [pushed, pulled]) {
        add(() => derivative(...at.inputs));
        add(() => jvp(derivative, [...at.inputs], tangents)[1]);
      }
      return holds;
    },
  };
  checkLaw(primitive, record, settingOf(dtype), { samples: many, seed, mayMiss: true, cover: true });
  return found;
}

/** Signs of zeros aside, which nothing promises. */
const isSame = (a: readonly (number | string)[], b: readonly (number | string)[]): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i] || (x !== x && b[i] !== b[i]));

/** What comes of a mutant that is planted. */
function verdictOf(
  mutant: Mutant,
  effort: Effort,
  right: (dtype: Mutant["dtype"]) => readonly (number | string)[],
): Verdict {
  const { name, of, fault, where, dtype } = mutant;
  let caught = caughtBy(mutant, effort);
  if (caught.length === 0) caught = caughtBy(mutant, { ...effort, samples: many, all: false, cover: true });
  const verdict = { mutant: name, of, fault, caughtBy: caught };
  const excused = reasonFor({ of, where, fault });
  if (excused === undefined) return verdict;
  if (caught.length > 0) return { ...verdict, mutant: `${name} (listed as ${excused.as})` };
  const differs = excused.as === "equivalent" && !isSame(everything(mutant, effort.seed), right(dtype));
  return differs ? verdict : { ...verdict, excused };
}

/** Judges the mutants of a primitive, and first that the laws find no fault where there is none. */
export function* judge(
  original: Primitive,
  effort: Effort,
  isChosen: (mutant: Pick<Mutant, "name">) => boolean = () => true,
): Generator<Verdict> {
  const numbers = new Map<Mutant["dtype"], readonly (number | string)[]>();
  for (const dtype of ["float64", "float32", "int32", "bool"] as const) {
    for (const make of [controlOf, decomposed, inTwoStatements]) {
      const control = make(original, dtype);
      if (control === undefined) continue;
      const found = caughtBy(control, { ...effort, all: true });
      // Before any mutant is planted, some in the record itself.
      if (make === controlOf) numbers.set(dtype, everything(control, effort.seed));
      control.remove();
      if (found.length > 0)
        throw new Error(`${control.name} in ${dtype} is no fault, and breaks ${found.join(", ")}.`);
    }
  }
  for (const mutant of mutantsOf(original)) {
    try {
      if (isChosen(mutant)) yield verdictOf(mutant, effort, (dtype) => numbers.get(dtype) ?? []);
    } finally {
      mutant.remove();
    }
  }
}
