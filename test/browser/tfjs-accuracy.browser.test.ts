/// <reference types="vite/client" />
/**
 * How many units in the last place (ulp) of float32 each elementwise function is off on WebGL, at most, against the
 * reference backend in float64. The table in packages/backend-tfjs/README.md says how many are allowed, and is what
 * this test prints.
 */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { type Backend, type Value, bind, hostKernels, jsBackend, primitives, tensor, tidy } from "cotangent";
import { expect, test } from "vitest";
import readme from "../../packages/backend-tfjs/README.md?raw";

const webgl = await createTfjsBackend();

type Range = readonly [low: number, high: number];

/** Where each function is measured: one range per input. */
const ranges: Readonly<Record<string, readonly Range[]>> = {
  exp: [[-87, 88.7]],
  expm1: [[-100, 88.7]],
  log: [[1e-37, 1e38]],
  log1p: [[-0.9999, 1e38]],
  tanh: [[-20, 20]],
  sigmoid: [[-87, 87]],
  softplus: [[-87, 1e5]],
  sin: [[-1e38, 1e38]],
  cos: [[-1e38, 1e38]],
  tan: [[-1e38, 1e38]],
  asin: [[-1, 1]],
  acos: [[-1, 1]],
  atan: [[-1e30, 1e30]],
  sinh: [[-89, 89]],
  cosh: [[-89, 89]],
  sech: [[-87, 87]],
  asinh: [[-1e38, 1e38]],
  acosh: [[1, 1e38]],
  atanh: [[-0.9999999, 0.9999999]],
  sqrt: [[0, 1e38]],
  rsqrt: [[1e-37, 1e38]],
  square: [[-1e18, 1e18]],
  reciprocal: [[1e-37, 1e37]],
  erf: [[-6, 6]],
  div: [
    [-1e10, 1e10],
    [1e-10, 1e10],
  ],
  pow: [
    [1e-6, 1e6],
    [-6, 6],
  ],
  hypot: [
    [-1e30, 1e30],
    [-1e30, 1e30],
  ],
  atan2: [
    [-1e10, 1e10],
    [-1e10, 1e10],
  ],
  mod: [
    [-1e10, 1e10],
    [1e-10, 1e10],
  ],
  xlogy: [
    [-1e10, 1e10],
    [1e-30, 1e30],
  ],
};

/** Exact in float32 on any device that adds and multiplies properly, or not of floating results. */
const exact = new Set(
  "neg abs sign floor ceil round relu isFinite not add sub mul strongMul max min eq ne lt le gt ge and or where clamp convert stopGradient".split(
    " ",
  ),
);

const count = 20_000;

/** Half of the numbers spread evenly over the range, half over its magnitudes; the same in every run. */
function numbersIn([low, high]: Range, seed: number): Float32Array {
  let state = seed;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const top = Math.max(Math.abs(low), Math.abs(high));
  const bottom = low > 0 ? low : Math.min(1e-30, top);
  return Float32Array.from({ length: count }, (_, i) => {
    const even = low + (high - low) * random();
    if (i % 2 === 0) return even;
    const magnitude = bottom * (top / bottom) ** random();
    const signed = low < 0 && random() < 0.5 ? -magnitude : magnitude;
    return signed >= low && signed <= high ? signed : even;
  });
}

/** The distance from one float32 to the next at a number of the normal range. */
const ulpAt = (x: number): number => 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -126) - 23);

function run(name: string, inputs: readonly Float32Array[], backend: Backend): ArrayLike<number> {
  return tidy(() => {
    const dtype = backend === webgl ? "float32" : "float64";
    const values: Value[] = inputs.map((data) => tensor(data, { backend, dtype }));
    return bind(primitives().get(name)!, values, {}).dataSync();
  });
}

interface Worst {
  readonly ulps: number;
  readonly at: string;
}

function worstOf(name: string): Worst {
  const inputs = ranges[name].map((range, k) => numbersIn(range, 17 + k));
  const found = run(name, inputs, webgl);
  const reference = run(name, inputs, jsBackend);
  let worst: Worst = { ulps: 0, at: "" };
  for (let i = 0; i < count; i++) {
    const [a, b] = [found[i], reference[i]];
    // Results that float32 cannot tell from zero or infinity are judged by the tests of special values.
    if (Math.abs(b) < 2 ** -126 || Math.abs(b) > 3.4e38) continue;
    const ulps = Math.abs(a - b) / ulpAt(b);
    if (!(ulps <= worst.ulps)) {
      worst = { ulps, at: `${name}(${inputs.map((x) => x[i]).join(", ")}) = ${a}, reference ${b}` };
    }
  }
  return worst;
}

const digits = (x: number): string =>
  (Math.abs(x) < 1e4 && Math.abs(x) > 1e-3) || x === 0 ? `${x}` : x.toExponential();
const shown = ([low, high]: Range): string => `[${digits(low)}, ${digits(high)}]`;

/** The README's rows by name. */
const allowed = new Map(
  [...readme.matchAll(/^\| `(\w+)` +\| +(.*?) +\| +([\d.]+) +\|$/gm)].map(([, name, range, ulps]) => [
    name,
    { range, ulps: Number(ulps) },
  ]),
);

/** The table is SwiftShader's, which divides and takes roots exactly; GLSL grants other devices 2.5 ulp for each division. */
const slack = /SwiftShader/.test(rendererName()) ? 0 : 5;

function rendererName(): string {
  const gl = document.createElement("canvas").getContext("webgl2");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  return info ? String(gl?.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
}

test("every elementwise primitive is measured, or exact", () => {
  const names = [...primitives().values()].filter((p) => p.elementwise).map((p) => p.name);
  // Those that core computes on the host are the same code on every backend.
  const own = names.filter((name) => !(name in hostKernels));
  expect(own.filter((name) => !exact.has(name) && !(name in ranges))).toEqual([]);
  expect(new Set(allowed.keys())).toEqual(new Set(Object.keys(ranges)));
});

test.each(Object.keys(ranges))("%s is as accurate as the README says", (name) => {
  const range = ranges[name].map(shown).join(" × ");
  const { ulps, at } = worstOf(name);
  const measured = `| \`${name}\` | ${range} | ${(Math.ceil(ulps * 10) / 10).toFixed(1)} |`;
  expect(allowed.get(name)?.range, measured).toBe(range);
  expect(ulps, `${measured} at ${at}`).toBeLessThanOrEqual(allowed.get(name)!.ulps + slack);
});
