/**
 * Functions evaluated at complex points. A complex value is a traced one that holds its real and its imaginary part; linear
 * primitives are applied to both, and what is analytic has a formula in `complexForms`. No derivative rule takes part, which
 * makes this an oracle for them: f(x + i h v) = f(x) + i h J v + O(h²), and with an h whose square vanishes nothing cancels.
 *
 * W. Squire and G. Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998).
 */
import {
  type CallParams,
  type CustomParams,
  type Graph,
  type LoopParams,
  type LoopPullbackParams,
  type Params,
  type Primitive,
  type SwitchParams,
  type Trace,
  Tracer,
  type Value,
  avalOf,
  bind,
  evaluateGraph,
  fromHost,
  hostArray,
  nextLevel,
  refuseEscaped,
  stack,
  stepBack,
} from "@cotangent/core";
import { complexForms } from "./forms.ts";
import { NoComplexForm } from "./no-form.ts";

/** A value with an imaginary part. */
export class ComplexValue extends Tracer {
  readonly re: Value;
  readonly im: Value;

  constructor(owner: ComplexTrace, re: Value, im: Value) {
    super(owner, re.aval);
    this.re = re;
    this.im = im;
  }

  override parts(): readonly Value[] {
    return [this.re, this.im];
  }

  override toString(): string {
    return `Complex(${this.re.toString()}, ${this.im.toString()})`;
  }
}

/** The parts of values, and values of parts, as formulas are written with. */
export interface ComplexPlane {
  readonly re: (z: Value) => Value;
  /** Zeros for a real value. */
  readonly im: (z: Value) => Value;
  readonly of: (re: Value, im: Value) => Value;
}

/** One evaluation at a complex point. */
export class ComplexTrace implements Trace, ComplexPlane {
  readonly level: number = nextLevel();
  readonly name = "complex step";
  open = true;
  readonly #watch: (im: Value) => void;

  /** @param watch is told of every imaginary part. */
  constructor(watch: (im: Value) => void = () => {}) {
    this.#watch = watch;
  }

  readonly of = (re: Value, im: Value): ComplexValue => {
    this.#watch(im);
    return new ComplexValue(this, re, im);
  };

  readonly re = (z: Value): Value => this.#own(z)?.re ?? z;

  readonly im = (z: Value): Value => this.#own(z)?.im ?? z.zerosLike();

  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    if (!this.open) refuseEscaped(inputs.find((input) => this.#own(input)) as Tracer, primitive.name);
    const form = complexForms.get(primitive.name);
    if (form !== undefined) return form(inputs, params as never, this);
    const re = (): Value => bind(primitive, inputs.map(this.re), params);
    const { rules } = primitive;
    switch (rules.form) {
      case "zero":
      case "nonDifferentiable":
        return re();
      case "linear": {
        const real = re();
        if (!real.aval.floating) return real;
        const isConstant = (i: number): boolean =>
          !(primitive.args[primitive.variadic ? 0 : i] in rules.transpose);
        const moved = inputs.map((input, i) => (isConstant(i) ? this.re(input) : this.im(input)));
        return this.of(real, bind(primitive, moved, params));
      }
      case "bilinear": {
        const [x, y] = inputs;
        return this.#product(x, y, (a, b) => bind(primitive, [a, b], params));
      }
      default:
        if (primitive.decompose === undefined) throw new NoComplexForm(primitive.name);
        return primitive.decompose(inputs, params);
    }
  }

  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    switch (primitive.name) {
      case "call":
        return evaluateGraph((params as CallParams).graph, inputs);
      case "customCall": {
        const { call, written } = params as CustomParams;
        return call === null ? [...written.call(inputs)] : evaluateGraph(call, inputs);
      }
      case "switchCase": {
        const [index, ...operands] = inputs;
        return evaluateGraph((params as SwitchParams).branches[index.item()], operands);
      }
      case "scan":
      case "whileLoop":
        return loop(inputs, params as LoopParams).outputs;
      case "loopPullback":
        return loopBack(inputs, params as LoopPullbackParams);
      default:
        throw new NoComplexForm(primitive.name);
    }
  }

  /** (a + i b)(c + i d) of whatever is linear in both. */
  #product(x: Value, y: Value, of: (x: Value, y: Value) => Value): Value {
    const [a, b, c, d] = [this.re(x), this.#own(x)?.im, this.re(y), this.#own(y)?.im];
    if (b === undefined && d === undefined) return of(a, c);
    if (d === undefined) return this.of(of(a, c), of(b as Value, c));
    if (b === undefined) return this.of(of(a, c), of(a, d));
    return this.of(of(a, c).sub(of(b, d)), of(a, d).add(of(b, c)));
  }

  #own(value: Value): ComplexValue | undefined {
    return value instanceof ComplexValue && value.level === this.level ? value : undefined;
  }
}

/** A loop, step by step: its outputs, and the states that its steps began with. */
function loop(
  inputs: readonly Value[],
  { body, condition, constants, carries, length, reverse }: LoopParams,
): { outputs: Value[]; states: Value[][] } {
  const fixed = inputs.slice(0, constants);
  const arrays = inputs.slice(constants + carries);
  const goesOn = (step: number, carry: readonly Value[]): boolean =>
    condition === null ? step < length : verdictOf(condition, [...fixed, ...carry]);
  let carry = inputs.slice(constants, constants + carries);
  const states: Value[][] = [];
  const rows: Value[][] = body.outputs.slice(carries).map(() => []);
  for (let step = 0; goesOn(step, carry); step++) {
    states.push(carry);
    const at = reverse ? length - 1 - step : step;
    const found = evaluateGraph(body, [...fixed, ...carry, ...arrays.map((array) => array.at(at))]);
    carry = found.slice(0, carries);
    found.slice(carries).forEach((row, i) => rows[i].push(row));
  }
  const stacked = rows.map((list, i) => {
    const { shape, dtype } = body.outputAvals[carries + i];
    if (list.length > 0) return stack(reverse ? list.reverse() : list);
    return fromHost(hostArray(dtype, 0), avalOf([0, ...shape], dtype), inputs[0].backend);
  });
  return { outputs: [...carry, ...stacked], states };
}

const verdictOf = (condition: Graph, inputs: readonly Value[]): boolean =>
  evaluateGraph(condition, inputs)[0].item() !== 0;

/** The way back of a loop, all of whose states are kept: the cotangents of the wanted inputs. */
function loopBack(values: readonly Value[], params: LoopPullbackParams): Value[] {
  const { body, constants, carries, reverse, wanted } = params;
  const inputs = values.slice(0, wanted.length);
  const fixed = inputs.slice(0, constants);
  const arrays = inputs.slice(constants + carries);
  const { states } = loop(inputs, params);
  const back = stepBack(params, inputs[0].backend);
  const floats = body.outputAvals.slice(0, carries).filter((aval) => aval.floating).length;
  let carry = values.slice(wanted.length, wanted.length + floats);
  const given = values.slice(wanted.length + floats);
  let sums = fixed.filter((_, i) => wanted[i]).map((value) => value.zerosLike());
  const rows: Value[][] = [];
  for (let step = states.length - 1; step >= 0; step--) {
    const at = reverse ? states.length - 1 - step : step;
    const taken = arrays.map((array) => array.at(at));
    const after = given.map((array) => array.at(at));
    const found = evaluateGraph(back, [...fixed, ...states[step], ...taken, ...carry, ...sums, ...after]);
    carry = found.splice(0, floats);
    sums = found.splice(0, sums.length);
    rows.push(found);
  }
  if (!reverse) rows.reverse();
  let [nextSum, nextCarry, nextRow] = [0, 0, 0];
  return inputs.flatMap((input, i) => {
    if (i < constants) return wanted[i] ? [sums[nextSum++]] : [];
    if (i >= constants + carries) {
      if (!wanted[i]) return [];
      const row = nextRow++;
      return [rows.length === 0 ? input.zerosLike() : stack(rows.map((all) => all[row]))];
    }
    if (!input.aval.floating) return [];
    const before = carry[nextCarry++];
    return wanted[i] ? [before] : [];
  });
}
