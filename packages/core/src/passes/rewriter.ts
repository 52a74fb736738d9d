/** What a pass that replaces nodes by cheaper ones is made of. */
import { type Aval, sameShape } from "../aval.ts";
import type { Params, Primitive } from "../primitive.ts";
import { broadcastTo } from "../primitives/shape.ts";
import { type Draft, type Graph, GraphBuilder, copyNode } from "../graph/graph.ts";
import type { Origin } from "../graph/origin.ts";

/** The node by which a draft is defined in the graph that is being built. */
export interface Definition {
  readonly primitive: Primitive;
  readonly inputs: readonly Draft[];
  readonly params: Params;
}

/** A node about to be added, and what may be asked of the graph so far. */
export interface Site extends Definition {
  readonly aval: Aval;
  readonly fast: boolean;
  /** The definition of a draft, if a node of one output defines it. */
  definition(draft: Draft): Definition | undefined;
  avalOf(draft: Draft): Aval;
  /** The one number that all elements of a draft are, if that is known. */
  uniform(draft: Draft): number | undefined;
  /** Adds a node in place of this one; rules are tried on it too. */
  emit(primitive: Primitive, inputs: readonly Draft[], params?: Params): Draft;
  /** The draft if it has the aval of this node, or its broadcast to it. */
  as(draft: Draft): Draft | undefined;
}

/** Gives what a node may be replaced by, or undefined where the rule does not apply. */
export type Rewrite = (site: Site) => Draft | undefined;

export interface Rule {
  readonly name: string;
  /** The primitives that it is tried on. */
  readonly on: readonly string[];
  readonly rewrite: Rewrite;
  /** Why it may be done. */
  readonly because: string;
  /** Whether it may change what becomes of NaN, infinity, the sign of a zero or the last bit. */
  readonly fast?: boolean;
}

export interface Rewritten {
  readonly graph: Graph;
  /** How often each rule was applied. */
  readonly applied: ReadonlyMap<string, number>;
}

/** The graph with the first rule that applies to a node applied to it, node by node in their order. */
export function rewritten(graph: Graph, rules: readonly Rule[], fast: boolean): Rewritten {
  const byName = new Map<string, Rule[]>();
  for (const rule of rules) {
    if (rule.fast === true && !fast) continue;
    for (const name of rule.on) byName.set(name, [...(byName.get(name) ?? []), rule]);
  }
  const builder = new GraphBuilder(graph.inputs);
  const definitions = new Map<Draft, Definition>();
  const numbers = new Map<Draft, number>();
  const applied = new Map<string, number>();
  const drafts: Draft[] = [...builder.inputs];
  for (const tensor of graph.constants) {
    const draft = builder.constant(tensor);
    if (tensor.rank === 0) numbers.set(draft, tensor.item());
    drafts.push(draft);
  }

  const add = (
    primitive: Primitive,
    inputs: readonly Draft[],
    params: Params,
    aval: Aval,
    origin: Origin | null,
  ): Draft => {
    for (const rule of byName.get(primitive.name) ?? []) {
      const found = rule.rewrite(site(primitive, inputs, params, aval, origin));
      if (found === undefined) continue;
      applied.set(rule.name, (applied.get(rule.name) ?? 0) + 1);
      return found;
    }
    const [draft] = builder.node(primitive, inputs, params, [aval], origin);
    definitions.set(draft, { primitive, inputs, params });
    if (primitive === broadcastTo.primitive) {
      const number = numbers.get(inputs[0]);
      if (number !== undefined) numbers.set(draft, number);
    }
    return draft;
  };

  const site = (
    primitive: Primitive,
    inputs: readonly Draft[],
    params: Params,
    aval: Aval,
    origin: Origin | null,
  ): Site => {
    const emit = (other: Primitive, own: readonly Draft[], ownParams: Params = {}): Draft => {
      const inferred = other.infer(
        own.map((draft) => ({ aval: builder.aval(draft) })),
        ownParams,
      );
      return add(other, own, ownParams, inferred, origin);
    };
    const as = (draft: Draft): Draft | undefined => {
      const found = builder.aval(draft);
      if (found.dtype !== aval.dtype) return undefined;
      return sameShape(found.shape, aval.shape)
        ? draft
        : emit(broadcastTo.primitive, [draft], { shape: aval.shape });
    };
    return {
      primitive,
      inputs,
      params,
      aval,
      fast,
      definition: (draft) => definitions.get(draft),
      avalOf: (draft) => builder.aval(draft),
      uniform: (draft) => numbers.get(draft),
      emit,
      as,
    };
  };

  for (const node of graph.nodes) {
    if (node.outputs.length !== 1 || node.primitive.rules.form === "multiple") {
      copyNode(graph, node, builder, drafts);
      continue;
    }
    const inputs = node.inputs.map((variable) => drafts[variable]);
    const [output] = node.outputs;
    drafts[output] = add(node.primitive, inputs, node.params, graph.avals[output], node.origin);
  }
  const isSame = applied.size === 0;
  return {
    graph: isSame ? graph : builder.build(graph.outputs.map((variable) => drafts[variable])),
    applied,
  };
}
