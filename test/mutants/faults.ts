/** Faults that are planted in the registry's own records and kernels, each as a primitive beside the right one. */
import {
  type BatchRule,
  type Kernel,
  type MultipleRules,
  type Params,
  type Primitive,
  type Pullback,
  type Rules,
  type TypedArray,
  type Value,
  isFloating,
  JsBackend,
  jsBackend,
  primitives,
  where,
} from "cotangent";

/** A primitive with one fault in it. */
export interface Mutant {
  /** The primitive, where in its record the fault is, and which: "matmul: VJP of y, sign". */
  readonly name: string;
  readonly primitive: Primitive;
  readonly of: string;
  readonly original: Primitive;
  /** The kind of fault, by which they are counted. */
  readonly fault: string;
  /** In which it is judged. */
  readonly dtype: "float64" | "float32";
  /** Gives back what was planted. */
  readonly remove: () => void;
}

/** What can be wrong with a tangent or a cotangent that a rule gives. */
const wrongResults: Readonly<Record<string, (right: Value, seed: Value) => Value>> = {
  "sign flipped": (right) => right.neg(),
  "factor missing": (right) => right.mul(2),
  "rule is zero": (right) => right.mul(0),
  "float32 constant": (right) => right.mul(1 + 2 ** -26),
  "elements shifted by one": (right) => shifted(right),
  "axes exchanged": (right) => (right.rank < 2 ? right : swappedAxes(right)),
  "un-broadcast missing": (right, seed) => (seed.size > right.size ? right.broadcastTo(seed.shape) : right),
  "shape lost": (right) => right.reshape([right.size]),
  "dtype lost": (right) => right.astype("float64"),
};

/** Faults that cannot be in a partial derivative, whose shape and dtype are those of what it multiplies. */
const ofShapes = ["un-broadcast missing", "shape lost", "dtype lost"];

/** Faults of derivatives of derivatives: the rule is right, and cannot be differentiated again. */
const wrongAgain: Readonly<Record<string, (right: Value) => Value>> = {
  "cut from its inputs": (right) => right.stopGradient(),
};

/** The elements moved on by one, the last one to the front. */
function shifted(x: Value): Value {
  if (x.size < 2) return x;
  const flat = x.reshape([x.size]);
  const last = flat.slice([x.size - 1], [x.size]);
  return flat
    .slice([0], [x.size - 1])
    .pad([[1, 0]])
    .add(last.pad([[0, x.size - 1]]))
    .reshape(x.shape);
}

/** The last two axes exchanged, in the shape it had. */
const swappedAxes = (x: Value): Value => {
  const axes = Array.from({ length: x.rank }, (_, i) => i);
  axes.splice(x.rank - 2, 2, x.rank - 1, x.rank - 2);
  return x.transpose(axes).reshape(x.shape);
};

/** The backend that runs mutants; the reference has the same kernels without their faults. */
export const faulty: JsBackend = new JsBackend();
Object.assign(faulty, { name: "faulty" });

const registry = primitives() as Map<string, Primitive>;
let planted = 0;

/** A copy of the record under a name of its own, so that nothing prepared for the right one is taken for it. */
function plant(
  original: Primitive,
  fault: string,
  where: string,
  changes: Partial<Pick<Primitive, "rules" | "batch" | "residuals" | "args">>,
  kernelOf: (kernel: Kernel) => Kernel = (kernel) => kernel,
): Mutant {
  const name = `${original.name}, mutant ${++planted}`;
  const primitive = { ...original, ...changes, name };
  const kernel = jsBackend.kernels.get(original.name);
  const multiple = jsBackend.multipleKernels.get(original.name);
  registry.set(name, primitive);
  for (const backend of [jsBackend, faulty]) {
    if (kernel !== undefined) backend.kernels.set(name, backend === faulty ? kernelOf(kernel) : kernel);
    if (multiple !== undefined) backend.multipleKernels.set(name, multiple);
  }
  return {
    name: `${original.name}: ${where === "" ? fault : `${where}, ${fault}`}`,
    of: original.name,
    original,
    fault,
    primitive,
    dtype: fault === "dtype lost" ? "float32" : "float64",
    remove: () => {
      registry.delete(name);
      for (const backend of [jsBackend, faulty]) {
        backend.kernels.delete(name);
        backend.multipleKernels.delete(name);
      }
    },
  };
}

/** The record with no fault, under a name of its own: what no law may catch. */
export const controlOf = (original: Primitive, dtype: "float64" | "float32"): Mutant => ({
  ...plant(original, "no fault", "", {}),
  dtype,
});

type Rule = (seed: Value, context: Readonly<Record<string, unknown>>) => Value;

function* ofWrittenRules(
  original: Primitive,
  mode: string,
  rules: Readonly<Record<string, unknown>>,
  withRule: (arg: string, rule: Rule) => Rules,
): Generator<Mutant> {
  for (const [arg, found] of Object.entries(rules)) {
    if (typeof found !== "function") continue;
    const rule = found as Rule;
    for (const [fault, wrong] of [...Object.entries(wrongResults), ...Object.entries(wrongAgain)])
      yield plant(original, fault, `${mode} of ${arg}`, {
        rules: withRule(arg, (seed, context) => wrong(rule(seed, context), seed)),
      });
    for (const [other, foundOther] of Object.entries(rules))
      if (other !== arg && typeof foundOther === "function")
        yield plant(original, "wrong operand", `${mode} of ${arg}`, {
          rules: withRule(arg, foundOther as Rule),
          // What the other rule reads must be saved for it too.
          residuals: original.residuals.map((bits, i) =>
            original.args[i] === arg ? bits | original.residuals[original.args.indexOf(other)] : bits,
          ),
        });
  }
}

function* ofDiagonal(original: Primitive, rules: Rules & { form: "diagonal" }): Generator<Mutant> {
  const withPartial = (i: number, partial: (...xs: Value[]) => Value): Rules => ({
    ...rules,
    partials: rules.partials.map((own, k) => (k === i ? partial : own)),
  });
  for (const [i, partial] of rules.partials.entries()) {
    const where = `partial of ${original.args[i]}`;
    for (const [fault, wrong] of [...Object.entries(wrongResults), ...Object.entries(wrongAgain)])
      if (!ofShapes.includes(fault))
        yield plant(original, fault, where, {
          rules: withPartial(i, (...xs) => wrong(partial(...xs), xs[0])),
        });
    for (const [k, other] of rules.partials.entries())
      if (k !== i)
        yield plant(original, "wrong operand", where, {
          rules: withPartial(i, other),
          residuals: original.residuals.map((bits, a) => (a === i ? bits | original.residuals[k] : bits)),
        });
  }
  // At a kink, in both modes: what the record documents is then not what it does.
  const [kink] = original.kinks;
  if (kink === undefined || !kink.at.every(Number.isFinite)) return;
  for (const [i, partial] of rules.partials.entries())
    yield plant(original, "kink convention changed", `partial of ${original.args[i]}`, {
      rules: withPartial(i, (...xs) => {
        const isAt = kink.at.map((at, k) => xs[k].eq(at)).reduce((a, b) => a.and(b));
        const right = partial(...xs);
        return where(isAt, right.onesLike().mul(0.375), right);
      }),
    });
}

function* ofMultiple(original: Primitive, rules: MultipleRules): Generator<Mutant> {
  const seeds: Readonly<Record<string, (all: (Value | null)[]) => (Value | null)[]>> = {
    "sign flipped": (all) => all.map((one) => one?.neg() ?? null),
    "factor missing": (all) => all.map((one) => one?.mul(2) ?? null),
    "rule is zero": (all) => all.map((one) => one?.mul(0) ?? null),
    "branch dropped": (all) =>
      all.map((one, i) => (i === all.findIndex((other) => other !== null) ? null : one)),
    "elements shifted by one": (all) => all.map((one) => (one === null ? null : shifted(one))),
  };
  for (const [fault, wrong] of Object.entries(seeds)) {
    yield plant(original, fault, "JVP", {
      rules: {
        ...rules,
        jvp: (inputs, tangents, params) => {
          const { outputs, tangents: right } = rules.jvp(inputs, tangents, params);
          return { outputs, tangents: wrong([...right]) };
        },
      },
    });
    yield plant(original, fault, "VJP", {
      rules: {
        ...rules,
        vjp: (inputs, wanted, params): Pullback => {
          const found = rules.vjp(inputs, wanted, params);
          return { ...found, pull: (cotangents) => wrong(found.pull(cotangents)) };
        },
      },
    });
    yield plant(original, fault, "VJP, of its cotangents", {
      rules: {
        ...rules,
        vjp: (inputs, wanted, params): Pullback => {
          const found = rules.vjp(inputs, wanted, params);
          return { ...found, pull: (cotangents) => found.pull(wrong([...cotangents])) };
        },
      },
    });
  }
}

/** A batching rule that gives something else than one by one. */
function* ofBatching(original: Primitive): Generator<Mutant> {
  const { batch } = original;
  if (batch === undefined) return;
  const faults: Readonly<Record<string, (right: BatchRule<Params>) => BatchRule<Params>>> = {
    "batch reversed": (right) => (inputs, batched, params) => right(inputs, batched, params).flip(0),
    "first element for all": (right) => (inputs, batched, params) => {
      const found = right(inputs, batched, params);
      return found.shape[0] === 0 ? found : found.at(0).expandDims(0).broadcastTo(found.shape);
    },
    "batch axis at the end": (right) => (inputs, batched, params) => {
      const found = right(inputs, batched, params);
      return found.transpose([...found.shape.keys()].map((i, _, all) => (i + 1) % all.length));
    },
  };
  for (const [fault, wrong] of Object.entries(faults))
    yield plant(original, fault, "batching", { batch: wrong(batch) });
}

/** Kernels that are wrong where vectors end, by rounding, by sign. */
function* ofKernels(original: Primitive): Generator<Mutant> {
  if (!jsBackend.kernels.has(original.name)) return;
  const changed =
    (change: (data: TypedArray) => void, isFloat = false) =>
    (kernel: Kernel): Kernel =>
    (inputs, aval, params) => {
      const right = jsBackend.toHostSync(kernel(inputs, aval, params), aval).slice();
      if (!isFloat || isFloating(aval.dtype)) change(right);
      return jsBackend.fromHost(right, aval);
    };
  const faults: Readonly<Record<string, (kernel: Kernel) => Kernel>> = {
    "last element of a vector's tail": changed((data) => {
      const { length } = data;
      if (length % 4 !== 0) data[length - 1] = data[length - 1] === 0 ? 1 : 0;
    }),
    "rounded to float32": changed((data) => {
      for (let i = 0; i < data.length; i++) data[i] = Math.fround(data[i]);
    }, true),
    "off by a millionth": changed((data) => {
      for (let i = 0; i < data.length; i++) data[i] *= 1 + 1e-6;
    }, true),
  };
  for (const [fault, kernelOf] of Object.entries(faults))
    yield plant(original, fault, "kernel", {}, kernelOf);
}

/** All mutants of a primitive, one at a time; each is to be removed after use. */
export function* mutantsOf(original: Primitive): Generator<Mutant> {
  const { rules } = original;
  switch (rules.form) {
    case "diagonal":
      yield* ofDiagonal(original, rules);
      break;
    case "linear":
    case "bilinear":
      yield* ofWrittenRules(original, "transpose", rules.transpose, (arg, rule) => ({
        ...rules,
        transpose: { ...rules.transpose, [arg]: rule },
      }));
      break;
    case "written":
      yield* ofWrittenRules(original, "JVP", rules.jvp, (arg, rule) => ({
        ...rules,
        jvp: { ...rules.jvp, [arg]: rule },
      }));
      yield* ofWrittenRules(original, "VJP", rules.vjp, (arg, rule) => ({
        ...rules,
        vjp: { ...rules.vjp, [arg]: rule },
      }));
      break;
    case "multiple":
      yield* ofMultiple(original, rules);
      break;
    default:
  }
  yield* ofBatching(original);
  yield* ofKernels(original);
}
