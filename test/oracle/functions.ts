/** Cotangent's own functions, by the names that they have in the fixtures. */
import {
  type DotParams,
  type ConvTransposeParams,
  type FloatDType,
  type PoolParams,
  type ReductionOptions,
  type Value,
  type WindowOptions,
  arange,
  avgPool2d,
  bind,
  checkpoint,
  clamp,
  cond,
  conv2d,
  convolveFilterTranspose,
  convolveInputTranspose,
  customJvp,
  customLinearSolve,
  customRoot,
  customVjp,
  digamma,
  dotGeneral,
  einsum,
  entropyTerms,
  eye,
  fixedPoint,
  foldIn,
  foriLoop,
  full,
  grad,
  hessian,
  jacobian,
  jet,
  jit,
  lgamma,
  linspace,
  maxPool2d,
  oneHot,
  ones,
  overlapAdd,
  patches,
  primitives,
  randomKey,
  scan,
  splitKey,
  stack,
  straightThrough,
  switchCase,
  uniform,
  vmap,
  where,
  whileLoop,
  zeros,
  gammaQuantile,
} from "cotangent";

/** Of all inputs of a case and its parameters. */
export type Subject = (
  inputs: readonly Value[],
  params: Readonly<Record<string, unknown>>,
) => readonly Value[];

const of =
  (f: (...inputs: Value[]) => Value): Subject =>
  (inputs) => [f(...inputs)];

/** The parameters are the fixture's, whose names and kinds `make_fixtures.py` chose to be these. */
const withParams =
  <P>(f: (inputs: readonly Value[], params: P) => Value | readonly Value[]): Subject =>
  (inputs, params) => {
    const found = f(inputs, params as P);
    return Array.isArray(found) ? (found as readonly Value[]) : [found as Value];
  };

/** A primitive that has no function of its own name. */
const bound =
  (name: string): Subject =>
  (inputs, params) => {
    const primitive = primitives().get(name);
    if (primitive === undefined) throw new Error(`There is no primitive ${name}.`);
    return [bind(primitive, [...inputs], params)];
  };

const unaryMethods = [
  ...([
    "neg",
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sech",
    "tanh",
  ] as const),
  ...(["sigmoid", "softplus", "relu", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh"] as const),
  ...(["asinh", "acosh", "atanh", "sqrt", "rsqrt", "square", "reciprocal", "erf", "sinc"] as const),
  ...(["isFinite", "not", "stopGradient", "zerosLike", "onesLike", "trace"] as const),
] as const;
const binaryMethods = [
  ...(["add", "sub", "mul", "div", "pow", "maximum", "minimum", "hypot", "atan2", "mod", "xlogy"] as const),
  ...(["eq", "ne", "lt", "le", "gt", "ge", "and", "or"] as const),
] as const;
const reductionMethods = ["sum", "prod", "max", "min", "logSumExp", "mean", "norm", "variance"] as const;

const float = (x: Value): FloatDType => x.dtype as FloatDType;

/** One step of a recurrent network. */
const recurrent = (h: Value, x: Value, w: Value): Value => w.matmul(h).add(x).tanh();

/** A function of a vector with a scalar result, of many primitives. */
function model(x: Value): Value {
  const [first, rest] = [x.slice([0], [-1]), x.slice([1])];
  const terms = rest.mul(first).tanh().mul(rest.square().neg().exp());
  return terms.sum().add(x.square().sum().add(1).log());
}

const softplus = (x: Value): Value => x.exp().log1p();

/** x³ + x and its derivative. */
const cubic = (x: Value): Value => x.square().mul(x).add(x);
const newton = (f: (x: Value) => Value, start: Value): Value => {
  let x = start;
  for (let i = 0; i < 60; i++) x = x.sub(f(x).div(x.square().mul(3).add(1)));
  return x;
};

/** Solves by elimination, of a matrix whose columns are the images of the basis. */
function eliminate(product: (x: Value) => Value, right: Value): Value {
  const n = right.size;
  const basis = eye(n, { dtype: float(right), backend: right.backend });
  const columns = Array.from({ length: n }, (_, i) => product(basis.at(i)));
  const rows = stack(columns, 1);
  let system = Array.from({ length: n }, (_, i) => rows.at(i).concatenate([right.at(i).reshape([1])]));
  for (let i = 0; i < n; i++) {
    const pivot = system[i].div(system[i].at(i));
    system = system.map((row, k) => (k === i ? pivot : row.sub(pivot.mul(row.at(i)))));
  }
  return stack(system.map((row) => row.at(n)));
}

const scanned =
  (checkpoints: "sqrt" | undefined): Subject =>
  ([w, h, xs], { reverse = false }) => {
    const step = (carry: Value, x: Value): [Value, Value] => {
      const next = recurrent(carry, x, w);
      return [next, next];
    };
    return scan(step, h, xs, {
      reverse: reverse === true,
      ...(checkpoints !== undefined && { checkpoint: checkpoints }),
    });
  };

/** Functions that have a VJP of their own and no JVP, so that forward mode is refused. */
export const reverseOnly: ReadonlySet<string> = new Set(["customVjp"]);

export const functions: Readonly<Record<string, Subject>> = {
  ...Object.fromEntries(unaryMethods.map((name) => [name, of((x) => x[name]())])),
  ...Object.fromEntries(binaryMethods.map((name) => [name, of((x, y) => x[name](y))])),
  ...Object.fromEntries(
    reductionMethods.map((name) => [
      name,
      withParams<ReductionOptions & { correction?: number }>(([x], options) => x[name](options)),
    ]),
  ),
  lgamma: of(lgamma),
  digamma: of(digamma),
  polygamma: bound("polygamma"),
  gammaRatio: bound("gammaRatio"),
  gammaQuantile: of(gammaQuantile),
  entropyTerms: of(entropyTerms),
  where: of(where),
  clamp: withParams<{ low: number; high: number }>(([x], { low, high }) => clamp(x, low, high)),
  clampBetween: of(clamp),
  toFloat32: of((x) => x.astype("float32").astype(x.dtype)),
  toInt32: of((x) => x.astype("int32")),
  toBool: of((x) => x.astype("bool")),
  straightThrough: of(
    straightThrough(
      (x) => x.round(),
      (x) => x,
    ),
  ),

  cumsum: withParams<{ axis: number; reverse?: boolean }>(([x], { axis, reverse = false }) =>
    x.cumsum(axis, { reverse }),
  ),
  cumprod: withParams<{ axis: number }>(([x], { axis }) => x.cumprod(axis)),
  softmax: withParams<{ axis: number }>(([x], { axis }) => x.softmax(axis)),
  logSoftmax: withParams<{ axis: number }>(([x], { axis }) => x.logSoftmax(axis)),
  argmax: withParams<{ axis?: number }>(([x], { axis }) => x.argmax(axis)),
  argmin: withParams<{ axis?: number }>(([x], { axis }) => x.argmin(axis)),

  dotGeneral: withParams<DotParams>(([x, y], params) => dotGeneral(x, y, params)),
  matmul: of((x, y) => x.matmul(y)),
  dot: of((x, y) => x.dot(y)),
  outer: of((x, y) => x.outer(y)),
  einsum: withParams<{ subscripts: string }>((xs, { subscripts }) => einsum(subscripts, ...xs)),

  conv2d: withParams<WindowOptions>(([x, filters], options) => conv2d(x, filters, options)),
  conv2dInputTranspose: withParams<ConvTransposeParams>(([ct, filters], params) =>
    convolveInputTranspose(ct, filters, params),
  ),
  conv2dFilterTranspose: withParams<ConvTransposeParams>(([x, ct], params) =>
    convolveFilterTranspose(x, ct, params),
  ),
  patches: withParams<PoolParams>(([x], params) => patches(x, params)),
  overlapAdd: withParams<PoolParams & { size: number[] }>(([x], params) => overlapAdd(x, params)),
  maxPool2d: withParams<WindowOptions & { window: [number, number] }>(([x], { window, ...options }) =>
    maxPool2d(x, window, options),
  ),
  avgPool2d: withParams<WindowOptions & { window: [number, number] }>(([x], { window, ...options }) =>
    avgPool2d(x, window, options),
  ),

  take: withParams<{ axis: number }>(([x, indices], { axis }) => x.take(indices, axis)),
  scatterAdd: withParams<{ axis: number }>(([x, indices, updates], { axis }) =>
    x.scatterAdd(indices, updates, axis),
  ),
  oneHot: withParams<{ depth: number }>(([indices], { depth }) => oneHot(indices, depth)),

  reshape: withParams<{ shape: number[] }>(([x], { shape }) => x.reshape(shape)),
  transpose: withParams<{ permutation: number[] }>(([x], { permutation }) => x.transpose(permutation)),
  broadcastTo: withParams<{ shape: number[] }>(([x], { shape }) => x.broadcastTo(shape)),
  concatenate: withParams<{ axis: number }>(([x, ...others], { axis }) => x.concatenate(others, axis)),
  stack: withParams<{ axis: number }>((xs, { axis }) => stack(xs, axis)),
  split: withParams<{ sizes: number[]; axis: number }>(([x], { sizes, axis }) => x.split(sizes, axis)),
  slice: withParams<Record<"begin" | "end" | "strides", number[]>>(([x], { begin, end, strides }) =>
    x.slice(begin, end, strides),
  ),
  at: withParams<{ index: number; axis: number }>(([x], { index, axis }) => x.at(index, axis)),
  pad: withParams<{ widths: [number, number][]; value: number }>(([x], { widths, value }) =>
    x.pad(widths, value),
  ),
  flip: withParams<{ axis: number[] }>(([x], { axis }) => x.flip(axis)),
  expandDims: withParams<{ axis: number }>(([x], { axis }) => x.expandDims(axis)),
  squeeze: withParams<{ axis: number }>(([x], { axis }) => x.squeeze(axis)),

  arange: withParams<{ start: number; stop: number; step: number }>((_, { start, stop, step }) =>
    arange(start, stop, step),
  ),
  linspace: withParams<{ start: number; stop: number; count: number }>((_, { start, stop, count }) =>
    linspace(start, stop, count),
  ),
  eye: withParams<{ n: number }>((_, { n }) => eye(n)),
  full: withParams<{ shape: number[]; value: number }>((_, { shape, value }) => full(shape, value)),
  zeros: withParams<{ shape: number[] }>((_, { shape }) => zeros(shape)),
  ones: withParams<{ shape: number[] }>((_, { shape }) => ones(shape)),

  scan: scanned(undefined),
  scanWithCheckpoints: scanned("sqrt"),
  foriLoop: withParams<{ steps: number }>(([x], { steps }) =>
    foriLoop<Value>(0, steps, (_, y) => y.sin().mul(x), x),
  ),
  whileLoop: of((a) =>
    whileLoop<Value>(
      (x) => x.square().sub(a).abs().gt(1e-9),
      (x) => x.add(a.div(x)).mul(0.5),
      a,
    ),
  ),
  switchCase: of((index, x) =>
    switchCase(index, [(y: Value) => y.sin(), (y) => y.square().mul(y), (y) => y.neg().exp()], x),
  ),
  cond: of((x) =>
    cond(
      x.gt(0),
      (y: Value) => y.log(),
      (y) => y.square(),
      x,
    ),
  ),
  jit: of(jit(model)),
  checkpoint: of(checkpoint(model)),
  customJvp: of(customJvp(softplus, ([x], [dx]) => [softplus(x), dx.mul(x.sigmoid())])),
  customVjp: of(
    customVjp(softplus, {
      forward: (x) => [softplus(x), x],
      backward: (x: Value, ct) => [ct.mul(x.sigmoid())],
    }),
  ),
  customRoot: of((a) =>
    customRoot<Value>((x) => cubic(x).sub(a), a, newton, { tangentSolve: (j, b) => b.div(j(b.onesLike())) }),
  ),
  fixedPoint: of((a) =>
    fixedPoint<Value>((x) => x.mul(0.5).cos().add(a), a.zerosLike(), { tolerance: 1e-15 }),
  ),
  customLinearSolve: of((m, b) => customLinearSolve<Value>((x) => m.matmul(x), b, eliminate)),
  gradient: of((x) => grad(model)(x)),
  hessian: of((x) => hessian(model)(x)),
  jacobian: of((x) =>
    jacobian((y: Value) =>
      y
        .slice([0], [2])
        .sin()
        .mul(y.slice([2]).square()),
    )(x),
  ),
  vmap: of(vmap(model)),
  jet: withParams<{ order: number }>(([x], { order }) => {
    const straight = [x.onesLike(), ...new Array<null>(order - 1).fill(null)];
    const [value, derivatives] = jet(model, [x], [straight]);
    return stack([value, ...derivatives]);
  }),

  splitKey: withParams<{ count: number }>(([key], { count }) => splitKey(key, count)),
  foldIn: of((key, data) => foldIn(key, data)),
  randomKey: withParams<{ seed: number }>((_, { seed }) => randomKey(seed)),
  uniform: withParams<{ shape: number[]; dtype: FloatDType }>(([key], { shape, dtype }) =>
    uniform(key, shape, { dtype }),
  ),
};
