import { type Value, grad, jvp, profile, tensor, tidy } from "cotangent";
import { expect, test } from "vitest";

const floats = (count: number): number => 8 * count;

test("counts evaluations, FLOPs and bytes by the primitives' own records", () => {
  const x = tensor([1, 2, 3, 4]);
  const { evaluations, flops, bytesMoved, result } = profile(() => x.mul(x).add(x).sum());
  expect(result.item()).toBe(40);
  expect(evaluations).toBe(3);
  expect(flops).toBe(4 + 4 + 4);
  expect(bytesMoved).toBe(floats(12) + floats(12) + floats(4 + 1));
});

test("a matrix product costs 2 m n k", () => {
  const a = tensor(new Float64Array(6), { shape: [2, 3] });
  const b = tensor(new Float64Array(12), { shape: [3, 4] });
  expect(profile(() => a.matmul(b)).flops).toBe(2 * 2 * 3 * 4);
});

test("a tensor lives from its evaluation to its last use", () => {
  const x = tensor([1, 2, 3, 4]);
  // At most the input and the output of one step of the chain at once; x itself is the caller's.
  expect(profile(() => x.exp().sin().cos().tanh()).peakLiveBytes).toBe(floats(8));
  // exp lives until the last add.
  expect(
    profile(() => {
      const kept = x.exp();
      return kept.sin().cos().add(kept);
    }).peakLiveBytes,
  ).toBe(floats(12));
});

test("a tensor in the result lives to the end, wherever in the tree it is", () => {
  const x = tensor([1, 2, 3, 4]);
  const body = (keep: boolean) => (): unknown => {
    const early = x.exp();
    const late = x.sin().cos();
    return keep ? { late, more: [early] } : late;
  };
  expect(profile(body(false)).peakLiveBytes).toBe(floats(8));
  expect(profile(body(true)).peakLiveBytes).toBe(floats(12));
});

test("tensors that share a buffer count once, and live as long as any of them is used", () => {
  const x = tensor([1, 2, 3, 4]);
  const { peakLiveBytes, bytesMoved } = profile(() => {
    const y = x.exp();
    const reshaped = y.reshape([2, 2]);
    x.sin();
    return reshaped.sum();
  });
  expect(peakLiveBytes).toBe(floats(8));
  // exp and sin move 8 elements each, sum moves 5, and the reshape none.
  expect(bytesMoved).toBe(floats(8 + 8 + 5));
});

test("a reshape of an argument is still the caller's", () => {
  const x = tensor([1, 2, 3, 4]);
  expect(profile(() => x.reshape([2, 2])).peakLiveBytes).toBe(0);
});

test("rank-0 tensors count too, each for itself", () => {
  const x = tensor(1);
  expect(profile(() => x.exp().add(x.sin())).peakLiveBytes).toBe(floats(3));
});

test("what was disposed of early does not change the count", () => {
  const x = tensor([1, 2, 3, 4]);
  const chain = (): Value => x.exp().sin().cos();
  const { result: _, ...counted } = profile(chain);
  expect(profile(() => tidy(chain))).toMatchObject(counted);
});

test("reverse mode keeps the chain, forward mode does not", () => {
  const x = tensor([0.1, 0.2, 0.3, 0.4]);
  const chain =
    (length: number) =>
    (v: Value): Value => {
      let y = v;
      for (let i = 0; i < length; i++) y = y.sin();
      return y.sum();
    };
  const forward = (length: number): number =>
    profile(() => jvp(chain(length), [x], [x.onesLike()])).peakLiveBytes;
  const reverse = (length: number): number => profile(() => grad(chain(length))(x)).peakLiveBytes;
  expect(forward(100)).toBe(forward(10));
  expect(reverse(100) - reverse(10)).toBe(floats(4 * 90));
});

test("nested profiles each see the inner evaluations", () => {
  const x = tensor([1, 2]);
  const outer = profile(() => {
    const inner = profile(() => x.exp());
    return { inner, y: inner.result.sin() };
  });
  expect(outer.evaluations).toBe(2);
  expect(outer.result.inner.evaluations).toBe(1);
});

test("nothing evaluated costs nothing", () => {
  expect(profile(() => 7)).toEqual({
    result: 7,
    evaluations: 0,
    flops: 0,
    bytesMoved: 0,
    peakLiveBytes: 0,
  });
});
