export { Dual, ForwardTrace } from "./dual.ts";
export { Jet, JetTrace, type Series, jet } from "./jet.ts";
export { jacfwd } from "./jacfwd.ts";
export { type Tangents, derivative, directionalDerivative, jvp } from "./jvp.ts";
export { type LinearMap, linearize } from "./linearize.ts";
