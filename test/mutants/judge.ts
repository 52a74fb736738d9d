/** Which laws catch a mutant. */
import {
  type Law,
  type Report,
  type Setting,
  checkKinks,
  checkLaw,
  cutOf,
  kinks,
  laws,
} from "@cotangent/verify";
import { type Primitive, jsBackend } from "cotangent";
import { type Mutant, controlOf, faulty, mutantsOf } from "./records.ts";

export interface Effort {
  readonly samples: number;
  readonly seed: number;
  /** Whether to go on with the other laws when one has caught it. */
  readonly all: boolean;
}

/** The laws that fail, in order, those that cost least first. */
export const inOrder: readonly (Law | typeof kinks)[] = [
  kinks,
  ...[
    "adjoint",
    "linearity",
    "reference",
    "differences",
    "transposed",
    "cut",
    "vmapped",
    "second order",
    "memory",
    "staged",
  ].map((name) => laws.find((law) => law.name === name) as Law),
  ...laws.filter(
    ({ name }) =>
      ![
        "adjoint",
        "linearity",
        "reference",
        "differences",
        "transposed",
        "cut",
        "vmapped",
        "second order",
        "memory",
        "staged",
      ].includes(name),
  ),
];

export function caughtBy({ primitive, dtype }: Mutant, { samples, seed, all }: Effort): string[] {
  const setting: Setting = { backend: faulty, dtype, reference: jsBackend };
  const caught: string[] = [];
  for (const law of inOrder) {
    let report: Report;
    if (law === kinks) report = checkKinks(primitive, setting);
    else report = checkLaw(primitive, law, setting, { samples, seed, mayMiss: true, shrink: false });
    if (report.failure !== undefined) {
      caught.push(report.law);
      if (!all) break;
    }
  }
  return caught;
}

export interface Verdict {
  readonly mutant: string;
  readonly of: string;
  readonly fault: string;
  readonly caughtBy: readonly string[];
}

/** Judges the mutants of a primitive, and first that the laws find no fault where there is none. */
export function* judge(
  original: Primitive,
  effort: Effort,
  only: (index: number) => boolean = () => true,
): Generator<Verdict> {
  let index = 0;
  for (const dtype of ["float64", "float32"] as const) {
    const control = controlOf(original, dtype);
    const found = caughtBy(control, effort);
    control.remove();
    if (found.length > 0)
      throw new Error(`${original.name} in ${dtype} has no fault, and breaks ${found.join(", ")}.`);
  }
  for (const mutant of mutantsOf(original)) {
    try {
      if (only(index++))
        yield { mutant: mutant.name, of: mutant.of, fault: mutant.fault, caughtBy: caughtBy(mutant, effort) };
    } finally {
      mutant.remove();
    }
  }
}

/** Whether a primitive's derivative can be wrong at all. */
export const hasDerivative = (primitive: Primitive): boolean => cutOf(primitive) === undefined;
