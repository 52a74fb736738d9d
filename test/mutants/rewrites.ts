/** Faults in the rules of simplification, made from the table: each in what a rule gives, or in how it looks at what it matches. */
import {
  type Graph,
  type Rule,
  type RuleScope,
  type Site,
  primitives,
  simplificationRules,
  simplified,
} from "cotangent";
import { changedBy, examplesOf, nearMisses } from "../passes/near-misses.ts";
import { rewriteReason } from "./equivalents.ts";
import type { Verdict } from "./judge.ts";

type Apply = Rule["apply"];

const named = (name: string) => primitives().get(name)!;

/** The scope with some of what it says changed. It is an object with private parts, so its methods stay its own. */
const lying = (scope: RuleScope, lies: Partial<RuleScope>): RuleScope => ({
  aval: (draft) => scope.aval(draft),
  definition: (draft) => scope.definition(draft),
  is: (draft, name) => scope.is(draft, name),
  uniform: (draft) => scope.uniform(draft),
  make: (primitive, inputs, params) => scope.make(primitive, inputs, params),
  scalar: (value, dtype) => scope.scalar(value, dtype),
  shaped: (draft, aval) => scope.shaped(draft, aval),
  filled: (value, aval) => scope.filled(value, aval),
  ...lies,
});

const believed = [1, 0, -0, -1, 2, 0.5] as const;

const faults: Readonly<Record<string, (right: Apply) => Apply>> = {
  "the result negated": (right) => (site, scope) => {
    const found = right(site, scope);
    if (found === undefined || site.aval.dtype === "int32") return found;
    return scope.make(named(site.aval.dtype === "bool" ? "not" : "neg"), [found]);
  },
  "the first operand in place of the result": (right) => (site, scope) =>
    right(site, scope) === undefined ? undefined : scope.shaped(site.inputs[0], site.aval),
  "the last operand in place of the result": (right) => (site, scope) =>
    right(site, scope) === undefined
      ? undefined
      : scope.shaped(site.inputs[site.inputs.length - 1], site.aval),
  "operands exchanged": (right) => (site, scope) =>
    right(
      site,
      lying(scope, {
        make: (primitive, inputs, params) => scope.make(primitive, [...inputs].reverse(), params),
      }),
    ),
  "parameters of the outer node": (right) => (site, scope) =>
    right(
      site,
      lying(scope, {
        make: (primitive, inputs, params) =>
          scope.make(primitive, inputs, primitive === site.primitive ? site.params : params),
      }),
    ),
  "parameters of the inner node": (right) => (site, scope) =>
    right(
      site,
      lying(scope, {
        make: (primitive, inputs, params) =>
          scope.make(primitive, inputs, scope.is(site.inputs[0], primitive.name)?.params ?? params),
      }),
    ),
  "another number": (right) => (site, scope) =>
    right(
      site,
      lying(scope, {
        filled: (value, aval) => scope.filled(1 - value, aval),
        scalar: (value, dtype) => scope.scalar(value + 1, dtype),
      }),
    ),
  "whatever the pattern": (right) => (site, scope) =>
    right(site, lying(scope, { is: (draft) => scope.definition(draft) })),
  "whatever the shape": (right) => (site, scope) => right(site, lying(scope, { aval: () => site.aval })),
  ...Object.fromEntries(
    believed.map((number) => [
      `every number is ${Object.is(number, -0) ? "-0" : number}`,
      (right: Apply): Apply =>
        (site: Site, scope: RuleScope) =>
          right(
            site,
            lying(scope, { uniform: (draft) => (scope.uniform(draft) === undefined ? undefined : number) }),
          ),
    ]),
  ),
};

/** All mutants of a rule, each with the kind of its fault. */
export function mutantsOfRule(rule: Rule): { readonly fault: string; readonly rule: Rule }[] {
  return Object.entries(faults).map(([fault, wrong]) => ({
    fault,
    rule: { ...rule, apply: wrong(rule.apply) },
  }));
}

const dtypes = ["float64", "float32"] as const;

/** Whether a rule still matches where it says that it does. */
function matchesItsExamples(rule: Rule): boolean {
  return dtypes.every((dtype) =>
    examplesOf(rule, dtype).every((graph) => {
      const told: string[] = [];
      simplified(graph, { fast: true, rules: [rule], tell: (name) => told.push(name) });
      return told.includes(rule.name);
    }),
  );
}

/** What is said of every mutant of every rule by near misses and by examples; and first that the right rules pass. */
export function* judgeRewrites(isChosen: (name: string) => boolean = () => true): Generator<Verdict> {
  const graphs = dtypes.map((dtype) => nearMisses(dtype));
  const caughtBy = (rule: Rule): string[] => {
    try {
      if (dtypes.some((dtype, i) => changedBy(rule, graphs[i], dtype) !== undefined)) return ["near misses"];
      return matchesItsExamples(rule) ? [] : ["examples"];
    } catch {
      return ["it does not run"];
    }
  };
  for (const rule of simplificationRules) {
    const found = caughtBy(rule);
    if (found.length > 0)
      throw new Error(`The rule "${rule.name}" is no fault, and fails by ${found.join()}.`);
    for (const { fault, rule: mutant } of mutantsOfRule(rule)) {
      const name = `${rule.name}: ${fault}`;
      if (!isChosen(name)) continue;
      const verdict = { mutant: name, of: rule.name, fault: "wrong rewrite", caughtBy: caughtBy(mutant) };
      if (verdict.caughtBy.length > 0) {
        yield verdict;
        continue;
      }
      const excused = rewriteReason(rule.name, fault, isTheSame(rule, mutant, graphs.flat()));
      yield excused === undefined ? verdict : { ...verdict, excused };
    }
  }
}

/** Whether two rules make the same of every graph. */
function isTheSame(right: Rule, mutant: Rule, graphs: readonly Graph[]): boolean {
  const made = (graph: Graph, rule: Rule): string =>
    simplified(graph, { fast: true, rules: [rule] }).toString({ lines: false });
  return graphs.every(
    (graph) =>
      !graph.nodes.some(({ primitive }) => right.of.includes(primitive.name)) ||
      made(graph, right) === made(graph, mutant),
  );
}
