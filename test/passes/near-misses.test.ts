/** Each rule of simplification by itself, on graphs that it almost matches. */
import { simplificationRules } from "cotangent";
import { describe, expect, test } from "vitest";
import { changedBy, nearMisses } from "./near-misses.ts";

describe.each(["float64", "float32"] as const)("in %s, where a rule only almost matches", (dtype) => {
  const graphs = nearMisses(dtype);
  test.each(simplificationRules.map((rule) => [rule.name, rule] as const))(
    "%s changes nothing",
    (_, rule) => {
      expect(changedBy(rule, graphs, dtype)).toBeUndefined();
    },
  );
});
