import {
  type Backend,
  type Kernel,
  type Tensor,
  type TypedArray,
  hostArray,
  registerBackend,
} from "cotangent";

/** How many buffers are alive, and their bytes. */
const alive = { buffers: 0, bytes: 0 };

/** Every buffer of this backend is a Float32Array, rank 0 included. */
const elements = (x: Tensor): Float32Array => x.buffer as Float32Array;

/** An elementwise kernel without broadcasting, which is enough for this page. */
const each =
  (f: (...xs: number[]) => number): Kernel =>
  (inputs, output) =>
    Float32Array.from({ length: output.size }, (_, i) =>
      f(...inputs.map((x) => elements(x)[x.size === 1 ? 0 : i])),
    );

export const tiny: Backend = {
  name: "tiny",
  dtypes: ["float32"],
  defaultDType: "float32",
  kernels: new Map([
    ["add", each((x, y) => x + y)],
    ["mul", each((x, y) => x * y)],
    ["strongMul", each((x, y) => (x === 0 || y === 0 ? 0 : x * y))],
    ["sin", each(Math.sin)],
    ["cos", each(Math.cos)],
    ["sum", ([x]) => Float32Array.of(elements(x).reduce((a, b) => a + b, 0))],
    ["reshape", ([x]) => x.buffer],
    ["broadcastTo", each((x) => x)],
  ]),
  multipleKernels: new Map(),
  fromHost: (data) => data,
  scalar: (value) => Float32Array.of(value),
  toHostSync: (buffer, aval) => {
    const host = hostArray(aval.dtype, aval.size);
    host.set(buffer as TypedArray);
    return host;
  },
  toHost: (buffer, aval) => Promise.resolve(tiny.toHostSync(buffer, aval)),
  adopt: (_, aval) => {
    alive.buffers++;
    alive.bytes += aval.bytes;
    return { bytes: aval.bytes };
  },
  free: (token) => {
    alive.buffers--;
    alive.bytes -= (token as { bytes: number }).bytes;
  },
  memory: () => ({ ...alive }),
};

registerBackend(tiny);
