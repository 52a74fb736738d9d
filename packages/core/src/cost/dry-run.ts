/**
 * A run without tensors: every evaluation that running a graph makes, in order, on avals alone. It follows the executor
 * and the loops step by step, so that what it counts is what `profile` counts; long loops it follows until one step is
 * like the one before, and then takes the rest at once.
 */
import { type Aval, avalOf } from "../aval.ts";
import type { Backend } from "../backend.ts";
import { type LoopParams, type LoopPullbackParams, kindOf } from "../control/loop-params.ts";
import { pulledBody } from "../control/loop-run.ts";
import { withOutputs } from "../control/nested.ts";
import { atOnce } from "../control/rows.ts";
import { schedule } from "../control/schedule.ts";
import type { SwitchParams } from "../control/cond.ts";
import { CotangentError, fail } from "../errors.ts";
import { type Graph, nestedGraphs } from "../graph/graph.ts";
import { graphOf } from "../graph/stage.ts";
import { optimize } from "../passes/optimize.ts";
import type { Params, Primitive } from "../primitive.ts";
import { add } from "../primitives/binary.ts";
import type { CallParams } from "../primitives/call.ts";
import { broadcastTo, concatenate, reshape, slice } from "../primitives/shape.ts";

/** What tensors that share a buffer have in common. */
interface Storage {
  readonly bytes: number;
  readonly born: number;
  lastUse: number;
}

/** A tensor that is not there. */
export interface Ghost {
  readonly aval: Aval;
  readonly storage: Storage;
}

/** Storage that does not count: the caller's, a constant's, or a plain number that is handed on. */
const nobodys: Storage = { bytes: 0, born: 0, lastUse: 0 };

/** A tensor that the caller brings along. */
export const callers = (aval: Aval): Ghost => ({ aval, storage: nobodys });

/** The values of a graph's variables before its first node. */
export const start = (graph: Graph, inputs: readonly Ghost[]): Ghost[] => [
  ...inputs,
  ...graph.constants.map(({ aval }) => callers(aval)),
];

/** Primitives whose output is their input's buffer, under another shape or none. */
const relabelling: ReadonlySet<string> = new Set(["reshape", "stopGradient", "straightThrough"]);

/** The same elements as a tensor of its own. A scalar is a plain number, of which there are then two. */
const sharing = (ghost: Ghost): Ghost => (ghost.aval.rank === 0 ? callers(ghost.aval) : ghost);

export interface DryRunOptions {
  /** Whose kernels run; what it has none for is counted by its decomposition. */
  readonly backend: Backend;
  /** How many steps every `whileLoop` is taken to make. */
  readonly whileSteps: number;
}

/** What has been counted so far. */
export interface Counts {
  evaluations: number;
  flops: number;
  bytesMoved: number;
}

/** A step of a loop: from a carry to the next one, and rows of results. */
interface Stepped {
  readonly carry: readonly Ghost[];
  readonly rows: readonly Ghost[];
}

export class DryRun {
  readonly counts: Counts = { evaluations: 0, flops: 0, bytesMoved: 0 };
  readonly #options: DryRunOptions;
  readonly #storages: Storage[] = [];
  /** Counts the evaluations that were gone through one by one: the time in which lifetimes are measured. */
  #now = 0;

  constructor(options: DryRunOptions) {
    this.#options = options;
  }

  /** Runs a graph as it is; graphs nested in it are optimised first, as the executor does. */
  graph(graph: Graph, inputs: readonly Ghost[]): Ghost[] {
    const values = start(graph, inputs);
    this.nodes(graph, values, 0, graph.nodes.length);
    const handedOver = new Set<number>();
    return graph.outputs.map((variable) => {
      if (variable < graph.firstDefined || handedOver.has(variable)) return sharing(values[variable]);
      handedOver.add(variable);
      return values[variable];
    });
  }

  /** Runs some of a graph's nodes; `values` has those of the variables before them, and gets those after them. */
  nodes(graph: Graph, values: Ghost[], from: number, to: number): void {
    for (const { primitive, inputs, params, outputs } of graph.nodes.slice(from, to)) {
      const found = this.bind(
        primitive,
        inputs.map((variable) => values[variable]),
        outputs.map((variable) => graph.avals[variable]),
        params,
      );
      outputs.forEach((variable, i) => (values[variable] = found[i]));
    }
  }

  /** Marks tensors as part of the result: they live until now. */
  keep(ghosts: readonly Ghost[]): void {
    for (const { storage } of ghosts) storage.lastUse = this.#now;
  }

  /** The largest sum of bytes over lifetimes that overlap; both ends of a lifetime belong to it. */
  peak(): number {
    const change = new Float64Array(this.#now + 2);
    for (const { bytes, born, lastUse } of this.#storages) {
      change[born] += bytes;
      change[lastUse + 1] -= bytes;
    }
    let live = 0;
    let most = 0;
    for (const bytes of change) {
      live += bytes;
      if (live > most) most = live;
    }
    return most;
  }

  bind(
    primitive: Primitive,
    inputs: readonly Ghost[],
    outputs: readonly Aval[],
    params: Params,
  ): readonly Ghost[] {
    const { backend } = this.#options;
    const { name, rules, decompose } = primitive;
    if (backend.kernels.has(name) || backend.multipleKernels.has(name))
      return this.#evaluate(primitive, inputs, outputs, params);
    if (rules.form === "multiple") return this.#nested(name, inputs, outputs, params);
    if (decompose === undefined) return this.#evaluate(primitive, inputs, outputs, params);
    const parts = graphOf(
      name,
      (...values) => decompose(values, params),
      inputs.map(({ aval }) => aval),
      backend,
    );
    return this.graph(parts, inputs);
  }

  /** One evaluation by a kernel. */
  #evaluate(
    primitive: Primitive,
    inputs: readonly Ghost[],
    avals: readonly Aval[],
    params: Params,
  ): readonly Ghost[] {
    const { counts } = this;
    const operands = inputs.map(({ aval }) => aval);
    for (const { storage } of inputs) storage.lastUse = this.#now;
    counts.evaluations++;
    counts.flops += primitive.cost(operands, avals[0], params);
    const isSame = relabelling.has(primitive.name) && operands[0].rank > 0 && avals[0].rank > 0;
    if (!isSame) for (const { bytes } of [...operands, ...avals]) counts.bytesMoved += bytes;
    const outputs = avals.map((aval) => ({
      aval,
      storage: isSame ? inputs[0].storage : this.#storage(aval.bytes),
    }));
    this.#now++;
    return outputs;
  }

  #storage(bytes: number): Storage {
    const storage = { bytes, born: this.#now, lastUse: this.#now };
    this.#storages.push(storage);
    return storage;
  }

  #nested(
    name: string,
    inputs: readonly Ghost[],
    outputs: readonly Aval[],
    params: Params,
  ): readonly Ghost[] {
    switch (name) {
      case "call":
        return this.graph(optimize((params as CallParams).graph), inputs);
      case "switchCase":
        return this.graph(this.#largest((params as SwitchParams).branches), inputs.slice(1));
      case "scan":
      case "whileLoop":
        return this.#loop(inputs, outputs, params as LoopParams);
      case "loopPullback":
        return this.#pullback(inputs, params as LoopPullbackParams);
      default: {
        const graphs = nestedGraphs(params);
        if (graphs.length === 1 && graphs[0].inputs.length === inputs.length)
          return this.graph(graphs[0], inputs);
        fail(
          CotangentError,
          `graphCost: what ${name} costs is not known. It is neither a kernel of backend ` +
            `${this.#options.backend.name} nor a call of one graph.`,
        );
      }
    }
  }

  /** The branch with the most FLOPs; among equals the one with the most evaluations. */
  #largest(branches: readonly Graph[]): Graph {
    const counted = branches.map((branch) => {
      const graph = optimize(branch);
      const run = new DryRun(this.#options);
      run.graph(graph, graph.inputs.map(callers));
      return { graph, ...run.counts };
    });
    return counted.reduce((most, one) =>
      one.flops > most.flops || (one.flops === most.flops && one.evaluations > most.evaluations) ? one : most,
    ).graph;
  }

  /** A constant made in eager code. */
  zeros(aval: Aval): Ghost {
    const zero = callers(avalOf([], aval.dtype));
    return aval.rank === 0
      ? zero
      : this.bind(broadcastTo.primitive, [zero], [aval], { shape: aval.shape })[0];
  }

  #row(array: Ghost): Ghost {
    const { shape, dtype } = array.aval;
    const inner = shape.slice(1);
    const cut =
      shape[0] === 1
        ? array
        : this.bind(slice.primitive, [array], [avalOf([1, ...inner], dtype)], {
            begin: shape.map(() => 0),
            end: [1, ...inner],
            strides: shape.map(() => 1),
          })[0];
    return this.bind(reshape.primitive, [cut], [avalOf(inner, dtype)], { shape: inner })[0];
  }

  #stack(rows: readonly Ghost[], aval: Aval): Ghost {
    if (rows.length === 0) return callers(aval);
    const [, ...inner] = aval.shape;
    const height = (ghost: Ghost): number => ghost.aval.shape[0];
    const one = avalOf([1, ...inner], aval.dtype);
    let parts: readonly Ghost[] = rows.map(
      (row) => this.bind(reshape.primitive, [row], [one], { shape: one.shape })[0],
    );
    while (parts.length > 1) {
      const joined: Ghost[] = [];
      for (let i = 0; i < parts.length; i += atOnce) {
        const group = parts.slice(i, i + atOnce);
        const total = group.reduce((sum, part) => sum + height(part), 0);
        const whole = avalOf([total, ...inner], aval.dtype);
        joined.push(this.bind(concatenate.primitive, group, [whole], { axis: 0 })[0]);
      }
      parts = joined;
    }
    return parts[0];
  }

  #loop(inputs: readonly Ghost[], outputs: readonly Aval[], params: LoopParams): Ghost[] {
    const { constants, carries, condition } = params;
    const body = optimize(params.body);
    const fixed = inputs.slice(0, constants);
    const start = inputs.slice(constants, constants + carries);
    const arrays = inputs.slice(constants + carries);
    const ask = (carry: readonly Ghost[]): void => {
      if (condition !== null) this.graph(optimize(condition), [...fixed, ...carry]);
    };
    const steps = this.#steps(params);
    const { carry, rows } = this.repeat(steps, start, (before) => {
      ask(before);
      const taken = arrays.map((array) => this.#row(array));
      const found = this.graph(body, [...fixed, ...before, ...taken]);
      return { carry: found.slice(0, carries), rows: found.slice(carries) };
    });
    ask(carry);
    const lists = outputs.slice(carries).map((aval, i) =>
      this.#stack(
        rows.map((row) => row[i]),
        aval,
      ),
    );
    return [...(steps === 0 ? carry.map(sharing) : carry), ...lists];
  }

  #steps({ condition, length }: LoopParams): number {
    return condition === null ? length : this.#options.whileSteps;
  }

  /**
   * Runs a step so many times. Once a step's carry and rows come about as those of the step before, all others do, but
   * for the last ones, whose results nothing may use. What lies between is counted at once: no more is live there than
   * in the last of them, since only rows of results become more.
   */
  repeat(
    count: number,
    start: readonly Ghost[],
    step: (carry: readonly Ghost[]) => Stepped,
  ): { carry: readonly Ghost[]; rows: (readonly Ghost[])[] } {
    let carry = start;
    const rows: (readonly Ghost[])[] = [];
    const births = new Births();
    let before = "";
    for (let done = 0; done < count; done++) {
      const counted = { ...this.counts };
      const first = this.#storages.length;
      const found = step(carry);
      ({ carry } = found);
      rows.push(found.rows);
      births.enter(this.#storages.slice(first));
      const pattern = births.pattern([...carry, ...found.rows]);
      // Storages of so many steps ago are still in use.
      const skipped = count - done - 1 - (births.oldest + 2);
      if (pattern === before && skipped > 0) {
        for (const figure of ["evaluations", "flops", "bytesMoved"] as const)
          this.counts[figure] += skipped * (this.counts[figure] - counted[figure]);
        carry = births.skip(skipped, carry, found.rows, rows, (bytes) => this.#storage(bytes));
        done += skipped;
        before = "";
      } else {
        before = pattern;
      }
    }
    return { carry, rows };
  }

  /** As loop-run.ts runs a loop back; what is freed there is here what is not used any more. */
  #pullback(values: readonly Ghost[], params: LoopPullbackParams): Ghost[] {
    const { wanted, constants, carries, condition } = params;
    const { marks, pulled } = pulledBody(params, wanted, this.#options.backend);
    const body = optimize(withOutputs(params.body, params.body.outputs.slice(0, carries)));
    const [forward, backward] = [optimize(pulled.forward), optimize(pulled.backward)];
    const inputs = values.slice(0, wanted.length);
    const given = values.slice(wanted.length);
    const fixed = inputs.slice(0, constants);
    const start = inputs.slice(constants, constants + carries);
    const arrays = inputs.slice(constants + carries);
    const rowsOf = (all: readonly Ghost[]): Ghost[] => all.map((array) => this.#row(array));
    const next = (state: readonly Ghost[]): Stepped => ({
      carry: this.graph(body, [...fixed, ...state, ...rowsOf(arrays)]),
      rows: [],
    });
    const length = this.#steps(params);
    if (condition !== null) {
      const ask = (state: readonly Ghost[]): void =>
        void this.graph(optimize(condition), [...fixed, ...state]);
      const { carry } = this.repeat(length, start, (state) => {
        ask(state);
        return next(state);
      });
      ask(carry);
    }

    const { outputAvals } = params.body;
    const floatCarries = outputAvals.slice(0, carries).filter((aval) => aval.floating).length;
    let carryBack = given.slice(0, floatCarries);
    const sums = new Map<number, Ghost>();
    const foundRows = new Map<number, Ghost[]>();
    const pullStep = (state: readonly Ghost[]): void => {
      const stepInputs = [...fixed, ...state, ...rowsOf(arrays)];
      const recorded = this.graph(forward, stepInputs);
      const cotangentRows = rowsOf(given.slice(floatCarries));
      const found = this.graph(backward, [
        ...pulled.savedInputs.map((i) => stepInputs[i]),
        ...recorded.slice(outputAvals.length),
        ...carryBack,
        ...cotangentRows,
      ]);
      carryBack = [];
      let at = 0;
      marks.forEach((mark, i) => {
        if (!mark) return;
        const ghost = found[at++];
        const kind = kindOf(params, i);
        const before = sums.get(i);
        if (kind === "carry") carryBack.push(ghost);
        else if (kind === "row") (foundRows.get(i) ?? foundRows.set(i, []).get(i))?.push(ghost);
        else if (before === undefined) sums.set(i, ghost);
        else sums.set(i, this.bind(add.primitive, [before, ghost], [ghost.aval], {})[0]);
      });
    };
    const kept = new Map<number, readonly Ghost[]>([[0, start]]);
    let inHand: readonly Ghost[] = start;
    for (const action of schedule(length, params.checkpoint ?? "all")) {
      if (action.kind === "advance") inHand = this.repeat(action.to - action.from, inHand, next).carry;
      else if (action.kind === "keep") kept.set(action.at, inHand);
      else if (action.kind === "restore") inHand = kept.get(action.at) as readonly Ghost[];
      else if (action.kind === "release") kept.delete(action.at);
      else pullStep(inHand);
    }

    const isCarry = (i: number): boolean => marks[i] && kindOf(params, i) === "carry";
    return wanted.flatMap((isWanted, i) => {
      if (!isWanted) return [];
      const { aval } = inputs[i];
      const kind = kindOf(params, i);
      if (kind === "row") return [this.#stack((foundRows.get(i) ?? []).toReversed(), aval)];
      if (kind === "constant") return [sums.get(i) ?? this.zeros(aval)];
      const found = carryBack[marks.slice(0, i).filter((_, k) => isCarry(k)).length];
      return [length === 0 ? sharing(found) : found];
    });
  }
}

/** Which step of a loop made which storage. */
class Births {
  /** Of each step, those that it made; of skipped ones, those that rows share. */
  readonly #steps: (readonly (Storage | undefined)[])[] = [];
  readonly #places = new Map<Storage, { readonly step: number; readonly index: number }>();
  readonly #outer = new Map<Storage, number>();
  /** How many steps ago the oldest storage in the last pattern was made. */
  oldest = 0;

  enter(made: readonly (Storage | undefined)[]): void {
    const step = this.#steps.push(made) - 1;
    made.forEach((storage, index) => {
      if (storage !== undefined) this.#places.set(storage, { step, index });
    });
  }

  #ageOf({ storage }: Ghost): { age: number; index: number } | undefined {
    const place = this.#places.get(storage);
    return place && { age: this.#steps.length - 1 - place.step, index: place.index };
  }

  /** Where ghosts have their storage from, told relative to the last step: what makes two steps alike. */
  pattern(ghosts: readonly Ghost[]): string {
    this.oldest = 0;
    return ghosts
      .map((ghost) => {
        const found = this.#ageOf(ghost);
        if (found !== undefined) {
          this.oldest = Math.max(this.oldest, found.age);
          return `${found.age}.${found.index}`;
        }
        let outer = this.#outer.get(ghost.storage);
        if (outer === undefined) this.#outer.set(ghost.storage, (outer = this.#outer.size));
        return `outer ${outer}`;
      })
      .join(" ");
  }

  /** Goes on by so many steps like the last one: adds their rows, and gives the carry after them. */
  skip(
    count: number,
    carry: readonly Ghost[],
    like: readonly Ghost[],
    rows: (readonly Ghost[])[],
    make: (bytes: number) => Storage,
  ): readonly Ghost[] {
    const sources = like.map((ghost) => this.#ageOf(ghost));
    const carried = carry.map((ghost) => this.#ageOf(ghost));
    const isRow = new Map<number, Storage>();
    sources.forEach((source, i) => {
      if (source !== undefined) isRow.set(source.index, like[i].storage);
    });
    if (like.length === 0) return carry;
    const at = (ghost: Ghost, source: { age: number; index: number } | undefined): Ghost => {
      if (source === undefined) return ghost;
      const storage = this.#steps[this.#steps.length - 1 - source.age][source.index];
      return storage === undefined ? ghost : { aval: ghost.aval, storage };
    };
    for (let i = 0; i < count; i++) {
      const made: (Storage | undefined)[] = [];
      for (const [index, storage] of isRow) made[index] = make(storage.bytes);
      this.enter(made);
      rows.push(like.map((ghost, k) => at(ghost, sources[k])));
    }
    return carry.map((ghost, k) => at(ghost, carried[k]));
  }
}
