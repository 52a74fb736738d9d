import {
  BackendError,
  CotangentError,
  DTypeError,
  DisposedError,
  JsBackend,
  ShapeError,
  Tensor,
  type Value,
  add,
  arange,
  concatenate,
  conv2d,
  currentBackend,
  einsum,
  eye,
  full,
  jsBackend,
  wasmBackend,
  linspace,
  matmul,
  max,
  maxPool2d,
  oneHot,
  ones,
  scatterAdd,
  setBackend,
  split,
  stack,
  stage,
  tensor,
  where,
  withBackend,
  zeros,
} from "cotangent";
import { describe, expect, test } from "vitest";

test("JSON has the elements of a value", () => {
  expect(JSON.stringify({ w: tensor([[1, 2]]), on: tensor(true) })).toBe('{"w":[[1,2]],"on":true}');
  expect(() => stage((x: Value) => (JSON.stringify(x), x))(tensor(1))).toThrow(/elements of a traced value/);
});

describe("tensors", () => {
  test("take shape and dtype from their data", () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([x.shape, x.dtype, x.rank, x.size]).toEqual([[2, 3], "float64", 2, 6]);
    expect(tensor(true).dtype).toBe("bool");
    expect(tensor([true, false]).toArray()).toEqual([true, false]);
    expect(tensor(new Float32Array([1, 2])).dtype).toBe("float32");
    expect(tensor(new Int32Array([1, 2]), { shape: [2, 1] }).toString()).toBe("Tensor([1, 2], int32[2,1])");
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
  });

  test("copy their data in and out", () => {
    const source = new Float64Array([1, 2]);
    const x = tensor(source);
    source[0] = 9;
    x.dataSync()[1] = 9;
    expect(x.toArray()).toEqual([1, 2]);
  });

  test("float32 is rounded where it is stored", () => {
    expect(tensor(0.1, { dtype: "float32" }).item()).toBe(Math.fround(0.1));
    expect(tensor([0.1], { dtype: "float32" }).mul(0.2).item()).toBe(
      Math.fround(Math.fround(0.1) * Math.fround(0.2)),
    );
  });

  test("refuse ragged data, wrong sizes and elements that the dtype cannot hold", () => {
    expect(() => tensor([[1, 2], [3]])).toThrow(
      /ragged data: element 0 has shape \[2\], element 1 has shape \[1\]/,
    );
    expect(() => tensor([1, 2, 3], { shape: [2, 2] })).toThrow(
      /3 elements given for shape \[2, 2\], which has 4/,
    );
    expect(() => tensor([1.5], { dtype: "int32" })).toThrow(/The number 1.5 is not a int32/);
    expect(() => tensor("x" as never)).toThrow(/found string where a number, a boolean or an array/);
  });

  test("item, toArray and primitive conversion", () => {
    expect(tensor([[7]]).item()).toBe(7);
    expect(() => tensor([1, 2]).item()).toThrow(/item\(\) asked of float64\[2\], which has 2 elements/);
    expect(`${tensor(2)}`).toBe("Tensor(2, float64[])");
    expect(Number(tensor(2)) + 1).toBe(3);
  });
});

describe("dtypes never change by themselves", () => {
  test("numbers are weakly typed", () => {
    expect(tensor([1], { dtype: "float32" }).mul(2.5).dtype).toBe("float32");
    expect(tensor([1], { dtype: "int32" }).add(2).dtype).toBe("int32");
    expect(() => tensor([1], { dtype: "int32" }).mul(2.5)).toThrow(DTypeError);
  });

  test("two tensors of different dtypes are refused", () => {
    expect(() => tensor([1]).add(tensor([1], { dtype: "float32" }))).toThrow(
      /add: inputs float64\[1\] and float32\[1\] have different dtypes.*astype/,
    );
    expect(() => tensor([1], { dtype: "int32" }).sin()).toThrow(
      /sin: an input of dtype int32 was given, but sin takes float/,
    );
    expect(() => tensor([1]).and(true as never)).toThrow(
      /and: found boolean where a value or a number is needed/,
    );
  });

  test("conversion is explicit, and truncates towards zero", () => {
    expect(tensor([1.9, -1.9]).astype("int32").toArray()).toEqual([1, -1]);
    expect(tensor([0, 2, NaN]).astype("bool").toArray()).toEqual([false, true, true]);
    expect(tensor([true, false]).astype("float64").toArray()).toEqual([1, 0]);
  });

  test("int32 arithmetic wraps", () => {
    const big = tensor([2 ** 31 - 1], { dtype: "int32" });
    expect(big.add(1).item()).toBe(-(2 ** 31));
    expect(big.mul(big).item()).toBe(1);
  });
});

describe("ops", () => {
  const m = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);

  test("functions and methods are the same, and broadcast as numpy does", () => {
    expect(add(m, tensor([10, 20, 30])).toArray()).toEqual(m.add(tensor([10, 20, 30])).toArray());
    expect(
      tensor([[1], [2]])
        .mul(tensor([3, 4]))
        .toArray(),
    ).toEqual([
      [3, 4],
      [6, 8],
    ]);
    expect(zeros([0, 3]).add(ones([1, 3])).shape).toEqual([0, 3]);
    expect(add(1, 2).item()).toBe(3);
  });

  test("reductions take axes, negative ones and keepDims", () => {
    expect(m.sum().item()).toBe(21);
    expect(m.sum({ axis: 0 }).toArray()).toEqual([5, 7, 9]);
    expect(m.mean({ axis: -1, keepDims: true }).toArray()).toEqual([[2], [5]]);
    expect(m.prod({ axis: [0, 1] }).item()).toBe(720);
    expect(max(m, { axis: 1 }).toArray()).toEqual([3, 6]);
    expect(m.variance({ axis: 1, correction: 1 }).toArray()).toEqual([1, 1]);
    expect(m.argmax(1).toArray()).toEqual([2, 2]);
    expect(m.cumsum(1, { reverse: true }).toArray()).toEqual([
      [6, 5, 3],
      [15, 11, 6],
    ]);
    expect(m.cumprod(1).toArray()).toEqual([
      [1, 2, 6],
      [4, 20, 120],
    ]);
    expect(zeros([0]).sum().item()).toBe(0);
    expect(() => zeros([0]).max()).toThrow(/reduceMax: float64\[0\] has no elements along axis 0/);
    expect(() => m.sum({ axis: 2 })).toThrow(/sum: axis 2 asked for, but the value has rank 2.*from -2 to 1/);
    expect(() => m.sum({ axis: [0, -2] })).toThrow(/name axis 0 twice/);
  });

  test("shapes", () => {
    expect(m.reshape([3, -1]).shape).toEqual([3, 2]);
    expect(() => m.reshape([4, -1])).toThrow(ShapeError);
    expect(() => m.reshape([4])).toThrow(/has 6 elements, the shape \[4\] asked for has 4/);
    expect(m.transpose().toArray()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
    expect(m.slice([0, 1], [2, -1]).toArray()).toEqual([[2], [5]]);
    expect(m.slice([0, 0], [2, 3], [1, 2]).toArray()).toEqual([
      [1, 3],
      [4, 6],
    ]);
    expect(m.at(-1).toArray()).toEqual([4, 5, 6]);
    expect(m.flip(1).at(0).toArray()).toEqual([3, 2, 1]);
    expect(
      tensor([1])
        .pad([[1, 2]], 9)
        .toArray(),
    ).toEqual([9, 1, 9, 9]);
    expect(stack([tensor(1), tensor(2)]).toArray()).toEqual([1, 2]);
    expect(concatenate([m, m], 1).shape).toEqual([2, 6]);
    expect(split(m, [1, 2], 1).map((x) => x.shape)).toEqual([
      [2, 1],
      [2, 2],
    ]);
    expect(() => split(m, 2, 1)).toThrow(/2 equal parts asked for along axis 1/);
    expect(() => concatenate([m, tensor([1])], 0)).toThrow(ShapeError);
    expect(m.expandDims(-1).squeeze().shape).toEqual([2, 3]);
    expect(() => m.squeeze(0)).toThrow(/axis 0 of float64\[2,3\] has size 2, not 1/);
    expect(() => m.broadcastTo([3, 2])).toThrow(/does not broadcast to \[3, 2\]/);
  });

  test("contractions", () => {
    expect(matmul(m, m.transpose()).toArray()).toEqual([
      [14, 32],
      [32, 77],
    ]);
    expect(m.matmul(tensor([1, 1, 1])).toArray()).toEqual([6, 15]);
    expect(ones([5, 1, 2, 3]).matmul(ones([4, 3, 2])).shape).toEqual([5, 4, 2, 2]);
    expect(() => m.matmul(m)).toThrow(
      /last axis of the first has 3 elements, the last but one of the second 2/,
    );
    expect(einsum("ij,kj->ik", m, m).toArray()).toEqual([
      [14, 32],
      [32, 77],
    ]);
    expect(einsum("ii", eye(3)).item()).toBe(3);
    expect(
      einsum("i,j,k->kji", tensor([1, 2]), tensor([1, 10]), tensor([1, 100]))
        .at(1)
        .at(1)
        .toArray(),
    ).toEqual([1000, 2000]);
    expect(() => einsum("ij,jk", m, m)).toThrow(
      /index "j" of "ij,jk" has size 3 in one operand and 2 in another/,
    );
    expect(m.matmul(m.transpose()).trace().item()).toBe(91);
    expect(
      tensor([1, 2])
        .outer(tensor([3, 4]))
        .toArray(),
    ).toEqual([
      [3, 4],
      [6, 8],
    ]);
    expect(tensor([3, 4]).norm().item()).toBe(5);
  });

  test("images", () => {
    const image = arange(16).reshape([1, 4, 4, 1]);
    const box = ones([2, 2, 1, 1]);
    expect(conv2d(image, box, { strides: 2 }).reshape([-1]).toArray()).toEqual([10, 18, 42, 50]);
    expect(conv2d(image, box, { padding: "same" }).shape).toEqual([1, 4, 4, 1]);
    expect(conv2d(image, box, { dilation: 3 }).item()).toBe(0 + 3 + 12 + 15);
    expect(maxPool2d(image, 2).reshape([-1]).toArray()).toEqual([5, 7, 13, 15]);
    expect(() => conv2d(image, ones([2, 2, 3, 1]))).toThrow(
      /have 1 channels, the filters \[2, 2, 3, 1\] take 3/,
    );
    expect(() => conv2d(image, ones([5, 5, 1, 1]))).toThrow(
      /a window of 5 .* does not fit a padded size of 4/,
    );
  });

  test("indexing", () => {
    expect(m.take([2, 0], 1).toArray()).toEqual([
      [3, 1],
      [6, 4],
    ]);
    expect(scatterAdd(zeros([3]), [1, 1], tensor([2, 5])).toArray()).toEqual([0, 7, 0]);
    expect(() => m.take([2])).toThrow(/index 2 is outside \[0, 2\)/);
    expect(() => m.take(tensor([0]))).toThrow(/must be int32/);
    expect(oneHot(tensor([1, 0], { dtype: "int32" }), 3).toArray()).toEqual([
      [0, 1, 0],
      [1, 0, 0],
    ]);
  });

  test("creation", () => {
    expect(arange(1, 2, 0.25).toArray()).toEqual([1, 1.25, 1.5, 1.75]);
    expect(linspace(0, 1, 3).toArray()).toEqual([0, 0.5, 1]);
    expect(full([2], 7, { dtype: "int32" }).toArray()).toEqual([7, 7]);
    expect(() => arange(0, 1, 0)).toThrow(/step 0 given/);
  });

  test("stable tails", () => {
    const big = tensor([1000, 0, -1000]);
    expect(big.softmax().toArray()).toEqual([1, 0, 0]);
    expect(big.logSoftmax().toArray()).toEqual([0, -1000, -2000]);
    expect(big.softplus().toArray()).toEqual([1000, Math.log(2), 0]);
    expect(big.logSumExp().item()).toBe(1000);
    expect(tensor([2.5, 3.5, -0.5]).round().toArray()).toEqual([2, 4, -0]);
    expect(tensor([-7, 7]).mod(3).toArray()).toEqual([2, 1]);
    expect(
      tensor([0, 3])
        .xlogy(tensor([0, 1]))
        .toArray(),
    ).toEqual([0, 0]);
    expect(
      tensor([1e200, 3])
        .hypot(tensor([1e200, 4]))
        .toArray(),
    ).toEqual([Math.SQRT2 * 1e200, 5]);
  });

  test("where takes broadcasting branches, and refuses what is no condition", () => {
    expect(where(m.gt(3), m, 0).sum().item()).toBe(15);
    expect(where(true, 1, tensor([2, 3])).toArray()).toEqual([1, 1]);
    expect(() => where(m as Value, 1, 2)).toThrow(/the condition is float64\[2,3\], but must be bool/);
  });
});

describe("backends", () => {
  test("an unknown backend, a missing dtype and mixed backends are refused by name", () => {
    expect(() => setBackend("gpu")).toThrow(/Backend "gpu" asked for, but registered are: wasm, js/);
    const narrow = new JsBackend();
    Object.assign(narrow, { name: "narrow", dtypes: ["float32"], defaultDType: "float32" });
    expect(() => tensor([1], { backend: narrow, dtype: "float64" })).toThrow(
      /dtype float64 asked for on backend narrow, which has float32/,
    );
    const there = tensor([1], { backend: narrow });
    expect(() => there.add(tensor([1], { dtype: "float32" }))).toThrow(
      /add: inputs are on backends narrow and wasm/,
    );
    expect(there.to(jsBackend).backend).toBe(jsBackend);
    expect(withBackend(narrow, () => tensor([1]).dtype)).toBe("float32");
    expect(currentBackend()).toBe(wasmBackend);
  });

  test("a missing kernel falls back to the decomposition, or fails naming primitive, backend and dtype", () => {
    const bare = new JsBackend();
    Object.assign(bare, { name: "bare" });
    const image = tensor([1, 2, 3, 4], { shape: [1, 2, 2, 1], backend: bare });
    const pooled = (): Value => withBackend(bare, () => maxPool2d(image, 2));
    expect(pooled().item()).toBe(4);
    bare.kernels.delete("maxPool2d");
    expect(pooled).toThrow(
      /Primitive maxPool2d on float64\[1,2,2,1\] has neither a kernel on backend bare nor a decomposition/,
    );
    expect(pooled).toThrow(BackendError);
  });

  test("disposed tensors are refused, a second dispose does nothing", () => {
    const x = tensor([1, 2]);
    x.dispose();
    x.dispose();
    expect(() => x.add(1)).toThrow(DisposedError);
    expect(() => x.toArray()).toThrow(
      /tensor float64\[2\] on backend wasm was used after it had been disposed/,
    );
    expect(x.toString()).toBe("Tensor(disposed float64[2])");
    expect(x).toBeInstanceOf(Tensor);
    expect(new CotangentError("m").message).toContain("values.test.ts");
  });
});
