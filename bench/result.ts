/** From times to the figures of the three parts, each next to its target. */
import {
  type Agreement,
  type Measured,
  type Measurement,
  type Mode,
  type Spread,
  ratios,
  spread,
} from "./measure.ts";
import type { PartName } from "./options.ts";
import type { Work } from "./works.ts";

export interface Figure extends Spread {
  readonly unit: "µs/op" | "ms" | "×";
}

export interface Target {
  readonly says: string;
  readonly met: boolean;
}

export interface Row {
  readonly work: string;
  readonly title: string;
  readonly what: string;
  readonly participant: string;
  readonly dtype: Measurement["dtype"];
  readonly agreement: Agreement;
  /** None where the participants do not agree. */
  readonly figure: Figure | null;
  /** How many times as long as Cotangent in float32, in the same rounds; none for Cotangent itself. */
  readonly ratio: Spread | null;
  readonly target: Target | null;
}

export interface Part {
  readonly id: PartName;
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
}

export interface Result {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly agreed: boolean;
  readonly parts: readonly Part[];
}

const targets = { ratio: 50, microsecondsPerOperation: 1, gradientPerValue: 5 };

const ours = "Cotangent";
const names: Record<Mode, string> = {
  value: "value",
  valueAndGrad: "value and gradient",
  derivative: "derivative, forward mode",
};

function timePart(
  id: PartName,
  title: string,
  measured: readonly Measured[],
  modes: readonly Mode[],
  targetOf: (mode: Mode, work: Work, row: Omit<Row, "target">) => Target | null,
): Part {
  const rows = measured.flatMap(({ work, agreed, measurements }) =>
    modes.flatMap((mode) => {
      const baseline = measurements.find(({ name, dtype }) => name === ours && dtype === "float32");
      return measurements.flatMap((measurement) => {
        const times = measurement.milliseconds[mode];
        // Not everyone has a forward mode.
        if (agreed && times === undefined) return [];
        const own = baseline?.milliseconds[mode];
        const row = {
          ...identity(work, measurement, names[mode]),
          figure: times === undefined ? null : timeFigure(times, work),
          ratio: measurement.name === ours || !times || !own ? null : spread(ratios(times, own)),
        };
        return [{ ...row, target: targetOf(mode, work, row) }];
      });
    }),
  );
  return { id, title, rows };
}

function identity(work: Work, { name, dtype, agreement }: Measurement, what: string) {
  return { work: work.id, title: work.title, what, participant: name, dtype, agreement };
}

function timeFigure(milliseconds: readonly number[], { operations }: Work): Figure {
  if (operations === undefined) return { ...spread(milliseconds), unit: "ms" };
  return { ...spread(milliseconds.map((time) => (time * 1000) / operations)), unit: "µs/op" };
}

/** (a) The gradient of a chain of scalar operations, per operation. */
export function scalarPart(measured: readonly Measured[]): Part {
  const title = "(a) A chain of eager scalar operations, per operation";
  return timePart("a", title, measured, ["valueAndGrad", "derivative"], (mode, work, { figure, ratio }) => {
    if (mode !== "valueAndGrad" || figure === null) return null;
    if (ratio !== null) return { says: `ratio ≥ ${targets.ratio}`, met: ratio.median >= targets.ratio };
    const limit = targets.microsecondsPerOperation;
    return work.operations === 1000 ? { says: `< ${limit} µs`, met: figure.median < limit } : null;
  });
}

/** (b) Values and gradients of tensors. */
export function tensorPart(measured: readonly Measured[]): Part {
  return timePart(
    "b",
    "(b) Eager tensors (no target; the ratios are for the record)",
    measured,
    ["value", "valueAndGrad"],
    () => null,
  );
}

/** (c) What a value and gradient takes next to the value alone. */
export function gradientPart(measured: readonly Measured[]): Part {
  const rows = measured.flatMap(({ work, measurements }) =>
    measurements.map((measurement): Row => {
      const { value, valueAndGrad } = measurement.milliseconds;
      const figure: Figure | null =
        value && valueAndGrad ? { ...spread(ratios(valueAndGrad, value)), unit: "×" } : null;
      const limit = targets.gradientPerValue;
      const judged = figure !== null && measurement.name === ours;
      return {
        ...identity(work, measurement, "value and gradient / value"),
        figure,
        ratio: null,
        target: judged ? { says: `≤ ${limit}`, met: figure.median <= limit } : null,
      };
    }),
  );
  return { id: "c", title: "(c) Cheap gradients: time of value and gradient / time of value, eager", rows };
}
