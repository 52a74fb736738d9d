/** Algebraic simplification: the pass that applies the table of rules. */
import { type Aval, sameShape } from "../aval.ts";
import { currentBackend } from "../backend.ts";
import type { Draft, Graph, GraphNode } from "../graph/graph.ts";
import type { Origin } from "../graph/origin.ts";
import { outsideScopes } from "../memory.ts";
import { type Params, type Primitive, noParams } from "../primitive.ts";
import { broadcastTo } from "../primitives/shape.ts";
import { scalarTensor } from "../tensor.ts";
import type { Value } from "../value.ts";
import { type Definition, Rewriter, type Tell } from "./rewriter.ts";
import { rules as allRules } from "./rules.ts";

/** A node as a rule sees it, before it is added. */
export interface Site extends Definition {
  readonly aval: Aval;
}

/** What a rule may look at and make. What it makes is simplified in turn. */
export interface RuleScope {
  aval(draft: Draft): Aval;
  /** How a value came about. */
  definition(draft: Draft): Definition | undefined;
  /** The definition of a value that is the result of that primitive. */
  is(draft: Draft, name: string): Definition | undefined;
  /** The number that all elements of a value are known to be. */
  uniform(draft: Draft): number | undefined;
  make(primitive: Primitive, inputs: readonly Draft[], params?: Params): Draft;
  scalar(value: number, dtype: Aval["dtype"]): Draft;
  /** A value broadcast to that shape, if it has not got it. */
  shaped(draft: Draft, aval: Aval): Draft;
  /** The number in every element. */
  filled(value: number, aval: Aval): Draft;
}

/** A pattern and what to put in its place. */
export interface Rule {
  readonly name: string;
  /** Why the values are the same. */
  readonly because: string;
  /** Whether NaN, infinities, the sign of a zero or the last bits may come out otherwise. */
  readonly isFast?: boolean;
  /** The primitives that the node may be of. */
  readonly of: readonly string[];
  /** What gives the same as the node, or undefined where the pattern does not match. */
  readonly apply: (site: Site, scope: RuleScope) => Draft | undefined;
  /** Where it matches, for two floats of shape [2, 3]: an example, and what its test runs. */
  readonly example: (x: Value, y: Value) => Value | readonly Value[];
}

export interface SimplifyOptions {
  /** Also rules that may change NaN, infinities, signs of zeros and last bits; by default false. */
  readonly fast?: boolean;
  /** The rules to apply; by default all. */
  readonly rules?: readonly Rule[];
  readonly tell?: Tell;
}

/**
 * The graph with each node replaced by something simpler that gives the same, where the table in rules.ts has a rule for
 * it; the graph itself where no rule matches. Every element is the same to the last bit, NaN, infinities and signs of zeros
 * included, unless `fast` is asked for.
 */
export function simplified(graph: Graph, options: SimplifyOptions = {}): Graph {
  const table = tableOf(options);
  if (!graph.nodes.some(({ primitive }) => table.has(primitive.name))) return graph;
  const simplifier = new Simplifier(graph, table, options.tell);
  for (const node of graph.nodes) simplifier.simplify(node);
  return simplifier.isChanged ? simplifier.finish() : graph;
}

/** Rules by the primitives that they are for, in their order. */
type Table = ReadonlyMap<string, readonly Rule[]>;

const tables = new Map<boolean, Table>();

function tableOf({ fast = false, rules: own }: SimplifyOptions): Table {
  const known = own === undefined ? tables.get(fast) : undefined;
  if (known !== undefined) return known;
  const table = new Map<string, Rule[]>();
  for (const rule of own ?? allRules) {
    if (rule.isFast === true && !fast) continue;
    for (const name of rule.of) table.set(name, [...(table.get(name) ?? []), rule]);
  }
  if (own === undefined) tables.set(fast, table);
  return table;
}

class Simplifier extends Rewriter implements RuleScope {
  isChanged = false;
  private readonly table: Table;
  private readonly tell: Tell | undefined;
  private origin: Origin | null = null;

  constructor(graph: Graph, table: Table, tell: Tell | undefined) {
    super(graph);
    this.table = table;
    this.tell = tell;
  }

  /** Adds a node of the graph, or what is simpler. */
  simplify(node: GraphNode): void {
    const { primitive, params, outputs } = node;
    const matching = outputs.length === 1 ? this.table.get(primitive.name) : undefined;
    if (matching !== undefined) {
      this.origin = node.origin;
      const site = { primitive, params, inputs: this.inputsOf(node), aval: this.graph.avals[outputs[0]] };
      const found = this.applied(matching, site);
      if (found !== undefined) {
        this.isChanged = true;
        this.drafts[outputs[0]] = found;
        return;
      }
    }
    this.copy(node);
  }

  private applied(matching: readonly Rule[], site: Site): Draft | undefined {
    for (const rule of matching) {
      const found = rule.apply(site, this);
      if (found !== undefined) {
        this.tell?.(rule.name);
        return found;
      }
    }
    return undefined;
  }

  is(draft: Draft, name: string): Definition | undefined {
    const definition = this.definition(draft);
    return definition !== undefined && definition.primitive.name === name ? definition : undefined;
  }

  make(primitive: Primitive, inputs: readonly Draft[], params: Params = noParams): Draft {
    const aval = primitive.infer(
      inputs.map((draft) => ({ aval: this.aval(draft) })),
      params,
    );
    const matching = this.table.get(primitive.name);
    const found =
      matching === undefined ? undefined : this.applied(matching, { primitive, inputs, params, aval });
    return found ?? this.node(primitive, inputs, params, [aval], this.origin)[0];
  }

  scalar(value: number, dtype: Aval["dtype"]): Draft {
    const backend = this.graph.constants[0]?.backend ?? currentBackend();
    return this.constant(outsideScopes(() => scalarTensor(value, dtype, backend)));
  }

  shaped(draft: Draft, { shape }: Aval): Draft {
    return sameShape(this.aval(draft).shape, shape)
      ? draft
      : this.make(broadcastTo.primitive, [draft], { shape });
  }

  filled(value: number, aval: Aval): Draft {
    return this.shaped(this.scalar(value, aval.dtype), aval);
  }
}
