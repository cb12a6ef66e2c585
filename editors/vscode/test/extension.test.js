// The extension in place of the editor, which is only a stub here: it offers what its manifest says.

const assert = require("node:assert");
const Module = require("node:module");
const { before, test } = require("node:test");
const manifest = require("../package.json");

const commands = new Map();
const providers = new Map();
const panels = [];
const opened = [];
const fired = []; // the sources that the editor is told to ask for again

class Emitter {
  event = "of sources";
  fire(uri) {
    fired.push(uri.toString());
  }
}

// An address as the editor has it: `toString(true)` leaves signs as they were given.
class Uri {
  constructor(text) {
    this.text = text;
  }
  static parse(text) {
    return new Uri(text);
  }
  toString() {
    return this.text;
  }
}

const spec = { languageId: "inc", uri: new Uri("file:///project/net.inc") };
const known = {
  EventEmitter: Emitter,
  Uri,
  commands: { registerCommand: (name, run) => commands.set(name, run), executeCommand: async () => {} },
  window: {
    activeTextEditor: { document: spec },
    activeColorTheme: { kind: 1 },
    createWebviewPanel: () => {
      const panel = { webview: { html: "" }, onDidDispose: (run) => (panel.dispose = run) };
      panels.push(panel);
      return panel;
    },
    showTextDocument: async (document) => opened.push(document),
  },
  workspace: {
    getConfiguration: () => ({
      get: (key) => manifest.contributes.configuration.properties[`incgen.${key}`].default,
    }),
    openTextDocument: async (uri) => uri.toString(),
    registerTextDocumentContentProvider: (scheme, provider) => providers.set(scheme, provider),
  },
};

// Whatever else is asked for is a class, a function and a namespace at once.
function stub(own = {}) {
  const any = class {};
  return new Proxy(any, {
    get: (target, key) => own[key] ?? target[key] ?? (typeof key === "string" ? stub() : undefined),
    apply: () => stub(),
    set: () => true,
  });
}

const vscode = Object.fromEntries(
  Object.entries(known).map(([key, own]) => [key, typeof own === "function" ? own : stub(own)]),
);
const load = Module._load;

class Client {
  static made = [];
  static said = new Map(); // what the server answers
  constructor(...given) {
    Client.made.push(given);
  }
  onNotification(name, run) {
    Client.notify = { name, run };
  }
  async sendRequest(method, { command, arguments: given }) {
    assert.strictEqual(method, "workspace/executeCommand");
    const answer = Client.said.get([command, ...given].join(" "));
    if (answer === undefined) throw new Error("the spec has errors");
    return answer;
  }
  async start() {}
  isRunning() {
    return false;
  }
}

before(async () => {
  Module._load = (name, ...rest) => {
    if (name === "vscode") return stub(vscode);
    if (name === "vscode-languageclient/node") return { LanguageClient: Client };
    return load(name, ...rest);
  };
  const extension = require("../src/extension");
  await extension.activate({ subscriptions: [] });
  Module._load = load;
});

test("every command of the manifest is registered, and the server is started", () => {
  const names = manifest.contributes.commands.map((each) => each.command);
  assert.deepStrictEqual([...commands.keys()].sort(), [...names].sort());
  assert.deepStrictEqual([...providers.keys()], ["incgen-source"]);
  const [[, , server, options]] = Client.made;
  assert.deepStrictEqual([server.command, ...server.args], ["incgen", "lsp"]);
  assert.deepStrictEqual(options.initializationOptions, {
    hints: { shapes: true, parameters: true },
  });
  assert.strictEqual(Client.notify.name, "incgen/analysed");
});

test("the source beside a spec follows it, and keeps its last version while there are errors", async () => {
  const uri = "file:///project/net.inc";
  Client.said.set(`incgen.source ${uri} torch`, "import torch  # 1");
  await commands.get("incgen.showTorch")();
  await commands.get("incgen.showKeras")();
  const [torch, keras] = opened;
  assert.match(torch, /^incgen-source:\/net_torch\.py\?/);

  const provider = providers.get("incgen-source");
  const shown = (address) => provider.provideTextDocumentContent(new Uri(address));
  assert.strictEqual(await shown(torch), "import torch  # 1");
  assert.strictEqual(await shown(keras), "# the spec has errors\n");

  Client.said.set(`incgen.source ${uri} torch`, "import torch  # 2");
  Client.notify.run({ uri });
  assert.deepStrictEqual(fired.slice(-3, -1), [torch, keras]);
  assert.strictEqual(await shown(torch), "import torch  # 2");
  Client.said.clear();
  assert.strictEqual(await shown(torch), "import torch  # 2");
});

test("the drawing beside a spec follows it, and is there once", async () => {
  const uri = "file:///project/net.inc";
  Client.said.set(`incgen.drawing ${uri} light`, "<svg>1</svg>");
  await commands.get("incgen.showDrawing")();
  const [panel] = panels;
  assert.match(panel.webview.html, /<body><svg>1<\/svg><\/body>/);

  Client.said.set(`incgen.drawing ${uri} light`, "<svg>2</svg>");
  Client.notify.run({ uri });
  await new Promise(setImmediate);
  assert.match(panel.webview.html, /<svg>2<\/svg>/);
  Client.said.clear();
  Client.notify.run({ uri });
  await new Promise(setImmediate);
  assert.match(panel.webview.html, /<svg>2<\/svg>/);

  panel.reveal = () => (panel.revealed = true);
  await commands.get("incgen.showDrawing")();
  assert.ok(panel.revealed && panels.length === 1);
  panel.dispose();
  await commands.get("incgen.showDrawing")();
  assert.strictEqual(panels.length, 2);
});
