export * from "./expression.ts";
export {
  type FunctionRef,
  type Label,
  FunctionBuilder,
  Local,
  ModuleBuilder,
  TooLarge,
  callOf,
} from "./module.ts";
export { hasRelaxedSimd, selectLanes } from "./relaxed.ts";
