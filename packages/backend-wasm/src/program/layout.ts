/** Where the elements of a value lie in memory: views are values that read another one's elements in their own order. */
import {
  type Axes,
  type GraphNode,
  type Shape,
  type SliceParams,
  type Variable,
  type Graph,
  sizeOf,
  stridesOf,
} from "@cotangent/core";

/** Element [i, j, ...] lies `offset + i * strides[0] + j * strides[1] + ...` elements after the start. */
export interface Layout {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** One element after the other, in row-major order. */
export const contiguous = (shape: Shape): Layout => ({ shape, strides: stridesOf(shape), offset: 0 });

/** Whether the elements lie one after the other, in row-major order. */
export function isContiguous({ shape, strides }: Layout): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** The layout of the output of a node that only reads its input in another order; undefined for all other nodes. */
export function viewOf(node: GraphNode, input: Layout, output: Shape): Layout | undefined {
  const { shape, strides, offset } = input;
  switch (node.primitive.name) {
    case "reshape":
      return reshaped(input, output);
    case "transpose": {
      const { permutation } = node.params as { readonly permutation: readonly number[] };
      return { shape: output, strides: permutation.map((axis) => strides[axis]), offset };
    }
    case "slice": {
      const { begin, strides: steps } = node.params as SliceParams;
      return {
        shape: output,
        strides: strides.map((stride, axis) => stride * steps[axis]),
        offset: begin.reduce((total, at, axis) => total + at * strides[axis], offset),
      };
    }
    case "flip": {
      const { axes } = node.params as Axes;
      return {
        shape,
        strides: strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
        offset: axes.reduce((total, axis) => total + (shape[axis] - 1) * strides[axis], offset),
      };
    }
    case "broadcastTo": {
      return { shape: output, strides: broadcastStrides(input, output), offset };
    }
    case "stopGradient":
    case "straightThrough":
      return input;
    default:
      return undefined;
  }
}

/** Strides by which a value is read as one of a larger shape: 0 along broadcast axes. */
export function broadcastStrides({ shape, strides }: Layout, output: Shape): number[] {
  const missing = output.length - shape.length;
  return output.map((n, axis) =>
    axis < missing || (shape[axis - missing] === 1 && n !== 1) ? 0 : strides[axis - missing],
  );
}

/** The same elements under another shape, where strides can say so. */
function reshaped(input: Layout, output: Shape): Layout | undefined {
  if (isContiguous(input)) return { ...contiguous(output), offset: input.offset };
  // Strides of axes of size 1 mean nothing. Groups of axes of both shapes have the same number of elements; within one, the
  // input must be contiguous.
  const axes = input.shape.map((_, axis) => axis).filter((axis) => input.shape[axis] !== 1);
  const sizes = axes.map((axis) => input.shape[axis]);
  const steps = axes.map((axis) => input.strides[axis]);
  const strides = new Array<number>(output.length).fill(0);
  let [i, j] = [0, 0];
  while (i < sizes.length) {
    const [firstIn, firstOut] = [i, j];
    let [from, to] = [sizes[i++], output[j++]];
    while (from !== to) {
      if (from < to) from *= sizes[i++];
      else to *= output[j++];
    }
    for (let k = firstIn; k < i - 1; k++) if (steps[k] !== steps[k + 1] * sizes[k + 1]) return undefined;
    let stride = steps[i - 1];
    for (let axis = j - 1; axis >= firstOut; axis--) {
      strides[axis] = stride;
      stride *= output[axis];
    }
  }
  return { shape: output, strides, offset: input.offset };
}

/** How the variables of a graph lie, as far as that is fixed before it runs. */
export interface Layouts {
  readonly of: readonly Layout[];
  /** By variable: whether it is a view of its node's first input. */
  readonly isView: readonly boolean[];
}

/**
 * The layouts of all variables of a graph whose inputs and constants are contiguous. A node whose result can be a view is
 * one, unless something that uses it must have its elements in order, or the result is made in registers.
 */
export function layoutsOf(
  graph: Graph,
  readsViews: (node: GraphNode, input: number) => boolean,
  isInRegisters: (node: GraphNode) => boolean,
): Layouts {
  const needsOrder = new Uint8Array(graph.avals.length);
  for (const node of graph.nodes)
    node.inputs.forEach((variable, i) => {
      if (!readsViews(node, i)) needsOrder[variable] = 1;
    });
  const of = graph.avals.map(({ shape }) => contiguous(shape));
  const isView = graph.avals.map(() => false);
  for (const node of graph.nodes) {
    const [variable]: readonly Variable[] = node.outputs;
    if (sizeOf(graph.avals[variable].shape) === 0 || isInRegisters(node)) continue;
    const view = viewOf(node, of[node.inputs[0]], graph.avals[variable].shape);
    if (view === undefined || (needsOrder[variable] === 1 && !isContiguous(view))) continue;
    of[variable] = view;
    isView[variable] = true;
  }
  return { of, isView };
}
