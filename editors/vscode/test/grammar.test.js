// The grammar in the engine of the editor, compared with what the tests of incgen hold it against.

const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const ROOT = path.join(__dirname, "../../..");
const GRAMMAR = path.join(__dirname, "../syntaxes/inc.tmLanguage.json");

async function load() {
  const wasm = fs.readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
  await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async () => textmate.parseRawGrammar(fs.readFileSync(GRAMMAR, "utf-8"), GRAMMAR),
  });
  return registry.loadGrammar("source.inc");
}

function scopes(grammar, text) {
  const found = [];
  let begin = 0;
  for (const line of text.split("\n")) {
    for (const token of grammar.tokenizeLine(line, textmate.INITIAL).tokens) {
      const scope = token.scopes[1]?.replace(/\.inc$/, "");
      if (scope) found.push([begin + token.startIndex, begin + token.endIndex, scope]);
    }
    begin += line.length + 1;
  }
  return found;
}

test("the editor sees the scopes that the tests of incgen see", async () => {
  const grammar = await load();
  const folder = path.join(ROOT, "specs");
  const specs = fs.readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".inc"));
  const files = specs.map((name) => path.join(folder, name));
  const python = process.env.PYTHON ?? path.join(ROOT, ".venv/bin/python");
  const script = path.join(ROOT, "editors/textmate.py");
  const options = { encoding: "utf-8", maxBuffer: 1e8 };
  const expected = JSON.parse(execFileSync(python, [script, ...files], options));
  assert.ok(files.length > 10);
  for (const file of files) {
    const [text, wanted] = expected[file];
    if (/[\u{10000}-\u{10ffff}]/u.test(text)) continue; // counted in other units
    assert.deepStrictEqual(scopes(grammar, text), wanted, file);
  }
});
