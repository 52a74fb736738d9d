/** What this machine can do at most on one thread, by the loops of kernels.c. */
import { kernels } from "./participants/by-hand.ts";
import type { Limits } from "./result.ts";

/** The fastest of many short runs: a limit, not a typical time. */
function fastest(body: () => void): number {
  let least = Infinity;
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    body();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

export async function measureRoofline(): Promise<Limits> {
  const { take, multiply_add: multiplyAdd, copy } = await kernels();
  const rounds = 1e6;
  const gigaflops = (96 * rounds) / fastest(() => multiplyAdd(rounds)) / 1e6;
  const bytes = 16 << 20;
  const [to, from] = [take(bytes), take(bytes)];
  const gigabytesPerSecond = (2 * bytes) / fastest(() => copy(to, from, bytes)) / 1e6;
  return { gigaflops, gigabytesPerSecond };
}
