/**
 * Base class of every error that Cotangent throws on purpose. The message says what was asked, what was found and
 * what to do; `userFrame` is the caller's own source line, where the stack still shows it.
 */
export class CotangentError extends Error {
  readonly userFrame: string | undefined;

  constructor(message: string) {
    super(message);
    this.name = new.target.name;
    this.userFrame = userFrame(this.stack ?? "");
    if (this.userFrame !== undefined) {
      const located = `${message}\n  at your line ${this.userFrame}`;
      if (this.stack !== undefined) this.stack = this.stack.replace(message, () => located);
      this.message = located;
    }
  }
}

/** Shapes or axes that do not fit. */
export class ShapeError extends CotangentError {}
/** A dtype that the primitive or the backend does not take, or two dtypes that would have to be mixed. */
export class DTypeError extends CotangentError {}
/** A derivative that does not exist or was asked for in a way that has no meaning. */
export class DerivativeError extends CotangentError {}
/** A traced value used after its transformation has returned. */
export class EscapedTracerError extends CotangentError {}
/** A traced function that asks for what is not known while it is traced, or does what a graph cannot hold. */
export class StagingError extends CotangentError {}
/** A tensor used after `dispose`, or after the `tidy` that owned it. */
export class DisposedError extends CotangentError {}
/** A backend that is missing, mixed with another, or that lacks a kernel or a dtype. */
export class BackendError extends CotangentError {}
/** A tree of arguments whose structure or leaves are not what the call needs. */
export class TreeError extends CotangentError {}

type ErrorClass = new (message: string) => CotangentError;

/** Throws with a stack deep enough to reach the user's line. */
export function fail(kind: ErrorClass, message: string): never {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 100;
  try {
    throw new kind(message);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

const ownUrl = import.meta.url;
const workspace = /^(.*\/packages\/)core\/src\/errors\.ts/.exec(ownUrl)?.[1];
const packages =
  "(?:core|forward-mode|reverse-mode|backend-js|backend-wasm|backend-tfjs|graph-view|verify|cotangent)";
const internalFrame = new RegExp(
  workspace === undefined
    ? `/node_modules/(?:@cotangent/|cotangent/)`
    : `${escapeRegExp(workspace.replace(/^[a-z]+:\/\/[^/]*/, ""))}${packages}/src/`,
);

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/**
 * The first stack frame outside Cotangent, as `file:line:column`, or undefined where there is none (a bundle in which
 * library and user code are one file, say).
 */
export function userFrame(stack: string): string | undefined {
  for (const line of stack.split("\n").slice(1)) {
    const location = /\(?((?:[a-z]+:\/\/|\/)[^()]*?:\d+:\d+)\)?$/.exec(line.trim())?.[1];
    if (location === undefined || location.startsWith("node:")) continue;
    if (internalFrame.test(location) || location.startsWith(ownUrl)) continue;
    return location.replace(/^file:\/\//, "").replace(/\?[^:]*/, "");
  }
  return undefined;
}

/** The stack of so many frames; its text is made when read, which is slow, but each frame costs when it is taken. */
export function currentStack(frames: number): Error {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = frames;
  const stack = new Error("");
  Error.stackTraceLimit = limit;
  return stack;
}

/** The user's line at this moment; slow, so it is for graph recording and errors alone. */
export function currentUserFrame(): string | undefined {
  return userFrame(currentStack(60).stack ?? "");
}
