export {
  type CheckOptions,
  type Report,
  assertReports,
  checkAllLaws,
  checkKinks,
  checkPrimitive,
  checkPrograms,
  defaultSeed,
  everyPrimitive,
  isDifferentiable,
} from "./check.ts";
export { type Call, type HostInput, RecordedDraw, drawCall, showCall } from "./draw.ts";
export {
  type Law,
  type Outcome,
  adjoint,
  differences,
  laws,
  linearity,
  memory,
  sameAsReference,
  secondOrder,
} from "./laws.ts";
export { type Estimate, derivativeByDifferences } from "./numbers.ts";
export { drawProgram, fit } from "./programs.ts";
export { type Setting, type Subject, subjectOf } from "./subject.ts";
