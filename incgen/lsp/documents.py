"""The open documents: their texts, and an analysis of each that follows its changes.

An analysis runs in a thread of its own once nothing has been typed for a moment, so that requests
are answered at once, from the last one. What targets make of a graph takes longer than all else and
has another thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from incgen.base.diagnostics import Diagnostic
from incgen.base.source import SourceFile
from incgen.lsp.analysis import Analysis, analyse
from incgen.lsp.positions import Places, path_of
from incgen.lsp.view import View

_T = TypeVar("_T")
#: How long nothing must be typed before an analysis begins (seconds): as long as the last one took,
#: within these bounds. People notice a delay from about a tenth of a second.
_QUIET = (0.05, 0.4)


@dataclass
class Document:
    """One open document."""

    uri: str
    path: Path
    text: str
    version: int | None
    analysis: Analysis | None = None
    good: Analysis | None = None  #: The last analysis with a graph
    changed: float = 0.0  #: When it was changed last
    took: float = 0.0  #: How long the last analysis took (seconds)
    stale: bool = False  #: Whether other files have changed since the last analysis
    task: asyncio.Task[None] | None = None  #: The analysis that waits or runs
    #: What is looked for once it is analysed: what targets refuse
    following: asyncio.Task[None] | None = None
    #: Set whenever an analysis is finished
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_current(self) -> bool:
        """Return whether the last analysis is of the text of now."""
        known = self.analysis is not None and self.analysis.source.text == self.text
        return known and not self.stale

    @property
    def is_settled(self) -> bool:
        """Return whether nothing more will be found out about the text of now."""
        done = self.following is not None and self.following.done()
        return self.is_current and done and self.task is not None and self.task.done()


#: What is told of each analysis: the document, and what targets refuse once that is known.
Listener = Callable[[Document, list[Diagnostic]], None]


class Documents:
    """All open documents."""

    def __init__(self, listener: Listener) -> None:
        """Start with none; the listener is told of every analysis."""
        self.encoding = "utf-16"  #: How the client counts columns
        self._open: dict[str, Document] = {}
        self._listener = listener
        self._analyses = ThreadPoolExecutor(1, thread_name_prefix="analyses")
        self._targets = ThreadPoolExecutor(1, thread_name_prefix="targets")

    def texts(self) -> dict[Path, str]:
        """Return the texts of all documents by their resolved paths."""
        return {document.path.resolve(): document.text for document in self._open.values()}

    def get(self, uri: str) -> Document | None:
        """Return a document, if it is open."""
        return self._open.get(uri)

    def change(self, uri: str, text: str, version: int | None) -> None:
        """Take the text of a new or changed document."""
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        document = self._open.get(uri)
        if document is None:
            document = self._open[uri] = Document(uri, path_of(uri), text, version)
        document.text, document.version = text, version
        document.changed = time.monotonic()
        self._schedule(document)

    def close(self, uri: str) -> None:
        """Forget a document."""
        document = self._open.pop(uri, None)
        if document is None:
            return
        for task in (document.task, document.following):
            if task is not None:
                task.cancel()
        document.done.set()
        self.again()

    def again(self) -> None:
        """Analyse all documents again, because other files have changed."""
        for document in self._open.values():
            document.stale = True
            self._schedule(document)

    async def view(self, uri: str) -> View | None:
        """Return a document with what is known of it; wait for its first analysis."""
        document = self._open.get(uri)
        while document is not None and document.analysis is None:
            await self._next(document)
            document = self._open.get(uri)  # it may have been closed
        if document is None or document.analysis is None:
            return None
        return self._view(document, document.analysis)

    async def current(self, uri: str) -> View | None:
        """Return a document with an analysis of the text of now."""
        document = self._open.get(uri)
        while document is not None and not document.is_current:
            document.changed = 0.0  # it need not be quiet
            await self._next(document)
            document = self._open.get(uri)
        if document is None or document.analysis is None:
            return None
        return self._view(document, document.analysis)

    async def apart(self, work: Callable[[], _T], *, targets: bool = False) -> _T:
        """Do what takes long in the thread of the analyses, or in that of the targets."""
        pool = self._targets if targets else self._analyses
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _view(self, document: Document, analysis: Analysis) -> View:
        source = analysis.source
        if source.text != document.text:
            source = SourceFile(source.name, document.text)
        path = document.path.resolve()
        users = [d.good for d in self._open.values() if d is not document and d.good is not None]
        users = [user for user in users if path in user.files]
        return View(Places(source, self.encoding), analysis, document.good, users)

    async def _next(self, document: Document) -> None:
        document.done.clear()
        self._schedule(document)
        await document.done.wait()

    def _schedule(self, document: Document) -> None:
        if document.task is None or document.task.done():
            document.task = asyncio.get_running_loop().create_task(self._follow(document))

    async def _follow(self, document: Document) -> None:
        """Analyse a document until its last analysis is of its text; then look for the rest."""
        if document.following is not None:
            document.following.cancel()
        while not document.is_current:
            await self._quiet(document)
            await self._analyse(document)
        assert document.analysis is not None
        rest = self._look(document, document.analysis)
        document.following = asyncio.get_running_loop().create_task(rest)

    async def _look(self, document: Document, analysis: Analysis) -> None:
        """Tell what targets refuse; after a change of the text, no further target is asked."""
        await self.apart(analysis.prepare)
        asked, told = analysis.refused(), 0
        while (refused := await self.apart(lambda: next(asked, None), targets=True)) is not None:
            if len(refused) > told and document.analysis is analysis and document.is_current:
                self._listener(document, refused)
            told = len(refused)

    async def _quiet(self, document: Document) -> None:
        """Wait until nothing has been typed for a moment; a new document need not wait."""
        if document.analysis is None:
            return
        low, high = _QUIET
        quiet = min(high, max(low, document.took))
        while (left := document.changed + quiet - time.monotonic()) > 0:
            await asyncio.sleep(min(left, low))

    async def _analyse(self, document: Document) -> None:
        path, text, texts = document.path, document.text, self.texts()
        document.stale = False
        started = time.monotonic()
        analysis = await self.apart(lambda: analyse(path, text, texts))
        document.took = time.monotonic() - started
        before, document.analysis = document.analysis, analysis
        if analysis.graph is not None:
            document.good = analysis
        document.done.set()
        if document.text == text:
            self._listener(document, [])
        if before is not None and before.source.text != text:
            self._renew_users(document)

    def _renew_users(self, document: Document) -> None:
        """Analyse the documents again that use one."""
        path = document.path.resolve()
        for other in self._open.values():
            used = other.analysis is not None and path in other.analysis.files
            if other is not document and used:
                other.stale = True
                self._schedule(other)
