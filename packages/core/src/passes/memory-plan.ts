/** A place in one block of memory for every value that a graph computes. */
import { sameAval } from "../aval.ts";
import { CotangentError, fail } from "../errors.ts";
import type { Graph, GraphNode, Variable } from "../graph/graph.ts";

/** A stretch of memory, and the values that have it one after the other. */
export interface PlannedBuffer {
  readonly offset: number;
  readonly bytes: number;
  /** The nodes between which it is in use, both included; the number of nodes stands for the time after the last. */
  readonly first: number;
  readonly last: number;
  readonly variables: readonly Variable[];
}

/** A node that may write its result over one of its inputs. */
export interface InPlace {
  /** The node's number. */
  readonly node: number;
  readonly input: Variable;
}

export interface MemoryPlan {
  readonly buffers: readonly PlannedBuffer[];
  /** The buffer of each variable by its number; undefined for what the graph is given, and views of it. */
  readonly bufferOf: readonly (number | undefined)[];
  readonly inPlace: readonly InPlace[];
  /** The size of the memory. */
  readonly bytes: number;
  /** The most bytes in use at once, which no plan can do without; `bytes` is more where buffers leave gaps. */
  readonly peakLiveBytes: number;
}

export interface MemoryPlanOptions {
  /** Offsets are multiples of so many bytes; by default 8, the size of the largest element. */
  readonly alignment?: number;
  /** Whether a node's result lies where its first input does; by default that of a reshape does. */
  readonly isView?: (node: GraphNode) => boolean;
  /** Values that have a place already, outside this memory. */
  readonly elsewhere?: ReadonlySet<Variable>;
  /** Whether elementwise nodes write over inputs that nothing uses any more; by default they do. */
  readonly overwrites?: boolean;
}

/** The values that share one storage for good: a result and its reshapes. */
interface Storage {
  readonly bytes: number;
  readonly first: number;
  last: number;
  readonly variables: Variable[];
}

/**
 * Where the values of a graph can lie in one block of memory, such as a WebAssembly module has: a value's place is free again
 * after its last use, an elementwise node writes over an input of the same size and dtype that nothing uses any more, and a
 * reshape lies where its input does. Larger buffers are placed first, each in the tightest gap among those in use at the same
 * time (greedy by size: Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020). Inputs and
 * constants lie elsewhere; outputs stay to the end. Nodes with nested graphs need memory of their own while they run.
 */
export function memoryPlan(
  graph: Graph,
  {
    alignment = 8,
    isView = ({ primitive }) => primitive.name === "reshape",
    elsewhere = new Set(),
    overwrites = true,
  }: MemoryPlanOptions = {},
): MemoryPlan {
  if (!Number.isInteger(alignment) || alignment < 1)
    fail(CotangentError, `memoryPlan: the alignment is ${alignment}, but must be a whole number from 1 on.`);
  const { storages, storageOf } = storagesOf(graph, isView, elsewhere);
  const inPlace: InPlace[] = [];
  /** For each storage the one whose place it takes over, at the end that of the first in the chain. */
  const heirTo = storages.map((_, i) => i);
  graph.nodes.forEach((node, n) => {
    const input = overwrites ? overwritten(graph, node, n, storages, storageOf) : undefined;
    if (input === undefined || storageOf[node.outputs[0]] === undefined) return;
    inPlace.push({ node: n, input });
    heirTo[storageOf[node.outputs[0]] as number] = heirTo[storageOf[input] as number];
  });

  const chains = new Map<number, Storage[]>();
  storages.forEach((storage, i) => chains.set(heirTo[i], [...(chains.get(heirTo[i]) ?? []), storage]));
  const open = [...chains.values()].map((chain) => ({
    bytes: chain[0].bytes,
    first: chain[0].first,
    last: chain[chain.length - 1].last,
    variables: chain.flatMap(({ variables }) => variables),
  }));
  const buffers = placed(open, alignment);
  const bufferOf = new Array<number | undefined>(graph.avals.length).fill(undefined);
  buffers.forEach(({ variables }, i) => {
    for (const variable of variables) bufferOf[variable] = i;
  });
  return {
    buffers,
    bufferOf,
    inPlace,
    bytes: Math.max(0, ...buffers.map(({ offset, bytes }) => offset + bytes)),
    peakLiveBytes: peakOf(buffers, graph.nodes.length),
  };
}

function storagesOf(
  graph: Graph,
  isView: (node: GraphNode) => boolean,
  elsewhere: ReadonlySet<Variable>,
): { storages: Storage[]; storageOf: (number | undefined)[] } {
  const lastUse = new Int32Array(graph.avals.length);
  graph.nodes.forEach(({ inputs, outputs }, n) => {
    for (const variable of inputs) lastUse[variable] = n;
    for (const variable of outputs) lastUse[variable] = n;
  });
  for (const variable of graph.outputs) lastUse[variable] = graph.nodes.length;
  const storages: Storage[] = [];
  const storageOf = new Array<number | undefined>(graph.avals.length).fill(undefined);
  graph.nodes.forEach((node, n) => {
    for (const variable of node.outputs) {
      let index: number | undefined;
      if (isView(node)) index = storageOf[node.inputs[0]];
      else if (!elsewhere.has(variable))
        index = storages.push({ bytes: graph.avals[variable].bytes, first: n, last: n, variables: [] }) - 1;
      storageOf[variable] = index;
      if (index === undefined) continue;
      storages[index].variables.push(variable);
      storages[index].last = Math.max(storages[index].last, lastUse[variable]);
    }
  });
  return { storages, storageOf };
}

/** The input that an elementwise node may write over: read element by element, and by nobody later. */
function overwritten(
  graph: Graph,
  { primitive, inputs, outputs }: GraphNode,
  n: number,
  storages: readonly Storage[],
  storageOf: readonly (number | undefined)[],
): Variable | undefined {
  if (!primitive.elementwise || outputs.length !== 1) return undefined;
  const output = graph.avals[outputs[0]];
  return inputs.find((variable) => {
    const storage = storageOf[variable];
    if (storage === undefined || storages[storage].last !== n || output.size === 0) return false;
    // The same storage may be read twice, but not broadcast, nor under another shape.
    return inputs.every((other) => storageOf[other] !== storage || sameAval(graph.avals[other], output));
  });
}

type Unplaced = Omit<PlannedBuffer, "offset">;

/** The buffers with offsets, none in the way of another, in the order in which they come into use. */
function placed(open: readonly Unplaced[], alignment: number): PlannedBuffer[] {
  const found: PlannedBuffer[] = [];
  const aligned = (offset: number): number => Math.ceil(offset / alignment) * alignment;
  for (const buffer of [...open].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const others = found
      .filter(({ first, last, bytes }) => bytes > 0 && first <= buffer.last && buffer.first <= last)
      .sort((a, b) => a.offset - b.offset);
    let end = 0;
    let best: { readonly offset: number; readonly room: number } | undefined;
    for (const { offset, bytes } of others) {
      const room = offset - end;
      if (room >= buffer.bytes && (best === undefined || room < best.room)) best = { offset: end, room };
      end = Math.max(end, aligned(offset + bytes));
    }
    found.push({ ...buffer, offset: best?.offset ?? end });
  }
  return found.sort((a, b) => a.first - b.first || a.variables[0] - b.variables[0]);
}

function peakOf(buffers: readonly PlannedBuffer[], nodes: number): number {
  const changes = new Float64Array(nodes + 2);
  for (const { first, last, bytes } of buffers) {
    changes[first] += bytes;
    changes[last + 1] -= bytes;
  }
  let [live, peak] = [0, 0];
  for (const change of changes) {
    live += change;
    peak = Math.max(peak, live);
  }
  return peak;
}
