/** The laws, the kinks and the known bugs on WebGL, against the reference backend in the same page. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import { jsBackend, registerBackend } from "cotangent";
import { describeKinks } from "../kinks/table.ts";
import { describeLaws, describeWholeNumbers } from "../laws/suite.ts";
import { describeKnownBugs } from "../regressions/known-bugs.ts";

const webgl = await createTfjsBackend();
registerBackend(webgl);

describeLaws(
  { backend: webgl, dtype: "float32", reference: jsBackend },
  { samples: 1, programs: 3, cover: false },
);
describeWholeNumbers(webgl, jsBackend, { samples: 2, cover: false });
describeKinks(webgl, "float32");
describeKnownBugs(webgl);
