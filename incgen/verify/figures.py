"""Check the figures in the docstrings of generated files against the graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from incgen.graph.nodes import Graph
from incgen.language.arithmetic import FUNCTIONS
from incgen.verify.places import Places

_FUNCTIONS = {name: function for name, (function, _) in FUNCTIONS.items()}
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, slots=True)
class Docs:
    """The numbers that a generated file states about its model in docstrings."""

    module: str  #: The docstring of the module
    #: The docstring of the class and its arguments, by the path of a block or unit
    blocks: Mapping[str, tuple[str, Mapping[str, Any]]]
    channels_last: bool = False  #: Whether its shapes are (N, H, W, C)


def messages(graph: Graph, docs: Docs, places: Places) -> Iterator[tuple[str, str, str]]:
    """Yield each figure by its name and place, and what is wrong with it; "" if nothing is."""
    facts = dict(re.findall(r"^(Input|Output|Parameters|Cost) +(.+)$", docs.module, re.MULTILINE))
    outputs = {name: graph.nodes[index].shape for name, index in graph.outputs.items()}
    said = dict(re.findall(r'"(\w+)": (\(N.*?\))', facts.get("Output", "")))  # by name
    said = said or {next(iter(outputs)): facts.get("Output", "")}
    shapes = [("Input", facts.get("Input", ""), graph.input)]
    for name, text, shape in (*shapes, *(("Output", said[n], outputs[n]) for n in said)):
        sizes = tuple(n for n in (shape.height, shape.width) if n is not None)
        wanted = (*sizes, shape.channels) if docs.channels_last else (shape.channels, *sizes)
        found = _numbers(text, graph.parameters)
        yield f"{name} in the docstring", "", _difference(found, ("N", *wanted))
    heads = list(graph.outputs)[1:]
    counts = [0, 0]
    for node in graph.nodes:
        beside = node.path.partition(".")[0] in heads
        counts[beside] += sum(tensor.size for tensor in node.tensors if tensor.trained)
    stated = [
        int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\d|\d", facts.get("Parameters", ""))
    ]
    wrong = "" if [*stated, 0][:2] == counts else f"{facts.get('Parameters')}, not {counts}"
    yield "Parameters in the docstring", "", wrong
    yield "Cost in the docstring", "", _cost(facts.get("Cost", ""), graph)
    for path, (doc, arguments) in docs.blocks.items():
        message = _block(path, doc, arguments, graph, places, docs.channels_last)
        if message is not None:
            yield "shape in the docstring", path, message


def _block(
    path: str,
    doc: str,
    arguments: Mapping[str, Any],
    graph: Graph,
    places: Places,
    channels_last: bool,
) -> str | None:
    """Describe what is wrong with the shapes in a class docstring; None if it states none."""
    said = re.search(
        r"(?:Shape:|Maps)\s+(\(N, .*?\))\s+to\s+(\(N, .*\))\.?\s*(?:\n\n|$)", doc, re.DOTALL
    )
    end, given = places.node_of(path), places.inputs_of(path)
    if said is None or end is None or len(given) != 1:
        return None
    sources = graph.nodes[places.numbers[given[0]]].shape, graph.nodes[end].shape
    for text, shape in zip(said.groups(), sources, strict=True):
        before = dict(zip("CHW", sources[0].sizes, strict=False))
        found = _numbers(text, {**before, **arguments})
        sizes = ("H", "W") if shape.is_map else ()
        wanted = ("N", *sizes, shape.channels) if channels_last else ("N", shape.channels, *sizes)
        # a prime marks a different size, and C' stands for channels that vary
        plain: list[int | str] = [
            wanted[i] if n == "C'" else n.rstrip("'") if isinstance(n, str) else n
            for i, n in enumerate(found)
        ]
        if message := _difference(tuple(plain), wanted):
            return message
    return ""


def _numbers(text: str, values: Mapping[str, Any]) -> tuple[int | str, ...]:
    """Read a shape such as `(N, n1x1 + proj, H')` with the values of its names; leave letters."""
    parts = [" ".join(part.split()) for part in _parts(text)]
    return tuple(part if re.fullmatch(r"[NHW]'?", part) else _value(part, values) for part in parts)


def _value(text: str, values: Mapping[str, Any]) -> int | str:
    try:
        # the text comes from a file that was executed; only parameters and functions are in scope
        return int(eval(text, {"__builtins__": _FUNCTIONS}, dict(values)))
    except (NameError, SyntaxError, TypeError, ValueError, ArithmeticError):
        return text


def _parts(text: str) -> list[str]:
    """Return what commas separate in the brackets that a text begins with."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if not depth:
            break
        if character == "," and depth == 1:
            parts.append("")
        else:
            parts[-1] += character
    return [parts[0][1:], *parts[1:]]


def _difference(found: tuple[int | str, ...], wanted: tuple[int | str, ...]) -> str:
    return "" if found == wanted else f"{_shown(found)}, not {_shown(wanted)}"


def _shown(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _cost(text: str, graph: Graph) -> str:
    """Count every weight of a kernel once per output pixel of its layer, and compare."""
    total = 0
    for node in graph.nodes:
        area = (node.shape.height or 1) * (node.shape.width or 1)
        for tensor in node.tensors if node.op != "bn" else ():
            total += area * tensor.size if tensor.name.endswith("weight") else 0
    size = graph.input.height, graph.input.width
    said = re.match(r"([\d.]+) ?([kMG]?) multiply-adds for one (\d+) x (\d+) image", text)
    if said is None or (int(said[3]), int(said[4])) != size:
        return f"{text or 'nothing'}, not that of a {size[0]} x {size[1]} image"
    unit = _UNITS[said[2]]
    off = abs(float(said[1]) * unit - total)
    return "" if off <= (0.005001 * unit if said[2] else 0) else f"{text}, not {total:,}"
