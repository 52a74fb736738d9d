/** The page's own script. */
import type { Summary } from "../numbers.ts";
import type { PageData, PageStep, PageTerm } from "./data.ts";

/**
 * Brings a page to life. Its text is written into the page, so it uses nothing from outside of itself: no imports but of
 * types, and no helpers of a compiler.
 */
export function runPage(data: PageData): void {
  const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;
  const every = (selector: string, attribute: string): Map<number, SVGElement> =>
    new Map(
      Array.from(document.querySelectorAll<SVGElement>(selector), (element) => [
        Number(element.getAttribute(attribute)),
        element,
      ]),
    );
  const { items, edges, variables, summaries, steps } = data;
  const canvas = byId("canvas") as unknown as SVGSVGElement;
  const details = byId("details");
  const itemElements = every("[data-item]", "data-item");
  const edgeElements = every("[data-edge]", "data-edge");
  const valueElements = every("[data-value]", "data-value");
  const adjointElements = every("[data-adjoint]", "data-adjoint");
  const localElements = every("[data-local]", "data-local");
  const turns = new Map(
    Array.from(document.querySelectorAll("[data-frame]"), (element) => [
      element.getAttribute("data-frame") as string,
      element.querySelector(":scope > text > .turn") as SVGElement,
    ]),
  );

  // What is known at a step of the sweeps.

  interface Known {
    readonly values: Map<number, number>;
    readonly adjoints: Map<number, PageTerm[]>;
    readonly alongEdges: Map<number, PageTerm>;
    readonly turns: Map<string, string>;
  }

  const knownAt = (count: number): Known => {
    const known: Known = {
      values: new Map(data.start),
      adjoints: new Map(),
      alongEdges: new Map(),
      turns: new Map(),
    };
    for (const step of steps.slice(0, count)) {
      if (step.enters && step.phase === "backward") forget(known, step.path);
      if (step.iteration !== null) known.turns.set(step.path, `${step.iteration[0]} of ${step.iteration[1]}`);
      for (const [variable, summary] of step.values) known.values.set(variable, summary);
      for (const term of step.terms) {
        known.adjoints.set(term.variable, [...(known.adjoints.get(term.variable) ?? []), term]);
        if (term.edge !== null) known.alongEdges.set(term.edge, term);
      }
    }
    return known;
  };
  /** A run of a loop's body begins: what the last one left is no longer true. */
  const forget = (known: Known, path: string): void => {
    items.forEach((item) => {
      if (item.path.startsWith(path)) for (const variable of item.variables) known.adjoints.delete(variable);
    });
    edges.forEach((edge, i) => {
      if (items[edge.to].path.startsWith(path)) known.alongEdges.delete(i);
    });
  };

  let at = steps.length;
  let known = knownAt(at);
  let pinned: number | null = null;
  let hovered: { readonly item?: number; readonly edge?: number } | null = null;

  const show = (count: number): void => {
    at = Math.max(0, Math.min(steps.length, count));
    known = knownAt(at);
    const now = at > 0 && at < steps.length ? steps[at - 1] : null;
    itemElements.forEach((element, id) => {
      const isKnown =
        data.start === null || items[id].variables.some((variable) => known.values.has(variable));
      element.classList.toggle("pending", !isKnown && !holdsKnown(id));
      element.classList.toggle("now-forward", now?.item === id && now.phase === "forward");
      element.classList.toggle("now-backward", now?.item === id && now.phase === "backward");
      element.setAttribute("aria-label", sayItem(id));
    });
    edgeElements.forEach((element, id) => {
      element.classList.toggle("back", known.alongEdges.has(id));
      const isInto = now !== null && !now.enters && now.item === edges[id].to;
      element.classList.toggle("now-forward", isInto && now.phase === "forward");
      element.classList.toggle("now-backward", isInto && now.terms.some((term) => term.edge === id));
    });
    valueElements.forEach((element, variable) => {
      const summary = known.values.get(variable);
      element.textContent = summary === undefined ? "" : summaries[summary].short;
    });
    adjointElements.forEach((element, variable) => {
      element.textContent = known.adjoints.get(variable)?.at(-1)?.shown ?? "";
    });
    localElements.forEach((element, id) => {
      element.textContent = known.alongEdges.get(id)?.along ?? "";
    });
    turns.forEach((element, path) => {
      const turn = known.turns.get(path);
      element.textContent = turn === undefined ? "" : `· step ${turn}`;
    });
    const slider = document.getElementById("sweep") as HTMLInputElement | null;
    if (slider !== null) {
      slider.value = String(at);
      slider.setAttribute("aria-valuetext", sayStep());
    }
    showCaption();
    showDetails();
  };

  /** Whether something inside of an item is known: then it is being computed. */
  const holdsKnown = (id: number): boolean =>
    items.some((item) => item.parent === id && item.variables.some((variable) => known.values.has(variable)));

  const nameOf = (id: number): string => {
    const item = items[id];
    return item.family === "input" || item.variables.length === 0
      ? item.label
      : `${item.variables.map((variable) => variables[variable].name).join(", ")} ${item.label}`;
  };
  const sayItem = (id: number): string => {
    const said = [nameOf(id)];
    for (const variable of items[id].variables) {
      const value = known.values.get(variable);
      const adjoint = known.adjoints.get(variable)?.at(-1);
      said.push(variables[variable].type);
      if (value !== undefined) said.push(`value ${summaries[value].short}`);
      if (adjoint !== undefined) said.push(`adjoint ${summaries[adjoint.total].short}`);
    }
    return said.join(", ");
  };
  const stepText = (step: PageStep): string => {
    const turn = step.iteration === null ? "" : `, step ${step.iteration[0]} of ${step.iteration[1]}`;
    if (step.enters && step.item === null) return "the adjoint of the output is given";
    if (step.enters) return `into ${nameOf(step.item as number)}${turn}`;
    return `${nameOf(step.item as number)}${turn}`;
  };
  const sayStep = (): string => {
    if (at === 0) return "Start: the inputs are known";
    const { phase } = steps[at - 1];
    const before = steps.slice(0, at).filter((step) => step.phase === phase).length;
    const all = steps.filter((step) => step.phase === phase).length;
    return `${phase === "forward" ? "Forward" : "Backward"} ${before} of ${all}: ${stepText(steps[at - 1])}`;
  };
  const showCaption = (): void => {
    const caption = document.getElementById("caption");
    if (caption === null) return;
    const said = sayStep();
    const colon = said.indexOf(":") + 1;
    const { phase } = steps[Math.max(0, at - 1)] ?? { phase: "forward" };
    caption.replaceChildren(
      make("b", { className: at === 0 ? "" : phase }, said.slice(0, colon)),
      said.slice(colon),
    );
  };

  // The panel.

  const make = (
    tag: string,
    properties: Record<string, string>,
    ...children: (Node | string)[]
  ): HTMLElement => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const link = (id: number, text: string): HTMLElement => {
    const button = make("button", { className: "link", type: "button" }, text);
    button.addEventListener("click", () => pin(id, true));
    return button;
  };
  const numbers = (summary: Summary, color: string): HTMLElement[] => {
    const { stats, text } = summary;
    const rows: HTMLElement[] = [make("div", { className: `number ${color}` }, text)];
    if (stats !== undefined) {
      const pairs = Object.entries({ mean: stats.mean, min: stats.min, max: stats.max, norm: stats.norm });
      rows.push(
        make("dl", {}, ...pairs.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)])),
      );
    }
    return rows;
  };
  const isScalar = (summary: Summary): boolean => !summary.text.startsWith("[");
  const termSource = (term: PageTerm): HTMLElement | string => {
    if (term.edge === null) return `given to output ${term.output}`;
    const { from, to, argument, name } = edges[term.edge];
    const isDouble = edges.filter((edge) => edge.from === from && edge.to === to).length > 1;
    const as = argument === "" && isDouble ? name : argument;
    return make("span", {}, "through ", link(to, nameOf(to)), as === "" ? "" : ` as ${as}`);
  };
  const adjointRows = (variable: number): Node[] => {
    const terms = known.adjoints.get(variable);
    if (terms === undefined) return [];
    const total = summaries[terms[terms.length - 1].total];
    const rows: Node[] = [make("h3", {}, "Adjoint")];
    if (terms.length === 1) rows.push(...numbers(total, "backward"));
    else if (isScalar(total)) {
      const sum = terms.map((term) => summaries[term.term].text).join(" + ");
      rows.push(
        make("div", { className: "sum", id: "sum" }, `${sum.replaceAll("+ -", "- ")} = ${total.text}`),
      );
    } else {
      rows.push(make("p", {}, `The sum of ${terms.length} contributions:`), ...numbers(total, "backward"));
    }
    const list = terms.map((term) =>
      make(
        "li",
        {},
        termSource(term),
        make("span", { className: "end backward" }, summaries[term.term].short),
      ),
    );
    rows.push(make("ul", { className: "contributions" }, ...list));
    return rows;
  };

  /** What a variable of a loop's body was in each step so far. */
  const turnRows = (variable: number): Node[] => {
    const rows: [value: string, adjoint: string][] = [];
    for (const { iteration, values, terms } of steps.slice(0, at)) {
      if (iteration === null) continue;
      const row = (rows[iteration[0] - 1] ??= ["", ""]);
      for (const [other, summary] of values) if (other === variable) row[0] = summaries[summary].short;
      for (const term of terms) if (term.variable === variable) row[1] = `∂ ${summaries[term.total].short}`;
    }
    if (!rows.some(([value, adjoint]) => value !== "" || adjoint !== "")) return [];
    const list = rows.map(([value, adjoint], i) =>
      make(
        "li",
        {},
        `${i + 1}`,
        make("span", { className: "end forward" }, value),
        make("span", { className: "end backward" }, adjoint),
      ),
    );
    return [make("h3", {}, "In each step"), make("ul", {}, ...list)];
  };

  const describeItem = (id: number): Node[] => {
    const item = items[id];
    const single = item.variables.length === 1 ? variables[item.variables[0]] : undefined;
    const head = make("h2", {}, item.label);
    if (single !== undefined && single.name !== item.label)
      head.append(make("span", { className: "id" }, single.name));
    const kind = [familyNames[item.family] ?? item.family, ...(single === undefined ? [] : [single.type])];
    if (item.frame !== "") kind.push(`in ${item.frame}`);
    if (item.outputs.length > 0) kind.push(item.outputs.join(", "));
    const family = item.family === "shape" ? "shape-family" : item.family;
    const rows: Node[] = [
      head,
      make("div", { className: `kind ${family}` }, make("i", {}), kind.join(" · ")),
    ];
    for (const variable of item.variables) {
      const value = known.values.get(variable);
      if (single === undefined)
        rows.push(make("h3", {}, `${variables[variable].name}: ${variables[variable].type}`));
      if (value !== undefined)
        rows.push(
          ...(single === undefined ? [] : [make("h3", {}, "Value")]),
          ...numbers(summaries[value], "forward"),
        );
      rows.push(...adjointRows(variable), ...turnRows(variable));
    }
    const into = edges.flatMap((edge, i) => (edge.to === id ? [i] : []));
    if (into.length > 0) {
      const list = into.map((i) => {
        const { from, argument } = edges[i];
        const along = known.alongEdges.get(i);
        return make(
          "li",
          {},
          make("span", {}, link(from, nameOf(from)), argument === "" ? "" : ` as ${argument}`),
          make("span", { className: "end backward" }, along?.along ?? ""),
        );
      });
      rows.push(make("h3", {}, known.alongEdges.size > 0 ? "Inputs and local derivatives" : "Inputs"));
      rows.push(make("ul", {}, ...list));
    }
    const users = [...new Set(edges.flatMap((edge) => (edge.from === id ? [edge.to] : [])))];
    if (users.length > 0) {
      rows.push(make("h3", {}, users.length === 1 ? "Used by" : `Used by ${users.length}`));
      rows.push(make("ul", {}, ...users.map((user) => make("li", {}, link(user, nameOf(user))))));
    }
    if (item.params.length > 0) {
      rows.push(make("h3", {}, "Parameters"));
      rows.push(...item.params.map((param) => make("div", {}, make("code", {}, param))));
    }
    if (item.line !== null) {
      const place = item.line.replace(/^.*[/\\]/, "");
      rows.push(make("h3", {}, "Source"), make("code", { title: item.line }, place));
    }
    if (item.recomputed !== null) rows.push(make("h3", {}, "Memory"), make("p", {}, item.recomputed));
    if (item.cluster !== null) {
      const others = data.clusters[item.cluster].filter((other) => other !== id);
      rows.push(make("h3", {}, "Fused with"));
      rows.push(make("ul", {}, ...others.map((other) => make("li", {}, link(other, nameOf(other))))));
    }
    return rows;
  };
  const describeEdge = (id: number): Node[] => {
    const { from, to, variable, argument } = edges[id];
    const rows: Node[] = [
      make("h2", {}, "Edge"),
      make("div", { className: "kind" }, variables[variable].type),
      make("p", {}, "from ", link(from, nameOf(from))),
      make("p", {}, "to ", link(to, nameOf(to)), argument === "" ? "" : ` as ${argument}`),
    ];
    const along = known.alongEdges.get(id);
    if (along === undefined) return rows;
    if (along.local !== null) {
      const what = isScalar(summaries[along.local]) ? "Local derivative" : "Local derivative, elementwise";
      rows.push(make("h3", {}, what), ...numbers(summaries[along.local], "backward"));
    }
    rows.push(make("h3", {}, "Contribution to the adjoint"), ...numbers(summaries[along.term], "backward"));
    return rows;
  };
  const familyNames: Record<string, string> = {
    shape: "shape and indexing",
    discrete: "no derivative",
    control: "nested graph",
  };
  /** What came of it all: the outputs, and the derivatives with respect to the inputs. */
  const describePage = (): Node[] => {
    const rows: Node[] = [];
    const list = (title: string, entries: readonly (readonly [number, string, string])[]): void => {
      if (entries.length === 0) return;
      const rowsOf = entries.map(([id, text, color]) =>
        make("li", {}, link(id, items[id].label), make("span", { className: `end ${color}` }, text)),
      );
      rows.push(make("h3", {}, title), make("ul", {}, ...rowsOf));
    };
    const outer = items.flatMap((item, id) => (item.path === "" ? [id] : []));
    const shown =
      (kind: "values" | "adjoints") =>
      (id: number): readonly (readonly [number, string, string])[] =>
        items[id].variables.flatMap((variable) => {
          const summary =
            kind === "values" ? known.values.get(variable) : known.adjoints.get(variable)?.at(-1)?.total;
          if (summary === undefined) return [];
          return [[id, summaries[summary].short, kind === "values" ? "forward" : "backward"] as const];
        });
    const isInput = (id: number): boolean => items[id].family === "input";
    list("Inputs", outer.filter(isInput).flatMap(shown("values")));
    list("Output", outer.filter((id) => items[id].outputs.length > 0).flatMap(shown("values")));
    list("Derivatives of the output", outer.filter(isInput).flatMap(shown("adjoints")));
    if (data.notice !== null) rows.push(make("h3", {}, "Note"), make("p", {}, data.notice));
    rows.push(
      make("h3", {}, "How to read this"),
      make(
        "p",
        {},
        data.start === null
          ? "The graph was drawn without inputs, so it has no values."
          : "Values come forward along the edges, adjoints go back: multiplied along an edge, added where several meet. " +
              "Play the sweeps below to see them come and go.",
      ),
      make(
        "p",
        {},
        "Point at a node or an edge, or walk through them with Tab. Enter or a click keeps one here.",
      ),
    );
    return rows;
  };
  const showDetails = (): void => {
    const now = at > 0 && at < steps.length ? steps[at - 1].item : null;
    const item = hovered === null ? (pinned ?? now) : (hovered.item ?? null);
    const edge = hovered?.edge;
    details.replaceChildren(
      ...(edge !== undefined ? describeEdge(edge) : item !== null ? describeItem(item) : describePage()),
    );
    const near =
      item === null ? [] : edges.flatMap(({ from, to }, i) => (from === item || to === item ? [i] : []));
    edgeElements.forEach((element, id) => element.classList.toggle("near", near.includes(id)));
  };
  const pin = (id: number | null, isShown: boolean): void => {
    pinned = id;
    hovered = null;
    itemElements.forEach((element, item) => element.classList.toggle("pinned", item === id));
    if (id !== null && isShown) bringIntoView(id);
    showDetails();
  };

  itemElements.forEach((element, id) => {
    const over = (event: Event): void => {
      event.stopPropagation();
      hovered = { item: id };
      showDetails();
    };
    element.addEventListener("pointerover", over);
    element.addEventListener("focus", (event) => {
      over(event);
      if (element.matches(":focus-visible")) bringIntoView(id);
    });
    const out = (): void => {
      hovered = null;
      showDetails();
    };
    element.addEventListener("pointerout", out);
    element.addEventListener("blur", out);
    element.addEventListener("keydown", (event) => {
      if (event.target !== element || event.key !== "Enter") return;
      event.preventDefault();
      pin(id, false);
    });
  });
  edgeElements.forEach((element, id) => {
    element.addEventListener("pointerover", () => {
      hovered = { edge: id };
      showDetails();
    });
    element.addEventListener("pointerout", () => {
      hovered = null;
      showDetails();
    });
  });

  // The view: a part of the picture, by the viewBox.

  const view = { x: 0, y: 0, width: data.box.width, height: data.box.height };
  const setView = (x: number, y: number, width: number, height: number): void => {
    Object.assign(view, { x, y, width, height });
    canvas.setAttribute("viewBox", [x, y, width, height].map((n) => Math.round(n * 100) / 100).join(" "));
  };
  const size = (): { readonly width: number; readonly height: number } => {
    const { clientWidth, clientHeight } = canvas;
    return { width: Math.max(1, clientWidth), height: Math.max(1, clientHeight) };
  };
  /** The whole picture, not larger than life. */
  const fit = (): void => {
    const room = size();
    const scale = Math.min(1.25, room.width / (data.box.width + 24), room.height / (data.box.height + 24));
    const [width, height] = [room.width / scale, room.height / scale];
    setView((data.box.width - width) / 2, (data.box.height - height) / 2, width, height);
  };
  const zoom = (factor: number, x = view.x + view.width / 2, y = view.y + view.height / 2): void => {
    const limited = Math.max(
      60 / view.width,
      Math.min((4 * Math.max(data.box.width, 1000)) / view.width, factor),
    );
    setView(
      x - (x - view.x) * limited,
      y - (y - view.y) * limited,
      view.width * limited,
      view.height * limited,
    );
  };
  const pan = (x: number, y: number): void => setView(view.x + x, view.y + y, view.width, view.height);
  const pointAt = (event: MouseEvent): readonly [number, number] => {
    const { left, top } = canvas.getBoundingClientRect();
    const scale = view.width / size().width;
    return [view.x + (event.clientX - left) * scale, view.y + (event.clientY - top) * scale];
  };
  const bringIntoView = (id: number): void => {
    const [x, y, width, height] = items[id].box;
    const isVisible =
      x >= view.x && y >= view.y && x + width <= view.x + view.width && y + height <= view.y + view.height;
    if (isVisible) return;
    setView(x + width / 2 - view.width / 2, y + height / 2 - view.height / 2, view.width, view.height);
  };

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const [x, y] = pointAt(event);
      zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.0035), x, y);
    },
    { passive: false },
  );
  let drag: { readonly x: number; readonly y: number; moved: boolean } | null = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag === null || event.buttons === 0) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    if (!drag.moved) canvas.setPointerCapture(event.pointerId);
    canvas.classList.add("dragging");
    const scale = view.width / size().width;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    pan(-dx * scale, -dy * scale);
  });
  canvas.addEventListener("pointerup", (event) => {
    const wasDragged = drag?.moved ?? false;
    drag = null;
    canvas.classList.remove("dragging");
    if (wasDragged) return;
    const sign = (event.target as Element).closest("[data-sign]");
    if (sign !== null) {
      pin(Number(sign.getAttribute("data-sign")), true);
      return;
    }
    const target = (event.target as Element).closest("[data-item]");
    pin(target === null ? null : Number(target.getAttribute("data-item")), false);
  });
  byId("zoom-in").addEventListener("click", () => zoom(0.8));
  byId("zoom-out").addEventListener("click", () => zoom(1.25));
  byId("zoom-fit").addEventListener("click", fit);
  window.addEventListener("resize", () => {
    const room = size();
    const [x, y] = [view.x + view.width / 2, view.y + view.height / 2];
    const height = (view.width * room.height) / room.width;
    setView(x - view.width / 2, y - height / 2, view.width, height);
  });

  // The sweeps.

  let playing: number | null = null;
  const icons = { play: "M4 2v12l10-6z", pause: "M3 2h4v12H3zM9 2h4v12H9z" };
  const showPlay = (): void => {
    const button = document.getElementById("play");
    if (button === null) return;
    const what = playing === null ? "play" : "pause";
    button.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${icons[what]}"/></svg>`;
    button.setAttribute("aria-label", what === "play" ? "Play" : "Pause");
  };
  const stop = (): void => {
    if (playing !== null) window.clearInterval(playing);
    playing = null;
    showPlay();
  };
  const go = (count: number): void => {
    stop();
    show(count);
  };
  const play = (): void => {
    if (playing !== null) {
      stop();
      return;
    }
    if (at === steps.length) show(0);
    // A long sweep goes faster, so that none takes much more than half a minute.
    const pause = Math.max(60, Math.min(900, 30_000 / Math.max(1, steps.length)));
    playing = window.setInterval(() => {
      show(at + 1);
      const { item } = steps[at - 1];
      if (item !== null) bringIntoView(item);
      if (at === steps.length) stop();
    }, pause);
    showPlay();
  };
  const on = (id: string, event: string, act: (element: HTMLInputElement) => void): void => {
    const element = document.getElementById(id) as HTMLInputElement | null;
    element?.addEventListener(event, () => act(element));
  };
  on("play", "click", play);
  on("first", "click", () => go(0));
  on("next", "click", () => go(at + 1));
  on("previous", "click", () => go(at - 1));
  on("sweep", "input", (slider) => go(Number(slider.value)));

  // The search.

  const search = byId("search") as HTMLInputElement;
  let found: number[] = [];
  let foundAt = -1;
  const textOf = (id: number): string => {
    const item = items[id];
    const names = item.variables.map((variable) => `${variables[variable].name} ${variables[variable].type}`);
    return [item.name, item.label, ...names, ...item.params, item.line ?? ""].join(" ").toLowerCase();
  };
  const showFound = (): void => {
    const query = search.value.trim().toLowerCase();
    // A variable by its whole number: %1 is not %12.
    const matches = (id: number): boolean =>
      /^%\d+$/.test(query)
        ? items[id].variables.some((variable) => variables[variable].name === query)
        : textOf(id).includes(query);
    found = query === "" ? [] : items.flatMap((_, id) => (matches(id) ? [id] : []));
    foundAt = -1;
    canvas.classList.toggle("searching", query !== "");
    itemElements.forEach((element, id) => element.classList.toggle("found", found.includes(id)));
    byId("found").textContent = query === "" ? "" : `${found.length} found`;
  };
  search.addEventListener("input", showFound);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      showFound();
      search.blur();
    }
    if (event.key !== "Enter" || found.length === 0) return;
    foundAt = (foundAt + (event.shiftKey ? found.length - 1 : 1) + found.length) % found.length;
    byId("found").textContent = `${foundAt + 1} of ${found.length}`;
    pin(found[foundAt], true);
  });

  // Keys, and the colour scheme.

  const keys: Record<string, () => void> = {
    n: () => go(at + 1),
    p: () => go(at - 1),
    " ": play,
    Home: () => go(0),
    End: () => go(steps.length),
    "+": () => zoom(0.8),
    "=": () => zoom(0.8),
    "-": () => zoom(1.25),
    "0": fit,
    ArrowLeft: () => pan(-view.width / 12, 0),
    ArrowRight: () => pan(view.width / 12, 0),
    ArrowUp: () => pan(0, -view.height / 12),
    ArrowDown: () => pan(0, view.height / 12),
    "/": () => search.focus(),
    Escape: () => pin(null, false),
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target as Element;
    if (event.ctrlKey || event.metaKey || event.altKey || target === search) return;
    // A slider has its own arrows; a button its own space.
    const isOwn =
      target.id === "sweep" ? /^(Arrow|Home|End)/ : target.tagName === "BUTTON" ? /^( |Enter)$/ : /^$/;
    const act = keys[event.key];
    if (act === undefined || isOwn.test(event.key)) return;
    event.preventDefault();
    act();
  });
  byId("scheme").addEventListener("click", () => {
    const root = document.documentElement;
    const isDark =
      getComputedStyle(root).colorScheme === "dark" || matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset["scheme"] =
      (root.dataset["scheme"] ?? (isDark ? "dark" : "light")) === "dark" ? "light" : "dark";
  });

  /** The whole picture if it can be read like that; else its beginning, in a size that can. */
  const begin = (): void => {
    fit();
    const least = 0.4;
    const room = size();
    if (room.width / view.width >= least) return;
    const readable = 0.65;
    const [width, height] = [room.width / readable, room.height / readable];
    const along = data.box.height > data.box.width;
    const [x, y] = items[0]?.box ?? [0, 0];
    const middle = (all: number, part: number, near: number): number =>
      all <= part ? (all - part) / 2 : Math.max(-12, Math.min(all - part + 12, near - part / 2));
    setView(
      along ? middle(data.box.width, width, x) : -12,
      along ? -12 : middle(data.box.height, height, y),
      width,
      height,
    );
  };

  begin();
  showPlay();
  show(steps.length);
}
