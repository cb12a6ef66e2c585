"""A document as a request finds it: the text of now, and what is known of it or of one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lsprotocol import types as lsp

from incgen.base.source import Span
from incgen.graph.nodes import Node
from incgen.graph.receptive import Field
from incgen.graph.shapes import Shape
from incgen.lsp.alignment import Alignment
from incgen.lsp.analysis import Analysis
from incgen.lsp.names import Names, Occurrence
from incgen.lsp.positions import Places
from incgen.syntax import tree as st


@dataclass(frozen=True)
class View:
    """One document at one moment."""

    places: Places  #: The text of now
    analysis: Analysis  #: The last one of any version
    good: Analysis | None  #: The last one with a graph
    #: Analyses of other documents that use this one: its layers may be in their graphs
    users: Sequence[Analysis] = ()

    @property
    def text(self) -> str:
        """Return the text of now."""
        return self.places.source.text

    @property
    def names(self) -> Names:
        """Return what is known of the names."""
        return self.analysis.names

    @property
    def tree(self) -> st.Spec | None:
        """Return the last tree."""
        return self.analysis.loaded.spec if self.analysis.loaded is not None else None

    @cached_property
    def _since(self) -> Alignment:
        """Return what changed since the last analysis."""
        return Alignment(self.analysis.source.text, self.text)

    @cached_property
    def _since_good(self) -> Alignment | None:
        return Alignment(self.good.source.text, self.analysis.source.text) if self.good else None

    def known(self, offset: int) -> int | None:
        """Return the offset in the analysed text of one in the text of now."""
        return self._since.old(offset)

    def range(self, span: Span) -> lsp.Range | None:
        """Return where a piece of the analysed text is now; None if it has changed."""
        bounds = self._since.span(span.start, span.end)
        return self.places.range(*bounds) if bounds is not None else None

    def now(self, offset: int) -> int | None:
        """Return the offset in the text of now of one in the analysed text."""
        return self._since.new(offset)

    def at(self, offset: int) -> Occurrence | None:
        """Return the name at an offset of the text of now."""
        known = self.known(offset)
        return self.names.at(known) if known is not None else None

    def nodes(self, span: Span) -> list[Node]:
        """Return the layers that come from a piece of the analysed text, as far as is known."""
        nodes: list[Node] = []
        for analysis, there in self.graphs(span):
            nodes += analysis.nodes.get(there, ())
        return nodes

    def field(self, node: Node) -> Field | None:
        """Return the receptive field of a layer."""
        known = [analysis for analysis in (self.good, *self.users) if analysis is not None]
        return next(
            (analysis.fields[id(node)] for analysis in known if id(node) in analysis.fields), None
        )

    def passed(self, span: Span) -> list[tuple[Shape, Shape]]:
        """Return the shapes before and after an element of the analysed text, as far as known."""
        shapes: list[tuple[Shape, Shape]] = []
        for analysis, there in self.graphs(span):
            shapes += [p for p in analysis.passed.get(there, ()) if p not in shapes]
        return shapes

    def graphs(self, span: Span) -> list[tuple[Analysis, Span]]:
        """Return the analyses with a graph, each with a piece of analysed text as that has it."""
        if self.good is None or self._since_good is None:
            return [(user, span) for user in self.users if user.graph is not None]
        if self.good is self.analysis:
            return [(self.good, span)]
        first, last = self._since_good.old(span.start), self._since_good.old(span.end)
        if first is None or last is None or last - first != span.end - span.start:
            return []
        return [(self.good, Span(self.good.source, first, last))]
