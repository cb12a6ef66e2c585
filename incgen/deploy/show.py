"""Passes, and what each of them has done to a network, as readable tables and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict

from incgen.base.tables import aligned, markdown, ruled
from incgen.deploy.passes import PASSES
from incgen.graph.nodes import Costs, Deployment, Graph

_GAP = "   "
_WIDTH = 100


def passes() -> str:
    """Return the passes in the order in which they run, with their conditions."""
    lines: list[str] = []
    width = max(map(len, PASSES))
    for pass_ in PASSES.values():
        margin = " " * (width + len(_GAP))
        words = f"{pass_.does}: {pass_.condition}"
        room = textwrap.wrap(words, _WIDTH - len(margin))
        lines += [
            f"{pass_.name.ljust(width)}{_GAP}{room[0]}",
            *(margin + line for line in room[1:]),
        ]
    return "\n".join(lines) + "\n"


def table(graph: Graph) -> str:
    """Return what each pass has done to a deployed network, and what it had to leave."""
    head, *rows = _done(graph)
    lines = ruled([head, *rows], right=range(1, len(head)))
    if left := _left(graph):
        lines += ["", "left as they are"]
        lines += aligned([(f"  {path}", *rest) for path, *rest in left])
    return "\n".join(lines) + "\n"


def in_markdown(graph: Graph) -> str:
    """Return the same as `table`, in Markdown."""
    head, *rows = _done(graph)
    text = markdown(head, rows, range(1, len(head)))
    if left := _left(graph):
        named = [(f"`{path}`", *rest) for path, *rest in left]
        text += "\n" + markdown(("left as it is", "by", "why"), named)
    return text


def _done(graph: Graph) -> list[tuple[str, ...]]:
    """Return the rows of what each pass has done, the first the heading."""
    made = _deployment(graph)
    head = ("pass", "places", "layers", "parameters", "multiply-adds", "bytes moved")
    rows = [(done.name, f"{done.places:,}", *_numbers(done.costs)) for done in made.passes]
    return [head, ("training form", "", *_numbers(made.training.costs())), *rows]


def _left(graph: Graph) -> list[tuple[str, ...]]:
    """Return the rows of what passes had to leave: the layer, the pass, the reason."""
    left = sorted(_deployment(graph).left, key=lambda entry: [*PASSES].index(entry.by))
    return [(entry.path, entry.by, entry.reason) for entry in left]


def as_json(graph: Graph) -> dict[str, object]:
    """Return the same as `table`, for JSON."""
    made = _deployment(graph)
    return {
        "training": asdict(made.training.costs()),
        "passes": [
            {"name": done.name, "places": done.places, **asdict(done.costs)} for done in made.passes
        ],
        "left": [
            {"path": entry.path, "pass": entry.by, "reason": entry.reason} for entry in made.left
        ],
    }


def _deployment(graph: Graph) -> Deployment:
    assert graph.deployment is not None
    return graph.deployment


def _numbers(costs: Costs) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in asdict(costs).values())
