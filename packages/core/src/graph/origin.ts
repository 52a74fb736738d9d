/** Where in the user's program an operation comes from, for graphs, their views, and messages. */
import { currentStack, userFrame } from "../errors.ts";

/** A place in the user's program. Finding the line in a stack is slow, so it is done when first asked for. */
export class Origin {
  #stack: Error | null;
  #line: string | undefined;

  private constructor(stack: Error | null, line: string | undefined) {
    this.#stack = stack;
    this.#line = line;
  }

  /** The place that is being executed now. */
  static here(): Origin {
    return new Origin(currentStack(), undefined);
  }

  static ofLine(line: string): Origin {
    return new Origin(null, line);
  }

  /** `file:line:column`, or undefined where the stack shows no line outside Cotangent. */
  get line(): string | undefined {
    if (this.#stack !== null) {
      this.#line = userFrame(this.#stack.stack ?? "");
      this.#stack = null;
    }
    return this.#line;
  }
}

let followers = 0;
let current: Origin | null = null;

/** Runs `body` while origins are recorded: a stack capture per operation. */
export function followOrigins<T>(body: () => T): T {
  followers++;
  try {
    return body();
  } finally {
    followers--;
  }
}

/** The origin of an operation that is executed now, or null where nobody follows origins. */
export function originNow(): Origin | null {
  if (followers === 0) return null;
  return current ?? Origin.here();
}

/** Runs `body`, whose operations belong to one that came before: a derivative has the origin of what it is of. */
export function withOrigin<T>(origin: Origin | null, body: () => T): T {
  if (origin === null) return body();
  const before = current;
  current = origin;
  try {
    return body();
  } finally {
    current = before;
  }
}
