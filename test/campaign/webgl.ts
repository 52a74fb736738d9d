/** The column of WebGL, judged in a real browser. */
import { type Report, unpacked } from "@cotangent/verify";
import type { Column } from "@cotangent/verify/command";
import { fileURLToPath } from "node:url";
import { findBrowser } from "../../tools/browser.ts";
import { callInPage } from "../../tools/page.ts";
import type { PageGlobals, Request } from "./wire.ts";

export const webgl: Column = {
  name: "webgl",
  dtypes: ["float32", "int32", "bool"],
  judge: async (cells, effort, { onReport, isStopped }) => {
    await callInPage(await findBrowser(), {
      module: fileURLToPath(new URL("page.ts", import.meta.url)),
      call: "verifyOnWebGL" satisfies keyof PageGlobals,
      args: [JSON.stringify({ cells, effort } satisfies Request)],
      tellHost: (report) => {
        onReport(JSON.parse(report, unpacked) as Report);
        return Promise.resolve(isStopped() ? "stop" : "");
      },
    });
  },
};
