/** Nodes of a few elements: straight-line code on scalars. */
import {
  type Aval,
  type DotParams,
  type Graph,
  type GraphNode,
  type PadParams,
  type Shape,
  stridesOf,
} from "@cotangent/core";
import { type Expr, f32, f64, i32 } from "../emit/index.ts";
import { reductionNames } from "./cluster.ts";
import { type HostElementwise, type Mathematics, elementwise, selected } from "./elementwise.ts";
import { type Layout, broadcastStrides, contiguous, viewOf } from "./layout.ts";
import { impossible, literal } from "./registers.ts";
import { isTiny } from "./slot.ts";

/** Products of a contraction that is written out. */
const mostProducts = 64;

const rearrangements = new Set([
  "reshape",
  "transpose",
  "slice",
  "flip",
  "broadcastTo",
  "concatenate",
  "pad",
]);

/** Whether a node can be straight-line code: all that it reads and gives is tiny. */
export function isTinyNode({ avals }: Graph, { primitive, inputs, outputs, params }: GraphNode): boolean {
  if (![...inputs, ...outputs].every((variable) => isTiny(avals[variable]))) return false;
  if (primitive.name === "call") {
    const { graph } = params as { readonly graph: Graph };
    return graph.nodes.every((inner) => inner.primitive.name !== "call" && isTinyNode(graph, inner));
  }
  if (primitive.name === "dotGeneral") {
    const { contractX } = params as DotParams;
    const depth = contractX.reduce((product, axis) => product * avals[inputs[0]].shape[axis], 1);
    return depth * avals[outputs[0]].size <= mostProducts;
  }
  if (primitive.name === "pad") return !hasNegative(params as PadParams);
  return (
    primitive.elementwise ||
    rearrangements.has(primitive.name) ||
    reductionNames.has(primitive.name) ||
    primitive.name === "straightThrough"
  );
}

export const hasNegative = ({ low, high }: Omit<PadParams, "value">): boolean =>
  [...low, ...high].some((n) => n < 0);

/** The places of all elements, in row-major order. */
export function placesOf({ shape, strides, offset }: Layout): number[] {
  let places = [offset];
  shape.forEach((size, axis) => {
    places = places.flatMap((place) => Array.from({ length: size }, (_, i) => place + i * strides[axis]));
  });
  return places;
}

export interface TinyContext {
  readonly mathematics: Mathematics;
  readonly host: HostElementwise;
  readonly keep: (value: Expr) => Expr;
}

/** The elements of a node's output, from those of its inputs. */
export function tinyNode(
  graph: Graph,
  node: GraphNode,
  inputs: readonly (readonly Expr[])[],
  context: TinyContext,
): readonly Expr[] {
  const avals = node.inputs.map((variable) => graph.avals[variable]);
  const output = graph.avals[node.outputs[0]];
  const { primitive, params } = node;
  const { keep } = context;
  if (reductionNames.has(primitive.name))
    return reduced(primitive.name, avals[0], params as { axes: readonly number[] }, inputs[0], keep);
  switch (primitive.name) {
    case "dotGeneral":
      return contracted(avals, params as DotParams, inputs, keep);
    case "concatenate":
      return concatenated(avals, output, (params as { readonly axis: number }).axis, inputs);
    case "pad":
      return padded(avals[0], output, params as PadParams, inputs[0]);
    default:
  }
  const view = viewOf(node, contiguous(avals[0].shape), output.shape);
  if (view !== undefined) return placesOf(view).map((place) => inputs[0][place]);
  const places = avals.map((aval) => placesOf(broadcastTo(aval.shape, output.shape)));
  const site = {
    dtypes: avals.map(({ dtype }) => dtype),
    output: output.dtype,
    lanes: 1 as const,
    params,
    keep,
  };
  return Array.from({ length: output.size }, (_, k) =>
    keep(
      elementwise(
        primitive.name,
        inputs.map((elements, i) => elements[places[i][k]]),
        site,
        context.mathematics,
        context.host,
      ),
    ),
  );
}

const broadcastTo = (shape: Shape, output: Shape): Layout => ({
  shape: output,
  strides: broadcastStrides(contiguous(shape), output),
  offset: 0,
});

function reduced(
  name: string,
  { shape, dtype, size }: Aval,
  { axes }: { readonly axes: readonly number[] },
  elements: readonly Expr[],
  keep: (value: Expr) => Expr,
): Expr[] {
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const strides = stridesOf(shape);
  const starts = placesOf({
    shape: kept.map((a) => shape[a]),
    strides: kept.map((a) => strides[a]),
    offset: 0,
  });
  const terms = placesOf({
    shape: axes.map((a) => shape[a]),
    strides: axes.map((a) => strides[a]),
    offset: 0,
  });
  if (size === 0) impossible("a reduction of nothing is no straight-line code");
  const isFloat = dtype === "float32" || dtype === "float64";
  const isSum = name === "sum" || name === "prod";
  // As in vectors: float32 is summed in float64, and rounded once.
  const isWide = dtype === "float32" && isSum;
  const ops = isWide || dtype === "float64" ? f64 : f32;
  const combine = (a: Expr, b: Expr): Expr => {
    if (isFloat)
      return { sum: ops.add, prod: ops.mul, reduceMax: ops.max, reduceMin: ops.min }[name as "sum"](a, b);
    if (isSum) return (name === "sum" ? i32.add : i32.mul)(a, b);
    const [x, y] = [keep(a), keep(b)];
    return selected((name === "reduceMax" ? i32.gt_s : i32.lt_s)(x, y), x, y, dtype, 1);
  };
  return starts.map((start) => {
    const values = terms.map((term) =>
      isWide ? f64.promote_f32(elements[start + term]) : elements[start + term],
    );
    const total = values.reduce(combine);
    return keep(isWide ? f32.demote_f64(total) : total);
  });
}

function contracted(
  [x, y]: readonly Aval[],
  { contractX, contractY, batchX, batchY }: DotParams,
  [a, b]: readonly (readonly Expr[])[],
  keep: (value: Expr) => Expr,
): Expr[] {
  const free = (rank: number, ...used: (readonly number[])[]): number[] =>
    Array.from({ length: rank }, (_, i) => i).filter((i) => !used.some((list) => list.includes(i)));
  const along = (aval: Aval, axes: readonly number[]): number[] => {
    const strides = stridesOf(aval.shape);
    return placesOf({
      shape: axes.map((i) => aval.shape[i]),
      strides: axes.map((i) => strides[i]),
      offset: 0,
    });
  };
  const [inX, inY] = [along(x, contractX), along(y, contractY)];
  const [freeX, freeY] = [
    along(x, free(x.rank, contractX, batchX)),
    along(y, free(y.rank, contractY, batchY)),
  ];
  const [eachX, eachY] = [along(x, batchX), along(y, batchY)];
  const ops = x.dtype === "int32" ? i32 : x.dtype === "float32" ? f32 : f64;
  return eachX.flatMap((startX, batch) =>
    freeX.flatMap((atX) =>
      freeY.map((atY) => {
        const products = inX.map((termX, k) =>
          ops.mul(a[startX + atX + termX], b[eachY[batch] + atY + inY[k]]),
        );
        return keep(
          products.length === 0 ? literal(0, x.dtype, 1) : products.reduce((p, q) => ops.add(p, q)),
        );
      }),
    ),
  );
}

function concatenated(
  avals: readonly Aval[],
  output: Aval,
  axis: number,
  inputs: readonly (readonly Expr[])[],
): Expr[] {
  const found = new Array<Expr>(output.size);
  const strides = stridesOf(output.shape);
  let start = 0;
  avals.forEach(({ shape }, i) => {
    placesOf({ shape, strides, offset: start * strides[axis] }).forEach(
      (place, k) => (found[place] = inputs[i][k]),
    );
    start += shape[axis];
  });
  return found;
}

function padded(
  { shape, dtype }: Aval,
  output: Aval,
  { low, interior }: PadParams,
  elements: readonly Expr[],
): Expr[] {
  const found = new Array<Expr>(output.size).fill(literal(0, dtype, 1));
  placesOf(paddedLayout(shape, output.shape, low, interior)).forEach(
    (place, k) => (found[place] = elements[k]),
  );
  return found;
}

/** Where the elements of a padded value lie in the output. */
export function paddedLayout(
  shape: Shape,
  output: Shape,
  low: readonly number[],
  interior: readonly number[],
): Layout {
  const strides = stridesOf(output);
  return {
    shape,
    strides: strides.map((stride, axis) => stride * (interior[axis] + 1)),
    offset: low.reduce((total, n, axis) => total + n * strides[axis], 0),
  };
}
