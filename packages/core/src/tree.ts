import { TreeError, fail } from "./errors.ts";
import { Value } from "./value.ts";

/**
 * Trees of arguments: arrays and plain objects, nested, with anything else as a leaf. Object keys are visited in
 * their own order, so a rebuilt tree has the structure and the key order of the first.
 */
export type Liftable<T> = T extends Value
  ? Value | number
  : T extends object
    ? { [K in keyof T]: Liftable<T[K]> }
    : T;

/** A function's arguments, with plain numbers allowed in those numbered `N` (by default in all). */
export type LiftableArguments<A extends readonly unknown[], N extends number = number> = {
  [K in keyof A]: K extends `${N}` | number ? Liftable<A[K]> : A[K];
};

function isBranch(node: unknown): node is readonly unknown[] | Record<string, unknown> {
  if (typeof node !== "object" || node === null || node instanceof Value) return false;
  if (Array.isArray(node)) return true;
  const prototype: unknown = Object.getPrototypeOf(node);
  // Object.prototype, of whichever realm, is the prototype that has none itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** All leaves, in order. `undefined` and `null` are no leaves. */
export function leaves(tree: unknown): unknown[] {
  const out: unknown[] = [];
  const visit = (node: unknown): void => {
    if (isBranch(node)) for (const child of Object.values(node)) visit(child);
    else if (node !== undefined && node !== null) out.push(node);
  };
  visit(tree);
  return out;
}

/** Rebuilds the tree with `f` applied to each leaf; `path` names the leaf, as in `params.layers[0].w`. */
export function mapTree<T>(tree: T, f: (leaf: unknown, path: string) => unknown, path = ""): T {
  if (tree === undefined || tree === null) return tree;
  if (!isBranch(tree)) return f(tree, path) as T;
  if (Array.isArray(tree)) return tree.map((child, i) => mapTree<unknown>(child, f, `${path}[${i}]`)) as T;
  const out: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(tree))
    out[key] = mapTree<unknown>(child, f, path === "" ? key : `${path}.${key}`);
  return out as T;
}

/** The structure of a tree as text, the same for two trees exactly when their branches and keys are. */
export function treeStructure(tree: unknown): string {
  if (tree === undefined || tree === null) return "-";
  if (!isBranch(tree)) return "*";
  if (Array.isArray(tree)) return `[${tree.map(treeStructure).join(",")}]`;
  const name = (key: string): string => (/^[\w$]*$/.test(key) ? key : JSON.stringify(key));
  return `{${Object.entries(tree)
    .map(([key, child]) => `${name(key)}:${treeStructure(child)}`)
    .join(",")}}`;
}

/** Refuses two trees of different structure. */
export function requireSameStructure(who: string, what: string, found: unknown, wanted: unknown): void {
  const a = treeStructure(found);
  const b = treeStructure(wanted);
  if (a !== b) {
    fail(
      TreeError,
      `${who}: ${what} has the structure ${a}, but ${b} is needed. Give both the same arrays and keys.`,
    );
  }
}
