export {
  ComputationalGraph,
  ComputationalEdge,
  ComputationalNode,
  computationalGraph,
} from "./computational-graph.ts";
export { type CheckpointOptions, checkpoint } from "./checkpoint.ts";
export { type Transposed, linearTranspose } from "./linear-transpose.ts";
export { jacrev } from "./jacrev.ts";
export { Tape, TapeNode, TapeValue } from "./tape.ts";
export {
  type Argnums,
  type AuxOptions,
  type GradArguments,
  type GradOptions,
  type Gradient,
  grad,
  valueAndGrad,
  vjp,
} from "./vjp.ts";
