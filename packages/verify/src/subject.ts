/** What the laws are about: a function of float inputs at a point, on a backend. */
import {
  type Backend,
  type FloatDType,
  type Value,
  avalOf,
  bind,
  bindMultiple,
  fromHost,
  hostArray,
  isFloating,
  profile,
} from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { vjp } from "@cotangent/reverse-mode";
import { type Call, type HostInput, showCall } from "./draw.ts";

/** A function of several float values with several outputs, and a point at which it is smooth. */
export interface Subject {
  /** How to say it in a message: TypeScript that can be pasted. */
  readonly text: string;
  readonly point: readonly HostInput[];
  /** How far the point may be moved in a direction of size 1. */
  readonly room: number;
  /** On the backend of its arguments; `like` makes what it needs beside them. */
  apply(inputs: readonly Value[], constants: readonly Value[]): Value[];
  /** Inputs that are not differentiated (indices, conditions). */
  readonly constants: readonly HostInput[];
}

/** A call of a primitive as a function of its float inputs. */
export function subjectOf(call: Call): Subject {
  const isFloat = call.inputs.map((input) => isFloating(input.dtype));
  return {
    text: showCall(call),
    room: call.room,
    point: call.inputs.filter((_, i) => isFloat[i]),
    constants: call.inputs.filter((_, i) => !isFloat[i]),
    apply: (inputs, constants) => {
      let [nextInput, nextConstant] = [0, 0];
      const all = isFloat.map((float) => (float ? inputs[nextInput++] : constants[nextConstant++]));
      return call.primitive.rules.form === "multiple"
        ? bindMultiple(call.primitive, all, call.params)
        : [bind(call.primitive, all, call.params)];
    },
  };
}

/** Where a subject is run. */
export interface Setting {
  readonly backend: Backend;
  readonly dtype: FloatDType;
  /** The trusted backend, which has float64: what differences and comparisons are computed on. */
  readonly reference: Backend;
}

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
  return fromHost(host, avalOf(value.shape, value.dtype), value.backend);
}

/** A subject on a backend: its inputs as tensors, and the derivatives in lists. */
export class Instance {
  readonly inputs: readonly Value[];
  readonly #constants: readonly Value[];
  readonly #subject: Subject;
  /** Primitives evaluated so far, and the longest sum among them: what rounding errors grow with. */
  evaluations = 0;

  constructor(subject: Subject, backend: Backend, dtype: FloatDType) {
    this.#subject = subject;
    this.inputs = subject.point.map((input) => upload(input, backend, dtype));
    this.#constants = subject.constants.map((input) => upload(input, backend, dtype));
  }

  readonly apply = (...inputs: Value[]): Value[] => this.#subject.apply(inputs, this.#constants);

  /** The outputs that have derivatives. */
  readonly smooth = (...inputs: Value[]): Value[] =>
    this.apply(...inputs).filter((output) => output.aval.floating);

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
}
