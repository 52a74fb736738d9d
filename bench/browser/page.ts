/** Runs in the browser: the same measurements as under Node, on WebGL. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { env } from "@tensorflow/tfjs-core";
import { browserPatience, measure, quickBrowserPatience } from "../measure.ts";
import { cotangent } from "../participants/cotangent.ts";
import type { Participant } from "../participants/participant.ts";
import { tfjs } from "../participants/tfjs.ts";
import { type Works, works } from "../works.ts";
import type { MeasuredParts, PageGlobals, Request, WebGLPart } from "./host.ts";

const page = globalThis as unknown as PageGlobals;

/** Settings of tfjs that Cotangent's backend changes, for all of tfjs. */
const settings = ["WEBGL_CPU_FORWARD", "WEBGL_USE_SHAPES_UNIFORMS"];

const current = (): readonly [string, boolean][] => settings.map((name) => [name, env().getBool(name)]);

/** The participant with its own settings, whatever the others have. */
function withSettings(participant: Participant, own: readonly [string, boolean][]): Participant {
  return {
    ...participant,
    async enter() {
      await participant.enter();
      for (const [name, value] of own) env().set(name, value);
    },
  };
}

page.benchOnWebGL = async (text) => {
  const { quick, parts } = JSON.parse(text) as Request;
  const peer = await tfjs("webgl");
  const peersSettings = current();
  const backend = await createTfjsBackend("webgl");
  const ownSettings = current();
  const jitted = withSettings(cotangent("float32", { backend, jitted: true }), ownSettings);
  const eager = withSettings(cotangent("float32", { backend }), ownSettings);

  const { chain, large, layers }: Works = works(quick);
  const byPart = {
    d: { works: [chain, large, layers], participants: [jitted, eager] },
    g: { works: [large, layers], participants: [jitted, withSettings(peer, peersSettings)] },
  };
  const patience = quick ? quickBrowserPatience : browserPatience;
  const judge = cotangent("float64");
  const measured: { -readonly [P in WebGLPart]?: MeasuredParts[P] } = {};
  /* oxlint-disable no-await-in-loop -- one at a time */
  for (const part of parts) {
    const found = [];
    for (const work of byPart[part].works) {
      await page.tellHost(`WebGL: ${work.title} ...`);
      found.push(await measure(work, byPart[part].participants, patience, judge));
    }
    measured[part] = found;
  }
  /* oxlint-enable no-await-in-loop */
  // JSON has neither NaN nor Infinity, which an error may be.
  return JSON.stringify(measured, (_, value: unknown) =>
    typeof value === "number" && !Number.isFinite(value) ? Number.MAX_VALUE : value,
  );
};
