// The page: the editor on the left, what incgen makes of the spec on the right.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import {
  EditorView, drawSelection, highlightActiveLine, highlightSpecialChars, hoverTooltip, keymap, lineNumbers,
} from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";

import { inc } from "./language.js";
import { linkOf, meaning } from "./link.js";
import { markdown } from "./markdown.js";

const WAIT = 120; // milliseconds without typing before a spec is read
const IDLE = 1000; // and after the first one before what completion needs is loaded ahead
const root = document.querySelector("#workbench");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const shown = JSON.parse(document.querySelector("#playground-data").textContent);

// ---------------------------------------------------------------- the worker

const open = new Map();
let calls = 0;

// A page that was opened from a folder may start no worker from a file, nor fetch any: there, both come as a
// script. And there the theme has put something else in the place of `Worker`.
async function startWorker() {
  if (location.protocol !== "file:") {
    const from = new URL("playground/", document.baseURI).href;
    return answering(new BrowserWorker(`${from}worker.js`), { from });
  }
  await new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement("script"), {
      src: "playground/files.js", onload: resolve, onerror: () => reject(new Error("playground/files.js is missing")),
    }));
  });
  const { program, ...packed } = self.playgroundFiles;
  const worker = new BrowserWorker(URL.createObjectURL(new Blob([program], { type: "text/javascript" })));
  const files = {};
  for (const [name, text] of Object.entries(packed)) {
    files[name] = await (await fetch(`data:application/gzip;base64,${text}`)).blob();
  }
  return answering(worker, { files });
}

function answering(worker, beginning) {
  worker.onmessage = ({ data: { id, value, failure } }) => {
    const { resolve, reject } = open.get(id);
    open.delete(id);
    failure === undefined ? resolve(value) : reject(new Error(failure));
  };
  worker.onerror = (event) => status(`the program could not be started: ${event.message ?? "no worker"}`, "error");
  worker.postMessage(beginning);
  return worker;
}

const started = startWorker();
async function ask(call, ...given) {
  const worker = await started;
  return new Promise((resolve, reject) => {
    calls += 1;
    open.set(calls, { resolve, reject });
    worker.postMessage({ id: calls, call, given });
  });
}

// ---------------------------------------------------------------- the editor

const common = [highlightSpecialChars(), drawSelection(), syntaxHighlighting(classHighlighter), bracketMatching()];

async function offered(context) {
  const word = context.matchBefore(/[\w.]*/);
  if (!context.explicit && word.from === word.to && !/[ =]$/.test(context.state.sliceDoc(0, context.pos))) return null;
  const found = await ask("complete", context.state.doc.toString(), context.pos);
  if (context.aborted || !found.length) return null;
  const options = found.map(({ label, detail, info, apply }) => ({
    label,
    detail,
    apply,
    info: info ? () => markdown(info) : undefined,
  }));
  return { from: word.from, options, validFor: /^[\w.]*$/ };
}

const hovered = hoverTooltip(async (view, position) => {
  const text = await ask("hover", view.state.doc.toString(), position);
  return text ? { pos: position, create: () => ({ dom: markdown(text) }) } : null;
});

const editor = new EditorView({
  parent: part("editor"),
  extensions: [
    lineNumbers(),
    history(),
    ...common,
    closeBrackets(),
    autocompletion({ override: [offered] }),
    highlightActiveLine(),
    highlightSelectionMatches(),
    lintGutter(),
    hovered,
    indentUnit.of("    "),
    inc(shown.patterns),
    keymap.of([
      ...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, ...searchKeymap,
      ...lintKeymap, indentWithTab,
    ]),
    EditorView.contentAttributes.of({ "aria-label": "The spec" }),
    EditorView.updateListener.of((update) => update.docChanged && changed()),
  ],
});

const source = new EditorView({
  parent: part("source"),
  extensions: [
    lineNumbers(), ...common, python(), keymap.of([...defaultKeymap, ...searchKeymap]), EditorState.readOnly.of(true),
    EditorView.contentAttributes.of({ "aria-label": "The generated source" }),
  ],
});

function replace(view, text) {
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
}

// ---------------------------------------------------------------- from the spec to the results

let tab = "torch";
let timer = 0;
let version = 0;
let built = false;
let recipe = "";
const [given, recipes] = [part("set"), part("recipes")];

function changed() {
  version += 1;
  part("result").classList.add("old");
  clearTimeout(timer);
  timer = setTimeout(read, WAIT);
}

async function read() {
  const mine = version;
  const text = editor.state.doc.toString();
  const start = performance.now();
  try {
    const found = await ask("check", text, given.value, recipe);
    if (mine !== version) return;
    mark(found.faults);
    offer(found.recipes);
    given.setAttribute("aria-invalid", String(Boolean(found.problem)));
    if (found.built) {
      const first = !built;
      built = true;
      await show();
      if (first) setTimeout(() => mine === version && ask("hover", text, 0), IDLE);
    }
    if (mine !== version) return;
    summarise(found, Math.round(performance.now() - start));
    root.dataset.read = version;
  } catch (error) {
    status(error.message, "error");
  }
}

function mark(faults) {
  const length = editor.state.doc.length;
  const marks = faults.map(({ from, to, severity, code, message, help }) => ({
    from: Math.min(from, length),
    to: Math.min(Math.max(to, from), length),
    severity,
    source: code,
    message,
    renderMessage: () => markdown(help ? `${message}\n\n${help}` : message),
  }));
  editor.dispatch(setDiagnostics(editor.state, marks));
  part("faults").replaceChildren(
    ...faults.map((fault) => {
      const row = document.createElement("button");
      row.className = `fault ${fault.severity}`;
      row.append(markdown(`**${fault.line}:${fault.column}** ${fault.message}`));
      if (fault.help) row.append(markdown(`→ ${fault.help}`));
      row.onclick = () => {
        editor.dispatch({ selection: { anchor: fault.from, head: fault.to }, scrollIntoView: true });
        editor.focus();
      };
      return row;
    }),
  );
}

// Recipes of the spec can be chosen; one that a faulty text hides stays.
function offer(names) {
  const chosen = names.includes(recipe) ? recipe : "";
  recipes.replaceChildren(new Option("none", ""), ...names.map((name) => new Option(name, name)));
  recipes.value = chosen;
  recipes.parentElement.hidden = !names.length;
}

function summarise({ built: sound, faults, problem }, milliseconds) {
  const count = (severity, word) => {
    const number = faults.filter((each) => each.severity === severity).length;
    return number ? `${number} ${word}${number > 1 ? "s" : ""}` : "";
  };
  const said = [count("error", "error"), count("warning", "warning")].filter(Boolean).join(", ");
  part("result").classList.toggle("old", !sound);
  const time = milliseconds < 2000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
  if (problem) status(problem, "error");
  else if (sound) status(`${said || "no problems"} · ${time}`, said ? "warning" : "good");
  else status(built ? `${said}: what you see is the last version without errors` : said, "error");
}

async function show() {
  if (!built) return;
  const mine = tab;
  const { text = "", refused, name } = await ask("result", mine, theme());
  if (mine !== tab) return;
  const code = !["table", "drawing"].includes(mine);
  root.dataset.showing = mine;
  part("source").hidden = !code || Boolean(refused);
  part("picture").hidden = mine !== "drawing" || Boolean(refused);
  part("text").hidden = mine !== "table" && !refused;
  part("save").hidden = Boolean(refused) || mine === "table";
  part("save").dataset.name = mine === "drawing" ? name.replace("_drawing.py", ".svg") : name;
  part("save").dataset.text = text;
  if (refused) part("text").textContent = refused;
  else if (mine === "drawing") part("picture").innerHTML = text;
  else if (mine === "table") part("text").textContent = text;
  else replace(source, text);
}

const theme = () => (document.body.dataset.mdColorScheme === "slate" ? "dark" : "light");

function status(text, kind) {
  part("status").textContent = text;
  part("status").dataset.kind = kind;
}

// ---------------------------------------------------------------- buttons

for (const button of root.querySelectorAll("[data-tab]")) {
  button.onclick = () => {
    tab = button.dataset.tab;
    for (const each of root.querySelectorAll("[data-tab]")) {
      each.setAttribute("aria-selected", String(each === button));
    }
    show();
  };
}
new MutationObserver(() => tab === "drawing" && show()).observe(document.body, {
  attributeFilter: ["data-md-color-scheme"],
});

given.oninput = changed;
recipes.onchange = () => {
  recipe = recipes.value;
  changed();
};

const examples = part("examples");
examples.append(...Object.keys(shown.examples).map((name) => new Option(name, name)));
examples.onchange = () => {
  location.hash = `example=${examples.value}`;
};

part("format").onclick = async () => {
  const text = await ask("format", editor.state.doc.toString());
  if (text !== editor.state.doc.toString()) replace(editor, text);
};

part("share").onclick = async () => {
  const link = await linkOf(editor.state.doc.toString(), given.value, recipe);
  history_.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(location.href);
    status("the link is copied: it holds the whole spec", "good");
  } catch {
    status("the link is in the address bar: it holds the whole spec", "good");
  }
};

part("save").onclick = () => {
  const { name, text } = part("save").dataset;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
};

// ---------------------------------------------------------------- the beginning

const history_ = window.history;

async function begin() {
  const { name, text, ...rest } = await meaning(location.hash, shown.examples);
  examples.value = name;
  given.value = rest.given;
  recipe = rest.recipe;
  replace(editor, text);
  changed();
}

window.addEventListener("hashchange", begin);
status("starting Python …", "busy");
begin();
