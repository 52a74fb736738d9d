/** Finding where the first NaN or infinity comes from. */
import { observe } from "./bind.ts";
import { CotangentError, currentUserFrame } from "./errors.ts";
import { plainParamsText } from "./graph/literal.ts";
import { originNow, withExactLines } from "./graph/origin.ts";
import type { Params } from "./primitive.ts";
import type { Tensor } from "./tensor.ts";

/** A computation that made a NaN or an infinity of finite numbers. */
export class NonFiniteError extends CotangentError {}

export interface DebugNansOptions {
  /** Whether an infinity is reported too; by default it is. */
  readonly infinities?: boolean;
}

/**
 * The same function, run under watch: the first operation that makes a NaN or an infinity of finite numbers throws, with
 * its primitive, inputs and params and the user's line, and whether it was on the way forward or back. Every result is
 * read, so it is slow; jitted functions are watched node by node. (Loops and branches in one that was traced before may go
 * by the lines of a function of the same structure.) A number that is not finite to begin with is the
 * caller's, and is not reported; what is made of it is not either.
 *
 * @throws NonFiniteError at the first such operation.
 * @example
 * ```ts
 * debugNans(grad((x: Value) => x.sqrt().sum()))(tensor([0, 1])); // reciprocal, on the way back through sqrt
 * ```
 */
export function debugNans<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  { infinities = true }: DebugNansOptions = {},
): (...args: A) => R {
  const isBad = (x: number): boolean => x !== x || (infinities && (x === Infinity || x === -Infinity));
  const find = (tensor: Tensor): number => (tensor.aval.floating ? tensor.dataSync().findIndex(isBad) : -1);
  return (...args) =>
    withExactLines(() =>
      observe(
        ({ name }, inputs, outputs, params) => {
          for (const output of outputs) {
            const at = find(output);
            if (at < 0 || inputs.some((input) => find(input) >= 0)) continue;
            throw new NonFiniteError(describe(name, inputs, output, params, at));
          }
        },
        () => f(...args),
      ),
    );
}

function describe(
  name: string,
  inputs: readonly Tensor[],
  output: Tensor,
  params: Params,
  at: number,
): string {
  const origin = originNow();
  const line = origin?.line ?? currentUserFrame();
  const value = output.dataSync()[at];
  const texts = plainParamsText(params);
  const given = texts.length === 0 ? "" : `, with ${texts.join(", ")}`;
  const where = origin?.backward === true ? "on the way back through" : "on the way forward at";
  return (
    `${name} made ${value} (element ${at} of ${output.aval}) of finite inputs ${where} ${line ?? "a line unknown"}. ` +
    `Inputs: ${inputs.map((input) => input.toString()).join(", ")}${given}. ` +
    `Keep its inputs within its domain: clamp them, or replace them by where. (What is masked only behind it does no harm, ` +
    `but is reported too.)`
  );
}
