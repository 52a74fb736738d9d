/**
 * Faults in what is no record: the drivers of the rules, the tape, graphs and their passes, batching, loops, caches, compiled
 * code. Each is one edit of a source file.
 */

/** What judges a fault: laws on the reference backend, laws on compiled code, or a test file, perhaps one test of it. */
export type Judge = "laws" | "laws on wasm" | `test/${string}`; // "test/file.test.ts#part of a name"

export interface SourceFault {
  /** Below packages/. */
  readonly file: string;
  /** What it does. */
  readonly name: string;
  /** The kind of fault, by which they are counted. */
  readonly fault: string;
  readonly find: string;
  readonly replace: string;
  readonly judges: readonly Judge[];
}

type Edit = readonly [name: string, fault: string, find: string, replace: string, ...judges: Judge[]];

const inFile = (file: string, judges: readonly Judge[], edits: readonly Edit[]): SourceFault[] =>
  edits.map(([name, fault, find, replace, ...own]) => ({
    file,
    name,
    fault,
    find,
    replace,
    judges: own.length > 0 ? own : judges,
  }));

const laws: readonly Judge[] = ["laws"];
const wasm: readonly Judge[] = ["laws on wasm"];

export const sourceFaults: readonly SourceFault[] = [
  ...inFile("core/src/rules.ts", laws, [
    [
      "nothing is un-broadcast",
      "un-broadcast missing",
      "return primitive.elementwise ? unbroadcast(result, avalOf(inputs[index])) : result;",
      "return result;",
    ],
    [
      "the JVP keeps the last term alone",
      "accumulation drops a side",
      "total = total === null ? term : total.add(term);",
      "total = term;",
    ],
    [
      "a tangent stays smaller than its output",
      "shape lost",
      "return total.broadcastTo(output.shape);",
      "return total;",
    ],
    [
      "VJPs of all arguments by the first partial derivative",
      "wrong operand",
      "partial(rules.partials[index], inputs as readonly Value[], output as Value),",
      "partial(rules.partials[0], inputs as readonly Value[], output as Value),",
    ],
    [
      "the JVP of what is bilinear always moves the first operand",
      "wrong operand",
      "inputs.map((x, i) => (i === index ? tangent : x)),",
      "inputs.map((x, i) => (i === 0 ? tangent : x)),",
    ],
    [
      "what is linear has its constant inputs in its JVP",
      "zero rule missing",
      "(tangents[i] ?? zeroTangent(x, tangents))",
      "(tangents[i] ?? x)",
    ],
  ]),
  ...inFile("core/src/unbroadcast.ts", laws, [
    [
      "axes of size 1 are not summed over",
      "un-broadcast missing",
      "(aval.shape[i - lead] === 1 && shape[i] !== 1)",
      "false",
    ],
    [
      "the largest cotangent in place of the sum",
      "accumulation drops a side",
      "cotangent.sum(",
      "cotangent.max(",
    ],
  ]),
  ...inFile("reverse-mode/src/tape.ts", laws, [
    [
      "the last contribution to an adjoint alone",
      "accumulation drops a side",
      "this.adjoint = this.adjoint === null ? contribution : this.adjoint.add(contribution);",
      "this.adjoint = contribution;",
    ],
    [
      "the first contribution to an adjoint alone",
      "accumulation drops a side",
      "this.adjoint = this.adjoint === null ? contribution : this.adjoint.add(contribution);",
      "this.adjoint ??= contribution;",
    ],
    [
      "adjoints of one sweep are left for the next",
      "stale state",
      "if (!node.wanted) node.adjoint = null;\n        if (free)",
      "if (free)",
    ],
    [
      "a joint node waits for all of its outputs",
      "accumulation drops a side",
      "if (adjoints.every((adjoint) => adjoint === null)) return;",
      "if (adjoints.some((adjoint) => adjoint === null)) return;",
    ],
    [
      "values of another tape are taken for its own",
      "perturbation confusion",
      "if (input.level === this.level) {",
      "if (input instanceof TapeValue) {",
    ],
    [
      "residuals that an inner tidy frees",
      "freed too early",
      "if (needed & (1 << i)) promote(primals[i], this.depth);",
      "if (needed & (1 << i)) void this.depth;",
      "test/unit/memory.test.ts",
    ],
    [
      "the residuals of the first differentiated argument alone",
      "residual not saved",
      "needed |= primitive.residuals[primitive.variadic ? 0 : i];",
      "needed ||= primitive.residuals[primitive.variadic ? 0 : i];",
    ],
  ]),
  ...inFile("reverse-mode/src/vjp.ts", laws, [
    [
      "cotangents of later results are lost",
      "branch dropped",
      "const leaf = seeded[i];",
      "const leaf = seeded[0];",
    ],
  ]),
  ...inFile("forward-mode/src/dual.ts", laws, [
    [
      "duals of another application are taken for its own",
      "perturbation confusion",
      "if (input.level === this.level) {",
      "if (input instanceof Dual) {",
    ],
    [
      "primals of loops are recorded with the tangents",
      "wrong recording",
      "return recorder !== null && !recorders.includes(recorder);",
      "return false;",
      "test/unit/linearize.test.ts",
    ],
  ]),
  ...inFile("forward-mode/src/jvp.ts", laws, [
    [
      "what does not depend on the argument is its own tangent",
      "zero rule missing",
      "own(leaf)?.tangent ?? (leaf as Value).zerosLike()",
      "own(leaf)?.tangent ?? leaf",
    ],
  ]),
  ...inFile(
    "forward-mode/src/jet.ts",
    ["test/unit/jet.test.ts"],
    [
      [
        "the product of series without its last term",
        "off by one",
        "for (let i = 0; i <= k; i++) {",
        "for (let i = 0; i < k; i++) {",
      ],
      [
        "an integral without its divisor",
        "factor missing",
        "return derivative === null ? null : divided(this.#coefficient(derivative, k - 1), k);",
        "return derivative === null ? null : this.#coefficient(derivative, k - 1);",
      ],
      [
        "series are shared by calls with other parameters",
        "stale cache",
        "return `${name}(${list})${paramsKey(params)}`;",
        "return `${name}(${list})`;",
      ],
    ],
  ),
  ...inFile("core/src/value.ts", laws, [
    ["levels are not unique", "perturbation confusion", "return ++lastLevel;", "return (lastLevel = 1);"],
  ]),
  ...inFile("core/src/memory.ts", laws, [
    [
      "tidy frees nothing",
      "leak",
      "if (tensor.home === mine.depth) tensor.dispose();",
      "if (tensor.home === -1) tensor.dispose();",
    ],
  ]),
  ...inFile("core/src/graph/differentiate.ts", laws, [
    [
      "on the way back through a graph the last term of an adjoint alone",
      "accumulation drops a side",
      "const total = before === null ? term : before.add(term);",
      "const total = term;",
    ],
    [
      "pushed graphs are kept whichever inputs have tangents",
      "stale cache",
      "keyOf(backend, hasTangent, instantiate)",
      "keyOf(backend, instantiate)",
    ],
    [
      "pulled graphs are kept whichever inputs are wanted",
      "stale cache",
      "keyOf(backend, wanted, policy)",
      "keyOf(backend, policy)",
    ],
    [
      "pulled graphs are kept whatever is saved",
      "stale cache",
      "keyOf(backend, wanted, policy)",
      "keyOf(backend, wanted)",
      "test/unit/checkpoint.test.ts",
    ],
    [
      "a branch that gives a zero has no tangent where the others have",
      "branch dropped",
      "tangent === null && instantiate[i] ? inputs[0].constant(0, result.outputs[i].aval) : tangent,",
      "tangent,",
    ],
    [
      "what is run again is not run again for what needs it only then",
      "branch dropped",
      "open.push(...joint.nodes[n].inputs);",
      "open.push(...joint.nodes[n].inputs.slice(0, 1));",
    ],
  ]),
  ...inFile(
    "core/src/graph/transpose.ts",
    ["test/unit/linearize.test.ts"],
    [
      [
        "products of two linear values pass",
        "wrong check",
        `if (dependent.length > 1) refuse(node, "a product of two values that both depend on the argument");`,
        "",
      ],
      [
        "affine functions pass",
        "wrong check",
        `const affine = isReached ? joint.indexOf("constant") : -1;`,
        "const affine = -1;",
      ],
    ],
  ),
  ...inFile("core/src/graph/evaluate.ts", laws, [
    [
      "results are freed at their last use",
      "freed too early",
      "for (const variable of graph.outputs) last[variable] = graph.nodes.length;",
      "",
    ],
    [
      "values are freed at their first use",
      "freed too early",
      "for (const variable of [...node.outputs, ...node.inputs]) last[variable] = i;",
      "for (const variable of [...node.outputs, ...node.inputs]) if (last[variable] < i - 1) last[variable] = i;",
    ],
    [
      "a graph frees nothing on the way",
      "leak",
      "for (const variable of dead[done]) values[variable].dispose();",
      "",
    ],
    [
      "a result that is given twice is one tensor",
      "freed too early",
      "if (variable >= graph.firstDefined && !handedOver.has(variable)) {",
      "if (variable >= graph.firstDefined) {",
      "test/unit/jit.test.ts",
      "test/unit/memory.test.ts",
      "laws",
    ],
  ]),
  ...inFile("core/src/graph/stage.ts", laws, [
    [
      "constants of one shape are one constant",
      "stale cache",
      'const key = `${Object.is(value, -0) ? "-0" : value} ${aval}`;',
      "const key = `${aval}`;",
      "test/unit/graph.test.ts",
    ],
  ]),
  ...inFile("core/src/graph/hash.ts", laws, [
    [
      "graphs are the same whatever their parameters",
      "stale cache",
      '`${primitive.name} ${inputs.join(" ")} ${showParam(params)}`,',
      '`${primitive.name} ${inputs.join(" ")}`,',
    ],
    [
      "graphs are the same whatever the elements of their constants",
      "stale cache",
      "return `${tensor.aval} of elements ${found}`;",
      "return `${tensor.aval} of elements`;",
      "test/unit/jit.test.ts",
    ],
    [
      "graphs are the same whatever the numbers in them",
      "stale cache",
      'return `${tensor.dtype} ${Object.is(value, -0) ? "-0" : value}`;',
      "return `${tensor.dtype}`;",
    ],
    [
      "graphs are the same whichever of their values they give",
      "stale cache",
      'graph.outputs.join(" "),',
      "",
    ],
  ]),
  ...inFile(
    "core/src/jit.ts",
    ["test/unit/jit.test.ts"],
    [
      [
        "programs are kept whatever the shapes and dtypes",
        "stale cache",
        '${key.join(" ")} ${avals.join(" ")}`',
        '${key.join(" ")}`',
      ],
      ["programs are kept whatever the static arguments", "stale cache", "key.push(staticKey(arg));", ""],
      [
        "programs are kept with what they captured",
        "stale cache",
        "if (recorded.captured.length === 0) programs.set(key, recorded);",
        "programs.set(key, recorded);",
      ],
      [
        "programs are kept whatever the structure of arguments",
        "stale cache",
        "key.push(treeStructure(arg));",
        "treeStructure(arg);",
        "test/unit/jit.test.ts",
      ],
    ],
  ),
  ...inFile("core/src/vmap/batch-trace.ts", laws, [
    [
      "what is elementwise is not aligned",
      "batching",
      "if (!batched[i] || value.rank === rank + 1) return value;",
      "return value;",
    ],
    [
      "axes of size 1 at the end",
      "batching",
      "[size, ...new Array<number>(rank - shape.length).fill(1), ...shape]",
      "[size, ...shape, ...new Array<number>(rank - shape.length).fill(1)]",
    ],
  ]),
  ...inFile("core/src/vmap/batch-rules.ts", laws, [
    [
      "the first element of a batch for all",
      "batching",
      "inputs.map((input, i) => (batched[i] ? input.at(k) : input)),",
      "inputs.map((input, i) => (batched[i] ? input.at(0) : input)),",
    ],
    [
      "an axis moved to its neighbour's place",
      "wrong axis",
      "order.splice(to, 0, from);",
      "order.splice(Math.min(to + 1, order.length), 0, from);",
    ],
  ]),
  ...inFile("core/src/vmap/batch-graph.ts", laws, [
    [
      "batched graphs are kept whatever the size of the batch",
      "stale cache",
      "    backend.name,\n    size,\n",
      "    backend.name,\n",
    ],
    [
      "batched graphs are kept whichever inputs are batched",
      "stale cache",
      `    batched.map(Number).join(""),\n`,
      "",
    ],
  ]),
  ...inFile("core/src/control/masking.ts", laws, [
    [
      "those that take no part are not substituted",
      "batching",
      "nestedGraphs(params).some(mayFail),\n  );",
      "nestedGraphs(params).some(mayFail),\n  ) && false;",
      "test/unit/vmap.test.ts",
    ],
  ]),
  ...inFile("core/src/control/loop.ts", laws, [
    ["a scan goes back as it went", "off by one", "reverse: !reverse,", "reverse,"],
    [
      "constants have the cotangent of one step alone",
      "accumulation drops a side",
      "total[k].add(found[i] as Value)",
      "(found[i] as Value)",
    ],
    [
      "the second derivative of a loop takes primals for tangents",
      "wrong operand",
      "cotangents[pushed.primalAt[i]] = ofPrimals[next];",
      "cotangents[pushed.primalAt[i]] = ofTangents[next];",
    ],
  ]),
  ...inFile("core/src/control/loop-run.ts", laws, [
    [
      "rows are taken from the first, also of a loop in reverse",
      "off by one",
      "const at = reverse ? length - 1 - step : step;\n    const taken = arrays.map(",
      "const at = step;\n    const taken = arrays.map(",
    ],
    [
      "the results of a loop in reverse are the wrong way round",
      "off by one",
      "stackRows(reverse ? list.reverse() : list,",
      "stackRows(list,",
    ],
    [
      "constants have the cotangent of one step alone, by a schedule",
      "accumulation drops a side",
      "sums.set(i, before === undefined ? tensor : add(before, tensor));",
      "sums.set(i, before === undefined ? tensor : before);",
    ],
  ]),
  ...inFile("core/src/control/loop-tangents.ts", laws, [
    [
      "a carry that becomes active on the way has no tangent",
      "branch dropped",
      'kindOf(params, i) === "carry" ? aval.floating : given[i]));\n  const carryMarks',
      "given[i]));\n  const carryMarks",
    ],
  ]),
  ...inFile("core/src/control/loop-batch.ts", laws, [
    [
      "elements of a batch that have ended go on",
      "batching",
      "where(maskOf(goesOn, next.rank), next, inputs[constants + i]),",
      "next,",
    ],
    [
      "a batched loop ends with the first of its elements",
      "batching",
      '.astype("int32").sum().gt(0)],',
      '.astype("int32").min().gt(0)],',
    ],
    [
      "carries that depend on the batch only after some steps are not batched",
      "batching",
      "marks[constants + i] = true;\n      isStable = false;",
      "isStable = true;",
    ],
    [
      "rows of a batch are not moved",
      "wrong axis",
      'if (kind === "row") return batched[i] ? moveAxis(input, 0, 1) : input;',
      'if (kind === "row") return input;',
    ],
  ]),
  ...inFile("core/src/control/schedule.ts", laws, [
    [
      "a state is not taken up again",
      "off by one",
      'if (inHand !== begin) yield { kind: "restore", at: begin };',
      "",
    ],
    [
      "segments run on from where they ended",
      "off by one",
      'if (s < last) yield { kind: "restore", at: begin };',
      "",
    ],
    [
      "states are kept for longer than they are needed",
      "leak",
      'if (begin > 0 && !ranges.some((other) => other.begin === begin)) yield { kind: "release", at: begin };',
      "",
    ],
  ]),
  ...inFile("core/src/control/cond.ts", laws, [
    [
      "the first branch is always taken",
      "branch dropped",
      "executableOf(optimize(branches[index.item()]), index.backend)",
      "executableOf(optimize(branches[0]), index.backend)",
    ],
    [
      "in a batch each element takes the branch of another",
      "batching",
      "where(maskOf(index.eq(b + 1), first.rank), result[i], chosen)",
      "where(maskOf(index.eq(b), first.rank), result[i], chosen)",
    ],
    [
      "on the way back the cotangents of the operands",
      "wrong operand",
      "...given.map((_, i) => operands.length + i)]",
      "...given.map((_, i) => i)]",
    ],
  ]),
  ...inFile("core/src/primitives/call.ts", laws, [
    [
      "a checkpointed call forgets which inputs it saved",
      "wrong operand",
      "...pulled.savedInputs.map((input) => inputs[input]),",
      "...pulled.savedInputs.map((_, i) => inputs[i]),",
    ],
  ]),
  ...inFile(
    "core/src/custom/custom-call.ts",
    ["test/unit/custom-rules.test.ts", "laws"],
    [
      [
        "tangents of all inputs are that of the first",
        "wrong operand",
        "[tangents[i] ?? zeroTangent(input, tangents)]",
        "[tangents[0] ?? zeroTangent(input, tangents)]",
      ],
    ],
  ),
  ...inFile(
    "core/src/custom/implicit.ts",
    ["test/unit/implicit.test.ts"],
    [
      [
        "the rate of a root without its sign",
        "sign flipped",
        "(rate === null ? x[i].zerosLike() : rate.neg()),",
        "(rate === null ? x[i].zerosLike() : rate),",
      ],
    ],
  ),
  ...inFile(
    "core/src/random/threefry.ts",
    ["test/unit/random.test.ts"],
    [
      [
        "a rotation by another number of bits",
        "kernel",
        "[13, 15, 26, 6, 17, 29, 16, 24]",
        "[13, 15, 26, 6, 17, 29, 16, 23]",
      ],
      [
        "a round less",
        "off by one",
        "for (let group = 0; group < 5; group++) {",
        "for (let group = 0; group < 4; group++) {",
      ],
    ],
  ),
  ...inFile("core/src/passes/common-subexpressions.ts", laws, [
    [
      "nodes are the same whatever their parameters",
      "wrong pass",
      "return `${key} ${paramsKey(params)}`;",
      "return key;",
    ],
    [
      "differences commute",
      "wrong pass",
      '"add mul strongMul max min eq ne and or"',
      '"add sub mul strongMul max min eq ne and or"',
      "test/passes/passes.test.ts",
      "laws",
    ],
    [
      "checkpointed calls are merged",
      "wrong pass",
      "if (isCheckpointed(primitive.name, params)) return undefined;",
      "",
      "test/passes/passes.test.ts",
    ],
  ]),
  ...inFile("core/src/passes/dead-code.ts", laws, [
    [
      "nodes of which not all is used are dropped",
      "wrong pass",
      "if (!node.outputs.some((variable) => used[variable])) continue;",
      "if (!node.outputs.every((variable) => used[variable])) continue;",
    ],
    [
      "what is used in the second place alone is dropped",
      "wrong pass",
      "for (const variable of node.inputs) used[variable] = 1;",
      "for (const variable of node.inputs.slice(0, 1)) used[variable] = 1;",
    ],
  ]),
  ...inFile("core/src/passes/constant-folding.ts", laws, [
    [
      "what depends on one constant is constant",
      "wrong pass",
      "if (!inputs.every((variable) => known.has(variable))) continue;",
      "if (!inputs.some((variable) => known.has(variable))) continue;",
    ],
    [
      "broadcasts of numbers of another dtype",
      "wrong pass",
      "scalarTensor(number as number, this.graph.avals[inputs[i]].dtype, first.backend),",
      "scalarTensor(Math.fround(number as number), this.graph.avals[inputs[i]].dtype, first.backend),",
      "test/passes/passes.test.ts",
      "laws",
    ],
  ]),
  ...inFile("core/src/passes/rewriter.ts", laws, [
    [
      "the first element of a constant stands for all",
      "wrong pass",
      "found = tensor.rank === 0 ? tensor.item() : null;",
      "found = tensor.size > 0 ? tensor.dataSync()[0] : null;",
    ],
    [
      "what is made of a transposed number is a number",
      "wrong pass",
      'name === "broadcastTo" || name === "reshape";',
      'name !== "add";',
    ],
  ]),
  ...inFile(
    "core/src/passes/simplification.ts",
    ["test/passes/simplification.test.ts"],
    [
      [
        "rules that may change values are always applied",
        "wrong pass",
        "if (rule.isFast === true && !fast) continue;",
        "",
      ],
    ],
  ),
  ...inFile("core/src/passes/inlining.ts", laws, [
    [
      "the operands of a branch are those of its index",
      "wrong operand",
      'node.primitive.name === "call" ? inputs : inputs.slice(1);',
      "inputs;",
      "test/passes/passes.test.ts",
    ],
    [
      "what is made again on the way back is opened",
      "wrong pass",
      'if (name === "call") return isCheckpointed(name, params) ? undefined : (params as CallParams).graph;',
      'if (name === "call") return (params as CallParams).graph;',
      "test/passes/passes.test.ts",
    ],
  ]),
  ...inFile("core/src/passes/surrogates.ts", laws, [
    [
      "the soft function in place of the hard one",
      "wrong operand",
      "apply: ({ inputs: [x] }) => x,",
      "apply: ({ inputs }) => inputs[inputs.length - 1],",
    ],
  ]),
  ...inFile(
    "core/src/passes/memory-plan.ts",
    ["test/passes/memory-plan.test.ts"],
    [
      [
        "a buffer is used again while it is read",
        "freed too early",
        "first <= buffer.last && buffer.first <= last)",
        "first < buffer.last && buffer.first < last)",
      ],
      [
        "nodes write over what others still read",
        "freed too early",
        "storages[storage].last !== n || output.size === 0) return false;",
        "output.size === 0) return false;",
      ],
      [
        "nodes write over what they read broadcast",
        "freed too early",
        "inputs.every((other) => storageOf[other] !== storage || sameAval(graph.avals[other], output));",
        "inputs.every((other) => storageOf[other] !== storage || graph.avals[other].bytes <= output.bytes);",
      ],
      [
        "results do not stay to the end",
        "freed too early",
        "for (const variable of graph.outputs) lastUse[variable] = graph.nodes.length;",
        "",
      ],
      [
        "a view dies with its first use",
        "freed too early",
        "storages[index].last = Math.max(storages[index].last, lastUse[variable]);",
        "storages[index].last = lastUse[storages[index].variables[0]];",
      ],
    ],
  ),
  ...inFile(
    "core/src/passes/fusion.ts",
    ["test/passes/fusion.test.ts"],
    [
      [
        "a loop reads what its reductions will give",
        "wrong pass",
        "if (this.usesReduction(a, b) || this.usesReduction(b, a)) return false;",
        "",
      ],
      ["clusters wait for themselves", "wrong pass", "if (found.has(large)) return false;", ""],
      [
        "what a cluster computes for others is not given",
        "branch dropped",
        "this.isOutput[output] === 1 || this.users[n].some((user) => !own.has(user))",
        "this.isOutput[output] === 1",
      ],
    ],
  ),
  ...inFile(
    "core/src/passes/recomputation.ts",
    ["test/passes/recomputation.test.ts"],
    [
      [
        "constants are paid for, inputs are not",
        "wrong cost",
        "kept.has(variable) ? 0 : avals[variable].bytes",
        "kept.has(variable) ? avals[variable].bytes : 0",
      ],
    ],
  ),
  ...inFile(
    "core/src/graph/flow-network.ts",
    ["test/passes/recomputation.test.ts"],
    [["flow does not come back", "wrong pass", "this.#room[edge ^ 1] += most;", ""]],
  ),
  ...inFile(
    "core/src/cost/dry-run.ts",
    ["test/unit/graph-cost.test.ts"],
    [
      [
        "FLOPs of nodes with several outputs count twice",
        "wrong cost",
        "counts.flops += primitive.cost(operands, avals[0], params);",
        "counts.flops += avals.length * primitive.cost(operands, avals[0], params) + 1;",
      ],
    ],
  ),

  // Kinks of primitives that are no points of a record.
  ...inFile(
    "core/src/primitives/selection.ts",
    ["test/kinks/backend-js.test.ts"],
    [
      [
        "clamp at a bound is inside",
        "kink convention changed",
        "x.gt(low).and(x.lt(high))",
        "x.ge(low).and(x.le(high))",
      ],
      [
        "clamp at a bound is inside, forward alone",
        "kink convention changed in one mode",
        "jvp: { x: (dx, { x, params }) => where(inside(x, params), dx, 0) },",
        "jvp: { x: (dx, { x, params }) => where(x.ge(params.low).and(x.le(params.high)), dx, 0) },",
      ],
    ],
  ),
  ...inFile(
    "core/src/primitives/reduction.ts",
    ["test/kinks/backend-js.test.ts"],
    [
      [
        "elements that tie get all of the derivative each",
        "kink convention changed",
        "reduceSum(chosen.astype(x.dtype), { axes }).reciprocal();",
        "reduceSum(chosen.astype(x.dtype), { axes }).onesLike();",
      ],
      [
        "elements that tie get all of the derivative each, in reverse alone",
        "kink convention changed in one mode",
        "return where(chosen, of(share), of(rest));",
        "return where(chosen, of(share.onesLike()), of(rest));",
      ],
      [
        "the product of others by division",
        "kink convention changed",
        "strongMul(spread(ct, avals.x, params.axes), productOfOthers(x, params.axes)),",
        "spread(ct, avals.x, params.axes).mul(spread(reduceProd(x, params), avals.x, params.axes).div(x)),",
      ],
    ],
  ),

  // The reference backend's kernels, which no other reference stands behind.
  ...inFile(
    "backend-js/src/elementwise.ts",
    ["laws", "laws on wasm"],
    [
      [
        "the exponential with a factor",
        "kernel",
        "exp: unaryKernel(Math.exp),",
        "exp: unaryKernel((x) => Math.exp(x) * (1 + 1e-9)),",
      ],
      [
        "a sine of float32",
        "float32 constant",
        "sin: unaryKernel(Math.sin),",
        "sin: unaryKernel((x) => Math.fround(Math.sin(x))),",
      ],
      [
        "the square root of large numbers",
        "kernel",
        "sqrt: unaryKernel(Math.sqrt),",
        "sqrt: unaryKernel((x) => (x > 2 ? Math.sqrt(x) * 1.0000001 : Math.sqrt(x))),",
      ],
      [
        "operands that broadcast are read by the other's strides",
        "wrong stride",
        "out[i] = g(x[ix[i]], y[iy[i]]);",
        "out[i] = g(x[iy[i] % x.length], y[ix[i] % y.length]);",
      ],
      [
        "a choice that broadcasts by the condition alone",
        "wrong stride",
        "arrays[1][ix[i]] : arrays[2][iy[i]];",
        "arrays[1][ix[i]] : arrays[2][ix[i] % y.size];",
      ],
      [
        "squares of int32 lose digits before they wrap around",
        "kernel",
        "(x) => Math.imul(x, x),",
        "(x) => x * x,",
      ],
    ],
  ),
  ...inFile(
    "backend-js/src/reduction.ts",
    ["laws", "laws on wasm"],
    [
      [
        "products of int32 lose digits before they wrap around",
        "kernel",
        "fold(1, Math.imul),",
        "fold(1, (a, b) => a * b),",
      ],
    ],
  ),

  // Compiled code.
  ...inFile("backend-wasm/src/program/cluster.ts", wasm, [
    [
      "the tail of a vector is left out",
      "tail of a vector",
      "if (rest > 0) body(rest);\n    this.move",
      "this.move",
    ],
    [
      "the tail of a vector is written as a whole one",
      "tail of a vector",
      "if (rest > 0) body(rest);\n    this.move",
      "if (rest > 0) body(lanes);\n    this.move",
    ],
    ["a vector axis is not gone back", "wrong stride", "this.move(vector, -whole * lanes);", ""],
    ["an outer axis is not gone back", "wrong stride", "this.move(axis, -axis.size);", ""],
    [
      "lanes behind the end take part in reductions",
      "tail of a vector",
      "if (active < lanes) {",
      "if (active > lanes) {",
    ],
    [
      "the largest int32 is never below 0",
      "kernel",
      '"reduceMax" ? -(2 ** 31) :',
      '"reduceMax" ? 0 :',
      "laws on wasm",
      "test/regressions/own-bugs.test.ts#extremes of rows",
    ],
    [
      "any bool in place of all",
      "kernel",
      "v128.or : v128.and)(a, b)",
      "v128.or : v128.or)(a, b)",
      "laws on wasm",
      "test/regressions/own-bugs.test.ts#extremes of rows",
    ],
    [
      "of bools as many lanes take part as there are bytes",
      "tail of a vector",
      '(dtype === "bool" ? 16 / lanes : bytesPer[dtype]) * active',
      "bytesPer[dtype] * active",
      "laws on wasm",
      "test/regressions/own-bugs.test.ts#extremes of rows",
    ],
    [
      "the upper half of a float32 sum is left out",
      "tail of a vector",
      "...(lanes === 4 ? [upperHalf(value)] : [])",
      "...(lanes === 4 ? [value] : [])",
    ],
    [
      "the last unit of parallel work has no rest",
      "tail of a vector",
      "i32.eq(f.args[operands.length + 1].get, i32.const(whole))",
      "i32.eq(f.args[operands.length + 1].get, i32.const(whole + 1))",
      "test/unit/wasm-backend.test.ts",
    ],
  ]),
  ...inFile("backend-wasm/src/program/loop-nest.ts", wasm, [
    [
      "axes are one though strides differ",
      "wrong stride",
      "last.strides.every((stride, i) => stride === next.strides[i] * size);",
      "last.strides.some((stride, i) => stride === next.strides[i] * size);",
    ],
  ]),
  ...inFile("backend-wasm/src/program/layout.ts", wasm, [
    [
      "a transpose by the inverse permutation",
      "transposed",
      "permutation.map((axis) => strides[axis])",
      "permutation.map((_, axis) => strides[permutation.indexOf(axis)])",
    ],
    [
      "a slice by the steps of the next axis",
      "wrong stride",
      "strides.map((stride, axis) => stride * steps[axis])",
      "strides.map((stride, axis) => stride * steps[(axis + 1) % steps.length])",
    ],
    [
      "a slice that begins one row too early",
      "off by one",
      "begin.reduce((total, at, axis) => total + at * strides[axis], offset)",
      "begin.reduce((total, at, axis) => total + Math.max(0, at - 1) * strides[axis], offset)",
    ],
    [
      "a flip that begins at the last but one",
      "off by one",
      "(shape[axis] - 1) * strides[axis], offset)",
      "Math.max(0, shape[axis] - 2) * strides[axis], offset)",
    ],
    [
      "a reshape of what is not in order",
      "wrong stride",
      "if (steps[k] !== steps[k + 1] * sizes[k + 1]) return undefined;",
      ";",
      "test/unit/wasm-backend.test.ts",
    ],
    [
      "what is broadcast is read on",
      "wrong stride",
      "(shape[axis - missing] === 1 && n !== 1) ? 0",
      "(shape[axis - missing] === 1 && n !== 1) ? 1",
    ],
  ]),
  ...inFile("backend-wasm/src/program/registers.ts", wasm, [
    [
      "the last of three lanes is not stored",
      "tail of a vector",
      "Array.from({ length: active - 2 * pair.length }",
      "Array.from({ length: Math.max(0, active - 2 * pair.length - 1) }",
    ],
    [
      "the last active lane is not loaded",
      "tail of a vector",
      "for (; lane < active; lane++) {\n    const [start, offset] = at(address, lane * stride * bytes);\n    vector",
      "for (; lane < active - 1; lane++) {\n    const [start, offset] = at(address, lane * stride * bytes);\n    vector",
    ],
    [
      "numbers out of the range of int32 saturate",
      "kernel",
      'i64.trunc_sat_f64_s(remainder(from === "float32" ? f64.promote_f32(value) : value)),',
      'i64.extend_i32_s(i32.trunc_sat_f64_s(from === "float32" ? f64.promote_f32(value) : value)),',
      "test/unit/wasm-backend.test.ts",
    ],
    [
      "masks of two lanes are those of the first two words",
      "tail of a vector",
      "const evenWords = [0, 1, 2, 3, 8, 9, 10, 11,",
      "const evenWords = [0, 1, 2, 3, 4, 5, 6, 7,",
    ],
  ]),
  ...inFile("backend-wasm/src/program/tiny.ts", wasm, [
    [
      "a small contraction by the terms of its first operand",
      "wrong operand",
      "b[eachY[batch] + atY + inY[k]]",
      "b[eachY[batch] + atY + inY[0]]",
    ],
    ["small parts are joined where the first begins", "off by one", "start += shape[axis];", "start += 0;"],
    [
      "small float32 sums are sums of float32",
      "float32 constant",
      'const isWide = dtype === "float32" && isSum;',
      "const isWide = false;",
      "test/unit/wasm-backend.test.ts",
      "laws on wasm",
    ],
    [
      "small reductions of several axes in one direction alone",
      "wrong axis",
      "strides: axes.map((a) => strides[a]),",
      "strides: axes.map(() => strides[axes[0]]),",
    ],
  ]),
  ...inFile("backend-wasm/src/program/tile.ts", wasm, [
    [
      "rows of a tile are those of the first",
      "wrong stride",
      "splat(x.get, r * layout.row * bytes)",
      "splat(x.get, 0)",
    ],
    [
      "sums of all lanes but the last",
      "tail of a vector",
      "return add(add(extract(vector, 0), extract(vector, 1)), add(extract(vector, 2), extract(vector, 3)));",
      "return add(add(extract(vector, 0), extract(vector, 1)), extract(vector, 2));",
    ],
    [
      "terms that are left after whole vectors are left out",
      "tail of a vector",
      "whileThereAre(1, () => step(0, 1));",
      "",
      "test/unit/wasm-contractions.test.ts",
    ],
    [
      "sums of pieces replace each other",
      "accumulation drops a side",
      "f.set(sum, code.add(sum.get, code.load(places[r][v], active(v), layout.column))),",
      "f.set(sum, code.load(places[r][v], active(v), layout.column)),",
      "test/unit/wasm-contractions.test.ts",
    ],
    [
      "what follows a product reads the first row",
      "wrong stride",
      "const index = k === 0 && layout.c !== undefined ? i32.sub(at.get, row.get) : at.get;",
      "const index = k === 0 && layout.c !== undefined ? i32.sub(at.get, row.get) : row.get;",
    ],
  ]),
  ...inFile(
    "backend-wasm/src/program/packing.ts",
    ["test/unit/wasm-contractions.test.ts"],
    [
      [
        "the last panel is packed as wide as the others",
        "tail of a vector",
        "f.if(i32.eq(panel.get, i32.const(panels - 1)), rest, () => f.call(whole, ...args));",
        "f.call(whole, ...args);",
      ],
      [
        "terms that are left after whole vectors are left out",
        "tail of a vector",
        "for (let k = 0; k < size % lanes; k++) single();",
        "",
      ],
      [
        "blocks are packed untransposed",
        "transposed",
        "transpose(f, vectors).forEach((vector, term) =>",
        "vectors.forEach((vector, term) =>",
      ],
      [
        "an axis of terms is not gone back",
        "wrong stride",
        "if (axis > firstAxis) advance(f, at, -size * step);",
        "",
      ],
    ],
  ),
  ...inFile(
    "backend-wasm/src/program/convolution.ts",
    ["laws on wasm", "test/unit/wasm-contractions.test.ts"],
    [
      [
        "windows are as dense as the image",
        "wrong stride",
        "strides: [n, down * h, right * w,",
        "strides: [n, h, w,",
      ],
      ["windows are not dilated", "wrong stride", "dilation[0] * h, dilation[1] * w, c]", "h, w, c]"],
      [
        "taps of the transpose are not turned round",
        "transposed",
        "strides: [across.cotangentStep * w, -across.tapStep * filters.strides[1], 0],",
        "strides: [across.cotangentStep * w, across.tapStep * filters.strides[1], 0],",
      ],
      [
        "rows that no filter reaches are left as they were",
        "tail of a vector",
        "leavesZeros: axes.some((phases) => phases.some(({ taps }) => taps === 0)),",
        "leavesZeros: false,",
      ],
    ],
  ),
  ...inFile("backend-wasm/src/program/indexing.ts", wasm, [
    [
      "updates behind whole vectors are not added",
      "tail of a vector",
      "times(f, inner % lanes, () => {",
      "times(f, 0, () => {",
    ],
    [
      "indices are not read again for the next row",
      "wrong stride",
      "advance(f, index, -4 * indices.size);\n    advance(f, source, size * rowBytes);",
      "advance(f, source, size * rowBytes);",
    ],
    [
      "the last of equal elements",
      "kink convention changed",
      "(isMax ? ops.gt : ops.lt)(value.get, best.get);",
      "(isMax ? ops.ge : ops.le)(value.get, best.get);",
    ],
    [
      "sums in reverse begin one too late",
      "off by one",
      "const start = reverse ? (size - 1) * inner * bytes : 0;",
      "const start = reverse ? Math.max(0, size - 2) * inner * bytes : 0;",
    ],
    [
      "running sums are not compensated",
      "kernel",
      "const total = f64.add(sum.get, lost.get);",
      "const total = sum.get;",
      "test/unit/wasm-backend.test.ts",
      "test/unit/tails.test.ts",
    ],
  ]),
  ...inFile("backend-wasm/src/program/loops.ts", wasm, [
    [
      "a loop in reverse begins behind its rows",
      "off by one",
      "i32.sub(i32.sub(steps ?? i32.const(length), i32.const(1)), step)",
      "i32.sub(steps ?? i32.const(length), step)",
    ],
    [
      "a scan runs once more",
      "off by one",
      "f.branchIf(again, i32.lt_u(step.get, i32.const(length)));",
      "f.branchIf(again, i32.le_u(step.get, i32.const(length)));",
    ],
    [
      "kept states lie over each other",
      "freed too early",
      "stateBytes += Math.ceil(aval.bytes / 16) * 16;",
      "stateBytes += 0;",
    ],
    [
      "the place of a kept state is given away at once",
      "freed too early",
      "const slot = free.pop() ?? slots++;",
      "const slot = free.pop() ?? 0;",
    ],
    [
      "plans are kept whatever the number of steps",
      "stale cache",
      "if (plan.last?.steps !== steps) plan.last",
      "if (plan.last === undefined) plan.last",
      "test/unit/wasm-backend.test.ts",
      "laws on wasm",
    ],
  ]),
  ...inFile("backend-wasm/src/program/expansion.ts", wasm, [
    [
      "the largest element is not taken out of the sum",
      "kernel",
      "const shift = where(isFinite, top, 0);",
      "const shift = where(isFinite, top.mul(0), 0);",
      "test/unit/wasm-backend.test.ts",
      "test/unit/tails.test.ts",
    ],
    [
      "expansions are kept whatever their axes",
      "stale cache",
      'const key = `${primitive.name} ${paramsKey(params)} ${avals.join(" ")}`;',
      'const key = `${primitive.name} ${avals.join(" ")}`;',
    ],
  ]),
  ...inFile(
    "backend-wasm/src/eager.ts",
    ["test/unit/wasm-backend.test.ts"],
    [
      [
        "eager programs are kept whatever their parameters",
        "stale cache",
        '.join(" ")} ${paramsKey(params)}`;',
        '.join(" ")}`;',
      ],
    ],
  ),
];

/** Wrong derivatives that other systems had, planted here: each must be found by the regression test of its row. */
export interface KnownBug extends SourceFault {
  /** How the row begins, up to the colon: the public issues. */
  readonly row: string;
}

const bug = (row: string, file: string, name: string, find: string, replace: string): KnownBug => ({
  row,
  file,
  name,
  fault: "known bug",
  find,
  replace,
  judges: [`test/regressions/backend-js.test.ts#${row}`],
});

const unary = "core/src/primitives/unary.ts";
const binary = "core/src/primitives/binary.ts";
const reduction = "core/src/primitives/reduction.ts";

export const knownBugs: readonly KnownBug[] = [
  bug(
    "jax 347, 1052, 654",
    "backend-js/src/elementwise.ts",
    "the product of the chain rule has no strong zeros",
    "strongMul: binaryKernel(strongProduct),",
    "strongMul: binaryKernel((x, y) => x * y),",
  ),
  bug(
    "jax 2107",
    unary,
    "softplus as max(x, 0) + log(1 + e^-|x|)",
    "partial: (x) => x.sigmoid(),",
    "partial: (x) => x.gt(0).astype(x.dtype).sub(x.sign().mul(x.abs().neg().sigmoid())),",
  ),
  bug(
    "jax 14397",
    binary,
    "y x^(y-1) as a plain product",
    "strongMul(y, x.pow(y.sub(1)))",
    "y.mul(x.pow(y.sub(1)))",
  ),
  bug(
    "jax 15709",
    "backend-js/src/elementwise.ts",
    "x log y without its limit",
    "x === 0 && y === y ? 0 : x * Math.log(y)",
    "x * Math.log(y)",
  ),
  bug(
    "jax 40315",
    "core/src/rules.ts",
    "in reverse mode partial derivatives are constants",
    "partial(rules.partials[index], inputs as readonly Value[], output as Value),",
    "partial(rules.partials[index], inputs as readonly Value[], output as Value).stopGradient(),",
  ),
  bug(
    "jax 40315",
    unary,
    "sech' is wrong in all compositions alike",
    "sech(x).mul(x.tanh()).neg()",
    "sech(x).mul(x.tanh().stopGradient()).neg()",
  ),
  bug(
    "jax 40343, 40342",
    unary,
    "tanh' as 1 - y²",
    "sech(x).square(), // not",
    "x.tanh().square().neg().add(1), // not",
  ),
  bug(
    "jax 40343, 40342",
    unary,
    "sigmoid' as y (1 - y)",
    "sech(x.mul(0.5)).square().mul(0.25),",
    "x.sigmoid().mul(x.sigmoid().neg().add(1)),",
  ),
  bug(
    "jax 39799",
    unary,
    "sqrt' by way of y²",
    "y.reciprocal().mul(0.5)",
    "y.square().reciprocal().mul(y).mul(0.5)",
  ),
  bug(
    "jax 6452, 1350",
    "core/src/rules.ts",
    "nothing is un-broadcast",
    "return primitive.elementwise ? unbroadcast(result, avalOf(inputs[index])) : result;",
    "return result;",
  ),
  bug(
    "torch 27134",
    binary,
    "x^y log x without its limit at 0",
    "where(x.eq(0), where(y.ge(0), 0, output.abs().neg()), output.mul(x.log()))",
    "output.mul(x.log())",
  ),
  bug(
    "torch 69034",
    reduction,
    "the tangent of max and min is float64",
    "return strongMul(reduceSum(where(chosen, dx, others), params), share);",
    'return strongMul(reduceSum(where(chosen, dx, others), params), share).astype("float64");',
  ),
  bug(
    "torch 160513",
    "core/src/operand.ts",
    "numbers are float64",
    "return scalarTensor(number, like.aval.dtype, like.backend);",
    'return scalarTensor(number, like.aval.floating ? "float64" : like.aval.dtype, like.backend);',
  ),
  bug(
    "torch 78355",
    "verify/src/laws.ts",
    "the checker does not look at shapes",
    "!sameShape(value.shape, to[i].shape) || value.dtype !== to[i].dtype",
    "value.dtype !== to[i].dtype",
  ),
  bug(
    "torch 196701",
    "core/src/ops/reduction.ts",
    "cumprod by logarithms",
    "export function cumprod(x: Operand, axis = 0): Value {",
    'export function cumprod(x: Operand, axis = 0): Value {\n  if (axis === 0) return lift("cumprod", [x])[0].log().cumsum({ axis }).exp();',
  ),
  bug(
    "torch 773, HIPS/autograd 93",
    reduction,
    "the product of the others by division",
    "strongMul(spread(ct, avals.x, params.axes), productOfOthers(x, params.axes)),",
    "spread(ct, avals.x, params.axes).mul(spread(reduceProd(x, params), avals.x, params.axes).div(x)),",
  ),
  bug(
    "ForwardDiff 83, 443",
    "forward-mode/src/dual.ts",
    "duals of another application are taken for its own",
    "if (input.level === this.level) {",
    "if (input instanceof Dual) {",
  ),
  bug(
    "tfjs 8721",
    "core/src/primitives/shape.ts",
    "the VJP of a broadcast keeps the broadcast shape",
    "transpose: { x: (ct, { avals }) => unbroadcast(ct, avals.x) },",
    "transpose: { x: (ct) => ct },",
  ),
  bug(
    "tfjs 3252",
    unary,
    "tanh' has no derivative",
    "sech(x).square(), // not",
    "sech(x).square().stopGradient(), // not",
  ),
  bug(
    "jax-js 84",
    "core/src/primitives/shape.ts",
    "cotangents of a slice come to what is beside it",
    "low: begin,\n        high: avals.x.shape.map((n, i) => {\n          const count = ct.shape[i];\n          return n - begin[i] - (count",
    "low: begin.map((b, i) => (b + (i === 0 && ct.shape[0] === 1 ? 1 : 0)) % avals.x.shape[i]),\n        high: avals.x.shape.map((n, i) => {\n          const count = ct.shape[i];\n          return n - ((begin[i] + (i === 0 && ct.shape[0] === 1 ? 1 : 0)) % n) - (count",
  ),
  bug(
    "jax 3996: a custom JVP",
    "core/src/rules.ts",
    "the JVP's rule in place of the VJP's",
    'const rule = rules.vjp[primitive.args[index]];\n      if (typeof rule !== "function") return refuseArgument(primitive, index, rule);\n      result',
    'const rule = (rules.jvp as typeof rules.vjp)[primitive.args[index]];\n      if (typeof rule !== "function") return refuseArgument(primitive, index, rule);\n      result',
  ),
  bug(
    "jax 3996: so are those",
    "core/src/custom/custom-call.ts",
    "a VJP is not used where there is a JVP",
    "if (forward !== null && backward !== null) {",
    "if (forward !== null && backward !== null && jvp === null) {",
  ),
  bug(
    "jax 13184, 2956: reverse mode through a whileLoop",
    "core/src/control/loop.ts",
    "a while loop has no gradient",
    "spread(\n        loopPullback([...inputs, ...floatingCotangents(outputs, cotangents)], { ...params, wanted }),\n        wanted,\n      ),",
    "cotangents.length > 0 ? inputs.map(() => null) : [],",
  ),
  bug(
    "jax 13184, 2956: reverse mode through a loop of JavaScript",
    "reverse-mode/src/tape.ts",
    "values on a tape have no elements",
    "return this.primal.concrete();",
    'throw new Error("a traced value has no elements");',
  ),
];
