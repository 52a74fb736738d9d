/** Algebraic simplification: a table of small rewrites. */
import { sameShape } from "../aval.ts";
import type { Draft, Graph } from "../graph/graph.ts";
import { abs, square } from "../primitives/unary.ts";
import { add, sub } from "../primitives/binary.ts";
import { neg } from "../primitives/unary.ts";
import { broadcastTo, reshape, transpose } from "../primitives/shape.ts";
import { type Rewrite, type Rewritten, type Rule, type Site, rewritten } from "./rewriter.ts";

/** The input of the node that defines a draft, if that is an application of the primitive. */
const inner = (site: Site, draft: Draft, name: string): Draft | undefined => {
  const found = site.definition(draft);
  return found?.primitive.name === name ? found.inputs[0] : undefined;
};

/** The other operand where one of the two is this number everywhere. */
const beside =
  (number: number, onlySecond = false): Rewrite =>
  (site) => {
    const [x, y] = site.inputs;
    if (Object.is(site.uniform(y), number)) return site.as(x);
    return !onlySecond && Object.is(site.uniform(x), number) ? site.as(y) : undefined;
  };

/** The axes of a node that has some. */
const axesOf = ({ params }: Pick<Site, "params">): readonly number[] =>
  (params as { readonly axes: readonly number[] }).axes;

/** The permutation of a transpose. */
const permutationOf = ({ params }: Pick<Site, "params">): readonly number[] =>
  (params as { readonly permutation: readonly number[] }).permutation;

const ofNegated =
  (primitive: Site["primitive"]): Rewrite =>
  (site) => {
    const x = inner(site, site.inputs[0], "neg");
    return x === undefined ? undefined : site.emit(primitive, [x]);
  };

/** The operand that is zero everywhere. */
const zeroOperand: Rewrite = (site) => {
  const zero = site.inputs.find((draft) => site.uniform(draft) === 0);
  if (zero === undefined) return undefined;
  return site.as(inner(site, zero, "broadcastTo") ?? zero);
};

const identity: Rewrite = (site) => site.as(site.inputs[0]);

/** Every rewrite, in the order in which they are tried on a node. */
export const rules: readonly Rule[] = [
  { name: "x · 1", on: ["mul", "strongMul"], rewrite: beside(1), because: "exact in IEEE 754" },
  { name: "x / 1", on: ["div"], rewrite: beside(1, true), because: "exact in IEEE 754" },
  { name: "x + (-0)", on: ["add"], rewrite: beside(-0), because: "-0 is the neutral element of addition" },
  {
    name: "x - 0",
    on: ["sub"],
    rewrite: beside(0, true),
    because: "0 is neutral on the right of a difference",
  },
  { name: "x ^ 1", on: ["pow"], rewrite: beside(1, true), because: "exact by the definition of pow" },
  {
    name: "0 strongly times x",
    on: ["strongMul"],
    rewrite: zeroOperand,
    because: "0 times anything is 0 there; the sign of that zero means nothing",
  },
  {
    name: "x · (-1)",
    on: ["mul"],
    rewrite: (site) => {
      const [x, y] = site.inputs;
      const isMinus = (draft: Draft): boolean => site.uniform(draft) === -1;
      const other = isMinus(y) ? x : isMinus(x) ? y : undefined;
      return other !== undefined && sameShape(site.avalOf(other).shape, site.aval.shape)
        ? site.emit(neg.primitive, [other])
        : undefined;
    },
    because: "changes the sign alone",
  },
  {
    name: "-(-x)",
    on: ["neg"],
    rewrite: (site) => inner(site, site.inputs[0], "neg"),
    because: "the sign changes twice",
  },
  {
    name: "x + (-y)",
    on: ["add"],
    rewrite: (site) => {
      const [x, y] = site.inputs;
      const negated = inner(site, y, "neg");
      return negated === undefined ? undefined : site.emit(sub.primitive, [x, negated]);
    },
    because: "a difference is that sum by definition",
  },
  {
    name: "x - (-y)",
    on: ["sub"],
    rewrite: (site) => {
      const [x, y] = site.inputs;
      const negated = inner(site, y, "neg");
      return negated === undefined ? undefined : site.emit(add.primitive, [x, negated]);
    },
    because: "a difference is a sum with the sign changed",
  },
  { name: "|-x|", on: ["abs"], rewrite: ofNegated(abs.primitive), because: "the sign is dropped" },
  { name: "(-x)²", on: ["square"], rewrite: ofNegated(square.primitive), because: "the signs cancel" },
  {
    name: "||x||",
    on: ["abs"],
    rewrite: (site) => (inner(site, site.inputs[0], "abs") === undefined ? undefined : site.inputs[0]),
    because: "the sign is gone already",
  },
  {
    name: "relu relu",
    on: ["relu"],
    rewrite: (site) => (inner(site, site.inputs[0], "relu") === undefined ? undefined : site.inputs[0]),
    because: "nothing is negative any more",
  },
  {
    name: "where(c, x, x)",
    on: ["where"],
    rewrite: (site) => (site.inputs[1] === site.inputs[2] ? site.as(site.inputs[1]) : undefined),
    because: "both branches are the same",
  },
  {
    name: "where(true, x, y)",
    on: ["where"],
    rewrite: (site) => {
      const condition = site.uniform(site.inputs[0]);
      return condition === undefined ? undefined : site.as(site.inputs[condition === 0 ? 2 : 1]);
    },
    because: "the condition is known",
  },
  {
    name: "reshape of reshape",
    on: ["reshape"],
    rewrite: (site) => {
      const x = inner(site, site.inputs[0], "reshape");
      return x === undefined ? undefined : site.emit(reshape.primitive, [x], site.params);
    },
    because: "the order of elements is kept by both",
  },
  {
    name: "reshape of a scalar's broadcast",
    on: ["reshape"],
    rewrite: (site) => {
      const x = inner(site, site.inputs[0], "broadcastTo");
      return x !== undefined && site.avalOf(x).rank === 0
        ? site.emit(broadcastTo.primitive, [x], site.params)
        : undefined;
    },
    because: "all elements are the same",
  },
  {
    name: "broadcast of broadcast",
    on: ["broadcastTo"],
    rewrite: (site) => {
      const x = inner(site, site.inputs[0], "broadcastTo");
      return x === undefined ? undefined : site.emit(broadcastTo.primitive, [x], site.params);
    },
    because: "broadcasting composes",
  },
  {
    name: "transpose of transpose",
    on: ["transpose"],
    rewrite: (site) => {
      const before = site.definition(site.inputs[0]);
      if (before?.primitive !== transpose.primitive) return undefined;
      const first = permutationOf(before);
      return site.emit(transpose.primitive, before.inputs, {
        permutation: permutationOf(site).map((axis) => first[axis]),
      });
    },
    because: "permutations compose",
  },
  {
    name: "flip of flip",
    on: ["flip"],
    rewrite: (site) => {
      const before = site.definition(site.inputs[0]);
      if (before?.primitive !== site.primitive) return undefined;
      const axes = axesOf(site);
      const first = axesOf(before);
      const rest = [
        ...axes.filter((axis) => !first.includes(axis)),
        ...first.filter((axis) => !axes.includes(axis)),
      ];
      return site.emit(site.primitive, before.inputs, { axes: rest.sort((a, b) => a - b) });
    },
    because: "flipping twice is none",
  },
  {
    name: "no change of shape",
    on: ["reshape", "broadcastTo"],
    rewrite: (site) =>
      sameShape(site.avalOf(site.inputs[0]).shape, site.aval.shape) ? site.inputs[0] : undefined,
    because: "it is there already",
  },
  {
    name: "no change of order",
    on: ["transpose"],
    rewrite: (site) => (permutationOf(site).every((axis, i) => axis === i) ? site.inputs[0] : undefined),
    because: "every axis stays",
  },
  {
    name: "no axes",
    on: ["flip", "sum", "prod", "reduceMax", "reduceMin"],
    rewrite: (site) => (axesOf(site).length === 0 ? identity(site) : undefined),
    because: "nothing is reduced or reversed",
  },
  {
    name: "no change of dtype",
    on: ["convert"],
    rewrite: (site) => (site.avalOf(site.inputs[0]).dtype === site.aval.dtype ? site.inputs[0] : undefined),
    because: "it is there already",
  },
  {
    name: "slice of all, pad by nothing",
    on: ["slice", "pad"],
    rewrite: (site) =>
      sameShape(site.avalOf(site.inputs[0]).shape, site.aval.shape) ? site.inputs[0] : undefined,
    because: "no element is left out, none is added",
  },
  {
    name: "concatenation of one",
    on: ["concatenate"],
    rewrite: (site) => (site.inputs.length === 1 ? site.inputs[0] : undefined),
    because: "nothing is joined",
  },
  { name: "x + 0", on: ["add"], rewrite: beside(0), because: "but for -0 + 0, which is 0", fast: true },
  { name: "x · 0", on: ["mul"], rewrite: zeroOperand, because: "but for NaN and infinities", fast: true },
  {
    name: "exp log x",
    on: ["exp"],
    rewrite: (site) => inner(site, site.inputs[0], "log"),
    because: "inverse, but for rounding and negative x",
    fast: true,
  },
  {
    name: "log exp x",
    on: ["log"],
    rewrite: (site) => inner(site, site.inputs[0], "exp"),
    because: "inverse, but for rounding and overflow",
    fast: true,
  },
];

export interface SimplifyOptions {
  /** Also rules that change what becomes of NaN, infinity, the sign of a zero or the last bit. By default not. */
  readonly fast?: boolean;
}

/** The graph with the rules of the table applied, node by node; values stay what they were, to the last bit. */
export function simplified(graph: Graph, options: SimplifyOptions = {}): Graph {
  return simplify(graph, options).graph;
}

/** `simplified`, with how often each rule was applied. */
export function simplify(graph: Graph, { fast = false }: SimplifyOptions = {}): Rewritten {
  return rewritten(graph, rules, fast);
}
