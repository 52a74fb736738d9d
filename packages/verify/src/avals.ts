/** The law of abstract evaluation. */
import {
  type Aval,
  type DType,
  type Value,
  broadcastShapes,
  graphOf,
  hostArray,
  sameShape,
} from "@cotangent/core";
import type { Law } from "./laws.ts";
import { fails, holds, inapplicable } from "./outcome.ts";
import { Instance } from "./subject.ts";

const show = (all: readonly Aval[]): string => all.join(", ");

/** Shapes and dtypes are those that evaluation gives, and a dtype does not change by itself. */
export const avals: Law = {
  name: "avals",
  statement:
    "abstract evaluation gives the shapes and dtypes of evaluation; what is elementwise broadcasts, and keeps its dtype where none is asked for",
  judge: (subject, setting) => {
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const values = [...instance.inputs, ...instance.constants];
    if (values.length === 0) return inapplicable("no input");
    const count = instance.inputs.length;
    const f = (...all: Value[]): Value[] => instance.applyTo(all.slice(0, count), all.slice(count));
    const outputs = f(...values);
    const found = outputs.map((output) => output.aval);
    for (const output of outputs) {
      const data = output.dataSync();
      if (data.length !== output.size || data.constructor !== hostArray(output.dtype, 0).constructor)
        return fails(`${output.aval} has ${data.length} elements, in a ${data.constructor.name}`);
    }
    const inputs = values.map((value) => value.aval);
    const abstract = graphOf("verify", f, inputs, setting.backend).outputAvals;
    if (show(abstract) !== show(found))
      return fails(`abstract evaluation gives ${show(abstract)}, evaluation ${show(found)}`);
    if (subject.call?.primitive.elementwise !== true) return holds;
    const { primitive, params } = subject.call;
    const [{ shape, dtype }] = found;
    const asked = (params as { readonly dtype?: DType }).dtype;
    const may = asked === undefined ? ["bool", ...inputs.map((aval) => aval.dtype)] : [asked];
    const shapes = inputs.map((aval) => aval.shape);
    return sameShape(shape, broadcastShapes(primitive.name, shapes)) && may.includes(dtype)
      ? holds
      : fails(
          `${show(inputs)} give ${show(found)}${asked === undefined ? "" : `, though ${asked} is asked for`}`,
        );
  },
};
