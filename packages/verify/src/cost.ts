/** The law of costs, which choose between modes and strategies. */
import { observe, stack, vmap } from "@cotangent/core";
import type { Law } from "./laws.ts";
import { fails, holds, inapplicable } from "./outcome.ts";
import { Instance } from "./subject.ts";

const size = 3;

/**
 * What FLOPs a primitive says it costs is a count, and in proportion to the work: a batch of calls costs as much as the
 * calls. By which factor is a convention that no law can judge.
 */
export const costs: Law = {
  name: "cost",
  statement: "the FLOPs of one call are a whole number, and those of a batch of n calls are n times as many",
  subjects: "primitives",
  judge: (subject, setting, draw) => {
    if (subject.call === undefined) return inapplicable("no call of one primitive");
    const { primitive } = subject.call;
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const values = [...instance.inputs, ...instance.constants];
    if (values.length === 0) return inapplicable("no input");
    const count = instance.inputs.length;
    const f = (...all: typeof values) => instance.applyTo(all.slice(0, count), all.slice(count));
    /** Of the primitive's own evaluations: a batch may also cost arithmetic on indices. */
    const own = (body: () => unknown): { flops: number; evaluations: number } => {
      let [flops, evaluations] = [0, 0];
      observe((evaluated, inputs, outputs, params) => {
        if (evaluated !== primitive) return;
        evaluations++;
        flops += primitive.cost(
          inputs.map((input) => input.aval),
          outputs[0].aval,
          params,
        );
      }, body);
      return { flops, evaluations };
    };
    const avals = subject.call.arranged(instance.inputs, instance.constants).map((value) => value.aval);
    const cost = primitive.cost(avals, f(...values)[0].aval, subject.call.params);
    if (!(Number.isInteger(cost) && cost >= 0)) return fails(`one call costs ${cost} FLOPs`);
    // Those of several outputs run others, and say an estimate of what these cost.
    if (primitive.rules.form === "multiple") return holds;
    const one = own(() => f(...values));
    const axes = values.map(() => (draw.bool() ? 0 : null));
    if (!axes.includes(0)) axes.fill(0);
    const batch = values.map((value, i) =>
      axes[i] === null ? value : stack(new Array<typeof value>(size).fill(value)),
    );
    const all = own(() => vmap(f, { inAxes: axes })(...batch));
    if (all.evaluations === 0) return inapplicable("its batches are made of other primitives");
    if (all.flops === size * one.flops) return holds;
    return fails(`one call costs ${one.flops} FLOPs, a batch of ${size} costs ${all.flops}`);
  },
};
