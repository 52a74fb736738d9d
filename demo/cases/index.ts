import { classifierHessian, classifierLoss, classifierLosses } from "./classifier.ts";
import type { Sweep } from "./problem.ts";
import { reactionDiffusion } from "./reaction-diffusion.ts";
import { drivenTrajectory, trajectory } from "./trajectory.ts";

/** Everything that is compared, in the order in which it is reported. */
export const sweeps: readonly Sweep[] = [
  classifierLoss,
  classifierLosses,
  trajectory,
  drivenTrajectory,
  reactionDiffusion,
  classifierHessian,
];
