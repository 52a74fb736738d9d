/**
 * Reverse mode. While the function runs, the tape records each primitive that touched a differentiated value. Then one
 * sweep back over the tape multiplies adjoints along edges (each primitive's VJP) and adds them where a value was used
 * more than once.
 */
import type { Value } from "@cotangent/core";
import {
  type Aval,
  type Backend,
  type Origin,
  type Params,
  type Primitive,
  type Pullback,
  type Residual,
  type Tensor,
  type Trace,
  Tracer,
  bind,
  nextLevel,
  noParams,
  originNow,
  outputBit,
  promote,
  pullback,
  pullbackMultiple,
  refuseEscaped,
  requireReverseRule,
  scopeDepth,
  tidy,
  withOrigin,
} from "@cotangent/core";

/** A node of the computational graph: a leaf, or one application of a primitive with what its VJPs need. */
export class TapeNode {
  readonly aval: Aval;
  /** What was applied; null for a leaf, and for one of several outputs of a joint node. */
  readonly primitive: Primitive | null;
  readonly params: Params;
  /** The nodes of the inputs; null where an input does not depend on what is differentiated. */
  readonly parents: readonly (TapeNode | null)[];
  /** For each input its value, where some VJP needs it, else its aval (of a joint node what its pullback needs). Null once freed. */
  residuals: readonly Residual[] | null;
  /** The output, where some VJP needs it. */
  output: Value | null;
  /** The contributions that have come back so far, summed. */
  adjoint: Value | null = null;
  /** Whether the sweep in progress keeps the adjoint. */
  wanted = false;
  /** Where in the user's program it comes from, where somebody asks; the derivative then has the same origin. */
  readonly origin: Origin | null = originNow();
  /** The nodes of the outputs and their joint pullback, where the primitive has several. */
  joint: Joint | null = null;

  constructor(
    aval: Aval,
    primitive: Primitive | null,
    params: Params,
    parents: readonly (TapeNode | null)[],
    residuals: readonly Residual[],
    output: Value | null,
  ) {
    this.aval = aval;
    this.primitive = primitive;
    this.params = params;
    this.parents = parents;
    this.residuals = residuals;
    this.output = output;
  }

  accumulate(contribution: Value): void {
    this.adjoint = this.adjoint === null ? contribution : this.adjoint.add(contribution);
  }

  /** Lets go of what the VJPs needed. */
  free(): void {
    this.residuals = null;
    this.output = null;
    this.joint = null;
  }
}

interface Joint {
  readonly nodes: readonly TapeNode[];
  readonly pull: Pullback["pull"];
}

function leafNode(aval: Aval): TapeNode {
  return new TapeNode(aval, null, noParams, [], [], null);
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
    return this.push(primal, leafNode(primal.aval));
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
    const node = new TapeNode(
      output.aval,
      primitive,
      params,
      parents,
      residuals,
      keepsOutput ? output : null,
    );
    return this.push(output, node);
  }

  processMultiple(primitive: Primitive, inputs: readonly Value[], params: Params): Value[] {
    const [primals, parents] = this.split(primitive, inputs);
    const wanted = parents.map((parent) => parent !== null);
    const { outputs, residuals, pull } = pullbackMultiple(primitive, primals, wanted, params);
    for (const value of [...residuals, ...outputs]) promote(value, this.depth);
    const nodes = outputs.map((value) => leafNode(value.aval));
    // The joint node comes first, so that the sweep reaches it after the adjoints of all its outputs are complete.
    const joint = new TapeNode(outputs[0].aval, primitive, params, parents, residuals, null);
    joint.joint = { nodes, pull };
    this.nodes.push(joint);
    return outputs.map((value, i) => (value.aval.floating ? this.push(value, nodes[i]) : value));
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
   * passed; then there can be no second one.
   */
  sweep(wanted: readonly TapeNode[], free: boolean): (Value | null)[] {
    return tidy(() => {
      for (const node of wanted) node.wanted = true;
      for (let i = this.nodes.length - 1; i >= 0; i--) {
        const node = this.nodes[i];
        if (node.primitive === null) continue;
        if (node.origin === null) pullNode(node, node.primitive);
        else withOrigin(node.origin.back, () => pullNode(node, node.primitive as Primitive));
        if (!node.wanted) node.adjoint = null;
        if (free) node.free();
      }
      return wanted.map((node) => {
        const { adjoint } = node;
        node.adjoint = null;
        node.wanted = false;
        return adjoint;
      });
    });
  }
}

function pullNode(node: TapeNode, primitive: Primitive): void {
  if (node.joint !== null) pullMultiple(node, node.joint);
  else if (node.adjoint !== null) pull(node, primitive, node.adjoint);
}

function pull({ parents, params, residuals, output }: TapeNode, primitive: Primitive, adjoint: Value): void {
  for (let i = 0; i < parents.length; i++) {
    const parent = parents[i];
    if (parent === null) continue;
    const contribution = pullback(primitive, residuals as readonly Residual[], output, params, i, adjoint);
    if (contribution !== null) parent.accumulate(contribution);
  }
}

function pullMultiple({ parents }: TapeNode, { nodes, pull }: Joint): void {
  const adjoints = nodes.map((node) => node.adjoint);
  for (const node of nodes) if (!node.wanted) node.adjoint = null;
  if (adjoints.every((adjoint) => adjoint === null)) return;
  const contributions = pull(adjoints);
  parents.forEach((parent, i) => {
    const contribution = contributions[i];
    if (parent !== null && contribution !== null) parent.accumulate(contribution);
  });
}
