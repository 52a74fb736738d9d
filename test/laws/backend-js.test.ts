import { jsBackend } from "cotangent";
import { describeLaws, describeWholeNumbers } from "./suite.ts";

describeLaws({ backend: jsBackend, dtype: "float64", reference: jsBackend }, { samples: 5, programs: 12 });
describeLaws(
  { backend: jsBackend, dtype: "float32", reference: jsBackend },
  { samples: 4, programs: 6, cover: false },
);
describeWholeNumbers(jsBackend, jsBackend, { samples: 5, cover: false });
