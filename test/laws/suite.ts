/** The laws as a suite: the same for every backend and dtype. */
import {
  type Setting,
  assertReports,
  checkPrimitive,
  checkPrograms,
  everyPrimitive,
  kinks,
  laws,
  lawsOfValues,
  shapeFeaturesDrawn,
} from "@cotangent/verify";
import type { Backend } from "cotangent";
import { describe, expect, test } from "vitest";

export interface SuiteOptions {
  /** Samples per primitive and law. */
  readonly samples: number;
  /** Random programs per law. */
  readonly programs: number;
  /** Whether to go on until each law has judged each class of shape that there is; by default so. */
  readonly cover?: boolean;
}

/** Primitives that must be judged in these dtypes: their kernels have code of its own for them. */
const known = {
  int32:
    "add sub mul neg abs square max min clamp eq lt where convert sum prod reduceMax argmin cumsum dotGeneral gather " +
    "scatterAdd concatenate pad",
  bool: "eq where convert reduceMax reduceMin argmax gather concatenate pad flip",
};

/** What backends compute with whole numbers, of which all primitives are asked whether they take them. */
export function describeWholeNumbers(
  backend: Backend,
  reference: Backend,
  options: Pick<SuiteOptions, "samples" | "cover">,
): void {
  test.each(["int32", "bool"] as const)(`every primitive that takes %s on ${backend.name}`, (dtype) => {
    const reports = everyPrimitive().flatMap((primitive) =>
      checkPrimitive(primitive, { ...options, backend, reference, dtype }),
    );
    assertReports(reports);
    for (const { name } of lawsOfValues) {
      const judged = reports.filter((report) => report.law === name && report.judged > 0);
      expect(
        judged.map(({ subject }) => subject),
        name,
      ).toEqual(expect.arrayContaining(known[dtype].split(" ")));
    }
  });
}

export function describeLaws(setting: Setting, { samples, programs, cover = true }: SuiteOptions): void {
  const where = `on ${setting.backend.name} in ${setting.dtype}`;

  describe(`every primitive ${where}`, () => {
    test.each(everyPrimitive().map((primitive) => [primitive.name, primitive] as const))(
      "%s",
      (_, primitive) => {
        const reports = checkPrimitive(primitive, { ...setting, samples, cover });
        assertReports(reports);
        const judged = reports.reduce((total, report) => total + report.judged, 0);
        expect(judged).toBeGreaterThanOrEqual(samples);
        if (!cover) return;
        const drawn = shapeFeaturesDrawn(primitive);
        const ofNumbers = [kinks, ...laws.filter(({ drawsNumbers }) => drawsNumbers).map(({ name }) => name)];
        for (const { law, judged, exercised, unexercised } of reports)
          if (judged > 0 && !ofNumbers.includes(law))
            expect(Object.keys({ ...exercised, ...unexercised }), law).toEqual(expect.arrayContaining(drawn));
      },
    );
  });

  // The reference backend in float64 is not compared with itself, and second differences are taken in float64 alone.
  const silent = [
    ...(setting.backend === setting.reference && setting.dtype === "float64" ? ["reference"] : []),
    ...(setting.dtype === "float32" ? ["second differences"] : []),
  ];
  const ofPrograms = laws.filter(({ name, subjects }) => subjects !== "primitives" && !silent.includes(name));
  describe(`random programs ${where}`, () => {
    test.each(ofPrograms.map((law) => [law.name, law] as const))("%s", (_, law) => {
      const report = checkPrograms(law, setting, { samples: programs });
      assertReports([report]);
      expect(report.judged, JSON.stringify(report.classed)).toBeGreaterThan(
        0.9 * (law.share ?? 1) * programs,
      );
    });
  });
}
