/**
 * Faults in the registry's own records and kernels, made from whatever is registered: each is a primitive beside the right
 * one, so that nothing which was prepared for the right one is taken for it.
 */
import {
  type Aval,
  type BatchRule,
  type DType,
  type Draw,
  type Kink,
  type Kernel,
  type MultipleRules,
  type Params,
  type Primitive,
  type Pullback,
  type Rules,
  type TypedArray,
  type Value,
  JsBackend,
  avalOf,
  bind,
  DTypeError,
  isFloating,
  jsBackend,
  outputBit,
  paramsOf,
  primitives,
  strongMul,
  where,
} from "cotangent";
import { complexForms } from "@cotangent/verify";

/** A primitive with one fault in it. */
export interface Mutant {
  /** The primitive, where in its record the fault is, and which: "dotGeneral: transpose of y, sign flipped". */
  readonly name: string;
  readonly of: string;
  /** Where in the record. */
  readonly where: string;
  /** The kind of fault, by which they are counted. */
  readonly fault: string;
  readonly primitive: Primitive;
  /** In which it is judged. */
  readonly dtype: DType;
  /** Gives back what was planted. */
  readonly remove: () => void;
}

/** The backend that runs mutants; the reference has the same kernels without their faults. */
export const faulty: JsBackend = new JsBackend();
Object.assign(faulty, { name: "faulty" });

const registry = primitives() as Map<string, Primitive>;
let planted = 0;

type Changes = Partial<Omit<Primitive, "name" | "form">> & {
  /** The kernel of the faulty backend; null for none, so that the decomposition is run. */
  readonly kernel?: ((right: Kernel) => Kernel) | null;
};

function plant(
  original: Primitive,
  fault: string,
  place: string,
  { kernel: change, ...changes }: Changes,
  dtype: Mutant["dtype"] = "float64",
): Mutant {
  const name = `${original.name}, mutant ${++planted}`;
  const primitive = { ...original, ...changes, form: (changes.rules ?? original.rules).form, name };
  const kernel = jsBackend.kernels.get(original.name);
  const multiple = jsBackend.multipleKernels.get(original.name);
  registry.set(name, primitive);
  const complexForm = complexForms.get(original.name);
  if (complexForm !== undefined) complexForms.set(name, complexForm);
  if (kernel !== undefined) {
    jsBackend.kernels.set(name, kernel);
    if (change !== null) faulty.kernels.set(name, change?.(kernel) ?? kernel);
  }
  for (const backend of [jsBackend, faulty])
    if (multiple !== undefined) backend.multipleKernels.set(name, multiple);
  return {
    name: `${original.name}: ${place === "" ? fault : `${place}, ${fault}`}`,
    of: original.name,
    where: place,
    fault,
    primitive,
    dtype,
    remove: () => {
      registry.delete(name);
      complexForms.delete(name);
      for (const backend of [jsBackend, faulty]) {
        backend.kernels.delete(name);
        backend.multipleKernels.delete(name);
      }
    },
  };
}

/** A fault in a record itself, of what nothing keeps a copy. */
function plantInPlace(
  original: Primitive,
  fault: string,
  place: string,
  changes: Pick<Primitive, "cost">,
): Mutant {
  const { cost } = original;
  Object.assign(original, changes);
  return {
    name: `${original.name}: ${fault}`,
    of: original.name,
    where: place,
    fault,
    primitive: original,
    dtype: "float64",
    remove: () => Object.assign(original, { cost }),
  };
}

/** The record with no fault, under a name of its own: what no law may catch. */
export const controlOf = (original: Primitive, dtype: Mutant["dtype"]): Mutant =>
  plant(original, "no fault", "", {}, dtype);

/** The record without its kernel, where it can be run without: nor may a law catch this. */
export const decomposed = (original: Primitive, dtype: Mutant["dtype"]): Mutant | undefined =>
  original.decompose && plant(original, "no kernel", "", { kernel: null }, dtype);

// What can be wrong with what a rule gives.

/** The elements moved on by one, the last one to the front. */
function shifted(x: Value): Value {
  if (x.size < 2) return x;
  const flat = x.reshape([x.size]);
  const [last, rest] = [flat.slice([x.size - 1], [x.size]), flat.slice([0], [x.size - 1])];
  return rest
    .pad([[1, 0]])
    .add(last.pad([[0, x.size - 1]]))
    .reshape(x.shape);
}

/** The last two axes exchanged, in the shape it had. */
function transposedInPlace(x: Value): Value {
  if (x.rank < 2) return x;
  const axes = Array.from({ length: x.rank }, (_, i) => i);
  axes.splice(x.rank - 2, 2, x.rank - 1, x.rank - 2);
  return x.transpose(axes).reshape(x.shape);
}

const wrongNumbers: Readonly<Record<string, (right: Value) => Value>> = {
  "sign flipped": (right) => right.neg(),
  "factor too many": (right) => right.mul(2),
  "rule is zero": (right) => right.mul(0),
  "float32 constant": (right) => right.mul(1 + 2 ** -26),
  "off by one": shifted,
  transposed: transposedInPlace,
  /** A fault of derivatives of derivatives: the rule is right, and cannot be differentiated again. */
  "cut from its inputs": (right) => right.stopGradient(),
};

/** Of rules that give whole tangents and cotangents, which have shapes and dtypes of their own. */
const wrongResults: Readonly<Record<string, (right: Value, seed: Value) => Value>> = {
  ...wrongNumbers,
  "factor missing": (right, seed) => (seed.aval.toString() === right.aval.toString() ? seed : right.mul(0.5)),
  "un-broadcast missing": (right, seed) => (seed.size > right.size ? right.broadcastTo(seed.shape) : right),
  "shape lost": (right) => right.reshape([right.size]),
  "dtype lost": (right) => right.astype("float64"),
};

/** Of local partial derivatives, which are multiplied by a tangent or cotangent. */
const wrongPartials: Readonly<Record<string, (right: Value) => Value>> = {
  ...wrongNumbers,
  "factor missing": (right) => right.onesLike(),
};

const dtypeOf = (fault: string): Mutant["dtype"] => (fault === "dtype lost" ? "float32" : "float64");

type Context = Readonly<Record<string, unknown>>;
type Rule = (seed: Value, context: Context) => Value;
type RulesByArgument = Readonly<Record<string, Rule>>;

/** The rules that are functions; the others refuse. */
const functionsOf = (rules: Readonly<Record<string, unknown>>): RulesByArgument =>
  Object.fromEntries(
    Object.entries(rules).filter(([, rule]) => typeof rule === "function"),
  ) as RulesByArgument;

/** Parameters with one thing in them changed: an axis taken for its neighbour, a bound moved by one, a flag the other way. */
function* changedParams(
  sample: Params,
): Generator<{ readonly key: string; change: (params: Params) => Params }> {
  const change = (value: unknown, least: number): unknown => {
    if (typeof value === "boolean") return !value;
    if (typeof value === "number") return value > least ? value - 1 : value + 1;
    if (!Array.isArray(value)) return value;
    const list = value as unknown[];
    // A permutation stays one; of other lists the first item changes.
    const isPermutation = list.length > 1 && list.every((_, i) => list.includes(i));
    return isPermutation
      ? [...list].reverse()
      : list.map((item, i) => (i === 0 ? change(item, least) : item));
  };
  for (const [key, value] of Object.entries(sample)) {
    if (typeof value === "function" || value === null || typeof value === "string") continue;
    yield {
      key,
      change: (params) => ({
        ...params,
        [key]: change((params as Readonly<Record<string, unknown>>)[key], key === "strides" ? 1 : 0),
      }),
    };
  }
}

/** Always the same choices. */
const plain: Draw = {
  int: (low) => low,
  bool: () => false,
  choose: ([first]) => first,
  size: (high) => high,
  shape: ({ minRank = 0, minSize = 0 } = {}) =>
    new Array<number>(Math.max(2, minRank)).fill(Math.max(2, minSize)),
  broadcastable: (count) => new Array<number[]>(count).fill([2, 2]),
};

/** A sample's parameters, to know what there is that could be changed; those that hold functions or graphs are left out. */
function paramsOfAny({ sample }: Primitive): Params {
  const { params } = sample(plain);
  return typeof params === "function" ? {} : params;
}

/** Whether a record takes whole numbers in place of floats. */
function takes({ sample, infer, rules }: Primitive, whole: DType): boolean {
  if (rules.form === "multiple") return false;
  const { inputs, ...rest } = sample(plain);
  try {
    infer(
      inputs.map(({ shape, dtype }) => ({ aval: avalOf(shape, dtype === "float" ? whole : dtype) })),
      paramsOf(rest, "float64"),
    );
  } catch (error) {
    if (error instanceof DTypeError) return false;
    throw error;
  }
  return inputs.some(({ dtype }) => dtype === "float");
}

/** Faults of rules that are given for each argument, in one of the two modes. */
function* ofWrittenRules(
  original: Primitive,
  mode: string,
  rules: RulesByArgument,
  withRule: (arg: string, rule: Rule) => Rules,
): Generator<Mutant> {
  for (const [arg, rule] of Object.entries(rules)) {
    const place = `${mode} of ${arg}`;
    for (const [fault, wrong] of Object.entries(wrongResults))
      yield plant(
        original,
        fault,
        place,
        { rules: withRule(arg, (seed, context) => wrong(rule(seed, context), seed)) },
        dtypeOf(fault),
      );
    for (const [other, otherRule] of Object.entries(rules))
      if (other !== arg)
        yield plant(original, "wrong operand", place, {
          rules: withRule(arg, otherRule),
          // What the other rule reads must be saved for it too.
          residuals: original.residuals.map((bits, i) =>
            original.args[i] === arg ? bits | original.residuals[original.args.indexOf(other)] : bits,
          ),
        });
    for (const { key, change } of changedParams(paramsOfAny(original)))
      yield plant(original, "wrong parameter", `${place}, ${key}`, {
        rules: withRule(arg, (seed, context) =>
          rule(seed, { ...context, params: change(context["params"] as Params) }),
        ),
      });
  }
}

/** What of the rules, if any, is one statement for both modes, as two: so that one of them alone can be wrong. */
function asWritten(original: Primitive): (Rules & { form: "written" }) | undefined {
  const { rules, args, variadic } = original;
  if (variadic) return undefined;
  const inputsOf = (context: Context): Value[] => args.map((name) => context[name] as Value);
  switch (rules.form) {
    case "diagonal": {
      const partials = args.map(
        (_, i): Rule =>
          (seed, context) =>
            strongMul(seed, rules.partials[i](...inputsOf(context), context["output"] as Value)),
      );
      const each = Object.fromEntries(args.map((name, i) => [name, partials[i]]));
      return { form: "written", jvp: each, vjp: each };
    }
    case "linear":
    case "bilinear": {
      const isLinear = rules.form === "linear";
      const jvp = Object.fromEntries(
        args
          .filter((name) => name in rules.transpose)
          .map((name): [string, Rule] => [
            name,
            (seed, context) =>
              bind(
                original,
                args.map((other, i) => {
                  const input = inputsOf(context)[i];
                  if (other === name) return seed;
                  if (!isLinear || !(other in rules.transpose)) return input;
                  // Zeros that are seen to depend on the tangent alone.
                  return seed.sum().mul(0).broadcastTo(input.shape);
                }),
                context["params"] as Params,
              ),
          ]),
      );
      const refused = Object.fromEntries(
        args
          .filter((name) => !(name in rules.transpose))
          .map((name) => [name, { nonDifferentiable: "it is a constant" }]),
      );
      return { form: "written", jvp: { ...jvp, ...refused }, vjp: { ...rules.transpose, ...refused } };
    }
    default:
      return undefined;
  }
}

/** Both modes in a statement of their own: nor may a law catch this. */
export function inTwoStatements(original: Primitive, dtype: Mutant["dtype"]): Mutant | undefined {
  const rules = asWritten(original);
  return (
    rules && plant(original, "two statements", "", { rules, residuals: residualsOfAll(original) }, dtype)
  );
}

/** Where a partial derivative is a rule of its own it sees all inputs and the output, whatever it uses of them. */
const residualsOfAll = ({ rules, args, residuals }: Primitive): number[] =>
  residuals.map((bits) => (rules.form === "diagonal" ? bits | ((1 << args.length) - 1) | outputBit : bits));

const sides = [
  ["JVP alone", "jvp"],
  ["VJP alone", "vjp"],
] as const;

/** Faults in one mode alone, where the record has one statement for both. */
function* ofOneMode(original: Primitive): Generator<Mutant> {
  const right = asWritten(original);
  if (right === undefined) return;
  const residuals = residualsOfAll(original);
  for (const [mode, side] of sides) {
    for (const [arg, rule] of Object.entries(functionsOf(right[side]))) {
      const withRule = (wrong: Rule): Changes => ({
        rules: { ...right, [side]: { ...right[side], [arg]: wrong } },
        residuals,
      });
      for (const fault of ["sign flipped", "factor missing", "rule is zero", "float32 constant"] as const)
        yield plant(
          original,
          fault,
          `${mode}, of ${arg}`,
          withRule((seed, context) => wrongResults[fault](rule(seed, context), seed)),
        );
    }
  }
}

/** Conventions at kinks that one mode does not keep, whatever the form of the record. */
function* ofKinksInOneMode(original: Primitive): Generator<Mutant> {
  const right = original.rules.form === "written" ? original.rules : asWritten(original);
  if (right === undefined) return;
  const inputBits = original.args.reduce((bits, _, i) => bits | (1 << i), outputBit);
  for (const [mode, side] of sides)
    for (const [arg, rule] of Object.entries(functionsOf(right[side]))) {
      const planted = (
        place: string,
        wrong: (found: Value, seed: Value, context: Context) => Value,
      ): Mutant =>
        plant(original, "kink convention changed in one mode", `${mode}, of ${arg}, ${place}`, {
          rules: {
            ...right,
            [side]: {
              ...right[side],
              [arg]: ((seed, context) => wrong(rule(seed, context), seed, context)) satisfies Rule,
            },
          },
          residuals: original.residuals.map((bits) => bits | inputBits),
        });
      const inputsIn = (context: Context): Value[] => original.args.map((name) => context[name] as Value);
      for (const at of original.kinks.flatMap(finiteScalars))
        yield planted(`at (${at.join(", ")})`, (found, _, context) =>
          where(isAt(inputsIn(context), at), found.onesLike().mul(0.375), found),
        );
      // Of whole calls: the derivative of a point beside, which has no ties, or is on another side of a bound.
      if (original.kinks.some(({ params }) => params !== undefined))
        for (const step of [1e-6, -1e-6])
          yield planted(step > 0 ? "ties go to the last" : "ties go to the first", (_, seed, context) => {
            const params = context["params"] as Params;
            const moved = inputsIn(context).map((x) => x.add(ramp(x).mul(step)));
            const others = Object.fromEntries(original.args.map((name, i) => [name, moved[i]]));
            return rule(seed, { ...context, ...others, output: bind(original, moved, params) });
          });
    }
}

/** 1, 2, 3 ... in the shape of a value. */
const ramp = (like: Value): Value =>
  like.size === 0 ? like : like.onesLike().reshape([like.size]).cumsum().reshape(like.shape);

/** Where a kink is, if it is a call of finite numbers. */
const finiteScalars = ({ at }: Kink): number[][] => {
  const numbers = at.filter((x) => typeof x === "number" && Number.isFinite(x)) as number[];
  return numbers.length === at.length ? [numbers] : [];
};

const isAt = (inputs: readonly Value[], kink: readonly number[]): Value =>
  kink.map((at, i) => inputs[i].eq(at)).reduce((a, b) => a.and(b));

function* ofDiagonal(original: Primitive, rules: Rules & { form: "diagonal" }): Generator<Mutant> {
  const withPartial = (i: number, partial: (...xs: Value[]) => Value): Rules => ({
    ...rules,
    partials: rules.partials.map((own, k) => (k === i ? partial : own)),
  });
  const allInputs = (1 << original.args.length) - 1;
  for (const [i, partial] of rules.partials.entries()) {
    const place = `partial of ${original.args[i]}`;
    for (const [fault, wrong] of Object.entries(wrongPartials))
      yield plant(original, fault, place, { rules: withPartial(i, (...xs) => wrong(partial(...xs))) });
    for (const [k, other] of rules.partials.entries())
      if (k !== i)
        yield plant(original, "wrong operand", place, {
          rules: withPartial(i, other),
          residuals: original.residuals.map((bits, a) => (a === i ? bits | original.residuals[k] : bits)),
        });
    if (original.args.length === 2)
      yield plant(original, "operands exchanged", place, {
        rules: withPartial(i, (x, y, output) => partial(y, x, output)),
        residuals: original.residuals.map((bits) => bits | allInputs),
      });
    // In both modes: what the record documents is then not what it does.
    for (const at of original.kinks.flatMap(finiteScalars))
      yield plant(original, "kink convention changed", `${place} at (${at.join(", ")})`, {
        rules: withPartial(i, (...xs) => {
          const right = partial(...xs);
          return where(isAt(xs, at), right.onesLike().mul(0.375), right);
        }),
        residuals: original.residuals.map((bits) => bits | allInputs),
      });
  }
}

/** A derivative where there is none: that of a surrogate. */
function* ofZero(original: Primitive): Generator<Mutant> {
  const floats = original.args.length === 1 && original.elementwise;
  if (!floats) return;
  yield plant(original, "derivative where there is none", "", {
    rules: { form: "diagonal", partials: [(x) => x.onesLike()] },
    residuals: [1],
  });
}

function* ofMultiple(original: Primitive, rules: MultipleRules): Generator<Mutant> {
  const each =
    (wrong: (one: Value) => Value) =>
    (all: readonly (Value | null)[]): (Value | null)[] =>
      all.map((one) => (one === null ? null : wrong(one)));
  const faults: Readonly<Record<string, (all: readonly (Value | null)[]) => (Value | null)[]>> = {
    ...Object.fromEntries(
      Object.entries(wrongNumbers).map(([fault, wrong]) => [fault, each(wrong)] as const),
    ),
    "branch dropped": (all) =>
      all.map((one, i) => (i === all.findIndex((other) => other !== null) ? null : one)),
    "last branch dropped": (all) =>
      all.map((one, i) => (i === all.findLastIndex((other) => other !== null) ? null : one)),
  };
  const pulled = (change: (found: Pullback) => Pullback): MultipleRules => ({
    ...rules,
    vjp: (inputs, wanted, params) => change(rules.vjp(inputs, wanted, params)),
  });
  for (const [fault, wrong] of Object.entries(faults)) {
    yield plant(original, fault, "JVP", {
      rules: {
        ...rules,
        jvp: (inputs, tangents, params) => {
          const found = rules.jvp(inputs, tangents, params);
          return { outputs: found.outputs, tangents: wrong(found.tangents) };
        },
      },
    });
    yield plant(original, fault, "JVP, of the tangents given", {
      rules: { ...rules, jvp: (inputs, tangents, params) => rules.jvp(inputs, wrong(tangents), params) },
    });
    yield plant(original, fault, "VJP", {
      rules: pulled((found) => ({ ...found, pull: (cotangents) => wrong(found.pull(cotangents)) })),
    });
    yield plant(original, fault, "VJP, of the cotangents given", {
      rules: pulled((found) => ({ ...found, pull: (cotangents) => found.pull(wrong(cotangents)) })),
    });
  }
  // The values that come along with a derivative.
  const off = (outputs: readonly Value[]): Value[] =>
    outputs.map((output) => (output.aval.floating ? output.mul(1.5) : output));
  yield plant(original, "primal wrong", "JVP", {
    rules: {
      ...rules,
      jvp: (inputs, tangents, params) => {
        const found = rules.jvp(inputs, tangents, params);
        return { ...found, outputs: off(found.outputs) };
      },
    },
  });
  yield plant(original, "primal wrong", "VJP", {
    rules: pulled((found) => ({ ...found, outputs: off(found.outputs) })),
  });
  const { batch, evaluate } = rules;
  for (const [fault, wrong] of Object.entries(wrongBatches))
    yield plant(original, fault, "batching", {
      rules: {
        ...rules,
        batch: (inputs, batched, params) => {
          const found = batch(inputs, batched, params);
          return { ...found, outputs: found.outputs.map((one, i) => (found.batched[i] ? wrong(one) : one)) };
        },
      },
    });
  yield plant(original, "one for all", "batching", {
    rules: {
      ...rules,
      batch: (inputs, batched, params) => {
        const found = batch(inputs, batched, params);
        const outputs = found.outputs.map((one, i) =>
          found.batched[i] && one.shape[0] > 0 ? one.at(0) : one,
        );
        return { outputs, batched: found.batched.map((mark, i) => mark && found.outputs[i].shape[0] === 0) };
      },
    },
  });
  if (evaluate === undefined) return;
  yield plant(original, "outputs shifted", "evaluation", {
    rules: {
      ...rules,
      evaluate: (inputs, params) =>
        evaluate(inputs, params).map((one) => (one.aval.floating ? shifted(one).concrete() : one)),
    },
  });
}

const wrongBatches: Readonly<Record<string, (right: Value) => Value>> = {
  "batch reversed": (right) => right.flip(0),
  "first element for all": (right) =>
    right.shape[0] === 0 ? right : right.at(0).expandDims(0).broadcastTo(right.shape),
  "batch axis at the end": (right) =>
    right.transpose([...right.shape.keys()].map((i, _, all) => (i + 1) % all.length)),
};

/** A batching rule that gives something else than one by one. */
function* ofBatching(original: Primitive): Generator<Mutant> {
  const { batch } = original;
  if (batch === undefined) return;
  const withRule = (rule: BatchRule<Params>): Changes => ({ batch: rule });
  for (const [fault, wrong] of Object.entries(wrongBatches))
    yield plant(
      original,
      fault,
      "batching",
      withRule((...call) => wrong(batch(...call))),
    );
  for (const { key, change } of changedParams(paramsOfAny(original)))
    yield plant(
      original,
      "wrong parameter",
      `batching, ${key}`,
      withRule((inputs, batched, params) => batch(inputs, batched, change(params))),
    );
}

/** Abstract evaluation that is not what the kernel does. */
function* ofInference(original: Primitive): Generator<Mutant> {
  const shapes: Readonly<Record<string, (shape: readonly number[]) => number[]>> = {
    "one element more": (shape) =>
      shape.length === 0 ? [] : [...shape.slice(0, -1), shape[shape.length - 1] + 1],
    "axes reversed": (shape) => [...shape].reverse(),
    "an axis of 1 more": (shape) => [1, ...shape],
  };
  const ofAval = (change: (right: Aval) => Aval): Changes => {
    const { rules, infer } = original;
    if (rules.form !== "multiple") return { infer: (inputs, params) => change(infer(inputs, params)) };
    return { rules: { ...rules, shapes: (avals, params) => rules.shapes(avals, params).map(change) } };
  };
  for (const [fault, change] of Object.entries(shapes))
    yield plant(
      original,
      `shape: ${fault}`,
      "abstract evaluation",
      ofAval((right) => avalOf(change(right.shape), right.dtype)),
    );
  for (const dtype of ["float64", "float32"] as const)
    yield plant(
      original,
      "dtype: another",
      `abstract evaluation in ${dtype}`,
      ofAval((right) => {
        const other = dtype === "float64" ? "float32" : "float64";
        return right.withDType(right.floating ? other : right.dtype === "bool" ? "int32" : "bool");
      }),
      dtype,
    );
}

/** A residual that the rules read and the tape does not keep. */
function* ofResiduals(original: Primitive): Generator<Mutant> {
  const { rules } = original;
  const read =
    rules.form === "written"
      ? functionsOf(rules.vjp)
      : "transpose" in rules
        ? functionsOf(rules.transpose)
        : undefined;
  for (const [i, bits] of original.residuals.entries()) {
    if (read !== undefined && !(original.args[i] in read)) continue;
    for (const bit of [...original.args.map((_, k) => 1 << k), outputBit])
      if (bits & bit) {
        const what = bit === outputBit ? "output" : original.args[Math.log2(bit)];
        yield plant(original, "residual not saved", `VJP of ${original.args[i]}, ${what}`, {
          residuals: original.residuals.map((own, k) => (k === i ? own & ~bit : own)),
        });
      }
  }
}

/** What it says that it costs. */
function* ofCost(original: Primitive): Generator<Mutant> {
  const { cost } = original;
  const faults: Readonly<Record<string, (right: number) => number>> = {
    "cost negative": (right) => -1 - right,
    "cost that of one element": (right) => Math.min(1, right),
    "cost squared": (right) => right ** 2,
  };
  // A batching rule applies the record that it belongs to, so that a copy would not be seen.
  for (const [fault, wrong] of Object.entries(faults))
    yield plantInPlace(original, fault, "cost", { cost: (...call) => wrong(cost(...call)) });
}

/** Faults of kernels that floats do not have. */
const wrongWholeNumbers: readonly (readonly [
  dtype: "int32" | "bool",
  fault: string,
  change: (right: number, aval: Aval) => number,
])[] = [
  ["int32", "off by one", (x, { dtype }) => (dtype === "bool" ? 1 - x : x + 1)],
  ["int32", "kept in float32", Math.fround],
  ["bool", "the other one", (x, { dtype }) => (dtype === "bool" ? 1 - x : x + 1)],
];

/** Those whose results are large where numbers are. */
const wrapping = new Set("add sub mul neg abs square sum prod cumsum dotGeneral scatterAdd".split(" "));

/** Kernels that are wrong where vectors end, by rounding, in what they read. */
function* ofKernels(original: Primitive): Generator<Mutant> {
  if (!jsBackend.kernels.has(original.name)) return;
  const changed =
    (change: (data: TypedArray, aval: Aval) => void, ofFloats = false) =>
    (kernel: Kernel): Kernel =>
    (inputs, aval, params) => {
      const right = jsBackend.toHostSync(kernel(inputs, aval, params), aval).slice();
      if (!ofFloats || isFloating(aval.dtype)) change(right, aval);
      return jsBackend.fromHost(right, aval);
    };
  const vectors = [2, 4, 8, 16] as const;
  const faults: Readonly<Record<string, (kernel: Kernel) => Kernel>> = {
    ...Object.fromEntries(
      vectors.map((width) => [
        `tail of a vector of ${width}`,
        changed((data) => {
          for (let i = data.length - (data.length % width); i < data.length; i++)
            data[i] = data[i] === 0 ? 1 : 0;
        }),
      ]),
    ),
    "last element": changed((data) => {
      if (data.length > 0) data[data.length - 1] = data[data.length - 1] === 0 ? 1 : 0;
    }),
    "elements shifted by one": changed((data) => data.copyWithin(1, 0)),
    "wrong stride": changed((data, { shape }) => {
      if (shape.length < 2) return;
      const [rows, columns] = [shape[shape.length - 2], shape[shape.length - 1]];
      const right = data.slice();
      for (let start = 0; start < data.length; start += rows * columns)
        for (let k = 0; k < rows * columns; k++)
          data[start + k] = right[start + (k % rows) * columns + Math.floor(k / rows)];
    }),
    "rounded to float32": changed((data) => {
      for (let i = 0; i < data.length; i++) data[i] = Math.fround(data[i]);
    }, true),
    "off by a millionth": changed((data) => {
      for (let i = 0; i < data.length; i++) data[i] *= 1 + 1e-6;
    }, true),
  };
  for (const [fault, kernel] of Object.entries(faults)) yield plant(original, fault, "kernel", { kernel });
  for (const [dtype, fault, change] of wrongWholeNumbers)
    if (takes(original, dtype) && (fault !== "kept in float32" || wrapping.has(original.name)))
      yield plant(
        original,
        fault,
        `kernel in ${dtype}`,
        {
          kernel: (kernel) => (inputs, aval, params) =>
            inputs.every((input) => isFloating(input.dtype))
              ? kernel(inputs, aval, params)
              : changed((data) => data.forEach((x, i) => (data[i] = change(x, aval))))(kernel)(
                  inputs,
                  aval,
                  params,
                ),
        },
        dtype,
      );
  if (original.args.length === 2 && !original.variadic)
    yield plant(original, "operands exchanged", "kernel", {
      kernel:
        (kernel) =>
        ([x, y], ...rest) =>
          x.aval.toString() === y.aval.toString() ? kernel([y, x], ...rest) : kernel([x, y], ...rest),
    });
  const tied = { lt: "le", le: "lt", gt: "ge", ge: "gt" }[original.name];
  if (tied !== undefined)
    yield plant(original, "ties the other way", "kernel", {
      kernel: () => jsBackend.kernels.get(tied) as Kernel,
    });
  for (const { key, change } of changedParams(paramsOfAny(original)))
    yield plant(original, "wrong parameter", `kernel, ${key}`, {
      kernel: (kernel) => (inputs, aval, params) => kernel(inputs, aval, change(params)),
    });
}

function* ofDecomposition(original: Primitive): Generator<Mutant> {
  const { decompose } = original;
  if (decompose === undefined) return;
  for (const fault of ["sign flipped", "off by one", "transposed", "float32 constant"] as const)
    yield plant(original, fault, "decomposition", {
      decompose: (inputs, params) => wrongNumbers[fault](decompose(inputs, params)),
      kernel: null,
    });
}

function* ofRules(original: Primitive): Generator<Mutant> {
  const { rules } = original;
  switch (rules.form) {
    case "diagonal":
      yield* ofDiagonal(original, rules);
      break;
    case "linear":
    case "bilinear":
      yield* ofWrittenRules(original, "transpose", functionsOf(rules.transpose), (arg, rule) => ({
        ...rules,
        transpose: { ...rules.transpose, [arg]: rule },
      }));
      break;
    case "written":
      for (const [mode, side] of [
        ["JVP", "jvp"],
        ["VJP", "vjp"],
      ] as const)
        yield* ofWrittenRules(original, mode, functionsOf(rules[side]), (arg, rule) => ({
          ...rules,
          [side]: { ...rules[side], [arg]: rule },
        }));
      break;
    case "zero":
      yield* ofZero(original);
      break;
    case "multiple":
      yield* ofMultiple(original, rules);
      break;
    default:
  }
}

/** All mutants of a primitive, one at a time; each is to be removed after use. */
export function* mutantsOf(original: Primitive): Generator<Mutant> {
  yield* ofRules(original);
  yield* ofOneMode(original);
  yield* ofKinksInOneMode(original);
  yield* ofResiduals(original);
  yield* ofBatching(original);
  yield* ofInference(original);
  yield* ofCost(original);
  yield* ofKernels(original);
  yield* ofDecomposition(original);
}
