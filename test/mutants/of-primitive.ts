/** Judges the mutants of one primitive, in a thread of its own: what is planted is planted in the registry. */
import { everyPrimitive } from "@cotangent/verify";
import { type Effort, type Verdict, judge } from "./judge.ts";

export interface Task {
  readonly primitive: string;
  /** What the names of those to be judged have in them. */
  readonly mutant: string;
  readonly effort: Effort;
}

export default ({ primitive, mutant, effort }: Task): Verdict[] => {
  const original = everyPrimitive().find(({ name }) => name === primitive);
  if (original === undefined) throw new Error(`mutants: no primitive is called "${primitive}".`);
  return [...judge(original, effort, ({ name }) => name.includes(mutant))];
};
