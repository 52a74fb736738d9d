/** Writes docs/peers.md, the table of differences for people: `node test/oracle/page.ts`. */
import { writeFile } from "node:fs/promises";
import { type Difference, differences } from "./differences.ts";
import { cases, versions } from "./fixtures.ts";
import { functionsWithoutPeers, primitivesWithoutPeers } from "./without-peers.ts";

export const pageURL = new URL("../../docs/peers.md", import.meta.url);

const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");

const names = { jax: "JAX", torch: "PyTorch", exact: "mpmath" } as const;
const saidOfUs = (said: Difference["ours"][number]): string =>
  said === "jax" || said === "torch" ? `as ${names[said]}` : said;

function row({ functions, peers, of, where, ours, theirs, because }: Difference): string {
  const cells = [
    code(functions),
    where.text,
    of.join(", "),
    ours.map(saidOfUs).join(" or "),
    `${peers.map((peer) => names[peer]).join(", ")}: ${theirs.join(" or ")}`,
    because,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** The page. */
export function page(): string {
  const [made = {}] = versions.values();
  const functions = new Set(cases.map((subject) => subject.function));
  const reasons = (table: Readonly<Record<string, string>>): string =>
    Object.entries(table)
      .map(([name, because]) => `- \`${name}\`: ${because}`)
      .join("\n");
  return `# Cotangent beside JAX, PyTorch and arbitrary precision

<!-- Written by test/oracle/page.ts. -->

Values, JVPs, VJPs and second derivatives of ${functions.size} functions in ${cases.length} cases are compared, number by number, with JAX
${made["jax"]} and PyTorch ${made["torch"]}, and where they act element by element with mpmath ${made["mpmath"]}. The fixtures lie in \`test/oracle/fixtures\`;
\`test/oracle/python/make_fixtures.py\` makes them, and the tests read them without Python. Whatever differs by more than
roundings is in this table, or a test fails; so does a row of which nothing differs any more.

"first" are derivatives of the first order, in both modes; "second" those of the second, forward over reverse and reverse over reverse. "finite" is
a number other than the one of the other side; "exact" the one that arbitrary precision gives.

| function | where | of | Cotangent | peers | because |
| --- | --- | --- | --- | --- | --- |
${differences.map(row).join("\n")}

Neither peer has these primitives:

${reasons(primitivesWithoutPeers)}

nor these functions:

${reasons(functionsWithoutPeers)}
`;
}

if (import.meta.main) await writeFile(pageURL, page());
