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
    if (location === undefined || !isUsers(location)) continue;
    return withoutUrl(location);
  }
  return undefined;
}

const isUsers = (location: string): boolean =>
  /^([a-z]+:\/\/|\/)/.test(location) && !internalFrame.test(location) && !location.startsWith(ownUrl);

const withoutUrl = (location: string): string => location.replace(/^file:\/\//, "").replace(/\?[^:]*/, "");

/** What V8 tells of a frame. */
interface CallSite {
  getFileName(): string | null | undefined;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}

type PrepareStackTrace = (error: Error, frames: readonly CallSite[]) => unknown;

/** V8's way to read a stack frame by frame (https://v8.dev/docs/stack-trace-api). */
const reader = Error as unknown as { prepareStackTrace?: PrepareStackTrace | undefined };

declare const process: { readonly sourceMapsEnabled?: boolean } | undefined;

/** Whether frames are shown as they are: Node has such a function too, and calls it so. */
const isPlain = (prepare: PrepareStackTrace | undefined): boolean =>
  (prepare === undefined || prepare.name === "ErrorPrepareStackTrace") &&
  (typeof process === "undefined" || process.sourceMapsEnabled !== true);

const usersFiles = new Map<string, boolean>();

/** The first of the frames that is the user's, as a line; "" where there is none. */
function lineOf(frames: readonly CallSite[]): string {
  for (const frame of frames) {
    const file = frame.getFileName() ?? "";
    let known = usersFiles.get(file);
    if (known === undefined) usersFiles.set(file, (known = isUsers(file)));
    if (known) return withoutUrl(`${file}:${frame.getLineNumber()}:${frame.getColumnNumber()}`);
  }
  return "";
}

/**
 * The user's line at this moment, looked for in so many frames. Frames are read one by one where V8 shows them, which is
 * faster than the text of all; and a stack whose text is not made holds on to all that its functions close over.
 */
export function userFrameNow(frames: number): string | undefined {
  const limit = Error.stackTraceLimit;
  const before = reader.prepareStackTrace;
  Error.stackTraceLimit = frames;
  if (isPlain(before)) reader.prepareStackTrace = (_, found) => lineOf(found);
  else if (before !== undefined)
    // Somebody maps frames to other sources: as few of them as may be.
    reader.prepareStackTrace = (error, found) => {
      for (const frame of found) {
        const line = userFrame(String(before(error, [frame])));
        if (line !== undefined) return line;
      }
      return "";
    };
  try {
    const found = new Error("").stack ?? "";
    return (found.includes("\n") ? userFrame(found) : found) || undefined;
  } finally {
    reader.prepareStackTrace = before;
    Error.stackTraceLimit = limit;
  }
}

/** The user's line at this moment, however deep. */
export const currentUserFrame = (): string | undefined => userFrameNow(60);
