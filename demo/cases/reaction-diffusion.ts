/** A nonlinear reaction and diffusion on an image: as many equations as unknowns. */
import { type Value, eye, tensor } from "@cotangent/core";
import { downsample, first } from "../data/digits.ts";
import { uniform } from "../random.ts";
import { type Sweep, jacobianProblem } from "./problem.ts";

const diffusion = 0.5;
const reaction = 2;

/**
 * The residual of the Allen-Cahn equation, D Δu + R (u - u³), on a square grid with zeros around it. Newton's method
 * for the steady state needs its Jacobian.
 */
export function residual(u: Value): Value {
  const width = u.shape[0];
  const padded = u.pad([
    [1, 1],
    [1, 1],
  ]);
  const shifted = (row: number, column: number): Value =>
    padded.slice([row, column], [row + width, column + width]);
  const neighbours = shifted(0, 1).add(shifted(2, 1)).add(shifted(1, 0)).add(shifted(1, 2));
  const laplacian = neighbours.sub(u.mul(4));
  const growth = u.sub(u.mul(u).mul(u));
  return laplacian.mul(diffusion).add(growth.mul(reaction));
}

/** D times the matrix of the discrete Laplacian on a grid of that width. */
function diffusionMatrix(width: number): Value {
  const size = width * width;
  const matrix = new Array<number>(size * size).fill(0);
  for (let row = 0; row < width; row++) {
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      const join = (other: number, inside: boolean): void => {
        if (inside) matrix[at * size + other] = diffusion;
      };
      matrix[at * size + at] = -4 * diffusion;
      join(at - width, row > 0);
      join(at + width, row < width - 1);
      join(at - 1, column > 0);
      join(at + 1, column < width - 1);
    }
  }
  return tensor(matrix, { shape: [size, size] });
}

/** By hand: D times the Laplacian's matrix, and R (1 - 3u²) on the diagonal. */
export function residualJacobian(u: Value, laplacian: Value): Value {
  const slope = u.square().mul(-3).add(1).mul(reaction);
  return laplacian.add(eye(u.size, { dtype: u.dtype }).mul(slope.reshape([u.size])));
}

export const reactionDiffusion: Sweep = {
  id: "square-n",
  case: "square",
  title: "Reaction and diffusion on a digit's image: n = m pixels",
  about:
    "The residual of a nonlinear reaction-diffusion equation with a handwritten digit as the state: each pixel's " +
    "equation reads the pixel and its four neighbours. Newton's method needs this square Jacobian.",
  varies: "n = m",
  sizes: { full: [2, 4, 7, 14, 28], quick: [2, 4, 7], browser: [2, 4, 7, 14], quickBrowser: [2, 4] },
  build(width, digits) {
    const { pixels } = downsample(first(digits, 1), width);
    const laplacian = diffusionMatrix(width);
    return jacobianProblem({
      f: residual,
      x: tensor(Array.from(pixels), { shape: [width, width] }),
      manual: (u) => residualJacobian(u, laplacian),
      direction: tensor(Array.from(uniform(width * width, 1, 6)), { shape: [width, width] }),
    });
  },
};
