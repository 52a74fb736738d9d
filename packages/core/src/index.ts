import "./ops/methods.ts";
import "./graph/methods.ts";

export * from "./arguments.ts";
export * from "./aval.ts";
export * from "./backend.ts";
export * from "./bind.ts";
export { type DebugNansOptions, NonFiniteError, debugNans } from "./debug-nans.ts";
export * from "./define/elementwise.ts";
export * from "./define/general.ts";
export * from "./dtype.ts";
export * from "./errors.ts";
export { collector, type Lease, outsideScopes, promote, scopeDepth, tidy } from "./memory.ts";
export type { Operand } from "./operand.ts";
export * from "./primitive.ts";
export { type Profile, profile } from "./profile.ts";
export * from "./jacobian.ts";
export * from "./rules.ts";
export * from "./sampling.ts";
export * from "./tensor.ts";
export * from "./tree.ts";
export { unbroadcast } from "./unbroadcast.ts";
export { type Recorder, Tracer, Value, nextLevel, refuseEscaped, type Trace } from "./value.ts";

export * from "./graph/check.ts";
export { graphFlops } from "./graph/cost.ts";
export {
  type GraphCost,
  type GraphCostOptions,
  type GraphSize,
  type RunCost,
  graphCost,
} from "./cost/graph-cost.ts";
export {
  type DerivativeCostOptions,
  type DerivativeCosts,
  type MixedCost,
  type PassCosts,
  type Mode,
  derivativeCosts,
  passCosts,
} from "./cost/derivatives.ts";
export { type Execution } from "./cost/jacobians.ts";
export { type JacobianMode, type ModeChoice, type ModeOptions, chooseMode, modeOf } from "./cost/modes.ts";
export { type TimeModel, calibrate, defaultTimeModel, predictedTime } from "./cost/time.ts";
export * from "./graph/differentiate.ts";
export { intern, paramsKey, sameStructure, structuralHash } from "./graph/hash.ts";
export { allBatched, batchByLoop, batchOf, moveAxis, overChannels, overImages } from "./vmap/batch-rules.ts";
export { BatchTrace, Batched } from "./vmap/batch-trace.ts";
export { type BatchAxes, type VmapOptions, vmap } from "./vmap/vmap.ts";
export { type JitOptions, type JitStats, type Jitted, jit } from "./jit.ts";
export {
  type OptimizeOptions,
  type Pass,
  type PassObserver,
  optimize,
  passes,
  runPasses,
} from "./passes/optimize.ts";
export { type CustomFunction, type CustomParams, customCall } from "./custom/custom-call.ts";
export {
  type CustomJvp,
  type CustomRules,
  type CustomVjp,
  custom,
  customJvp,
  customVjp,
} from "./custom/custom-rules.ts";
export {
  type FixedPointOptions,
  type LinearSolver,
  type RootOptions,
  customLinearSolve,
  customRoot,
  fixedPoint,
} from "./custom/implicit.ts";
export { checkpointed } from "./control/checkpointed.ts";
export { type SwitchParams, cond, switchCase, switchPrimitive } from "./control/cond.ts";
export { loopPullback, scanPrimitive, stepBack, whilePrimitive } from "./control/loop.ts";
export type { LoopParams, LoopPullbackParams } from "./control/loop-params.ts";
export { withOutputs } from "./control/nested.ts";
export { type LoopOptions, type ScanOptions, type Stacked, foriLoop, scan } from "./control/scan.ts";
export {
  type Action,
  type LoopCheckpoint,
  type ScheduleReport,
  binomial,
  leastAdvances,
  observeSchedules,
  repetitions,
  reportSchedule,
  schedule,
  slotsOf,
} from "./control/schedule.ts";
export { whileLoop } from "./control/while-loop.ts";
export { type CallParams, call } from "./primitives/call.ts";
export {
  type Executable,
  bindNode,
  computedOutputs,
  evaluateGraph,
  executableOf,
  lastUses,
  runGraph,
} from "./graph/evaluate.ts";
export { type Family, familyOf } from "./graph/family.ts";
export * from "./graph/graph.ts";
export {
  type AvalJSON,
  type ConstantJSON,
  type GraphFromJSONOptions,
  type GraphJSON,
  type JSONNumber,
  type NodeJSON,
  graphFromJSON,
  graphJSONVersion,
} from "./graph/json.ts";
export { namedGraphs, numberText, plainParamsText, shapeText, shortLine } from "./graph/literal.ts";
export type { GraphMethods } from "./graph/methods.ts";
export type { GraphTextOptions } from "./graph/text.ts";
export { type GraphView, type GraphViewOptions, registerGraphView } from "./graph/view.ts";
export { Origin, followOrigins, originNow, withOrigin } from "./graph/origin.ts";
export {
  GraphVariable,
  type Recorded,
  type Stageable,
  StageTrace,
  abstractLeaf,
  graphOf,
  recordGraph,
  stage,
} from "./graph/stage.ts";
export { requireLinear, transposeGraph } from "./graph/transpose.ts";
export { withoutCommonSubexpressions } from "./passes/common-subexpressions.ts";
export { withoutConstantNodes } from "./passes/constant-folding.ts";
export { withoutDeadCode } from "./passes/dead-code.ts";
export {
  type InPlace,
  type MemoryPlan,
  type MemoryPlanOptions,
  type PlannedBuffer,
  memoryPlan,
} from "./passes/memory-plan.ts";
export { isCheap, smallestSaved } from "./passes/recomputation.ts";
export { FlowNetwork } from "./graph/flow-network.ts";
export {
  type Explanation,
  type GraphFigures,
  type PassReport,
  type Recomputation,
  explain,
} from "./passes/explain.ts";
export {
  type Cluster,
  type ClusterKind,
  type FusionOptions,
  fused,
  fusionClusters,
} from "./passes/fusion.ts";
export { withoutCalls } from "./passes/inlining.ts";
export type { Tell } from "./passes/rewriter.ts";
export { rules as simplificationRules } from "./passes/rules.ts";
export {
  type Rule,
  type RuleScope,
  type SimplifyOptions,
  type Site,
  simplified,
} from "./passes/simplification.ts";
export { withoutSurrogates } from "./passes/surrogates.ts";

export * from "./ops/contraction.ts";
export * from "./ops/creation.ts";
export * from "./ops/elementwise.ts";
export * from "./ops/image.ts";
export * from "./ops/indexing.ts";
export * from "./ops/reduction.ts";
export * from "./ops/shape.ts";
export { straightThrough } from "./ops/straight-through.ts";
export * from "./primitives/binary.ts";
export * from "./primitives/cast.ts";
export * from "./primitives/comparison.ts";
export { gammaQuantile, lgamma } from "./primitives/gamma.ts";
export * from "./primitives/selection.ts";
export * from "./primitives/unary.ts";
export * from "./random/distributions.ts";
export { type HostArray, type HostKernel, hostKernels } from "./random/host.ts";
export { foldIn, randomKey, splitKey } from "./random/keys.ts";
export { threefry2x32 } from "./random/threefry.ts";
export { dotGeneral, type DotParams } from "./primitives/contraction.ts";
export {
  type ConvTransposeParams,
  type WindowParams,
  convolve,
  convolveFilterTranspose,
  convolveInputTranspose,
} from "./primitives/convolution.ts";
export { type PoolParams, overlapAdd, patches } from "./primitives/windows.ts";
export { type Axes, type Axis, type CumulativeParams } from "./primitives/reduction.ts";
export { type PadParams, type SliceParams } from "./primitives/shape.ts";
