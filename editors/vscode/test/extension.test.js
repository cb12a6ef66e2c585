// The extension in place of the editor, which is only a stub here: it offers what its manifest says.

const assert = require("node:assert");
const Module = require("node:module");
const { test } = require("node:test");
const manifest = require("../package.json");

const commands = [];
const providers = [];
const known = {
  commands: { registerCommand: (name) => commands.push(name), executeCommand: async () => {} },
  workspace: {
    getConfiguration: () => ({
      get: (key) => manifest.contributes.configuration.properties[`incgen.${key}`].default,
    }),
    registerTextDocumentContentProvider: (scheme) => providers.push(scheme),
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
  ["commands", "workspace"].map((key) => [key, stub(known[key])]),
);
const load = Module._load;

class Client {
  static made = [];
  constructor(...given) {
    Client.made.push(given);
  }
  onNotification(name) {
    this.notified = name;
  }
  async start() {}
  isRunning() {
    return false;
  }
}

test("every command of the manifest is registered, and the server is started", async () => {
  Module._load = (name, ...rest) => {
    if (name === "vscode") return stub(vscode);
    if (name === "vscode-languageclient/node") return { LanguageClient: Client };
    return load(name, ...rest);
  };
  const extension = require("../src/extension");
  await extension.activate({ subscriptions: [] });
  Module._load = load;

  const names = manifest.contributes.commands.map((each) => each.command);
  assert.deepStrictEqual([...commands].sort(), [...names].sort());
  assert.deepStrictEqual(providers, ["incgen-source"]);
  const [[, , server, options]] = Client.made;
  assert.deepStrictEqual([server.command, ...server.args], ["incgen", "lsp"]);
  assert.deepStrictEqual(options.initializationOptions, {
    hints: { shapes: true, parameters: true },
  });
});
