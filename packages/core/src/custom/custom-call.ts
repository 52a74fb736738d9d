/** The primitive behind functions with derivative rules of their own. */
import { type Aval, sameAval } from "../aval.ts";
import { type MultipleOp, runningPrimitive } from "../define/general.ts";
import { DTypeError, DerivativeError, ShapeError, StagingError, fail } from "../errors.ts";
import { graphFlops } from "../graph/cost.ts";
import { requireInputs } from "../graph/check.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import type { Graph } from "../graph/graph.ts";
import { graphOf, recordGraph } from "../graph/stage.ts";
import { requireLinear, transposeGraph } from "../graph/transpose.ts";
import { tidy } from "../memory.ts";
import { floatingCotangents, spread } from "../primitives/call.ts";
import { zeroTangent } from "../rules.ts";
import { argument } from "../sampling.ts";
import type { Tensor } from "../tensor.ts";
import type { Value } from "../value.ts";
import { allBatched, batchOf } from "../vmap/batch-rules.ts";
import { runBatched } from "../vmap/batch-trace.ts";

/** Outputs, and tangents of the floating ones. */
export interface PushedValues {
  readonly outputs: readonly Value[];
  readonly tangents: readonly Value[];
}

/** Outputs, and what the way back needs of the run. */
export interface KeptValues {
  readonly outputs: readonly Value[];
  readonly residuals: readonly Value[];
}

/** A function of values and its rules. Tangents and cotangents are those of floating inputs and outputs, zeros included. */
export interface CustomFunction {
  readonly call: (inputs: readonly Value[]) => readonly Value[];
  readonly jvp: ((inputs: readonly Value[], tangents: readonly Value[]) => PushedValues) | null;
  readonly forward: ((inputs: readonly Value[]) => KeptValues) | null;
  /** Cotangents of the floating inputs; null stands for zero. */
  readonly backward:
    | ((residuals: readonly Value[], cotangents: readonly Value[]) => readonly (Value | null)[])
    | null;
  /** Stands for the functions where graphs are compared: those of several calls may do the same. */
  readonly identity?: object;
}

export interface CustomParams {
  readonly name: string;
  /** The function as its author wrote it; its rules are run, and traced, when a derivative is asked for. */
  readonly written: CustomFunction;
  /** The function's graph, where it is part of one. */
  readonly call: Graph | null;
}

const floating = (avals: readonly Aval[]): Aval[] => avals.filter((aval) => aval.floating);

/** Refuses outputs that depend on more than the inputs: rules could not know of it. */
function requireOwn(who: string, outputs: readonly Value[], inputs: readonly Value[]): void {
  const level = inputs.reduce((most, input) => Math.max(most, input.level), 0);
  const foreign = outputs.find((output) => output.level > level);
  if (foreign === undefined) return;
  fail(
    StagingError,
    `${who}: the function closes over a traced value ${foreign.aval}, which its own rules would miss. ` +
      `Pass it as an argument.`,
  );
}

function requireAval(who: string, what: string, { aval: found }: Value, wanted: Aval): void {
  if (sameAval(found, wanted)) return;
  fail(
    found.dtype === wanted.dtype ? ShapeError : DTypeError,
    `${who}: its rule gave ${what} ${found} for a value ${wanted}; they must have the same shape and dtype.`,
  );
}

/** A call of a function with rules of its own. */
export const customCall: MultipleOp<CustomParams> = runningPrimitive<CustomParams>("customCall", {
  args: ["inputs"],
  variadic: true,
  shapes: (avals, { name, call }) => {
    if (call === null) fail(StagingError, `${name}: its shapes are not known before it is run or traced.`);
    requireInputs(name, call, avals);
    return [...call.outputAvals];
  },
  traced: (avals, params, backend) => ({
    ...params,
    call: params.call ?? graphOf(params.name, (...inputs) => params.written.call(inputs), avals, backend),
  }),
  evaluate: (inputs, params) =>
    tidy(() =>
      (params.call === null ? params.written.call(inputs) : evaluateGraph(params.call, inputs)).map(
        (output) => {
          requireOwn(params.name, [output], inputs);
          return inputs.includes(output as Tensor) ? (output as Tensor).sharing() : (output as Tensor);
        },
      ),
    ),
  jvp: (inputs, tangents, params) => {
    const { jvp } = params.written;
    if (jvp === null) {
      fail(
        DerivativeError,
        `${params.name}: forward mode was asked for, but the function has only a VJP of its own. ` +
          `Give it a JVP too: custom(f, { jvp, forward, backward }).`,
      );
    }
    const given = inputs.flatMap((input, i) =>
      input.aval.floating ? [tangents[i] ?? zeroTangent(input, tangents)] : [],
    );
    const found = jvp(inputs, given);
    requireOwn(params.name, found.outputs, inputs);
    const marks = found.outputs.map((output) => output.aval.floating);
    const pushed = spread(found.tangents, marks);
    pushed.forEach((tangent, i) => {
      if (tangent !== null) requireAval(params.name, "a tangent", tangent, found.outputs[i].aval);
    });
    return { outputs: found.outputs, tangents: pushed };
  },
  vjp: (inputs, wanted, params) => {
    const { jvp, forward, backward } = params.written;
    const marks = inputs.map((input) => input.aval.floating);
    if (forward !== null && backward !== null) {
      const { outputs, residuals } = forward(inputs);
      requireOwn(params.name, outputs, inputs);
      return {
        outputs,
        residuals,
        pull: (cotangents) => {
          const found = spread(
            backward(residuals, floatingCotangents(outputs, cotangents)) as Value[],
            marks,
          );
          return found.map((cotangent, i) => {
            if (cotangent === null || !wanted[i]) return null;
            requireAval(params.name, "a cotangent", cotangent, inputs[i].aval);
            return cotangent;
          });
        },
      };
    }
    if (jvp === null) fail(DerivativeError, `${params.name}: the function has no derivative rules.`);
    // Without a VJP of its own it has the transpose of its JVP.
    const outputs = customCall(inputs, params);
    const { graph, captured } = recordGraph(
      params.name,
      (...tangents) => [...jvp(inputs, tangents).tangents],
      floating(inputs.map((input) => input.aval)),
      inputs[0].backend,
      "nothing",
    );
    const linear = graph.inputs.map((_, i) => i < graph.inputs.length - captured.length);
    const known = linear.map((isArgument, i) =>
      isArgument ? undefined : captured[i - linear.length + captured.length],
    );
    requireLinear(graph, linear, known);
    return {
      outputs,
      residuals: [...captured, ...outputs],
      pull: (cotangents) => {
        const zeros = inputs.filter((input) => input.aval.floating).map((input) => input.zerosLike());
        const given = floatingCotangents(outputs, cotangents);
        const found = transposeGraph(graph, linear, [...zeros, ...captured])(given);
        return spread(found.slice(0, zeros.length) as Value[], marks).map((cotangent, i) =>
          wanted[i] ? cotangent : null,
        );
      },
    };
  },
  // The function's own rules, for all elements at once.
  batch: (inputs, batched, { name, written }) => {
    const size = batchOf(inputs, batched);
    const logical = inputs.map(({ aval }, i) => (batched[i] ? aval.withShape(aval.shape.slice(1)) : aval));
    const all = (f: (...values: Value[]) => readonly Value[], values: readonly Value[]): Value[] =>
      runBatched(
        name,
        size,
        f,
        values,
        values.map(() => true),
        "all",
      ).outputs;
    const { call, jvp, forward, backward } = written;
    const ofBatch: CustomFunction = {
      call: (values) => all((...xs) => call(xs), values),
      jvp:
        jvp &&
        ((values, tangents) => {
          let count = 0;
          const found = all(
            (...xs) => {
              const pushed = jvp(xs.slice(0, values.length), xs.slice(values.length));
              count = pushed.outputs.length;
              return [...pushed.outputs, ...pushed.tangents];
            },
            [...values, ...tangents],
          );
          return { outputs: found.slice(0, count), tangents: found.slice(count) };
        }),
      forward:
        forward &&
        ((values) => {
          let count = 0;
          const found = all((...xs) => {
            const kept = forward(xs);
            count = kept.outputs.length;
            return [...kept.outputs, ...kept.residuals];
          }, values);
          return { outputs: found.slice(0, count), residuals: found.slice(count) };
        }),
      backward:
        backward &&
        ((residuals, cotangents) =>
          all(
            (...xs) =>
              backward(xs.slice(0, residuals.length), xs.slice(residuals.length)).map(
                (cotangent, i) => cotangent ?? xs[0].constant(0, floating(logical)[i]),
              ),
            [...residuals, ...cotangents],
          )),
    };
    const outputs = customCall(allBatched(inputs, batched), { name, written: ofBatch, call: null });
    return { outputs, batched: outputs.map(() => true) };
  },
  cost: (_, { call }) => (call === null ? 0 : graphFlops(call)),
  sample: (draw) => {
    const shape = draw.shape({ maxRank: 2 });
    const product = ([x, y]: readonly Value[]): Value => x.sin().mul(y);
    const written: CustomFunction = {
      call: (inputs) => [product(inputs)],
      jvp: ([x, y], [dx, dy]) => ({
        outputs: [product([x, y])],
        tangents: [x.cos().mul(y).mul(dx).add(x.sin().mul(dy))],
      }),
      forward: ([x, y]) => ({ outputs: [product([x, y])], residuals: [x, y] }),
      backward: ([x, y], [ct]) => [ct.mul(x.cos()).mul(y), ct.mul(x.sin()).sum()],
    };
    const rules = draw.bool() ? written : { ...written, forward: null, backward: null };
    return {
      inputs: [argument(shape), argument([])],
      params: { name: "sample", written: rules, call: null },
    };
  },
});
