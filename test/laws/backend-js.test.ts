import { jsBackend } from "cotangent";
import { describeLaws } from "./suite.ts";

describeLaws({ backend: jsBackend, dtype: "float64", reference: jsBackend }, { samples: 40, programs: 80 });
describeLaws({ backend: jsBackend, dtype: "float32", reference: jsBackend }, { samples: 25, programs: 40 });
