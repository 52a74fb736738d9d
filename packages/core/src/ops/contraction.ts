/** Products of matrices and of higher tensors. */
import { broadcastShapes, showShape, type Shape } from "../aval.ts";
import { ShapeError, fail } from "../errors.ts";
import { dotGeneral } from "../primitives/contraction.ts";
import { eye } from "./creation.ts";
import type { Value } from "../value.ts";

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/**
 * The matrix product over the last two axes; the others are batch axes and broadcast. A vector counts as a row on the
 * left and as a column on the right, and the result lacks that axis.
 *
 * @throws ShapeError where the inner sizes differ or the batch axes do not broadcast, or for a rank-0 operand.
 * @example `matmul(tensor([[1, 2]]), tensor([[3], [4]]))` is [[11]].
 */
export function matmul(x: Value, y: Value): Value {
  if (x.rank === 0 || y.rank === 0) {
    fail(
      ShapeError,
      `matmul: found ${x.aval} and ${y.aval}; both need at least one axis. Use mul for scalars.`,
    );
  }
  if (x.rank === 1) return matmul(x.reshape([1, x.size]), y).squeeze(y.rank === 1 ? 0 : -2);
  if (y.rank === 1) return matmul(x, y.reshape([y.size, 1])).squeeze(-1);
  const inner = x.shape[x.rank - 1];
  if (inner !== y.shape[y.rank - 2]) {
    fail(
      ShapeError,
      `matmul: shapes ${showShape(x.shape)} and ${showShape(y.shape)} do not fit: the last axis of the first has ` +
        `${inner} elements, the last but one of the second ${y.shape[y.rank - 2]}. They must be equal; transpose one?`,
    );
  }
  if (x.rank === 2 && y.rank === 2) {
    return dotGeneral(x, y, { contractX: [1], contractY: [0], batchX: [], batchY: [] });
  }
  const lead = broadcastShapes("matmul (batch axes)", [x.shape.slice(0, -2), y.shape.slice(0, -2)]);
  const batched = (v: Value): Value => v.broadcastTo([...lead, ...v.shape.slice(-2)]);
  const batch = upTo(lead.length);
  return dotGeneral(batched(x), batched(y), {
    contractX: [lead.length + 1],
    contractY: [lead.length],
    batchX: batch,
    batchY: batch,
  });
}

/** The inner product of two vectors; of higher ranks, over the last axis of x and the last but one of y. */
export function dot(x: Value, y: Value): Value {
  if (x.rank === 0 || y.rank === 0) return x.mul(y);
  const contractY = Math.max(0, y.rank - 2);
  return dotGeneral(x, y, { contractX: [x.rank - 1], contractY: [contractY], batchX: [], batchY: [] });
}

/** Every element of x times every element of y: shape [...x.shape, ...y.shape]. */
export function outer(x: Value, y: Value): Value {
  return dotGeneral(x, y, { contractX: [], contractY: [], batchX: [], batchY: [] });
}

/** The sum of the diagonal over the last two axes. */
export function trace(x: Value): Value {
  const n = x.shape[x.rank - 1];
  if (x.rank < 2 || n !== x.shape[x.rank - 2]) {
    fail(ShapeError, `trace: found ${x.aval}; the last two axes must be there and have equal sizes.`);
  }
  return x.mul(eye(n, { dtype: x.dtype, backend: x.backend })).sum({ axis: [-2, -1] });
}

/**
 * The sum of products that the subscripts say, as in numpy: `einsum("ij,jk->ik", a, b)`. Without an arrow the result's
 * indices are those that occur once, in alphabetical order. Operands are contracted from left to right.
 *
 * @throws ShapeError for subscripts that do not fit the operands.
 */
export function einsum(subscripts: string, ...operands: readonly Value[]): Value {
  const [left, right] = subscripts.replaceAll(" ", "").split("->");
  const inputs = left.split(",");
  const size = einsumSizes(subscripts, inputs, operands);
  const occurrences = (index: string): number => left.split(index).length - 1;
  const output =
    right ??
    [...size.keys()]
      .filter((index) => occurrences(index) === 1)
      .sort()
      .join("");
  const unknown = [...output].find((index) => !size.has(index));
  if (unknown !== undefined || new Set(output).size !== output.length) {
    fail(
      ShapeError,
      `einsum: the output "${output}" of "${subscripts}" must name indices of the inputs, each once.`,
    );
  }

  let [value, labels] = withoutRepeats(operands[0], inputs[0]);
  for (let k = 1; k < operands.length; k++) {
    const [next, nextLabels] = withoutRepeats(operands[k], inputs[k]);
    const needed = output + inputs.slice(k + 1).join("");
    [value, labels] = contractPair(value, labels, next, nextLabels, needed);
  }
  const summed = [...labels].flatMap((index, axis) => (output.includes(index) ? [] : [axis]));
  const rest = [...labels].filter((index) => output.includes(index));
  return value.sum({ axis: summed }).transpose([...output].map((index) => rest.indexOf(index)));
}

function einsumSizes(
  subscripts: string,
  inputs: readonly string[],
  operands: readonly Value[],
): Map<string, number> {
  const sizes = new Map<string, number>();
  if (inputs.length !== operands.length) {
    fail(
      ShapeError,
      `einsum: "${subscripts}" names ${inputs.length} operands, but ${operands.length} were given.`,
    );
  }
  inputs.forEach((labels, k) => {
    const { shape } = operands[k];
    if (labels.length !== shape.length || !/^[a-zA-Z]*$/.test(labels)) {
      fail(
        ShapeError,
        `einsum: operand ${k} has shape ${showShape(shape)}, but its subscripts "${labels}" name ${labels.length} axes. ` +
          `Give one letter per axis.`,
      );
    }
    [...labels].forEach((index, axis) => {
      const known = sizes.get(index);
      if (known !== undefined && known !== shape[axis]) {
        fail(
          ShapeError,
          `einsum: index "${index}" of "${subscripts}" has size ${known} in one operand and ${shape[axis]} in another.`,
        );
      }
      sizes.set(index, shape[axis]);
    });
  });
  return sizes;
}

/** Takes the diagonal over each index that one operand names twice. */
function withoutRepeats(x: Value, labels: string): [Value, string] {
  const second = [...labels].findIndex((index, i) => labels.indexOf(index) !== i);
  if (second < 0) return [x, labels];
  const first = labels.indexOf(labels[second]);
  const n = x.shape[first];
  const mask: Shape = x.shape.map((_, i) => (i === first || i === second ? n : 1));
  const diagonal = eye(n, { dtype: x.dtype, backend: x.backend }).reshape(mask);
  return withoutRepeats(
    x.mul(diagonal).sum({ axis: second }),
    labels.slice(0, second) + labels.slice(second + 1),
  );
}

function contractPair(x: Value, xs: string, y: Value, ys: string, needed: string): [Value, string] {
  const shared = [...xs].filter((index) => ys.includes(index));
  const batch = shared.filter((index) => needed.includes(index));
  const contract = shared.filter((index) => !needed.includes(index));
  const free = (labels: string): string[] => [...labels].filter((index) => !shared.includes(index));
  const value = dotGeneral(x, y, {
    contractX: contract.map((index) => xs.indexOf(index)),
    contractY: contract.map((index) => ys.indexOf(index)),
    batchX: batch.map((index) => xs.indexOf(index)),
    batchY: batch.map((index) => ys.indexOf(index)),
  });
  return [value, [...batch, ...free(xs), ...free(ys)].join("")];
}
