/**
 * Forward mode: a dual number carries a primal and its tangent, and each primitive maps both (its JVP). That is all
 * there is to it; nothing is stored beyond the values in flight.
 */
import {
  type Backend,
  type Params,
  type Primitive,
  type Tensor,
  type Trace,
  Tracer,
  type Value,
  bind,
  bindMultiple,
  nextLevel,
  pushforward,
  pushforwardMultiple,
  refuseEscaped,
} from "@cotangent/core";

/** A value of forward mode. A tangent that is null is a zero, known without computing. */
export class Dual extends Tracer {
  readonly primal: Value;
  readonly tangent: Value;

  constructor(owner: ForwardTrace, primal: Value, tangent: Value) {
    super(owner, primal.aval);
    this.primal = primal;
    this.tangent = tangent;
  }

  override get backend(): Backend {
    return this.primal.backend;
  }

  override concrete(): Tensor {
    return this.primal.concrete();
  }

  override parts(): readonly Value[] {
    return [this.primal, this.tangent];
  }

  override toString(): string {
    return `Dual(primal ${this.primal.toString()}, tangent ${this.tangent.toString()})`;
  }
}

/** One application of forward mode. */
export class ForwardTrace implements Trace {
  readonly level: number = nextLevel();
  readonly name: string;
  open = true;

  constructor(name: string) {
    this.name = name;
  }

  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    const [primals, tangents] = this.split(primitive, inputs);
    const primal = bind(primitive, primals, params);
    if (!primal.aval.floating) return primal;
    const tangent = pushforward(primitive, primals, primal, tangents, params);
    return tangent === null ? primal : new Dual(this, primal, tangent);
  }

  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    const [primals, tangents] = this.split(primitive, inputs);
    const found = pushforwardMultiple(primitive, primals, tangents, params);
    // Where the tangents are recorded and the primals are not, these are to be computed, not recorded with them.
    const outputs = isRecordedAlone(tangents, primals)
      ? bindMultiple(primitive, primals, params)
      : found.outputs;
    return outputs.map((primal, i) => {
      const tangent = found.tangents[i];
      return tangent === null || !primal.aval.floating ? primal : new Dual(this, primal, tangent);
    });
  }

  /** Primals and tangents of the inputs; what is not of this application has no tangent here. */
  private split(primitive: Primitive, inputs: readonly Value[]): [Value[], (Value | null)[]] {
    const primals = new Array<Value>(inputs.length);
    const tangents = new Array<Value | null>(inputs.length);
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i];
      if (input.level === this.level) {
        const dual = input as Dual;
        if (!this.open) refuseEscaped(dual, primitive.name);
        primals[i] = dual.primal;
        tangents[i] = dual.tangent;
      } else {
        primals[i] = input;
        tangents[i] = null;
      }
    }
    return [primals, tangents];
  }
}

/** Whether a tangent is part of a graph that is being recorded and that no primal is part of. */
function isRecordedAlone(tangents: readonly (Value | null)[], primals: readonly Value[]): boolean {
  const recorders = primals.map((primal) => primal.recorder());
  return tangents.some((tangent) => {
    const recorder = tangent?.recorder() ?? null;
    return recorder !== null && !recorders.includes(recorder);
  });
}
