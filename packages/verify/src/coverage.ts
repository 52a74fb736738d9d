/** What samples have that is worth counting: which shapes each argument of a primitive had. */
import { type Primitive, type Shape, sizeOf } from "@cotangent/core";

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
    shapeClassesOf(shape, elementwise ? inputs.map((other) => other.shape) : []).map(
      (shapeClass) => `${variadic ? args[0] : args[i]}: ${shapeClass}`,
    ),
  );
  return [...new Set(features)];
}
