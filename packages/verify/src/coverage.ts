/** What samples have that is worth counting: which shapes each argument of a primitive had; and where to find those not had yet. */
import { type Primitive, type Shape, sizeOf } from "@cotangent/core";
import { check, gen, property } from "fast-check";
import { RecordedDraw } from "./draw.ts";

/** The classes of shapes that rules and kernels tend to treat apart. */
export const shapeClasses = [
  "scalar",
  "vector",
  "matrix",
  "rank 3 or more",
  "one element",
  "empty",
  "stretched",
] as const;
export type ShapeClass = (typeof shapeClasses)[number];

/** The classes that a shape is in; "stretched" where it is broadcast along with others. */
export function shapeClassesOf(shape: Shape, others: readonly Shape[] = []): ShapeClass[] {
  const rank = shape.length;
  const classes: ShapeClass[] = [
    rank === 0 ? "scalar" : rank === 1 ? "vector" : rank === 2 ? "matrix" : "rank 3 or more",
  ];
  if (rank > 0 && sizeOf(shape) === 1) classes.push("one element");
  if (sizeOf(shape) === 0) classes.push("empty");
  const isStretched = others.some(
    (other) => other.length > rank || other.some((size, i) => size !== 1 && shape.at(i - other.length) === 1),
  );
  if (isStretched) classes.push("stretched");
  return classes;
}

/** The arguments of a call, each with the classes that its shape is in. */
export function shapeFeatures(
  { args, variadic, elementwise }: Primitive,
  inputs: readonly { readonly shape: Shape }[],
): string[] {
  const features = inputs.flatMap(({ shape }, i) =>
    shapeClassesOf(shape, elementwise ? inputs.map((other) => other.shape) : []).map((shapeClass) =>
      shapeFeature(variadic ? args[0] : args[i], shapeClass),
    ),
  );
  return [...new Set(features)];
}

const shapeFeature = (arg: string, shapeClass: ShapeClass): string => `${arg}: ${shapeClass}`;

/** What samples of a primitive have, in the course of many. */
export const shapeFeaturesDrawn = (primitive: Primitive): string[] => [...pathsTo(primitive).keys()];

/** All that the arguments of a primitive could have, whether its record ever draws it or not. */
export const allShapeFeatures = ({ args }: Primitive): string[] =>
  args.flatMap((arg) => shapeClasses.map((shapeClass) => shapeFeature(arg, shapeClass)));

/** So many samples are looked through for what they have; what is in none of them, a record does not draw. */
const lookedThrough = 400;
export const coverSeed = 1;
/** So many places are kept for each. */
const kept = 4;

const known = new WeakMap<Primitive, ReadonlyMap<string, readonly string[]>>();

/**
 * What the samples of `coverSeed` have, with the paths to some that have it: fast-check draws the very same ones there for any
 * property. Nothing is computed with them.
 */
export function pathsTo(primitive: Primitive): ReadonlyMap<string, readonly string[]> {
  const before = known.get(primitive);
  if (before !== undefined) return before;
  const paths = new Map<string, string[]>();
  let path = 0;
  const look = property(gen(), (generate) => {
    const { inputs } = primitive.sample(new RecordedDraw(generate));
    for (const feature of shapeFeatures(primitive, inputs)) {
      const own = paths.get(feature) ?? [];
      if (own.length < kept) paths.set(feature, [...own, String(path)]);
    }
    path++;
  });
  check(look, { seed: coverSeed, numRuns: lookedThrough });
  known.set(primitive, paths);
  return paths;
}
