"use strict";
// Shows the nest of a network: parts open and fold on a click. The data is described in explorer.py.

const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("network");
const facts = document.getElementById("facts");
const search = document.getElementById("search");
const found = document.getElementById("found");
const heat = document.getElementById("heat");

const parts = new Map(); // every item that is a box, by its key
const around = new Map(); // for each key, the key of what must be open to show it
const open = new Set(); // the keys of what is open
let here = null; // the key that has the focus
let most = {}; // the largest number that is shown, for heat

// ---------------------------------------------------------------- data

const inner = (item) => [
  ...(item.i ?? []),
  ...(item.h ?? []),
  ...(item.b ?? []).flatMap((b) => b[2]),
];

function index(items, outer, level) {
  for (const item of items) {
    if (item.f) {
      parts.set(item.k, item);
      around.set(item.k, outer);
    }
    const opens = item.i !== undefined;
    if (opens && (data.open.includes(item.k) || (!item.u && level < data.depth))) open.add(item.k);
    index(inner(item), opens ? item.k : outer, opens ? level + 1 : level);
  }
}

function reveal(key) {
  for (let outer = around.get(key); outer !== null; outer = around.get(outer)) open.add(outer);
}

// ---------------------------------------------------------------- elements

function make(tag, names = "", ...children) {
  const element = document.createElement(tag);
  if (names) element.className = names;
  element.append(...children);
  return element;
}

function edge(text, { caption = "", names = "arrow" } = {}) {
  const element = make("div", `edge ${names} ${text || caption ? "said" : ""}`);
  if (caption) element.append(make("span", "caption", caption));
  if (text) element.append(make("span", "", text));
  return element;
}

const NUMBERS = {
  "multiply-adds": (f) => f[2],
  parameters: (f) => f[1],
  "receptive-field": (f) => f[4],
};

const rgb = (name) => {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1);
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
};

function coloured(button, item) {
  const number = NUMBERS[heat.value];
  const kind = item.c.replace(" ", "-");
  button.style.setProperty("--border", `var(--${kind}-line)`);
  button.style.setProperty("--fill", `var(--${kind}-fill)`);
  button.style.color = "";
  if (!number || button.parentElement.classList.contains("card")) return;
  const share = 2 * Math.min(number(item.f) / (most[heat.value] || 1), 1);
  const [low, high] =
    share <= 1 ? [rgb("--heat-0"), rgb("--heat-1")] : [rgb("--heat-1"), rgb("--heat-2")];
  const mixed = low.map((from, at) => from + (high[at] - from) * (share <= 1 ? share : share - 1));
  button.style.setProperty("--fill", `rgb(${mixed.map(Math.round).join(" ")})`);
  // Black or white, whichever has the larger contrast (WCAG 2.2, "relative luminance").
  const linear = mixed
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  button.style.color = luminance > 0.179 ? "#1b2330" : "#ffffff";
}

function part(item, names = "") {
  const button = make("button", `part ${names}`);
  button.type = "button";
  button.dataset.key = item.k;
  button.tabIndex = -1;
  if (item.t) button.append(make("b", "", item.t));
  button.append(item.x);
  if (item.c === "input") button.classList.add("input");
  if (/^\d+ ×/.test(item.x) && !open.has(item.k)) button.classList.add("many");
  if (item.i) {
    button.classList.add("folds");
    button.setAttribute("aria-expanded", open.has(item.k));
  }
  button.setAttribute(
    "aria-label",
    [item.t, item.x, `output ${item.f[0]}`].filter(Boolean).join(", "),
  );
  return button;
}

const SIGNS = { add: "+", mul: "×" };
const shapes = new Map(); // what edges say, by value
const givers = new Map(); // the element that gives a value
const jumps = []; // [value, element]: values that are fetched from further back

// Rows: `said` is what edges said last, so that a shape is only written where it changes.
function row(items, source, said, last = null) {
  const element = make("div", "row");
  let current = source;
  for (const [at, item] of items.entries()) {
    const first = element.childElementCount === 0;
    if (item.h) {
      const next = items.slice(at).find((each) => !each.h);
      element.append(
        head(item, shapes.get(current) ?? said, next === undefined || next.s === current),
      );
      continue;
    }
    const next = first ? said : (shapes.get(current) ?? said);
    const [made, takes] = shown(item, next);
    if (!first) {
      const apart = item.s !== current || !takes;
      element.append(
        edge(!apart && next !== said ? next : "", {
          names: apart ? "apart" : made.dataset.bus ? "" : "arrow",
        }),
      );
    }
    if (item.s !== current) jumps.push([item.s, made]);
    said = next;
    element.append(made);
    current = item.v;
    givers.set(item.v, made);
  }
  const after = shapes.get(last ?? current) ?? "";
  return [element, after === said ? "" : after, said];
}

// A head beside the row, whose line goes on unless nothing behind takes its value.
function head(item, said, goesOn) {
  const [inside, after] = row(item.h, item.s, said);
  const column = make("div", "head", edge("", { caption: item.t }), inside, edge(after));
  return make("div", goesOn ? "side" : "side ends", edge("", { names: "" }), column);
}

// Returns the element of an item, and whether it takes the value in front of it.
function shown(item, said) {
  if (item.b) return fork(item, said);
  if (!item.i || !open.has(item.k)) return [part(item), true];
  const [inside] = row(item.i, item.s, said);
  const bus = inside.firstElementChild?.dataset.bus;
  inside.prepend(edge("", { names: bus ? "" : "arrow" }));
  inside.append(edge("", { names: "" }));
  return [make("section", "card", part(item), inside), true];
}

function fork(item, said) {
  const sign = SIGNS[item.x];
  const branches = make("div", "branches");
  let takes = false;
  // A value that goes past the branches of an add or mul is an arc beside them.
  const passes = (b) => b[2].length === 0 && b[1] === item.s;
  const order = sign ? [...item.b.filter((b) => !passes(b)), ...item.b.filter(passes)] : item.b;
  for (const [label, value, items] of order) {
    const branch = make("div", "branch");
    const fetched = items.length ? items[0].s !== item.s : value !== item.s;
    takes ||= !fetched;
    if (!fetched) branch.dataset.takes = "yes";
    const [inside, after, before] = row(items, item.s, said, value);
    branch.append(
      edge("", { caption: label, names: fetched ? "apart" : items.length ? "arrow" : "" }),
    );
    if (items.length) branch.append(inside);
    branch.append(edge(items.length ? after : "", { names: `grow ${sign ? "" : "arrow"}` }));
    if (!items.length && fetched) jumps.push([value, branch.lastChild]);
    branches.append(branch);
  }
  const join = part(sign ? { ...item, t: "", x: sign } : item, sign ? "circle" : "bar");
  const element = make("div", `fork ${sign ? "dot" : ""}`, branches);
  if (sign) element.append(edge("", { names: "arrow" }));
  element.append(join);
  element.dataset.bus = "yes";
  return [element, takes];
}

// Draws the lines across branches: above those that take the value in front, and below all of an add
// or mul.
function drawBuses() {
  for (const branches of main.querySelectorAll(".branches")) {
    const base = branches.getBoundingClientRect();
    const sides = branches.parentElement.classList.contains("dot") ? ["top", "bottom"] : ["top"];
    for (const side of sides) {
      const joined = [...branches.children].filter(
        (each) => side === "bottom" || each.dataset.takes,
      );
      if (!joined.length) continue;
      const middles = joined
        .map((each) => each.getBoundingClientRect())
        .map((box) => box.left + box.width / 2);
      middles.push(base.left + base.width / 2);
      const bus = make("div", `bus ${side}`);
      bus.style.left = `${Math.min(...middles) - base.left - 0.6}px`;
      bus.style.right = `${base.right - Math.max(...middles) - 0.6}px`;
      branches.append(bus);
    }
  }
}

// Draws the values that are fetched from further back, in front of everything between.
function drawJumps() {
  document.getElementById("jumps")?.remove();
  if (!jumps.length) return;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.id = "jumps";
  svg.setAttribute("aria-hidden", "true");
  svg.innerHTML =
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 1L8 4L0 7z"/></marker>';
  const base = main.getBoundingClientRect();
  const placed = [...main.querySelectorAll(".part")].map((each) => each.getBoundingClientRect());
  const inside = (element, names) =>
    (element.querySelector(names) ?? element).getBoundingClientRect();
  jumps.forEach(([value, target], number) => {
    const source = givers.get(value);
    if (!source) return;
    const from = inside(source, ":scope > .bar, :scope > .circle");
    const to = inside(target, ":scope > .branches");
    const line = target.classList.contains("edge"); // the line of a branch without items
    const ay = from.bottom - 0.3 * Math.min(from.height, 40);
    const by = line ? to.top + 2 : to.top + 0.3 * Math.min(to.height, 40);
    const bx = line ? to.left + to.width / 2 : to.left;
    const between = placed.filter((box) => box.bottom > ay && box.top < by).map((box) => box.left);
    const lane = Math.min(from.left, bx, ...between) - 14 - 5 * (number % 4);
    const [x, y] = [-base.left + main.scrollLeft, -base.top + main.scrollTop];
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", `M${from.left + x} ${ay + y}H${lane + x}V${by + y}H${bx + x}`);
    if (!line) path.setAttribute("marker-end", "url(#tip)");
    svg.append(path);
  });
  main.append(svg);
}

function draw() {
  jumps.length = 0;
  givers.clear();
  const [network, after] = row(data.items, data.items[0].s, "");
  network.append(edge(after));
  main.replaceChildren(network);
  const boxes = [...main.querySelectorAll(".part")];
  const visible = boxes.filter((box) => !box.parentElement.classList.contains("card"));
  for (const name of Object.keys(NUMBERS)) {
    most[name] = Math.max(...visible.map((box) => NUMBERS[name](parts.get(box.dataset.key).f)));
  }
  for (const box of boxes) coloured(box, parts.get(box.dataset.key));
  (box(here) ?? boxes[0]).tabIndex = 0;
  drawBuses();
  drawJumps();
  legend(boxes);
}

function legend(boxes) {
  const element = document.getElementById("legend");
  const name = heat.value;
  if (NUMBERS[name]) {
    const unit = name === "receptive-field" ? " px" : "";
    element.replaceChildren("0", make("i", "scale"), `${most[name].toLocaleString("en")}${unit}`);
    return;
  }
  const kinds = new Set(boxes.map((each) => parts.get(each.dataset.key).c));
  element.replaceChildren(
    ...[...kinds]
      .filter((kind) => kind !== "input" && kind !== "join")
      .map((kind) => {
        const swatch = make("i");
        swatch.style.background = `var(--${kind.replace(" ", "-")}-fill)`;
        swatch.style.borderColor = `var(--${kind.replace(" ", "-")}-line)`;
        return make("span", "", swatch, kind);
      }),
  );
}

// ---------------------------------------------------------------- what is known

const box = (key) =>
  key === null ? null : main.querySelector(`.part[data-key="${CSS.escape(key)}"]`);

function describe(key) {
  const item = parts.get(key);
  if (!item) return facts.replaceChildren();
  const [shape, parameters, cost, field, , place, said] = item.f;
  const list = make("dl");
  const lines = [
    ["what", item.x],
    ["with", item.g],
    ["output", shape],
    ["parameters", parameters && parameters.toLocaleString("en")],
    ["multiply-adds", cost && cost.toLocaleString("en")],
    ["receptive field", field],
    [place, make("code", "", said)],
  ];
  for (const [name, text] of lines)
    if (text) list.append(make("dt", "", name), make("dd", "", text));
  facts.replaceChildren(make("h2", "", key), list);
}

function focus(key, { scroll = false } = {}) {
  main.querySelector(".here")?.classList.remove("here");
  for (const each of main.querySelectorAll('.part[tabindex="0"]')) each.tabIndex = -1;
  here = key;
  const element = box(key);
  if (!element) return;
  element.tabIndex = 0;
  element.classList.add("here");
  element.focus({ preventScroll: !scroll });
  if (scroll) element.scrollIntoView({ block: "center", inline: "center" });
  describe(key);
  remember();
}

function toggle(key) {
  const item = parts.get(key);
  if (item.i) {
    const before = box(key).getBoundingClientRect();
    if (!open.delete(key)) open.add(key);
    draw();
    const after = box(key).getBoundingClientRect(); // what was clicked stays where it was
    main.scrollLeft += after.left - before.left;
    window.scrollBy(0, after.top - before.top);
  }
  focus(key);
}

// The nearest box in a direction: a step aside counts more than one ahead.
function neighbour(key, [dx, dy]) {
  const middle = (element) => {
    const place = element.getBoundingClientRect();
    return [place.left + place.width / 2, place.top + Math.min(place.height, 40) / 2];
  };
  const [x, y] = middle(box(key));
  let best = null;
  let least = Infinity;
  for (const each of main.querySelectorAll(".part")) {
    const [ox, oy] = middle(each);
    const ahead = (ox - x) * dx + (oy - y) * dy;
    const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    if (ahead > 4 && ahead + 3 * aside < least) [best, least] = [each, ahead + 3 * aside];
  }
  return best?.dataset.key ?? null;
}

const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

main.addEventListener("click", (event) => {
  const key = event.target.closest(".part")?.dataset.key;
  if (key) toggle(key);
});
main.addEventListener("mouseover", (event) => {
  const key = event.target.closest(".part")?.dataset.key;
  if (key) describe(key);
});
main.addEventListener("mouseleave", () => describe(here));
main.addEventListener("focusin", (event) => {
  const key = event.target.closest(".part")?.dataset.key;
  if (key && key !== here) focus(key);
});
main.addEventListener("keydown", (event) => {
  const key = event.target.closest(".part")?.dataset.key;
  if (!key || event.ctrlKey || event.metaKey || event.altKey) return;
  const outer = around.get(key);
  const next = ARROWS[event.key]
    ? neighbour(key, ARROWS[event.key])
    : event.key === "Escape"
      ? outer
      : null;
  if (!next) return;
  event.preventDefault();
  focus(next, { scroll: true });
});

// ---------------------------------------------------------------- search

function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = [];
  if (words.length) {
    for (const [key, item] of parts) {
      const text = `${key} ${item.x}`.toLowerCase();
      if (words.every((word) => text.includes(word))) hits.push(item);
    }
    hits.sort((a, b) => a.k.length - b.k.length);
  }
  found.replaceChildren(
    ...hits.slice(0, 12).map((item, at) => {
      const line = make("li", "", item.k, make("small", "", item.x));
      line.id = `found-${at}`;
      line.dataset.key = item.k;
      line.setAttribute("role", "option");
      return line;
    }),
  );
  if (hits.length > 12) found.append(make("li", "", `and ${hits.length - 12} more`));
  if (words.length && !hits.length) found.append(make("li", "", "nothing has such a name"));
  found.hidden = !words.length;
  search.setAttribute("aria-expanded", String(!found.hidden));
  choose(0);
}

function choose(at) {
  const lines = [...found.querySelectorAll("[role=option]")];
  for (const line of lines) line.setAttribute("aria-selected", "false");
  const line = lines[(at + lines.length) % lines.length];
  line?.setAttribute("aria-selected", "true");
  if (line) search.setAttribute("aria-activedescendant", line.id);
  else search.removeAttribute("aria-activedescendant");
}

function go(key) {
  reveal(key);
  draw();
  found.hidden = true;
  search.setAttribute("aria-expanded", "false");
  focus(key, { scroll: true });
}

search.addEventListener("input", find);
search.addEventListener("keydown", (event) => {
  const lines = [...found.querySelectorAll("[role=option]")];
  const at = lines.findIndex((line) => line.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    choose(at + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (lines[at]) go(lines[at].dataset.key);
  } else if (event.key === "Escape") {
    found.hidden = true;
  }
});
found.addEventListener("mousedown", (event) => {
  const key = event.target.closest("[role=option]")?.dataset.key;
  event.preventDefault();
  if (key) go(key);
});
search.addEventListener("blur", () => {
  found.hidden = true;
});
document.getElementById("definitions")?.addEventListener("click", (event) => {
  const key = event.target.closest("[data-use]")?.dataset.use;
  if (key) go(key);
});
document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());

// ---------------------------------------------------------------- the address and the buttons

// What is open, where one is and what colours: #open=a,b&at=c&heat=parameters
function remember() {
  const words = [];
  if (open.size) words.push(`open=${[...open].join(",")}`);
  if (here !== null) words.push(`at=${here}`);
  if (heat.value !== "kind") words.push(`heat=${heat.value}`);
  history.replaceState(
    null,
    "",
    words.length ? `#${words.join("&")}` : location.pathname + location.search,
  );
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // an address that was cut off, as in `%`
  }
}

function recall() {
  const said = decoded(location.hash.slice(1)).split("&");
  const words = new Map(said.map((word) => word.split("=")));
  if (words.has("open") || words.has("at")) {
    open.clear();
    for (const key of (words.get("open") ?? "").split(",")) if (parts.get(key)?.i) open.add(key);
  }
  if (NUMBERS[words.get("heat")]) heat.value = words.get("heat");
  const at = words.get("at");
  if (parts.has(at)) reveal(at);
  draw();
  if (parts.has(at)) focus(at, { scroll: true });
}

heat.addEventListener("change", () => {
  draw();
  remember();
});
document.getElementById("open-all").addEventListener("click", () => {
  for (const item of parts.values()) if (item.i && !item.u) open.add(item.k);
  draw();
  remember();
});
document.getElementById("fold-all").addEventListener("click", () => {
  open.clear();
  while (here !== null && around.get(here) !== null) here = around.get(here);
  draw();
  remember();
});
document.getElementById("theme").addEventListener("click", () => {
  const page = document.documentElement;
  page.dataset.theme = page.dataset.theme === "dark" ? "light" : "dark";
  draw();
});
window.addEventListener("hashchange", recall);
window.addEventListener("resize", drawJumps);
document.getElementById("definitions")?.addEventListener("toggle", drawJumps);

index(data.items, null, 1);
for (const item of parts.values()) shapes.set(item.v, item.f[0]);
heat.value = data.heat;
recall();
