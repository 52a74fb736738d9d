/** Where in the user's program an operation comes from, for graphs, their views, and messages. */
import { currentStack, userFrame } from "../errors.ts";

/** The line of a stack, found when first asked for, which is slow. */
class Place {
  #stack: Error | null;
  #line: string | undefined;

  constructor(stack: Error | null, line: string | undefined) {
    this.#stack = stack;
    this.#line = line;
  }

  get line(): string | undefined {
    if (this.#stack !== null) {
      this.#line = userFrame(this.#stack.stack ?? "");
      this.#stack = null;
    }
    return this.#line;
  }
}

/** Frames between an operation and the user's line: those of op functions and of a few transformations. */
const nearby = 16;

/** Where an operation comes from: a place in the user's program, and which way through it. */
export class Origin {
  readonly #place: Place;
  #back: Origin | null = null;
  /** Whether the operation belongs to the way back, from the cotangents of what stands at that place. */
  readonly backward: boolean;

  private constructor(place: Place, backward: boolean) {
    this.#place = place;
    this.backward = backward;
  }

  /** The place that is being executed now. */
  static here(): Origin {
    return new Origin(new Place(currentStack(nearby), undefined), false);
  }

  static ofLine(line: string, backward = false): Origin {
    return new Origin(new Place(null, line), backward);
  }

  /** The way back through the same place. */
  get back(): Origin {
    if (this.backward) return this;
    this.#back ??= new Origin(this.#place, true);
    return this.#back;
  }

  /** `file:line:column`, or undefined where the stack shows no line outside Cotangent. */
  get line(): string | undefined {
    return this.#place.line;
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
