/** Convolutions, pooling and what their derivatives are made of, as products and clusters over windows of images. */
import {
  type Aval,
  type ConvTransposeParams,
  GraphBuilder,
  type GraphNode,
  type PoolParams,
  type Primitive,
  Tensor,
  type WindowParams,
  avalOf,
  primitives,
  scalarTensor,
} from "@cotangent/core";
import { type Expr, i32 } from "../emit/index.ts";
import type { ProductSpec } from "./contraction.ts";
import { convolution, filterTranspose, inputTranspose, patchesApart, windowsOf } from "./convolution.ts";
import { type Layout, contiguous } from "./layout.ts";
import type { Lowerer, Lowering } from "./lower.ts";
import { bytesPer, impossible } from "./registers.ts";
import { type Slot, inMemory } from "./slot.ts";
import { paddedLayout } from "./tiny.ts";

export const imageNames: ReadonlySet<string> = new Set([
  "conv2d",
  "conv2dInputTranspose",
  "conv2dFilterTranspose",
  "patches",
  "overlapAdd",
  "maxPool2d",
  "avgPool2d",
]);

/** Padding that takes something away is left to the host. */
export const hasImageCode = ({ primitive, params }: GraphNode): boolean =>
  imageNames.has(primitive.name) && (params as WindowParams).padding.flat().every((n) => n >= 0);

const primitiveOf = (name: string): Primitive =>
  primitives().get(name) ?? impossible(`there is no primitive ${name}`);

/** A product of matrices, and the addresses of A and B. */
export interface Product {
  readonly spec: ProductSpec;
  readonly a: Expr;
  readonly b: Expr;
}

/** Writes the code of one node, whose result is to lie at an address. */
export class Images {
  private readonly lower: Lowerer;
  private readonly shared: Lowering;

  constructor(lower: Lowerer, shared: Lowering) {
    this.lower = lower;
    this.shared = shared;
  }

  node(node: GraphNode, inputs: readonly Slot[], output: Aval, target: Expr): void {
    const { primitive, params } = node;
    // Where inputs are written to memory, they lie there after this node too.
    for (const slot of inputs) this.lower.address(slot);
    const [x, y] = inputs;
    this.shared.arena.within(() => {
      switch (primitive.name) {
        case "conv2d":
        case "conv2dFilterTranspose": {
          const { spec, a, b } = this.product(node, inputs, output);
          this.lower.product(spec, a, b, [target]);
          return;
        }
        case "conv2dInputTranspose":
          this.inputTranspose(x, y, params as ConvTransposeParams, target);
          return;
        case "patches":
          this.patches(x, params as PoolParams, output, target);
          return;
        case "overlapAdd":
          this.overlapAdd(x, params as PoolParams, output, target);
          return;
        case "maxPool2d":
          this.reduced("reduceMax", x, -Infinity, params as PoolParams, output, target);
          return;
        case "avgPool2d":
          this.reduced("sum", x, 0, params as PoolParams, output, target);
          this.divide(x.aval, params as PoolParams, output, target);
      }
    });
  }

  private reserve(bytes: number): Expr {
    return i32.add(this.shared.base, i32.const(this.shared.arena.reserve(bytes)));
  }

  /** The image with some rows and columns of a number around it, or where it lies if there are none. */
  private padded(slot: Slot, [rows, columns]: readonly (readonly number[])[], fill: number): Slot {
    const { aval } = slot;
    const address = this.lower.address(slot);
    if ([...rows, ...columns].every((n) => n === 0)) return inMemory(aval, address, slot.layout);
    const [n, h, w, c] = aval.shape;
    const around = avalOf([n, rows[0] + h + rows[1], columns[0] + w + columns[1], c], aval.dtype);
    const place = this.reserve(around.bytes);
    this.fill(place, around, fill);
    const low = [0, rows[0], columns[0], 0];
    this.lower.write(slot, place, paddedLayout(aval.shape, around.shape, low, [0, 0, 0, 0]));
    return inMemory(around, place);
  }

  private fill(address: Expr, aval: Aval, value: number): void {
    if (value === 0) {
      this.shared.main.fill(address, i32.const(0), i32.const(aval.bytes));
      return;
    }
    const builder = new GraphBuilder([]);
    const graph = builder.build([builder.constant(scalarTensor(value, aval.dtype, this.shared.backend))]);
    this.lower.cluster(
      { graph, shape: aval.shape, axes: [], inputs: [], outputs: [contiguous(aval.shape)] },
      [],
      [address],
    );
  }

  /** The product that a convolution is, or its transpose in the filters, and the addresses of A and B. */
  product({ primitive, params }: GraphNode, inputs: readonly Slot[], output: Aval): Product {
    const [x, y] = inputs;
    const window = params as WindowParams;
    const image = this.padded(x, window.padding, 0);
    const isForward = primitive.name === "conv2d";
    const [positions, filters] = isForward ? [output, y.aval] : [y.aval, output];
    const windows = windowsOf(image.layout, positions.shape.slice(1, 3), filters.shape, window);
    const bytes = bytesPer[output.dtype];
    return {
      spec: (isForward ? convolution : filterTranspose)(output.dtype, windows, y.layout),
      a: this.lower.offset(this.lower.address(image), windows.offset * bytes),
      b: this.lower.offset(this.lower.address(y), y.layout.offset * bytes),
    };
  }

  private inputTranspose(cotangent: Slot, filters: Slot, params: ConvTransposeParams, target: Expr): void {
    const image = avalOf(params.size, cotangent.aval.dtype);
    const window = filters.aval.shape.slice(0, 2);
    const { padding, leavesZeros, phases } = inputTranspose(
      image.dtype,
      image.shape,
      window,
      cotangent.aval.shape.slice(1, 3),
      params,
    );
    const padded = this.padded(cotangent, padding, 0);
    if (leavesZeros) this.fill(target, image, 0);
    const operands = [this.lower.address(padded), this.lower.address(filters), target];
    const bytes = bytesPer[image.dtype];
    for (const { spec, offsets } of phases(padded.layout, filters.layout)) {
      const [a, b, c] = operands.map((address, i) => this.lower.offset(address, offsets[i] * bytes));
      this.lower.product(spec, a, b, [c]);
    }
  }

  private patches(x: Slot, params: PoolParams, output: Aval, target: Expr): void {
    const image = this.padded(x, params.padding, 0);
    const layout = windowsOf(image.layout, output.shape.slice(1, 3), params.window, params);
    this.lower.write(
      inMemory(avalOf(layout.shape, output.dtype), this.lower.address(image), layout),
      target,
      contiguous(layout.shape),
    );
  }

  /** Zeros, to which the patches at each place of the window are added. */
  private overlapAdd(x: Slot, params: PoolParams, output: Aval, target: Expr): void {
    const { padding, window } = params;
    const [n, h, w, c] = output.shape;
    const [rows, columns] = padding;
    const shape = [n, rows[0] + h + rows[1], columns[0] + w + columns[1], c];
    const around = avalOf(shape, output.dtype);
    const isPadded = around.size !== output.size;
    const place = isPadded ? this.reserve(around.bytes) : target;
    const [, oh, ow] = x.aval.shape;
    const windows = windowsOf(contiguous(shape), [oh, ow], window, params);
    const from = patchesApart(x.layout, window);
    // Each element lies under one window at most: nothing is added up.
    const isApart = [0, 1].every((i) => (window[i] - 1) * params.dilation[i] < params.strides[i]);
    if (!isApart || x.aval.size < around.size) this.fill(place, around, 0);
    if (isApart) {
      this.lower.write(
        inMemory(avalOf(from.shape, output.dtype), this.lower.address(x), from),
        place,
        windows,
      );
      this.cut(around, place, output, params, target);
      return;
    }
    const positions = avalOf([n, oh, ow, c], output.dtype);
    const builder = new GraphBuilder([positions, positions]);
    const graph = builder.build(builder.node(primitiveOf("add"), builder.inputs, {}, [positions], null));
    const source = this.lower.address(x);
    for (let i = 0; i < window[0]; i++) {
      for (let j = 0; j < window[1]; j++) {
        const own = atPlace(windows, i, j);
        const inputs = [own, atPlace(from, i, j)];
        const spec = { graph, shape: positions.shape, axes: [], inputs, outputs: [own] };
        this.lower.cluster(spec, [place, source], [place]);
      }
    }
    this.cut(around, place, output, params, target);
  }

  /** The image without what is around it. */
  private cut(around: Aval, place: Expr, output: Aval, { padding }: PoolParams, target: Expr): void {
    if (around.size === output.size) return;
    const low = [0, padding[0][0], padding[1][0], 0];
    this.lower.write(
      inMemory(output, place, paddedLayout(output.shape, around.shape, low, [0, 0, 0, 0])),
      target,
    );
  }

  /** A reduction over the places of the window. */
  private reduced(
    name: "reduceMax" | "sum",
    x: Slot,
    around: number,
    params: PoolParams,
    output: Aval,
    target: Expr,
  ): void {
    const image = this.padded(x, params.padding, around);
    const windows = windowsOf(image.layout, output.shape.slice(1, 3), params.window, params);
    const axes = [3, 4];
    const builder = new GraphBuilder([avalOf(windows.shape, output.dtype)]);
    const graph = builder.build(builder.node(primitiveOf(name), builder.inputs, { axes }, [output], null));
    this.lower.cluster(
      { graph, shape: windows.shape, axes, inputs: [windows], outputs: [contiguous(output.shape)] },
      [this.lower.address(image)],
      [target],
    );
  }

  /** Divides sums over windows by how many elements of the image lie under each. */
  private divide({ shape }: Aval, params: PoolParams, output: Aval, target: Expr): void {
    const [, oh, ow] = output.shape;
    const { window, padding, strides, dilation } = params;
    const under = (axis: 0 | 1, position: number): number => {
      const first = position * strides[axis] - padding[axis][0];
      const places = Array.from({ length: window[axis] }, (_, k) => first + k * dilation[axis]);
      return places.filter((place) => place >= 0 && place < shape[axis + 1]).length;
    };
    const [down, across] = ([0, 1] as const).map((axis) =>
      Array.from({ length: [oh, ow][axis] }, (_, position) => under(axis, position)),
    );
    const counts = down.flatMap((rows) => across.map((columns) => rows * columns));
    const isUniform = counts.every((count) => count === counts[0]);
    const { backend, addressOfConstant } = this.shared;
    const layout = contiguous(output.shape);
    const divided = (aval: Aval, isConstant: boolean): ReturnType<GraphBuilder["build"]> => {
      const builder = new GraphBuilder(isConstant ? [output] : [output, aval]);
      const count = isConstant
        ? builder.constant(scalarTensor(counts[0], aval.dtype, backend))
        : builder.inputs[1];
      return builder.build(builder.node(primitiveOf("div"), [builder.inputs[0], count], {}, [output], null));
    };
    if (isUniform) {
      const graph = divided(avalOf([], output.dtype), true);
      const spec = { graph, shape: output.shape, axes: [], inputs: [layout], outputs: [layout] };
      this.lower.cluster(spec, [target], [target]);
      return;
    }
    const aval = avalOf([1, oh, ow, 1], output.dtype);
    const holder = new GraphBuilder([]);
    const data = backend.fromHost(
      output.dtype === "float64" ? Float64Array.from(counts) : Float32Array.from(counts),
      aval,
    );
    const tensor = new Tensor(aval, backend, data);
    const held = holder.build([holder.constant(tensor)]);
    const spec = {
      graph: divided(aval, false),
      shape: output.shape,
      axes: [],
      inputs: [layout, contiguous(aval.shape)],
      outputs: [layout],
    };
    this.lower.cluster(spec, [target, i32.const(addressOfConstant(held, 0))], [target]);
    tensor.dispose();
  }
}

/** Windows [N, OH, OW, KH, KW, C] at one place of the window. */
function atPlace({ shape, strides, offset }: Layout, i: number, j: number): Layout {
  return {
    shape: shape.toSpliced(3, 2),
    strides: strides.toSpliced(3, 2),
    offset: offset + i * strides[3] + j * strides[4],
  };
}
