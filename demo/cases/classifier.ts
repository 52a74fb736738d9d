/** A softmax classifier of handwritten digits: many weights, one loss. */
import { type Value, tensor } from "@cotangent/core";
import { type Digits, classes, downsample, first, oneHotRows, rowsWithOne } from "../data/digits.ts";
import { uniform } from "../random.ts";
import { type Sweep, hessianVectorProblem, jacobianProblem } from "./problem.ts";

/** The cross-entropy of each image: [images], from pixel rows [images, inputs] and weights [inputs, classes]. */
export function losses(weights: Value, rows: Value, targets: Value): Value {
  const logits = rows.matmul(weights);
  return logits.logSumExp({ axis: 1 }).sub(logits.mul(targets).sum({ axis: 1 }));
}

/** What the classifier says too much or too little of each class, for each image: softmax - target. */
function excess(weights: Value, rows: Value, targets: Value): Value {
  return rows.matmul(weights).softmax().sub(targets);
}

/** By hand: d(mean loss)/d(weights) = rowsᵀ (softmax - targets) / images. */
export function lossGradient(weights: Value, rows: Value, targets: Value): Value {
  return rows
    .transpose()
    .matmul(excess(weights, rows, targets))
    .mul(1 / rows.shape[0]);
}

/** By hand: the gradient of each image's own loss, [images, inputs, classes]: an outer product per image. */
export function lossJacobian(weights: Value, rows: Value, targets: Value): Value {
  return rows.expandDims(2).mul(excess(weights, rows, targets).expandDims(1));
}

/** By hand: the Hessian of the mean loss times V = rowsᵀ (p ∘ (z - Σ p ∘ z)) / images, where z = rows V. */
export function lossHessianVector(weights: Value, v: Value, rows: Value): Value {
  const p = rows.matmul(weights).softmax();
  const z = rows.matmul(v);
  const centred = z.sub(p.mul(z).sum({ axis: 1, keepDims: true }));
  return rows
    .transpose()
    .matmul(p.mul(centred))
    .mul(1 / rows.shape[0]);
}

/** The classifier at random weights over the first images, each of `width` by `width` pixels. */
function classifier(width: number, images: number, digits: Digits) {
  const small = downsample(first(digits, images), width);
  const inputs = width * width + 1;
  return {
    rows: tensor(Array.from(rowsWithOne(small)), { shape: [images, inputs] }),
    targets: tensor(Array.from(oneHotRows(small)), { shape: [images, classes] }),
    weights: tensor(Array.from(uniform(inputs * classes, 0.5, 2)), { shape: [inputs, classes] }),
    direction: tensor(Array.from(uniform(inputs * classes, 1, 3)), { shape: [inputs, classes] }),
  };
}

const batch = 64;

/** Finer images have more pixels, and so more weights. */
export const classifierLoss: Sweep = {
  id: "classifier-n",
  case: "classifier",
  title: "A classifier's mean loss over real digits: n weights, one loss",
  about:
    `The mean cross-entropy of a softmax classifier over ${batch} handwritten digits, as a function of its weights. ` +
    `The same images at 2, 4, 7, 14 and 28 pixels a side give more and more weights.`,
  varies: "n",
  sizes: { full: [2, 4, 7, 14, 28], quick: [2, 4, 7], browser: [2, 4, 7, 14], quickBrowser: [2, 4] },
  build(width, digits) {
    const { rows, targets, weights, direction } = classifier(width, batch, digits);
    return jacobianProblem({
      f: (w) => losses(w, rows, targets).mean(),
      x: weights,
      manual: (w) => lossGradient(w, rows, targets),
      direction,
    });
  },
};

const perImageWidth = 4;

/** More images have more losses: from few outputs to many. */
export const classifierLosses: Sweep = {
  id: "classifier-m",
  case: "classifier",
  title: "A classifier's loss on each of m digits: 170 weights, m losses",
  about:
    `The same classifier, on images of ${perImageWidth} by ${perImageWidth} pixels, but each image's own loss is an ` +
    `output. The Jacobian has one gradient per image, as influence functions and Gauss-Newton methods need it.`,
  varies: "m",
  sizes: {
    full: [16, 32, 64, 128, 256, 512],
    quick: [16, 64, 512],
    browser: [32, 128, 512],
    quickBrowser: [32, 64, 512],
  },
  build(images, digits) {
    const { rows, targets, weights, direction } = classifier(perImageWidth, images, digits);
    return jacobianProblem({
      f: (w) => losses(w, rows, targets),
      x: weights,
      manual: (w) => lossJacobian(w, rows, targets),
      direction,
    });
  },
};

export const classifierHessian: Sweep = {
  id: "hvp-n",
  case: "hvp",
  title: "The Hessian of the classifier's mean loss times a vector: n weights",
  about:
    `The curvature of the mean loss over ${batch} digits along one direction in the space of weights: n second ` +
    `derivatives, without the n by n Hessian. Both modes can be applied to either of them.`,
  varies: "n",
  sizes: { full: [2, 4, 7, 14, 28], quick: [2, 4, 7], browser: [2, 4, 7, 14], quickBrowser: [2, 4] },
  build(width, digits) {
    const { rows, targets, weights, direction } = classifier(width, batch, digits);
    return hessianVectorProblem({
      f: (w) => losses(w, rows, targets).mean(),
      x: weights,
      manual: (w) => lossHessianVector(w, direction, rows),
      direction,
    });
  },
};
