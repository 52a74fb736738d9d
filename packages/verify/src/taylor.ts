/** Taylor mode against forward mode nested in itself, which is what it must equal. */
import { type Value, scalarTensor } from "@cotangent/core";
import { derivative, jet } from "@cotangent/forward-mode";
import { type Law, nothingToJudge } from "./laws.ts";
import { distance, norm, numbersOf } from "./numbers.ts";
import { holds, inapplicable, showNumbers, weigh } from "./outcome.ts";
import { Instance, directions, hasMode, sizeOfAll } from "./subject.ts";

const factorials = [1, 1, 2, 6, 24] as const;

/** All derivatives at t = 0 of f along the curve, the one of order k in place k, by nested forward mode. */
function nested(f: (t: Value) => Value[], order: number, like: Value): Value[][] {
  const found: Value[][] = [];
  let g = f;
  for (let k = 0; k <= order; k++) {
    found.push(g(scalarTensor(0, like.dtype, like.backend)));
    g = derivative(g);
  }
  return found;
}

/** Both kinds of derivatives of f along x + t v₁ + t²/2 v₂ + ..., in place k those of order k. */
function bothWays(at: Instance, curve: readonly Float64Array[]): { jets: number[][]; nested: number[][] } {
  const terms = curve.map((v) => directions(at.inputs, v));
  const along = (t: Value): Value[] =>
    at.smooth(
      ...at.inputs.map((x, i) =>
        terms.reduceRight<Value>(
          (rest, term, k) => rest.mul(t).add((k === 0 ? x : terms[k - 1][i]).div(factorials[k])),
          terms[terms.length - 1][i].div(factorials[terms.length]),
        ),
      ),
    );
  const [value, series] = at.counted(() =>
    jet<Value[], Value[]>(
      at.smooth,
      [...at.inputs],
      at.inputs.map((_, i) => terms.map((term) => term[i])),
    ),
  );
  const reference = at.counted(() => nested(along, terms.length, at.inputs[0]));
  return { jets: [value, ...series].map(numbersOf), nested: reference.map(numbersOf) };
}

export const taylor: Law = {
  name: "taylor",
  statement: "the derivatives of every order along a curve are those of nested forward mode",
  judge: (subject, setting, draw) => {
    if (!hasMode(subject, "forward")) return inapplicable("no forward mode");
    const instance = new Instance(subject, setting.backend, setting.dtype);
    const outputs = instance.smooth(...instance.inputs);
    const nothing = nothingToJudge(subject, instance, outputs);
    if (nothing !== undefined) return nothing;
    const order = draw.int(3, 4);
    const curve = Array.from({ length: order }, () => draw.direction(sizeOfAll(instance.inputs)));
    const found = bothWays(instance, curve);
    for (let k = 0; k <= order; k++) {
      const [jets, reference] = [found.jets[k], found.nested[k]];
      const outcome = weigh(
        {
          error: distance(jets, reference),
          found: jets,
          expected: reference,
          scale: norm(jets) + norm(reference),
          evaluations: instance.evaluations,
          terms: sizeOfAll(outputs),
          again: (backend) => {
            const other = bothWays(instance.inFloat64(backend), curve);
            return other.jets[k].map((x, i) => x - other.nested[k][i]);
          },
          say: (tolerance) =>
            [
              `Derivatives of order ${k} differ by more than ${tolerance}`,
              ...curve.map((v, i) => showNumbers(`v${i + 1}`, v)),
              showNumbers("by jet", jets),
              showNumbers("by nested forward mode", reference),
            ].join("\n"),
        },
        setting,
      );
      if (!outcome.judged || outcome.failure !== undefined) return outcome;
    }
    return holds;
  },
};
