/**
 * How a primitive's record is applied, for both modes. The modes decide what to keep and in which order to go; the
 * chain rule of one primitive, whatever the form of its rules, is here.
 */
import { type Aval, sameShape } from "./aval.ts";
import { bind } from "./bind.ts";
import { DerivativeError, fail } from "./errors.ts";
import {
  type LooseContext,
  type MultipleRules,
  type NonDifferentiable,
  type Params,
  type Primitive,
  type Pullback,
  outputBit,
} from "./primitive.ts";
import { strongMul } from "./primitives/binary.ts";
import { unbroadcast } from "./unbroadcast.ts";
import type { Value } from "./value.ts";

/**
 * The tangent of the output, of the output's own shape, or null where it is zero. A null tangent of an input is a
 * (symbolic) zero; terms of several inputs are summed.
 */
export function pushforward(
  primitive: Primitive,
  inputs: readonly Value[],
  output: Value,
  tangents: readonly (Value | null)[],
  params: Params,
): Value | null {
  const { rules } = primitive;
  switch (rules.form) {
    case "zero":
      return null;
    case "nonDifferentiable":
      refuse(primitive, rules.reason);
      break;
    case "linear":
      return bind(
        primitive,
        inputs.map((x, i) =>
          argumentName(primitive, i) in rules.transpose ? (tangents[i] ?? zeroTangent(x, tangents)) : x,
        ),
        params,
      );
    default: {
      let total: Value | null = null;
      for (let i = 0; i < inputs.length; i++) {
        const tangent = tangents[i];
        if (tangent === null) continue;
        const term = forwardTerm(primitive, inputs, output, tangent, i, params);
        total = total === null ? term : total.add(term);
      }
      if (total === null || sameShape(total.shape, output.shape)) return total;
      return total.broadcastTo(output.shape);
    }
  }
}

/**
 * Zeros for the tangent of an input beside those of others. Where these are recorded they belong to the same graph, with all
 * that is made of them: it is then seen to be zero, and nothing is computed at once.
 */
export function zeroTangent(input: Value, tangents: readonly (Value | null)[]): Value {
  const like = tangents.find((tangent) => tangent !== null) ?? input;
  const zero = like.constant(0, input.aval);
  return input.rank > 0 ? zero : (like.recorder()?.lift(zero.concrete()) ?? zero);
}

function forwardTerm(
  primitive: Primitive,
  inputs: readonly Value[],
  output: Value,
  tangent: Value,
  index: number,
  params: Params,
): Value {
  const { rules } = primitive;
  switch (rules.form) {
    case "diagonal":
      return strongMul(tangent, partial(rules.partials[index], inputs, output));
    case "bilinear":
      return bind(
        primitive,
        inputs.map((x, i) => (i === index ? tangent : x)),
        params,
      );
    case "written": {
      const rule = rules.jvp[primitive.args[index]];
      if (typeof rule !== "function") return refuseArgument(primitive, index, rule);
      const context: Record<string, unknown> = { output, params };
      primitive.args.forEach((name, i) => (context[name] = inputs[i]));
      return rule(tangent, context);
    }
    default:
      return refuse(primitive, `its rules have the form ${rules.form}`);
  }
}

function partial(rule: (...xs: Value[]) => Value, inputs: readonly Value[], output: Value): Value {
  return inputs.length === 1 ? rule(inputs[0], output) : rule(inputs[0], inputs[1], output);
}

/** A primitive with several outputs, run with tangents: its outputs and theirs. */
export function pushforwardMultiple(
  primitive: Primitive,
  inputs: readonly Value[],
  tangents: readonly (Value | null)[],
  params: Params,
): ReturnType<MultipleRules["jvp"]> {
  const { rules } = primitive;
  if (rules.form !== "multiple") refuse(primitive, "it has one output");
  return rules.jvp(inputs, tangents, params);
}

/** A primitive with several outputs, run so that cotangents of the wanted inputs can be pulled back. */
export function pullbackMultiple(
  primitive: Primitive,
  inputs: readonly Value[],
  wanted: readonly boolean[],
  params: Params,
): Pullback {
  const { rules } = primitive;
  if (rules.form !== "multiple") refuse(primitive, "it has one output");
  return rules.vjp(inputs, wanted, params);
}

/** Refuses, in the user's own line, to record what no reverse rule will be able to pull back. */
export function requireReverseRule(primitive: Primitive, index: number): void {
  const { form } = primitive;
  if (form === "diagonal" || form === "linear" || form === "bilinear") return;
  const { rules } = primitive;
  if (rules.form === "nonDifferentiable") refuse(primitive, rules.reason);
  if (rules.form !== "written") return;
  const rule = rules.vjp[argumentName(primitive, index)];
  if (typeof rule !== "function") refuseArgument(primitive, index, rule);
}

/** Refuses, in the user's own line, what `pushforward` would refuse later. */
export function requireForwardRule(primitive: Primitive, index: number): void {
  const { rules } = primitive;
  if (rules.form === "nonDifferentiable") refuse(primitive, rules.reason);
  if (rules.form !== "written") return;
  const rule = rules.jvp[argumentName(primitive, index)];
  if (typeof rule !== "function") refuseArgument(primitive, index, rule);
}

/** What a reverse sweep keeps of one application: a value where some rule needs it, else its aval. */
export type Residual = Value | Aval;

/** The cotangent of input `index`, of that input's own shape, or null where it is zero. */
export function pullback(
  primitive: Primitive,
  inputs: readonly Residual[],
  output: Value | null,
  params: Params,
  index: number,
  cotangent: Value,
): Value | null {
  const { rules } = primitive;
  let result: Value;
  switch (rules.form) {
    case "zero":
      return null;
    case "diagonal":
      result = strongMul(
        cotangent,
        partial(rules.partials[index], inputs as readonly Value[], output as Value),
      );
      break;
    case "linear":
    case "bilinear":
      result = rules.transpose[argumentName(primitive, index)](
        cotangent,
        reverseContext(primitive, inputs, output, params, index),
      );
      break;
    case "written": {
      const rule = rules.vjp[primitive.args[index]];
      if (typeof rule !== "function") return refuseArgument(primitive, index, rule);
      result = rule(cotangent, reverseContext(primitive, inputs, output, params, index));
      break;
    }
    default:
      return refuse(primitive, rules.form === "nonDifferentiable" ? rules.reason : "it has several outputs");
  }
  return primitive.elementwise ? unbroadcast(result, avalOf(inputs[index])) : result;
}

function avalOf(residual: Residual): Aval {
  return "aval" in residual ? residual.aval : residual;
}

function reverseContext(
  primitive: Primitive,
  inputs: readonly Residual[],
  output: Value | null,
  params: Params,
  index: number,
): LooseContext {
  if (primitive.variadic) return { avals: inputs.map(avalOf), params, index };
  const avals: Record<string, Aval> = {};
  const context: Record<string, unknown> = { avals, params };
  const bits = primitive.residuals[index];
  primitive.args.forEach((name, i) => {
    avals[name] = avalOf(inputs[i]);
    if (bits & (1 << i)) context[name] = inputs[i];
  });
  if (bits & outputBit) context["output"] = output;
  return context;
}

function argumentName(primitive: Primitive, index: number): string {
  return primitive.args[primitive.variadic ? 0 : index];
}

function refuse(primitive: Primitive, reason: string): never {
  fail(
    DerivativeError,
    `${primitive.name} has no derivative: ${reason}. Use stopGradient on its inputs if none is meant.`,
  );
}

function refuseArgument(primitive: Primitive, index: number, rule: NonDifferentiable): never {
  fail(
    DerivativeError,
    `${primitive.name} has no derivative with respect to ${primitive.args[index]}: ${rule.nonDifferentiable}. ` +
      `Use stopGradient on that argument if none is meant.`,
  );
}
