import { CotangentError, fail } from "../errors.ts";

/**
 * Which states of a loop are kept for its way back, and which are computed again. A schedule is a sequence of actions
 * on a state that a loop body advances step by step:
 *
 * - with `slots`, the optimal one for that many states (Griewank and Walther, Algorithm 799: revolve, 2000): it reverses
 *   n steps with s slots in r n - β(s + 1, r - 1) advances, where β(s, r) = (s + r)! / (s! r!) and r is the
 *   smallest number with n <= β(s, r). So log2(n) slots cost O(log n) advances per step;
 * - "sqrt" cuts n steps into ⌈√n⌉ segments, keeps their first states, and runs each segment once more: O(√n) states
 *   and less than 2 n advances;
 * - "all" keeps every state: n - 1 advances.
 */
export type LoopCheckpoint = "all" | "sqrt" | "log" | { readonly slots: number };

/** The option as it was given, null where there is none. */
export function checkpointOption(who: string, option: LoopCheckpoint | undefined): LoopCheckpoint | null {
  if (option === undefined || option === "all" || option === "sqrt" || option === "log")
    return option ?? null;
  const slots: unknown = (option as Partial<Exclude<LoopCheckpoint, string>> | null)?.slots;
  if (Number.isInteger(slots) && (slots as number) >= 1) return option;
  fail(
    CotangentError,
    `${who}: checkpoint is ${JSON.stringify(option)}. Give "all", "sqrt", "log", or { slots } with a whole number from 1 on.`,
  );
}

/** The next action of a schedule. States are numbered by the steps that lead to them; state 0 is kept from the start. */
export type Action =
  /** Run the body on the state at hand until it is state `to`. */
  | { readonly kind: "advance"; readonly from: number; readonly to: number }
  /** Keep the state at hand, which is state `at`. */
  | { readonly kind: "keep"; readonly at: number }
  /** Take the kept state `at` in hand. */
  | { readonly kind: "restore"; readonly at: number }
  /** Let go of the kept state `at`. */
  | { readonly kind: "release"; readonly at: number }
  /** Run step `step` on the state at hand, which is state `step`, and pull the adjoints back through it. */
  | { readonly kind: "reverse"; readonly step: number };

/** What a loop cost on its way back. */
export interface ScheduleReport {
  readonly steps: number;
  /** The most states kept at once, the first one included. */
  readonly slots: number;
  /** How often the body was run only to come to a state again. */
  readonly advances: number;
}

/** The number of slots that a checkpointing option means for n steps; undefined where it is no number of slots. */
export function slotsOf(checkpoint: LoopCheckpoint, steps: number): number | undefined {
  if (checkpoint === "log") return Math.max(1, Math.ceil(Math.log2(Math.max(2, steps))));
  return typeof checkpoint === "object" ? checkpoint.slots : undefined;
}

/** The actions that reverse `steps` steps, last step first. */
export function* schedule(steps: number, checkpoint: LoopCheckpoint): Generator<Action, void> {
  checkpointOption("schedule", checkpoint);
  if (steps === 0) return;
  const slots = slotsOf(checkpoint, steps);
  if (slots !== undefined) yield* revolve(steps, slots);
  else yield* segments(steps, checkpoint === "sqrt" ? Math.ceil(Math.sqrt(steps)) : 1);
}

/** Keeps the first state of each of `count` segments, then, segment by segment from the last, all states of it. */
function* segments(steps: number, count: number): Generator<Action, void> {
  const length = Math.ceil(steps / count);
  const last = Math.ceil(steps / length) - 1;
  for (let s = 1; s <= last; s++) {
    yield { kind: "advance", from: (s - 1) * length, to: s * length };
    yield { kind: "keep", at: s * length };
  }
  for (let s = last; s >= 0; s--) {
    const [begin, end] = [s * length, Math.min(steps, (s + 1) * length)];
    if (s < last) yield { kind: "restore", at: begin };
    for (let step = begin + 1; step < end; step++) {
      yield { kind: "advance", from: step - 1, to: step };
      if (step < end - 1) yield { kind: "keep", at: step };
    }
    yield { kind: "reverse", step: end - 1 };
    for (let step = end - 2; step >= begin; step--) {
      yield { kind: "restore", at: step };
      yield { kind: "reverse", step };
      if (step > begin) yield { kind: "release", at: step };
    }
    if (s > 0) yield { kind: "release", at: begin };
  }
}

/** Binomial checkpointing: state `begin` is kept, and `slots` counts it. */
function* revolve(steps: number, slots: number): Generator<Action, void> {
  // Ranges [begin, end) still to be reversed; the state `begin` of each is kept, the last range is the next.
  const ranges = [{ begin: 0, end: steps, slots }];
  let inHand = 0;
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
    const { begin, end } = range;
    if (inHand !== begin) yield { kind: "restore", at: begin };
    inHand = begin;
    if (end - begin === 1) {
      yield { kind: "reverse", step: begin };
      if (begin > 0 && !ranges.some((other) => other.begin === begin)) yield { kind: "release", at: begin };
      inHand = -1;
      continue;
    }
    const middle = range.slots === 1 ? end - 1 : begin + leftPart(end - begin, range.slots);
    yield { kind: "advance", from: begin, to: middle };
    inHand = middle;
    ranges.push({ begin, end: middle, slots: range.slots });
    if (range.slots === 1) {
      yield { kind: "reverse", step: middle };
      inHand = -1;
    } else {
      yield { kind: "keep", at: middle };
      ranges.push({ begin: middle, end, slots: range.slots - 1 });
    }
  }
}

/** (s + r)! / (s! r!), without overflow beyond what is asked. */
export function binomial(s: number, r: number): number {
  let result = 1;
  for (let k = 1; k <= Math.min(s, r); k++) result = (result * (Math.max(s, r) + k)) / k;
  return Math.round(result);
}

/** The number of repetitions r with β(s, r - 1) < n <= β(s, r). */
export function repetitions(steps: number, slots: number): number {
  let r = 0;
  while (binomial(slots, r) < steps) r++;
  return r;
}

/** The least number of advances with which so many slots can reverse so many steps. */
export function leastAdvances(steps: number, slots: number): number {
  const r = repetitions(steps, slots);
  return r === 0 ? 0 : r * steps - binomial(slots + 1, r - 1);
}

/** Where an optimal schedule keeps its next state: so that both parts stay within their number of repetitions. */
function leftPart(steps: number, slots: number): number {
  const r = repetitions(steps, slots);
  // The left part may be reversed once less than allowed (r - 1 with all slots), the right one with a slot less.
  const right = Math.min(steps - 1, binomial(slots - 1, r));
  const least = Math.max(1, steps - right);
  const most = Math.min(steps - 1, binomial(slots, r - 1));
  return Math.max(least, Math.min(most, steps - Math.min(right, binomial(slots - 1, r - 1))));
}

type Listener = (report: ScheduleReport) => void;

let listener: Listener | null = null;

/** Runs `body` while `listen` is told of every loop that goes back by a schedule. */
export function observeSchedules<T>(listen: Listener, body: () => T): T {
  const outer = listener;
  listener = (report) => {
    outer?.(report);
    listen(report);
  };
  try {
    return body();
  } finally {
    listener = outer;
  }
}

export function reportSchedule(report: ScheduleReport): void {
  listener?.(report);
}
