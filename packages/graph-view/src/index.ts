import { registerGraphView } from "@cotangent/core";
import { toHtml } from "./to-html.ts";

registerGraphView(toHtml);

export { toHtml };
