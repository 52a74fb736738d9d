/** The tfjs backend on tfjs's own cpu kernels, which shows that it needs no WebGL. */
import { createTfjsBackend } from "@cotangent/backend-tfjs";
import "@tensorflow/tfjs-backend-cpu";
import { jsBackend } from "cotangent";
import { describeKinks } from "../kinks/table.ts";
import { describeLaws, describeWholeNumbers } from "./suite.ts";

const cpu = await createTfjsBackend("cpu");

describeLaws(
  { backend: cpu, dtype: "float32", reference: jsBackend },
  { samples: 2, programs: 5, cover: false },
);
describeWholeNumbers(cpu, jsBackend, { samples: 4, cover: false });
describeKinks(cpu, "float32");
