/** The convention at kinks, row by row, as a suite for any backend and floating dtype. */
import {
  type Backend,
  type FloatDType,
  type TensorLike,
  type Value,
  derivative,
  entropyTerms,
  grad,
  jvp,
  maxPool2d,
  tensor,
  tidy,
  where,
  withBackend,
} from "cotangent";
import { describe, expect, test } from "vitest";

interface Row {
  readonly at: string;
  readonly f: (...xs: Value[]) => Value;
  readonly inputs: readonly TensorLike[];
  /** The gradient of the sum of f with respect to each input; null where the row is about another input alone. */
  readonly gradient: readonly (TensorLike | null)[];
}

const row = (at: string, f: Row["f"], inputs: Row["inputs"], gradient: Row["gradient"]): Row => ({
  at,
  f,
  inputs,
  gradient,
});
const third = 1 / 3;

export const table: readonly Row[] = [
  row("abs at 0", (x) => x.abs(), [0], [0]),
  row("relu at 0", (x) => x.relu(), [0], [0]),
  row("maximum, tie", (x, y) => x.maximum(y), [1, 1], [0.5, 0.5]),
  row("minimum, tie", (x, y) => x.minimum(y), [1, 1], [0.5, 0.5]),
  row("reduce max, 3-way tie", (x) => x.max(), [[2, 2, 1, 2]], [[third, third, 0, third]]),
  row("reduce min, 2-way tie", (x) => x.min(), [[2, 1, 1]], [[0, 0.5, 0.5]]),
  row(
    "max pooling, a 3-way and a 2-way tie",
    (x) => maxPool2d(x.reshape([1, 2, 4, 1]), 2),
    [[1, 1, 1, 0.5, 1, 0.5, 2, 2]],
    [[third, third, 0, 0, third, 0, 0.5, 0.5]],
  ),
  row("clip at the lower bound", (x) => x.clamp(-1, 1), [-1], [0]),
  row("clip at the upper bound", (x) => x.clamp(-1, 1), [1], [0]),
  row("sqrt at 0", (x) => x.sqrt(), [0], [Infinity]),
  row("2-norm at the zero vector", (x) => x.norm(), [[0, 0]], [[0, 0]]),
  row("pow(0, 0)", (x, y) => x.pow(y), [0, 0], [0, 0]),
  row("pow(0, 1/2)", (x, y) => x.pow(y), [0, 0.5], [Infinity, 0]),
  row("pow(0, -1)", (x, y) => x.pow(y), [0, -1], [-Infinity, -Infinity]),
  row("pow(-2, 2)", (x, y) => x.pow(y), [-2, 2], [-4, NaN]),
  row("atan2(0, 0)", (y, x) => y.atan2(x), [0, 0], [NaN, NaN]),
  row("sign at 0", (x) => x.sign(), [0], [0]),
  row("round at 1/2", (x) => x.round(), [0.5], [0]),
  row("floor at 1", (x) => x.floor(), [1], [0]),
  row("ceil at 1", (x) => x.ceil(), [1], [0]),
  row("mod(7, 3)", (x, y) => x.mod(y), [7, 3], [1, -2]),
  row("mod(-7, 3)", (x, y) => x.mod(y), [-7, 3], [1, 3]),
  row("where, the untaken branch infinite", (x) => where(x.gt(0), x.sqrt(), 0), [[-1, 0, 4]], [[0, 0, 0.25]]),
  row("where, the untaken branch NaN", (x) => where(x.gt(0), x.log(), x), [[-1, 1]], [[1, 1]]),
  row(
    "where, masked before the singular rule",
    (x) => where(x.gt(0), x, 0).sqrt(),
    [[-1, 0, 4]],
    [[0, 0, 0.25]],
  ),
  row("logsumexp, some -inf", (x) => x.logSumExp(), [[0, -Infinity]], [[1, 0]]),
  row("logsumexp, all -inf", (x) => x.logSumExp(), [[-Infinity, -Infinity]], [[NaN, NaN]]),
  row("sinc at 0", (x) => x.sinc(), [0], [0]),
  row("softplus at 0", (x) => x.softplus(), [0], [0.5]),
  row("prod with one zero factor", (x) => x.prod(), [[2, 0, 3]], [[0, 6, 0]]),
  row("prod with two zero factors", (x) => x.prod(), [[2, 0, 0]], [[0, 0, 0]]),
  row("x log x at 0", (x) => x.xlogy(x), [0], [-Infinity]),
  row("entropy at 0", (x) => entropyTerms(x), [0], [Infinity]),
];

/** A few roundings of the arithmetic behind a finite, non-zero entry of the table. */
const roundings: Readonly<Record<FloatDType, number>> = { float64: 8 * 2 ** -53, float32: 8 * 2 ** -24 };

function expectEntries(found: Value, expected: TensorLike, relative: number): void {
  const wanted = [expected].flat() as number[];
  const entries = Array.from(found.dataSync());
  expect(entries).toHaveLength(wanted.length);
  entries.forEach((entry, i) => {
    if (Number.isFinite(wanted[i]))
      expect(Math.abs(entry - wanted[i])).toBeLessThanOrEqual(relative * Math.abs(wanted[i]));
    else expect(entry).toBe(wanted[i]);
  });
}

/** Tests every row in both modes. */
export function describeKinks(backend: Backend, dtype: FloatDType): void {
  const on = <T>(body: () => T): T => withBackend(backend, () => tidy(body));
  describe(`kinks on ${backend.name} in ${dtype}`, () => {
    test.each(table.map((each) => [each.at, each] as const))("%s", (_, { f, inputs, gradient }) => {
      on(() => {
        const xs = inputs.map((data) => tensor(data, { dtype }));
        gradient.forEach((expected, i) => {
          if (expected === null) return;
          const sum = (...args: Value[]): Value => f(...args).sum();
          expectEntries(grad(sum, { argnums: i })(...xs), expected, roundings[dtype]);
          // Forward mode, one direction at a time: the same entries.
          const entries = Array.from({ length: xs[i].size }, (__, k) => {
            const basis = tensor(
              Array.from({ length: xs[i].size }, (___, j) => (j === k ? 1 : 0)),
              { dtype, shape: xs[i].shape },
            );
            const tangents = xs.map((___, j) => (j === i ? basis : null));
            return jvp(sum, xs, tangents)[1];
          });
          entries.forEach((entry, k) =>
            expectEntries(entry, ([expected].flat() as number[])[k], roundings[dtype]),
          );
        });
      });
    });

    test("sinc at 0, to the fourth order", () => {
      on(() => {
        const orders = [0, -(Math.PI ** 2) / 3, 0, Math.PI ** 4 / 5];
        let d = (x: Value): Value => derivative((y) => y.sinc())(x);
        for (const [order, expected] of orders.entries()) {
          // Each order multiplies by about π and rounds again.
          const found = d(tensor(0, { dtype })).item();
          expect(Math.abs(found - expected)).toBeLessThanOrEqual(roundings[dtype] * 4 ** (order + 2));
          const before = d;
          d = (x) => derivative(before)(x);
        }
      });
    });

    test("cumprod through a zero, to the second order, in all compositions", () => {
      on(() => {
        const x = tensor([2, 0, 3], { dtype });
        const f = (y: Value): Value => y.cumprod().sum();
        // y0 + y0 y1 + y0 y1 y2: the second derivatives are 1 + y2, y1 and y0.
        const hessian = [0, 4, 0, 4, 0, 2, 0, 2, 0];
        const basis = (k: number): Value =>
          tensor(
            [0, 1, 2].map((i) => (i === k ? 1 : 0)),
            { dtype },
          );
        const entry = (i: number, j: number): number[] => [
          jvp((y: Value) => jvp(f, [y], [basis(i)])[1], [x], [basis(j)])[1].item(),
          jvp((y: Value) => grad(f)(y), [x], [basis(i)])[1]
            .at(j)
            .item(),
          grad((y) => jvp(f, [y], [basis(i)])[1])(x)
            .at(j)
            .item(),
          grad((y) => grad(f)(y).mul(basis(i)).sum())(x)
            .at(j)
            .item(),
        ];
        hessian.forEach((expected, k) => {
          for (const found of entry(Math.floor(k / 3), k % 3)) expect(found).toBe(expected);
        });
      });
    });
  });
}
