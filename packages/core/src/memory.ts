import type { Tensor } from "./tensor.ts";
import { leaves } from "./tree.ts";
import { Tracer, Value } from "./value.ts";

/** Owns one buffer on behalf of every tensor that shares it. */
export class Lease {
  private owners = 1;
  private readonly release: () => void;

  constructor(release: () => void) {
    this.release = release;
  }

  share(): this {
    this.owners++;
    return this;
  }

  drop(): void {
    if (--this.owners === 0) this.release();
  }
}

/** Drops the lease of tensors that were collected without `dispose`. */
export const collector: FinalizationRegistry<Lease> = new FinalizationRegistry((lease) => lease.drop());

interface Scope {
  readonly depth: number;
  readonly parent: Scope | null;
  readonly tensors: Tensor[];
}

let scope: Scope | null = null;

/** The scope of tensors that belong to nobody until somebody takes or frees them. */
const nobody: Scope = { depth: 0, parent: null, tensors: [] };

/** The nesting depth of `tidy` at this moment. */
export function scopeDepth(): number {
  return scope === null ? 0 : scope.depth;
}

/** Hands a new tensor to the innermost `tidy`, or else to the garbage collector's watch. */
export function enterScope(tensor: Tensor): void {
  if (scope === null) tensor.watch();
  else if (scope !== nobody) {
    tensor.home = scope.depth;
    scope.tensors.push(tensor);
  }
}

function inScope<T>(other: Scope | null, body: () => T): T {
  const before = scope;
  scope = other;
  try {
    return body();
  } finally {
    scope = before;
  }
}

/** Runs `body`, whose tensors are freed by hand or, with `enterScope`, handed to whoever asked for them. */
export function unowned<T>(body: () => T): T {
  return inScope(nobody, body);
}

/** Runs `body`, whose tensors outlive every `tidy` in progress. */
export function outsideScopes<T>(body: () => T): T {
  return inScope(null, body);
}

/**
 * Moves every tensor under `value` out to the scope of that depth: a tape that was opened there still needs it when
 * an inner `tidy` ends.
 */
export function promote(value: Value, depth: number): void {
  if (scope === null || depth >= scope.depth) return;
  if (value instanceof Tracer) for (const part of value.parts()) promote(part, depth);
  else {
    const tensor = value as Tensor;
    if (tensor.home > depth) tensor.home = depth;
  }
}

/**
 * Runs `body` and frees at once every tensor that was made in it, but for those in its result (any tree of values).
 * It nests; inside a differentiated function, values that the derivative still needs are kept until it is done.
 *
 * @example
 * ```ts
 * const loss = tidy(() => x.sub(y).square().mean()); // the intermediate tensors are gone
 * ```
 */
export function tidy<T>(body: () => T): T {
  const mine: Scope = { depth: scopeDepth() + 1, parent: scope, tensors: [] };
  scope = mine;
  try {
    const result = body();
    if (result instanceof Promise) {
      throw new TypeError(
        "tidy: the body returned a promise; tidy frees tensors when the body returns, so it must be synchronous.",
      );
    }
    for (const leaf of leaves(result)) if (leaf instanceof Value) promote(leaf, mine.depth - 1);
    return result;
  } finally {
    scope = mine.parent;
    for (const tensor of mine.tensors) {
      if (tensor.home === mine.depth) tensor.dispose();
      else if (scope === null) tensor.watch();
      else if (scope !== nobody) scope.tensors.push(tensor);
    }
  }
}
