/** The laws as a suite: the same for every backend and dtype. */
import {
  type Setting,
  assertReports,
  checkAllLaws,
  checkPrograms,
  everyPrimitive,
  laws,
} from "@cotangent/verify";
import { describe, expect, test } from "vitest";

/** Why a law may judge no sample of a primitive at all. */
const acceptable = new Set(["no float input", "no float output", "the reference itself", "cut on purpose"]);

export interface SuiteOptions {
  /** Samples per primitive and law. */
  readonly samples: number;
  /** Random programs per law. */
  readonly programs: number;
}

export function describeLaws(setting: Setting, { samples, programs }: SuiteOptions): void {
  const where = `on ${setting.backend.name} in ${setting.dtype}`;

  describe(`every primitive ${where}`, () => {
    test.each(everyPrimitive().map((primitive) => [primitive.name, primitive] as const))(
      "%s",
      (_, primitive) => {
        const reports = checkAllLaws(primitive, setting, { samples });
        assertReports(reports);
        for (const { law, judged, classed } of reports) {
          if (law === "kinks") continue;
          const reasons = Object.keys(classed).filter((reason) => !acceptable.has(reason));
          expect(
            judged > 0 || reasons.length === 0,
            `${law} judged nothing: ${JSON.stringify(classed)}`,
          ).toBe(true);
        }
      },
    );
  });

  describe(`random programs ${where}`, () => {
    test.each(laws.map((law) => [law.name, law] as const))("%s", (_, law) => {
      const report = checkPrograms(law, setting, { samples: programs });
      assertReports([report]);
      const isReference = report.classed["the reference itself"] !== undefined;
      expect(report.judged > programs / 2 || isReference, JSON.stringify(report.classed)).toBe(true);
    });
  });
}
