import { jsBackend } from "cotangent";
import { describeLaws } from "./suite.ts";

describeLaws({ backend: jsBackend, dtype: "float64", reference: jsBackend }, { samples: 16, programs: 30 });
describeLaws({ backend: jsBackend, dtype: "float32", reference: jsBackend }, { samples: 8, programs: 15 });
