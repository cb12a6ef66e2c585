"""Answers of the language server on 1,000 lines, and all specs in the shell, by processor time.

The messages of an editor are given to a server in this process, and a time is that of the processor
until the answer is written. Three documents are asked about: a sound one that is laid out, the same
with other blanks, and one with a fault. After a keystroke, a document is analysed before anything
is told of its faults; that has no bar.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from figures import ROOT, SMALLEST, SPEC, Figure, at_most, run_script
from incgen.lsp.starting import made
from incgen.syntax.format import format_text

#: An answer takes at most this long (milliseconds); to check and format all specs (seconds).
BAR, ALL_BAR = 50.0, 0.5
KEYSTROKE = "faults after a keystroke"
LINES = 100 if SMALLEST else 1_000
TIMES = 1 if SMALLEST else 7
#: A line of the network, and the same with a fault that has a remedy.
LINE, FAULTY = "    last: conv_bn 3x3 64\n", "    last: conv_bnn 3x3 64\n"
#: The lines of a block and of its uses: in a spec of 1,000, there are about 2,200 layers.
BLOCK = """
## Three branches on one input.
block mixed_{n}(n1x1, reduce, n3x3, kind, proj) {{
    concat {{
        conv1x1: conv_bn 1x1 n1x1
        conv3x3: conv_bn 1x1 reduce -> conv_bn 3x3 n3x3
        pool:    pool kind 3x3/1    -> conv_bn 1x1 proj
    }}
}}
"""
USES = """
    # 1x1  3x3r  3x3  pool
    mixed_{n}_a: mixed_{n}  16  16  24  avg  24
    conv_{n}_a:  conv_bn 1x1 64  # as wide as before
    conv_{n}_b:  conv_bn 3x3 64
    conv_{n}_c:  conv_bn 3x3 64
    mixed_{n}_b: mixed_{n}   8   8  24  max  32
    conv_{n}_d:  conv_bn 1x1 64
    relu_{n}:    conv 3x3 64 -> relu
"""


def spec(lines: int, line: str) -> str:
    """Return a spec of so many lines; the last layer but one is the one given."""
    count = lines // (BLOCK + USES).count("\n")
    blocks = "".join(BLOCK.format(n=number) for number in range(count))
    uses = "".join(USES.format(n=number) for number in range(count))
    head = "numerics torch\n\nunit conv_bn = conv bias=false -> bn -> relu\n"
    body = f"{head}{blocks}\nnetwork long(classes = 10) {{\n    input 16x16 3\n\n{uses}{line}"
    rest = lines - body.count("\n") - 3
    return body + "    relu\n" * rest + "    global_avg_pool\n    logits: dense classes\n}\n"


class Editor:
    """An editor with one document, and a server in this process."""

    def __init__(self, path: Path) -> None:
        """Start the server."""
        self.server, self.uri, self.text = made(), path.as_uri(), ""
        self.number = self.version = 0
        self.waiting: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self.server.protocol.set_writer(self)

    def close(self) -> None:
        """Take nothing more."""

    def write(self, data: bytes) -> None:
        """Take what the server says."""
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        key = message.get("id", message.get("method"))
        if key in self.waiting and not self.waiting[key].done():
            self.waiting[key].set_result(message)

    async def say(self, method: str, params: object, wait: str | None = None) -> dict[str, Any]:
        """Ask the server, or tell it something and wait for what it says then."""
        self.number += 1
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if wait is None:
            message["id"] = self.number
        answer = asyncio.get_running_loop().create_future()
        self.waiting[wait or self.number] = answer
        protocol = self.server.protocol
        protocol.handle_message(protocol.structure_message(message))
        result: dict[str, Any] = await answer
        return result

    async def type(self, text: str) -> None:
        """Change the text, and wait for its faults."""
        self.version += 1
        document = {"uri": self.uri, "version": self.version}
        if self.version == 1:
            opened = {"textDocument": {**document, "languageId": "inc", "text": text}}
            await self.say("textDocument/didOpen", opened, "textDocument/publishDiagnostics")
        else:
            changed = {"textDocument": document, "contentChanges": [{"text": text}]}
            await self.say("textDocument/didChange", changed, "textDocument/publishDiagnostics")
        self.text = text

    async def idle(self) -> None:
        """Wait until nothing is looked for any more."""
        document = self.server.documents.get(self.uri)
        assert document is not None
        while not document.is_settled:
            await asyncio.sleep(0.01)


#: What is asked, with the position in the last line of the network for those that need one.
AT = ("completion", "definition", "documentHighlight", "hover", "signatureHelp")
WHOLE = ("documentSymbol", "foldingRange", "semanticTokens/full", "formatting")
SHOWN = {"start": {"line": LINES - 60, "character": 0}, "end": {"line": LINES - 1, "character": 0}}


def requests(text: str, uri: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of each request."""
    row = text[: text.index("    last:")].count("\n")
    place = {"line": row, "character": len("    last: conv_")}
    document = {"textDocument": {"uri": uri}}
    at: dict[str, Any] = {**document, "position": place}
    shown = {**document, "range": SHOWN}
    line = {"start": {"line": row, "character": 0}, "end": {"line": row, "character": 5}}
    requests = {f"textDocument/{name}": at for name in AT}
    requests |= {f"textDocument/{name}": document for name in WHOLE}
    options = {"tabSize": 4, "insertSpaces": True}
    return requests | {
        "textDocument/formatting": {**document, "options": options},
        "textDocument/rangeFormatting": {**document, "range": line, "options": options},
        "textDocument/references": {**at, "context": {"includeDeclaration": True}},
        "textDocument/prepareRename": at,
        "textDocument/rename": {**at, "newName": "conv_norm"},
        "textDocument/inlayHint": shown,
        "textDocument/codeAction": {**document, "range": line, "context": {"diagnostics": []}},
    }


async def answered(folder: str) -> dict[str, list[float]]:
    """Return how long each answer takes (milliseconds), for each document."""
    answers: dict[str, list[float]] = {}
    sound = format_text(spec(LINES, LINE))
    texts = (sound, sound.replace(": conv_bn", ":   conv_bn"), format_text(spec(LINES, FAULTY)))
    for number, text in enumerate(texts):
        editor = Editor(Path(folder, f"long{number}.inc"))
        await editor.say("initialize", {"capabilities": {}, "processId": None, "rootUri": None})
        await editor.type(text + "\n")
        await editor.idle()
        times = [await taken(editor.type(f"{text}# {n}\n")) for n in range(TIMES)]
        answers.setdefault(KEYSTROKE, []).append(statistics.median(times))
        await editor.idle()
        for name, params in requests(text, editor.uri).items():
            times = [await taken(editor.say(name, params)) for _ in range(TIMES)]
            answers.setdefault(name, []).append(statistics.median(times))
    return answers


async def taken(work: Awaitable[object]) -> float:
    """Return the time that something takes (milliseconds)."""
    started = time.process_time()
    await work
    return 1e3 * (time.process_time() - started)


def every_spec() -> Figure:
    """Return how long it takes to check all specs and the layout of all, in one process."""
    from incgen.cli.main import main

    paths = [str(SPEC)] if SMALLEST else sorted(map(str, (ROOT / "specs").glob("*.inc")))
    said, times = io.StringIO(), list[float]()
    for _ in range(TIMES):
        started = time.process_time()
        for command in (["check"], ["format", "--check"]):
            with redirect_stdout(said), redirect_stderr(said), suppress(SystemExit):
                main([*command, *paths])
        times.append(time.process_time() - started)
    # the first run reads; what is known of the files makes the others faster
    return at_most("check and format --check of all specs (s)", times[0], ALL_BAR)


def measure() -> list[Figure]:
    """Return the longest time of each answer, and the time for all specs."""
    logging.disable()  # a fault has nothing to rename, of which pygls tells at length
    figures = [every_spec()]
    with tempfile.TemporaryDirectory() as folder:
        for name, times in asyncio.run(answered(folder)).items():
            shown = ", ".join(f"{time:.1f}" for time in times)
            figure = f"{name.removeprefix('textDocument/')}, {LINES:,} lines (ms)"
            if name == KEYSTROKE:
                figures.append(Figure(figure, shown))
            else:
                figures.append(at_most(figure, max(times), BAR, f"({shown})"))
    return figures


if __name__ == "__main__":
    run_script(__doc__, measure)
