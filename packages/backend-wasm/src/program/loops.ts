/** Loops, and their ways back by a schedule. */
import {
  type Aval,
  type LoopParams,
  type LoopPullbackParams,
  reportSchedule,
  schedule,
  stepBack,
  withOutputs,
} from "@cotangent/core";
import { type Expr, type FunctionBuilder, type Local, callOf, i32 } from "../emit/index.ts";
import type { Heap } from "../heap.ts";
import { isContiguous } from "./layout.ts";
import type { Lowerer, Lowering } from "./lower.ts";
import { bytesPer, literal, loadScalar, storeScalar } from "./registers.ts";
import { type Slot, inMemory, inRegisters, isTiny } from "./slot.ts";

/** Where a result may be written, and who is told where it is. */
export interface Site {
  readonly aval: Aval;
  readonly place: () => Expr;
  readonly found: (slot: Slot) => void;
}

/** What the host needs to know to plan a loop's way back. */
export interface LoopPlan {
  readonly checkpoint: NonNullable<LoopParams["checkpoint"]>;
  /** Of a state that is kept. */
  readonly stateBytes: number;
  /** Its last plan. */
  last?: Encoded;
}

/** The actions of a plan, of three words each: what is done, and to which steps or which kept state. */
const [advance, keep, restore, reverse] = [0, 1, 2, 3];
const actionBytes = 12;
/** A plan begins with the address at which its actions end, which is where the kept states begin. */
const headBytes = 64;

/** A schedule as the words of a plan, and what it costs. */
interface Encoded {
  readonly steps: number;
  readonly words: Int32Array;
  readonly slots: number;
  readonly advances: number;
}

function encoded(steps: number, checkpoint: LoopPlan["checkpoint"]): Encoded {
  const words: number[] = [];
  // The start is kept from the beginning.
  const slotOf = new Map([[0, 0]]);
  const free: number[] = [];
  let [slots, advances] = [1, 0];
  for (const action of schedule(steps, checkpoint))
    switch (action.kind) {
      case "advance":
        words.push(advance, action.from, action.to);
        advances += action.to - action.from;
        break;
      case "keep": {
        const slot = free.pop() ?? slots++;
        slotOf.set(action.at, slot);
        words.push(keep, slot, 0);
        break;
      }
      case "restore":
        words.push(restore, slotOf.get(action.at) as number, 0);
        break;
      case "release":
        free.push(slotOf.get(action.at) as number);
        slotOf.delete(action.at);
        break;
      case "reverse":
        words.push(reverse, action.step, 0);
        break;
    }
  return { steps, words: Int32Array.from(words), slots, advances };
}

/** Writes the plan of so many steps back, with room for the states that it keeps; the same again is written as it was. */
export function writePlan(heap: Heap, plan: LoopPlan, steps: number): number {
  if (plan.last?.steps !== steps) plan.last = encoded(steps, plan.checkpoint);
  const { words, slots, advances } = plan.last;
  const actionsEnd = headBytes + Math.ceil(words.byteLength / 64) * 64;
  const address = heap.allocate(actionsEnd + slots * plan.stateBytes);
  const view = heap.view("int32", address, (headBytes >> 2) + words.length);
  view[0] = address + headBytes + words.byteLength;
  view[1] = address + actionsEnd;
  view.set(words, headBytes >> 2);
  reportSchedule({ steps, slots, advances });
  return address;
}

/** A value in order: a nested graph takes no other. */
export function ordered(lower: Lowerer, slot: Slot): Slot {
  if (slot.registers !== undefined || isContiguous(slot.layout)) {
    if (slot.registers !== undefined || slot.layout.offset === 0) return slot;
    return inMemory(slot.aval, lower.ordered(slot));
  }
  return inMemory(slot.aval, lower.ordered(slot));
}

/** An array of which each step reads or writes one row. */
interface Rows {
  readonly start: Expr;
  readonly row: Aval;
}

export class Loops {
  private readonly f: FunctionBuilder;
  private readonly lower: Lowerer;
  private readonly shared: Lowering;

  constructor(f: FunctionBuilder, lower: Lowerer, shared: Lowering) {
    this.f = f;
    this.lower = lower;
    this.shared = shared;
  }

  loop(params: LoopParams, inputs: readonly Slot[], outputs: readonly Site[]): void {
    const { f, shared } = this;
    const { body, condition, constants, carries, length } = params;
    const fixed = this.constants(inputs.slice(0, constants));
    shared.arena.within(() => {
      const carry = this.carries(inputs.slice(constants, constants + carries));
      const rows = this.rows(inputs.slice(constants + carries), body.inputs.slice(constants + carries));
      const results = outputs.slice(carries).map((site, i) => ({
        start: site.place(),
        row: body.avals[body.outputs[carries + i]],
      }));
      const step = f.let(i32.const(0));
      const advance = (): void => {
        shared.arena.within(() => {
          const at = this.position(params, step.get);
          const given = [
            ...fixed.map((slot) => ({ ...slot })),
            ...carry.map((one) => one.slot()),
            ...rows.map((array) => this.rowOf(array, at)),
          ];
          const targets = results.map((array) => this.rowOf(array, at).address);
          this.advance(carry, body, given, targets);
        });
        f.set(step, i32.add(step.get, i32.const(1)));
      };
      if (condition === null) {
        if (length > 0)
          f.loop((again) => {
            advance();
            f.branchIf(again, i32.lt_u(step.get, i32.const(length)));
          });
      } else this.whileHolds(params, fixed, carry, advance);
      this.give(carry, outputs.slice(0, carries));
      results.forEach(({ start }, i) => {
        const site = outputs[carries + i];
        site.found(inMemory(site.aval, start));
      });
    });
  }

  /**
   * A loop's way back: the host plans it, as a sequence of actions on the state in hand, which are read and done one by one.
   * A loop of unknown length is counted first.
   */
  pullback(params: LoopPullbackParams, values: readonly Slot[], outputs: readonly Site[]): void {
    const { f, shared } = this;
    const { body, constants, carries, wanted } = params;
    const back = stepBack(params, shared.backend);
    const inputs = values.slice(0, wanted.length);
    const cotangents = values.slice(wanted.length);
    const fixed = this.constants(inputs.slice(0, constants));
    shared.arena.within(() => {
      const start = inputs.slice(constants, constants + carries);
      const rows = this.rows(inputs.slice(constants + carries), body.inputs.slice(constants + carries));
      const floats = body.outputAvals.filter((aval) => aval.floating);
      const floatCarries = body.outputAvals.slice(0, carries).filter((aval) => aval.floating).length;
      const adjoints = this.carries(cotangents.slice(0, floatCarries));
      const cotangentRows = this.rows(cotangents.slice(floatCarries), floats.slice(floatCarries));
      const kindOf = (i: number): "constant" | "carry" | "row" =>
        i < constants ? "constant" : i < constants + carries ? "carry" : "row";
      const asked = wanted.flatMap((isWanted, i) => (isWanted ? [i] : []));
      const siteOf = new Map(asked.map((i, k) => [i, outputs[k]]));
      const askedConstants = asked.filter((i) => kindOf(i) === "constant");
      const sums = askedConstants.map((i) => this.zero(inputs[i].aval));
      const results = asked.flatMap((i) => {
        const site = siteOf.get(i);
        return kindOf(i) === "row" && site !== undefined
          ? [{ start: site.place(), row: body.inputs[i] }]
          : [];
      });

      const states = start.map((slot) => this.placed(slot));
      const offsets: number[] = [];
      let stateBytes = 0;
      for (const { aval } of start) {
        offsets.push(stateBytes);
        stateBytes += Math.ceil(aval.bytes / 16) * 16;
      }
      const checkpoint = params.checkpoint ?? "all";
      const number = shared.loopPlans.push({ checkpoint, stateBytes }) - 1;
      const stepBody = withOutputs(body, body.outputs.slice(0, carries));
      const steps =
        params.condition === null ? i32.const(params.length) : this.count(params, stepBody, fixed, states);
      const plan = f.let(callOf(shared.planLoop, i32.const(number), steps)).get;
      const kept = f.let(i32.load(plan, 4)).get;
      const state = this.carries(states);
      const keptState = (slot: Expr): Expr => i32.add(kept, i32.mul(slot, i32.const(stateBytes)));
      state.forEach((one, i) => one.store(i32.add(kept, i32.const(offsets[i]))));

      const at = f.let(i32.add(plan, i32.const(headBytes)));
      const step = f.local("i32");
      const given = (): Slot[] => {
        const row = this.position(params, step.get, steps);
        return [
          ...fixed.map((slot) => ({ ...slot })),
          ...state.map((one) => one.slot()),
          ...rows.map((array) => this.rowOf(array, row)),
        ];
      };
      const actions: Readonly<Record<number, (first: Expr, second: Expr) => void>> = {
        [advance]: (first, second) => {
          f.set(step, first);
          f.loop((again) => {
            shared.arena.within(() => this.advance(state, stepBody, given(), []));
            f.set(step, i32.add(step.get, i32.const(1)));
            f.branchIf(again, i32.lt_u(step.get, second));
          });
        },
        [keep]: (slot) => {
          const place = f.let(keptState(slot)).get;
          state.forEach((one, i) => one.store(i32.add(place, i32.const(offsets[i]))));
        },
        [restore]: (slot) => {
          const place = f.let(keptState(slot)).get;
          state.forEach((one, i) => one.load(i32.add(place, i32.const(offsets[i]))));
        },
        [reverse]: (first) => {
          f.set(step, first);
          shared.arena.within(() => {
            const row = this.position(params, step.get, steps);
            const all = [
              ...given(),
              ...[...adjoints, ...sums].map((one) => one.slot()),
              ...cotangentRows.map((array) => this.rowOf(array, row)),
            ];
            const targets = results.map((array) => this.rowOf(array, row).address);
            this.advance([...adjoints, ...sums], back, all, targets);
          });
        },
      };
      f.block((end) =>
        f.loop((again) => {
          f.branchIf(end, i32.ge_u(at.get, i32.load(plan)));
          const [kind, first, second] = [0, 4, 8].map((offset) => f.let(i32.load(at.get, offset)).get);
          f.set(at, i32.add(at.get, i32.const(actionBytes)));
          for (const [action, act] of Object.entries(actions))
            f.if(i32.eq(kind, i32.const(Number(action))), () => act(first, second));
          f.branch(again);
        }),
      );
      f.call(shared.forgetPlan, plan);

      // Only states of floating numbers have adjoints.
      let next = 0;
      for (let i = constants; i < constants + carries; i++) {
        if (!body.inputs[i].floating) continue;
        const site = siteOf.get(i);
        if (site !== undefined) this.give([adjoints[next]], [site]);
        next++;
      }
      askedConstants.forEach((i, k) => this.give([sums[k]], [siteOf.get(i) as Site]));
      asked
        .filter((i) => kindOf(i) === "row")
        .forEach((i, k) => siteOf.get(i)?.found(inMemory(inputs[i].aval, results[k].start)));
    });
  }

  /** What all steps read. */
  private constants(slots: readonly Slot[]): Slot[] {
    const fixed = slots.map((slot) => ordered(this.lower, slot));
    for (const slot of fixed) if (isTiny(slot.aval)) this.lower.registers(slot);
    return fixed;
  }

  /** Where it stays, whatever is written to memory meanwhile. */
  private placed(slot: Slot): Slot {
    if (isTiny(slot.aval)) return inRegisters(slot.aval, this.lower.registers(slot));
    return inMemory(slot.aval, this.f.let(this.lower.ordered({ ...slot })).get);
  }

  private carries(slots: readonly Slot[]): Carry[] {
    return slots.map((slot) => new Carry(this.f, this.lower, this.shared, slot));
  }

  private rows(slots: readonly Slot[], avals: readonly Aval[]): Rows[] {
    return slots.map((slot, i) => {
      // A copy: where it is written to memory for this loop, it does not lie after it.
      const start = ordered(this.lower, { ...slot });
      return { start: this.f.let(this.lower.ordered(start)).get, row: avals[i] };
    });
  }

  /** Which row a step reads and writes. */
  private position({ reverse: isReversed, length }: LoopParams, step: Expr, steps?: Expr): Expr {
    if (!isReversed) return step;
    return this.f.let(i32.sub(i32.sub(steps ?? i32.const(length), i32.const(1)), step)).get;
  }

  private rowOf({ start, row }: Rows, at: Expr): Slot & { readonly address: Expr } {
    const address = this.f.let(i32.add(start, i32.mul(at, i32.const(row.bytes)))).get;
    return { ...inMemory(row, address), address };
  }

  /** Runs a graph that gives the next carry first. */
  private advance(
    carry: readonly Carry[],
    graph: LoopParams["body"],
    given: readonly Slot[],
    targets: readonly (Expr | undefined)[],
  ): void {
    const found = this.lower.graph(graph, given, [...carry.map((one) => one.target()), ...targets]);
    const values = carry.map((_, i) =>
      isTiny(found[i].aval) ? this.lower.registers(found[i]).map((x) => this.f.let(x).get) : [],
    );
    carry.forEach((one, i) => one.advance(values[i]));
  }

  private whileHolds(
    { condition }: LoopParams,
    fixed: readonly Slot[],
    carry: readonly Carry[],
    body: () => void,
  ): void {
    const { f, lower, shared } = this;
    if (condition === null) return;
    f.block((end) =>
      f.loop((again) => {
        shared.arena.within(() => {
          const given = [...fixed.map((slot) => ({ ...slot })), ...carry.map((one) => one.slot())];
          const [verdict] = lower.graph(condition, given, [undefined]);
          f.branchIf(end, i32.eqz(lower.registers(verdict)[0]));
        });
        body();
        f.branch(again);
      }),
    );
  }

  /** How many steps a loop has that goes on while its condition holds. */
  private count(
    params: LoopParams,
    body: LoopParams["body"],
    fixed: readonly Slot[],
    start: readonly Slot[],
  ): Expr {
    const { f, shared } = this;
    const steps = f.let(i32.const(0));
    shared.arena.within(() => {
      const carry = this.carries(start);
      this.whileHolds(params, fixed, carry, () => {
        shared.arena.within(() => {
          const given = [...fixed.map((slot) => ({ ...slot })), ...carry.map((one) => one.slot())];
          this.advance(carry, body, given, []);
        });
        f.set(steps, i32.add(steps.get, i32.const(1)));
      });
    });
    return steps.get;
  }

  /** A sum to which nothing was added yet. */
  private zero(aval: Aval): Carry {
    const { f, lower, shared } = this;
    if (isTiny(aval)) {
      const zeros = Array.from({ length: aval.size }, () => literal(0, aval.dtype, 1));
      return new Carry(f, lower, shared, inRegisters(aval, zeros));
    }
    const place = f.let(i32.add(shared.base, i32.const(shared.arena.reserve(aval.bytes)))).get;
    f.fill(place, i32.const(0), i32.const(aval.bytes));
    return new Carry(f, lower, shared, inMemory(aval, place));
  }

  /** Hands over what the carry is in the end. */
  private give(carry: readonly Carry[], sites: readonly Site[]): void {
    carry.forEach((one, i) => {
      const slot = one.slot();
      const { aval, place, found } = sites[i];
      if (isTiny(aval)) {
        found(slot);
        return;
      }
      const target = place();
      this.lower.write(slot, target);
      found(inMemory(aval, target));
    });
  }
}

/** The carry of a loop: in variables, or in two buffers that take turns. */
class Carry {
  private readonly f: FunctionBuilder;
  private readonly aval: Aval;
  private readonly locals: readonly Local[];
  private readonly buffers: readonly Local[];

  constructor(f: FunctionBuilder, lower: Lowerer, shared: Lowering, start: Slot) {
    this.f = f;
    this.aval = start.aval;
    if (isTiny(start.aval)) {
      this.locals = lower.registers(start).map((value) => {
        const local = f.local(value.type);
        f.set(local, value);
        return local;
      });
      this.buffers = [];
    } else {
      this.locals = [];
      const place = (): Local =>
        f.let(i32.add(shared.base, i32.const(shared.arena.reserve(start.aval.bytes))));
      this.buffers = [f.let(lower.ordered(start)), place(), place()];
    }
  }

  slot(): Slot {
    return this.buffers.length === 0
      ? inRegisters(
          this.aval,
          this.locals.map(({ get }) => get),
        )
      : inMemory(this.aval, this.buffers[0].get);
  }

  /** Where the next carry is to be written. */
  target(): Expr | undefined {
    return this.buffers[1]?.get;
  }

  advance(values: readonly Expr[]): void {
    this.locals.forEach((local, i) => this.f.set(local, values[i]));
    if (this.buffers.length === 0) return;
    const [now, next, spare] = this.buffers;
    this.f.set(now, next.get);
    this.f.set(next, spare.get);
    this.f.set(spare, now.get);
  }

  /** Copies it to an address. */
  store(address: Expr): void {
    const { dtype, bytes } = this.aval;
    if (this.buffers.length > 0) {
      this.f.copy(address, this.buffers[0].get, i32.const(bytes));
      return;
    }
    this.locals.forEach(({ get }, i) =>
      this.f.store(storeScalar(i32.add(address, i32.const(i * bytesPer[dtype])), get, dtype)),
    );
  }

  /** Takes it from an address, where it stays as long as it is in hand. */
  load(address: Expr): void {
    const { dtype } = this.aval;
    if (this.buffers.length > 0) this.f.set(this.buffers[0], address);
    this.locals.forEach((local, i) =>
      this.f.set(local, loadScalar(i32.add(address, i32.const(i * bytesPer[dtype])), dtype)),
    );
  }
}
