import { JsBackend, jsBackend } from "cotangent";
import { describeKnownBugs } from "./known-bugs.ts";

describeKnownBugs(jsBackend);
describeKnownBugs(Object.assign(new JsBackend(), { name: "js, float32", defaultDType: "float32" as const }));
