/** Random programs: well-typed graphs of registered primitives with shared subexpressions, finite and smooth by construction. */
import {
  type ArgumentSample,
  type Backend,
  type Domain,
  type FloatDType,
  type LoopCheckpoint,
  type Primitive,
  type SavePolicy,
  type Shape,
  type Value,
  argument,
  basisVector,
  interval,
  fromHost,
  avalOf,
  hostArray,
  primitives,
  sameShape,
  sizeOf,
  tidy,
} from "@cotangent/core";
import { linearize } from "@cotangent/forward-mode";
import { type HostInput, type RecordedDraw, defaultMargin, roomOf } from "./draw.ts";
import { largest, numbersOf } from "./numbers.ts";
import {
  type Body,
  type Condition,
  type Source,
  type Step,
  arranged,
  branches,
  kindsOf,
  runStep,
  runSteps,
  showProgram,
  tracesRules,
  unused,
  valueOf,
} from "./program.ts";
import { type ProgramSteps, smaller } from "./smaller.ts";
import { transformationNames, transformations } from "./transformations.ts";
import { type Subject, cutOf, upload } from "./subject.ts";

/** A variable at the program's point, and the most that any element of it moves when every input moves by at most 1. */
interface Node {
  readonly value: Value;
  /** The derivatives with respect to each element of the program's inputs; the counter of a loop has none. */
  readonly tangents: readonly Value[];
  readonly sensitivity: number;
}

/** What a step may use. */
interface Scope {
  readonly nodes: readonly Node[];
  /** The first node that can be seen: a jitted function closes over nothing. */
  readonly first: number;
  /** How many bodies there are around it. */
  readonly depth: number;
  /** Whether it is run on many states, so that operands are wanted at all of them, not at one. */
  readonly inLoop: boolean;
  /** Of which order the derivatives are that are taken of it. */
  readonly order: number;
  /** The variable that counts the steps of the loop, where it can be seen. */
  readonly counter: number | null;
}

/** How far a program's point may be moved; no input of any step then moves by more than a fraction of its margin. */
const room = 0.01;
/** The most sensitive node that a step takes as it is. */
const mostSensitive = 4;
const deepest = 2;
/** Transformations nest deeper, up to derivatives of this order. */
const deepestTransformed = 3;
const highestOrder = 2;
const shapes: readonly number[][] = [[], [2], [3], [2, 2]];

export interface ProgramOptions {
  /** Whether steps may be control flow, calls and transformations, with steps of their own; by default they may. */
  readonly control?: boolean;
  /** What its tensors are in, as it is printed; by default they take the backend's own. */
  readonly dtype?: FloatDType;
}

/** Primitives that a smooth program may use: with a derivative of their own and one output. */
function usable(): Primitive[] {
  return [...primitives().values()].filter(
    (primitive) =>
      cutOf(primitive) === undefined &&
      primitive.rules.form !== "multiple" &&
      primitive.surrogateFor === undefined,
  );
}

/**
 * Draws a program of at most so many steps. All choices of a step are drawn even where it is left out, and nodes are
 * chosen by numbers that do not depend on how many there are, so that leaving steps out is a way to shrink.
 */
export function drawProgram(
  draw: RecordedDraw,
  reference: Backend,
  steps: number,
  { control = true, dtype }: ProgramOptions = {},
): Subject {
  const point = Array.from({ length: draw.int(1, 3) }, (): HostInput => {
    const shape = draw.choose(shapes);
    return { shape, dtype: "float64", data: draw.elements({ low: -2, high: 2 }, sizeOf(shape)) };
  });
  return tidy(() => {
    const inputs = inputNodes(point.map((input) => upload(input, reference, "float64")));
    const scope: Scope = {
      nodes: inputs,
      first: 0,
      depth: control ? 0 : deepestTransformed,
      inLoop: false,
      order: 0,
      counter: null,
    };
    const drawn = drawSteps(draw, scope, steps);
    return programOf(
      { point, steps: drawn.steps },
      drawn.nodes.map(({ value }) => value),
      reference,
      dtype,
    );
  });
}

/** A program, of which the values of its variables at the point are known. */
function programOf(
  program: ProgramSteps,
  values: readonly Value[],
  reference: Backend,
  dtype: FloatDType | undefined,
): Subject {
  const { point, steps } = program;
  const results = unused(steps, 0, values.length);
  const isEmpty = values.map(({ size }) => size === 0);
  const text = showProgram(
    point,
    steps,
    (name) => results.map((i) => (isEmpty[i] ? `${name(i)}.sum()` : name(i))),
    dtype,
  );
  return {
    text,
    // A comment is no function.
    ...(text.startsWith("import") && { shown: { before: text, f: "f" } }),
    point,
    room,
    constants: [],
    regroups: branches(steps),
    keepsGraphs: tracesRules(steps),
    features: kindsOf(steps),
    // A sum stands for a value without elements.
    apply: (inputs) => {
      const all = runSteps(steps, inputs);
      return results.map((i) => (isEmpty[i] ? all[i].sum() : all[i]));
    },
    *smaller() {
      for (const next of smaller(program, reference)) {
        const found = tidy(() => {
          const at = runSteps(
            next.steps,
            next.point.map((input) => upload(input, reference, "float64")),
          );
          return at.every((value) => value.dataSync().every(Number.isFinite))
            ? programOf(next, at, reference, dtype)
            : undefined;
        });
        if (found !== undefined) yield found;
      }
    },
  };
}

function inputNodes(values: readonly Value[]): Node[] {
  return values.map((value, i) => ({
    value,
    tangents: values.flatMap((other, j) =>
      Array.from({ length: other.size }, (_, k) => (i === j ? basisVector(value, k) : value.zerosLike())),
    ),
    sensitivity: 1,
  }));
}

/** At most so many steps, and all variables there are after them. */
function drawSteps(
  draw: RecordedDraw,
  scope: Scope,
  most: number,
): { readonly steps: Step[]; readonly nodes: readonly Node[] } {
  const steps: Step[] = [];
  const nodes = [...scope.nodes];
  for (let remaining = draw.int(1, most); remaining > 0; remaining--) {
    const isLeftOut = draw.int(0, 9) === 0;
    const step = drawStep(draw, { ...scope, nodes });
    if (isLeftOut || step === undefined) continue;
    const found = nodesOf((variables) => runStep(step, variables), nodes);
    if (found === undefined) continue;
    nodes.push(...found);
    steps.push(step);
  }
  return { steps, nodes };
}

/** A step, or undefined where what it needs is out of hand. */
function drawStep(draw: RecordedDraw, scope: Scope): Step | undefined {
  const kind = scope.depth < deepestTransformed ? draw.int(0, 12) : 0;
  if (kind >= 10) return drawTransformed(draw, scope);
  switch (scope.depth < deepest ? kind : 0) {
    case 6:
      return drawCall(draw, scope);
    case 7:
      return drawCond(draw, scope);
    case 8:
      return drawScan(draw, scope);
    case 9:
      return drawWhile(draw, scope);
    default: {
      const primitive = draw.choose(usable());
      const { inputs, params } = primitive.sample(draw);
      const sources = inputs.map((input) => drawSource(draw, input, scope));
      // A program is run in every dtype, so none of its steps may name one.
      if (typeof params === "function") return undefined;
      return { kind: "primitive", primitive, params, inputs: sources };
    }
  }
}

const manyNodes = 5040; // a multiple of most numbers of nodes there may be, so that each is as likely

function drawSource(draw: RecordedDraw, input: ArgumentSample, scope: Scope): Source {
  const { shape, dtype, domain } = input;
  const data = draw.elements(domain, sizeOf(shape));
  if (dtype !== "float") return { kind: "constant", constant: { shape, dtype, data } };
  const { nodes } = scope;
  const node = drawNode(draw, scope, data.length > 0);
  const asItIs = !draw.bool() && !scope.inLoop;
  const { value, sensitivity } = nodes[node];
  if (
    asItIs &&
    sensitivity <= mostSensitive &&
    sameShape(value.shape, shape) &&
    isWithin(numbersOf([value]), domain)
  )
    return { kind: "node", node };
  return moved(node, shape, data, roomOf(input), scope);
}

/** A float variable, one with elements if need be: the first ones in a scope always have some. */
function drawNode(draw: RecordedDraw, { nodes, first }: Scope, mustHaveElements: boolean): number {
  const floats = nodes.flatMap(({ value }, i) => (i >= first && value.aval.floating ? [i] : []));
  const chosen = floats[draw.int(0, manyNodes - 1) % floats.length];
  return mustHaveElements && nodes[chosen].value.size === 0 ? floats[0] : chosen;
}

/** A variable moved to given numbers, or, in a loop, to within a radius of them. */
function moved(
  node: number,
  shape: Shape,
  target: ArrayLike<number>,
  radius: number,
  { nodes, inLoop }: Scope,
): Source {
  const { value, sensitivity } = nodes[node];
  const scale = sensitivity <= 1 ? 1 : powerOfTwo(1 / sensitivity);
  if (inLoop) {
    const center = Array.from(target, shortFloat);
    return { kind: "squashed", node, shape, scale, center, radius: powerOfTwo(radius) };
  }
  const unshifted = arranged(value, shape).dataSync();
  const shift = Array.from(target, (wanted, i) => shortFloat(wanted - scale * unshifted[i]));
  return { kind: "fitted", node, shape, scale, shift };
}

/** The largest power of 2 that is at most x. */
const powerOfTwo = (x: number): number => 2 ** Math.floor(Math.log2(x));

/** A number near x that every dtype has exactly, so that a program means the same in all of them. */
const shortFloat = (x: number): number => Math.fround(Math.round(x * 1024) / 1024);

/** Whether numbers lie in a domain, clear of its edges and kinks, and of each other where it wants them distinct. */
function isWithin(
  numbers: readonly number[],
  { low, high, kinks = [], margin = defaultMargin, distinct = false }: Domain,
): boolean {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (
    sorted.every((x) => x >= low && x <= high && kinks.every((kink) => Math.abs(x - kink) >= margin)) &&
    (!distinct || sorted.every((x, i) => i === 0 || x - sorted[i - 1] >= margin))
  );
}

/** The nodes that a step adds, or undefined where a value would decide the precision of the rest, or is out of hand. */
function nodesOf(
  f: (variables: readonly Value[]) => readonly Value[],
  nodes: readonly Node[],
): Node[] | undefined {
  const floats = nodes.filter(({ value }) => value.aval.floating);
  const [values, push] = linearize(
    (...inputs: Value[]) => {
      let next = 0;
      return [...f(nodes.map(({ value }) => (value.aval.floating ? inputs[next++] : value)))];
    },
    ...floats.map(({ value }) => value),
  );
  if (values.some((value) => value.dtype !== "float64")) return undefined;
  const columns = floats[0].tangents.map((_, k) => push(...floats.map(({ tangents }) => tangents[k])));
  const found = values.map((value, o): Node & { readonly moves: readonly number[] } => {
    const tangents = columns.map((column) => column[o]);
    const moves = new Array<number>(value.size).fill(0);
    for (const tangent of tangents) tangent.dataSync().forEach((x, i) => (moves[i] += Math.abs(x)));
    return { value, tangents, sensitivity: largest(moves), moves };
  });
  const inHand = found.every(({ value, moves }) =>
    [...numbersOf([value]), ...moves].every((x) => Math.abs(x) < 1e6),
  );
  return inHand ? found : undefined;
}

/** Steps with parameters of their own, whose results are made of what no step of it uses. */
function drawBody(
  draw: RecordedDraw,
  scope: Scope,
  parameters: readonly Node[],
  own: Partial<Scope>,
  results: (ends: readonly number[], within: Scope) => Body["results"],
): Body {
  const outer = scope.nodes.length;
  const within = { ...scope, ...own, nodes: [...scope.nodes, ...parameters], depth: scope.depth + 1 };
  const { steps, nodes } = drawSteps(draw, within, 2);
  const ends = unused(steps, outer, nodes.length).filter((i) => nodes[i].value.aval.floating);
  // Where all is used by a condition alone, the last stands for the rest.
  const some = ends.length > 0 ? ends : [nodes.length - 1];
  return { outer, parameters: parameters.length, steps, results: results(some, { ...within, nodes }) };
}

/** Several variables of any shapes as one of a given shape: the sum of them, each moved there. */
function drawSum(
  draw: RecordedDraw,
  shape: Shape,
  radius: number,
): (ends: readonly number[], within: Scope) => Source[] {
  const target = draw.elements({ low: -1, high: 1 }, sizeOf(shape));
  return (ends, within) => {
    const full = ends.filter((i) => within.nodes[i].value.size > 0);
    return (full.length > 0 ? full : [within.first]).map((i) => moved(i, shape, target, radius, within));
  };
}

function drawCall(draw: RecordedDraw, scope: Scope): Step | undefined {
  const how = draw.choose<"jit" | SavePolicy>(["jit", "nothing", "products", "smallest", "everything"]);
  const operands = Array.from({ length: draw.int(1, 2) }, () =>
    drawSource(draw, argument(draw.choose(shapes)), scope),
  );
  const parameters = nodesOf((all) => operands.map((source) => valueOf(source, all)), scope.nodes);
  if (parameters === undefined) return undefined;
  const own = how === "jit" ? { first: scope.nodes.length, counter: null } : {};
  const body = drawBody(draw, scope, parameters, own, (ends) => ends.map((node) => [{ kind: "node", node }]));
  return { kind: "call", how, body, operands };
}

function drawTransformed(draw: RecordedDraw, scope: Scope): Step | undefined {
  const how = draw.choose(transformationNames);
  const { order, results, isUnary, isClosed, tangents = 0, cotangents } = transformations[how];
  if (scope.order + order > highestOrder) return undefined;
  const isBatch = how === "vmap";
  const size = draw.int(1, 3);
  const count = isUnary === true ? 1 : draw.int(1, 2);
  const axes: (number | null)[] = [];
  const own: number[][] = [];
  const operands = Array.from({ length: count }, (_, i): Source => {
    const shape = draw.choose(shapes);
    own.push(shape);
    const axis = i === 0 || draw.bool() ? draw.int(0, shape.length) : null;
    if (!isBatch) return drawSource(draw, argument(shape), scope);
    axes.push(axis);
    return drawSource(draw, argument(axis === null ? shape : shape.toSpliced(axis, 0, size)), scope);
  });
  const parameters = nodesOf(
    (all) =>
      operands.map((source, i) => {
        const value = valueOf(source, all);
        const axis = axes[i] ?? null;
        return axis === null ? value : value.at(0, axis);
      }),
    scope.nodes,
  );
  if (parameters === undefined) return undefined;
  const shape = results === "scalar" ? [] : draw.choose(shapes);
  const sum = drawSum(draw, shape, 1);
  const given: number[][] = own.flatMap((each) => new Array<number[]>(tangents).fill(each));
  const within: Partial<Scope> = {
    order: scope.order + order,
    ...(isClosed && { first: scope.nodes.length, counter: null }),
    // What is smooth for one element must be for all.
    ...(isBatch && { inLoop: true, counter: null }),
  };
  const body = drawBody(draw, scope, parameters, within, (ends, { nodes, ...rest }) => {
    if (results !== "many") return [sum(ends, { nodes, ...rest })];
    if (cotangents) given.push(...ends.map((node) => [...nodes[node].value.shape]));
    return ends.map((node) => [{ kind: "node", node }]);
  });
  const directions = given.map((each) => drawSource(draw, argument(each, interval(-1, 1)), scope));
  return { kind: "transformed", how, body, operands, directions, axes };
}

function drawCond(draw: RecordedDraw, scope: Scope): Step | undefined {
  const operand = drawSource(draw, argument(draw.choose(shapes)), scope);
  const shape = draw.choose(shapes);
  const condition = drawCondition(draw, scope);
  const parameters = nodesOf((all) => [valueOf(operand, all)], scope.nodes);
  if (parameters === undefined || condition === undefined) return undefined;
  const branch = (): Body => {
    const sum = drawSum(draw, shape, 1);
    return drawBody(draw, scope, parameters, {}, (ends, within) => [sum(ends, within)]);
  };
  return { kind: "cond", condition, branches: [branch(), branch()], operand };
}

/** A condition that does not change near the point, nor, in a loop, near any of its states; undefined without a counter. */
function drawCondition(draw: RecordedDraw, scope: Scope): Condition | undefined {
  const { nodes, inLoop, counter } = scope;
  const chosen = drawNode(draw, scope, false);
  const isTrue = draw.bool();
  const step = draw.int(0, 3);
  if (inLoop) return counter === null ? undefined : { kind: "before", counter, step };
  const { value, sensitivity } = nodes[chosen];
  const sum = value.sum().item();
  const clearance = 0.5 + Math.abs(sum) / 8 + 2 * room * sensitivity * value.size;
  return { kind: "above", node: chosen, threshold: shortFloat(isTrue ? sum - clearance : sum + clearance) };
}

const checkpoints: readonly (LoopCheckpoint | null)[] = [null, "all", "sqrt", "log", { slots: 2 }];

/** The body of a loop, whose first parameter counts. */
const inLoop = ({ nodes }: Scope): Partial<Scope> => ({ inLoop: true, counter: nodes.length });

/** The counter of a loop as it is at first. */
function counterNode({ value: { backend } }: Node): Node {
  return {
    value: fromHost(hostArray("int32", 1), avalOf([], "int32"), backend),
    tangents: [],
    sensitivity: Infinity,
  };
}

function drawScan(draw: RecordedDraw, scope: Scope): Step | undefined {
  const [shape, row] = [draw.choose(shapes), draw.choose(shapes)];
  const init = drawSource(draw, argument(shape), scope);
  const xs = drawSource(draw, argument([draw.int(1, 3), ...row]), scope);
  const reverse = draw.bool();
  const checkpoint = draw.choose(checkpoints);
  const sum = drawSum(draw, shape, 1);
  const first = nodesOf((all) => [valueOf(init, all), valueOf(xs, all).at(0)], scope.nodes);
  if (first === undefined) return undefined;
  const parameters = [counterNode(scope.nodes[0]), ...first];
  const body = drawBody(draw, scope, parameters, inLoop(scope), (ends, within) => {
    const node = ends[ends.length - 1];
    const factor = scope.nodes.length + 2;
    // The row itself, where that may be, so that the way back needs it again.
    const isProduct = row.length === 0 || sameShape(within.nodes[node].value.shape, row);
    return [sum(ends, within), [isProduct ? { kind: "product", node, factor } : { kind: "node", node }]];
  });
  return { kind: "scan", body, init, xs, reverse, checkpoint };
}

function drawWhile(draw: RecordedDraw, scope: Scope): Step | undefined {
  const shape = draw.choose(shapes);
  const init = drawSource(draw, argument(shape), scope);
  const node = drawNode(draw, scope, true);
  const from = shortFloat(draw.elements({ low: -1, high: 1 }, 1)[0]);
  const clock = moved(node, [], [from], defaultMargin, scope);
  // Half a step away from where the number of steps would change.
  const limit = from + draw.int(0, 3) - 0.5;
  const checkpoint = draw.choose(checkpoints);
  const sum = drawSum(draw, shape, 1);
  const first = nodesOf((all) => [valueOf(clock, all), valueOf(init, all)], scope.nodes);
  if (first === undefined) return undefined;
  const parameters = [counterNode(scope.nodes[0]), ...first];
  const body = drawBody(draw, scope, parameters, inLoop(scope), (ends, within) => [sum(ends, within)]);
  return { kind: "whileLoop", body, clock, limit, init, checkpoint };
}
