import type { Backend, Buffer } from "./backend.ts";
import { BackendError, CotangentError, fail } from "./errors.ts";
import { type Lease, enterScope, unowned } from "./memory.ts";
import type { Params, Primitive } from "./primitive.ts";
import { Tensor } from "./tensor.ts";
import type { Tracer, Value } from "./value.ts";

/**
 * Applies a primitive. The innermost transformation among the inputs (the highest level) interprets it; where no
 * input is traced, the backend computes it.
 */
export function bind(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
  const top = innermost(inputs);
  return top.level === 0
    ? evaluate(primitive, inputs as readonly Tensor[], params)
    : (top as Tracer).owner.process(primitive, inputs, params);
}

/** `bind` for a primitive with several outputs. */
export function bindMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
  const top = innermost(inputs);
  return top.level === 0
    ? evaluateMultiple(primitive, inputs as readonly Tensor[], params)
    : (top as Tracer).owner.processMultiple(primitive, inputs, params);
}

function innermost(inputs: readonly Value[]): Value {
  let top = inputs[0];
  if (top === undefined) fail(CotangentError, "A primitive was applied to no inputs; it needs at least one.");
  for (let i = 1; i < inputs.length; i++) if (inputs[i].level > top.level) top = inputs[i];
  return top;
}

/** Is told of each primitive that a backend evaluates: for counting, profiling and debugging. */
export type Observer = (
  primitive: Primitive,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  params: Params,
) => void;

let observer: Observer | null = null;

/** Runs `body` while `watch` is told of every evaluation. Observers nest: the outer one goes on being told. */
export function observe<T>(watch: Observer, body: () => T): T {
  const outer = observer;
  observer =
    outer === null
      ? watch
      : (...evaluation) => {
          outer(...evaluation);
          watch(...evaluation);
        };
  try {
    return body();
  } finally {
    observer = outer;
  }
}

function evaluate(primitive: Primitive, inputs: readonly Tensor[], params: Params): Tensor {
  const backend = commonBackend(primitive, inputs);
  const aval = primitive.infer(inputs, params);
  const kernel = backend.kernels.get(primitive.name);
  if (kernel === undefined) return decomposed(primitive, backend, inputs, params);
  const buffer = kernel(inputs, aval, params);
  const output = new Tensor(
    aval,
    backend,
    buffer,
    typeof buffer === "number" ? null : sharedLease(buffer, inputs[0]),
  );
  if (observer !== null) observer(primitive, inputs, [output], params);
  return output;
}

/** A kernel that only relabels (reshape) gives back its input's buffer, which the two tensors then share. */
export function sharedLease(buffer: Buffer, first: Tensor): Lease | null {
  return first.buffer === buffer ? first.lease : null;
}

function evaluateMultiple(primitive: Primitive, inputs: readonly Tensor[], params: Params): Tensor[] {
  const backend = commonBackend(primitive, inputs);
  const { rules } = primitive;
  if (rules.form !== "multiple") fail(CotangentError, `${primitive.name} has one output; bind it with bind.`);
  const kernel = backend.multipleKernels.get(primitive.name);
  if (kernel === undefined) {
    const { evaluate } = rules;
    if (evaluate === undefined) refuseKernel(primitive, backend, inputs);
    // What it evaluates is observed one by one; the whole is not counted again.
    const outputs = unowned(() => evaluate(inputs, params));
    outputs.forEach(enterScope);
    return outputs;
  }
  const avals = rules.shapes(
    inputs.map((input) => input.aval),
    params,
  );
  const buffers = kernel(inputs, avals, params);
  const outputs = avals.map((aval, i) => new Tensor(aval, backend, buffers[i]));
  if (observer !== null) observer(primitive, inputs, outputs, params);
  return outputs;
}

/** Whether anybody is told of evaluations. */
export function isObserved(): boolean {
  return observer !== null;
}

/** Tells the observers, if there are any, of an evaluation that did not come through `bind`. */
export function notify(
  primitive: Primitive,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  params: Params,
): void {
  if (observer !== null) observer(primitive, inputs, outputs, params);
}

function commonBackend(primitive: Primitive, inputs: readonly Tensor[]): Backend {
  const { backend } = inputs[0];
  for (let i = 1; i < inputs.length; i++) {
    if (inputs[i].backend !== backend) {
      fail(
        BackendError,
        `${primitive.name}: inputs are on backends ${inputs.map((x) => x.backend.name).join(" and ")}. ` +
          `Move them to one: x.to(backend).`,
      );
    }
  }
  return backend;
}

function decomposed(
  primitive: Primitive,
  backend: Backend,
  inputs: readonly Tensor[],
  params: Params,
): Tensor {
  if (primitive.decompose === undefined) refuseKernel(primitive, backend, inputs);
  return primitive.decompose(inputs, params).concrete();
}

export function refuseKernel(primitive: Primitive, backend: Backend, inputs: readonly Tensor[]): never {
  fail(
    BackendError,
    `Primitive ${primitive.name} on ${inputs.map((x) => x.aval.toString()).join(", ")} has neither a kernel on backend ` +
      `${backend.name} nor a decomposition. Add one to backend.kernels, or use another backend.`,
  );
}
