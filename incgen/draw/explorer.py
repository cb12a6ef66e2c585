"""A network as one HTML page to look around in: blocks open on a click.

The page holds the whole nest as JSON, with every layer and every iteration, and a small program
that lays open parts out with the browser's own boxes. It loads nothing: style, program and data are
in the file, and its policy forbids anything else.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from incgen.draw.colours import KINDS, THEMES, Theme, class_of
from incgen.draw.definitions import definitions
from incgen.draw.network import Network, branch_prefix
from incgen.draw.page import about, scene, titled, totals
from incgen.draw.svg import svg
from incgen.draw.text import times
from incgen.draw.view import DrawError, View, openings
from incgen.graph.nest import Aside, Body, Joined, Layer, Piece, Repeated, Used
from incgen.graph.nodes import Graph
from incgen.language.printing import spec_value

_Data: TypeAlias = dict[str, Any]
_FILES = Path(__file__).parent / "page_files"


def html(graph: Graph, view: View) -> str:
    """Return the page of a network, opened and coloured as a view asks.

    Raises:
        DrawError: The view opens what is not there, or goes right, which pages do not.
    """
    if not view.down:
        raise DrawError("the data of an HTML page goes down: leave out --direction, or draw an SVG")
    network = Network(graph)
    opened = openings(graph, network.body, view.opened)
    data = {
        "open": sorted(opened),
        "depth": view.depth,
        "heat": view.heat or "kind",
        "items": _Nest(network).body(network.body, ""),
    }
    parts = {
        "title": escape(titled(graph)),
        "name": escape(graph.program.network.name),
        "about": escape(about(graph)),
        "totals": escape(totals(graph)),
        "theme": view.theme,
        "colours": _colours(),
        "style": _file("page.css"),
        "program": _file("page.js"),
        "figure": _figure(graph),
        "definitions": definitions(network) if view.definitions else "",
        "data": _embedded(data),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _file("page.html"))


def _file(name: str) -> str:
    return (_FILES / name).read_text("utf-8")


def _embedded(data: _Data) -> str:
    """Return data as JSON that cannot end the element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _figure(graph: Graph) -> str:
    """Return the folded drawing as an address, for browsers that run no programs."""
    made, fill = scene(graph, View())
    data = svg(made, THEMES["light"], fill).encode("utf-8")
    return f"data:image/svg+xml;base64,{b64encode(data).decode('ascii')}"


def _colours() -> str:
    """Return the colours of both themes as custom properties."""
    return "\n".join(
        f"[data-theme={name}] {{\n{_properties(theme)}\n}}" for name, theme in THEMES.items()
    )


def _properties(theme: Theme) -> str:
    plain = {
        "page": theme.page,
        "ink": theme.ink,
        "faint": theme.faint,
        "line": theme.line,
        "card": theme.card,
        "rule": theme.rule,
        **{f"heat-{at}": colour for at, colour in enumerate(theme.scale)},
    }
    for kind in KINDS:
        name = class_of(kind)
        plain |= {f"{name}-fill": theme.fills[kind], f"{name}-line": theme.borders[kind]}
    return "\n".join(f"  --{name}: {colour};" for name, colour in plain.items())


class _Nest:
    """The nest of a network as data for the program of the page.

    Every item is an object: `k` its key, `t` its label, `x` what it is, `c` its kind, `s` and `v`
    the values it takes and gives, `f` what is known of it. A part that opens has its items as `i`;
    a join has its branches as `b`, each with its label, value and items; a head has `h`.
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    def body(self, body: Body, prefix: str) -> list[_Data]:
        return [self.item(item, prefix) for item in body.items]

    def item(self, item: Piece, prefix: str) -> _Data:
        match item:
            case Layer():
                return self.part(item, *self.network.texts(item, prefix))
            case Used():
                made = self.part(item, *self.network.texts(item, prefix))
                if item.given:
                    words = (f"{name} = {spec_value(v)}" for name, v in item.given.items())
                    made["g"] = ", ".join(words)
                return made | {
                    "u": item.definition.kind == "unit",
                    "i": self.body(item.body, item.path),
                }
            case Joined():
                return self.join(item, prefix)
            case Repeated():
                return self.repeat(item, prefix)
            case Aside():
                ends = {"k": item.path, "t": item.path, "s": item.source, "v": item.value}
                return {**ends, "h": self.body(item.body, item.path)}

    def part(
        self, part: Piece, label: str, text: str, kind: str, bodies: Sequence[Body] = ()
    ) -> _Data:
        """Return what every item has."""
        facts = self.network.facts(part, bodies)
        source, value = part.source, part.value
        if bodies:
            source, value = bodies[0].source, bodies[-1].value
        known = [
            times(facts.shape),
            facts.parameters,
            facts.multiply_adds,
            times(facts.field),
            max(facts.field.size),
            facts.place,
            facts.said,
        ]
        ends = {"s": source, "v": value}
        return {"k": part.path, "t": label, "x": text, "c": kind, **ends, "f": known}

    def join(self, item: Joined, prefix: str) -> _Data:
        branches = []
        for branch in item.branches:
            inside = self.body(branch, branch_prefix(item, branch, prefix))
            branches.append([branch.label or "", branch.value, inside])
        return self.part(item, *self.network.texts(item, prefix)) | {"b": branches}

    def repeat(self, item: Repeated, prefix: str) -> _Data:
        """Return a repeat: a part that opens to its iterations."""
        lone = item.bodies[0].items[0] if len(item.bodies[0].items) == 1 else None
        same = len(self.network.runs(item)) == 1
        count = len(item.bodies)
        text = f"repeat {count}"
        if same and isinstance(lone, Used):
            text = f"{count} × {lone.definition.name}"
        label = item.path.removeprefix(f"{prefix}.") if prefix else item.path
        iterations = [self.iteration(item, index) for index in range(count)]
        return self.part(item, label, text, "block", item.bodies) | {"u": False, "i": iterations}

    def iteration(self, item: Repeated, index: int) -> _Data:
        """Return one iteration: its only item, or a part with what it consists of."""
        body, path = item.bodies[index], f"{item.path}.{index}"
        if len(body.items) == 1:
            made = self.item(body.items[0], item.path)
            return made | {"t": made["t"] or str(index)}
        made = self.part(item, str(index), "iteration", "block", [body])
        return made | {"k": path, "u": False, "i": self.body(body, path)}
