/**
 * A function on a backend and in a dtype that it was not written for: oracles compute it again in float64 on the reference
 * backend, or with rounding errors put on. Tensors that it makes or closes over stay where they are; whatever meets a relocated
 * value comes along.
 */
import {
  type CustomParams,
  type Params,
  type Primitive,
  type Trace,
  Tracer,
  type Value,
  bind,
  bindMultiple,
  customCall,
  nextLevel,
} from "@cotangent/core";

/** A value that takes others along to where it is. */
export class Relocated extends Tracer {
  declare readonly owner: Relocation;
  readonly inner: Value;

  constructor(owner: Relocation, inner: Value) {
    super(owner, inner.aval);
    this.inner = inner;
  }

  override parts(): readonly Value[] {
    return [this.inner];
  }

  override toString(): string {
    return this.inner.toString();
  }
}

/** One such evaluation. */
export class Relocation implements Trace {
  readonly level: number = nextLevel();
  readonly name = "relocation";
  readonly open = true;

  readonly of = (value: Value): Relocated => new Relocated(this, value);

  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    return this.of(bind(primitive, this.#here(inputs), params));
  }

  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    if (primitive === customCall.primitive) {
      const { call, written } = params as CustomParams;
      // It may close over tensors as the function itself may.
      if (call === null) return [...written.call(inputs)];
    }
    return bindMultiple(primitive, this.#here(inputs), params).map(this.of);
  }

  /** The inputs on the backend, and in the floating dtype, of those of them that are relocated already. */
  #here(inputs: readonly Value[]): Value[] {
    const residents = inputs.map((input) =>
      input instanceof Relocated && input.level === this.level ? input.inner : undefined,
    );
    const [at] = residents.filter((value) => value !== undefined);
    const float = residents.find((value) => value?.aval.floating)?.dtype;
    return inputs.map((input, i) => {
      const resident = residents[i];
      if (resident !== undefined || at === undefined || input.level > 0) return resident ?? input;
      const moved = input.concrete().to(at.backend);
      return float !== undefined && moved.aval.floating && moved.dtype !== float
        ? moved.astype(float)
        : moved;
    });
  }
}
