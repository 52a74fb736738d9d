/** Where WebGL's arithmetic is not IEEE's: what stays so, and what is refused, as packages/backend-tfjs/README.md says. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { type Value, grad, setBackend, tensor, tidy } from "cotangent";
import { describe, expect, test } from "vitest";

const webgl = await createTfjsBackend();
setBackend(webgl);

/** The elements of a result, its intermediates freed. */
const numbers = (body: () => Value): number[] => tidy(() => [...body().dataSync()]);
const integers = (...data: number[]): Value => tensor(data, { dtype: "int32" });
const top = 2 ** 24 - 1;

describe("special values", () => {
  test("NaN, the infinities and -0 come back as they were sent, and overflow is infinite", () => {
    expect(numbers(() => tensor([NaN, Infinity, -Infinity, -0]))).toEqual([NaN, Infinity, -Infinity, -0]);
    expect(numbers(() => tensor([3e38, -3e38]).mul(10))).toEqual([Infinity, -Infinity]);
    expect(numbers(() => tensor([0, -0]).reciprocal())).toEqual([Infinity, -Infinity]);
    expect(numbers(() => tensor([Infinity, -Infinity]).sum())).toEqual([NaN]);
    expect(numbers(() => tensor([NaN, 1]).dot(tensor([0, 1])))).toEqual([NaN]);
    expect(numbers(() => tensor([Infinity, 1]).dot(tensor([0, 1])))).toEqual([NaN]);
  });

  test("subnormal numbers are stored, but count as 0 in arithmetic, or as themselves", () => {
    const subnormal = Math.fround(1e-40);
    expect(numbers(() => tensor([1e-40]))).toEqual([subnormal]);
    const results = numbers(() => tensor([1e-40, -1e-40]).mul(1)).map(Math.abs);
    for (const result of results) expect([0, subnormal]).toContain(result);
  });

  test("a masked infinity stays masked through a gradient", () => {
    const gradient = grad((x) => x.gt(0).astype("float32").mul(0).add(x.sqrt()).sum());
    expect(numbers(() => gradient(tensor([4, 0])))).toEqual([0.25, Infinity]);
  });

  test("to int32 towards zero, to bool as whether it is not zero", () => {
    expect(numbers(() => tensor([2.9, -2.9, -0.5, NaN, Infinity, top]).astype("int32"))).toEqual([
      2,
      -2,
      0,
      0,
      0,
      top,
    ]);
    expect(numbers(() => tensor([NaN, 0, -0, 0.1]).astype("bool"))).toEqual([1, 0, 0, 1]);
  });

  test("halves round to the even number; numbers next to a half, and large ones, round rightly", () => {
    const below = 0.5 - 2 ** -25; // x + 0.5 would round to 1
    const data = [0.5, 1.5, 2.5, -0.5, -1.5, below, 2 ** 23 + 1, -(2 ** 23) - 1, Infinity];
    expect(numbers(() => tensor(data).round()).map((x) => x + 0)).toEqual([
      0,
      2,
      2,
      0,
      -2,
      0,
      2 ** 23 + 1,
      -(2 ** 23) - 1,
      Infinity,
    ]);
  });
});

test("broadcasts that alternate along more than five groups of axes", () => {
  const ones = (start: number, rank: number): Value =>
    tensor(0).broadcastTo(Array.from({ length: rank }, (_, i) => (i % 2 === start ? 2 : 1)));
  expect(numbers(() => ones(0, 5).add(ones(1, 5)))).toEqual(new Array(2 ** 5).fill(0));
  expect(() => numbers(() => ones(0, 6).add(ones(1, 6)))).toThrow(
    /broadcasts along at most 5 groups of axes/,
  );
});

describe("int32 is exact below 2^24 and refused beyond", () => {
  test("the largest results", () => {
    expect(numbers(() => integers(top - 1, -top + 1).add(integers(1, -1)))).toEqual([top, -top]);
    expect(numbers(() => integers(4095).square())).toEqual([4095 ** 2]);
    expect(numbers(() => integers(top, -5, 5).sum())).toEqual([top]);
    expect(numbers(() => integers(top, -7).neg())).toEqual([-top, 7]);
  });

  const beyond: readonly (readonly [string, () => Value])[] = [
    ["add", () => integers(top).add(integers(1))],
    ["sub", () => integers(-top).sub(integers(1))],
    ["mul", () => integers(4097).mul(integers(4097))],
    ["square", () => integers(4097).square()],
    ["sum", () => integers(top, 1).sum()],
    ["prod", () => integers(4096, 4096).prod()],
    ["cumsum", () => integers(top, 1).cumsum()],
    ["dot", () => integers(4096, 1).dot(integers(4096, 1))],
    ["astype", () => tensor([2 ** 24]).astype("int32")],
    ["a difference of products", () => integers(4097).mul(integers(4097)).sub(integers(4097).square())],
    ["a comparison", () => integers(top).add(integers(1)).gt(integers(0))],
    ["a choice", () => integers(top, 1).sum().eq(integers(1)).astype("int32")],
  ];
  test.each(beyond)("%s", (_, body) => {
    expect(() => numbers(body)).toThrow(/depends on an int32 beyond 16777215/);
  });

  test("an index out of range by that", () => {
    expect(() => numbers(() => tensor([1, 2]).take(integers(top).add(integers(1))))).toThrow(
      /index NaN is outside \[0, 2\)/,
    );
  });
});
