// Python, and what lays generated code out, in a thread of their own. Messages are
// {id, call, arguments}, answers {id, value} or {id, failure}. The first message says where the files
// come from; or it has them, packed by gzip, as a page that was opened from a folder may not fetch any.

import "./classic.js";
import startRuff, { PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-web";
import { loadPyodide } from "pyodide";
import createPyodideModule from "../node_modules/pyodide/pyodide.asm.mjs";
import { info } from "../node_modules/pyodide/pyodide-lock.json";

const { promise: beginning, resolve: begin } = Promise.withResolvers();
const types = { wasm: "application/wasm", zip: "application/zip" };
const fetched = self.fetch;

async function answer(address) {
  const name = String(address).split("/").pop();
  const { from, files } = await beginning;
  if (from) return fetched(from + name);
  const unpacked = files[name].stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked, { headers: { "content-type": types[name.split(".").pop()] } });
}
self.fetch = answer; // which is what Pyodide calls

async function startPython() {
  const packed = answer("incgen.zip").then((file) => file.arrayBuffer());
  const lockFileContents = { info, packages: {} };
  const python = await loadPyodide({ createPyodideModule, indexURL: "file:///", lockFileContents });
  python.unpackArchive(await packed, "zip", { extractDir: "/" });
  return python.runPython("from website.playground.session import Session; Session()");
}

// The same settings as in incgen/targets/shared/formatting.py.
const settings = (beside) => ({
  "line-length": 88,
  lint: { select: ["F401", "I001"], isort: { "split-on-trailing-comma": false, "known-first-party": beside } },
});

async function startFormatter() {
  await startRuff({ module_or_path: answer("ruff_wasm_bg.wasm") });
  const workspaces = new Map();
  return (source, beside) => {
    const key = beside ?? "";
    if (!workspaces.has(key)) {
      workspaces.set(key, new Workspace(settings(beside ? [beside] : []), PositionEncoding.Utf16));
    }
    return workspaces.get(key).format(fixed(workspaces.get(key), source));
  };
}

// Apply fixes until there are none; of those that overlap, the first.
function fixed(workspace, source) {
  for (let round = 0; round < 100; round += 1) {
    const edits = edited(workspace.check(source));
    if (!edits.length) return source;
    const lines = [0];
    for (let at = source.indexOf("\n"); at >= 0; at = source.indexOf("\n", at + 1)) lines.push(at + 1);
    const offset = ({ row, column }) => (lines[row - 1] ?? source.length) + column - 1;
    for (const { location, end_location, content } of edits.reverse()) {
      source = source.slice(0, offset(location)) + (content ?? "") + source.slice(offset(end_location));
    }
  }
  return source;
}

function edited(found) {
  const edits = [];
  let last = { row: 0, column: 0 };
  const after = (a, b) => a.row > b.row || (a.row === b.row && a.column >= b.column);
  const pending = found.filter((each) => each.fix).flatMap((each) => each.fix.edits);
  pending.sort((a, b) => a.location.row - b.location.row || a.location.column - b.location.column);
  for (const each of pending) {
    if (!after(each.location, last)) continue;
    edits.push(each);
    last = each.end_location;
  }
  return edits;
}

const python = startPython();
const formatter = startFormatter();
const TARGETS = ["torch", "keras", "flax"];

const calls = {
  async check(text, given, recipe) {
    return JSON.parse((await python).check(text, given, recipe));
  },
  async result(kind, theme) {
    const session = await python;
    const found = JSON.parse(session.result(kind, theme));
    if (!found.text || !TARGETS.includes(kind)) return found;
    return { ...found, text: session.seal((await formatter)(found.text, found.beside)) };
  },
  async format(text) {
    return (await python).format(text);
  },
  async complete(text, position) {
    return JSON.parse((await python).complete(text, position));
  },
  async hover(text, position) {
    return JSON.parse((await python).hover(text, position));
  },
};

self.onmessage = async ({ data }) => {
  const { id, call, given } = data;
  if (id === undefined) return begin(data);
  try {
    self.postMessage({ id, value: await calls[call](...given) });
  } catch (error) {
    self.postMessage({ id, failure: String(error) });
  }
};
