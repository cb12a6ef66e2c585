"""What every generated file has, whatever the target: its header, its docstring, its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.graph.nodes import Graph
from incgen.graph.shapes import Shape
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.names import class_name
from incgen.language.printing import python
from incgen.resolve import definitions as df
from incgen.targets.shared.code import within
from incgen.targets.shared.prose import comment_lines
from incgen.targets.shared.shaping import Shaper
from incgen.targets.shared.symbols import Unknown
from incgen.targets.shared.text import docstring
from incgen.targets.shared.values import rescaled, whole

#: Parts of a formula for the channels in a docstring; a longer one is no help to a reader.
_SHOWN = 15
#: What black and white are in the pixels that `preprocess` takes.
_BYTES = (0.0, 255.0)


def check_used(graph: Graph) -> None:
    """Refuse layers whose values no output uses: a functional model cannot hold them.

    Raises:
        SpecError: there are such layers.
    """
    used = set(graph.outputs.values())
    for index in range(len(graph.nodes) - 1, 0, -1):
        if index in used:
            used.update(graph.nodes[index].inputs)
    unused = {
        (node.span.source.name, node.span.start): node
        for index, node in enumerate(graph.nodes)
        if index and index not in used
    }
    if unused:
        message = "the value of `{}` is used by nothing: it does not lead to an output"
        help_ = "remove it, or let a later line start `from` it"
        raise SpecError(
            [
                Diagnostic(Code.UNSUPPORTED, message.format(node.path), node.span, help=help_)
                for node in unused.values()
            ]
        )


def outputs(graph: Graph, *, channels_last: bool) -> dict[str, str]:
    """Return the shape of each output by its name, for the size in the spec."""
    shapes = {name: graph.nodes[index].shape for name, index in graph.outputs.items()}
    return {name: shown(shape, channels_last=channels_last) for name, shape in shapes.items()}


def shown(shape: Shape, *, channels_last: bool) -> str:
    """Return a shape in the order of the axes that a target has."""
    sizes = (shape.height, shape.width) if shape.is_map else ()
    axes = (*sizes, shape.channels) if channels_last else (shape.channels, *sizes)
    return f"(N, {', '.join(map(str, axes))})"


def block_shapes(
    graph: Graph,
    shaper: Shaper,
    block: df.Definition,
    is_map: bool,
    source: str,
    *,
    channels_last: bool,
) -> str:
    """Return the shapes in front of a block and behind it, in its parameters; "" if unknown.

    Args:
        graph: the network that uses it.
        shaper: gives its shape as a formula.
        block: the definition.
        is_map: whether a map is in front of it.
        source: what the channels in front of it are called.
        channels_last: the order of the axes.
    """
    seen = graph.observed[block].shapes if block in graph.observed else ()
    alike = [each for each in seen if each[0].is_map == is_map]
    if not alike:
        return ""
    result = "C'"
    with suppress(SpecError, Unknown):
        channels = shaper.definition(block, is_map).channels
        if not ex.is_longer(channels, _SHOWN) and not _chooses(channels):
            result = python(ex.substitute(channels, {"in_channels": ex.Name(source)}, {}))
    kept = all((a.height, a.width) == (b.height, b.width) for a, b in alike)

    def axes(channels: str, sizes: Sequence[str]) -> str:
        ordered = (*sizes, channels) if channels_last else (channels, *sizes)
        return f"(N, {', '.join(ordered)})"

    behind = ("H", "W") if kept else ("H'", "W'")
    before = axes(source, ("H", "W") if is_map else ())
    return f"{before} to {axes(result, behind if alike[0][1].is_map else ())}"


def _chooses(formula: Expression) -> bool:
    """Return whether a formula depends on a condition, which is too much for a docstring."""
    return any(isinstance(part, ex.Choice) for part in within(formula))


def facts(graph: Graph, output: str, width: int, *, channels_last: bool) -> dict[str, Any]:
    """Return what the template of a file is given beside its classes or functions.

    Args:
        graph: the network.
        output: what it returns.
        width: of a line.
        channels_last: the order of the axes.
    """
    pixels = graph.program.network.pixels
    assert pixels is not None
    range_ = pixels.range or _BYTES
    return {
        "header": _header(graph.program, width),
        "docstring": _docstring(graph, output, width, channels_last),
        "pixels": pixels,
        "rescaled": None if range_ == _BYTES else rescaled(ex.Name("x"), *range_),
        "mean": tuple(map(whole, pixels.mean)),
        "std": tuple(map(whole, pixels.std)),
        "images": "RGB images" if graph.input.channels == 3 else "images",
        "channels": graph.input.channels,
    }


def _header(program: df.Program, width: int) -> list[str]:
    """Return the plain comment at the head of a spec, such as a licence, as that of a file."""
    lines = list[str]()
    for line in program.header.split("\n"):
        if line:
            # Python would read it as the encoding of the file (PEP 263)
            plain = line.replace("coding:", "coding :").replace("coding=", "coding =")
            lines += comment_lines(plain, width)
        elif lines and lines[-1]:
            lines.append("")
    return [*lines, ""] if lines else []


def _docstring(graph: Graph, output: str, width: int, channels_last: bool) -> list[str]:
    program, shape = graph.program, graph.input
    size = f"{shape.height} x {shape.width}"
    lines = (
        f"Input       {shown(shape, channels_last=channels_last)}",
        f"Output      {output}",
        f"Parameters  {_parameters(graph)}",
        f"Cost        {cost(graph.multiply_adds)} for one {size} image",
    )
    doc = program.doc or program.network.doc or f"{class_name(program.network.name)}."
    return docstring(doc, width, facts=lines, last=_origin(program))


def _parameters(graph: Graph) -> str:
    """Return how many parameters there are, those of heads apart: they are for training only."""
    _, *heads = graph.outputs
    beside = sum(node.parameters for node in graph.nodes if node.path.split(".")[0] in heads)
    if not beside:
        return f"{graph.trained:,}"
    return f"{graph.trained - beside:,}, and {beside:,} in the heads"


def cost(multiply_adds: int) -> str:
    """Return multiply-adds for people.

    >>> cost(2032600064)
    '2.03 G multiply-adds'
    """
    for unit, factor in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if multiply_adds >= factor:
            return f"{multiply_adds / factor:.2f} {unit} multiply-adds"
    return f"{multiply_adds} multiply-adds"


def _origin(program: df.Program) -> str:
    """Return where a generated file comes from, with the constants that were set."""
    values = ", ".join(f"{name}={_word(value)}" for name, value in program.settings.items())
    with_ = f" with {values}" if values else ""
    return f"Generated by incgen from {program.file}{with_}; edit the spec, not this file."


def _word(value: Value) -> str:
    """Return a value as the language writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
