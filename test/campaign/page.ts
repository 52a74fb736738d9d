/** Runs in the browser: the campaign on WebGL, against the reference backend in the same page. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { runCampaign } from "@cotangent/verify";
import { jsBackend, registerBackend } from "cotangent";
import { type PageGlobals, type Request, packed } from "./wire.ts";

const page = globalThis as unknown as PageGlobals;

page.verifyOnWebGL = async (text) => {
  const { cells, effort } = JSON.parse(text) as Request;
  const backend = await createTfjsBackend("webgl");
  registerBackend(backend);
  let isStopped = false;
  let told = Promise.resolve();
  await runCampaign(backend, jsBackend, cells, effort, {
    onReport: (report) => {
      const answer = page.tellHost(JSON.stringify(report, packed));
      told = Promise.all([told, answer]).then(([, said]) => {
        isStopped ||= said === "stop";
      });
    },
    isStopped: () => isStopped,
  });
  await told;
  return "";
};
