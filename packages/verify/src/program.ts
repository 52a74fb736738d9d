/** Programs as data: steps that can be run on any values, inside any transformation, and printed as TypeScript. */
import {
  type Backend,
  type FloatDType,
  type LoopCheckpoint,
  type Params,
  type Primitive,
  type SavePolicy,
  type Shape,
  type Value,
  avalOf,
  bind,
  checkpointed,
  cond,
  fromHost,
  hostArray,
  jit,
  sameShape,
  scan,
  sizeOf,
  tensor,
  whileLoop,
} from "@cotangent/core";
import { type HostInput, showBind, showTensor, withoutText } from "./draw.ts";
import { showNumber } from "./print.ts";
import { upload } from "./subject.ts";
import {
  type Axes,
  type Run,
  type TransformationName,
  transformationNames,
  transformations,
} from "./transformations.ts";

/**
 * An operand: a variable as it is, one moved to where it is wanted (`fit`, `squash`), or a constant. Variables are
 * numbered from the outermost scope inwards: the program's inputs, then what its steps give, then a body's parameters.
 */
export type Source =
  | { readonly kind: "node"; readonly node: number }
  /** Times another variable, of the same shape or a scalar. */
  | { readonly kind: "product"; readonly node: number; readonly factor: number }
  | {
      readonly kind: "fitted";
      readonly node: number;
      readonly shape: Shape;
      readonly scale: number;
      readonly shift: readonly number[];
    }
  | {
      readonly kind: "squashed";
      readonly node: number;
      readonly shape: Shape;
      readonly scale: number;
      readonly center: readonly number[];
      readonly radius: number;
    }
  /** One row of another. */
  | { readonly kind: "row"; readonly of: Source; readonly index: number; readonly axis: number }
  | { readonly kind: "constant"; readonly constant: HostInput };

/** A function of its own within a program; but for a jitted one it may use all variables of the scopes around it. */
export interface Body {
  /** How many variables there are around it. */
  readonly outer: number;
  readonly parameters: number;
  readonly steps: readonly Step[];
  /** Each result is a sum. */
  readonly results: readonly (readonly Source[])[];
}

/** What a branch depends on: the sum of a variable, or the counter of a loop. */
export type Condition =
  | { readonly kind: "above"; readonly node: number; readonly threshold: number }
  | { readonly kind: "before"; readonly counter: number; readonly step: number };

/** A step defines one variable, or several. A loop's body has the number of the step as its first parameter. */
export type Step =
  | {
      readonly kind: "primitive";
      readonly primitive: Primitive;
      readonly params: Params;
      readonly inputs: readonly Source[];
    }
  | { readonly kind: "let"; readonly source: Source }
  | {
      readonly kind: "call";
      readonly how: "jit" | SavePolicy;
      readonly body: Body;
      readonly operands: readonly Source[];
    }
  | {
      readonly kind: "cond";
      readonly condition: Condition;
      readonly branches: readonly [onTrue: Body, onFalse: Body];
      readonly operand: Source;
    }
  | {
      readonly kind: "scan";
      readonly body: Body;
      readonly init: Source;
      readonly xs: Source;
      readonly reverse: boolean;
      readonly checkpoint: LoopCheckpoint | null;
    }
  | {
      readonly kind: "whileLoop";
      readonly body: Body;
      /** Counts up by 1 until it has reached the limit. */
      readonly clock: Source;
      readonly limit: number;
      readonly init: Source;
      readonly checkpoint: LoopCheckpoint | null;
    }
  | {
      readonly kind: "transformed";
      readonly how: TransformationName;
      readonly body: Body;
      readonly operands: readonly Source[];
      /** Tangents or cotangents. */
      readonly directions: readonly Source[];
      readonly axes: Axes;
    };

/**
 * An affine map between shapes: the elements of x, repeated or dropped to fill the shape, times `scale`, plus `shift`.
 * With it the value of any node can feed any primitive at a point where that primitive is smooth.
 */
export function fit(x: Value, shape: Shape, scale: number, shift: readonly number[]): Value {
  return arranged(x, shape)
    .mul(scale)
    .add(likeOf(x, shape, shift));
}

/**
 * As `fit`, but within `radius` of the center whatever x is: center + radius · sin(scale · x). With it a body that runs
 * on many states is smooth at all of them.
 */
export function squash(
  x: Value,
  shape: Shape,
  scale: number,
  center: readonly number[],
  radius: number,
): Value {
  return arranged(x, shape)
    .mul(scale)
    .sin()
    .mul(radius)
    .add(likeOf(x, shape, center));
}

function likeOf(x: Value, shape: Shape, data: readonly number[]): Value {
  const host = hostArray(x.dtype, data.length);
  host.set(data);
  return fromHost(host, avalOf(shape, x.dtype), x.backend);
}

/** The elements of x, repeated or dropped to fill the shape. */
export function arranged(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const count = sizeOf(shape);
  if (x.size === count) return x.reshape(shape);
  const index = Int32Array.from({ length: count }, (_, i) => i % Math.max(1, x.size));
  return x
    .reshape([x.size])
    .take(fromHost(index, avalOf([count], "int32"), x.backend))
    .reshape(shape);
}

type Environment = readonly Value[];

/** The last variable there is is always one that may be used. */
const backendOf = (variables: Environment): Backend => variables[variables.length - 1].backend;

/** The dtype of the floats that a program runs in. */
const floatOf = (variables: Environment): FloatDType =>
  (variables.findLast((value) => value?.aval.floating)?.dtype ?? "float64") as FloatDType;

/** Functions that close over nothing are made once, as those of a module are. */
const closed = new WeakMap<Body, Run>();
const jitted = new WeakMap<Body, Run>();

function madeOnce(made: WeakMap<Body, Run>, body: Body, make: () => Run): Run {
  let found = made.get(body);
  if (found === undefined) made.set(body, (found = make()));
  return found;
}

const closedOf = (body: Body): Run =>
  madeOnce(closed, body, () => {
    const outer = new Array<Value>(body.outer);
    return (...inputs) => runBody(body, outer, inputs);
  });

const jittedOf = (body: Body): Run => madeOnce(jitted, body, () => jit(closedOf(body)));

export function valueOf(source: Source, variables: Environment): Value {
  switch (source.kind) {
    case "node":
      return variables[source.node];
    case "product":
      return variables[source.node].mul(variables[source.factor]);
    case "fitted":
      return fit(variables[source.node], source.shape, source.scale, source.shift);
    case "squashed":
      return squash(variables[source.node], source.shape, source.scale, source.center, source.radius);
    case "row":
      return valueOf(source.of, variables).at(source.index, source.axis);
    case "constant":
      return upload(source.constant, backendOf(variables), floatOf(variables));
  }
}

const holdsIn = (condition: Condition, variables: Environment): Value =>
  condition.kind === "above"
    ? variables[condition.node].sum().gt(condition.threshold)
    : variables[condition.counter].lt(condition.step);

/** What a step gives, by the functions that users call. */
export function runStep(step: Step, variables: Environment): Value[] {
  const at = (source: Source): Value => valueOf(source, variables);
  const start = (): Value => tensor(0, { dtype: "int32", backend: backendOf(variables) });
  switch (step.kind) {
    case "primitive":
      return [bind(step.primitive, step.inputs.map(at), step.params)];
    case "let":
      return [at(step.source)];
    case "call": {
      const { body, how } = step;
      const f = (...inputs: Value[]): Value[] => runBody(body, variables, inputs);
      return (how === "jit" ? jittedOf(body) : checkpointed(f, how))(...step.operands.map(at));
    }
    case "cond": {
      const [onTrue, onFalse] = step.branches.map((body) => (x: Value) => runBody(body, variables, [x])[0]);
      return [cond(holdsIn(step.condition, variables), onTrue, onFalse, at(step.operand))];
    }
    case "scan": {
      const [[, last], rows] = scan<Value[], Value, Value>(
        ([i, carry], row) => {
          const [next, y] = runBody(step.body, variables, [i, carry, row]);
          return [[i.add(1), next], y];
        },
        [start(), at(step.init)],
        at(step.xs),
        { reverse: step.reverse, ...withCheckpoint(step) },
      );
      return [last, rows];
    }
    case "whileLoop":
      return whileLoop<Value[]>(
        ([, clock]) => clock.lt(step.limit),
        ([i, clock, carry]) => [i.add(1), clock.add(1), runBody(step.body, variables, [i, clock, carry])[0]],
        [start(), at(step.clock), at(step.init)],
        withCheckpoint(step),
      ).slice(1);
    case "transformed": {
      const { how, body, operands, directions, axes } = step;
      const { run, isClosed } = transformations[how];
      const f = isClosed ? closedOf(body) : (...inputs: Value[]): Value[] => runBody(body, variables, inputs);
      return run(f, operands.map(at), directions.map(at), axes);
    }
  }
}

const withCheckpoint = ({
  checkpoint,
}: {
  readonly checkpoint: LoopCheckpoint | null;
}): { checkpoint?: LoopCheckpoint } => (checkpoint === null ? {} : { checkpoint });

export function runSteps(steps: readonly Step[], variables: Environment): Value[] {
  const all = [...variables];
  for (const step of steps) all.push(...runStep(step, all));
  return all;
}

function runBody({ steps, results }: Body, variables: Environment, inputs: readonly Value[]): Value[] {
  const all = runSteps(steps, [...variables, ...inputs]);
  return results.map((sum) => sum.map((source) => valueOf(source, all)).reduce((a, b) => a.add(b)));
}

/** Whether a program branches on a value, at any depth. */
export function branches(steps: readonly Step[]): boolean {
  return steps.some((step) => {
    if (step.kind === "primitive" || step.kind === "let") return false;
    return step.kind === "cond" || branches(step.body.steps);
  });
}

/** Whether a function with rules of its own is traced at each run, to a graph that keeps constants until it is collected. */
export function tracesRules(steps: readonly Step[], isTraced = false): boolean {
  return steps.some((step) => {
    switch (step.kind) {
      case "primitive":
      case "let":
        return false;
      case "cond":
        return step.branches.some((body) => tracesRules(body.steps, isTraced));
      case "transformed":
        return (isTraced && step.how === "custom") || tracesRules(step.body.steps, isTraced);
      case "call":
        return step.how !== "jit" && tracesRules(step.body.steps, true);
      default:
        return tracesRules(step.body.steps, true);
    }
  });
}

/** What a program's steps are, at any depth, each once: primitives by name, the others by kind. */
export function kindsOf(steps: readonly Step[]): string[] {
  const kinds = steps.flatMap((step) => {
    switch (step.kind) {
      case "primitive":
        return [step.primitive.name];
      case "let":
        return [];
      case "cond":
        return ["cond", ...step.branches.flatMap((body) => kindsOf(body.steps))];
      case "call":
        return [step.how === "jit" ? "jit" : `checkpoint: ${step.how}`, ...kindsOf(step.body.steps)];
      case "transformed": {
        const within = kindsOf(step.body.steps);
        const nested = within.filter((kind) =>
          transformationNames.some((name) => kind.split(" of ")[0] === name),
        );
        return [step.how, ...nested.map((kind) => `${step.how} of ${kind}`), ...within];
      }
      default: {
        const { kind, checkpoint, body } = step;
        const how =
          checkpoint === null ? kind : `${kind}: ${typeof checkpoint === "string" ? checkpoint : "slots"}`;
        return [how, ...kindsOf(body.steps)];
      }
    }
  });
  return [...new Set(kinds)];
}

/** The variables that a source is made of. */
export function variablesOf(source: Source): number[] {
  if (source.kind === "constant") return [];
  if (source.kind === "row") return variablesOf(source.of);
  return source.kind === "product" ? [source.node, source.factor] : [source.node];
}

/** The variables that a step uses, of those around it. */
function usedBy(step: Step): number[] {
  switch (step.kind) {
    case "primitive":
      return step.inputs.flatMap(variablesOf);
    case "let":
      return variablesOf(step.source);
    case "call":
      return [...step.operands.flatMap(variablesOf), ...usedWithin(step.body)];
    case "cond": {
      const { condition } = step;
      const asked = condition.kind === "above" ? condition.node : condition.counter;
      return [asked, ...variablesOf(step.operand), ...step.branches.flatMap(usedWithin)];
    }
    case "scan":
      return [...variablesOf(step.init), ...variablesOf(step.xs), ...usedWithin(step.body)];
    case "whileLoop":
      return [...variablesOf(step.clock), ...variablesOf(step.init), ...usedWithin(step.body)];
    case "transformed":
      return [...[...step.operands, ...step.directions].flatMap(variablesOf), ...usedWithin(step.body)];
  }
}

function usedWithin({ outer, steps, results }: Body): number[] {
  return [...steps.flatMap(usedBy), ...results.flat().flatMap(variablesOf)].filter((node) => node < outer);
}

/** Of the variables [first, end), those that no step uses: the results, so that no step is dead. */
export function unused(steps: readonly Step[], first: number, end: number): number[] {
  const used = new Set(steps.flatMap(usedBy));
  return Array.from({ length: end - first }, (_, i) => first + i).filter((i) => !used.has(i));
}

/** How many variables a step defines. */
function arity(step: Step): number {
  if (step.kind === "call") return step.body.results.length;
  if (step.kind === "transformed")
    return transformations[step.how].arity(step.operands.length, step.body.results.length);
  return step.kind === "scan" || step.kind === "whileLoop" ? 2 : 1;
}

/**
 * A program as a module that a person can paste, of which `results` gives the results from the variables' names. Without a dtype
 * it runs in the default of the backend that it is pasted for.
 */
export function showProgram(
  point: readonly HostInput[],
  steps: readonly Step[],
  results: (name: (node: number) => string) => readonly string[],
  float?: FloatDType,
): string {
  const name = (node: number): string => (node < point.length ? `x${node}` : `v${node - point.length}`);
  const parameter = (node: number): string => `${name(node)}: Value`;
  const range = (first: number, count: number): number[] =>
    Array.from({ length: count }, (_, i) => first + i);
  const list = (items: readonly (string | number)[]): string =>
    `[${items.map((item) => (typeof item === "number" ? showNumber(item) : item)).join(", ")}]`;

  const show = (source: Source): string => {
    switch (source.kind) {
      case "node":
        return name(source.node);
      case "product":
        return `${name(source.node)}.mul(${name(source.factor)})`;
      case "fitted":
        return `fit(${name(source.node)}, ${list(source.shape)}, ${showNumber(source.scale)}, ${list(source.shift)})`;
      case "squashed":
        return `squash(${name(source.node)}, ${list(source.shape)}, ${showNumber(source.scale)}, ${list(source.center)}, ${showNumber(source.radius)})`;
      case "row":
        return `${show(source.of)}.at(${source.index}, ${source.axis})`;
      case "constant":
        return showTensor(source.constant, float);
    }
  };
  const showSum = (sum: readonly Source[]): string =>
    sum.map(show).reduce((total, term) => `${total}.add(${term})`);
  let isShown = true;
  const counter = `tensor(0, { dtype: "int32" })`;
  /** Jitted functions, which close over nothing. */
  const functions: string[] = [];
  /** The lines of a body's steps, and what it returns. */
  const block = (body: Body, indent: string, result: (sums: string[]) => string): string =>
    [
      "{",
      ...showSteps(body.steps, body.outer + body.parameters, `${indent}  `),
      `${indent}  return ${result(body.results.map(showSum))};`,
      `${indent}}`,
    ].join("\n");

  const showStep = (step: Step, first: number, indent: string): string => {
    const defined = range(first, arity(step)).map(name);
    switch (step.kind) {
      case "primitive": {
        const { primitive, params, inputs } = step;
        const operands = list(inputs.map(show));
        const call = showBind({ primitive, params, dtype: float ?? "float64" }, operands);
        if (call === undefined) isShown = false;
        return `const ${defined[0]} = ${call ?? `bind(primitives().get("${primitive.name}")!, ${operands}, ...)`};`;
      }
      case "let":
        return `const ${defined[0]} = ${show(step.source)};`;
      case "call": {
        const { how, body, operands } = step;
        const parameters = range(first, body.parameters).map(parameter).join(", ");
        const f = `(${parameters}): Value[] => ${block(body, how === "jit" ? "" : indent, list)}`;
        let made = `checkpoint(${f}, { policy: "${how}" })`;
        if (how === "jit") {
          made = `f${functions.length}`;
          functions.push(`const ${made} = jit(${f});`);
        }
        return `const ${list(defined)} = ${made}(${operands.map(show).join(", ")});`;
      }
      case "cond": {
        const { condition, operand } = step;
        const asked =
          condition.kind === "above"
            ? `${name(condition.node)}.sum().gt(${showNumber(condition.threshold)})`
            : `${name(condition.counter)}.lt(${showNumber(condition.step)})`;
        const [onTrue, onFalse] = step.branches.map(
          (body) => `(${parameter(first)}): Value => ${block(body, indent, ([sum]) => sum)}`,
        );
        return `const ${defined[0]}: Value = cond(${asked}, ${onTrue}, ${onFalse}, ${show(operand)});`;
      }
      case "scan": {
        const [i, carry] = range(first, 2).map(name);
        const f = `(${list([i, carry])}: Value[], ${parameter(first + 2)}) => ${block(
          step.body,
          indent,
          ([next, y]) => `[[${i}.add(1), ${next}], ${y}]`,
        )}`;
        const options = JSON.stringify({ reverse: step.reverse, ...withCheckpoint(step) });
        return `const [[, ${defined[0]}], ${defined[1]}] = scan(${f}, ${list([counter, show(step.init)])}, ${show(step.xs)}, ${options});`;
      }
      case "whileLoop": {
        const [i, clock, carry] = range(first, 3).map(name);
        const f = `(${list([i, clock, carry])}: Value[]) => ${block(
          step.body,
          indent,
          ([next]) => `[${i}.add(1), ${clock}.add(1), ${next}]`,
        )}`;
        const init = list([counter, show(step.clock), show(step.init)]);
        return `const [, ${defined.join(", ")}] = whileLoop(([, t]: Value[]) => t.lt(${showNumber(step.limit)}), ${f}, ${init}, ${JSON.stringify(withCheckpoint(step))});`;
      }
      case "transformed": {
        const { how, body, operands, directions, axes } = step;
        const { results, isClosed, made, show: shown } = transformations[how];
        const own = range(first, body.parameters);
        const parameters =
          made === undefined ? own.map(parameter).join(", ") : `...${list(own.map(name))}: Value[]`;
        const [type, result] = results === "many" ? ["Value[]", list] : ["Value", ([sum]: string[]) => sum];
        let f = `(${parameters}): ${type} => ${block(body, isClosed ? "" : indent, result)}`;
        if (isClosed) {
          functions.push(`const f${functions.length} = ${f};`);
          f = `f${functions.length - 1}`;
          if (made !== undefined) {
            functions.push(`const f${functions.length} = ${made(f)};`);
            f = `f${functions.length - 1}`;
          }
        }
        return `const ${list(defined)} = ${shown(f, operands.map(show), directions.map(show), axes)};`;
      }
    }
  };
  const showSteps = (all: readonly Step[], first: number, indent: string): string[] => {
    let next = first;
    return all.map((step) => {
      const line = indent + showStep(step, next, indent);
      next += arity(step);
      return line;
    });
  };

  const lines = showSteps(steps, point.length, "  ");
  const used = (names: readonly string[]): string[] =>
    names.filter((callee) =>
      [...functions, ...lines].some((line) => new RegExp(`\\b${callee}[<(]`).test(line)),
    );
  const core = used([
    "bind",
    "checkpoint",
    "cond",
    "graphFromJSON",
    "jit",
    "primitives",
    "scan",
    "whileLoop",
    ...new Set(transformationNames.flatMap((name) => transformations[name].uses)),
  ]).sort();
  const helpers = used(["fit", "squash"]);
  const text = [
    `import { ${["type Value", ...core, "tensor"].join(", ")} } from "cotangent";`,
    ...(helpers.length === 0 ? [] : [`import { ${helpers.join(", ")} } from "@cotangent/verify";`]),
    `const point = ${list(point.map((input) => showTensor(input, float)))};`,
    ...functions,
    `const f = (${point.map((_, i) => parameter(i)).join(", ")}): Value[] => {`,
    ...lines,
    `  return ${list(results(name))};`,
    `};`,
  ].join("\n");
  return isShown ? text : withoutText(text);
}
