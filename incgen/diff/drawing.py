"""Draw the second of two networks, with what is new or changed in colour."""

from __future__ import annotations

from incgen.base.diagnostics import listed
from incgen.diff.changes import CHANGED, NEW, Comparison
from incgen.draw.drawing import rendered
from incgen.draw.page import scene
from incgen.draw.view import DrawError, View
from incgen.graph.frames import prefixes
from incgen.graph.nodes import Graph

#: Strong colours, which no kind of op has, for both themes; the palette of Okabe and Ito.
_COLOURS = {NEW: "#009e73", CHANGED: "#e69f00"}
#: The formats that have colours of one's own.
FORMATS = ("svg", "png", "pdf")


def drawn(comparison: Comparison, graph: Graph, form: str) -> bytes:
    """Return the drawing of the second network as the content of a file in one of `FORMATS`.

    A folded block is in colour if something in it is new or changed; the theme colours the rest.

    Raises:
        DrawError: The format is another, or a library is missing.
    """
    if form not in FORMATS:
        offer = listed([f".{suffix}" for suffix in FORMATS], "or")
        raise DrawError(f"a comparison is drawn as {offer}, not as `.{form}`")
    view = View(definitions=False)
    made, _ = scene(graph, view, _legend(comparison))
    colours = _colours(comparison, graph)
    return rendered(made, lambda box: colours.get(box.key, ""), view.theme, form)


def _colours(comparison: Comparison, graph: Graph) -> dict[str, str]:
    """Return the colours of layers, and of all that they are in, by key."""
    states = dict[str, set[str]]()
    for node in graph.nodes:
        state = comparison.layers.get(node.path, "")
        for key in (*prefixes(node.path), node.path):
            states.setdefault(key, set()).add(state)
    return {
        key: _COLOURS[NEW if inside == {NEW} else CHANGED]
        for key, inside in states.items()
        if inside != {""}
    }


def _legend(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what the colours mean, and what is gone, as lines."""
    lines = [(_COLOURS[NEW], "new"), (_COLOURS[CHANGED], "changed, or something in it is")]
    gone = [only.key for only in comparison.removed if not only.place.a]
    if gone:
        lines.append(("", f"gone: {', '.join(gone[:8])}{' and more' if len(gone) > 8 else ''}"))
    return lines
