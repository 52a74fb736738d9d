/** A WebAssembly module, built function by function and encoded as bytes. */
import { CotangentError, fail } from "@cotangent/core";
import { Bytes } from "./bytes.ts";
import { Expr, type Store, type ValueType, requireTypes, writeInstruction } from "./expression.ts";

const typeCodes: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/**
 * A function that engines may refuse: they need not take more variables, nor a longer body, than this (WebAssembly
 * JavaScript Interface, "Implementation-defined limits").
 */
export class TooLarge extends CotangentError {}

const mostLocals = 50_000;
const mostBytes = 7_654_321;

/** Something that can be called: by its place among the imports, or among the module's own functions. */
export interface FunctionRef extends Signature {
  readonly name: string;
  readonly index: number;
  readonly imported: boolean;
}

/** A variable of a function. */
export class Local {
  readonly type: ValueType;
  readonly index: number;
  /** Its value where this is evaluated. */
  readonly get: Expr;

  constructor(type: ValueType, index: number) {
    this.type = type;
    this.index = index;
    this.get = new Expr(type, 0x20, [], [index]);
  }
}

/** A place that can be branched to. */
export interface Label {
  readonly depth: number;
}

/** The body of a function: statements are written as they are stated. */
export class FunctionBuilder implements FunctionRef {
  readonly name: string;
  readonly index: number;
  readonly imported = false;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly args: readonly Local[];
  private readonly locals: ValueType[] = [];
  private readonly code = new Bytes();
  private depth = 0;

  constructor(name: string, index: number, params: readonly ValueType[], results: readonly ValueType[]) {
    this.name = name;
    this.index = index;
    this.params = params;
    this.results = results;
    this.args = params.map((type, i) => new Local(type, i));
  }

  /** A new variable; it starts as zero. */
  local(type: ValueType): Local {
    this.locals.push(type);
    return new Local(type, this.params.length + this.locals.length - 1);
  }

  /** A new variable that holds the value of an expression from here on: how a value is computed once and used often. */
  let(value: Expr): Local {
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  set(local: Local, value: Expr): void {
    if (local.type !== value.type) requireTypes("local.set", [value], [local.type]);
    value.write(this.code);
    writeInstruction(this.code, 0x21, [local.index]);
  }

  store({ code, args, immediates }: Store): void {
    for (const arg of args) arg.write(this.code);
    writeInstruction(this.code, code, immediates);
  }

  /** Calls a function without a result. */
  call(callee: FunctionRef, ...args: readonly Expr[]): void {
    if (callee.results.length > 0) fail(CotangentError, `${callee.name} has a result; use callOf.`);
    requireTypes(`call of ${callee.name}`, args, callee.params);
    for (const arg of args) arg.write(this.code);
    writeInstruction(this.code, 0x10, [callee.index]);
  }

  /** Evaluates an expression for its effect. */
  drop(value: Expr): void {
    value.write(this.code);
    this.code.byte(0x1a);
  }

  /** Runs the body again whenever it branches to the label; goes on after it otherwise. */
  loop(body: (again: Label) => void): void {
    this.nested(0x03, body);
  }

  /** A body that a branch to the label leaves. */
  block(body: (end: Label) => void): void {
    this.nested(0x02, body);
  }

  private nested(code: number, body: (label: Label) => void): void {
    this.code.byte(code);
    this.code.byte(0x40);
    this.depth++;
    body({ depth: this.depth });
    this.depth--;
    this.code.byte(0x0b);
  }

  if(condition: Expr, then: () => void, otherwise?: () => void): void {
    requireTypes("if", [condition], ["i32"]);
    condition.write(this.code);
    this.code.byte(0x04);
    this.code.byte(0x40);
    this.depth++;
    then();
    if (otherwise !== undefined) {
      this.code.byte(0x05);
      otherwise();
    }
    this.depth--;
    this.code.byte(0x0b);
  }

  branch(label: Label): void {
    writeInstruction(this.code, 0x0c, [this.depth - label.depth]);
  }

  branchIf(label: Label, condition: Expr): void {
    requireTypes("br_if", [condition], ["i32"]);
    condition.write(this.code);
    writeInstruction(this.code, 0x0d, [this.depth - label.depth]);
  }

  return(...values: readonly Expr[]): void {
    requireTypes("return", values, this.results);
    for (const value of values) value.write(this.code);
    this.code.byte(0x0f);
  }

  copy(destination: Expr, source: Expr, bytes: Expr): void {
    requireTypes("memory.copy", [destination, source, bytes], ["i32", "i32", "i32"]);
    for (const arg of [destination, source, bytes]) arg.write(this.code);
    this.code.all([0xfc, 10, 0, 0]);
  }

  fill(destination: Expr, value: Expr, bytes: Expr): void {
    requireTypes("memory.fill", [destination, value, bytes], ["i32", "i32", "i32"]);
    for (const arg of [destination, value, bytes]) arg.write(this.code);
    this.code.all([0xfc, 11, 0]);
  }

  unreachable(): void {
    this.code.byte(0x00);
  }

  /** For `ModuleBuilder`: the encoded body. */
  encoded(): Bytes {
    const count = this.params.length + this.locals.length;
    const body = new Bytes();
    const runs: [number, ValueType][] = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last !== undefined && last[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    body.unsigned(runs.length);
    for (const [count, type] of runs) {
      body.unsigned(count);
      body.byte(typeCodes[type]);
    }
    body.all(this.code.view());
    // A function that returns values does so by `return`; what comes after is never reached.
    if (this.results.length > 0) body.byte(0x00);
    body.byte(0x0b);
    if (count > mostLocals || body.length > mostBytes)
      throw new TooLarge(`${this.name} has ${count} variables and ${body.length} bytes.`);
    return body;
  }
}

/** The result of a call. */
export function callOf(target: FunctionRef, ...args: readonly Expr[]): Expr {
  requireTypes(`call of ${target.name}`, args, target.params);
  if (target.results.length !== 1)
    fail(CotangentError, `${target.name} has ${target.results.length} results, not one.`);
  return new Expr(target.results[0], 0x10, args, [target.index]);
}

/** Functions over one imported memory. Imports must be stated before the first function. */
export class ModuleBuilder {
  private readonly signatures: string[] = [];
  private readonly signatureBytes: Bytes[] = [];
  private readonly imports: { readonly ref: FunctionRef; readonly type: number }[] = [];
  private readonly functions: FunctionBuilder[] = [];
  private readonly exported = new Map<string, FunctionBuilder>();
  private readonly constants = new Map<string, { readonly value: Expr; readonly get: Expr }>();

  private signature({ params, results }: Signature): number {
    const key = `${params.join()}>${results.join()}`;
    const found = this.signatures.indexOf(key);
    if (found >= 0) return found;
    const bytes = new Bytes();
    bytes.byte(0x60);
    for (const types of [params, results]) {
      bytes.unsigned(types.length);
      for (const type of types) bytes.byte(typeCodes[type]);
    }
    this.signatureBytes.push(bytes);
    return this.signatures.push(key) - 1;
  }

  /** A function of the host's, to be given as `host[name]`. */
  import(name: string, params: readonly ValueType[], results: readonly ValueType[] = []): FunctionRef {
    if (this.functions.length > 0)
      fail(CotangentError, `The import ${name} must be stated before the functions of the module.`);
    const ref = { name, index: this.imports.length, imported: true, params, results };
    this.imports.push({ ref, type: this.signature(ref) });
    return ref;
  }

  function(name: string, params: readonly ValueType[], results: readonly ValueType[] = []): FunctionBuilder {
    const built = new FunctionBuilder(name, this.imports.length + this.functions.length, params, results);
    this.functions.push(built);
    return built;
  }

  export(built: FunctionBuilder, name: string = built.name): void {
    this.exported.set(name, built);
  }

  /**
   * A constant that the module keeps in a variable. Engines compute a vector constant anew wherever it stands, from the
   * bytes within the code, which takes several instructions; of a variable it is one load.
   */
  constant(value: Expr): Expr {
    const bytes = new Bytes();
    value.write(bytes);
    const key = bytes.view().join();
    let found = this.constants.get(key);
    if (found === undefined) {
      found = { value, get: new Expr(value.type, 0x23, [], [this.constants.size]) };
      this.constants.set(key, found);
    }
    return found.get;
  }

  /** The module's bytes; its memory is the import `host.memory`. */
  encode(memory: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: boolean;
  }): Uint8Array<ArrayBuffer> {
    const types = this.functions.map((built) => this.signature(built));
    const out = new Bytes();
    out.all([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, this.signatureBytes.length, (body) => {
      for (const bytes of this.signatureBytes) body.all(bytes.view());
    });
    section(out, 2, this.imports.length + 1, (body) => {
      for (const { ref, type } of this.imports) {
        body.text("host");
        body.text(ref.name);
        body.byte(0);
        body.unsigned(type);
      }
      body.text("host");
      body.text("memory");
      body.byte(2);
      body.byte(memory.shared ? 3 : 1);
      body.unsigned(memory.initial);
      body.unsigned(memory.maximum);
    });
    section(out, 3, types.length, (body) => {
      for (const type of types) body.unsigned(type);
    });
    if (this.constants.size > 0)
      section(out, 6, this.constants.size, (body) => {
        for (const { value } of this.constants.values()) {
          body.byte(typeCodes[value.type]);
          body.byte(1); // Mutable: of one that is not, engines make a constant in the code again.
          value.write(body);
          body.byte(0x0b);
        }
      });
    section(out, 7, this.exported.size, (body) => {
      for (const [name, { index }] of this.exported) {
        body.text(name);
        body.byte(0);
        body.unsigned(index);
      }
    });
    section(out, 10, this.functions.length, (body) => {
      for (const built of this.functions) body.sized(built.encoded());
    });
    this.names(out);
    return out.view().slice();
  }

  /** The name section, by which profilers call functions. */
  private names(out: Bytes): void {
    const names = new Bytes();
    names.text("name");
    const table = new Bytes();
    const all = [...this.imports.map(({ ref }) => ref), ...this.functions];
    table.unsigned(all.length);
    for (const { index, name } of all) {
      table.unsigned(index);
      table.text(name);
    }
    names.byte(1);
    names.sized(table);
    out.byte(0);
    out.sized(names);
  }
}

function section(out: Bytes, id: number, count: number, write: (body: Bytes) => void): void {
  const body = new Bytes();
  body.unsigned(count);
  write(body);
  out.byte(id);
  out.sized(body);
}
