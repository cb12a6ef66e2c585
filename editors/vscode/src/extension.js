// Starts the language server, and shows what incgen makes of a spec beside it as it changes.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { page, shown, sourceUri, SCHEME, TARGETS } = require("./shown");

let client;
const panels = new Map(); // the drawings that are open, by the spec
const changed = new vscode.EventEmitter(); // of generated source

async function start(context) {
  const settings = vscode.workspace.getConfiguration("incgen");
  const [command, ...args] = settings.get("command");
  const hints = { shapes: settings.get("hints.shapes"), parameters: settings.get("hints.parameters") };
  client = new LanguageClient(
    "incgen",
    "incgen",
    { command, args, options: { cwd: vscode.workspace.workspaceFolders?.[0]?.uri.fsPath } },
    {
      documentSelector: [{ language: "inc" }],
      initializationOptions: { hints },
      synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.inc") },
    },
  );
  client.onNotification("incgen/analysed", ({ uri }) => renew(uri));
  try {
    await client.start();
  } catch (error) {
    const message = `${command} could not be started: pip install 'incgen[lsp]', or set incgen.command`;
    const choice = await vscode.window.showErrorMessage(message, "Open Settings");
    if (choice) await vscode.commands.executeCommand("workbench.action.openSettings", "incgen.command");
  }
}

function run(command, ...args) {
  return client.sendRequest("workspace/executeCommand", { command, arguments: args });
}

// What shows a spec is asked for again when the spec has been analysed.
function renew(uri) {
  for (const target of Object.keys(TARGETS)) changed.fire(vscode.Uri.parse(sourceUri(uri, target)));
  if (panels.has(uri)) draw(uri);
}

async function showSource(target) {
  const spec = vscode.window.activeTextEditor?.document;
  if (spec?.languageId !== "inc") return;
  const uri = vscode.Uri.parse(sourceUri(spec.uri.toString(), target));
  const document = await vscode.workspace.openTextDocument(uri);
  await vscode.window.showTextDocument(document, {
    viewColumn: vscode.ViewColumn.Beside,
    preserveFocus: true,
    preview: false,
  });
}

async function showDrawing() {
  const spec = vscode.window.activeTextEditor?.document;
  if (spec?.languageId !== "inc") return;
  const uri = spec.uri.toString();
  if (panels.has(uri)) return panels.get(uri).reveal(undefined, true);
  const place = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
  const title = `Drawing of ${uri.split("/").pop()}`;
  const panel = vscode.window.createWebviewPanel("incgen.drawing", title, place, {});
  panels.set(uri, panel);
  panel.onDidDispose(() => panels.delete(uri));
  await draw(uri);
}

async function draw(uri) {
  const { Dark, HighContrast } = vscode.ColorThemeKind;
  const dark = [Dark, HighContrast].includes(vscode.window.activeColorTheme.kind);
  try {
    const drawing = await run("incgen.drawing", uri, dark ? "dark" : "light");
    if (panels.has(uri)) panels.get(uri).webview.html = page(drawing);
  } catch {
    // a spec with errors keeps its last drawing
  }
}

exports.activate = async (context) => {
  const sources = {
    last: new Map(), // what is shown while a spec has errors
    onDidChange: changed.event,
    async provideTextDocumentContent(uri) {
      const { spec, target } = shown(uri.toString(true));
      try {
        this.last.set(uri.toString(), await run("incgen.source", spec, target));
      } catch (error) {
        if (!this.last.has(uri.toString())) return `# ${error.message}\n`;
      }
      return this.last.get(uri.toString());
    },
  };
  context.subscriptions.push(
    changed,
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, sources),
    ...Object.entries(TARGETS).map(([target, name]) =>
      vscode.commands.registerCommand(`incgen.show${name}`, () => showSource(target)),
    ),
    vscode.commands.registerCommand("incgen.showDrawing", showDrawing),
    vscode.commands.registerCommand("incgen.restart", async () => {
      await exports.deactivate();
      await start(context);
    }),
    vscode.window.onDidChangeActiveColorTheme(() => [...panels.keys()].forEach(draw)),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (!event.affectsConfiguration("incgen")) return;
      await exports.deactivate();
      await start(context);
    }),
  );
  await start(context);
};

exports.deactivate = async () => {
  if (client?.isRunning()) await client.stop();
};
