/** A damped and driven pendulum: few parameters, a whole trajectory. */
import { type Value, basisVector, stack, tensor } from "@cotangent/core";
import { uniform } from "../random.ts";
import { type Scale, type Sweep, jacobianProblem } from "./problem.ts";

export interface Observation {
  readonly steps: number;
  /** Angle and angular velocity are read after every so many steps. */
  readonly every: number;
}

/** In seconds, with lengths and gravity scaled so that the small swing has a period of 2π. */
const timeStep = 0.05;
const initialAngle = 2;

/** One step of the classical fourth-order Runge-Kutta method for y' = slope(y). */
function rungeKutta(y: readonly Value[], slope: (y: readonly Value[]) => Value[]): Value[] {
  const moved = (k: readonly Value[], by: number): Value[] => y.map((yi, i) => yi.add(k[i].mul(by)));
  const k1 = slope(y);
  const k2 = slope(moved(k1, timeStep / 2));
  const k3 = slope(moved(k2, timeStep / 2));
  const k4 = slope(moved(k3, timeStep));
  return y.map((yi, i) =>
    k2[i]
      .add(k3[i])
      .mul(2)
      .add(k1[i])
      .add(k4[i])
      .mul(timeStep / 6)
      .add(yi),
  );
}

/** Integrates from the initial state and calls `slope` with the number of the stage of the drive that is on. */
function integrate(
  initial: readonly Value[],
  stages: number,
  { steps, every }: Observation,
  slope: (stage: number, y: readonly Value[]) => Value[],
): Value[][] {
  const observed: Value[][] = [];
  let y = [...initial];
  for (let step = 0; step < steps; step++) {
    const stage = Math.floor((step * stages) / steps);
    y = rungeKutta(y, (at) => slope(stage, at));
    if ((step + 1) % every === 0) observed.push(y);
  }
  return observed;
}

/**
 * θ'' = -sin θ - c θ' + u(t): angle and velocity at each observation, [2 observations]. The parameters are the damping
 * c and, behind it, the torque u in each of the stages of equal length that the time is divided into.
 */
export function pendulum(parameters: Value, observation: Observation): Value {
  const damping = parameters.at(0);
  const torques = Array.from({ length: parameters.size - 1 }, (_, i) => parameters.at(i + 1));
  const observed = integrate(
    [tensor(initialAngle), tensor(0)],
    torques.length,
    observation,
    (stage, [angle, velocity]) => {
      const free = angle.sin().add(damping.mul(velocity)).neg();
      return [velocity, torques.length === 0 ? free : free.add(torques[stage])];
    },
  );
  return stack(observed.flat());
}

/**
 * By hand: the sensitivities s = dθ/dp and s' of all parameters p at once obey the variational equation
 * s'' = -cos θ s - c s' + d(-c θ' + u)/dp, and a Runge-Kutta step of it is the derivative of the step.
 */
export function pendulumSensitivity(parameters: Value, observation: Observation): Value {
  const damping = parameters.at(0);
  const torques = Array.from({ length: parameters.size - 1 }, (_, i) => parameters.at(i + 1));
  const unit = Array.from({ length: parameters.size }, (_, i) => basisVector(parameters, i));
  const none = parameters.zerosLike();
  const observed = integrate(
    [tensor(initialAngle), tensor(0), none, none],
    torques.length,
    observation,
    (stage, [angle, velocity, s, sVelocity]) => {
      const free = angle.sin().add(damping.mul(velocity)).neg();
      const sFree = angle.cos().mul(s).add(damping.mul(sVelocity)).add(velocity.mul(unit[0])).neg();
      if (torques.length === 0) return [velocity, free, sVelocity, sFree];
      return [velocity, free.add(torques[stage]), sVelocity, sFree.add(unit[stage + 1])];
    },
  );
  return stack(observed.flatMap(([, , s, sVelocity]) => [s, sVelocity]));
}

function problem(parameters: number, observation: Observation) {
  return jacobianProblem({
    f: (p) => pendulum(p, observation),
    x: tensor([0.25, ...uniform(parameters - 1, 0.5, 4)]),
    manual: (p) => pendulumSensitivity(p, observation),
    direction: tensor([1, ...uniform(parameters - 1, 1, 5)]),
  });
}

/** A longer trajectory has more points. */
export const trajectory: Sweep = {
  id: "trajectory-m",
  case: "trajectory",
  title: "A pendulum's whole trajectory: one parameter, m numbers",
  about:
    "How a swinging pendulum's angle and velocity, after every step of a Runge-Kutta integration, depend on one " +
    "parameter, its damping. Scalar code: each evaluation is of a single number.",
  varies: "m",
  sizes: {
    full: [8, 16, 32, 64, 128, 256],
    quick: [8, 16, 64],
    browser: [2, 4, 8],
    quickBrowser: [1, 2],
  },
  build: (steps) => problem(1, { steps, every: 1 }),
};

/** Shorter where each evaluation is a draw call. */
const driven: Readonly<Record<Scale, Observation>> = {
  full: { steps: 64, every: 8 },
  quick: { steps: 64, every: 8 },
  browser: { steps: 8, every: 1 },
  quickBrowser: { steps: 2, every: 1 },
};

/** A torque with more stages has more parameters: from few inputs to many. */
export const drivenTrajectory: Sweep = {
  id: "trajectory-n",
  case: "trajectory",
  title: "A driven pendulum: n parameters, few observed numbers",
  about:
    "The same pendulum, observed at a few equal intervals (8, over 64 steps; in a browser over fewer), pushed by a " +
    "torque that is constant in each of n - 1 stages: the derivative that optimal control needs.",
  varies: "n",
  sizes: {
    full: [2, 3, 5, 9, 17, 33, 65],
    quick: [2, 3, 17, 65],
    browser: [2, 3, 9],
    quickBrowser: [2, 3],
  },
  build: (parameters, _, scale) => problem(parameters, driven[scale]),
};
