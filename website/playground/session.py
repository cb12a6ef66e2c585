"""Answer the playground's requests: errors, sources, a table, a drawing, help at the cursor.

This module is imported in the browser. Everything goes in and out as text, positions as the
browser counts them, in units of UTF-16; results are JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.api import check_loaded, find_targets
from incgen.base.diagnostics import Diagnostic, SpecError
from incgen.compiling import compile_recipe
from incgen.graph.nodes import Graph
from incgen.syntax import tree as st
from incgen.syntax.loader import load
from incgen.syntax.settings import settings
from incgen.targets import TARGETS

if TYPE_CHECKING:
    from incgen.lsp.view import View
    from incgen.recipes.recipe import Recipe

#: The file that the text of the editor is taken for.
SPEC = Path("network.inc")


class Session:
    """The spec in the editor, and what is known of it."""

    def __init__(self) -> None:
        """Begin without a spec."""
        self._graph: Graph | None = None
        self._recipe: Recipe | None = None
        self._view: View | None = None

    def check(self, text: str, given: str = "", recipe: str = "") -> str:
        """Read a spec: return its faults, its recipes, and whether there is a network to show.

        Args:
            text: The spec.
            given: Values for its parameters, as `--set` takes them, with blanks between.
            recipe: The recipe of which the scripts are shown, if it has one of this name.
        """
        graph, found, recipes, problem = None, None, list[str](), ""
        try:
            loaded = load(SPEC, text=text)
            recipes = [item.name.text for item in loaded.spec.of(st.Recipe)]
            values = settings(given.split())
            graph, faults = check_loaded(loaded, values)
            if graph is not None and recipe in recipes:
                graph, found = compile_recipe(SPEC, recipe, values, text=text)
        except SpecError as error:
            graph, faults = None, list(error.diagnostics)
        except ValueError as error:  # of what is given
            graph, faults, problem = None, [], str(error)
        if graph is not None:
            self._graph, self._recipe = graph, found
        return json.dumps(
            {
                "built": graph is not None,
                "faults": _shown(faults, text),
                "recipes": recipes,
                "problem": problem,
            }
        )

    def result(self, kind: str, theme: str) -> str:
        """Return what a tab shows of the last spec that had a network.

        Args:
            kind: The name of a target, `table` or `drawing`.
            theme: `light` or `dark`.
        """
        graph = self._graph
        if graph is None:
            return json.dumps({"text": "", "name": ""})
        network = graph.program.network.name
        shown = {"name": f"{network}_{kind}.py"}
        try:
            if self._recipe is not None and kind in TARGETS:
                from incgen.targets.shared import training

                shown["name"] = training.file_name(network, self._recipe.name, kind)
                shown["text"] = training.script(graph, self._recipe, kind)
                shown["beside"] = f"{network}_{kind}"
            else:
                shown["text"] = _result(graph, kind, theme)
        except SpecError as error:
            return json.dumps({"refused": str(error), "name": ""})
        return json.dumps(shown)

    def seal(self, text: str) -> str:
        """Return a source as `incgen build` writes it, with the line that tells its origin."""
        from incgen.output import sealed

        assert self._graph is not None
        digest = self._graph.digest()
        return sealed(text, self._recipe.digest(digest) if self._recipe is not None else digest)

    def format(self, text: str) -> str:
        """Return a spec in its layout."""
        from incgen.syntax.format import format_text

        try:
            return format_text(text)
        except SpecError:
            return text

    def complete(self, text: str, position: int) -> str:
        """Return what can be typed at a position."""
        from incgen.lsp.completion import completion

        view = self._looked(text)
        items = [
            {
                "label": each.label,
                "detail": each.detail or "",
                "info": _plain(each.documentation),
                "apply": each.insert_text or each.label,
            }
            for each in completion(view, _offset(text, position), Path())
        ]
        return json.dumps(items)

    def hover(self, text: str, position: int) -> str:
        """Return what is known of the word at a position, as Markdown; empty if nothing is."""
        from incgen.lsp.hover import hover

        found = hover(self._looked(text), _offset(text, position))
        return json.dumps(_plain(found.contents) if found is not None else "")

    def _looked(self, text: str) -> View:
        """Return the view of a text that editors ask; the last one that was sound helps."""
        from incgen.base.source import SourceFile
        from incgen.lsp.analysis import analyse
        from incgen.lsp.positions import Places
        from incgen.lsp.view import View

        last = self._view
        if last is None or last.text != text:
            analysis = analyse(SPEC, text, {})
            good = analysis if analysis.graph is not None else last.good if last else None
            self._view = View(Places(SourceFile(SPEC.as_posix(), text)), analysis, good)
        assert self._view is not None
        return self._view


def _result(graph: Graph, kind: str, theme: str) -> str:
    if kind == "table":
        from incgen.show.sheet import View as Shown
        from incgen.show.sheet import sheet
        from incgen.show.text import table

        return table(sheet(graph, Shown()))
    if kind == "drawing":
        from incgen.draw.drawing import drawn
        from incgen.draw.view import View

        return drawn(graph, View(theme=theme), "svg").decode("utf-8")
    (target,) = find_targets([kind])
    return target.emit(graph)


def _shown(faults: list[Diagnostic], text: str) -> list[dict[str, Any]]:
    """Return faults with their places in the text; those of other files stand at its beginning."""
    shown = []
    for each in faults:
        here = each.span is not None and each.span.source.name == SPEC.as_posix()
        start, end = (each.span.start, each.span.end) if each.span and here else (0, 0)
        line, column = (each.span.line, each.span.column) if each.span and here else (1, 1)
        shown.append(
            {
                "from": _units(text, start),
                "to": _units(text, max(end, start)),
                "line": line,
                "column": column,
                "severity": each.severity.value,
                "code": each.code.value,
                "message": each.message,
                "help": each.help or "",
                "report": each.render(),
            }
        )
    return shown


def _units(text: str, offset: int) -> int:
    """Return where an offset is in units of UTF-16."""
    before = text[:offset]
    return offset if before.isascii() else len(before.encode("utf-16-le", "surrogatepass")) // 2


def _offset(text: str, units: int) -> int:
    """Return the offset that a number of units of UTF-16 leads to."""
    if text.isascii():
        return units
    before = text.encode("utf-16-le", "surrogatepass")[: 2 * units]
    return len(before.decode("utf-16-le", "replace"))


def _plain(content: Any) -> str:
    """Return the text of what a language server says."""
    return str(getattr(content, "value", content) or "")
