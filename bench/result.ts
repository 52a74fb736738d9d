/** From times to the figures of the parts, each next to its target. */
import type { FirstCalls } from "./first-calls/first-calls.ts";
import {
  type Agreement,
  type Measured,
  type Measurement,
  type Mode,
  type Spread,
  type WorkInfo,
  ratios,
  spread,
} from "./measure.ts";
import type { MemoryUse } from "./memory.ts";
import type { PartName } from "./options.ts";
import { jaxJsName } from "./participants/jax-js.ts";
import type { Demands } from "./works.ts";

export interface Figure extends Spread {
  readonly unit: "µs/op" | "ms" | "×";
}

export interface Target {
  readonly says: string;
  readonly met: boolean;
}

export interface Row {
  readonly work: string;
  readonly title: string;
  readonly what: string;
  readonly participant: string;
  readonly dtype: Measurement["dtype"];
  readonly agreement: Agreement;
  /** None where the participants do not agree. */
  readonly figure: Figure | null;
  /** How many times as long as the one that the part measures others by, in the same rounds; none for that one itself. */
  readonly ratio: Spread | null;
  readonly target: Target | null;
  /** Why the participant did not get through it. */
  readonly failed?: string;
}

export interface Part {
  readonly id: PartName;
  readonly title: string;
  readonly rows: readonly Row[];
  /** What part (f) has in place of rows. */
  readonly memory?: readonly MemoryUse[];
  /** What part (h) measures its products by. */
  readonly roofline?: Roofline;
  /** What it ran in, where that is a browser. */
  readonly browser?: string;
  /** Why there are no rows, where there are none. */
  readonly skipped?: Skipped;
}

export interface Skipped {
  readonly reason: string;
  /** Whether it was begun and failed. A machine without a browser is no fault. */
  readonly failed: boolean;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
}

export interface Result {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly rounds: number;
  readonly browserRounds: number;
  readonly seconds: number;
  readonly agreed: boolean;
  readonly parts: readonly Part[];
}

const targets = {
  ratio: 50,
  microsecondsPerOperation: 1,
  gradientPerValue: 5,
  firstCallRatio: 20,
  smallFirstCallMilliseconds: 50,
  traceMilliseconds: 20,
  webglRatio: 1,
  /** Of jax-js's time to that of compiled programs: on one thread, and on two where that is asked for. */
  compiled: {
    elementwise: [8],
    product: [1.3, 2.2],
    layers: [2, 3],
    convolution: [2],
    chain: [5],
    integration: [5],
    recurrent: [5],
  } as Readonly<Record<string, readonly number[]>>,
  compiledGradientPerValue: 3,
};

/** What one thread of a machine can do at most, as loops of C measured it. */
export interface Limits {
  readonly gigaflops: number;
  readonly gigabytesPerSecond: number;
}

/** And how near a work comes to it. */
export interface Roofline extends Limits {
  readonly shares: readonly Share[];
}

/** What a work does per second of what it must at least: 10^9 multiplications and additions, or bytes. */
export interface Share {
  readonly title: string;
  readonly what: string;
  readonly participant: string;
  readonly of: Demands["of"];
  readonly giga: number;
  readonly fraction: number;
}

/** Whether all that was computed is right. */
export const agreed = (parts: readonly Part[]): boolean =>
  parts.every(({ rows, memory = [] }) => [...rows, ...memory].every(({ agreement }) => agreement.agrees));

const ours = "Cotangent";
const jitted = "Cotangent, jitted";
const names: Record<Mode, string> = {
  value: "value",
  valueAndGrad: "value and gradient",
  derivative: "derivative, forward mode",
};

/** By whom the others are measured, and what they are to reach. */
interface Judgement {
  readonly baseline: (measurement: Measurement, of: Measurement) => boolean;
  readonly targetOf: (mode: Mode, work: WorkInfo, row: Omit<Row, "target">) => Target | null;
}

function timePart(
  id: PartName,
  title: string,
  measured: readonly Measured[],
  modes: readonly Mode[],
  { baseline, targetOf }: Judgement,
): Part {
  const rows = measured.flatMap(({ work, agreed, measurements }) =>
    modes.flatMap((mode) =>
      measurements.flatMap((measurement) => {
        const times = measurement.milliseconds[mode];
        // Not everyone has a forward mode.
        if (agreed && times === undefined && measurement.failed === undefined) return [];
        const base = measurements.find((other) => baseline(other, measurement));
        const own = base?.name === measurement.name ? undefined : base?.milliseconds[mode];
        const row = {
          ...identity(work, measurement, names[mode]),
          figure: times === undefined ? null : timeFigure(times, work),
          ratio: !times || !own ? null : spread(ratios(times, own)),
        };
        return [{ ...row, target: targetOf(mode, work, row) }];
      }),
    ),
  );
  return { id, title, rows };
}

function identity(work: WorkInfo, { name, dtype, agreement, failed }: Measurement, what: string) {
  const { id, title } = work;
  return {
    work: id,
    title,
    what,
    participant: name,
    dtype,
    agreement,
    ...(failed !== undefined && { failed }),
  };
}

function timeFigure(milliseconds: readonly number[], { operations }: WorkInfo): Figure {
  if (operations === undefined) return { ...spread(milliseconds), unit: "ms" };
  return { ...spread(milliseconds.map((time) => (time * 1000) / operations)), unit: "µs/op" };
}

const eagerInFloat32 = ({ name, dtype }: Measurement): boolean => name === ours && dtype === "float32";

/** (a) The gradient of a chain of scalar operations, per operation. */
export function scalarPart(measured: readonly Measured[]): Part {
  const title = "(a) A chain of eager scalar operations, per operation; ratio: time / Cotangent's in float32";
  return timePart("a", title, measured, ["valueAndGrad", "derivative"], {
    baseline: eagerInFloat32,
    targetOf(mode, work, { figure, ratio }) {
      if (mode !== "valueAndGrad" || figure === null) return null;
      if (ratio !== null) return { says: `ratio ≥ ${targets.ratio}`, met: ratio.median >= targets.ratio };
      const limit = targets.microsecondsPerOperation;
      return work.operations === 1000 ? { says: `< ${limit} µs`, met: figure.median < limit } : null;
    },
  });
}

/** (b) Values and gradients of tensors. */
export function tensorPart(measured: readonly Measured[]): Part {
  const title = "(b) Eager tensors; ratio: time / Cotangent's in float32 (no target, for the record)";
  return timePart("b", title, measured, ["value", "valueAndGrad"], {
    baseline: eagerInFloat32,
    targetOf: () => null,
  });
}

/** (c) What a value and gradient takes next to the value alone. */
export function gradientPart(measured: readonly Measured[]): Part {
  const rows = measured.flatMap(({ work, measurements }) =>
    measurements.map((measurement): Row => {
      const { value, valueAndGrad } = measurement.milliseconds;
      const figure: Figure | null =
        value && valueAndGrad ? { ...spread(ratios(valueAndGrad, value)), unit: "×" } : null;
      const limit = targets.gradientPerValue;
      const judged = figure !== null && measurement.name === ours;
      return {
        ...identity(work, measurement, "value and gradient / value"),
        figure,
        ratio: null,
        target: judged ? { says: `≤ ${limit}`, met: figure.median <= limit } : null,
      };
    }),
  );
  return { id: "c", title: "(c) Cheap gradients: time of value and gradient / time of value, eager", rows };
}

/** (d) What tracing once and running the graph saves. */
export function jittedPart(measured: readonly Measured[], where = "the JavaScript backend"): Part {
  const title = `(d) Jitted and eager, on ${where}; ratio: time / that of jitted Cotangent in the same dtype (no target)`;
  return timePart("d", title, measured, ["value", "valueAndGrad"], {
    baseline: ({ name, dtype }, of) => name === jitted && dtype === of.dtype,
    targetOf: () => null,
  });
}

export const jittedOnWebGLPart = (measured: readonly Measured[]): Part => jittedPart(measured, "WebGL");

/** (e) What comes before a jitted function runs for the first time. */
export function firstCallPart(found: readonly FirstCalls[], operations: number): Part {
  const what = {
    gradient: "first call of jit(grad(f))",
    trace: "tracing f",
    small: "first call of jit(valueAndGrad(f))",
  };
  const chain = `chain of ${operations.toLocaleString("en")} scalar operations`;
  const title = { gradient: chain, trace: chain, small: "sum(sin(x) · exp(-x²) + tanh(x)), 1,000 elements" };
  const start = { cold: "in a fresh process", warm: "in a warm process", browser: "in a fresh browser" };
  const participant = { cotangent: ours, jaxJs: jaxJsName };
  const rows = found.map((each): Row => {
    const own = found.find(
      (other) => other.library === "cotangent" && other.what === each.what && other.start === each.start,
    );
    const isOurs = each === own;
    const usable = each.agreement.agrees && own?.agreement.agrees === true;
    const figure: Figure | null = usable ? { ...spread(each.milliseconds), unit: "ms" } : null;
    const ratio = usable && !isOurs ? spread(ratios(each.milliseconds, own.milliseconds)) : null;
    return {
      work: `first-${each.what}-${each.start}`,
      title: title[each.what],
      what: `${what[each.what]}, ${start[each.start]}`,
      participant: participant[each.library],
      dtype: "float32",
      agreement: each.agreement,
      figure,
      ratio,
      target: firstCallTarget(each, figure, ratio),
    };
  });
  return {
    id: "e",
    title: "(e) Tracing and compiling: functions met for the first time; ratio: time / Cotangent's",
    rows,
  };
}

function firstCallTarget(
  { what, library, start }: FirstCalls,
  figure: Figure | null,
  ratio: Spread | null,
): Target | null {
  if (what === "gradient" && ratio !== null)
    return { says: `ratio ≥ ${targets.firstCallRatio}`, met: ratio.median >= targets.firstCallRatio };
  if (what === "small" && library === "cotangent" && start !== "warm" && figure !== null) {
    const limit = targets.smallFirstCallMilliseconds;
    return { says: `< ${limit} ms`, met: figure.median < limit };
  }
  if (what === "trace" && library === "cotangent" && figure !== null)
    return { says: `< ${targets.traceMilliseconds} ms`, met: figure.median < targets.traceMilliseconds };
  return null;
}

/** (f) What checkpoints save of memory, and what is computed again for it. */
export function memoryPart(memory: readonly MemoryUse[]): Part {
  const title = "(f) Memory of reverse mode, float64; ratio: peak of plain reverse mode / this peak";
  return { id: "f", title, rows: [], memory };
}

/** (g) A jitted gradient on WebGL next to one of tfjs's own. */
export function webglPart(measured: readonly Measured[]): Part {
  const title = "(g) Jitted on WebGL, next to tfjs's own gradients; ratio: time / that of jitted Cotangent";
  return timePart("g", title, measured, ["value", "valueAndGrad"], {
    baseline: ({ name }) => name === jitted,
    targetOf(mode, _, { ratio }) {
      if (mode !== "valueAndGrad" || ratio === null) return null;
      return { says: `ratio ≥ ${targets.webglRatio}`, met: ratio.median >= targets.webglRatio };
    },
  });
}

const onThreads = (threads: number): string =>
  `${jitted}, wasm, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
export const compiledNames: readonly [string, string] = [onThreads(1), onThreads(2)];

/** (h) Compiled programs on one thread and two, and what their gradients cost. */
export function compiledPart(measured: readonly Measured[], limits: Limits): Part {
  const title = "(h) Compiled to WebAssembly; ratio: time / that of Cotangent on one thread in float32";
  const isBase = ({ name, dtype }: Measurement): boolean => name === compiledNames[0] && dtype === "float32";
  const { rows } = timePart("h", title, measured, ["value", "valueAndGrad"], {
    baseline: isBase,
    targetOf(mode, work, { participant, ratio }) {
      const wanted = targets.compiled[work.id.split("-")[0]];
      if (!participant.startsWith(jaxJsName) || wanted === undefined || ratio === null) return null;
      if (mode === "value" && work.id.split("-")[0] !== "product") return null;
      return { says: `ratio ≥ ${wanted[0]}`, met: ratio.median >= wanted[0] };
    },
  });
  const twoThreads = measured.flatMap(({ work, measurements }): Row[] => {
    const wanted = targets.compiled[work.id.split("-")[0]]?.[1];
    const mode = work.id.startsWith("product") ? "value" : "valueAndGrad";
    const peer = measurements.find(({ name }) => name.startsWith(jaxJsName))?.milliseconds[mode];
    const own = measurements.find(({ name, dtype }) => name === compiledNames[1] && dtype === "float32");
    const times = own?.milliseconds[mode];
    if (wanted === undefined || peer === undefined || own === undefined || times === undefined) return [];
    const ratio = spread(ratios(peer, times));
    return [
      {
        ...identity(work, own, `${names[mode]}: jax-js / two threads`),
        figure: timeFigure(times, work),
        ratio,
        target: { says: `ratio ≥ ${wanted}`, met: ratio.median >= wanted },
      },
    ];
  });
  const gradients = measured.flatMap(({ work, measurements }) =>
    measurements.flatMap((measurement): Row[] => {
      const { value, valueAndGrad } = measurement.milliseconds;
      if (!value || !valueAndGrad || measurement.name !== compiledNames[0]) return [];
      const figure: Figure = { ...spread(ratios(valueAndGrad, value)), unit: "×" };
      const limit = targets.compiledGradientPerValue;
      const target = { says: `≤ ${limit}`, met: figure.median <= limit };
      return [{ ...identity(work, measurement, "value and gradient / value"), figure, ratio: null, target }];
    }),
  );
  return {
    id: "h",
    title,
    rows: [...rows, ...twoThreads, ...gradients],
    roofline: { ...limits, shares: measured.flatMap((each) => sharesOf(each, limits)) },
  };
}

/** On each number of threads, in float32. */
function sharesOf({ work, measurements }: Measured, limits: Limits): Share[] {
  const { title, demands } = work;
  if (demands === undefined) return [];
  const limit = demands.of === "flops" ? limits.gigaflops : limits.gigabytesPerSecond;
  return measurements.flatMap(({ name, dtype, milliseconds }) =>
    (["value", "valueAndGrad"] as const).flatMap((mode) => {
      const times = milliseconds[mode];
      if (times === undefined || dtype !== "float32" || !compiledNames.includes(name)) return [];
      const giga = demands[mode] / spread(times).median / 1e6;
      return [{ title, what: names[mode], participant: name, of: demands.of, giga, fraction: giga / limit }];
    }),
  );
}
