import { type Lifted, leafValue, outputTree } from "../arguments.ts";
import { normalizeAxis } from "../aval.ts";
import { ShapeError, TreeError, fail } from "../errors.ts";
import { type LiftableArguments, leaves, mapTree, treeStructure } from "../tree.ts";
import { Value } from "../value.ts";
import { BatchTrace, Batched } from "./batch-trace.ts";
import { moveAxis } from "./batch-rules.ts";

/** Along which axis a tree is batched: one for all its leaves (null for none), or a tree of such. */
export type BatchAxes = number | null | readonly BatchAxes[] | { readonly [key: string]: BatchAxes };

export interface VmapOptions {
  /** One axis for all arguments, or a list with an entry per argument. By default 0. */
  readonly inAxes?: BatchAxes;
  /** Where the batch axis goes in the result; null for a leaf that is the same for all elements. By default 0. */
  readonly outAxes?: BatchAxes;
}

/**
 * The function, applied to all elements of a batch at once: what f does to one element, `vmap(f)` does to values with one
 * axis more. No loop runs; each primitive is batched. It nests with itself and with every other transformation.
 *
 * @param f a function of one element of the batch.
 * @returns a function of batched arguments; those with a null in `inAxes` are the same for all elements.
 * @throws ShapeError where batch sizes differ or an axis is out of range; TreeError where axes do not match the
 * arguments' structure or nothing is batched; StagingError where f reads elements (`if (x > 0)`).
 * @example
 * ```ts
 * const norms = vmap((x: Value) => x.norm())(tensor([[3, 4], [5, 12]])); // [5, 13]
 * const perExample = vmap(grad(loss), { inAxes: [null, 0] })(weights, examples); // one gradient per example
 * ```
 */
export function vmap<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  { inAxes = 0, outAxes = 0 }: VmapOptions = {},
): (...args: LiftableArguments<A>) => Lifted<R> {
  return (...args) => {
    const perArgument = Array.isArray(inAxes) ? inAxes : args.map(() => inAxes);
    if (perArgument.length !== args.length) {
      fail(
        TreeError,
        `vmap: inAxes has ${perArgument.length} entries for ${args.length} arguments. Give one for each, or one axis for all.`,
      );
    }
    const found = args.map((arg, i) =>
      alignedAxes("inAxes", perArgument[i] as BatchAxes, arg, `argument ${i}`),
    );
    const axes = found.flat();
    const values: Value[] = [];
    const paths: string[] = [];
    const lifted = args.map((arg, i) =>
      mapTree(
        arg,
        (leaf, path) => {
          const axis = axes[values.length];
          // What is not batched may be anything: a number, a string, a function.
          if (axis === null && !(leaf instanceof Value) && typeof leaf !== "number") {
            values.push(leaf as Value);
            paths.push(path);
            return leaf;
          }
          const value = leafValue("vmap", leaf, path);
          values.push(value);
          paths.push(path);
          return value;
        },
        `argument ${i}`,
      ),
    );
    const size = commonSize(values, axes, paths);
    const trace = new BatchTrace("vmap", size);
    let next = 0;
    const elements = lifted.map((arg) =>
      mapTree(arg, (leaf) => {
        const k = next++;
        const axis = axes[k];
        if (axis === null) return leaf;
        const value = leaf as Value;
        return new Batched(trace, moveAxis(value, normalizeAxis("vmap", axis, value.rank), 0));
      }),
    );
    try {
      const output = outputTree("vmap", f(...(elements as unknown as A)));
      const places = alignedAxes("outAxes", outAxes, output, "the result");
      let at = 0;
      return mapTree<unknown>(output, (leaf, path) =>
        placed(trace, leaf as Value, places[at++], path),
      ) as Lifted<R>;
    } finally {
      trace.open = false;
    }
  };
}

function placed(trace: BatchTrace, value: Value, axis: number | null, path: string): Value {
  if (axis === null) {
    if (!trace.owns(value)) return value;
    fail(
      ShapeError,
      `vmap: outAxes is null for ${path || "the result"}, but it differs from element to element. Give it an axis.`,
    );
  }
  const all = trace.spread(value);
  return moveAxis(all, 0, normalizeAxis("vmap", axis, all.rank));
}

/** An axis for each leaf of a tree. */
function alignedAxes(who: string, axes: BatchAxes, tree: unknown, path: string): (number | null)[] {
  if (axes === null || typeof axes === "number") return leaves(tree).map(() => axes);
  const [found, wanted] = [axes, tree] as [Record<string, BatchAxes>, Record<string, unknown>];
  const isBranch = typeof tree === "object" && tree !== null && !(tree instanceof Value);
  if (!isBranch || Object.keys(found).length !== Object.keys(wanted).length) refuse();
  return Object.keys(wanted).flatMap((key) => {
    if (!(key in found)) refuse();
    return alignedAxes(who, found[key], wanted[key], `${path}.${key}`);
  });

  function refuse(): never {
    fail(
      TreeError,
      `vmap: ${who} has the structure ${treeStructure(axes)} where ${path} has ${treeStructure(tree)}. ` +
        `Give one axis (or null) for it, or a tree like it.`,
    );
  }
}

function commonSize(
  values: readonly Value[],
  axes: readonly (number | null)[],
  paths: readonly string[],
): number {
  const sizes: { readonly size: number; readonly what: string }[] = [];
  values.forEach((value, i) => {
    const axis = axes[i];
    if (axis === null) return;
    const what = `${paths[i]} (${value.aval})`;
    if (value.rank === 0) {
      fail(
        ShapeError,
        `vmap: ${what} has no axis to be batched along. Mark it as unbatched, inAxes null, or give it an axis.`,
      );
    }
    const along = normalizeAxis(`vmap (${paths[i]})`, axis, value.rank);
    sizes.push({ size: value.shape[along], what: `${value.shape[along]} along axis ${along} of ${what}` });
  });
  if (sizes.length === 0)
    fail(TreeError, `vmap: no argument is batched. Give at least one of them an axis in inAxes.`);
  const other = sizes.find(({ size }) => size !== sizes[0].size);
  if (other !== undefined) {
    fail(
      ShapeError,
      `vmap: batch sizes differ: ${sizes[0].what}, but ${other.what}. Mark what is the same for all elements with null.`,
    );
  }
  return sizes[0].size;
}
