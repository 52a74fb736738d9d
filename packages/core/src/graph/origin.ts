/** Where in the user's program an operation comes from, for graphs, their views, and messages. */
import { userFrameNow } from "../errors.ts";

/** Frames between an operation and the user's line: those of op functions and of a few transformations. */
const nearby = 16;

/** Where an operation comes from: a place in the user's program, and which way through it. */
export class Origin {
  /** `file:line:column`, or undefined where the stack shows no line outside Cotangent. */
  readonly line: string | undefined;
  #back: Origin | null = null;
  /** Whether the operation belongs to the way back, from the cotangents of what stands at that place. */
  readonly backward: boolean;

  private constructor(line: string | undefined, backward: boolean) {
    this.line = line;
    this.backward = backward;
  }

  /** The place that is being executed now. */
  static here(): Origin {
    return new Origin(userFrameNow(nearby), false);
  }

  static ofLine(line: string, backward = false): Origin {
    return new Origin(line, backward);
  }

  /** The way back through the same place. */
  get back(): Origin {
    if (this.backward) return this;
    this.#back ??= new Origin(this.line, true);
    return this.#back;
  }
}

let followers = 0;
let current: Origin | null = null;

let exactReaders = 0;

/** Runs `body`, which will name lines: graphs of other lines may not stand in for those that are traced in it. */
export function withExactLines<T>(body: () => T): T {
  exactReaders++;
  try {
    return followOrigins(body);
  } finally {
    exactReaders--;
  }
}

/** Whether lines are to be those of the very function that is run. */
export const areLinesExact = (): boolean => exactReaders > 0;

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
