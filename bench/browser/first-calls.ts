/** First calls in a browser that was started for them. */
import { fileURLToPath } from "node:url";
import { findBrowser } from "../../tools/browser.ts";
import { callInPage, messageOf } from "../../tools/page.ts";
import { type Ask, type FirstCalls, type Reply, agreementOf, smallAsk } from "../first-calls/first-calls.ts";
import type { Skipped } from "../result.ts";
import type { FirstCallGlobals } from "./first-call-page.ts";

/** The small function, once in each of so many browsers; or why not. */
export async function firstCallsInBrowser(
  rounds: number,
  tell: (message: string) => void,
): Promise<FirstCalls | Skipped> {
  const replies: (Ask & Reply)[] = [];
  try {
    const found = await findBrowser();
    for (let round = 0; round < rounds; round++) {
      tell(`first calls: small, in a browser, ${round + 1} of ${rounds} ...`);
      const ask = smallAsk(round);
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      const answer = await callInPage(found, {
        module: fileURLToPath(new URL("first-call-page.ts", import.meta.url)),
        call: "firstCall" satisfies keyof FirstCallGlobals,
        args: [JSON.stringify(ask)],
        tellHost: () => Promise.resolve(),
      });
      replies.push({ ...ask, ...(JSON.parse(answer) as Reply) });
    }
  } catch (error) {
    return { reason: messageOf(error), failed: replies.length > 0 };
  }
  return {
    library: "cotangent",
    what: "small",
    start: "browser",
    agreement: agreementOf("small", replies),
    milliseconds: replies.map(({ milliseconds }) => milliseconds),
  };
}
