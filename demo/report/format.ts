/** Numbers as people read them. */

/** Three significant digits, without an exponent. */
export function round3(x: number): string {
  return Number(x.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 12, useGrouping: true });
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1) return `${round3(milliseconds * 1000)} µs`;
  if (milliseconds < 1000) return `${round3(milliseconds)} ms`;
  return `${round3(milliseconds / 1000)} s`;
}

/** 1,234 in full; 12.3 k, 12.3 M and so on beyond. */
export function count(x: number): string {
  if (x < 10_000) return Math.round(x).toLocaleString("en");
  const power = Math.min(4, Math.floor(Math.log10(x) / 3));
  return `${round3(x / 1000 ** power)} ${["", "k", "M", "G", "T"][power]}`;
}

export function bytes(x: number): string {
  if (x < 1024) return `${x} B`;
  const power = Math.min(3, Math.floor(Math.log2(x) / 10));
  return `${round3(x / 1024 ** power)} ${["", "KiB", "MiB", "GiB"][power]}`;
}

export function error(x: number): string {
  return x === 0 ? "0" : x.toExponential(1);
}

export function percent(x: number): string {
  return `${(100 * x).toFixed(1)} %`;
}

/** "3.1 times as long", "12,000 times as long", or "about as long". */
export function timesAsLong(x: number): string {
  if (x < 1.05) return "about as long";
  return `${x < 10 ? x.toFixed(1) : round3(x)} times as long`;
}

export function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}
