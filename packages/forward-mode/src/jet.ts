/**
 * Taylor mode: a value is a power series in the parameter of a curve, and each primitive maps series to series. There
 * is no table of rules for it. With y = f(x), the JVP rule of f says what y' is as a function of x, y and x'; evaluated
 * on series that know their coefficients only as far as they are asked, it gives each coefficient of y from those
 * before it: y_k = (y')_{k-1} / k. Only sums and products of series are written out.
 *
 * J. Karczmarczuk, Functional differentiation of computer programs, Higher-Order and Symbolic Computation 14 (2001);
 * M. D. McIlroy, Power series, power serious, Journal of Functional Programming 9 (1999); what it costs: A. Griewank and
 * A. Walther, Evaluating derivatives, 2nd edition (2008), chapter 13.
 */
import {
  type CallParams,
  type Liftable,
  type Lifted,
  type Params,
  type Primitive,
  type Trace,
  ShapeError,
  Tensor,
  Tracer,
  type Value,
  bind,
  bindMultiple,
  call,
  customCall,
  differentiableLeaf,
  evaluateGraph,
  fail,
  leafValue,
  leaves,
  mapTree,
  mul,
  nextLevel,
  outputTree,
  paramsKey,
  promote,
  pushforward,
  pushforwardMultiple,
  refuseEscaped,
  requireForwardRule,
  scopeDepth,
  strongMul,
  tidy,
} from "@cotangent/core";
import { type Tangents, isOther, leavesWithNull, matching } from "./jvp.ts";

/** A coefficient of a series; null is a zero, known without computing. */
type Coefficient = Value | null;

/**
 * A value of Taylor mode: the series c₀ + c₁ t + c₂ t² + ..., whose coefficients are values of lower levels. All but the
 * first are computed when they are asked for, once.
 */
export class Jet extends Tracer {
  /** c₀: the value itself. */
  readonly primal: Value;
  /** The jets that this one was computed from. */
  readonly sources: readonly Jet[];
  /** Jets of a trace are numbered in the order in which they were made. */
  readonly serial: number;
  readonly #next: (k: number) => Coefficient;
  readonly #higher: (Coefficient | undefined)[] = [];
  #derivative: Jet | undefined;

  constructor(owner: JetTrace, primal: Value, sources: readonly Jet[], next: (k: number) => Coefficient) {
    super(owner, primal.aval);
    this.primal = primal;
    this.sources = sources;
    this.serial = owner.nextSerial();
    this.#next = next;
  }

  /** c_k. */
  coefficient(k: number): Coefficient {
    if (k === 0) return this.primal;
    const known = this.#higher[k];
    if (known !== undefined) return known;
    return (this.#higher[k] = this.#next(k));
  }

  /** The series of the derivative along the curve. */
  get derivative(): Jet {
    return (this.#derivative ??= new Jet(
      this.owner as JetTrace,
      this.coefficient(1) ?? this.primal.zerosLike(),
      [],
      (k) => scaled(this.coefficient(k + 1), k + 1),
    ));
  }

  override parts(): readonly Value[] {
    return [this.primal];
  }

  override toString(): string {
    return `Jet(${this.primal.toString()}, ...)`;
  }
}

function scaled(coefficient: Coefficient, factor: number): Coefficient {
  return coefficient === null || factor === 1 ? coefficient : coefficient.mul(factor);
}

function divided(coefficient: Coefficient, divisor: number): Coefficient {
  return coefficient === null || divisor === 1 ? coefficient : coefficient.div(divisor);
}

/** One application of Taylor mode. */
export class JetTrace implements Trace {
  readonly level: number = nextLevel();
  readonly name: string;
  open = true;
  /** The depth of the `tidy` whose end no value that jets need may outlast: those inside the function are deeper. */
  depth: number = scopeDepth();
  /**
   * What has been applied to what: derivative rules name the same subexpressions again and again (that of tanh has sech
   * in it, and that of sech has tanh), and a series that is shared is computed once.
   */
  readonly #applied = new Map<string, Value[]>();
  readonly #identities = new Map<object, number>();
  #jets = 0;

  constructor(name: string) {
    this.name = name;
  }

  nextSerial(): number {
    return this.#jets++;
  }

  /** The jet of this application that a value is, if it is one. */
  own(value: unknown): Jet | undefined {
    return value instanceof Jet && value.level === this.level ? value : undefined;
  }

  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    const sources = this.#sources(primitive, inputs);
    const key = this.#key(primitive, inputs, params);
    const known = this.#applied.get(key);
    if (known !== undefined) return known[0];
    const primals = inputs.map((input) => this.#coefficient(input, 0) as Value);
    const primal = bind(primitive, primals, params);
    if (!primal.aval.floating || primitive.form === "zero") return primal;
    inputs.forEach((input, i) => this.own(input) && requireForwardRule(primitive, i));
    for (const value of [...primals, primal]) promote(value, this.depth);
    const jet: Jet = new Jet(this, primal, sources, (k) => next(k));
    // A copy: to whoever called, the array is theirs again.
    const next = this.#rule(primitive, [...inputs], jet, params);
    this.#applied.set(key, [jet]);
    return jet;
  }

  processMultiple(primitive: Primitive, given: readonly Value[], params: Params): Value[] {
    const inputs = [...given];
    const sources = this.#sources(primitive, inputs);
    // Node by node, since the derivative of a call is a call of another graph, in which nothing would be shared.
    if (primitive === call.primitive) return evaluateGraph((params as CallParams).graph, inputs);
    const key = this.#key(primitive, inputs, params);
    // Whoever calls a function of their own learns from the call what it gives.
    const known = primitive === customCall.primitive ? undefined : this.#applied.get(key);
    if (known !== undefined) return known;
    const primals = inputs.map((input) => this.#coefficient(input, 0) as Value);
    const outputs = bindMultiple(primitive, primals, params);
    for (const value of [...primals, ...outputs]) promote(value, this.depth);
    let derivatives: readonly Coefficient[] | undefined;
    const derivative = (i: number): Coefficient => {
      derivatives ??= pushforwardMultiple(primitive, inputs, this.#tangents(inputs), params).tangents;
      return derivatives[i];
    };
    const jets = outputs.map((output, i) =>
      output.aval.floating ? new Jet(this, output, sources, (k) => this.#integral(derivative(i), k)) : output,
    );
    this.#applied.set(key, jets);
    return jets;
  }

  /** How a primitive's coefficients after the first follow from its inputs' and its own earlier ones. */
  #rule(
    primitive: Primitive,
    inputs: readonly Value[],
    output: Jet,
    params: Params,
  ): (k: number) => Coefficient {
    if (isAffine(primitive)) {
      const primals = inputs.map((input) => this.#coefficient(input, 0) as Value);
      return (k) => {
        const coefficients = inputs.map((input) => this.#coefficient(input, k));
        if (coefficients.every((coefficient) => coefficient === null)) return null;
        return pushforward(primitive, primals, output.primal, coefficients, params);
      };
    }
    // As in every rule, the product with a derivative is the strong one.
    const product = primitive === mul.primitive ? strongMul.primitive : primitive;
    if (product === strongMul.primitive || product.form === "bilinear") {
      const [x, y] = inputs;
      return (k) => {
        let total: Coefficient = null;
        for (let i = 0; i <= k; i++) {
          const [a, b] = [this.#coefficient(x, i), this.#coefficient(y, k - i)];
          if (a === null || b === null) continue;
          const term = bind(product, [a, b], params);
          total = total === null ? term : total.add(term);
        }
        return total;
      };
    }
    let derivative: Coefficient | undefined;
    return (k) => {
      if (derivative === undefined)
        derivative = pushforward(primitive, inputs, output, this.#tangents(inputs), params);
      return this.#integral(derivative, k);
    };
  }

  #tangents(inputs: readonly Value[]): Coefficient[] {
    return inputs.map((input) => this.own(input)?.derivative ?? null);
  }

  /** c_k of any value: what is not of this application is constant along the curve. */
  #coefficient(value: Value, k: number): Coefficient {
    const jet = this.own(value);
    if (jet !== undefined) return jet.coefficient(k);
    return k === 0 ? value : null;
  }

  /** c_k, k > 0, of what has this derivative. */
  #integral(derivative: Coefficient, k: number): Coefficient {
    return derivative === null ? null : divided(this.#coefficient(derivative, k - 1), k);
  }

  #sources(primitive: Primitive, inputs: readonly Value[]): Jet[] {
    const sources = inputs.flatMap((input) => this.own(input) ?? []);
    if (!this.open) refuseEscaped(sources[0], primitive.name);
    return sources;
  }

  #key({ name }: Primitive, inputs: readonly Value[], params: Params): string {
    const list = inputs.map((input) => this.#identity(input)).join();
    return `${name}(${list})${paramsKey(params)}`;
  }

  #identity(value: object): string {
    // A rule makes its constants anew each time.
    if (value instanceof Tensor && typeof value.buffer === "number")
      return `${value.dtype} ${inFull(value.buffer)}`;
    let identity = this.#identities.get(value);
    if (identity === undefined) this.#identities.set(value, (identity = this.#identities.size));
    return String(identity);
  }
}

const inFull = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

/** Whether the derivative depends on no input: a primitive is linear, up to a constant, where no VJP needs a residual. */
function isAffine({ form, residuals }: Primitive): boolean {
  return form === "linear" || (form === "written" && residuals.every((bits) => bits === 0));
}

/** What `jet` is given of each argument: its derivatives along the curve, from the first on; null where it stays. */
export type Series<A> = { [K in keyof A]: readonly Tangents<A[K]>[] | null };

/**
 * The value of f and its derivatives along a curve, up to any order, in one pass: order K costs in the order of K²
 * times f (K³ for quotients and powers), where K-fold nesting of `jvp` costs 2^K times f. Loops and conditions that are
 * primitives of their own (scan, cond ...) cost as with nesting.
 *
 * @param primals one tree per argument of f: where the curve is at t = 0.
 * @param series `series[i][k]` is the derivative of order k + 1 of argument i along the curve, a tree like the argument
 * (null for a zero, and for an argument that stays): `[v, null, null]` is the straight line x + t v.
 * @returns f's result, and an array whose entry k is its derivative of order k + 1 along the curve.
 * @throws ShapeError where the orders of two arguments differ, or a derivative does not match its argument.
 * @example
 * ```ts
 * const [y, [first, second, third]] = jet((x: Value) => x.exp(), [0], [[1, 0, 0]]); // each is 1
 * ```
 */
export function jet<A extends readonly unknown[] = Value[], R = Value>(
  f: (...args: A) => R,
  primals: Liftable<A>,
  series: Series<A>,
): [Lifted<R>, Lifted<R>[]] {
  const order = orderOf(primals, series);
  const trace = new JetTrace("jet");
  const seeded = (primals as readonly unknown[]).map((primal, i) =>
    seed(trace, primal, (series as Series<unknown[]>)[i], `argument ${i}`),
  );
  try {
    const output = outputTree("jet", f(...(seeded as unknown as A)));
    const derivatives = tidy(() => {
      trace.depth = scopeDepth();
      const jets = ancestors(leaves(output).flatMap((leaf) => trace.own(leaf) ?? []));
      return Array.from({ length: order }, (_, i) => {
        for (const each of jets) each.coefficient(i + 1);
        return mapTree(output, (leaf) => {
          const coefficient = trace.own(leaf)?.coefficient(i + 1) ?? null;
          return scaled(coefficient, factorial(i + 1)) ?? (leaf as Value).zerosLike();
        });
      });
    });
    const value = mapTree(output, (leaf) => trace.own(leaf)?.primal ?? leaf);
    return [value as Lifted<R>, derivatives as Lifted<R>[]];
  } finally {
    trace.open = false;
  }
}

/** Jets and all that they were computed from, in the order of computation, in which no coefficient waits for a later one. */
function ancestors(jets: readonly Jet[]): Jet[] {
  const found = new Set(jets);
  for (const each of found) for (const source of each.sources) found.add(source);
  return [...found].sort((a, b) => a.serial - b.serial);
}

function factorial(n: number): number {
  let product = 1;
  for (let i = 2; i <= n; i++) product *= i;
  return product;
}

/** The order that every argument's series has. */
function orderOf(primals: unknown, series: unknown): number {
  if (!Array.isArray(primals) || !Array.isArray(series) || primals.length !== series.length) {
    fail(
      ShapeError,
      `jet: primals and series must be two arrays with one entry per argument of the function. ` +
        `A single argument is given as [x], [[v, null]].`,
    );
  }
  const orders = series.flatMap((terms: unknown, i) => {
    if (terms === null) return [];
    if (Array.isArray(terms)) return terms.length;
    fail(ShapeError, `jet: the series of argument ${i} is no array; it is [first derivative, second ...].`);
  });
  const order = orders[0] ?? 0;
  if (orders.some((other) => other !== order)) {
    fail(
      ShapeError,
      `jet: series of ${orders.join(" and ")} terms were given. Every argument needs the same number; null stands for ` +
        `a term that is zero, and for the series of an argument that stays.`,
    );
  }
  return order;
}

/** The primal tree with a jet at each leaf that has a series. */
function seed(trace: JetTrace, primal: unknown, terms: readonly unknown[] | null, path: string): unknown {
  const columns = (terms ?? []).map((term, k) =>
    leavesWithNull(term, primal, "jet", `${path}, order ${k + 1}`),
  );
  let next = 0;
  return mapTree(
    primal,
    (leaf, at) => {
      const given = columns.map((column) => column[next]);
      next++;
      if (given.every((term) => term === null)) return isOther(leaf) ? leaf : leafValue("jet", leaf, at);
      const value = differentiableLeaf("jet", leaf, at);
      const coefficients = given.map((term, k) =>
        term === null ? null : divided(matching("jet", value, term, at), factorial(k + 1)),
      );
      return new Jet(trace, value, [], (k) => coefficients[k - 1] ?? null);
    },
    path,
  );
}
