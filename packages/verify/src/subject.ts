/** What the laws are about: a function of float inputs at a point, on a backend. */
import {
  type Backend,
  type DType,
  type FloatDType,
  type Primitive,
  type Value,
  avalOf,
  bind,
  bindMultiple,
  fromHost,
  hostArray,
  type Params,
  isFloating,
  paramsOf,
  profile,
} from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import { shapeFeatures } from "./coverage.ts";
import { Relocated, Relocation } from "./relocation.ts";
import { type Call, type HostInput, type RecordedDraw, type WholeDType, showBind, showCall } from "./draw.ts";

/** A function of several float values with several outputs, and a point at which it is smooth. */
export interface Subject {
  /** How to say it in a message: TypeScript that can be pasted. */
  readonly text: string;
  /** The function alone, where it has a text. */
  readonly shown?: ShownFunction;
  readonly point: readonly HostInput[];
  /** How far the point may be moved in a direction of size 1. */
  readonly room: number;
  /** The call that it is, if it is one of a primitive. */
  readonly call?: SubjectCall;
  /** On the backend of its arguments. */
  apply(inputs: readonly Value[], constants: readonly Value[]): Value[];
  /** Inputs that are not differentiated (indices, conditions). */
  readonly constants: readonly HostInput[];
  /** What is worth counting in it: shapes of its arguments, kinds of a program's steps. */
  readonly features?: readonly string[];
  /** The function whose derivative it has in place of that of its own values, on purpose. */
  readonly surrogateFor?: (inputs: readonly Value[], constants: readonly Value[]) => Value[];
  /** Whether its results are the same on every backend to the last bit, as those of random bits are. */
  readonly exact?: boolean;
  /** Other inputs and constants of the same shapes, at which it is smooth too. */
  another?(draw: RecordedDraw): readonly HostInput[];
  /** Smaller subjects of the same kind, each by one thing, for shrinking. */
  smaller?(): Iterable<Subject>;
  /** What the subject says of its own derivatives, where there are none on purpose. */
  readonly cut?: Cut;
  /**
   * Whether terms of an adjoint are added in another order when it is staged: eager code runs a branch as part of what
   * is around it, a graph as a node whose adjoints are added up by themselves.
   */
  readonly regroups?: boolean;
  /** Whether each run makes a graph that keeps tensors until it is collected. */
  readonly keepsGraphs?: boolean;
  /** The modes in which it can be differentiated; by default both. */
  readonly modes?: readonly Mode[];
  /** Whether it may make tensors, or close over some, that are not where its inputs are. */
  readonly closes?: boolean;
  /** Why no law has anything to say of it. */
  readonly refusal?: string;
}

/** A function of inputs, then constants, that gives an array of values: as TypeScript. */
export interface ShownFunction {
  /** Lines that define what it needs. */
  readonly before: string;
  readonly f: string;
}

/** One call of a primitive. */
export interface SubjectCall {
  readonly primitive: Primitive;
  readonly params: Params;
  /** As it was drawn. */
  readonly drawn: Call;
  /** On inputs in the order of the primitive's arguments. */
  apply(inputs: readonly Value[]): Value[];
  /** Inputs and constants in that order. */
  arranged(inputs: readonly Value[], constants: readonly Value[]): Value[];
}

export type Mode = "forward" | "reverse";

const bothModes: readonly Mode[] = ["forward", "reverse"];
export const modesOf = ({ modes = bothModes }: Subject): readonly Mode[] => modes;
export const hasMode = (subject: Subject, mode: Mode): boolean => modesOf(subject).includes(mode);

/** Both modes in every order; the inner one first. */
export type Composition = "forward of reverse" | "reverse of forward" | "reverse of reverse";

/** Those that a subject has. */
export function compositionsOf(subject: Subject): readonly Composition[] {
  if (!hasMode(subject, "reverse")) return [];
  const mixed: readonly Composition[] = ["forward of reverse", "reverse of forward"];
  return [...(hasMode(subject, "forward") ? mixed : []), "reverse of reverse"];
}

/** A function without derivatives: they are zero, or asking for one is refused. */
export type Cut = "zero" | "refused";

/** Whether a primitive has no derivative on purpose; undefined where it has one. */
export function cutOf({ rules }: Primitive): Cut | undefined {
  if (rules.form === "zero") return "zero";
  if (rules.form === "nonDifferentiable") return "refused";
  if (rules.form !== "written") return undefined;
  return Object.values(rules.vjp).every((rule) => typeof rule !== "function") ? "refused" : undefined;
}

/** Whether an input has a derivative, so that a subject may differentiate with respect to it. */
function isDifferentiated({ primitive: { rules, args, variadic }, inputs }: Call, i: number): boolean {
  if (!isFloating(inputs[i].dtype)) return false;
  const name = args[variadic ? 0 : i];
  if (rules.form === "linear") return name in rules.transpose;
  return rules.form !== "written" || typeof rules.vjp[name] === "function";
}

/** Inputs and constants in the order of the arguments, of which some are inputs. */
export const inOrderOf =
  (isInput: readonly boolean[]) =>
  (inputs: readonly Value[], constants: readonly Value[]): Value[] => {
    let [nextInput, nextConstant] = [0, 0];
    return isInput.map((input) => (input ? inputs[nextInput++] : constants[nextConstant++]));
  };

/** Where each argument is among the inputs and then the constants. */
export function orderOf(isInput: readonly boolean[]): number[] {
  let [nextInput, nextConstant] = [0, isInput.filter(Boolean).length];
  return isInput.map((input) => (input ? nextInput++ : nextConstant++));
}

/** A call of a primitive as a function of its float inputs; those without a derivative of their own are constants. */
export function subjectOf(call: Call): Subject {
  const cut = cutOf(call.primitive);
  const hasDerivative = call.inputs.map((input, i) =>
    cut === undefined ? isDifferentiated(call, i) : isFloating(input.dtype),
  );
  const some = hasDerivative.map((has, i) => has && !call.fixed[i]);
  const isInput = some.includes(true) ? some : hasDerivative;
  const arranged = inOrderOf(isInput);
  const paramsFor = (all: readonly Value[]): Params => {
    const float = all.find((value) => value.aval.floating)?.dtype as FloatDType | undefined;
    return paramsOf(call, float ?? call.dtype);
  };
  const apply = (all: readonly Value[]): Value[] =>
    call.primitive.rules.form === "multiple"
      ? bindMultiple(call.primitive, all, paramsFor(all))
      : [bind(call.primitive, all, paramsFor(all))];
  const { surrogateFor } = call.primitive;
  const operands = `[${orderOf(isInput)
    .map((i) => `x${i}`)
    .join(", ")}]`;
  const bound = showBind(call, operands);
  const parameters = isInput.map((_, i) => `x${i}: Value`).join(", ");
  const result = call.primitive.rules.form === "multiple" ? bound : `[${bound}]`;
  return {
    text: showCall(call),
    ...(bound !== undefined && { shown: { before: "", f: `(${parameters}) => ${result}` } }),
    call: { primitive: call.primitive, params: paramsOf(call, call.dtype), apply, arranged, drawn: call },
    room: call.room,
    point: call.inputs.filter((_, i) => isInput[i]),
    constants: call.inputs.filter((_, i) => !isInput[i]),
    features: shapeFeatures(call.primitive, call.inputs),
    another: (draw) => {
      const inputs = call.another(draw);
      return [...inputs.filter((_, i) => isInput[i]), ...inputs.filter((_, i) => !isInput[i])];
    },
    exact: cut === "zero" && !call.inputs.some(({ dtype }) => isFloating(dtype)),
    apply: (inputs, constants) => apply(arranged(inputs, constants)),
    ...(surrogateFor !== undefined && {
      surrogateFor: (inputs: readonly Value[], constants: readonly Value[]) => {
        const all = arranged(inputs, constants);
        return [surrogateFor(all, paramsFor(all))];
      },
    }),
    ...(cut !== undefined && { cut }),
    ...(call.whole?.refusal !== undefined && { refusal: call.whole.refusal }),
  };
}

/** Where a subject is run. */
export interface Setting {
  readonly backend: Backend;
  readonly dtype: FloatDType;
  /** The trusted backend, which has float64: what differences and comparisons are computed on. */
  readonly reference: Backend;
  /** What samples of primitives have in place of floats; `dtype` is then that of what floats come of it. */
  readonly whole?: WholeDType;
}

/** The setting for a dtype, whole numbers among them; these with the backend's own floats. By default the latter alone. */
export function settingIn(backend: Backend, reference: Backend, dtype?: DType): Setting {
  const own = backend.defaultDType === "float64" ? "float64" : "float32";
  if (dtype === undefined || isFloating(dtype)) return { backend, reference, dtype: dtype ?? own };
  return { backend, reference, dtype: own, whole: dtype };
}

/** The dtype under test. */
export const dtypeOf = ({ dtype, whole }: Setting): DType => whole ?? dtype;

export function upload({ shape, dtype, data }: HostInput, backend: Backend, float: FloatDType): Value {
  const own = isFloating(dtype) ? float : dtype;
  const host = hostArray(own, data.length);
  host.set(data);
  return fromHost(host, avalOf(shape, own), backend);
}

/** Host numbers in the shape of a value, as a tangent or cotangent of it. */
export function shapedLike(value: Value, data: ArrayLike<number>): Value {
  const host = hostArray(value.dtype, value.size);
  host.set(data);
  const found = fromHost(host, avalOf(value.shape, value.dtype), value.backend);
  return value instanceof Relocated ? value.owner.of(found) : found;
}

export const sizeOfAll = (values: readonly Value[]): number =>
  values.reduce((size, value) => size + value.size, 0);

/** Host numbers as tangents or cotangents of several values, one after the other. */
export function directions(values: readonly Value[], numbers: Float64Array): Value[] {
  let start = 0;
  return values.map((value) => shapedLike(value, numbers.subarray(start, (start += value.size))));
}

/** A subject on a backend: its inputs as tensors, and the derivatives in lists. */
export class Instance {
  readonly inputs: readonly Value[];
  readonly constants: readonly Value[];
  readonly #subject: Subject;
  /** Primitives evaluated so far: what rounding errors grow with. */
  evaluations = 0;

  /** @param relocation of a subject elsewhere than where it is judged. */
  constructor(subject: Subject, backend: Backend, dtype: FloatDType, relocation?: Relocation) {
    this.#subject = subject;
    const placed = (input: HostInput): Value => {
      const value = upload(input, backend, dtype);
      return relocation === undefined ? value : relocation.of(value);
    };
    this.inputs = subject.point.map(placed);
    this.constants = subject.constants.map(placed);
  }

  /** The same subject in float64 on another backend, at the very point at which this one stands after rounding. */
  inFloat64(backend: Backend): Instance {
    const exact = (inputs: readonly HostInput[], values: readonly Value[]): HostInput[] =>
      inputs.map((input, i) => ({ ...input, data: Float64Array.from(values[i].dataSync()) }));
    const { point, constants } = this.#subject;
    const subject = {
      ...this.#subject,
      point: exact(point, this.inputs),
      constants: exact(constants, this.constants),
    };
    return new Instance(subject, backend, "float64", subject.closes === true ? new Relocation() : undefined);
  }

  readonly apply = (...inputs: Value[]): Value[] => this.#subject.apply(inputs, this.constants);

  /** The subject with other constants too. */
  applyTo(inputs: readonly Value[], constants: readonly Value[]): Value[] {
    return this.#subject.apply(inputs, constants);
  }

  /** The outputs that have derivatives. */
  readonly smooth = (...inputs: Value[]): Value[] =>
    this.apply(...inputs).filter((output) => output.aval.floating);

  /** What its derivatives are derivatives of: its outputs, but for a surrogate. */
  readonly differentiated = (...inputs: Value[]): Value[] => {
    const { surrogateFor } = this.#subject;
    return surrogateFor === undefined ? this.smooth(...inputs) : surrogateFor(inputs, this.constants);
  };

  /** The inputs, moved so far in a direction. */
  moved(direction: Float64Array, by: number): Value[] {
    let next = 0;
    return this.inputs.map((input) => {
      const data = input.dataSync();
      for (let i = 0; i < data.length; i++) data[i] += by * direction[next++];
      return shapedLike(input, data);
    });
  }

  counted<T>(body: () => T): T {
    const { result, evaluations } = profile(body);
    this.evaluations += evaluations;
    return result;
  }

  jvp(tangents: readonly Value[]): Value[] {
    return this.counted(() => jvp(this.smooth, [...this.inputs], [...tangents])[1]);
  }

  vjp(cotangents: readonly Value[]): Value[] {
    return this.counted(() => vjp(this.smooth, ...this.inputs)[1]([...cotangents]));
  }

  /** The same for several cotangents, by one pullback. */
  vjps(all: readonly (readonly Value[])[]): Value[][] {
    return this.counted(() => {
      const [, pullback] = vjp(this.smooth, ...this.inputs);
      return all.map((cotangents) => pullback([...cotangents]));
    });
  }
}
