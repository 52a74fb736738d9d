/** Eager kernels: those of the reference backend for small values, programs of one node for large ones. */
import { jsBackend } from "@cotangent/backend-js";
import {
  type Graph,
  GraphBuilder,
  type Kernel,
  type Primitive,
  type Program,
  paramsKey,
  primitives,
} from "@cotangent/core";

/**
 * From so many elements on a program of one node is the faster way to run it: a call of one costs about as much as this many
 * additions.
 */
const manyElements = 2048;

/**
 * The same for what does many operations per element, as products do: from so many on, the millisecond that it takes to
 * compile a program is made good within some tens of calls.
 */
const manyOperations = 32_768;

/** Primitives that read no more of their inputs than they write: how large an input is does not matter to them. */
const ofResult = new Set(["slice", "gather"]);

/** Programs that are kept: those used last. Parameters that are ever new (where a slice begins) make ever new ones. */
const mostPrograms = 500;

/** Kernels that give their input's own buffer, or that have no code but the reference's. */
const never = new Set(["reshape", "stopGradient", "straightThrough"]);

/** Kernels of which those that are missing are the reference backend's, also such as are registered later. */
export class KernelsOver<K> extends Map<string, K> {
  private readonly reference: ReadonlyMap<string, K>;

  constructor(reference: ReadonlyMap<string, K>) {
    super();
    this.reference = reference;
  }

  override get(name: string): K | undefined {
    return super.get(name) ?? this.reference.get(name);
  }

  override has(name: string): boolean {
    return super.has(name) || this.reference.has(name);
  }
}

/** The kernels of eager code, and those by which programs compute what they have no code for. */
export interface Kernels {
  readonly eager: Map<string, Kernel>;
  /** The reference's, or what was registered with the backend: no programs. */
  readonly host: (name: string) => Kernel | undefined;
}

/** The kernels of the backend; `compile` makes the programs. */
export function kernelsOf(
  compile: (graph: Graph) => Program | undefined,
  hasCode: (primitive: Primitive) => boolean,
): Kernels {
  const programs = new Map<string, Program>();
  const large =
    (name: string, small: Kernel): Kernel =>
    (inputs, output, params) => {
      const key = `${name} ${inputs.map(({ aval }) => aval.toString()).join(" ")} ${paramsKey(params)}`;
      let program = programs.get(key);
      if (program === undefined) {
        const primitive = primitives().get(name) as Primitive;
        const builder = new GraphBuilder(inputs.map(({ aval }) => aval));
        program = compile(builder.build(builder.node(primitive, builder.inputs, params, [output], null)));
        if (program === undefined) return small(inputs, output, params);
        const [oldest] = programs.keys();
        if (programs.size === mostPrograms) programs.delete(oldest);
      } else {
        programs.delete(key);
      }
      programs.set(key, program);
      return program.run(inputs)[0];
    };
  const found = new KernelsOver(jsBackend.kernels);
  const ofPrograms = new Set<Kernel>();
  for (const [name, small] of jsBackend.kernels) {
    const primitive = primitives().get(name);
    if (primitive === undefined || never.has(name) || !hasCode(primitive)) continue;
    const program = large(name, small);
    const kernel: Kernel =
      primitive.elementwise || ofResult.has(name)
        ? (inputs, output, params) =>
            output.size < manyElements ? small(inputs, output, params) : program(inputs, output, params)
        : (inputs, output, params) =>
            output.size < manyElements &&
            inputs.every(({ size }) => size < manyElements) &&
            primitive.cost(
              inputs.map(({ aval }) => aval),
              output,
              params,
            ) < manyOperations
              ? small(inputs, output, params)
              : program(inputs, output, params);
    found.set(name, kernel);
    ofPrograms.add(kernel);
  }
  const host = (name: string): Kernel | undefined => {
    const kernel = found.get(name);
    return kernel !== undefined && ofPrograms.has(kernel) ? jsBackend.kernels.get(name) : kernel;
  };
  return { eager: found, host };
}
