import { jsBackend } from "cotangent";
import { describeKnownBugs } from "./known-bugs.ts";

describeKnownBugs(jsBackend);
