"""Analyse one version of a spec: its tree, its errors and its graph."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from incgen.api import check_loaded, refusals
from incgen.base.diagnostics import Diagnostic, Reporter, SpecError
from incgen.base.source import SourceFile, Span
from incgen.graph.nodes import Graph, Node
from incgen.graph.receptive import Field, receptive_fields
from incgen.graph.shapes import Shape
from incgen.lsp.names import Names
from incgen.lsp.positions import file_of
from incgen.recipes.resolve import RecipeResolver
from incgen.resolve.program import resolve
from incgen.syntax.loader import LoadedFile, load_around_faults

#: How many different shapes before and after an element are noted.
_NOTED = 50


@dataclass(frozen=True)
class Analysis:
    """The analysis of one version of a spec."""

    source: SourceFile
    #: The tree, without the lines that do not parse; None if those cannot be told apart
    loaded: LoadedFile | None
    diagnostics: tuple[Diagnostic, ...]  #: Those of `incgen check`, but for what targets refuse
    graph: Graph | None  #: None if there are errors, or no network

    @cached_property
    def names(self) -> Names:
        """Return what the names of the file refer to."""
        return Names(self.loaded)

    @cached_property
    def nodes(self) -> Mapping[Span, list[Node]]:
        """Return the layers that come from each place: an op, a join, or the use of a block."""
        nodes: dict[Span, list[Node]] = {}
        for node in self.graph.nodes if self.graph is not None else ():
            for span in (node.span, *(use.span for use in node.uses())):
                nodes.setdefault(span, []).append(node)
        return nodes

    @cached_property
    def passed(self) -> Mapping[Span, Collection[tuple[Shape, Shape]]]:
        """Return the shapes before and after each element, by its place; a few are enough."""
        if self.graph is None:
            return {}
        passed, nodes = dict[Span, dict[tuple[Shape, Shape], None]](), self.graph.nodes
        for span, before, after in self.graph.passed:
            shapes = passed.setdefault(span, {})
            if len(shapes) < _NOTED:
                shapes[nodes[before].shape, nodes[after].shape] = None
        return passed

    @cached_property
    def fields(self) -> Mapping[int, Field]:
        """Return the receptive field of each layer, by its identity."""
        if self.graph is None:
            return {}
        fields = receptive_fields(self.graph)
        return {id(node): f for node, f in zip(self.graph.nodes, fields, strict=True)}

    @cached_property
    def files(self) -> frozenset[Path]:
        """Return the files that it was read from."""
        read = self.loaded.files() if self.loaded is not None else ()
        return frozenset(file_of(file.source) for file in read)

    def prepare(self) -> None:
        """Compute what requests need and faults do not."""
        _ = self.nodes, self.fields, self.passed

    def refused(self) -> Iterator[list[Diagnostic]]:
        """Yield what targets cannot express, as `refusals` does; it takes longer than the rest."""
        yield from refusals(self.graph) if self.graph is not None else [[]]


def analyse(path: Path, text: str, texts: Mapping[Path, str], *, expand: bool = True) -> Analysis:
    """Read, resolve and expand a text as far as it goes.

    Args:
        path: The file that the text is meant for.
        text: The text itself.
        texts: The texts of other files that are open, by their resolved paths.
        expand: Whether to make the graph, which takes longest and depends on no names but labels.
    """
    try:
        analysis = _analysed(path, text, texts, expand)
        _ = analysis.names.occurrences, analysis.files  # their bugs are caught here, too
        return analysis
    except Exception:  # a bug in incgen, after which the editor goes on
        logging.getLogger(__name__).exception("%s cannot be analysed", path)
        return Analysis(SourceFile(path.as_posix(), text), None, (), None)


def _analysed(path: Path, text: str, texts: Mapping[Path, str], expand: bool) -> Analysis:
    report = Reporter()
    loaded = load_around_faults(path, text, texts, report)
    if loaded is None or report.failed:
        source = loaded.source if loaded is not None else SourceFile(path.as_posix(), text)
        return Analysis(source, loaded, tuple(report.diagnostics), None)
    if not expand:
        resolve(loaded, {}, report)
        RecipeResolver(loaded, report).all()
        return Analysis(loaded.source, loaded, tuple(report.diagnostics), None)
    try:
        graph, faults = check_loaded(loaded)
    except SpecError as error:  # of a recipe
        graph, faults = None, list(error.diagnostics)
    return Analysis(loaded.source, loaded, tuple(faults), graph)
