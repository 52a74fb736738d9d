/** Runs sweeps on one backend. The same code runs under Node and in the browser's page. */
import { type Backend, type TimeModel, calibrate } from "@cotangent/core";
import { sweeps } from "../cases/index.ts";
import type { CaseName, Scale, Sweep } from "../cases/problem.ts";
import type { Digits } from "../data/digits.ts";
import { type Crossover, type Prediction, crossovers, predictions } from "./cost-model.ts";
import { type Patience, type Point, measure } from "./measure.ts";

/** One family of problems on one backend. */
export interface SweepResult extends Pick<Sweep, "id" | "case" | "title" | "about" | "varies"> {
  readonly backend: string;
  readonly dtype: string;
  /** What evaluations, FLOPs and bytes take on this machine, as measured before the comparison. */
  readonly model: TimeModel;
  readonly points: readonly Point[];
  readonly crossovers: readonly Crossover[];
  readonly predictions: readonly Prediction[];
}

export interface Request {
  readonly only: readonly CaseName[];
  readonly scale: Scale;
  readonly patience: Patience;
}

/** Is told what is being measured; what it returns is awaited, so that the screen can be drawn. */
export type Progress = (message: string) => Promise<void>;

export async function compare(
  { only, scale, patience }: Request,
  digits: Digits,
  backend: Backend,
  progress: Progress,
): Promise<SweepResult[]> {
  const results: SweepResult[] = [];
  const model = calibrate(backend);
  for (const sweep of sweeps.filter((candidate) => only.includes(candidate.case))) {
    const { id, title, about, varies } = sweep;
    const points: Point[] = [];
    for (const size of sweep.sizes[scale]) {
      const message = `${title} (size ${points.length + 1} of ${sweep.sizes[scale].length})`;
      // oxlint-disable-next-line no-await-in-loop -- measurements must not overlap
      await progress(message);
      // oxlint-disable-next-line no-await-in-loop
      points.push(
        await measure(
          () => sweep.build(size, digits, scale),
          size,
          backend,
          patience,
          () => progress(message),
          model,
        ),
      );
    }
    results.push({
      id,
      case: sweep.case,
      title,
      about,
      varies,
      backend: backend.name,
      dtype: backend.defaultDType,
      model,
      points,
      crossovers: crossovers(sweep, points),
      predictions: predictions(sweep, points),
    });
  }
  return results;
}
