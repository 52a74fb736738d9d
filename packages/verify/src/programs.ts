/** Random programs: well-typed graphs of registered primitives with shared subexpressions, finite and smooth by construction. */
import {
  type ArgumentSample,
  type Backend,
  type Domain,
  type Params,
  type Primitive,
  type Shape,
  type Value,
  avalOf,
  basisVector,
  bind,
  fromHost,
  hostArray,
  paramsOf,
  primitives,
  sameShape,
  sizeOf,
  tidy,
} from "@cotangent/core";
import { jvp } from "@cotangent/forward-mode";
import { type HostInput, type RecordedDraw, defaultMargin, showTensor } from "./draw.ts";
import { largest, numbersOf } from "./numbers.ts";
import { type Subject, cutOf, isSurrogate, upload } from "./subject.ts";

/** One step: a primitive applied to earlier nodes, each as it is or moved to where the primitive is smooth, or to constants. */
interface Step {
  readonly primitive: Primitive;
  readonly params: Params;
  readonly inputs: readonly Source[];
}

type Source =
  | { readonly kind: "node"; readonly node: number }
  | {
      readonly kind: "fitted";
      readonly node: number;
      readonly shape: Shape;
      readonly scale: number;
      readonly shift: readonly number[];
    }
  | { readonly kind: "constant"; readonly constant: HostInput };

/** A value at the program's point, and the most that any element of it moves when every input moves by at most 1. */
interface Node {
  readonly value: Value;
  /** The derivatives with respect to each element of the program's inputs. */
  readonly tangents: readonly Value[];
  readonly sensitivity: number;
}

/**
 * An affine map between shapes: the elements of x, repeated or dropped to fill the shape, times `scale`, plus `shift`.
 * With it the value of any node can feed any primitive at a point where that primitive is smooth.
 */
export function fit(x: Value, shape: Shape, scale: number, shift: readonly number[]): Value {
  const aval = avalOf(shape, x.dtype);
  const host = hostArray(x.dtype, aval.size);
  host.set(shift);
  return arranged(x, shape)
    .mul(scale)
    .add(fromHost(host, aval, x.backend));
}

function arranged(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const count = sizeOf(shape);
  if (x.size === count) return x.reshape(shape);
  const index = Int32Array.from({ length: count }, (_, i) => i % Math.max(1, x.size));
  return x
    .reshape([x.size])
    .take(fromHost(index, avalOf([count], "int32"), x.backend))
    .reshape(shape);
}

/** How far a program's point may be moved; no input of any step then moves by more than a fraction of its margin. */
const room = 0.01;
/** The most sensitive node that a step takes as it is. */
const mostSensitive = 4;

/** Primitives that a smooth program may use: with a derivative of their own and one output. */
function usable(): Primitive[] {
  return [...primitives().values()].filter(
    (primitive) =>
      cutOf(primitive) === undefined && primitive.rules.form !== "multiple" && !isSurrogate(primitive),
  );
}

/**
 * Draws a program of at most so many steps. All choices of a step are drawn even where it is left out, and nodes are
 * chosen by numbers that do not depend on how many there are, so that leaving steps out is a way to shrink.
 */
export function drawProgram(draw: RecordedDraw, reference: Backend, steps: number): Subject {
  const point = Array.from({ length: draw.int(1, 3) }, (): HostInput => {
    const shape = draw.choose<number[]>([[], [2], [3], [2, 2]]);
    return { shape, dtype: "float64", data: draw.elements({ low: -2, high: 2 }, sizeOf(shape)) };
  });
  return tidy(() => {
    const nodes = inputNodes(point.map((input) => upload(input, reference, "float64")));
    const program: Step[] = [];
    const choice = usable();
    for (let remaining = draw.int(1, steps); remaining > 0; remaining--) {
      const isLeftOut = draw.int(0, 9) === 0;
      const primitive = draw.choose(choice);
      const { inputs, params } = primitive.sample(draw);
      const step = {
        primitive,
        params: paramsOf({ params }, "float64"),
        inputs: inputs.map((input) => drawSource(draw, input, nodes)),
      };
      if (isLeftOut) continue;
      const node = nodeOf(step, nodes);
      if (node === undefined) continue;
      nodes.push(node);
      program.push(step);
    }
    return {
      text: showProgram(point, program, nodes),
      point,
      room,
      constants: [],
      apply: (inputs) => run(program, inputs),
    };
  });
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

const manyNodes = 5040; // a multiple of most numbers of nodes there may be, so that each is as likely

function drawSource(draw: RecordedDraw, input: ArgumentSample, nodes: readonly Node[]): Source {
  const { shape, dtype, domain } = input;
  const data = draw.elements(domain, sizeOf(shape));
  if (dtype !== "float") return { kind: "constant", constant: { shape, dtype, data } };
  const chosen = draw.int(0, manyNodes - 1) % nodes.length;
  const asItIs = !draw.bool();
  // A node without elements can fill nothing; the inputs of a program always have some.
  const node = nodes[chosen].value.size === 0 && data.length > 0 ? 0 : chosen;
  const { value, sensitivity } = nodes[node];
  if (
    asItIs &&
    sensitivity <= mostSensitive &&
    sameShape(value.shape, shape) &&
    isWithin(numbersOf([value]), domain)
  )
    return { kind: "node", node };
  const scale = sensitivity <= 1 ? 1 : 2 ** -Math.ceil(Math.log2(sensitivity));
  const unshifted = arranged(value, shape).dataSync();
  const shift = Array.from(data, (target, i) => shortFloat(target - scale * unshifted[i]));
  return { kind: "fitted", node, shape, scale, shift };
}

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

/** The node that a step adds, or undefined where its value would decide the precision of the rest, or is out of hand. */
function nodeOf(step: Step, nodes: readonly Node[]): Node | undefined {
  const f = (...values: Value[]): Value => {
    const inputs = step.inputs.map((source) => valueOf(source, values));
    return bind(step.primitive, inputs, step.params);
  };
  const values = nodes.map((node) => node.value);
  const value = f(...values);
  if (value.dtype !== "float64") return undefined;
  const tangents = nodes[0].tangents.map(
    (_, k) =>
      jvp(
        f,
        values,
        nodes.map((node) => node.tangents[k]),
      )[1],
  );
  const columns = tangents.map((tangent) => tangent.dataSync());
  const moves = Array.from({ length: value.size }, (_, i) =>
    columns.reduce((sum, column) => sum + Math.abs(column[i]), 0),
  );
  const sensitivity = largest(moves);
  const inHand = [...numbersOf([value]), ...moves].every((x) => Math.abs(x) < 1e6);
  return inHand ? { value, tangents, sensitivity } : undefined;
}

function valueOf(source: Source, nodes: readonly Value[]): Value {
  switch (source.kind) {
    case "node":
      return nodes[source.node];
    case "fitted":
      return fit(nodes[source.node], source.shape, source.scale, source.shift);
    case "constant":
      return upload(source.constant, nodes[0].backend, "float64");
  }
}

/** Which nodes no step uses: the results, so that no step is dead. */
function unused(program: readonly Step[], count: number): number[] {
  const used = new Set(
    program.flatMap(({ inputs }) =>
      inputs.flatMap((source) => (source.kind === "constant" ? [] : [source.node])),
    ),
  );
  return Array.from({ length: count }, (_, i) => i).filter((i) => !used.has(i));
}

/** The values of all nodes that nothing else used; a sum stands for one without elements. */
function run(program: readonly Step[], inputs: readonly Value[]): Value[] {
  const nodes = [...inputs];
  for (const { primitive, params, inputs: sources } of program) {
    const values = sources.map((source) => valueOf(source, nodes));
    nodes.push(bind(primitive, values, params));
  }
  return unused(program, nodes.length).map((i) => (nodes[i].size === 0 ? nodes[i].sum() : nodes[i]));
}

function showProgram(point: readonly HostInput[], program: readonly Step[], nodes: readonly Node[]): string {
  const name = (node: number): string => (node < point.length ? `x${node}` : `v${node - point.length}`);
  const show = (source: Source): string => {
    switch (source.kind) {
      case "node":
        return name(source.node);
      case "fitted":
        return `fit(${name(source.node)}, [${source.shape.join(", ")}], ${source.scale}, [${source.shift.join(", ")}])`;
      case "constant":
        return showTensor(source.constant);
    }
  };
  const lines = program.map(
    ({ primitive, params, inputs }, i) =>
      `  const v${i} = bind(primitives().get("${primitive.name}")!, [${inputs.map(show).join(", ")}], ${JSON.stringify(params)});`,
  );
  const results = unused(program, nodes.length).map((i) =>
    nodes[i].value.size === 0 ? `${name(i)}.sum()` : name(i),
  );
  return [
    `import { type Value, bind, primitives, tensor } from "cotangent";`,
    `import { fit } from "@cotangent/verify";`,
    `const point = [${point.map((input) => showTensor(input)).join(", ")}];`,
    `const f = (${point.map((_, i) => `x${i}: Value`).join(", ")}): Value[] => {`,
    ...lines,
    `  return [${results.join(", ")}];`,
    `};`,
  ].join("\n");
}
