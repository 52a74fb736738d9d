/**
 * Reverse mode. While the function runs, the tape records each primitive that touched a differentiated value. Then one
 * sweep back over the tape multiplies adjoints along edges (each primitive's VJP) and adds them where a value was used
 * more than once.
 */
import type { Value } from "@cotangent/core";
import {
  type Aval,
  type Backend,
  type Params,
  type Primitive,
  type Residual,
  type Tensor,
  type Trace,
  Tracer,
  bind,
  bindMultiple,
  nextLevel,
  outputBit,
  promote,
  pullback,
  pullbackMultiple,
  refuseEscaped,
  requireReverseRule,
  scopeDepth,
  tidy,
} from "@cotangent/core";

/** A node of the computational graph: a leaf, or one application of a primitive. */
export class TapeNode {
  readonly aval: Aval;
  /** The nodes of the inputs; null where an input does not depend on what is differentiated. */
  readonly parents: readonly (TapeNode | null)[];
  readonly application: Application | null;
  /** The contributions that have come back so far, summed. */
  adjoint: Value | null = null;

  constructor(aval: Aval, parents: readonly (TapeNode | null)[], application: Application | null) {
    this.aval = aval;
    this.parents = parents;
    this.application = application;
  }

  accumulate(contribution: Value): void {
    this.adjoint = this.adjoint === null ? contribution : this.adjoint.add(contribution);
  }
}

/** What the VJPs of one application need; `free` lets go of it. */
interface Application {
  readonly primitive: Primitive;
  readonly params: Params;
  /** A value where some VJP needs it, else its aval; null once freed. */
  residuals: readonly Residual[] | null;
  output: Value | null;
  /** The nodes of all outputs, where the primitive has several. */
  readonly outputs: readonly TapeNode[] | null;
  readonly outputValues: readonly Value[] | null;
}

/** A value of reverse mode: a primal, and its node on the tape. */
export class TapeValue extends Tracer {
  readonly primal: Value;
  readonly node: TapeNode;

  constructor(owner: Tape, primal: Value, node: TapeNode) {
    super(owner, primal.aval);
    this.primal = primal;
    this.node = node;
  }

  override get backend(): Backend {
    return this.primal.backend;
  }

  override concrete(): Tensor {
    return this.primal.concrete();
  }

  override parts(): readonly Value[] {
    return [this.primal];
  }

  override toString(): string {
    return `TapeValue(primal ${this.primal.toString()})`;
  }
}

/** One application of reverse mode. */
export class Tape implements Trace {
  readonly level: number = nextLevel();
  readonly name: string;
  open = true;
  /** In the order of execution, so that every node comes after its parents. */
  readonly nodes: TapeNode[] = [];
  private readonly depth = scopeDepth();

  constructor(name: string) {
    this.name = name;
  }

  /** A value to differentiate with respect to. */
  leaf(primal: Value): TapeValue {
    return this.push(primal, new TapeNode(primal.aval, [], null));
  }

  process(primitive: Primitive, inputs: readonly Value[], params: Params): Value {
    const [primals, parents] = this.split(primitive, inputs);
    const output = bind(primitive, primals, params);
    if (!output.aval.floating || primitive.form === "zero") return output;
    let needed = 0;
    for (let i = 0; i < parents.length; i++) {
      if (parents[i] === null) continue;
      requireReverseRule(primitive, i);
      needed |= primitive.residuals[primitive.variadic ? 0 : i];
    }
    const residuals: Residual[] = primals;
    for (let i = 0; i < residuals.length; i++) {
      if (needed & (1 << i)) promote(primals[i], this.depth);
      else residuals[i] = primals[i].aval;
    }
    const keepsOutput = (needed & outputBit) !== 0;
    if (keepsOutput) promote(output, this.depth);
    const application: Application = {
      primitive,
      params,
      residuals,
      output: keepsOutput ? output : null,
      outputs: null,
      outputValues: null,
    };
    return this.push(output, new TapeNode(output.aval, parents, application));
  }

  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    const [primals, parents] = this.split(primitive, inputs);
    const outputValues = bindMultiple(primitive, primals, params);
    for (const value of [...primals, ...outputValues]) promote(value, this.depth);
    const outputs = outputValues.map((value) => new TapeNode(value.aval, [], null));
    const application: Application = {
      primitive,
      params,
      residuals: primals,
      output: null,
      outputs,
      outputValues,
    };
    // The joint node comes first, so that the sweep reaches it after the adjoints of all its outputs are complete.
    this.nodes.push(new TapeNode(outputs[0].aval, parents, application));
    return outputValues.map((value, i) => (value.aval.floating ? this.push(value, outputs[i]) : value));
  }

  private push(primal: Value, node: TapeNode): TapeValue {
    this.nodes.push(node);
    return new TapeValue(this, primal, node);
  }

  /** Primals and nodes of the inputs; what is not of this application is a constant here. */
  private split(primitive: Primitive, inputs: readonly Value[]): [Value[], (TapeNode | null)[]] {
    const primals = new Array<Value>(inputs.length);
    const parents = new Array<TapeNode | null>(inputs.length);
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i];
      if (input.level === this.level) {
        const value = input as TapeValue;
        if (!this.open) refuseEscaped(value, primitive.name);
        primals[i] = value.primal;
        parents[i] = value.node;
      } else {
        primals[i] = input;
        parents[i] = null;
      }
    }
    return [primals, parents];
  }

  /**
   * The sweep: from the seeds already accumulated in some nodes back to the leaves, each node once. Returns the
   * adjoints of `wanted`, null where one is zero. `free` lets go of each node's residuals as soon as the sweep has
   * passed; then there can be no second one. `visit` sees each node with its complete adjoint.
   */
  sweep(
    wanted: readonly TapeNode[],
    free: boolean,
    visit?: (node: TapeNode, adjoint: Value) => void,
  ): (Value | null)[] {
    return tidy(() => {
      const kept = new Map<TapeNode, Value>();
      const isWanted = new Set(wanted);
      for (let i = this.nodes.length - 1; i >= 0; i--) {
        const node = this.nodes[i];
        const { adjoint, application } = node;
        if (adjoint !== null) {
          if (visit !== undefined) visit(node, adjoint);
          if (isWanted.has(node)) kept.set(node, adjoint);
        }
        if (application === null) continue;
        if (application.outputs !== null) pullMultiple(node, application);
        else if (adjoint !== null) pull(node, application, adjoint);
        node.adjoint = null;
        if (free) {
          application.residuals = null;
          application.output = null;
        }
      }
      for (const node of this.nodes) if (node.adjoint !== null) node.adjoint = null;
      return wanted.map((node) => kept.get(node) ?? null);
    });
  }
}

function pull(node: TapeNode, application: Application, adjoint: Value): void {
  const { primitive, params, residuals, output } = application;
  for (let i = 0; i < node.parents.length; i++) {
    const parent = node.parents[i];
    if (parent === null) continue;
    const contribution = pullback(primitive, residuals as readonly Residual[], output, params, i, adjoint);
    if (contribution !== null) parent.accumulate(contribution);
  }
}

function pullMultiple(node: TapeNode, application: Application): void {
  const { primitive, params, residuals, outputs, outputValues } = application;
  const adjoints = (outputs as readonly TapeNode[]).map((output) => output.adjoint);
  if (adjoints.every((adjoint) => adjoint === null)) return;
  const inputs = residuals as readonly Value[];
  const contributions = pullbackMultiple(
    primitive,
    inputs,
    outputValues as readonly Value[],
    adjoints,
    params,
  );
  node.parents.forEach((parent, i) => {
    const contribution = contributions[i];
    if (parent !== null && contribution !== null) parent.accumulate(contribution);
  });
}
