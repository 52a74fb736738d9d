/** The pages of graphs, as somebody uses them: pointed at, played, searched, zoomed, by mouse and by keys. */
import {
  type Graph,
  type GraphViewOptions,
  type Value,
  grad,
  graphOf,
  jsBackend,
  call,
  customVjp,
  scan,
  setBackend,
  stage,
  tensor,
} from "cotangent";
import mermaid from "mermaid";
import { afterEach, describe, expect, test } from "vitest";
import { page } from "vitest/browser";

setBackend(jsBackend);

/** What went wrong in a page, and what it fetched. */
interface Watched extends Window {
  readonly faults: string[];
}

const watch = `<script>window.faults = [];
addEventListener("error", (event) => faults.push(event.message));
for (const kind of ["error", "warn"]) console[kind] = (...words) => faults.push(words.join(" "));</script>`;

class GraphPage {
  readonly frame: HTMLIFrameElement;

  private constructor(frame: HTMLIFrameElement) {
    this.frame = frame;
  }

  static async open(graph: Graph, options: GraphViewOptions): Promise<GraphPage> {
    const frame = document.createElement("iframe");
    Object.assign(frame.style, { width: "1280px", height: "800px", border: "0" });
    frame.srcdoc = graph.toHtml(options).replace("<head>", `<head>${watch}`);
    const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
    document.body.append(frame);
    await loaded;
    return new GraphPage(frame);
  }

  get document(): Document {
    return this.frame.contentDocument as Document;
  }

  find(selector: string): HTMLElement {
    const found = this.document.querySelector<HTMLElement>(selector);
    if (found === null) throw new Error(`The page has no ${selector}`);
    return found;
  }

  all(selector: string): HTMLElement[] {
    return [...this.document.querySelectorAll<HTMLElement>(selector)];
  }

  /** The item whose label is this, the first of several. */
  item(label: string): HTMLElement {
    const found = this.all(".item").find((item) => item.querySelector(".label")?.textContent === label);
    if (found === undefined) throw new Error(`The page draws no ${label}`);
    return found;
  }

  over(element: Element): void {
    element.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  }

  key(key: string, target: Element = this.document.body): void {
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  }

  get details(): string {
    return this.find("#details").innerText;
  }

  get viewBox(): number[] {
    return (this.find("#canvas").getAttribute("viewBox") ?? "").split(" ").map(Number);
  }

  get step(): number {
    return Number((this.find("#sweep") as HTMLInputElement).value);
  }

  /** What has been computed: values and adjoints as they stand on the picture. */
  shown(kind: "value" | "adjoint"): string[] {
    return this.all(`[data-${kind}]`).flatMap((element) => element.textContent || []);
  }

  get faults(): readonly string[] {
    return (this.frame.contentWindow as unknown as Watched).faults;
  }

  get fetched(): readonly string[] {
    const { performance } = this.frame.contentWindow as Window;
    return performance.getEntriesByType("resource").map(({ name }) => name);
  }
}

const opened: GraphPage[] = [];
async function open(graph: Graph, options: GraphViewOptions): Promise<GraphPage> {
  const found = await GraphPage.open(graph, options);
  opened.push(found);
  return found;
}

afterEach(() => {
  const bad = opened.flatMap(({ faults, fetched }) => [...faults, ...fetched]);
  for (const { frame } of opened.splice(0)) frame.remove();
  if (bad.length > 0) throw new Error(`A page complained, or fetched something: ${bad.join("; ")}`);
});

const f = (x: Value): Value => {
  const square = x.mul(x);
  return square.mul(x.sin()).add(square.exp());
};
const branching = (): Promise<GraphPage> =>
  open(stage(f)(tensor(0.8)), { inputs: [0.8], names: ["x"], title: "Branches" });

describe("the page of a graph", () => {
  test("draws every node, and every edge with its shape", async () => {
    const shown = await branching();
    expect(shown.all(".item .label").map((label) => label.textContent)).toEqual(
      expect.arrayContaining(["x", "mul", "sin", "exp", "add"]),
    );
    expect(shown.all(".item")).toHaveLength(6);
    expect(shown.all(".edge")).toHaveLength(8);
    expect(shown.all(".tag .shape").map((label) => label.textContent?.trim())).toEqual(
      new Array(8).fill("[]"),
    );
    for (const item of shown.all(".item")) expect(item.getAttribute("aria-label")).toMatch(/value .*adjoint/);
  });

  test("shows the value and the adjoint of what a pointer or the focus is on", async () => {
    const shown = await branching();
    await page
      .frameLocator(page.elementLocator(shown.frame))
      .getByRole("button", { name: /sin, float64/ })
      .hover();
    expect(shown.details).toMatch(/^sin/);
    expect(shown.details).toContain(`${Number(Math.sin(0.8).toPrecision(7))}`);
    // The adjoint of sin x is x².
    expect(shown.details).toMatch(/ADJOINT\s+0\.64/);
    expect(shown.details).toMatch(/graph-view\.browser\.test\.ts:\d+:\d+/);
    shown.item("exp").focus();
    expect(shown.details).toMatch(/^exp/);
  });

  test("shows the local derivative of an edge, and what it contributes", async () => {
    const shown = await branching();
    const sin = shown.item("sin").dataset["item"];
    const edge = shown.all(".edge").find((element) => {
      shown.over(element.querySelector(".hit") as Element);
      return shown.details.includes("from x") && /to %\d+ sin/.test(shown.details);
    });
    expect(edge, `no edge leads from x to item ${sin}`).toBeDefined();
    expect(shown.details).toMatch(new RegExp(`LOCAL DERIVATIVE\\s+${Number(Math.cos(0.8).toPrecision(7))}`));
    const contribution = Number((0.64 * Math.cos(0.8)).toPrecision(7));
    expect(shown.details).toMatch(new RegExp(`CONTRIBUTION TO THE ADJOINT\\s+${contribution}`));
  });

  test("steps the sweeps: values come forward, then adjoints go back", async () => {
    const shown = await branching();
    const slider = shown.find("#sweep") as HTMLInputElement;
    const all = Number(slider.max);
    expect(shown.step).toBe(all);
    const go = (step: number): void => {
      slider.value = String(step);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    };
    go(0);
    expect(shown.shown("value")).toEqual(["0.8"]);
    expect(shown.shown("adjoint")).toEqual([]);
    expect(shown.all(".item.pending")).toHaveLength(5);
    // One node of five at a time, then the cotangent of the output, then the five nodes again.
    for (let step = 1; step <= all; step++) {
      go(step);
      expect(shown.shown("value")).toHaveLength(Math.min(6, 1 + step));
      expect(shown.shown("adjoint").length > 0).toBe(step > 5);
      expect(shown.find("#caption").textContent).toMatch(
        step <= 5 ? new RegExp(`^Forward ${step} of 5`) : new RegExp(`^Backward ${step - 5} of 6`),
      );
      if (step < all) {
        const phase = step <= 5 ? "forward" : "backward";
        expect(shown.all(`.item.now-${phase}`)).toHaveLength(step === 6 ? 0 : 1);
      }
    }
    expect(shown.shown("adjoint")).toHaveLength(6);
    go(3);
    expect(shown.shown("value")).toHaveLength(4);
    expect(shown.shown("adjoint")).toEqual([]);
  });

  test("plays, and stops at the end", async () => {
    const shown = await branching();
    shown.find("#play").click();
    expect(shown.step).toBe(0);
    expect(shown.find("#play").getAttribute("aria-label")).toBe("Pause");
    await expect.poll(() => shown.step, { timeout: 5000 }).toBeGreaterThan(1);
    shown.find("#play").click();
    const { step } = shown;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(shown.step).toBe(step);
  });

  test("shows an adjoint that several edges come to as their sum, each by its edge", async () => {
    const shown = await branching();
    shown.over(shown.item("x"));
    const sum = shown.find("#sum").textContent ?? "";
    const [terms, total] = sum.split(" = ");
    const numbers = terms.replaceAll("- ", "+ -").split(" + ").map(Number);
    expect(numbers).toHaveLength(3);
    // Seven digits of each are written.
    expect(numbers.reduce((a, b) => a + b)).toBeCloseTo(Number(total), 5);
    expect(Number(total)).toBeCloseTo(grad(f)(0.8).item(), 5);
    const edges = shown.all(".contributions li").map((row) => row.innerText.replaceAll(/\s+/g, " "));
    expect(edges).toEqual([
      expect.stringMatching(/^through %\d+ sin 0\.4459$/),
      expect.stringMatching(/^through %1 mul as x 2\.091$/),
      expect.stringMatching(/^through %1 mul as y 2\.091$/),
    ]);
    expect(shown.item("x").querySelector(".adjoint")?.textContent).toBe("∂ 0.4459 + 2.091 + 2.091 = 4.628");
  });

  test("finds by primitive, by variable and by line", async () => {
    const shown = await branching();
    const search = shown.find("#search") as HTMLInputElement;
    const found = (query: string): (string | null | undefined)[] => {
      search.value = query;
      search.dispatchEvent(new Event("input", { bubbles: true }));
      return shown.all(".item.found").map((item) => item.querySelector(".label")?.textContent);
    };
    expect(found("sin")).toEqual(["sin"]);
    expect(found("%1")).toEqual(["mul"]);
    expect(found("mul")).toEqual(["mul", "mul"]);
    expect(found("browser.test.ts:")).toHaveLength(5);
    expect(shown.find("#found").textContent).toBe("5 found");
    shown.key("Enter", search);
    expect(shown.find("#found").textContent).toBe("1 of 5");
    expect(found("no such thing")).toEqual([]);
    shown.key("Escape", search);
    expect(shown.all(".searching")).toEqual([]);
  });

  test("zooms and moves by wheel, buttons, keys and dragging", async () => {
    const shown = await branching();
    const [x, , width] = shown.viewBox;
    const canvas = shown.find("#canvas");
    const at = { bubbles: true, cancelable: true, clientX: 400, clientY: 300 };
    canvas.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY: -100 }));
    expect(shown.viewBox[2]).toBeLessThan(width);
    canvas.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY: 100 }));
    expect(shown.viewBox[2]).toBeCloseTo(width, 0);
    shown.find("#zoom-in").click();
    expect(shown.viewBox[2]).toBeCloseTo(width * 0.8, 0);
    shown.key("+");
    expect(shown.viewBox[2]).toBeCloseTo(width * 0.64, 0);
    shown.key("-");
    expect(shown.viewBox[2]).toBeCloseTo(width * 0.8, 0);
    shown.key("0");
    expect(shown.viewBox[0]).toBeCloseTo(x, 0);
    shown.key("ArrowRight");
    expect(shown.viewBox[0]).toBeGreaterThan(x);
    shown.key("ArrowLeft");
    expect(shown.viewBox[0]).toBeCloseTo(x, 0);
    const point = (type: string, by: number): PointerEvent =>
      new PointerEvent(type, { ...at, clientX: 400 + by, button: 0, buttons: 1, pointerId: 1 });
    // A pointer that no device holds cannot be captured.
    (canvas as unknown as SVGSVGElement).setPointerCapture = () => {};
    for (const event of [point("pointerdown", 0), point("pointermove", 50), point("pointerup", 50)])
      canvas.dispatchEvent(event);
    expect(shown.viewBox[0]).toBeLessThan(x);
  });

  test("is used by keys alone", async () => {
    const shown = await branching();
    const all = shown.step;
    shown.key("p");
    shown.key("p");
    expect(shown.step).toBe(all - 2);
    shown.key("n");
    expect(shown.step).toBe(all - 1);
    shown.key("Home");
    expect(shown.step).toBe(0);
    shown.key("End");
    expect(shown.step).toBe(all);
    for (const item of shown.all(".item")) expect(item.tabIndex).toBe(0);
    const sin = shown.item("sin");
    sin.focus();
    shown.key("Enter", sin);
    shown.item("exp").focus();
    shown.item("exp").blur();
    expect(shown.details).toMatch(/^sin/);
    shown.key("Escape");
    expect(shown.details).toContain("DERIVATIVES OF THE OUTPUT");
  });
});

describe("the page of a nested graph", () => {
  test("follows a loop step by step, forward and back", async () => {
    const cell = (w: Value, xs: Value): Value =>
      scan<Value, Value, null>((state, x) => [state.mul(w).add(x), null], 1, xs)[0];
    const graph = stage(cell)(tensor(0.5), tensor([1, 2, 3]));
    const shown = await open(graph, { inputs: [0.5, tensor([1, 2, 3])], names: ["w", "xs"] });
    expect(shown.all(".frame")).toHaveLength(1);
    shown.over(shown.item("carry"));
    // The carry of each step, and its adjoint w^(3 - step).
    expect(shown.details.replaceAll(/\s+/g, " ")).toContain(
      "IN EACH STEP 1 1 ∂ 0.125 2 1.5 ∂ 0.25 3 2.75 ∂ 0.5",
    );
    shown.key("Home");
    const seen: string[] = [];
    while (shown.step < Number((shown.find("#sweep") as HTMLInputElement).max)) {
      shown.key("n");
      seen.push(shown.find(".turn").textContent ?? "");
    }
    const turns = seen.filter((turn, i) => turn !== seen[i - 1]);
    expect(turns).toEqual([
      "· step 1 of 3",
      "· step 2 of 3",
      "· step 3 of 3",
      "· step 2 of 3",
      "· step 1 of 3",
    ]);
  });

  test("runs a function with a derivative of its own, and does not go back through it", async () => {
    const clipped = customVjp((x: Value) => x.mul(3), {
      forward: (x) => [x.mul(3), []],
      backward: (_, cotangent) => [cotangent],
    });
    const shown = await open(stage((x: Value) => clipped(x))(1), { inputs: [2], names: ["x"] });
    expect(shown.shown("value")).toEqual(["2", "6", "2", "6"]);
    // Of x and of the call, but of nothing in it.
    expect(shown.shown("adjoint")).toEqual(["∂ 1", "∂ 1"]);
  });

  test("marks what is computed again, and what is fused", async () => {
    const x = tensor([1, 2]);
    const body = graphOf("test", (v) => [v.sin().tanh()], [x.aval], jsBackend);
    const loss = (v: Value): Value => call([v], { graph: body, save: "nothing" })[0].sum();
    const shown = await open(stage((v: Value) => grad(loss)(v))(x), {
      inputs: [x],
      cotangents: [tensor([1, 0])],
      clusters: [[1]],
    });
    // sin and tanh in the call, which keeps nothing; sin again in the way back.
    expect(shown.all(".item.recomputed").map((item) => item.querySelector(".label")?.textContent)).toEqual(
      expect.arrayContaining(["sin", "tanh", "sin"]),
    );
    expect(shown.all(".cluster")).toHaveLength(1);
    expect(shown.find(".legend").textContent).toContain("computed again");
    expect(shown.find(".legend").textContent).toContain("fused");
  });

  test("is drawn without values where there are no inputs, and says so where nothing comes back", async () => {
    const graph = stage(f)(tensor(0.8));
    const bare = await open(graph, {});
    expect(bare.all(".item")).toHaveLength(6);
    expect(bare.all("footer")).toEqual([]);
    expect(bare.all(".item.pending")).toEqual([]);
    const wide = await open(stage((x: Value) => x.sin())(tensor([1, 2])), { inputs: [tensor([1, 2])] });
    expect(wide.details).toContain("give cotangents to see the sweep back");
    expect(wide.shown("adjoint")).toEqual([]);
  });

  test("names are written as they are, whatever they are", async () => {
    const odd = `<img src=x onerror="faults.push('run')"> & </script>`;
    const shown = await open(stage(f)(tensor(0.8)), { inputs: [0.8], names: [odd], title: odd });
    expect(shown.item(odd)).toBeDefined();
    expect(shown.find("h1").textContent).toBe(odd);
    shown.over(shown.item(odd));
    expect(shown.details).toContain(odd);
  });
});

describe("toMermaid", () => {
  test("is what Mermaid reads and draws", async () => {
    mermaid.initialize({ startOnLoad: false });
    const nested = stage((x: Value) => scan<Value, Value, null>((s, row) => [s.add(row), null], 0, x)[0]);
    const graphs = [stage(f)(tensor(0.8)), nested(tensor([1, 2])), stage(grad(f))(tensor(1))];
    for (const [i, graph] of graphs.entries()) {
      const { diagramType } = await mermaid.parse(graph.toMermaid());
      expect(diagramType).toMatch(/^flowchart/);
      const { svg } = await mermaid.render(`mermaid-${i}`, graph.toMermaid());
      expect(svg).toContain("float64[");
    }
  });
});
