/** Random programs: well-typed graphs of registered primitives with shared subexpressions, finite and smooth by construction. */
import {
  type Backend,
  type Primitive,
  type Shape,
  type Value,
  avalOf,
  bind,
  fromHost,
  isFloating,
  primitives,
  sizeOf,
  tidy,
} from "@cotangent/core";
import type { HostInput, RecordedDraw } from "./draw.ts";
import { type Subject, upload } from "./subject.ts";

/** One step: a primitive applied to earlier nodes, each fitted to the shape and range that the primitive wants. */
interface Step {
  readonly primitive: Primitive;
  readonly params: object;
  readonly inputs: readonly (Fitted | HostInput)[];
}

interface Fitted {
  readonly node: number;
  readonly shape: Shape;
  readonly low: number;
  readonly high: number;
}

/**
 * Fits a value to a shape by repeating or dropping elements, and into a range by a sigmoid: smooth, so that any node can
 * feed any primitive.
 */
export function fit(x: Value, shape: Shape, low: number, high: number): Value {
  const count = sizeOf(shape);
  const index = fromHost(
    Int32Array.from({ length: count }, (_, i) => i % Math.max(1, x.size)),
    avalOf([count], "int32"),
    x.backend,
  );
  const taken = x.reshape([x.size]).take(index).reshape(shape);
  return taken
    .sigmoid()
    .mul(high - low)
    .add(low);
}

/** How far a program's point may be moved: little, since its nodes pass through kinks' neighbourhoods unseen. */
const room = 0.01;

/** Primitives that a smooth program may use: with derivatives, one output, and no condition that a move could change. */
function usable(): Primitive[] {
  return [...primitives().values()].filter(
    ({ rules }) => rules.form !== "zero" && rules.form !== "nonDifferentiable" && rules.form !== "multiple",
  );
}

/** Draws a program of so many steps; the choice is by domain, and steps that come near a kink are left out. */
export function drawProgram(draw: RecordedDraw, reference: Backend, steps: number): Subject {
  const point = Array.from({ length: draw.int(1, 3) }, (): HostInput => {
    const shape = draw.choose<number[]>([[], [2], [3], [2, 2]]);
    return { shape, dtype: "float64", data: draw.elements({ low: -2, high: 2 }, sizeOf(shape)) };
  });
  return tidy(() => {
    const nodes = point.map((input) => upload(input, reference, "float64"));
    const program: Step[] = [];
    const choice = usable();
    for (let i = 0; i < steps; i++) {
      const primitive = draw.choose(choice);
      const sample = primitive.sample(draw);
      const inputs = sample.inputs.map(({ shape, dtype, domain }): Fitted | HostInput =>
        dtype === "float"
          ? { node: draw.int(0, nodes.length - 1), shape, low: domain.low, high: domain.high }
          : { shape, dtype, data: draw.elements(domain, sizeOf(shape)) },
      );
      if (inputs.some((input) => "node" in input && nodes[input.node].size === 0)) continue;
      const step: Step = { primitive, params: sample.params, inputs };
      const values = inputs.map((input) => fitted(input, nodes));
      if (!values.every((value, k) => smoothAt(value, sample.inputs[k].domain))) continue;
      const node = bind(primitive, values, sample.params);
      if (node.dtype !== "float64") continue; // a change of dtype would decide the precision of the whole
      nodes.push(node);
      program.push(step);
    }
    return {
      text: showProgram(point, program),
      point,
      room,
      constants: [],
      apply: (inputs) => run(program, inputs),
    };
  });
}

function fitted(input: Fitted | HostInput, nodes: readonly Value[]): Value {
  if (!("node" in input)) return upload(input, nodes[0].backend, "float64");
  return fit(nodes[input.node], input.shape, input.low, input.high);
}

/** Whether the elements keep clear of kinks, and differ where they must, by enough for differences to be taken. */
function smoothAt(
  value: Value,
  { kinks = [], distinct = false }: { kinks?: readonly number[]; distinct?: boolean },
): boolean {
  const clearance = 8 * room;
  const data = Array.from(value.dataSync()).sort((a, b) => a - b);
  if (!value.aval.floating) return true;
  if (data.some((x) => kinks.some((kink) => Math.abs(x - kink) < clearance))) return false;
  return !distinct || data.every((x, i) => i === 0 || x - data[i - 1] > clearance);
}

/** The sum of every node that nothing else used, so that no step is dead, with the inputs themselves. */
function run(program: readonly Step[], inputs: readonly Value[]): Value[] {
  const nodes = [...inputs];
  const used = new Set<number>();
  for (const step of program) {
    for (const input of step.inputs) if ("node" in input) used.add(input.node);
    const values = step.inputs.map((input) => fitted(input, nodes));
    nodes.push(bind(step.primitive, values, step.params));
  }
  return nodes.filter((_, i) => !used.has(i)).map((node) => (node.size === 0 ? node.sum() : node));
}

function showProgram(point: readonly HostInput[], program: readonly Step[]): string {
  const show = (input: HostInput): string =>
    `tensor([${input.data.join(", ")}], { shape: [${input.shape.join(", ")}]${isFloating(input.dtype) ? "" : `, dtype: "${input.dtype}"`} })`;
  const names = point.map((_, i) => `x${i}`);
  const lines = program.map((step, i) => {
    const args = step.inputs.map((input) =>
      "node" in input
        ? `fit(${input.node < names.length ? `x${input.node}` : `v${input.node - names.length}`}, [${input.shape.join(", ")}], ${input.low}, ${input.high})`
        : show(input),
    );
    return `  const v${i} = bind(primitives().get("${step.primitive.name}")!, [${args.join(", ")}], ${JSON.stringify(step.params)});`;
  });
  return [
    `import { fit } from "@cotangent/verify";`,
    `const point = [${point.map(show).join(", ")}];`,
    `const f = (${names.map((name) => `${name}: Value`).join(", ")}) => {`,
    ...lines,
    `  return [${program.map((_, i) => `v${i}`).join(", ")}];`,
    `};`,
  ].join("\n");
}
