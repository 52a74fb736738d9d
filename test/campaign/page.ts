/** Runs in the browser: the campaign on WebGL, against the reference backend in the same page. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { packed, runCampaign } from "@cotangent/verify";
import { jsBackend, registerBackend } from "cotangent";
import type { PageGlobals, Request } from "./wire.ts";

const page = globalThis as unknown as PageGlobals;

page.verifyOnWebGL = async (text) => {
  const { cells, effort } = JSON.parse(text) as Request;
  const backend = await createTfjsBackend("webgl");
  registerBackend(backend);
  let isStopped = false;
  const answers: Promise<void>[] = [];
  const ask = async (report: string): Promise<void> => {
    if ((await page.tellHost(report)) === "stop") isStopped = true;
  };
  await runCampaign(backend, jsBackend, cells, effort, {
    onReport: (report) => {
      answers.push(ask(JSON.stringify(report, packed)));
    },
    isStopped: () => isStopped,
  });
  await Promise.all(answers);
  return "";
};
