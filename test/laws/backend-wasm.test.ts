import { jsBackend, wasmBackend } from "cotangent";
import { describeKinks } from "../kinks/table.ts";
import { describeKnownBugs } from "../regressions/known-bugs.ts";
import { describeLaws, describeWholeNumbers } from "./suite.ts";

describeLaws(
  { backend: wasmBackend, dtype: "float64", reference: jsBackend },
  { samples: 4, programs: 6, cover: false },
);
describeLaws({ backend: wasmBackend, dtype: "float32", reference: jsBackend }, { samples: 2, programs: 6 });
describeWholeNumbers(wasmBackend, jsBackend, { samples: 5, cover: false });
describeKinks(wasmBackend, "float64");
describeKinks(wasmBackend, "float32");
describeKnownBugs(wasmBackend);
