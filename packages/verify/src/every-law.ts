import { avals } from "./avals.ts";
import { complexStep } from "./complex/law.ts";
import { costs } from "./cost.ts";
import { cut } from "./cut.ts";
import { highPrecision } from "./exact/law.ts";
import { type Law, adjoint, differences, linearity, memory, sameAsReference, secondOrder } from "./laws.ts";
import { secondDifferences } from "./second-differences.ts";
import { staged, transposed } from "./strategies.ts";
import { taylor } from "./taylor.ts";
import { vmapped } from "./vmapped.ts";

/** What can be said of whole numbers, which have no derivatives. */
export const lawsOfValues: readonly Law[] = [staged, vmapped, sameAsReference, memory, avals, costs];

/** All laws, in the order in which a failure says most. */
export const laws: readonly Law[] = [
  adjoint,
  linearity,
  differences,
  complexStep,
  secondOrder,
  secondDifferences,
  taylor,
  cut,
  transposed,
  staged,
  vmapped,
  sameAsReference,
  highPrecision,
  memory,
  avals,
  costs,
];
