import { jsBackend } from "cotangent";
import { describeLaws } from "./suite.ts";

describeLaws({ backend: jsBackend, dtype: "float64", reference: jsBackend }, { samples: 24, programs: 50 });
describeLaws({ backend: jsBackend, dtype: "float32", reference: jsBackend }, { samples: 14, programs: 24 });
