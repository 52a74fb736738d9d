/** A traced function as one call, of which reverse mode keeps what a policy says. */
import type { Lifted } from "../arguments.ts";
import { CotangentError, fail } from "../errors.ts";
import { type SavePolicy, recomputes } from "../graph/differentiate.ts";
import { call } from "../primitives/call.ts";
import type { LiftableArguments } from "../tree.ts";
import { backendOf, flatten, nestedGraph, unflatten } from "./nested.ts";

/** For `checkpoint`: f traced at each call, with what it closes over as inputs of its own. */
export function checkpointed<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  save: SavePolicy,
): (...args: LiftableArguments<A>) => Lifted<R> {
  if (!Object.hasOwn(recomputes, save)) {
    const known = Object.keys(recomputes).join(", ");
    fail(CotangentError, `checkpoint: the policy is ${JSON.stringify(save)}. Give one of ${known}.`);
  }
  return (...args) => {
    const { values, tree: lifted } = flatten("checkpoint", args, "arguments");
    if (values.length === 0) return f(...(args as unknown as A)) as Lifted<R>;
    const backend = backendOf(values);
    const { graph, captured, tree } = nestedGraph("checkpoint", f, lifted as unknown[], backend);
    return unflatten(tree, call([...captured, ...values], { graph, save })) as Lifted<R>;
  };
}
