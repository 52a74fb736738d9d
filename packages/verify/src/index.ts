export {
  type CheckOptions,
  type Failure,
  type FailureInput,
  type Report,
  checkKinks,
  checkLaw,
  checkPrograms,
  defaultSeed,
  everyPrimitive,
  isDifferentiable,
} from "./check.ts";
export {
  type BackendOptions,
  type FunctionOptions,
  type Inputs,
  type SuiteOptions,
  assertBackend,
  assertCustomRule,
  assertFunction,
  assertPrimitive,
  assertReports,
  checkBackend,
  checkCustomRule,
  checkFunction,
  checkPrimitive,
} from "./suite.ts";
export {
  type Cell,
  type Effort,
  type Watch,
  cellsOf,
  kinks,
  randomPrograms,
  runCampaign,
  samplesOf,
} from "./campaign.ts";
export { type ShapeClass, shapeClasses, shapeClassesOf, shapeFeaturesDrawn } from "./coverage.ts";
export {
  type NumberOptions,
  type PrimitiveCall,
  Program,
  type ProgramsOptions,
  type ShapeOptions,
  type TensorOptions,
  type Tree,
  broadcastableShapes,
  calls,
  dtypes,
  floatDTypes,
  numbers,
  programs,
  shapes,
  tensors,
  trees,
} from "./arbitraries.ts";
export {
  type Call,
  type HostInput,
  RecordedDraw,
  type Whole,
  type WholeDType,
  drawCall,
  showCall,
} from "./draw.ts";
export {
  type Law,
  adjoint,
  differences,
  linearity,
  memory,
  reverseDifferences,
  sameAsReference,
  secondOrder,
} from "./laws.ts";
export { primals, ruleLaws } from "./rule-laws.ts";
export { secondDifferences } from "./second-differences.ts";
export { type Order, exactDerivative } from "./exact/derivatives.ts";
export {
  type ExactArgument,
  type ExactFunction,
  type Interval,
  type Scale,
  decimal,
  digits,
  exactFunctions,
} from "./exact/functions.ts";
export { highPrecision } from "./exact/law.ts";
export { type ComplexForm, complexForms } from "./complex/forms.ts";
export { type ComplexDerivative, complexStep, derivativeByComplexStep } from "./complex/law.ts";
export { NoComplexForm } from "./complex/no-form.ts";
export { type ComplexPlane, ComplexTrace, ComplexValue } from "./complex/trace.ts";
export { avals } from "./avals.ts";
export { costs } from "./cost.ts";
export { cut } from "./cut.ts";
export { type Estimate, derivativeByDifferences, roundoff } from "./numbers.ts";
export { type Finding, type Outcome, fails, holds, inapplicable, unjudged, weigh } from "./outcome.ts";
export { roundingSpread, roundingSpreads, roundingsPerEvaluation } from "./rounding.ts";
export { fit, squash } from "./program.ts";
export { type ProgramOptions, drawProgram } from "./programs.ts";
export { taylor } from "./taylor.ts";
export {
  type Cut,
  type Mode,
  type Setting,
  type ShownFunction,
  type Subject,
  type SubjectCall,
  Instance,
  cutOf,
  directions,
  settingIn,
  subjectOf,
} from "./subject.ts";
export { packed, unpacked } from "./json.ts";
export { laws, lawsOfValues } from "./every-law.ts";
export { secondDerivative, staged, transposed } from "./strategies.ts";
export { vmapped } from "./vmapped.ts";
