import { jsBackend } from "cotangent";
import { describeKinks } from "./table.ts";

describeKinks(jsBackend, "float64");
describeKinks(jsBackend, "float32");
